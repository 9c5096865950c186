"""Boosts: for whom, on which days, by how much."""

from decimal import Decimal
from fractions import Fraction
from itertools import permutations
from math import ceil, floor

import pytest
from hypothesis import given as each_of
from hypothesis import strategies as st

from plaudit.engine.amounts import to_amount
from plaudit.engine.boosts import USER_BOOSTS_MAX, multiply
from plaudit.engine.catalog import PointsBoost, Rounding
from plaudit.engine.errors import Invalid, NotFound
from tests.engine.builders import DETERMINISTIC, Player
from tests.engine.catalogs import (
    after_years,
    at_creation,
    at_value,
    boost,
    catalog,
    given,
    level,
    on_demand,
    own_boost,
    per_completion,
    per_days,
    per_hours,
    per_length,
    per_total,
    points,
)

NOON = "2024-01-15T12:00"
TENS = per_total(10, 1)


def awarded(*boosts: PointsBoost, value: str = "1") -> int:
    """What ten points for each of `value` become."""
    awards = Player(catalog(points(TENS, boosts=boosts))).sends(NOON, value).awards
    return sum(award.awarded for award in awards)


# For whom


def test_a8_12_a_boost_multiplies_what_everybody_earns_in_its_system() -> None:
    made = catalog(points(TENS, boosts=(boost("2"),)), points(TENS, key="gems"))
    awards = Player(made).sends(NOON).awards
    assert [(a.system.key, a.awarded) for a in awards] == [("xp", 20), ("gems", 10)]


def test_a8_12_or_what_users_with_certain_attributes_earn() -> None:
    made = catalog(points(TENS, boosts=(boost("2", user_attributes={"plan": "pro", "team": "red"}),)))
    sam = Player(made)
    assert given(sam.sends(NOON, being={"plan": "pro"}).awards) == [("metric 10", 10, 10)]
    assert given(sam.sends(NOON, being={"team": "red"}).awards) == [("metric 10", 20, 30)]
    assert given(sam.sends(NOON, being={"plan": "free"}).awards) == [("metric 10", 10, 40)]


def test_a8_12_or_what_one_user_earns() -> None:
    made = catalog(points(TENS), points(TENS, key="gems"))
    sam, alex = Player(made), Player(made)
    sam.counts_on("2024-01-14").asks("2024-01-14T13:00", own_boost("3"))
    assert [a.awarded for a in sam.sends(NOON).awards] == [30, 10]
    assert [a.awarded for a in alex.sends(NOON).awards] == [10, 10]


def test_a_boost_of_a_system_that_does_not_exist_is_refused() -> None:
    sam = Player(catalog(points(TENS))).counts_on("2024-01-14")
    with pytest.raises(NotFound):
        sam.asks(NOON, own_boost("2", system="gems"))


def test_finished_boosts_of_a_user_make_room_for_others() -> None:
    sam = Player(catalog(points(TENS))).counts_on("2024-01-10")
    for number in range(USER_BOOSTS_MAX):
        sam.asks("2024-01-10", own_boost("2", "2024-01-01", "2024-01-12", number=number))
    with pytest.raises(Invalid):
        sam.asks("2024-01-12T12:00", own_boost("3"))
    sam.asks("2024-01-20", own_boost("3"))
    assert [own.name for own in sam.state.boosts] == ["3"]


# When


@pytest.mark.parametrize(
    ("zone", "first", "last"),
    [
        ("UTC", "2024-01-20T00:00", "2024-01-21T23:59:59.999"),
        ("Pacific/Kiritimati", "2024-01-20T00:00", "2024-01-21T23:59:59.999"),
        ("Pacific/Pago_Pago", "2024-01-20T00:00", "2024-01-21T23:59:59.999"),
        ("Asia/Kathmandu", "2024-01-20T00:00", "2024-01-21T23:59:59.999"),
    ],
)
def test_a8_16_its_dates_are_those_of_where_the_user_is_both_included(zone: str, first: str, last: str) -> None:
    made = catalog(points(TENS, boosts=(boost("2", "2024-01-20", "2024-01-21"),)))
    times = ["2024-01-19T23:59:59.999", first, last, "2024-01-22T00:00"]
    sam = Player(made, zone)
    assert [sam.sends(at).awards[0].awarded for at in times] == [10, 20, 20, 10]


def test_a8_16_at_one_instant_it_is_on_here_and_over_there_not() -> None:
    made = catalog(points(TENS, boosts=(boost("2", "2024-01-20", "2024-01-20"),)))
    at = 1_705_701_600_000  # 2024-01-19T22:00Z: the 20th at noon in Kiritimati, the 19th at 11 in Pago Pago
    west, east = Player(made, "Pacific/Pago_Pago"), Player(made, "Pacific/Kiritimati")
    assert west.sends_at(at).awards[0].awarded == 10
    assert east.sends_at(at).awards[0].awarded == 20
    later = at + 24 * 3_600_000
    assert west.sends_at(later).awards[0].awarded == 20
    assert east.sends_at(later).awards[0].awarded == 10


def test_a8_16_without_an_end_it_goes_on_and_before_its_start_it_is_not_on_yet() -> None:
    made = catalog(points(TENS, boosts=(boost("2", "2024-01-20"),)))
    sam = Player(made)
    times = ["2024-01-19T12:00", "2024-01-20T12:00", "2033-01-01T12:00"]
    assert [sam.sends(at).awards[0].awarded for at in times] == [10, 20, 20]


def test_a8_16_the_same_for_a_user_s_own() -> None:
    sam = Player(catalog(points(TENS)), "Pacific/Kiritimati").counts_on("2024-01-18")
    sam.asks("2024-01-18T13:00", own_boost("2", "2024-01-20", "2024-01-20"))
    times = ["2024-01-19T23:59", "2024-01-20T00:00", "2024-01-20T23:59", "2024-01-21T00:00"]
    assert [sam.sends(at).awards[0].awarded for at in times] == [10, 20, 20, 10]


def test_an_archived_boost_is_not_on() -> None:
    sam = Player(catalog(points(TENS, boosts=(boost("2"),))))
    sam.sends(NOON)
    sam.catalog = catalog(points(TENS), before=sam.catalog)
    assert sam.sends(NOON).awards[0].awarded == 10


# By how much


def test_a8_14_boosts_stack_by_multiplication() -> None:
    sam = Player(catalog(points(per_total(1, 1), boosts=(boost("2"), boost("1.5"))))).counts_on("2024-01-14")
    sam.asks("2024-01-14T13:00", own_boost("3"))
    award = sam.sends(NOON).awards[0]
    assert award.awarded == 9
    assert [each.name for each in award.boosts] == ["2", "1.5", "3"]


def test_a8_19_an_award_names_the_boosts_that_applied_and_no_others() -> None:
    boosts = (boost("2"), boost("3", "2025-01-01"), boost("4", user_attributes={"plan": "pro"}))
    award = Player(catalog(points(TENS, boosts=boosts))).sends(NOON).awards[0]
    assert [each.name for each in award.boosts] == ["2"]


@pytest.mark.parametrize(
    ("multiplier", "rounding", "expected"),
    [
        ("1.27", "down", 12),
        ("1.27", "up", 13),
        ("1.27", "nearest", 13),
        ("1.12", "nearest", 11),
        ("1.17", "nearest", 12),
        ("1.25", "nearest", 13),  # a half goes up
        ("1.249999999", "nearest", 12),
        ("1.3", "up", 13),
        ("0.09", "down", 0),
        ("0.09", "up", 1),
        ("0.01", "up", 1),
        ("0.05", "nearest", 1),
    ],
)
def test_a8_15_rounding_follows_multiplication(multiplier: str, rounding: Rounding, expected: int) -> None:
    assert awarded(boost(multiplier, rounding=rounding)) == expected


def test_a8_15_what_a_boost_leaves_nothing_of_is_no_award() -> None:
    sam = Player(catalog(points(TENS, boosts=(boost("0.05"),))))
    assert sam.sends(NOON).awards == ()


@pytest.mark.parametrize(
    ("roundings", "expected"),
    [
        (("down", "down"), 16),
        (("down", "up"), 16),
        (("down", "nearest"), 16),
        (("up", "up"), 17),
        (("up", "nearest"), 17),
        (("nearest", "nearest"), 17),
    ],
)
def test_q36d_several_are_multiplied_and_rounded_once(roundings: tuple[Rounding, Rounding], expected: int) -> None:
    for one, other in permutations(roundings):
        boosts = (boost("1.1", rounding=one), boost("1.5", rounding=other))  # 16.5
        assert awarded(*boosts) == expected


def test_q36d_nothing_is_rounded_in_between() -> None:
    assert awarded(boost("0.05"), boost("20")) == 10
    assert awarded(*(boost("1.01", key=str(n)) for n in range(10)), value="10") == floor(100 * Fraction(101, 100) ** 10)


def test_a8_2_what_one_event_earns_of_a_trigger_is_boosted_as_a_whole() -> None:
    assert awarded(boost("1.05"), value="2") == 21
    assert awarded(boost("1.05")) == 10


def test_q36c_what_is_taken_is_not_boosted() -> None:
    made = catalog(points(per_total(10, 1), per_total(-3, 1, key="price"), boosts=(boost("2"),)))
    awards = Player(made).sends(NOON).awards
    assert given(awards) == [("metric 10", 20, 20), ("price", -3, 17)]
    assert awards[1].boosts == ()


def test_q36b_the_maximum_caps_what_was_boosted() -> None:
    made = catalog(points(TENS, boosts=(boost("3"),), max_points=45))
    sam = Player(made)
    assert [given(sam.sends(NOON).awards) for _ in range(3)] == [[("metric 10", 30, 30)], [("metric 10", 15, 45)], []]


def test_q36e_every_kind_of_award_is_boosted() -> None:
    made = catalog(
        at_value("one", "1"),
        on_demand("helper"),
        after_years("year", 1),
        points(
            at_creation(1),
            per_length(10, 1),
            per_completion(100, "one"),
            per_completion(1000, "helper", key="helper"),
            per_completion(10_000, "year", key="year"),
            boosts=(boost("3"),),
            levels=(level(333, "lucky"),),
        ),
        points(per_hours(1, 5), per_days(10, 1), boosts=(boost("3", "2024-01-16", "2024-01-16"),), key="time"),
    )
    sam = Player(made)
    assert [award.awarded for award in sam.sends("2024-01-15T00:30", signed_up="2023-01-17").awards] == [3, 30, 300]
    assert sam.state.levels == {1: 1}
    assert [award.awarded for award in sam.completes("2024-01-15T01:00", "helper").awards] == [3000]
    sam.waits("2024-01-17T00:00")
    awards = [(award.awarded, bool(award.boosts)) for h in sam.happenings for award in h.awards]
    assert awards == [
        *[(1, False)] * 4,  # at 5, 10, 15 and 20 o'clock
        (30, True),  # the midnight with which the 16th begins
        *[(3, True)] * 5,  # at 1, 6, 11, 16 and 21 o'clock
        (30_000, True),
        (10, False),
    ]


MULTIPLIERS = st.integers(1, 99 * 10**9).map(lambda n: Decimal(n).scaleb(-9)) | st.sampled_from(
    [Decimal(text) for text in ("0.5", "1.5", "2", "2.5", "99.999999999", "0.000000001")]
)
STACKS = st.lists(st.tuples(MULTIPLIERS, st.sampled_from(["down", "up", "nearest"])), min_size=1, max_size=5)


@DETERMINISTIC
@each_of(st.integers(1, 10**15), STACKS)
def test_q36d_is_what_fractions_say(earned: int, stack: list[tuple[Decimal, Rounding]]) -> None:
    boosts = [boost(str(multiplier), rounding=rounding) for multiplier, rounding in stack]
    exact = Fraction(earned)
    for multiplier, _ in stack:
        exact *= Fraction(multiplier)
    roundings = {rounding for _, rounding in stack}
    if "down" in roundings:
        expected = floor(exact)
    else:
        expected = ceil(exact) if "up" in roundings else floor(exact + Fraction(1, 2))
    assert multiply(earned, [(each, to_amount(each.multiplier)) for each in boosts]) == expected
