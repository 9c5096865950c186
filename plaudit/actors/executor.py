"""Applies commands to users, one at a time and in order."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b

from plaudit.actors.clock import Stamp
from plaudit.actors.committer import Committer
from plaudit.actors.dedupe import Dedupe
from plaudit.actors.messages import Batch, Replies, Reply, encode
from plaudit.actors.replies import INTERNAL_ERROR, REFUSED, Renderer, reject
from plaudit.actors.residents import Residents
from plaudit.engine.advance import advance
from plaudit.engine.amounts import pack_amount
from plaudit.engine.commands import Command, ReadMetrics, ReadUser, RecordEvent, UserKey, user_key
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.errors import NotFound, Rejected
from plaudit.engine.outcome import Outcome
from plaudit.engine.process import find_metric, process
from plaudit.engine.snapshot import encode_user
from plaudit.storage.history import AwardEntry, EventEntry
from plaudit.storage.records import Entry, digest
from plaudit.storage.state import StateStore

LOG = logging.getLogger(__name__)


def key_digest(event: RecordEvent) -> bytes | None:
    """What an idempotency key is stored under: 16 bytes over tenant, user, metric and key. None without a key."""
    if event.idempotency_key is None:
        return None
    parts = (event.tenant, event.user_id, event.metric, event.idempotency_key)
    return blake2b("\0".join(f"{len(part)}:{part}" for part in parts).encode(), digest_size=16).digest()


@dataclass(slots=True)
class Work:
    """A batch that has arrived, and where its replies go."""

    gateway: int
    batch: Batch
    respond: Callable[[bytes], None]


@dataclass(slots=True)
class _Logged:
    """What of a batch has to be logged."""

    positions: list[int] = field(default_factory=list)
    commands: list[RecordEvent] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)


class Executor:
    """Takes batches in the order in which they arrive; the users, keys and replies of a shard are its alone.

    Guarantees: a batch is stamped once; a position of a batch that has been answered is never applied again; a command
    that raises leaves its user and its neighbours as they were.
    """

    def __init__(
        self,
        residents: Residents,
        dedupe: Dedupe,
        state: StateStore,
        stamp: Stamp,
        fail: Callable[[BaseException], None],
    ) -> None:
        self._residents = residents
        self._dedupe = dedupe
        self._state = state
        self._stamp = stamp
        self._fail = fail
        self._committer: Committer
        self._compiled: CompiledCatalog
        self._renderer: Renderer
        self._used_keys: dict[bytes, bytes] = {}
        """Idempotency keys of the work at hand that state.sqlite knows: digest to event id."""
        self._inbox: list[Work] = []
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None

    def adopt(self, compiled: CompiledCatalog) -> None:
        """Apply what follows under this catalog."""
        self._compiled = compiled
        self._renderer = Renderer(compiled)

    def start(self, committer: Committer) -> None:
        """Begin to take work."""
        self._committer = committer
        self._task = asyncio.create_task(self._run())

    def submit(self, work: Work) -> None:
        """Queue a batch. Its replies leave when everything that they could have seen is durable."""
        self._inbox.append(work)
        self._idle.clear()
        self._wake.set()

    async def close(self) -> None:
        """Apply what has arrived, and stop."""
        if self._task is not None:
            idle = asyncio.create_task(self._idle.wait())
            await asyncio.wait((idle, self._task), return_when=asyncio.FIRST_COMPLETED)
            idle.cancel()
            self.cancel()

    def cancel(self) -> None:
        """Stop at once."""
        if self._task is not None:
            self._task.cancel()

    async def replay(self, entry: Entry, first: int, digests: bytes) -> int | None:
        """Apply logged commands again, numbered from `first`, where their users do not have them yet.

        Returns the number of a command after which its user is not what the log says; None if all is well.
        """
        await self._load({user_key(command) for command in entry.commands})
        replies = {}
        for number, (position, command) in enumerate(zip(entry.positions, entry.commands, strict=True), first):
            resident = self._residents.get(user_key(command))
            if resident is not None and resident.applied >= number:
                continue
            outcome = process(resident.user if resident else None, command, self._compiled, entry.at_ms)
            snapshot = self._install(command, outcome, number, entry.at_ms, key_digest(command))
            start = 4 * (number - first)
            if digest(snapshot) != digests[start : start + 4]:
                return number
            replies[position] = self._renderer.event(command, outcome, entry.at_ms)
        if replies:
            self._dedupe.remember(entry.gateway, entry.number, replies)
        return None

    async def _run(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                work, self._inbox = self._inbox, []
                await self._load_for(work)
                for item in work:
                    self._execute(item)
                if not self._inbox:
                    self._idle.set()
        except Exception as error:  # noqa: BLE001  # commands that raise are contained below: this is the state
            self._fail(error)

    async def _load_for(self, work: list[Work]) -> None:
        commands = [command for item in work for command in item.batch.commands]
        await self._load({user_key(command) for command in commands})
        digests = {d for command in commands if isinstance(command, RecordEvent) if (d := key_digest(command))}
        # A checkpoint may move a recent key to state.sqlite during the query: what is known now must stay known
        recent = {d: event for d in digests if (event := self._residents.find_recent_key(d))}
        unknown = digests - recent.keys()
        self._used_keys = recent | await self._state.find_keys(unknown) if unknown else recent

    async def _load(self, keys: set[UserKey]) -> None:
        missing = {key for key in keys if key not in self._residents}
        if missing:
            await self._residents.load(missing, self._state)

    def _execute(self, work: Work) -> None:
        batch = work.batch
        at_ms = self._stamp.now_ms()
        replies = dict(self._dedupe.find(work.gateway, batch.number))
        logged = _Logged()
        for position, command in zip(batch.positions, batch.commands, strict=True):
            if position not in replies:
                replies[position] = REFUSED if batch.known_only else self._answer(command, position, logged, at_ms)
        if logged.commands:
            entry = Entry(work.gateway, batch.number, at_ms, tuple(logged.positions), tuple(logged.commands))
            self._committer.add_entry(entry, logged.digests)
            self._dedupe.expect(work.gateway, batch.number, replies)
        self._committer.release(lambda: self._respond(work, replies, is_logged=bool(logged.commands)))

    def _respond(self, work: Work, replies: dict[int, Reply], *, is_logged: bool) -> None:
        batch = work.batch
        if is_logged:
            self._dedupe.remember(work.gateway, batch.number, replies)
        in_order = tuple(replies[position] for position in batch.positions)
        work.respond(encode(Replies(batch.number, batch.positions[0], in_order)))

    def _answer(self, command: Command, position: int, logged: _Logged, at_ms: int) -> Reply:
        """The reply to one command, applied if it is a write."""
        try:
            if isinstance(command, RecordEvent):
                return self._record(command, position, logged, at_ms)
            return self._read(command, at_ms)
        except Rejected as error:
            return reject(error)
        except Exception:  # a bug in the rules: its command fails alone
            LOG.exception("a command of user %r raised and was not applied", command.user_id)
            return INTERNAL_ERROR

    def _record(self, event: RecordEvent, position: int, logged: _Logged, at_ms: int) -> Reply:
        resident = self._residents.get(user_key(event))
        key = key_digest(event)
        if key is not None:
            used_by = self._residents.find_recent_key(key) or self._used_keys.get(key)
            if used_by is not None and resident is not None:
                user = advance(resident.user, at_ms)
                return self._renderer.replayed(event, find_metric(self._compiled, event.metric), user, used_by)
        outcome = process(resident.user if resident else None, event, self._compiled, at_ms)
        reply = self._renderer.event(event, outcome, at_ms)
        number = self._committer.next_number() + len(logged.commands)
        snapshot = self._install(event, outcome, number, at_ms, key)
        logged.positions.append(position)
        logged.commands.append(event)
        logged.digests.append(digest(snapshot))
        return reply

    def _install(self, event: RecordEvent, outcome: Outcome, number: int, at_ms: int, key: bytes | None) -> bytes:
        """Make the outcome the user's state after command `number`; returns its snapshot."""
        snapshot = encode_user(outcome.user)
        self._residents.install(user_key(event), outcome.user, number, _history(event, outcome, at_ms), key)
        return snapshot

    def _read(self, command: ReadUser | ReadMetrics, at_ms: int) -> Reply:
        resident = self._residents.get(user_key(command))
        if resident is None:
            raise NotFound("User not found")
        user = advance(resident.user, at_ms)
        if isinstance(command, ReadUser):
            return self._renderer.user(command.user_id, user)
        return self._renderer.metrics(user)


def _history(event: RecordEvent, outcome: Outcome, at_ms: int) -> EventEntry:
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
    )
