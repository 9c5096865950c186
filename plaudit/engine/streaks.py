"""Daily streaks in the user's own time zone (reference: Streaks 1-7; Q-28, Q-29, Q-32)."""

from msgspec import Struct
from msgspec.structs import replace

from plaudit.engine.compiled import CompiledStreaks
from plaudit.engine.user import Period, Streak, User


class StreakView(Struct, frozen=True):
    """A streak as callers see it. Days are ordinals; None where there is no streak."""

    length: int
    started_day: int | None
    period_start_day: int
    period_end_day: int
    expires_day: int | None
    """The last day on which it can still be extended."""


def extend_streak(user: User, streaks: CompiledStreaks, now_ms: int) -> User:
    """The user with the streak one longer if the condition is met now and the day has not counted yet."""
    today = user.period.day
    streak = user.streak
    if (streak.length and streak.last_day >= today) or not _is_met(user.period, streaks):
        return user
    started = streak.started_day if streak.length else today
    return replace(user, streak=Streak(streak.length + 1, started, today, now_ms))


def _is_met(period: Period, streaks: CompiledStreaks) -> bool:
    if not streaks.thresholds:
        return any(change > 0 for change in period.changes.values())
    met = (period.changes.get(metric, 0) >= threshold for metric, threshold in streaks.thresholds)
    return all(met) if streaks.every else any(met)


def view_streak(user: User) -> StreakView:
    """The streak of a user who has been advanced to now."""
    today, streak = user.period.day, user.streak
    if not streak.length:
        return StreakView(0, None, today, today, None)
    return StreakView(streak.length, streak.started_day, today, today, max(today, streak.last_day + 1))
