"""Events that cost more than there is, and that their triggers block."""

import pytest

from plaudit.engine.catalog import PointsTrigger
from plaudit.engine.errors import Invalid
from plaudit.engine.snapshot import encode_user
from tests.engine.builders import Player
from tests.engine.catalogs import (
    after_years,
    at_creation,
    at_length,
    at_value,
    boost,
    catalog,
    given,
    on_demand,
    per_completion,
    per_days,
    per_length,
    per_total,
    points,
)

NOON = "2024-01-15T12:00"
PRICE = per_total(-10, 1, "steps", key="price", block_if_out_of_points=True)


def refused(sam: Player, value: str = "1", metric: str = "steps", **more: dict[str, str]) -> str:
    """The message with which an event is refused; nothing changes."""
    before = None if sam.user is None else encode_user(sam.user)
    with pytest.raises(Invalid) as raised:
        sam.sends(NOON, value, metric, **more)  # type: ignore[arg-type]
    assert (None if sam.user is None else encode_user(sam.user)) == before
    return str(raised.value)


def test_a8_9_q33_what_costs_more_than_there_is_is_refused_and_nothing_stored() -> None:
    sam = Player(catalog(points(per_total(1, 1), PRICE)))
    sam.sends(NOON, "25")
    assert given(sam.sends(NOON, "2", "steps").awards) == [("price", -20, 5)]
    assert refused(sam) == "points.xp: expected at least 10 points for this event, the user has 5"
    assert sam.state.totals[3] == 2 * 10**9


def test_a8_9_what_leaves_exactly_nothing_is_accepted() -> None:
    sam = Player(catalog(points(per_total(1, 1), PRICE)))
    sam.sends(NOON, "10")
    assert given(sam.sends(NOON, "1", "steps").awards) == [("price", -10, 0)]
    refused(sam)


def test_q33_a_refused_event_does_not_make_a_user_and_changes_no_profile() -> None:
    made = catalog(points(per_total(1, 1), PRICE))
    assert refused(Player(made)) == "points.xp: expected at least 10 points for this event, the user has 0"
    sam = Player(made).counts_on("2024-01-10")
    refused(sam, being={"plan": "pro"})
    assert sam.state.profile.attributes == {}


def test_q39_what_is_earned_first_pays_for_it() -> None:
    gift = at_creation(10)
    sam = Player(catalog(points(PRICE, gift)))
    assert given(sam.sends(NOON, "1", "steps").awards) == [("user_creation 10", 10, 10), ("price", -10, 0)]
    refused(sam)


def test_q39_what_would_be_earned_later_does_not() -> None:
    made = catalog(at_value("first", "1", "steps"), points(per_length(50, 1), per_completion(50, "first"), PRICE))
    refused(Player(made))


def test_q39_a_trigger_before_it_may_earn_what_it_costs_and_one_after_it_may_not() -> None:
    earning = per_total(10, 1, "steps", key="earning")
    assert given(Player(catalog(points(earning, PRICE))).sends(NOON, "1", "steps").awards) == [
        ("earning", 10, 10),
        ("price", -10, 0),
    ]
    refused(Player(catalog(points(PRICE, earning))))


def test_a8_9_one_system_of_several_is_enough_and_then_none_changes() -> None:
    made = catalog(points(per_total(1, 1), PRICE), points(per_total(1, 10), PRICE, key="gems"))
    sam = Player(made)
    sam.sends(NOON, "30")
    assert sam.state.points == {1: 30, 2: 3}
    assert refused(sam).startswith("points.gems: ")
    assert sam.state.points == {1: 30, 2: 3}


def test_q34_without_the_flag_the_same_price_takes_what_there_is() -> None:
    sam = Player(catalog(points(per_total(1, 1), per_total(-10, 1, "steps", key="price"))))
    sam.sends(NOON, "5")
    assert given(sam.sends(NOON, "1", "steps").awards) == [("price", -5, 0)]


def test_a8_9_several_prices_are_paid_one_after_the_other() -> None:
    tax = per_total(-6, 1, "steps", key="tax")
    sam = Player(catalog(points(at_creation(15), tax, PRICE)))
    assert refused(sam).endswith("the user has 9")
    sam = Player(catalog(points(at_creation(15), PRICE, tax)))
    assert given(sam.sends(NOON, "1", "steps").awards)[1:] == [("price", -10, 5), ("tax", -5, 0)]


def test_a8_9_a_price_for_others_blocks_nobody_else() -> None:
    price = per_total(-10, 1, "steps", block_if_out_of_points=True, user_attributes={"plan": "free"})
    phone = per_total(-10, 1, "steps", key="b", block_if_out_of_points=True, event_attributes={"device": "phone"})
    sam = Player(catalog(points(price, phone)))
    sam.sends(NOON, "1", "steps", being={"plan": "pro"}, carrying={"device": "desk"})
    refused(sam, being={"plan": "free"})
    refused(sam, carrying={"device": "phone"})


def test_a8_9_the_flag_on_what_is_earned_blocks_nothing() -> None:
    assert Player(catalog(points(per_total(5, 1, block_if_out_of_points=True)))).sends(NOON).user.points == {1: 5}


def test_q36c_a_price_is_not_boosted() -> None:
    sam = Player(catalog(points(at_creation(5), PRICE, boosts=(boost("2"),))))
    assert sam.sends(NOON, "1", "steps").user.points == {1: 0}


@pytest.mark.parametrize(
    "trigger",
    [
        at_creation(-1, block_if_out_of_points=True),
        per_length(-1, 1, block_if_out_of_points=True),
        per_completion(-1, "one", block_if_out_of_points=True),
        per_completion(-1, "first", block_if_out_of_points=True),
    ],
)
def test_a8_9_whichever_trigger_takes_it(trigger: PointsTrigger) -> None:
    refused(Player(catalog(at_value("one", "1", "steps"), at_length("first", 1), points(trigger))))


def test_a8_9_only_events_are_blocked() -> None:
    flagged = [
        per_completion(-5, "helper", block_if_out_of_points=True),
        per_completion(-5, "year", key="year", block_if_out_of_points=True),
        per_days(-5, 1, block_if_out_of_points=True),
    ]
    sam = Player(catalog(on_demand("helper"), after_years("year", 1), points(at_creation(12), *flagged)))
    sam.sends(NOON, signed_up="2023-01-16")
    assert given(sam.completes(NOON, "helper").awards) == [("achievement -5", -5, 7)]
    sam.waits("2024-01-17")
    assert [given(h.awards) for h in sam.happenings] == [[("year", -5, 2), ("time -5", -2, 0)]]


def test_time_goes_on_for_a_user_whose_event_was_refused() -> None:
    made = catalog(after_years("year", 1), points(per_days(3, 1), PRICE))
    sam = Player(made)
    sam.sends("2024-01-12T12:00", signed_up="2023-01-14")
    refused(sam, "5")
    assert given(sam.sends(NOON, "0").awards) == []
    assert sam.state.points == {1: 9}
    assert [h.day for h in sam.happenings] == [738_898, 738_899, 738_900]
