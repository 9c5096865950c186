"""What somebody who looks after users does to one of them."""

from msgspec.structs import replace

from plaudit.engine.advance import advance
from plaudit.engine.commands import (
    Administer,
    EndPause,
    GrantFreeze,
    PauseStreak,
    RestoreStreak,
    UpdatePreferences,
)
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.freezes import grant_freeze
from plaudit.engine.pauses import end_pause, pause_streak
from plaudit.engine.preferences import update_preferences
from plaudit.engine.restore import reset_streak, restore_streak
from plaudit.engine.user import User


def administer(user: User, command: Administer, catalog: CompiledCatalog, now_ms: int) -> User:
    """The user after a command. Pure, like `process`. Raises Rejected."""
    user = advance(user, catalog, now_ms)
    if isinstance(command, UpdatePreferences):
        return update_preferences(user, command, catalog)
    return replace(_change_streaks(user, command, catalog, now_ms), earlier=())


def _change_streaks(user: User, command: Administer, catalog: CompiledCatalog, now_ms: int) -> User:
    if isinstance(command, GrantFreeze):
        return grant_freeze(user, catalog)
    if isinstance(command, PauseStreak):
        return pause_streak(user, command)
    if isinstance(command, EndPause):
        return end_pause(user, command)
    if isinstance(command, RestoreStreak):
        return restore_streak(user, catalog)
    return reset_streak(user, catalog, now_ms)
