"""Streaks in the user's own time zone, daily, weekly and monthly at once (reference: Streaks 1-7; Q-28 to Q-32)."""

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from plaudit.engine import calendars
from plaudit.engine.catalog import Frequency
from plaudit.engine.compiled import CompiledCatalog, StreakRules
from plaudit.engine.pauses import find_pause
from plaudit.engine.preferences import has_streaks, rules_of
from plaudit.engine.user import Change, Streak, Streaks, User


class StreakView(Struct, frozen=True):
    """A streak as callers see it. Days are ordinals; None where there is nothing to say."""

    length: int
    frequency: Frequency
    started_day: int | None
    period_start_day: int
    period_end_day: int
    expires_day: int | None
    """The last day on which it can still be extended, freezes aside."""
    extended_ms: int | None
    freezes: int | None
    max_freezes: int | None
    auto_earn_interval: int | None
    auto_earn_amount: int | None


def streak_of(streaks: Streaks, frequency: Frequency) -> Streak:
    """The streak of one frequency."""
    if frequency == "daily":
        return streaks.daily
    return streaks.weekly if frequency == "weekly" else streaks.monthly


def extend_streaks(user: User, catalog: CompiledCatalog, now_ms: int) -> tuple[User, bool]:
    """The user with every streak one longer whose condition is met now and whose period has not counted yet.

    True if one of them is the streak that the user sees.
    """
    streaks = user.streaks
    if streaks.daily.counted and streaks.weekly.counted and streaks.monthly.counted:
        return user, False
    rules = rules_of(user, catalog.streaks)
    extended = replace(
        streaks,
        daily=_extend(streaks.daily, user.day, _is_met(streaks, rules, _day_change), now_ms),
        weekly=_extend(streaks.weekly, user.day, _is_met(streaks, rules, _week_change), now_ms),
        monthly=_extend(streaks.monthly, user.day, _is_met(streaks, rules, _month_change), now_ms),
    )
    seen = catalog.streaks.settings.frequency
    is_longer = streak_of(extended, seen) is not streak_of(streaks, seen) and has_streaks(user)
    return replace(user, streaks=extended), is_longer


def _extend(streak: Streak, day: int, is_met: bool, now_ms: int) -> Streak:
    if streak.counted or not is_met:
        return streak
    started = streak.started_day if streak.length else day
    return Streak(streak.length + 1, started, now_ms, counted=True, is_set=streak.is_set, trail=streak.trail)


def _is_met(streaks: Streaks, rules: StreakRules, change_of: Callable[[Change], int]) -> bool:
    changes = streaks.changes
    if not rules.thresholds:
        return any(change_of(change) > 0 for change in changes.values())
    met = (metric in changes and change_of(changes[metric]) >= threshold for metric, threshold in rules.thresholds)
    return all(met) if rules.every else any(met)


def _day_change(change: Change) -> int:
    return change[0]


def _week_change(change: Change) -> int:
    return change[1]


def _month_change(change: Change) -> int:
    return change[2]


def view_streak(user: User, catalog: CompiledCatalog) -> StreakView:
    """The streak of a user who has been advanced to now."""
    settings = catalog.streaks.settings
    frequency, freezes = settings.frequency, settings.freezes
    streak = streak_of(user.streaks, frequency)
    period = calendars.period_of(user.day, frequency)
    is_alive = streak.length > 0 and has_streaks(user)
    return StreakView(
        length=streak.length if is_alive else 0,
        frequency=frequency,
        started_day=streak.started_day if is_alive else None,
        period_start_day=calendars.first_day(period, frequency),
        period_end_day=calendars.last_day(period, frequency),
        expires_day=_find_end(user, streak, rules_of(user, catalog.streaks), frequency) if is_alive else None,
        extended_ms=streak.extended_ms if is_alive else None,
        freezes=None if freezes is None else user.streaks.freezes,
        max_freezes=None if freezes is None else freezes.max_count,
        auto_earn_interval=None if freezes is None else freezes.auto_earn_interval,
        auto_earn_amount=None if freezes is None else freezes.auto_earn_amount,
    )


def _find_end(user: User, streak: Streak, rules: StreakRules, frequency: Frequency) -> int:
    """The last day of the first period that the streak does not outlive by itself."""
    period = calendars.period_of(user.day, frequency) + (streak.counted or streak.is_set)
    while True:
        pause = find_pause(user.streaks.pauses, period, frequency)
        if pause is not None:
            period = max(period, calendars.period_of(pause.last_day, frequency)) + 1
        elif frequency == "daily" and calendars.weekday(period) in rules.days_off:
            period += 1
        else:
            return calendars.last_day(period, frequency)
