import pytest

from plaudit.engine.compiling import POINTS_MAX
from plaudit.engine.document import PointsEntry
from plaudit.engine.outcome import Outcome
from plaudit.engine.process import process
from tests.engine.builders import Player, compiled, document, event, instant, system, trigger

NOON = "2024-01-15T12:00"


def player(*systems: PointsEntry) -> Player:
    return Player(compiled(document(points=systems)))


def awarded(outcome: Outcome) -> list[tuple[int, int]]:
    """What each award gave, and the total after it."""
    return [(award.awarded, award.total) for award in outcome.awards]


def after(sam: Player, *values: str) -> list[list[tuple[int, int]]]:
    """The awards of an event of each value."""
    return [awarded(sam.sends(NOON, value)) for value in values]


def test_a8_2_points_are_awarded_each_time_the_metric_grows_by_the_threshold() -> None:
    sam = player(system(trigger(10, 3)))
    assert after(sam, "1", "1", "1", "1", "2", "7") == [[], [], [(10, 10)], [], [(10, 20)], [(20, 40)]]


def test_a8_2_several_thresholds_at_once_are_one_award() -> None:
    assert after(player(system(trigger(10, 3))), "10") == [[(30, 30)]]


def test_a8_10_only_whole_thresholds_of_a_decimal_total_count() -> None:
    assert after(player(system(trigger(1, 1))), "0.999999999", "0.000000001", "1.5", "0.5") == [
        [],
        [(1, 1)],
        [(1, 2)],
        [(1, 3)],
    ]


def test_q35_a_decrease_takes_no_points_back_and_growing_again_awards_again() -> None:
    assert after(player(system(trigger(10, 5))), "12", "-4", "-8", "4", "1") == [[(20, 20)], [], [], [], [(10, 30)]]


def test_a8_2_below_zero_thresholds_count_as_above() -> None:
    assert after(player(system(trigger(10, 5))), "-7", "1", "1", "5") == [[], [], [(10, 10)], [(10, 20)]]


def test_q16_an_event_of_nothing_awards_nothing() -> None:
    assert after(player(system(trigger(10, 5))), "5", "0") == [[(10, 10)], []]


def test_a8_1_negative_points_are_deducted() -> None:
    sam = player(system(trigger(10, 5, key="earn"), trigger(-3, 10, key="pay")))
    assert after(sam, "5", "5", "10") == [[(10, 10)], [(10, 20), (-3, 17)], [(20, 37), (-3, 34)]]


def test_q34_points_end_at_zero_and_the_award_is_the_actual_change() -> None:
    sam = player(system(trigger(5, 10, key="earn"), trigger(-4, 1, key="pay")))
    assert after(sam, "10") == [[(5, 5), (-5, 0)]]


def test_q34_a_deduction_from_nothing_is_no_award() -> None:
    outcome = player(system(trigger(-4, 1))).sends(NOON, "10")
    assert outcome.awards == ()
    assert outcome.user.points == {}


def test_a8_8_q36b_the_maximum_caps_the_total_and_an_award_of_nothing_is_not_made() -> None:
    sam = player(system(trigger(10, 1), max_points=25))
    assert after(sam, "1", "2", "1") == [[(10, 10)], [(15, 25)], []]
    assert sam.user
    assert sam.user.points == {1: 25}


def test_q36b_a_maximum_lowered_below_what_a_user_has_takes_nothing_away() -> None:
    now = instant(NOON)
    user = process(None, event("10"), compiled(document(points=(system(trigger(10, 1)),))), now).user
    lowered = compiled(document(points=(system(trigger(10, 1), trigger(-1, 5, key="pay"), max_points=50),)))
    assert awarded(process(user, event("1"), lowered, now)) == []
    assert awarded(process(user, event("5"), lowered, now)) == [(-1, 99)]


def test_a_system_without_a_maximum_ends_at_10_to_the_15() -> None:
    sam = player(system(trigger(10**12, 1)))
    assert after(sam, "999", "5", "1") == [[(999 * 10**12, 999 * 10**12)], [(10**12, POINTS_MAX)], []]


def test_a5_3_each_system_is_on_its_own_and_only_affected_ones_are_shown() -> None:
    sam = player(
        system(trigger(1, 1), key="xp"), system(trigger(2, 5), key="gems"), system(trigger(3, 1, "pages"), key="ink")
    )
    first, second = sam.sends(NOON, "4"), sam.sends(NOON, "1")
    assert [award.system.key for award in first.awards] == ["xp"]
    assert [award.system.key for award in second.awards] == ["xp", "gems"]
    assert second.user.points == {1: 5, 2: 2}


def test_a8_1_inactive_triggers_do_not_fire() -> None:
    assert after(player(system(trigger(10, 1, status="inactive"))), "5") == [[]]


def test_an_award_names_its_trigger() -> None:
    sam = player(system(trigger(1, 1, key="a"), trigger(2, 50, key="b"), trigger(3, 1, key="c")))
    awards = sam.sends(NOON, "5").awards
    assert [award.trigger.key for award in awards] == ["a", "c"]


@pytest.mark.parametrize("values", [("7",), ("3", "4"), ("0.5",) * 14])
def test_how_a_total_is_reached_makes_no_difference_to_the_points(values: tuple[str, ...]) -> None:
    sam = player(system(trigger(10, 3)))
    after(sam, *values)
    assert sam.user
    assert sam.user.points == {1: 20}
