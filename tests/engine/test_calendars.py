import calendar
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.engine.calendars import first_day, last_day, period_of, weekday
from plaudit.engine.catalog import Frequency
from tests.engine.builders import DETERMINISTIC, day

FREQUENCIES: tuple[Frequency, ...] = ("daily", "weekly", "monthly")
DATES = st.dates(date(1, 1, 8), date(9000, 12, 31))


def bounds(text: str, frequency: Frequency) -> tuple[str, str]:
    """The first and the last day of the period that a date is in."""
    period = period_of(day(text), frequency)
    ends = first_day(period, frequency), last_day(period, frequency)
    first, last = (date.fromordinal(end).isoformat() for end in ends)
    return first, last


@pytest.mark.parametrize(
    ("text", "frequency", "first", "last"),
    [
        ("2025-04-02", "daily", "2025-04-02", "2025-04-02"),
        ("2025-03-30", "weekly", "2025-03-30", "2025-04-05"),
        ("2025-04-02", "weekly", "2025-03-30", "2025-04-05"),
        ("2025-04-05", "weekly", "2025-03-30", "2025-04-05"),
        ("2025-04-06", "weekly", "2025-04-06", "2025-04-12"),
        ("2024-01-01", "weekly", "2023-12-31", "2024-01-06"),
        ("2024-02-29", "monthly", "2024-02-01", "2024-02-29"),
        ("2023-02-01", "monthly", "2023-02-01", "2023-02-28"),
        ("2023-12-31", "monthly", "2023-12-01", "2023-12-31"),
        ("2024-01-01", "monthly", "2024-01-01", "2024-01-31"),
    ],
)
def test_a9_4_q27_weeks_run_from_sunday_to_saturday_and_months_by_the_calendar(
    text: str, frequency: Frequency, first: str, last: str
) -> None:
    assert bounds(text, frequency) == (first, last)


@DETERMINISTIC
@given(DATES)
def test_a_week_is_the_seven_days_from_sunday(at: date) -> None:
    sunday = at - timedelta(days=at.isoweekday() % 7)
    assert bounds(at.isoformat(), "weekly") == (sunday.isoformat(), (sunday + timedelta(days=6)).isoformat())


@DETERMINISTIC
@given(DATES)
def test_a_month_is_as_long_as_it_is(at: date) -> None:
    last = at.replace(day=calendar.monthrange(at.year, at.month)[1])
    assert bounds(at.isoformat(), "monthly") == (at.replace(day=1).isoformat(), last.isoformat())


@DETERMINISTIC
@given(DATES, st.sampled_from(FREQUENCIES))
def test_periods_are_numbered_through_without_gaps(at: date, frequency: Frequency) -> None:
    period = period_of(at.toordinal(), frequency)
    assert period_of(first_day(period, frequency), frequency) == period
    assert period_of(last_day(period, frequency), frequency) == period
    assert period_of(first_day(period, frequency) - 1, frequency) == period - 1
    assert first_day(period + 1, frequency) == last_day(period, frequency) + 1


@DETERMINISTIC
@given(DATES)
def test_a9_17_days_of_the_week_are_numbered_from_sunday(at: date) -> None:
    assert weekday(at.toordinal()) == at.isoweekday() % 7
