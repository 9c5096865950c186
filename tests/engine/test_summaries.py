"""What totals came to in each day, week or month."""

from datetime import date, timedelta

import pytest
from hypothesis import given as each_of
from hypothesis import strategies as st

from plaudit.engine.catalog import Frequency
from plaudit.engine.summaries import PeriodTotal, summarize
from tests.engine.builders import DETERMINISTIC, day

Row = tuple[str, int, int]
CHANGES = {"2024-01-30": 5, "2024-02-02": -2, "2024-02-04": 10, "2024-03-01": 7}
TOTAL = 120
"""At the end of it all: 100 before."""


def rows(frequency: Frequency, first: str, last: str, today: str = "2024-03-31") -> list[Row]:
    """What is said of these changes: first day, total, change."""
    changes = {day(on): change for on, change in CHANGES.items() if on <= today}
    total = 100 + sum(changes.values())
    found = summarize(total, changes, frequency, day(first), day(last), day(today))
    return [(date.fromordinal(row.first_day).isoformat(), row.total, row.change) for row in found]


def test_a5_8_days_have_the_total_at_their_end_and_what_they_changed() -> None:
    assert rows("daily", "2024-01-29", "2024-02-04") == [
        ("2024-01-29", 100, 0),
        ("2024-01-30", 105, 5),
        ("2024-01-31", 105, 0),
        ("2024-02-01", 105, 0),
        ("2024-02-02", 103, -2),
        ("2024-02-03", 103, 0),
        ("2024-02-04", 113, 10),
    ]


def test_q24_q27_weeks_begin_with_sunday_and_the_first_one_may_begin_before_the_range() -> None:
    assert rows("weekly", "2024-01-31", "2024-02-14") == [
        ("2024-01-28", 103, 3),
        ("2024-02-04", 113, 10),
        ("2024-02-11", 113, 0),
    ]
    assert rows("weekly", "2024-02-03", "2024-02-04") == [("2024-01-28", 103, 3), ("2024-02-04", 113, 10)]


def test_q24_months_are_whole_wherever_the_range_begins_and_ends() -> None:
    assert rows("monthly", "2024-01-31", "2024-03-01") == [
        ("2024-01-01", 105, 5),
        ("2024-02-01", 113, 8),
        ("2024-03-01", 120, 7),
    ]


@pytest.mark.parametrize(
    ("frequency", "firsts"),
    [
        ("daily", ["2024-02-02", "2024-02-03"]),
        ("weekly", ["2024-01-28"]),
        ("monthly", ["2024-02-01"]),
    ],
)
def test_q24_periods_that_have_not_begun_are_left_out(frequency: Frequency, firsts: list[str]) -> None:
    found = rows(frequency, "2024-02-02", "2024-04-30", today="2024-02-03")
    assert [first for first, *_ in found] == firsts
    assert found[-1][1] == 103


def test_q24_a_range_that_lies_ahead_has_nothing() -> None:
    assert rows("daily", "2024-02-04", "2024-02-09", today="2024-02-03") == []
    assert rows("weekly", "2024-02-04", "2024-02-09", today="2024-02-03") == []
    assert rows("monthly", "2024-03-01", "2024-03-09", today="2024-02-29") == []


def test_q24_a_range_that_is_over_does_not_see_what_came_after_it() -> None:
    assert rows("daily", "2024-02-01", "2024-02-02") == [("2024-02-01", 105, 0), ("2024-02-02", 103, -2)]


def test_a5_8_a_leap_day_belongs_to_february_and_a_year_to_nothing() -> None:
    changes = {day("2023-12-31"): 1, day("2024-02-29"): 2}
    found = summarize(3, changes, "monthly", day("2023-12-01"), day("2024-03-01"), day("2024-03-01"))
    assert [(row.total, row.change) for row in found] == [(1, 1), (1, 0), (3, 2), (3, 0)]
    weekly = summarize(3, changes, "weekly", day("2023-12-30"), day("2024-01-06"), day("2024-03-01"))
    assert weekly == [PeriodTotal(day("2023-12-24"), 0, 0), PeriodTotal(day("2023-12-31"), 1, 1)]


def begin_of(on: date, frequency: Frequency) -> date:
    if frequency == "monthly":
        return on.replace(day=1)
    return on - timedelta(on.isoweekday() % 7) if frequency == "weekly" else on


@DETERMINISTIC
@each_of(
    st.sampled_from(("daily", "weekly", "monthly")),
    st.lists(st.tuples(st.integers(0, 130), st.integers(-50, 50)), max_size=20),
    st.integers(20, 100),
    st.integers(0, 60),
    st.integers(0, 130),
    st.integers(-1000, 1000),
)
def test_a5_8_q24_is_what_adding_up_day_by_day_says(
    frequency: Frequency, drawn: list[tuple[int, int]], first: int, length: int, today: int, start: int
) -> None:
    zero = date(2023, 12, 10)
    dates = [zero + timedelta(n) for n in range(131)]
    since = begin_of(dates[first], frequency)
    last = min(dates[min(first + length, 130)], dates[today])
    by_day = {on: sum(change for n, change in drawn if n <= today and dates[n] == on) for on in dates}
    expected: dict[date, tuple[int, int]] = {}
    total = start
    for on in dates:
        total += by_day[on]
        begin = begin_of(on, frequency)
        if since <= begin <= last:
            expected[begin] = (total, expected.get(begin, (0, 0))[1] + by_day[on])
    changes = {on.toordinal(): change for on, change in by_day.items() if change and on >= since}
    found = summarize(
        total, changes, frequency, dates[first].toordinal(), dates[first].toordinal() + length, dates[today].toordinal()
    )
    assert {date.fromordinal(row.first_day): (row.total, row.change) for row in found} == expected
    assert [row.first_day for row in found] == sorted(row.first_day for row in found)
