"""What sets off points: the five kinds of triggers, their filters, and the order in which they fire."""

import pytest

from plaudit.engine.catalog import PointsTrigger
from tests.engine.builders import Player
from tests.engine.catalogs import (
    after_all,
    after_years,
    at_creation,
    at_length,
    at_value,
    catalog,
    given,
    level,
    on_demand,
    per_completion,
    per_days,
    per_hours,
    per_length,
    per_total,
    points,
)

NOON = "2024-01-15T12:00"


def test_a3_11_a8_6_points_for_the_creation_of_a_user_come_once() -> None:
    sam = Player(catalog(points(at_creation(50))))
    assert given(sam.sends(NOON, "0").awards) == [("user_creation 50", 50, 50)]
    assert given(sam.sends(NOON).awards) == []


def test_a8_6_a_completion_that_creates_the_user_counts_likewise() -> None:
    sam = Player(catalog(on_demand("helper"), points(at_creation(50))))
    assert given(sam.completes(NOON, "helper").awards) == [("user_creation 50", 50, 50)]
    assert given(sam.sends(NOON).awards) == []


def test_q42_those_who_were_there_before_get_no_points_for_their_creation() -> None:
    sam = Player(catalog())
    sam.sends(NOON)
    sam.catalog = catalog(points(at_creation(50)), before=sam.catalog)
    assert given(sam.sends(NOON).awards) == []


def test_a8_3_q31_a_streak_counts_at_every_multiple_of_its_length() -> None:
    sam = Player(catalog(points(per_length(10, 2))))
    awarded = [given(sam.sends(f"2024-01-{day}T12:00").awards) for day in range(10, 16)]
    assert [bool(awards) for awards in awarded] == [False, True, False, True, False, True]
    assert sam.state.points == {1: 30}


def test_q31_a_length_counts_once_within_one_streak_and_again_within_another() -> None:
    sam = Player(catalog(points(per_length(10, 2)))).counts_on("2024-01-10")
    assert given(sam.sends("2024-01-11T10:00").awards) == [("streak 10", 10, 10)]
    assert given(sam.sends("2024-01-11T11:00").awards) == []
    assert given(sam.sends("2024-01-14T10:00").awards) == []
    assert given(sam.sends("2024-01-15T10:00").awards) == [("streak 10", 10, 20)]


def test_a8_4_a_completed_achievement_counts_whatever_completed_it() -> None:
    sam = Player(
        catalog(
            at_value("ten", "10"),
            at_length("two", 2),
            on_demand("helper"),
            after_all("all", "ten", "two", "helper"),
            points(*(per_completion(n, key) for n, key in enumerate(("ten", "two", "helper", "all"), 1))),
        )
    )
    assert given(sam.sends("2024-01-10T12:00", "10").awards) == [("achievement 1", 1, 1)]
    assert given(sam.sends("2024-01-11T12:00").awards) == [("achievement 2", 2, 3)]
    completion = sam.completes("2024-01-12T12:00", "helper")
    assert given(completion.awards) == [("achievement 3", 3, 6), ("achievement 4", 4, 10)]


def test_a8_4_an_anniversary_counts_too_on_its_day() -> None:
    sam = Player(catalog(after_years("one", 1), points(per_completion(7, "one"))))
    sam.sends(NOON, signed_up="2023-02-01")
    sam.waits("2024-03-01")
    assert [(given(h.awards), h.completed[0].key) for h in sam.happenings] == [([("achievement 7", 7, 7)], "one")]


def test_a8_4_several_triggers_of_one_achievement_all_fire() -> None:
    both = points(per_completion(1, "helper"), per_completion(2, "helper"))
    sam = Player(catalog(on_demand("helper"), both, points(per_completion(3, "helper"), key="gems")))
    awards = sam.completes(NOON, "helper").awards
    assert [(award.system.key, award.awarded) for award in awards] == [("xp", 1), ("xp", 2), ("gems", 3)]


@pytest.mark.parametrize("kind", range(4))
def test_a8_7_a_filter_of_user_attributes_goes_for_any_trigger(kind: int) -> None:
    pro = {"plan": "pro", "team": "red"}
    trigger: PointsTrigger = [
        at_creation(5, user_attributes=pro),
        per_total(5, 1, user_attributes=pro),
        per_length(5, 1, user_attributes=pro),
        per_completion(5, "one", user_attributes=pro),
    ][kind]
    made = catalog(at_value("one", "1"), points(trigger))
    for being, expected in (({}, 0), ({"plan": "pro"}, 0), ({"plan": "pro", "team": "blue"}, 0), (pro, 5)):
        outcome = Player(made).sends(NOON, being=being)
        assert sum(award.awarded for award in outcome.awards) == expected


@pytest.mark.parametrize(
    "trigger", [per_hours(5, 1, user_attributes={"plan": "pro"}), per_days(5, 1, user_attributes={"plan": "pro"})]
)
def test_a8_7_time_is_no_exception(trigger: PointsTrigger) -> None:
    made = catalog(points(trigger))
    for plan, expected in (("free", {}), ("pro", {1: 5 * (24 if trigger.time_unit == "hours" else 1)})):
        sam = Player(made)
        sam.sends("2024-01-15T00:00", being={"plan": plan})
        assert sam.waits("2024-01-16").state.points == expected


def test_a8_7_the_attributes_are_those_that_the_event_has_just_brought() -> None:
    sam = Player(catalog(points(per_total(5, 1, user_attributes={"plan": "pro"}))))
    assert given(sam.sends(NOON, being={"plan": "free"}).awards) == []
    assert given(sam.sends(NOON, being={"plan": "pro"}).awards) == [("metric 5", 5, 5)]
    assert given(sam.sends(NOON).awards) == [("metric 5", 5, 10)]
    assert given(sam.sends(NOON, being={"plan": "free"}).awards) == []


def test_a8_2_q36_a_filter_of_event_attributes_counts_the_total_of_matching_events() -> None:
    phone = {"device": "phone", "mood": "good"}
    sam = Player(catalog(points(per_total(10, 3, event_attributes=phone))))
    assert given(sam.sends(NOON, "2", carrying=phone).awards) == []
    assert given(sam.sends(NOON, "50").awards) == []
    assert given(sam.sends(NOON, "50", carrying={"device": "phone"}).awards) == []
    assert given(sam.sends(NOON, "50", carrying={"device": "phone", "mood": "bad"}).awards) == []
    assert given(sam.sends(NOON, "50", "pages", carrying=phone).awards) == []
    assert given(sam.sends(NOON, "1", carrying=phone).awards) == [("metric 10", 10, 10)]


def test_q35_q36_what_matches_may_decrease_and_grow_again() -> None:
    sam = Player(catalog(points(per_total(10, 3, event_attributes={"device": "phone"}))))
    phone = {"device": "phone"}
    sent = [sam.sends(NOON, value, carrying=phone) for value in ("4", "-2", "-0.5", "1.5", "6")]
    assert [given(outcome.awards) for outcome in sent] == [
        [("metric 10", 10, 10)],
        [],
        [],
        [("metric 10", 10, 20)],
        [("metric 10", 20, 40)],
    ]


def test_q36_one_event_may_match_several_filters_each_with_its_own_total() -> None:
    sam = Player(
        catalog(
            points(
                per_total(1, 4, key="all"),
                per_total(2, 3, key="phone", event_attributes={"device": "phone"}),
                per_total(3, 2, key="happy", event_attributes={"mood": "good"}),
                per_total(4, 3, key="both", event_attributes={"mood": "good", "device": "phone"}),
            )
        )
    )
    sam.sends(NOON, "1", carrying={"device": "phone"})
    awards = sam.sends(NOON, "2", carrying={"device": "phone", "mood": "good"}).awards
    assert given(awards) == [("phone", 2, 2), ("happy", 3, 5)]
    assert given(sam.sends(NOON, "1", carrying={"device": "phone", "mood": "good"}).awards) == [
        ("all", 1, 6),
        ("both", 4, 10),
    ]


def test_a_filter_that_nothing_uses_for_a_while_counts_on() -> None:
    phone = {"device": "phone"}
    with_it = points(per_total(10, 3, event_attributes=phone))
    sam = Player(catalog(with_it))
    sam.sends(NOON, "2", carrying=phone)
    sam.catalog = catalog(points(), before=sam.catalog)
    sam.sends(NOON, "2", carrying=phone)
    sam.catalog = catalog(with_it, before=sam.catalog)
    assert given(sam.sends(NOON, "1", carrying=phone).awards) == []
    assert given(sam.sends(NOON, "1", carrying=phone).awards) == [("metric 10", 10, 10)]


def test_q39_triggers_fire_by_kind_and_then_by_system_and_number() -> None:
    everything = (
        per_completion(1, "one", key="achievement"),
        per_length(1, 1, key="streak"),
        per_total(1, 1, key="metric b"),
        at_creation(1, key="creation"),
        per_total(1, 1, key="metric a", event_attributes={"device": "phone"}),
    )
    made = catalog(at_value("one", "1"), points(*everything), points(*everything, key="gems"))
    awards = Player(made).sends(NOON, "1", carrying={"device": "phone"}).awards
    assert [(award.system.key, award.trigger.key) for award in awards] == [
        (system, key)
        for group in (["creation"], ["metric b", "metric a"], ["streak"], ["achievement"])
        for system in ("xp", "gems")
        for key in group
    ]


def test_q39_achievements_complete_by_metric_then_streak_then_composite() -> None:
    made = catalog(
        after_all("last", "all"),
        after_all("all", "ten", "one day", "five"),
        at_length("one day", 1),
        at_value("ten", "10"),
        at_value("five", "5"),
    )
    outcome = Player(made).sends(NOON, "10")
    assert [a.key for a in outcome.completed] == ["five", "ten", "one day", "all", "last"]


def test_q39_the_order_decides_what_a_maximum_and_zero_leave() -> None:
    made = catalog(
        at_value("one", "1"),
        points(per_completion(-30, "one"), per_length(20, 1), per_total(-5, 1), at_creation(10), max_points=22),
    )
    assert given(Player(made).sends(NOON).awards) == [
        ("user_creation 10", 10, 10),
        ("metric -5", -5, 5),
        ("streak 20", 17, 22),
        ("achievement -30", -22, 0),
    ]


@pytest.mark.parametrize("trigger", [at_creation(-5), per_total(-5, 1), per_length(-5, 1), per_completion(-5, "one")])
def test_q34_no_kind_of_trigger_takes_more_than_there_is(trigger: PointsTrigger) -> None:
    sam = Player(catalog(at_value("one", "1"), points(trigger, levels=(level(0),))))
    outcome = sam.sends(NOON)
    assert outcome.awards == ()
    assert sam.state.points == {}


def test_a8_1_q42_what_becomes_active_counts_from_then_on() -> None:
    sleeping = (per_total(5, 2, status="inactive"), per_length(1, 1, status="inactive"))
    sam = Player(catalog(points(*sleeping)))
    assert given(sam.sends(NOON, "5").awards) == []
    awake = (per_total(5, 2), per_length(1, 1))
    sam.catalog = catalog(points(*awake), before=sam.catalog)
    assert given(sam.sends(NOON, "0").awards) == []
    assert given(sam.sends(NOON, "1").awards) == [("metric 5", 5, 5)]
