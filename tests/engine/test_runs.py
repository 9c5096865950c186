"""When leaderboards begin, begin anew and end."""

from calendar import monthrange
from datetime import date
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from plaudit.engine.catalog import Leaderboard, RunUnit
from plaudit.engine.runs import (
    Run,
    begin_ms,
    final_ms,
    is_short,
    midnight_utc_ms,
    reset_ms,
    run_on,
    status_at,
    utc_day,
)
from plaudit.engine.timezones import local_day
from tests.engine.builders import DETERMINISTIC, day, instant

EAST, WEST = "Pacific/Kiritimati", "Etc/GMT+12"
DAYS_AHEAD = 800
UNITS: tuple[RunUnit, ...] = ("day", "month", "year")


def board(start: str | int, end: str | int | None = None, **more: Any) -> Leaderboard:
    fields: dict[str, Any] = {"rank_by": "metric", "metric": "words"}
    return Leaderboard(
        number=1,
        id="id",
        key="key",
        name="name",
        created_ms=0,
        updated_ms=0,
        start_day=day(start) if isinstance(start, str) else start,
        end_day=day(end) if isinstance(end, str) else end,
        **(fields | more),
    )


def dates(run: Run | None) -> tuple[str, str | None] | None:
    """A run's days as ISO dates."""
    if run is None:
        return None
    first = date.fromordinal(run.first_day).isoformat()
    return first, None if run.last_day is None else date.fromordinal(run.last_day).isoformat()


def run_at(board: Leaderboard, on: str) -> tuple[str, str | None] | None:
    return dates(run_on(board, day(on)))


def add_months(start: date, months: int) -> date | None:
    """The same day so many months later, or the last of a month that does not have it; None beyond the years."""
    year, month = start.year + (start.month - 1 + months) // 12, (start.month - 1 + months) % 12 + 1
    return None if year > 9999 else date(year, month, min(start.day, monthrange(year, month)[1]))


def run_days(board: Leaderboard, until: int) -> dict[int, int]:
    """The first day of the run of each day from the board's start on: one day after the other."""
    start, found, first, number = date.fromordinal(board.start_day), {}, board.start_day, 0
    for ordinal in range(board.start_day, until + 1):
        if board.run_unit == "day":
            begins = ordinal - first == board.run_interval
        else:
            months = (number + 1) * board.run_interval * (12 if board.run_unit == "year" else 1)
            begins = add_months(start, months) == date.fromordinal(ordinal)
        if begins:
            first, number = ordinal, number + 1
        found[ordinal] = first
    return found


def test_q49_any_day_is_in_the_run_that_it_lies_in() -> None:
    weekly = board("2024-03-04", run_unit="day", run_interval=7)
    for on in ("2024-03-11", "2024-03-13", "2024-03-17"):
        assert run_at(weekly, on) == ("2024-03-11", "2024-03-17")
    assert run_at(weekly, "2024-03-10") == ("2024-03-04", "2024-03-10")


def test_q49_no_run_is_before_the_start_or_after_the_end() -> None:
    for more in ({}, {"run_unit": "day"}, {"run_unit": "month"}, {"run_unit": "year", "run_interval": 3}):
        bounded = board("2024-03-04", "2024-04-10", **more)
        assert run_at(bounded, "2024-03-03") is None
        assert run_at(bounded, "2024-03-04") is not None
        assert run_at(bounded, "2024-04-10") is not None
        assert run_at(bounded, "2024-04-11") is None


def test_a10_1_one_without_a_unit_has_one_run() -> None:
    assert run_at(board("2024-03-04"), "2031-01-01") == ("2024-03-04", None)
    assert run_at(board("2024-03-04", "2024-05-01"), "2024-04-01") == ("2024-03-04", "2024-05-01")


def test_a10_1_an_end_cuts_the_last_run() -> None:
    assert run_at(board("2024-03-04", "2024-03-13", run_unit="day", run_interval=7), "2024-03-12") == (
        "2024-03-11",
        "2024-03-13",
    )
    assert run_at(board("2024-01-31", "2024-03-15", run_unit="month"), "2024-03-01") == ("2024-02-29", "2024-03-15")
    assert run_at(board("2024-03-04", "2024-03-04", run_unit="year"), "2024-03-04") == ("2024-03-04", "2024-03-04")


@pytest.mark.parametrize(
    ("on", "first", "last"),
    [
        ("2024-01-31", "2024-01-31", "2024-02-28"),
        ("2024-02-28", "2024-01-31", "2024-02-28"),
        ("2024-02-29", "2024-02-29", "2024-03-30"),
        ("2024-03-30", "2024-02-29", "2024-03-30"),
        ("2024-03-31", "2024-03-31", "2024-04-29"),
        ("2024-04-30", "2024-04-30", "2024-05-30"),
        ("2025-02-28", "2025-02-28", "2025-03-30"),
    ],
)
def test_q53_a_month_that_is_too_short_begins_on_its_last_day_and_the_next_is_not_moved(
    on: str, first: str, last: str
) -> None:
    assert run_at(board("2024-01-31", run_unit="month"), on) == (first, last)


def test_q53_a_year_from_a_leap_day() -> None:
    yearly = board("2024-02-29", run_unit="year")
    assert run_at(yearly, "2025-02-27") == ("2024-02-29", "2025-02-27")
    assert run_at(yearly, "2025-02-28") == ("2025-02-28", "2026-02-27")
    assert run_at(yearly, "2028-02-28") == ("2027-02-28", "2028-02-28")
    assert run_at(yearly, "2028-02-29") == ("2028-02-29", "2029-02-27")


def test_q53_months_by_the_dozen_are_years() -> None:
    by_month, by_year = (
        board("2023-08-30", run_unit="month", run_interval=24),
        board("2023-08-30", run_unit="year", run_interval=2),
    )
    for ordinal in range(day("2023-08-30"), day("2031-01-01"), 11):
        assert run_on(by_month, ordinal) == run_on(by_year, ordinal)


STARTS = st.one_of(
    st.dates(date(2020, 1, 1), date(2029, 12, 31)),
    st.sampled_from([date(2023, 12, 31), date(2024, 2, 29), date(2024, 1, 30), date(2027, 10, 31)]),
)


@DETERMINISTIC
@given(
    start=STARTS,
    unit=st.sampled_from(UNITS),
    interval=st.integers(1, 40),
    length=st.none() | st.integers(0, DAYS_AHEAD),
)
def test_q53_runs_are_what_counting_one_day_after_the_other_says(
    start: date, unit: RunUnit, interval: int, length: int | None
) -> None:
    first = start.toordinal()
    end = None if length is None else first + length
    repeating = board(first, end, run_unit=unit, run_interval=interval)
    last = first + DAYS_AHEAD if end is None else end
    found = run_days(repeating, last)
    for ordinal, expected in found.items():
        run = run_on(repeating, ordinal)
        assert run is not None
        assert run.first_day == expected
        assert run.last_day is not None
        assert ordinal <= run.last_day
        if run.last_day < last:
            assert found[run.last_day] == expected
            assert found[run.last_day + 1] == run.last_day + 1
        assert end is None or run.last_day <= end


@DETERMINISTIC
@given(
    start=st.dates(),
    unit=st.none() | st.sampled_from(UNITS),
    interval=st.integers(1, 100_000),
    ahead=st.integers(0, date.max.toordinal()),
)
def test_a10_1_runs_reach_to_the_last_day_that_there_is(
    start: date, unit: RunUnit | None, interval: int, ahead: int
) -> None:
    ordinal = start.toordinal() + ahead
    assume(ordinal <= date.max.toordinal())
    run = run_on(board(start.toordinal(), run_unit=unit, run_interval=interval), ordinal)
    assert run is not None
    assert run.first_day <= ordinal
    assert run.last_day is None or run.last_day >= ordinal
    reset_ms(run)


@pytest.mark.parametrize("unit", UNITS)
def test_a10_1_the_last_day_of_all(unit: RunUnit) -> None:
    last = date.max.toordinal()
    run = run_on(board(last, run_unit=unit, run_interval=100_000), last)
    assert run is not None
    assert run.first_day == last
    assert run.last_day is not None
    assert run.last_day >= last
    assert final_ms(last) - midnight_utc_ms(last) == 36 * 3_600_000


def test_a10_3_it_is_active_from_the_first_place_on_earth_to_the_last() -> None:
    bounded = board("2024-03-04", "2024-03-10")
    begins, ends = instant("2024-03-04T00:00", EAST), instant("2024-03-11T00:00", "UTC") + 12 * 3_600_000
    assert begin_ms(bounded.start_day) == begins
    assert status_at(bounded, begins - 1) == "scheduled"
    assert status_at(bounded, begins) == "active"
    assert status_at(bounded, ends - 1) == "active"
    assert status_at(bounded, ends) == "finished"
    assert local_day(ends - 1, WEST) == day("2024-03-10")
    assert local_day(ends, WEST) == day("2024-03-11")
    assert status_at(board("2024-03-04"), instant("2999-01-01T00:00")) == "active"


def test_a10_6_a_run_is_final_twelve_hours_after_its_end_in_utc() -> None:
    run = run_on(board("2024-03-04", run_unit="day", run_interval=7), day("2024-03-06"))
    assert run is not None
    assert run.last_day is not None
    assert reset_ms(run) == instant("2024-03-11T00:00")
    assert final_ms(run.last_day) == instant("2024-03-11T12:00")
    assert reset_ms(Run(run.first_day, None)) is None


@DETERMINISTIC
@given(
    start=STARTS,
    unit=st.sampled_from(UNITS),
    interval=st.integers(1, 5),
    ahead=st.integers(0, 400),
)
def test_a10_6_the_runs_that_are_kept_are_enough_until_one_is_final(
    start: date, unit: RunUnit, interval: int, ahead: int
) -> None:
    repeating = board(start.toordinal(), run_unit=unit, run_interval=interval)
    run = run_on(repeating, start.toordinal() + ahead)
    assert run is not None
    assert run.last_day is not None
    begun, following = 0, run
    while begin_ms(following.first_day) < final_ms(run.last_day):
        begun += 1
        assert following.last_day is not None
        next_run = run_on(repeating, following.last_day + 1)
        assert next_run is not None
        following = next_run
    assert begun <= (3 if is_short(repeating) else 2)


def test_the_day_in_utc_of_an_instant() -> None:
    for text in ("1969-12-31", "1970-01-01", "2024-02-29", "9999-12-31"):
        assert midnight_utc_ms(day(text)) == instant(f"{text}T00:00")
        assert utc_day(instant(f"{text}T00:00")) == utc_day(instant(f"{text}T23:59:59")) == day(text)
        assert utc_day(instant(f"{text}T00:00") - 1) == day(text) - 1
