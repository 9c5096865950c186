"""Periods of days, weeks and months, numbered through, and the days that they begin and end with.

Days are proleptic ordinals (1 is 0001-01-01). A week runs from Sunday to Saturday.
"""

from datetime import date

from plaudit.engine.catalog import Frequency

WEEK_DAYS = 7
YEAR_MONTHS = 12


def period_of(day: int, frequency: Frequency) -> int:
    """The number of the period that a day is in."""
    if frequency == "daily":
        return day
    if frequency == "weekly":
        return day // WEEK_DAYS
    at = date.fromordinal(day)
    return at.year * YEAR_MONTHS + at.month - 1


def first_day(period: int, frequency: Frequency) -> int:
    """The day with which a period begins."""
    if frequency == "daily":
        return period
    if frequency == "weekly":
        return period * WEEK_DAYS
    year, month = divmod(period, YEAR_MONTHS)
    return date(year, month + 1, 1).toordinal()


def last_day(period: int, frequency: Frequency) -> int:
    """The day with which a period ends."""
    return first_day(period + 1, frequency) - 1


def weekday(day: int) -> int:
    """The day of the week; 0 is Sunday."""
    return day % WEEK_DAYS
