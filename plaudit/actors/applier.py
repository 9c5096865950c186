"""Applies writes to users, in the same way when they come and when they are replayed."""

from plaudit.actors.messages import Reply
from plaudit.actors.replies import DELETED, DONE, Renderer
from plaudit.actors.residents import Resident, Residents
from plaudit.engine.administer import administer
from plaudit.engine.advance import advance
from plaudit.engine.amounts import pack_amount
from plaudit.engine.commands import (
    Administer,
    Advance,
    DeleteUser,
    PauseStreak,
    Read,
    RecordEvent,
    UpdatePreferences,
    UserKey,
    Write,
    user_key,
)
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.errors import NotFound
from plaudit.engine.outcome import Outcome
from plaudit.engine.process import process
from plaudit.engine.snapshot import encode_user
from plaudit.engine.user import User
from plaudit.storage.history import AwardEntry, EventEntry


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
        resident = self.get(command)
        if isinstance(command, DeleteUser):
            self._residents.delete(resident.key, number)
            return b"", DELETED
        if isinstance(command, Advance):
            user = advance(resident.user, self.compiled, at_ms)
            return self._install(resident.key, user, number), DONE
        user = administer(resident.user, command, self.compiled, at_ms)
        reply = self._render(command, user)
        return self._install(resident.key, user, number), reply

    def get(self, command: Write | Read) -> Resident:
        """The user of a command. Raises NotFound, or Corrupt for one who cannot be read."""
        resident = self._residents.get(user_key(command))
        if resident is None:
            raise NotFound("User not found")
        return resident

    def advanced(self, command: Read | RecordEvent, at_ms: int) -> User:
        """The user of a command as of now; nothing is installed. Raises as `get` does."""
        return advance(self.get(command).user, self.compiled, at_ms)

    def _record(self, event: RecordEvent, number: int, at_ms: int) -> tuple[bytes, Reply]:
        key = user_key(event)
        resident = self._residents.get(key)
        outcome = process(resident.user if resident else None, event, self.compiled, at_ms)
        reply = self.renderer.event(event, outcome, at_ms)
        return self._install(key, outcome.user, number, _history(event, outcome, number, at_ms)), reply

    def _render(self, command: Administer, user: User) -> Reply:
        if isinstance(command, UpdatePreferences):
            return self.renderer.preferences(user)
        return self.renderer.pause(command) if isinstance(command, PauseStreak) else DONE

    def _install(self, key: UserKey, user: User, number: int, entry: EventEntry | None = None) -> bytes:
        snapshot = encode_user(user)
        self._residents.install(key, user, snapshot, number, entry)
        return snapshot


def _history(event: RecordEvent, outcome: Outcome, number: int, at_ms: int) -> EventEntry:
    return EventEntry(
        event_id=event.event_id,
        at_ms=at_ms,
        metric=outcome.metric.definition.number,
        value=event.value,
        total=pack_amount(outcome.total),
        attributes=event.attributes,
        completed=tuple(achievement.number for achievement in outcome.completed),
        awards=tuple(AwardEntry(a.system.number, a.trigger.number, a.awarded, a.total) for a in outcome.awards),
        streak_extended=outcome.streak_extended,
        idempotency_key=event.idempotency_key,
        number=number,
        day=outcome.user.day,
    )
