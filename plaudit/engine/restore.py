"""Streaks that somebody sets: back to what they were, or to zero (reference: Streaks 15, 16; Q-25, Q-26, Q-32d)."""

from datetime import date

from msgspec.structs import replace

from plaudit.engine import calendars, trail
from plaudit.engine.catalog import Frequency
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.errors import Needless
from plaudit.engine.preferences import has_streaks
from plaudit.engine.streaks import streak_of
from plaudit.engine.user import Reset, Streak, Streaks, User

RESTORE_DAYS = 90
RESETS_MAX = 32
"""How many resets are remembered for the history."""


def restore_streak(user: User, catalog: CompiledCatalog) -> User:
    """The user with the longest streak that the window of the frequency has seen; it outlives the current period.

    Raises Needless if the present one is as long.
    """
    frequency = catalog.streaks.settings.frequency
    streak = streak_of(user.streaks, frequency)
    period = calendars.period_of(user.day, frequency)
    closed = trail.expand(streak.trail)
    oldest = max(0, len(closed) - (period - _first_period(user.day, frequency)))
    longest = max(range(oldest, len(closed)), key=lambda at: closed[at].length, default=None)
    if longest is None or closed[longest].length <= streak.length or not has_streaks(user):
        raise Needless("No streak to restore")
    first = period - len(closed) + longest - closed[longest].age
    restored = replace(
        streak, length=closed[longest].length, started_day=calendars.first_day(first, frequency), is_set=True
    )
    return replace(user, streaks=_with_streak(user.streaks, frequency, restored))


def reset_streak(user: User, catalog: CompiledCatalog, now_ms: int) -> User:
    """The user with all streaks at zero; of the current periods, only what follows counts. Raises Needless at zero."""
    if not streak_of(user.streaks, catalog.streaks.settings.frequency).length or not has_streaks(user):
        raise Needless("No streak to reset")
    streaks = user.streaks
    return replace(
        user,
        streaks=replace(
            streaks,
            daily=_at_zero(streaks.daily),
            weekly=_at_zero(streaks.weekly),
            monthly=_at_zero(streaks.monthly),
            changes={},
            resets=(*streaks.resets, Reset(user.day, now_ms))[-RESETS_MAX:],
        ),
    )


def _first_period(day: int, frequency: Frequency) -> int:
    """The first period of the window."""
    if frequency == "daily":
        return day - RESTORE_DAYS
    year = date.fromordinal(day).year
    first = date(year, 1, 1) if frequency == "weekly" else date(year - 1, 1, 1)
    return calendars.period_of(first.toordinal(), frequency)


def _at_zero(streak: Streak) -> Streak:
    return Streak(extended_ms=streak.extended_ms, is_set=True, trail=streak.trail)


def _with_streak(streaks: Streaks, frequency: Frequency, streak: Streak) -> Streaks:
    if frequency == "daily":
        return replace(streaks, daily=streak)
    if frequency == "weekly":
        return replace(streaks, weekly=streak)
    return replace(streaks, monthly=streak)
