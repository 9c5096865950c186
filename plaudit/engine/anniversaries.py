"""On which day a number of years has passed."""

from calendar import monthrange
from datetime import MAXYEAR, date

NEVER = date.max.toordinal() + 1


def anniversary_day(day: int, years: int) -> int:
    """The day (an ordinal) so many years after another; NEVER after the year 9999.

    29 February becomes 28 February where there is none.
    """
    at = date.fromordinal(day)
    year = at.year + years
    if year > MAXYEAR:
        return NEVER
    return date(year, at.month, min(at.day, monthrange(year, at.month)[1])).toordinal()
