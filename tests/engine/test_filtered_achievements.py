"""Achievements for some events and some users: what matches, and when."""

from decimal import Decimal

import pytest
from hypothesis import given as each_of
from hypothesis import settings
from hypothesis import strategies as st

from plaudit.engine.errors import Invalid
from tests.engine.builders import DETERMINISTIC, Player, amount
from tests.engine.catalogs import at_value, catalog, keys, on_demand

NOON = "2024-01-15T12:00"
PHONE = {"device": "phone"}
GOOD = {"mood": "good"}
PRO = {"plan": "pro"}
OnEvents = list[tuple[str, dict[str, str], list[str]]]


def told(sam: Player, sent: OnEvents) -> list[list[str]]:
    """What events with attributes complete."""
    return [keys(sam.sends(NOON, value, carrying=carrying).completed) for value, carrying, _ in sent]


# Attributes of events


def test_a7_8_the_total_is_that_of_matching_events_alone() -> None:
    sam = Player(catalog(at_value("phone", "10", event_attributes=PHONE)))
    sent: OnEvents = [
        ("9.5", PHONE, []),
        ("100", {}, []),
        ("100", {"device": "laptop"}, []),
        ("100", GOOD, []),
        ("0.5", PHONE | GOOD, ["phone"]),
        ("100", PHONE, []),
    ]
    assert told(sam, sent) == [expected for *_, expected in sent]
    assert sam.state.matched == {1: amount("110")}


def test_a7_8_all_of_the_attributes_must_match() -> None:
    both = PHONE | GOOD
    sam = Player(catalog(at_value("both", "1", event_attributes=both)))
    sent: OnEvents = [
        ("5", PHONE, []),
        ("5", GOOD, []),
        ("5", PHONE | {"mood": "bad"}, []),
        ("5", GOOD | PHONE, ["both"]),
    ]
    assert told(sam, sent) == [expected for *_, expected in sent]


def test_a7_8_a_matching_event_of_another_metric_does_not_count() -> None:
    sam = Player(catalog(at_value("phone", "1", event_attributes=PHONE)))
    assert keys(sam.sends(NOON, "5", "pages", carrying=PHONE).completed) == []
    assert sam.state.matched == {}


def test_a7_8_filters_have_totals_of_their_own_and_equal_ones_share_theirs() -> None:
    sam = Player(
        catalog(
            at_value("all", "6"),
            at_value("phone 2", "2", event_attributes=PHONE),
            at_value("phone 5", "5", event_attributes=PHONE),
            at_value("good", "3", event_attributes=GOOD),
            at_value("both", "2", event_attributes=GOOD | PHONE),
            at_value("same", "2", event_attributes=PHONE | GOOD),
            at_value("pages", "1", "pages", event_attributes=PHONE),
        )
    )
    sent: OnEvents = [
        ("2", PHONE, ["phone 2"]),
        ("2", GOOD, []),
        ("1", PHONE | GOOD, ["good"]),
        ("1", PHONE | GOOD, ["all", "both", "same"]),
        ("1", PHONE, ["phone 5"]),
    ]
    assert told(sam, sent) == [expected for *_, expected in sent]
    assert len(sam.catalog.catalog.accumulators) == 4


def test_a7_8_a7_14_matching_events_may_take_away_before_it_is_reached_and_change_nothing_after() -> None:
    sam = Player(catalog(at_value("phone", "10", event_attributes=PHONE)))
    sent: OnEvents = [
        ("9", PHONE, []),
        ("-5", PHONE, []),
        ("5.999999999", PHONE, []),
        ("0.000000001", PHONE, ["phone"]),
        ("-50", PHONE, []),
        ("50", PHONE, []),
    ]
    assert told(sam, sent) == [expected for *_, expected in sent]


def test_a5_4_an_attribute_that_the_catalog_does_not_have_is_refused_and_nothing_counts() -> None:
    sam = Player(catalog(at_value("phone", "2", event_attributes=PHONE)))
    sam.sends(NOON, carrying=PHONE)
    for unknown in ({"plan": "pro"}, PHONE | {"colour": "red"}):
        with pytest.raises(Invalid, match=r"^Invalid attribute keys: (plan|colour)\."):
            sam.sends(NOON, carrying=unknown)
    assert sam.state.matched == {1: amount("1")}


# Attributes of users


def test_a7_8_only_users_with_all_of_the_attributes_complete_it() -> None:
    made = catalog(at_value("ten", "10", user_attributes=PRO | {"team": "red"}))
    for being, expected in (
        (PRO, []),
        ({"team": "red"}, []),
        (PRO | {"team": "blue"}, []),
        ({"team": "red"} | PRO, ["ten"]),
    ):
        assert keys(Player(made).sends(NOON, "10", being=being).completed) == expected


def test_a7_8_an_attribute_that_changes_completes_what_was_waiting_for_it() -> None:
    sam = Player(catalog(at_value("five", "5", user_attributes=PRO), at_value("ten", "10", user_attributes=PRO)))
    sam.sends(NOON, "7", being={"plan": "free"})
    assert keys(sam.sends(NOON, "0", "pages", being=PRO).completed) == ["five"]
    assert keys(sam.sends(NOON, "3").completed) == ["ten"]


def test_a7_8_it_is_the_total_of_then_that_counts() -> None:
    sam = Player(catalog(at_value("five", "5", user_attributes=PRO)))
    sam.sends(NOON, "5", being={"plan": "free"})
    sam.sends(NOON, "-1")
    assert keys(sam.sends(NOON, "0", being=PRO).completed) == []
    assert keys(sam.sends(NOON, "1").completed) == ["five"]


def test_a7_8_an_attribute_taken_away_stops_it_and_takes_nothing_back() -> None:
    sam = Player(catalog(at_value("five", "5", user_attributes=PRO), at_value("ten", "10", user_attributes=PRO)))
    assert keys(sam.sends(NOON, "5", being=PRO).completed) == ["five"]
    assert keys(sam.sends(NOON, "5", being={"plan": "free"}).completed) == []
    assert list(sam.state.completions) == [1]


def test_a7_8_a_completion_on_demand_may_bring_the_attribute_as_well() -> None:
    sam = Player(catalog(on_demand("asked", user_attributes=PRO), at_value("five", "5", user_attributes=PRO)))
    sam.sends(NOON, "5")
    with pytest.raises(Invalid, match=r"user\.attributes: expected plan=pro"):
        sam.completes(NOON, "asked")
    assert set(keys(sam.completes(NOON, "asked", being=PRO).completed)) == {"asked", "five"}


def test_a7_5_an_attribute_alone_never_completes_what_has_to_be_asked_for() -> None:
    sam = Player(catalog(on_demand("asked", user_attributes=PRO)))
    assert keys(sam.sends(NOON, being=PRO).completed) == []


def test_a7_8_attributes_of_both_must_match_and_matching_events_count_whoever_the_user_is() -> None:
    sam = Player(catalog(at_value("phone", "4", event_attributes=PHONE, user_attributes=PRO)))
    assert keys(sam.sends(NOON, "4", carrying=PHONE, being={"plan": "free"}).completed) == []
    assert keys(sam.sends(NOON, "9", being={"team": "red"}).completed) == []
    assert keys(sam.sends(NOON, "0", being=PRO).completed) == ["phone"]


# Against the whole history

FILTERS: list[dict[str, str]] = [{}, PHONE, GOOD, PHONE | GOOD, {"device": "laptop"}]
CARRIED = st.fixed_dictionaries(
    {}, optional={"device": st.sampled_from(("phone", "laptop")), "mood": st.sampled_from(("good", "bad"))}
)
EVENTS = st.lists(
    st.tuples(st.integers(-30, 60), CARRIED, st.sampled_from((None, "pro", "free"))), min_size=1, max_size=15
)


@settings(DETERMINISTIC, max_examples=100)
@each_of(EVENTS)
def test_a7_8_is_what_adding_up_all_matching_events_says(events: list[tuple[int, dict[str, str], str | None]]) -> None:
    kinds = [(n, parts, being) for n, (parts, being) in enumerate((p, b) for p in FILTERS for b in ({}, PRO))]
    items = [at_value(str(n), "5", event_attributes=parts, user_attributes=being) for n, parts, being in kinds]
    sam = Player(catalog(*items))
    expected: set[str] = set()
    plan = None
    for count, (tenths, carried, said) in enumerate(events, 1):
        plan = said or plan
        value = Decimal(tenths).scaleb(-1)
        outcome = sam.sends(NOON, str(value), carrying=carried, being={"plan": said} if said else None)
        new = set()
        for n, parts, being in kinds:
            total = sum(each for each, attributes, _ in events[:count] if parts.items() <= attributes.items())
            if total >= 50 and (not being or plan == "pro"):
                new.add(str(n))
        assert set(keys(outcome.completed)) == new - expected
        expected |= new
