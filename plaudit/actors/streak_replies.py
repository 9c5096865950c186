"""Streaks, pauses and preferences as the wire has them."""

from msgspec import UNSET, UnsetType

from plaudit.actors.formats import format_day, format_instant, raw_amount
from plaudit.actors.wire import (
    EventStreak,
    StreakMetricResponse,
    StreakPauseResponse,
    StreakPeriodResponse,
    StreakPreferencesResponse,
    StreakResponse,
    UserPreferencesResponse,
)
from plaudit.engine.amounts import unpack_amount
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.ids import format_id
from plaudit.engine.pauses import current_pauses
from plaudit.engine.streak_history import PeriodView, view_history
from plaudit.engine.streaks import view_streak
from plaudit.engine.user import Pause, StreakPreferences, User


def render_event_streak(user: User, catalog: CompiledCatalog, extended: bool) -> EventStreak:
    """The streak of an event's response. On the path of every event."""
    view = view_streak(user, catalog)
    return EventStreak(
        view.length,
        view.frequency,
        None if view.started_day is None else format_day(view.started_day),
        format_day(view.period_start_day),
        format_day(view.period_end_day),
        None if view.expires_day is None else format_day(view.expires_day),
        extended,
        view.freezes,
        view.max_freezes,
        view.auto_earn_interval,
        view.auto_earn_amount,
    )


def render_streak(user: User, catalog: CompiledCatalog, periods: int) -> StreakResponse:
    """The streak with its last `periods` periods, for a user who has been advanced to now."""
    view = view_streak(user, catalog)
    return StreakResponse(
        length=view.length,
        frequency=view.frequency,
        started=None if view.started_day is None else format_day(view.started_day),
        period_start=format_day(view.period_start_day),
        period_end=format_day(view.period_end_day),
        expires=None if view.expires_day is None else format_day(view.expires_day),
        extended=None if view.extended_ms is None else format_instant(view.extended_ms),
        streak_history=[_period(period, view.freezes is not None) for period in view_history(user, catalog, periods)],
        pauses=[_pause(pause) for pause in current_pauses(user)],
        freezes=view.freezes,
        max_freezes=view.max_freezes,
        freeze_auto_earn_interval=view.auto_earn_interval,
        freeze_auto_earn_amount=view.auto_earn_amount,
    )


def render_preferences(user: User, metric_keys: dict[int, str]) -> UserPreferencesResponse:
    """What the user has set, and nothing else (reference: Preferences 3, 7)."""
    preferences = user.preferences
    if preferences is None:
        return UserPreferencesResponse({}, UNSET)
    return UserPreferencesResponse(preferences.notifications, _streak_preferences(preferences.streak, metric_keys))


def _streak_preferences(
    streak: StreakPreferences | None, metric_keys: dict[int, str]
) -> StreakPreferencesResponse | UnsetType:
    if streak is None or streak == StreakPreferences():
        return UNSET
    return StreakPreferencesResponse(
        enabled=streak.enabled,
        evaluation_mode=streak.evaluation_mode,
        metrics=None
        if streak.metrics is None
        else [
            StreakMetricResponse(metric_keys[number], raw_amount(unpack_amount(threshold)))
            for number, threshold in streak.metrics
        ],
        days_off=streak.days_off,
    )


def _period(period: PeriodView, has_freezes: bool) -> StreakPeriodResponse:
    return StreakPeriodResponse(
        period_start=format_day(period.period_start_day),
        period_end=format_day(period.period_end_day),
        length=period.length,
        used_pause=period.used_pause,
        used_freeze=period.used_freeze if has_freezes else None,
        reset_at=None if period.reset_ms is None else format_instant(period.reset_ms),
    )


def _pause(pause: Pause) -> StreakPauseResponse:
    return StreakPauseResponse(format_id(pause.id), format_day(pause.first_day), format_day(pause.last_day))
