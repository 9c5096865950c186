"""What a total came to in each period of a range of days (reference: Metrics 8, Points 27; Q-24)."""

from collections.abc import Mapping

from msgspec import Struct

from plaudit.engine import calendars
from plaudit.engine.catalog import Frequency


class PeriodTotal(Struct, frozen=True):
    """A period by its first day: the total at its end, and what it has changed by within it."""

    first_day: int
    total: int
    change: int


def summarize(
    total: int, changes: Mapping[int, int], frequency: Frequency, first_day: int, last_day: int, today: int
) -> list[PeriodTotal]:
    """Every period from that of the first day to that of the last, as far as it has begun, oldest first.

    `total` is what there is today; `changes` are those of each day, from the first period's first day at the latest.
    O(periods + changes).
    """
    first = calendars.period_of(first_day, frequency)
    last = calendars.period_of(min(last_day, today), frequency)
    by_period: dict[int, int] = {}
    for day, change in changes.items():
        period = calendars.period_of(day, frequency)
        by_period[period] = by_period.get(period, 0) + change
    total -= sum(change for period, change in by_period.items() if period > last)
    rows = []
    for period in range(last, first - 1, -1):
        change = by_period.get(period, 0)
        rows.append(PeriodTotal(calendars.first_day(period, frequency), total, change))
        total -= change
    rows.reverse()
    return rows
