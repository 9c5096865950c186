"""Applies writes to users, in the same way when they come and when they are replayed."""

from collections.abc import Iterable

from plaudit.actors.entries import completion_entry, completion_id, event_entry, time_entries
from plaudit.actors.messages import Reply
from plaudit.actors.replies import DELETED, DONE, Renderer, admin_boost
from plaudit.actors.residents import Resident, Residents
from plaudit.engine.administer import administer
from plaudit.engine.catching_up import backdate
from plaudit.engine.commands import (
    Administer,
    Advance,
    Backdate,
    CompleteAchievement,
    CreateBoost,
    DeleteUser,
    PauseStreak,
    Read,
    ReadPoints,
    RecordEvent,
    Summarize,
    UpdatePreferences,
    UserKey,
    Write,
    user_key,
)
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.elapse import elapse
from plaudit.engine.errors import NotFound
from plaudit.engine.outcome import Elapsed
from plaudit.engine.process import complete_on_demand, process
from plaudit.engine.snapshot import encode_user
from plaudit.engine.timezones import local_day
from plaudit.engine.user import User
from plaudit.storage.history import EventEntry


class Applier:
    """What a command does to its user under the catalog in force. One that raises has changed nothing."""

    def __init__(self, residents: Residents) -> None:
        self._residents = residents
        self.compiled: CompiledCatalog
        self.renderer: Renderer

    def adopt(self, compiled: CompiledCatalog) -> None:
        """Apply what follows under this catalog."""
        self.compiled = compiled
        self.renderer = Renderer(compiled)
        self._residents.adopt(compiled)

    def apply(self, command: Write, number: int, at_ms: int) -> tuple[bytes, Reply]:
        """Apply command `number`, which took effect at `at_ms`.

        Returns the user's snapshot after it, which one who is deleted has not, and the reply. Raises Rejected.
        """
        if isinstance(command, RecordEvent):
            return self._record(command, number, at_ms)
        if isinstance(command, CompleteAchievement):
            return self._complete(command, number, at_ms)
        resident = self.get(command)
        key = resident.key
        if isinstance(command, DeleteUser):
            self._residents.delete(key, number)
            return b"", DELETED
        if isinstance(command, Backdate):
            return self._install(key, backdate(resident.user, command, self.compiled), number), DONE
        if isinstance(command, Advance):
            elapsed = elapse(resident.user, self.compiled, at_ms)
            return self._install_elapsed(resident, elapsed, number), DONE
        elapsed = administer(resident.user, command, self.compiled, at_ms)
        reply = self._render(command, elapsed.user, at_ms)
        return self._install_elapsed(resident, elapsed, number), reply

    def get(self, command: Write | Read | ReadPoints | Summarize) -> Resident:
        """The user of a command. Raises NotFound, or Corrupt for one who cannot be read."""
        resident = self._residents.get((command.tenant, command.user_id))
        if resident is None:
            raise NotFound("User not found")
        return resident

    def elapsed(self, command: Read | RecordEvent, at_ms: int) -> Elapsed:
        """The user of a command as of now; nothing is installed. Raises as `get` does."""
        return elapse(self.get(command).user, self.compiled, at_ms)

    def find_completion(self, command: CompleteAchievement, at_ms: int) -> Reply | None:
        """The reply to the completion of what the user has completed already; None if they have not (Q-40)."""
        resident = self._residents.get(user_key(command))
        achievement = self.compiled.achievements.by_key.get(command.key)
        if resident is None or achievement is None or achievement.trigger != "api":
            return None
        achieved_ms = elapse(resident.user, self.compiled, at_ms).user.completions.get(achievement.number)
        if achieved_ms is None:
            return None
        id_ = completion_id(resident.key, resident.user, achievement)
        return self.renderer.already_completed(achievement, id_, achieved_ms)

    def _record(self, event: RecordEvent, number: int, at_ms: int) -> tuple[bytes, Reply]:
        key = user_key(event)
        resident = self._residents.get(key)
        outcome = process(resident.user if resident else None, event, self.compiled, at_ms)
        reply = self.renderer.event(event, outcome, at_ms)
        entry = event_entry(event, outcome, number, at_ms)
        if outcome.happenings:
            return self._install(
                key, outcome.user, number, [*time_entries(key, outcome.user, outcome.happenings, number), entry]
            ), reply
        return self._install(key, outcome.user, number, (entry,)), reply

    def _complete(self, command: CompleteAchievement, number: int, at_ms: int) -> tuple[bytes, Reply]:
        key = user_key(command)
        resident = self._residents.get(key)
        outcome = complete_on_demand(resident.user if resident else None, command, self.compiled, at_ms)
        id_ = completion_id(key, outcome.user, outcome.achievement)
        reply = self.renderer.completed(outcome, id_, at_ms)
        entry = completion_entry(id_, outcome, number, at_ms)
        entries = [*time_entries(key, outcome.user, outcome.happenings, number), entry]
        return self._install(key, outcome.user, number, entries), reply

    def _render(self, command: Administer, user: User, at_ms: int) -> Reply:
        if isinstance(command, UpdatePreferences):
            return self.renderer.preferences(user)
        if isinstance(command, CreateBoost):
            return admin_boost(command, local_day(at_ms, user.profile.tz))
        return self.renderer.pause(command) if isinstance(command, PauseStreak) else DONE

    def _install_elapsed(self, resident: Resident, elapsed: Elapsed, number: int) -> bytes:
        entries = time_entries(resident.key, elapsed.user, elapsed.happenings, number)
        return self._install(resident.key, elapsed.user, number, entries)

    def _install(self, key: UserKey, user: User, number: int, entries: Iterable[EventEntry] = ()) -> bytes:
        snapshot = encode_user(user)
        self._residents.install(key, user, snapshot, number, entries)
        return snapshot
