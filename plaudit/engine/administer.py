"""What somebody who looks after users does to one of them."""

from msgspec.structs import replace

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
from plaudit.engine.elapse import elapse
from plaudit.engine.freezes import grant_freeze
from plaudit.engine.outcome import Elapsed
from plaudit.engine.pauses import end_pause, pause_streak
from plaudit.engine.preferences import update_preferences
from plaudit.engine.restore import reset_streak, restore_streak
from plaudit.engine.user import User


def administer(user: User, command: Administer, catalog: CompiledCatalog, now_ms: int) -> Elapsed:
    """The user after a command, and what had happened before it. Pure, like `process`. Raises Rejected."""
    elapsed = elapse(user, catalog, now_ms)
    return replace(elapsed, user=_change(elapsed.user, command, catalog, now_ms))


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
