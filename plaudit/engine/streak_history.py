"""A streak's past, period by period (reference: Streaks 20; Q-30)."""

from msgspec import Struct

from plaudit.engine import calendars, trail
from plaudit.engine.catalog import Frequency
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.pauses import find_pause
from plaudit.engine.preferences import has_streaks
from plaudit.engine.streaks import streak_of
from plaudit.engine.trail import Closed, Kind
from plaudit.engine.user import Reset, Streak, User

PERIODS_MAX = trail.PERIODS_MAX - 1
"""How many can be asked for, the current one included."""


class PeriodView(Struct, frozen=True):
    """A period as callers see it. Days are ordinals."""

    period_start_day: int
    period_end_day: int
    length: int
    used_freeze: bool
    used_pause: bool
    reset_ms: int | None


def view_history(user: User, catalog: CompiledCatalog, periods: int) -> list[PeriodView]:
    """The last periods of a user who has been advanced to now, oldest first; the last one is the current one."""
    frequency = catalog.streaks.settings.frequency
    streak = streak_of(user.streaks, frequency)
    current = calendars.period_of(user.day, frequency)
    resets = {calendars.period_of(reset.day, frequency): reset for reset in user.streaks.resets}
    closed = [*trail.expand(streak.trail), _current(user, streak, current, frequency)]
    first = current - len(closed) + 1
    nothing = Closed(Kind.MISSED, 0)
    is_shown = has_streaks(user)
    return [
        _view(period, closed[period - first] if period >= first and is_shown else nothing, frequency, resets)
        for period in range(current - periods + 1, current + 1)
    ]


def _current(user: User, streak: Streak, period: int, frequency: Frequency) -> Closed:
    """How the current period stands."""
    if not streak.counted and not streak.is_set and find_pause(user.streaks.pauses, period, frequency) is not None:
        return Closed(Kind.PAUSED, streak.length)
    return Closed(Kind.SET, streak.length)


def _view(period: int, closed: Closed, frequency: Frequency, resets: dict[int, Reset]) -> PeriodView:
    reset = resets.get(period)
    return PeriodView(
        period_start_day=calendars.first_day(period, frequency),
        period_end_day=calendars.last_day(period, frequency),
        length=closed.length,
        used_freeze=closed.kind is Kind.FROZEN,
        used_pause=closed.kind is Kind.PAUSED,
        reset_ms=None if reset is None else reset.at_ms,
    )
