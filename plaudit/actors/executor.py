"""Applies commands to users, one at a time and in order."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial

from plaudit.actors.clock import Stamp
from plaudit.actors.committer import Committer
from plaudit.actors.dedupe import Dedupe
from plaudit.actors.event_log import EventLog, View
from plaudit.actors.messages import Batch, Replies, Reply, encode
from plaudit.actors.replies import DELETED, INTERNAL_ERROR, REFUSED, Renderer, reject
from plaudit.actors.residents import Resident, Residents
from plaudit.engine.advance import advance
from plaudit.engine.amounts import pack_amount
from plaudit.engine.catalog import Metric
from plaudit.engine.commands import DeleteUser, Query, Read, ReadEvents, ReadUser, RecordEvent, UserKey, Write, user_key
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.errors import Invalid, NotFound, Rejected
from plaudit.engine.outcome import Outcome
from plaudit.engine.process import process
from plaudit.engine.snapshot import encode_user
from plaudit.storage.errors import Corrupt
from plaudit.storage.history import AwardEntry, EventEntry
from plaudit.storage.key_index import KeyUse
from plaudit.storage.records import Entry, digest
from plaudit.storage.state import StateStore

LOG = logging.getLogger(__name__)

_Answering = Callable[[], Coroutine[None, None, Reply]]
"""What answers a query, once it is begun: a shard that stops before never begins it."""


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
    commands: list[Write] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)

    def add(self, position: int, command: Write, state: bytes) -> None:
        """Log a command after which its user is `state`."""
        self.positions.append(position)
        self.commands.append(command)
        self.digests.append(digest(state))


class Executor:
    """Takes batches in the order in which they arrive; the users, keys and replies of a shard are its alone.

    Guarantees: a batch is stamped once; a position of a batch that has been answered is never applied again; a command
    that raises leaves its user and its neighbours as they were.
    """

    def __init__(
        self,
        shard: int,
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
        self._metrics: dict[str, Metric] = {}
        """All metrics by key, archived ones too."""
        self._used_keys: dict[KeyUse, bytes | Corrupt] = {}
        """Idempotency keys of the work at hand that have been used: their events, or why nobody knows."""
        self._event_log = EventLog(shard, residents, state)
        self._queries: set[asyncio.Task[None]] = set()
        self._unverifiable: set[UserKey] = set()
        """Users of whom a logged command has been set aside: what follows it gives another state than it did."""
        self._inbox: list[Work] = []
        self._is_closing = False
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None

    def adopt(self, compiled: CompiledCatalog) -> None:
        """Apply what follows under this catalog."""
        self._compiled = compiled
        self._renderer = Renderer(compiled)
        self._metrics = {metric.key: metric for metric in compiled.catalog.metrics}

    def start(self, committer: Committer) -> None:
        """Begin to take work."""
        self._committer = committer
        self._task = asyncio.create_task(self._run())

    def submit(self, work: Work) -> None:
        """Queue a batch. Its replies leave when everything that they could have seen is durable.

        One that comes while the shard closes is dropped: its gateway sends it again to the next one.
        """
        if self._is_closing:
            return
        self._inbox.append(work)
        self._idle.clear()
        self._wake.set()

    async def close(self) -> None:
        """Apply what has arrived, and take nothing more."""
        self._is_closing = True
        if self._task is not None:
            idle = asyncio.create_task(self._idle.wait())
            await asyncio.wait((idle, self._task), return_when=asyncio.FIRST_COMPLETED)
            idle.cancel()

    async def drain(self) -> None:
        """Wait for the queries that are being answered, and stop."""
        await asyncio.gather(*self._queries, return_exceptions=True)
        self.cancel()

    def cancel(self) -> None:
        """Stop at once."""
        if self._task is not None:
            self._task.cancel()
        for query in self._queries:
            query.cancel()

    def set_aside(self, users: tuple[UserKey, ...]) -> None:
        """Commands of these users are missing from the log: what is replayed after them cannot be compared."""
        self._unverifiable.update(users)

    async def replay(self, entry: Entry, first: int, digests: bytes) -> int | None:
        """Apply logged commands again, numbered from `first`, where their users do not have them yet.

        Returns the number of a command after which its user is not what the log says; None if all is well.
        """
        await self._load({user_key(command) for command in entry.commands})
        replies = {}
        for number, (position, command) in enumerate(zip(entry.positions, entry.commands, strict=True), first):
            key = user_key(command)
            resident = self._residents.get(key)
            if resident is not None and resident.applied >= number:
                continue
            start = 4 * (number - first)
            if isinstance(command, DeleteUser):
                if resident is None and key not in self._unverifiable:
                    return number
                if resident is not None:
                    self._residents.delete(key, number)
                replies[position] = DELETED
                continue
            outcome = process(resident.user if resident else None, command, self._compiled, entry.at_ms)
            snapshot = self._install(command, outcome, number, entry.at_ms)
            if digest(snapshot) != digests[start : start + 4] and key not in self._unverifiable:
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
                self._residents.passivate()
                if not self._inbox:
                    self._idle.set()
        except Exception as error:  # noqa: BLE001  # commands that raise are contained below: this is the state
            self._fail(error)

    async def _load_for(self, work: list[Work]) -> None:
        commands = [command for item in work for command in item.batch.commands]
        await self._load({(c.tenant, c.user_id) for c in commands if c.user_id is not None})
        uses = {u for c in commands if isinstance(c, RecordEvent) and (u := self._key_use(c)) is not None}
        # A checkpoint may move a recent key to the index during the query: what is known now must stay known
        found = {use: self._residents.find_recent_key(use) for use in uses}
        recent: dict[KeyUse, bytes | Corrupt] = {use: event for use, event in found.items() if event is not None}
        unknown = uses - recent.keys()
        self._used_keys = recent | await self._state.find_keys(unknown) if unknown else recent

    async def _load(self, keys: set[UserKey]) -> None:
        missing = {key for key in keys if not self._residents.touch(key)}
        if missing:
            await self._residents.load(missing, self._state)

    def _key_use(self, event: RecordEvent) -> KeyUse | None:
        """What an event's idempotency key is known by; None without one, or if nothing can have used it."""
        if event.idempotency_key is None:
            return None
        metric, resident = self._metrics.get(event.metric), self._residents.find(user_key(event))
        if metric is None or resident is None:
            return None
        return resident.id, metric.number, event.idempotency_key

    def _execute(self, work: Work) -> None:
        batch = work.batch
        if not self._dedupe.take(work.gateway, batch.number):
            LOG.warning("batch %d of gateway %d came too late and was ignored", batch.number, work.gateway)
            return
        at_ms = self._stamp.now_ms()
        replies = dict(self._dedupe.find(work.gateway, batch.number))
        logged = _Logged()
        queries: dict[int, _Answering] = {}
        for position, command in zip(batch.positions, batch.commands, strict=True):
            if position in replies:
                continue
            if isinstance(command, Query) and not batch.known_only:
                queries[position] = self._query(command)
            else:
                replies[position] = (
                    REFUSED
                    if batch.known_only or isinstance(command, Query)
                    else self._answer(command, position, logged, at_ms)
                )
        if logged.commands:
            entry = Entry(work.gateway, batch.number, at_ms, tuple(logged.positions), tuple(logged.commands))
            self._committer.add_entry(entry, logged.digests)
            made = {position: replies[position] for position in logged.positions}
            self._dedupe.expect(work.gateway, batch.number, made)
            self._committer.release(lambda: self._dedupe.remember(work.gateway, batch.number, made))
        if queries:
            self._committer.release(lambda: self._start_queries(work, replies, queries))
        else:
            self._committer.release(lambda: self._respond(work, replies))

    def _respond(self, work: Work, replies: dict[int, Reply]) -> None:
        batch = work.batch
        in_order = tuple(replies[position] for position in batch.positions)
        work.respond(encode(Replies(batch.number, batch.positions[0], in_order)))

    def _start_queries(self, work: Work, replies: dict[int, Reply], queries: dict[int, _Answering]) -> None:
        """Answer when the queries have been: beside the commands that follow, which do not wait for them."""

        async def answer() -> None:
            for position, query in queries.items():
                replies[position] = await query()
            self._respond(work, replies)

        task = asyncio.create_task(answer())
        self._queries.add(task)
        task.add_done_callback(self._queries.discard)

    def _answer(self, command: Write | Read, position: int, logged: _Logged, at_ms: int) -> Reply:
        """The reply to one command, applied if it is a write."""
        try:
            if isinstance(command, RecordEvent):
                return self._record(command, position, logged, at_ms)
            if isinstance(command, DeleteUser):
                return self._delete(command, position, logged)
            return self._read(command, at_ms)
        except Rejected as error:
            return reject(error)
        except Exception:  # a bug in the rules: its command fails alone
            LOG.exception("a command of user %r raised and was not applied", command.user_id)
            return INTERNAL_ERROR

    def _record(self, event: RecordEvent, position: int, logged: _Logged, at_ms: int) -> Reply:
        resident = self._residents.get(user_key(event))
        use = self._key_use(event)
        if use is not None and resident is not None:
            used_by = self._residents.find_recent_key(use) or self._used_keys.get(use)
            if isinstance(used_by, Corrupt):
                raise used_by
            if used_by is not None:
                user = advance(resident.user, at_ms)
                return self._renderer.replayed(event, self._metrics[event.metric], user, used_by)
        outcome = process(resident.user if resident else None, event, self._compiled, at_ms)
        reply = self._renderer.event(event, outcome, at_ms)
        number = self._committer.next_number() + len(logged.commands)
        logged.add(position, event, self._install(event, outcome, number, at_ms))
        return reply

    def _install(self, event: RecordEvent, outcome: Outcome, number: int, at_ms: int) -> bytes:
        """Make the outcome the user's state after command `number`; returns its snapshot."""
        snapshot = encode_user(outcome.user)
        self._residents.install(user_key(event), outcome.user, snapshot, _history(event, outcome, number, at_ms))
        return snapshot

    def _delete(self, command: DeleteUser, position: int, logged: _Logged) -> Reply:
        self._get(command)
        self._residents.delete(user_key(command), self._committer.next_number() + len(logged.commands))
        logged.add(position, command, b"")
        return DELETED

    def _read(self, command: Read, at_ms: int) -> Reply:
        user = advance(self._get(command).user, at_ms)
        if isinstance(command, ReadUser):
            return self._renderer.user(command.user_id, user)
        return self._renderer.metrics(user)

    def _get(self, command: Write | Read) -> Resident:
        resident = self._residents.get(user_key(command))
        if resident is None:
            raise NotFound("User not found")
        return resident

    def _query(self, query: ReadEvents) -> _Answering:
        """The reply to come; what it is about is what has happened until now."""
        metric = None if query.metric is None else self._metrics.get(query.metric)
        view: View | Rejected | Corrupt
        try:
            if query.metric is not None and metric is None:
                raise Invalid(f"metric: expected the key of a metric, got {query.metric!r}")
            view = self._event_log.take_view(query, None if metric is None else metric.number)
        except (Rejected, Corrupt) as error:
            view = error
        return partial(self._answer_query, query, metric, view)

    async def _answer_query(self, query: ReadEvents, metric: Metric | None, view: View | Rejected | Corrupt) -> Reply:
        try:
            if isinstance(view, Rejected | Corrupt):
                raise view
            page = await self._event_log.find(query, None if metric is None else metric.number, view)
            return self._renderer.events(page)
        except Rejected as error:
            return reject(error)
        except Exception:  # a bug, or a history that cannot be read: nothing else is concerned
            LOG.exception("a query for events of user %r failed", query.user_id)
            return INTERNAL_ERROR


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
        day=outcome.user.period.day,
    )
