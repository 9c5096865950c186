"""Achievements for the years since a user signed up."""

from datetime import date, timedelta

import pytest
from hypothesis import given as each_of
from hypothesis import strategies as st

from plaudit.engine.anniversaries import NEVER, anniversary_day
from plaudit.engine.deadlines import next_deadline
from tests.engine.builders import DETERMINISTIC, Player, day, instant
from tests.engine.catalogs import after_all, after_years, catalog, given, keys, per_completion, points

YEARS = catalog(
    after_years("one", 1),
    after_years("three", 3),
    after_all("both", "one", "three"),
    points(per_completion(5, "one"), per_completion(7, "both")),
)


def signed_up(on: str, at: str, zone: str = "UTC") -> Player:
    """A user whose first event says when they signed up."""
    sam = Player(YEARS, zone)
    sam.sends(at, "0", signed_up=on)
    return sam


def completed(sam: Player) -> list[tuple[str, int]]:
    """What has been completed, and when."""
    by_number = {a.number: a.key for a in sam.catalog.catalog.achievements}
    return [(by_number[number], at_ms) for number, at_ms in sam.state.completions.items()]


# The day


@pytest.mark.parametrize(
    ("on", "years", "expected"),
    [
        ("2023-03-15", 1, "2024-03-15"),
        ("2024-02-29", 1, "2025-02-28"),
        ("2024-02-29", 3, "2027-02-28"),
        ("2024-02-29", 4, "2028-02-29"),
        ("1896-02-29", 4, "1900-02-28"),
        ("2023-02-28", 1, "2024-02-28"),
        ("2023-12-31", 2, "2025-12-31"),
    ],
)
def test_a7_7_an_anniversary_is_on_the_same_date_and_else_on_28_february(on: str, years: int, expected: str) -> None:
    assert anniversary_day(day(on), years) == day(expected)


def test_a7_7_after_the_year_9999_there_is_none() -> None:
    assert anniversary_day(day("2024-02-29"), 9000) == NEVER
    assert anniversary_day(day("9999-12-31"), 1) == NEVER > day("9999-12-31")


@DETERMINISTIC
@each_of(st.dates(date(1900, 1, 1), date(2100, 12, 31)), st.integers(1, 200))
def test_a7_7_it_is_never_more_than_a_day_beside_the_same_date(on: date, years: int) -> None:
    found = date.fromordinal(anniversary_day(on.toordinal(), years))
    assert found.year == on.year + years
    assert (found.month, found.day) == (on.month, on.day) or (found.month, found.day, on.day) == (2, 28, 29)
    assert found + timedelta(1) > found


# When it happens


def test_a7_7_time_alone_completes_it_at_the_user_s_midnight() -> None:
    sam = signed_up("2023-02-10", "2024-02-01T12:00", "Asia/Tokyo")
    due = next_deadline(sam.state, sam.catalog)
    assert due == instant("2024-02-10", "Asia/Tokyo")
    assert sam.waits_until(due - 1).state.completions == {}
    assert completed(sam.waits_until(due)) == [("one", due)]
    assert [(keys(h.completed), given(h.awards), h.day) for h in sam.happenings] == [
        (["one"], [("achievement 5", 5, 5)], day("2024-02-10"))
    ]


def test_a7_7_those_who_have_not_said_when_they_signed_up_have_none() -> None:
    sam = Player(YEARS)
    sam.sends("2020-01-01T12:00", "0")
    assert next_deadline(sam.state, sam.catalog) is None
    assert sam.waits("2024-06-01").state.completions == {}


def test_a7_7_all_that_passed_while_nobody_looked_come_with_their_own_dates() -> None:
    sam = signed_up("2020-02-29", "2020-03-01T12:00").waits("2024-06-01")
    first, third = instant("2021-02-28"), instant("2023-02-28")
    assert completed(sam) == [("one", first), ("three", third), ("both", third)]
    assert [(h.at_ms, given(h.awards)) for h in sam.happenings] == [
        (first, [("achievement 5", 5, 5)]),
        (third, [("achievement 7", 7, 12)]),
    ]


def test_a7_7_a_date_that_is_said_later_completes_what_has_passed_with_that_event() -> None:
    sam = Player(YEARS)
    sam.sends("2024-01-01T12:00", "0")
    outcome = sam.sends("2024-02-01T12:00", "0", signed_up="2023-02-01")
    assert keys(outcome.completed) == ["one"]
    assert given(outcome.awards) == [("achievement 5", 5, 5)]
    again = sam.sends("2024-02-01T13:00", "0", signed_up="2020-02-01")
    assert keys(again.completed) == ["three", "both"]


def test_a7_7_the_first_event_may_say_it() -> None:
    sam = Player(YEARS)
    outcome = sam.sends("2024-02-01T12:00", "0", signed_up="2010-02-01")
    assert keys(outcome.completed) == ["one", "three", "both"]


def test_a7_7_a_date_taken_back_before_its_day_comes_to_nothing() -> None:
    sam = signed_up("2023-02-10", "2024-02-01T12:00")
    sam.sends("2024-02-05T12:00", "0", signed_up=None)
    assert next_deadline(sam.state, sam.catalog) is None
    assert sam.waits("2024-06-01").state.completions == {}


def test_a7_14_a_date_that_changes_takes_nothing_back() -> None:
    sam = signed_up("2023-02-01", "2024-02-01T12:00")
    sam.sends("2024-02-02T12:00", "0", signed_up="2024-01-01")
    assert [key for key, _ in completed(sam)] == ["one"]
    assert sam.waits("2025-01-01").happenings == []


# Where the user is


def test_a7_7_a_user_who_moves_east_is_there_sooner() -> None:
    for local, expected in (("2024-02-09T23:00", []), ("2024-02-10T01:00", ["one"])):
        sam = signed_up("2023-02-10", "2024-02-08T12:00", "America/Los_Angeles")
        assert keys(sam.sends(local, "0", zone="Pacific/Kiritimati").completed) == expected


def test_a7_7_a_user_who_moves_west_is_there_later() -> None:
    sam = signed_up("2023-02-10", "2024-02-09T12:00", "Pacific/Kiritimati")
    sam.sends("2024-02-08T13:00", "0", zone="Pacific/Honolulu")  # the 9th at 13:00 in Kiritimati
    assert next_deadline(sam.state, sam.catalog) == instant("2024-02-10", "Pacific/Honolulu")
    assert completed(sam.waits("2024-02-11")) == [("one", instant("2024-02-10", "Pacific/Honolulu"))]


def test_a7_7_a_day_that_has_come_does_not_come_again_after_a_move_back() -> None:
    sam = signed_up("2023-02-10", "2024-02-09T12:00", "Pacific/Kiritimati").waits("2024-02-10T01:00")
    sam.sends("2024-02-09T05:00", "0", zone="Pacific/Honolulu")
    sam.waits("2024-02-12")
    assert [keys(h.completed) for h in sam.happenings] == [["one"]]
    assert sam.state.points == {1: 5}


# For whom


def test_a7_8_a_filter_is_for_the_day_and_for_any_later_one() -> None:
    made = catalog(after_years("one", 1, user_attributes={"plan": "pro"}))
    for plan, at_once in (("pro", ["one"]), ("free", [])):
        sam = Player(made)
        sam.sends("2024-02-01T12:00", "0", signed_up="2023-02-10", being={"plan": plan})
        sam.waits("2024-02-20")
        assert [keys(h.completed) for h in sam.happenings] == [at_once] * bool(at_once)
        outcome = sam.sends("2024-02-20T12:00", "0", being={"plan": "pro"})
        assert keys(outcome.completed) == ([] if at_once else ["one"])


def test_a7_2_a_locked_one_is_not_completed_by_time() -> None:
    sam = Player(catalog(after_years("one", 1, status="locked")))
    sam.sends("2024-02-01T12:00", "0", signed_up="2023-02-10")
    assert next_deadline(sam.state, sam.catalog) is None
    assert sam.waits("2024-06-01").state.completions == {}
