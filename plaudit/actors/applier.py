"""Applies writes to users, in the same way when they come and when they are replayed."""

from collections.abc import Sequence

from msgspec import Struct

from plaudit.actors.board_messages import Score
from plaudit.actors.board_scores import Asked, find_asked, find_changes, make_score, tombstones
from plaudit.actors.entries import activity_of, completion_entry, completion_id, event_entry, time_entries
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
from plaudit.engine.outcome import Elapsed, Outcome
from plaudit.engine.process import complete_on_demand, process
from plaudit.engine.snapshot import encode_user
from plaudit.engine.standings import all_scores, fed_boards, update_standings
from plaudit.engine.timezones import local_day
from plaudit.engine.user import User
from plaudit.storage.history import EventEntry


class Applied(Struct, gc=False):
    """What a write did."""

    snapshot: bytes
    """The user's, after it; empty of one who was deleted."""
    reply: Reply
    scores: list[Score] = []
    """What it changed for leaderboards."""
    asked: list[Asked] = []
    """Those places of them that the reply has to say."""
    forgotten: int | None = None
    """The number of a user who was deleted."""


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

    def apply(self, command: Write, number: int, at_ms: int) -> Applied:
        """Apply command `number`, which took effect at `at_ms`. Raises Rejected."""
        if isinstance(command, RecordEvent):
            return self._record(command, number, at_ms)
        if isinstance(command, CompleteAchievement):
            return self._complete(command, number, at_ms)
        resident = self.get(command)
        key = resident.key
        if isinstance(command, DeleteUser):
            self._residents.delete(key, number)
            scores = tombstones(resident.user, key, resident.id, number, self.compiled)
            return Applied(b"", DELETED, scores, forgotten=resident.id)
        if isinstance(command, Backdate):
            return self._install(key, backdate(resident.user, command, self.compiled), (), number, at_ms, DONE)
        if isinstance(command, Advance):
            return self._install_elapsed(resident, elapse(resident.user, self.compiled, at_ms), number, at_ms, DONE)
        elapsed = administer(resident.user, command, self.compiled, at_ms)
        reply = self._render(command, elapsed.user, at_ms)
        return self._install_elapsed(resident, elapsed, number, at_ms, reply)

    def get(self, command: Write | Read | ReadPoints | Summarize) -> Resident:
        """The user of a command. Raises NotFound, or Corrupt for one who cannot be read."""
        resident = self._residents.get((command.tenant, command.user_id))
        if resident is None:
            raise NotFound("User not found")
        return resident

    def elapsed(self, command: Read | RecordEvent, at_ms: int) -> Elapsed:
        """The user of a command as of now; nothing is installed. Raises as `get` does."""
        return elapse(self.get(command).user, self.compiled, at_ms)

    def find_scores(self, resident: Resident) -> list[Score]:
        """Everything that leaderboards have to know of a user."""
        found = all_scores(resident.user, self.compiled)
        return [make_score(each, resident.key, resident.id, resident.user, resident.applied) for each in found]

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

    def _record(self, event: RecordEvent, number: int, at_ms: int) -> Applied:
        key = user_key(event)
        resident = self._residents.get(key)
        outcome = process(resident.user if resident else None, event, self.compiled, at_ms)
        reply = self.renderer.event(event, outcome, at_ms)
        entries: Sequence[EventEntry] = (event_entry(event, outcome, number, at_ms),)
        if outcome.happenings:
            entries = [*time_entries(key, outcome.user, outcome.happenings, number), *entries]
        applied = self._install(key, outcome.user, entries, number, at_ms, reply)
        return self._ask(applied, key, outcome, number, at_ms) if self.compiled.boards.by_number else applied

    def _ask(self, applied: Applied, key: UserKey, outcome: Outcome, number: int, at_ms: int) -> Applied:
        """The same, with the places that the response to an event has to say."""
        resident = self._residents.get(key)
        assert resident is not None
        systems = {award.system.number for award in outcome.awards}
        metric = outcome.metric.definition.number
        fed = fed_boards(resident.user, metric, systems, self.compiled, at_ms, is_extended=outcome.streak_extended)
        applied.asked = find_asked(applied.scores, resident.user, key, resident.id, number, fed)
        return applied

    def _complete(self, command: CompleteAchievement, number: int, at_ms: int) -> Applied:
        key = user_key(command)
        resident = self._residents.get(key)
        outcome = complete_on_demand(resident.user if resident else None, command, self.compiled, at_ms)
        id_ = completion_id(key, outcome.user, outcome.achievement)
        reply = self.renderer.completed(outcome, id_, at_ms)
        entry = completion_entry(id_, outcome, number, at_ms)
        entries = [*time_entries(key, outcome.user, outcome.happenings, number), entry]
        return self._install(key, outcome.user, entries, number, at_ms, reply)

    def _render(self, command: Administer, user: User, at_ms: int) -> Reply:
        if isinstance(command, UpdatePreferences):
            return self.renderer.preferences(user)
        if isinstance(command, CreateBoost):
            return admin_boost(command, local_day(at_ms, user.profile.tz))
        return self.renderer.pause(command) if isinstance(command, PauseStreak) else DONE

    def _install_elapsed(self, resident: Resident, elapsed: Elapsed, number: int, at_ms: int, reply: Reply) -> Applied:
        entries = time_entries(resident.key, elapsed.user, elapsed.happenings, number)
        return self._install(resident.key, elapsed.user, entries, number, at_ms, reply)

    def _install(
        self, key: UserKey, user: User, entries: Sequence[EventEntry], number: int, at_ms: int, reply: Reply
    ) -> Applied:
        known = self._residents.get(key)
        before = None if known is None else known.user
        has_boards = bool(self.compiled.boards.by_number)
        if has_boards:
            day_before = user.day if before is None else before.day
            user = update_standings(user, map(activity_of, entries), self.compiled, at_ms, number, day_before)
        snapshot = encode_user(user)
        resident = self._residents.install(key, user, snapshot, number, entries)
        if not has_boards:
            return Applied(snapshot, reply)
        return Applied(snapshot, reply, find_changes(before, user, key, resident.id, number, self.compiled))
