"""What somebody who looks after users does to one of them."""

from msgspec.structs import replace

from plaudit.engine.achievements import notice_streak, streak_length
from plaudit.engine.boosts import create_boost
from plaudit.engine.commands import (
    Administer,
    CreateBoost,
    EndPause,
    GrantFreeze,
    PauseStreak,
    ResetStreak,
    RestoreStreak,
    UpdatePreferences,
)
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.deed import Deed
from plaudit.engine.elapse import elapse
from plaudit.engine.freezes import grant_freeze
from plaudit.engine.outcome import Elapsed, Happening
from plaudit.engine.pauses import end_pause, pause_streak
from plaudit.engine.points import award_points
from plaudit.engine.preferences import update_preferences
from plaudit.engine.restore import reset_streak, restore_streak
from plaudit.engine.user import User


def administer(user: User, command: Administer, catalog: CompiledCatalog, now_ms: int) -> Elapsed:
    """The user after a command, and what had happened before it. Pure, like `process`. Raises Rejected."""
    elapsed = elapse(user, catalog, now_ms)
    before = elapsed.user
    user = _change(before, command, catalog, now_ms)
    user, completed = notice_streak(user, streak_length(before, catalog), catalog, now_ms)
    if not completed:
        return replace(elapsed, user=user)
    user, awards = award_points(user, Deed(), completed, catalog, now_ms)
    return Elapsed(user, (*elapsed.happenings, Happening(now_ms, user.day, completed, awards)))


def _change(user: User, command: Administer, catalog: CompiledCatalog, now_ms: int) -> User:
    if isinstance(command, UpdatePreferences):
        return update_preferences(user, command, catalog)
    if isinstance(command, CreateBoost):
        return create_boost(user, command, catalog)
    return replace(_change_streaks(user, command, catalog, now_ms), earlier=())


def _change_streaks(
    user: User,
    command: GrantFreeze | PauseStreak | EndPause | RestoreStreak | ResetStreak,
    catalog: CompiledCatalog,
    now_ms: int,
) -> User:
    if isinstance(command, GrantFreeze):
        return grant_freeze(user, catalog)
    if isinstance(command, PauseStreak):
        return pause_streak(user, command)
    if isinstance(command, EndPause):
        return end_pause(user, command)
    if isinstance(command, RestoreStreak):
        return restore_streak(user, catalog)
    return reset_streak(user, catalog, now_ms)
