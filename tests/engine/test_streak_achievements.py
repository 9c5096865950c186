"""Achievements for the length of a streak."""

from datetime import date

import pytest
from hypothesis import given as each_of
from hypothesis import settings
from hypothesis import strategies as st

from plaudit.engine.catalog import Frequency, Status, StreakMetric, StreakSettings
from plaudit.engine.commands import RestoreStreak, StreakPreferenceFields, UpdatePreferences
from plaudit.engine.compiled import CompiledCatalog
from tests.engine.builders import DETERMINISTIC, Player, day, instant
from tests.engine.catalogs import (
    after_all,
    at_length,
    at_value,
    catalog,
    given,
    keys,
    per_completion,
    per_days,
    per_length,
    points,
)

LENGTHS = catalog(at_length("four", 4), at_length("two", 2), at_length("three", 3))
FIRST = day("2024-01-01")


def told(sam: Player, *dates: str) -> list[list[str]]:
    """What an event at noon of each date completes."""
    return [keys(sam.sends(f"{each}T12:00").completed) for each in dates]


def enabled(*, is_on: bool) -> UpdatePreferences:
    return UpdatePreferences("sam", streak=StreakPreferenceFields(enabled=is_on))


def test_a7_4_it_completes_when_the_streak_reaches_its_length() -> None:
    sam = Player(LENGTHS)
    dates = [f"2024-01-1{n}" for n in range(6)]
    assert told(sam, *dates) == [[], ["two"], ["three"], ["four"], [], []]
    assert list(sam.state.completions.values()) == [instant(f"2024-01-1{n}T12:00") for n in (1, 2, 3)]


def test_a7_4_a_missed_day_begins_again_and_what_is_completed_stays_so() -> None:
    sam = Player(LENGTHS)
    assert told(sam, "2024-01-10", "2024-01-11", "2024-01-13", "2024-01-14") == [[], ["two"], [], []]
    assert told(sam, "2024-01-15") == [["three"]]


@pytest.mark.parametrize(
    ("frequency", "dates", "expected"),
    [
        ("daily", ("2024-01-31", "2024-02-01", "2024-02-04"), [[], ["two"], []]),
        ("weekly", ("2024-01-07", "2024-01-08", "2024-01-13", "2024-01-14"), [[], [], [], ["two"]]),
        ("weekly", ("2024-01-07", "2024-01-22"), [[], []]),
        ("monthly", ("2024-01-01", "2024-01-31", "2024-02-29"), [[], [], ["two"]]),
        ("monthly", ("2024-01-31", "2024-03-01"), [[], []]),
    ],
)
def test_a7_4_the_streak_is_counted_in_the_periods_of_the_settings(
    frequency: Frequency, dates: tuple[str, ...], expected: list[list[str]]
) -> None:
    made = catalog(at_length("two", 2), streak=StreakSettings(frequency=frequency))
    assert told(Player(made), *dates) == expected


def test_a7_4_a_period_counts_once_its_condition_is_met() -> None:
    metrics = (StreakMetric(key="words", threshold=5), StreakMetric(key="pages", threshold=1))
    both = StreakSettings(evaluation_mode="AND", metrics=metrics)
    sam = Player(catalog(at_length("one", 1), streak=both))
    sent = [("5", "words"), ("100", "steps"), ("0.5", "pages"), ("0.5", "pages")]
    assert [keys(sam.sends("2024-01-10T12:00", *each).completed) for each in sent] == [[], [], [], ["one"]]


@pytest.mark.parametrize("status", ["locked", "inactive"])
def test_a7_2_one_that_is_not_active_is_not_completed(status: Status) -> None:
    sam = Player(catalog(at_length("one", 1, status=status), at_length("two", 2)))
    assert told(sam, "2024-01-10", "2024-01-11") == [[], ["two"]]


def test_a7_4_a_streak_that_is_brought_back_goes_on_to_the_next_length() -> None:
    sam = Player(LENGTHS).counts_through("2024-01-10", "2024-01-11")
    assert told(sam, "2024-01-14") == [[]]
    sam.asks("2024-01-14T13:00", RestoreStreak("sam"))
    assert told(sam, "2024-01-15") == [["three"]]


# For whom


def test_a7_8_a_length_that_was_reached_counts_as_soon_as_the_user_is_one_of_those_it_is_for() -> None:
    sam = Player(catalog(at_length("two", 2, user_attributes={"plan": "pro"})))
    assert told(sam, "2024-01-10", "2024-01-11") == [[], []]
    outcome = sam.sends("2024-01-11T13:00", "0", being={"plan": "pro"})
    assert not outcome.streak_extended
    assert keys(outcome.completed) == ["two"]


def test_a7_8_but_not_if_it_has_been_lost_by_then() -> None:
    sam = Player(catalog(at_length("two", 2, user_attributes={"plan": "pro"})))
    sam.counts_through("2024-01-10", "2024-01-11")
    assert keys(sam.sends("2024-01-13T12:00", being={"plan": "pro"}).completed) == []
    assert told(sam, "2024-01-14") == [["two"]]


def test_a7_8_only_users_with_all_of_the_attributes_complete_it() -> None:
    made = catalog(at_length("pro", 2, user_attributes={"plan": "pro", "team": "red"}), at_length("all", 2))
    for being, expected in (
        ({"plan": "pro"}, ["all"]),
        ({"plan": "pro", "team": "blue"}, ["all"]),
        ({"plan": "pro", "team": "red"}, ["pro", "all"]),
    ):
        sam = Player(made)
        sam.sends("2024-01-10T12:00", being=being)
        assert told(sam, "2024-01-11") == [expected]


def test_a7_4_who_wants_no_streak_completes_nothing_by_it_until_it_is_wanted_again() -> None:
    sam = Player(LENGTHS).counts_on("2024-01-10")
    sam.asks("2024-01-10T13:00", enabled(is_on=False))
    assert told(sam, "2024-01-11", "2024-01-12") == [[], []]
    sam.asks("2024-01-12T13:00", enabled(is_on=True))
    assert [sam.catalog.achievements.active[number].definition.key for number in sam.state.completions] == [
        "two",
        "three",
    ]
    assert told(sam, "2024-01-12", "2024-01-13") == [[], ["four"]]


def story(sam: Player) -> list[tuple[int, list[str], list[tuple[str, int, int]]]]:
    """What has happened without an event."""
    return [(h.at_ms, keys(h.completed), given(h.awards)) for h in sam.happenings]


FOR_LENGTHS = points(per_completion(5, "two", key="second"), per_completion(7, "both"), per_length(100, 2))


def test_a7_4_a8_4_what_becomes_visible_by_a_preference_gives_points_and_is_in_the_history() -> None:
    three = at_length("three", 3)
    sam = Player(catalog(at_length("two", 2), three, after_all("both", "two", "three"), FOR_LENGTHS))
    sam.counts_on("2024-01-10").asks("2024-01-10T13:00", enabled(is_on=False))
    sam.counts_through("2024-01-11", "2024-01-12")
    sam.asks("2024-01-12T13:00", enabled(is_on=True))
    at_ms = instant("2024-01-12T13:00")
    expected = [("second", 5, 5), ("achievement 7", 7, 12)]
    assert story(sam) == [(at_ms, ["two", "three", "both"], expected)]
    assert [h.day for h in sam.happenings] == [day("2024-01-12")]
    assert set(sam.state.completions.values()) == {at_ms}
    sam.asks("2024-01-12T14:00", enabled(is_on=False)).asks("2024-01-12T15:00", enabled(is_on=True))
    assert len(sam.happenings) == 1


def test_a7_4_only_what_the_streak_is_long_enough_for_becomes_visible() -> None:
    sam = Player(LENGTHS).counts_on("2024-01-10")
    sam.asks("2024-01-10T13:00", enabled(is_on=False)).counts_on("2024-01-11")
    sam.asks("2024-01-13T13:00", enabled(is_on=True))
    assert story(sam) == []
    assert sam.state.completions == {}


def test_a7_4_what_becomes_visible_is_for_those_alone_whom_it_is_for() -> None:
    pros = at_length("pro", 2, user_attributes={"plan": "pro"})
    sam = Player(catalog(pros, at_length("two", 2))).counts_on("2024-01-10")
    sam.asks("2024-01-10T13:00", enabled(is_on=False)).counts_on("2024-01-11")
    sam.asks("2024-01-11T13:00", enabled(is_on=True))
    assert story(sam) == [(sam.now_ms, ["two"], [])]


def test_a7_4_a8_4_so_does_what_is_restored() -> None:
    """As a pro, nobody has had two days so far."""
    sam = Player(catalog(at_length("two", 2, user_attributes={"plan": "pro"}), FOR_LENGTHS))
    sam.counts_through("2024-01-10", "2024-01-11")
    sam.sends("2024-01-14T12:00", being={"plan": "pro"})
    sam.asks("2024-01-14T13:00", RestoreStreak("sam"))
    assert story(sam) == [(sam.now_ms, ["two"], [("second", 5, 105)])]
    assert [h.day for h in sam.happenings] == [day("2024-01-14")]


def test_a7_4_what_time_brings_comes_before_it() -> None:
    sam = Player(catalog(at_length("two", 2), FOR_LENGTHS, points(per_days(1, 1), key="gems")))
    sam.counts_on("2024-01-10").asks("2024-01-10T13:00", enabled(is_on=False)).counts_on("2024-01-11")
    sam.asks("2024-01-12T09:00", enabled(is_on=True))
    told = [
        (instant("2024-01-11"), [], [("time 1", 1, 1)]),
        (instant("2024-01-12"), [], [("time 1", 1, 2)]),
        (instant("2024-01-12T09:00"), ["two"], [("second", 5, 5)]),
    ]
    assert story(sam) == told


def test_a7_8_nor_by_an_attribute_while_no_streak_is_wanted() -> None:
    sam = Player(catalog(at_length("one", 1, user_attributes={"plan": "pro"}))).counts_on("2024-01-10")
    sam.asks("2024-01-10T13:00", enabled(is_on=False))
    assert keys(sam.sends("2024-01-10T14:00", being={"plan": "pro"}).completed) == []


# Against every day


def all_kinds(frequency: Frequency) -> CompiledCatalog:
    return catalog(*(at_length(str(n), n) for n in (1, 2, 3, 5)), streak=StreakSettings(frequency=frequency))


def period_of(ordinal: int, frequency: Frequency) -> int:
    on = date.fromordinal(ordinal)
    by_frequency = {"daily": ordinal, "weekly": ordinal // 7, "monthly": on.year * 12 + on.month}
    return by_frequency[frequency]


@settings(DETERMINISTIC, max_examples=60)
@each_of(
    st.sampled_from(("daily", "weekly", "monthly")),
    st.lists(st.sampled_from((1, 1, 1, 2, 6, 7, 14, 31)), max_size=12),
)
def test_a7_4_is_what_the_runs_of_periods_say(frequency: Frequency, gaps: list[int]) -> None:
    sam = Player(all_kinds(frequency))
    on, periods, expected = FIRST, set[int](), dict[str, int]()
    for gap in (0, *gaps):
        on += gap
        sam.sends(f"{date.fromordinal(on)}T12:00")
        period = period_of(on, frequency)
        periods.add(period)
        run = next(n for n in range(1, 99) if period - n not in periods)
        for length in (1, 2, 3, 5):
            if run >= length:
                expected.setdefault(str(length), sam.now_ms)
    by_number = {a.number: a.key for a in sam.catalog.catalog.achievements}
    assert {by_number[n]: at_ms for n, at_ms in sam.state.completions.items()} == expected


def test_a7_4_a_decrease_on_the_day_that_completed_it_takes_nothing_back() -> None:
    sam = Player(catalog(at_length("two", 2), at_value("ten", "10"))).counts_through("2024-01-10", "2024-01-11")
    sam.sends("2024-01-11T13:00", "-50")
    assert list(sam.state.completions) == [1]
    assert told(sam, "2024-01-12", "2024-01-13") == [[], []]
