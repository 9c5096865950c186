"""Takes commands and timers in order, and gives each its reply."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from msgspec.structs import replace

from plaudit.actors.applier import Applied, Applier
from plaudit.actors.board_messages import Place, Score
from plaudit.actors.board_replies import BoardRenderer
from plaudit.actors.board_scores import Asked, with_places
from plaudit.actors.clock import Stamp
from plaudit.actors.committer import CommitsEnded, Committer
from plaudit.actors.dedupe import Dedupe
from plaudit.actors.filling import Filling, Found
from plaudit.actors.messages import Batch, Replies, Reply, encode
from plaudit.actors.publisher import Publisher
from plaudit.actors.queries import Answering, Queries
from plaudit.actors.reads import Reads
from plaudit.actors.replies import DELETED, INTERNAL_ERROR, REFUSED, reject
from plaudit.actors.residents import UNKNOWN_MS, Resident, Residents, Woken
from plaudit.actors.turns import Turns
from plaudit.engine.catalog import Metric
from plaudit.engine.catching_up import needs_history
from plaudit.engine.commands import (
    Advance,
    BoardRead,
    CompleteAchievement,
    DeleteUser,
    Query,
    Read,
    RecordEvent,
    ShardRead,
    UserKey,
    Write,
    user_key,
)
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.errors import NotFound, Rejected
from plaudit.storage.errors import Corrupt
from plaudit.storage.key_index import KeyUse
from plaudit.storage.records import Entry, digest
from plaudit.storage.state import StateStore

LOG = logging.getLogger(__name__)

FILL_ATTEMPTS = 3
"""How often a history is read again because something has been saved of its user meanwhile."""
TIMERS = 0
"""The gateway of what timers do, which has no replies; no real one has this number."""


@dataclass(slots=True)
class Work:
    """A batch that has arrived, and where its replies go."""

    gateway: int
    batch: Batch
    respond: Callable[[bytes], None]


@dataclass(slots=True)
class _Wake:
    """Users whose time has come, in that order, and what was read of them; `done` says how long it took."""

    ids: Sequence[int]
    woken: Woken
    found: dict[int, Found]
    """Of the history of those who need it."""
    done: asyncio.Future[float]


@dataclass(slots=True)
class _Logged:
    """What of a batch, or of a timer, has to be logged."""

    positions: list[int] = field(default_factory=list)
    commands: list[Write] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    """What it changes for leaderboards."""
    asked: list[tuple[int, Asked]] = field(default_factory=list)
    """The places that replies have to say, with the positions of these; by position among the scores."""
    forgotten: list[int] = field(default_factory=list)

    def add(self, position: int, command: Write, applied: Applied) -> None:
        """Log a command that has been applied."""
        self.positions.append(position)
        self.commands.append(command)
        self.digests.append(digest(applied.snapshot))
        first = len(self.scores)
        self.scores += applied.scores
        for each in applied.asked:
            self.asked.append((position, replace(each, position=first + each.position)))
        if applied.forgotten is not None:
            self.forgotten.append(applied.forgotten)


class Executor:
    """Takes batches in the order in which they arrive; the users, keys and replies of a shard are its alone.

    Guarantees: a batch is stamped once; a position of a batch that has been answered is never applied again; a command
    that raises leaves its user and its neighbours as they were. What time does to users is in the same order.
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
        self._publisher: Publisher | None = None
        self._tail: dict[UserKey, None] = {}
        """Of whom the log's tail is."""
        self._tail_scores: list[Score] = []
        self._tail_forgotten: list[int] = []
        self._applier = Applier(residents)
        self._metrics: dict[str, Metric] = {}
        """All metrics by key, archived ones too."""
        self._used_keys: dict[KeyUse, bytes | Corrupt] = {}
        """Idempotency keys of the work at hand that have been used: their events, or why nobody knows."""
        self._queries = Queries(shard, self._applier, residents, state)
        self._reads = Reads(self._applier, residents, shard)
        self._filling = Filling(residents, state)
        self._turns = Turns()
        self._answering: set[asyncio.Task[None]] = set()
        self._unverifiable: set[UserKey] = set()
        """Users of whom a logged command has been set aside: what follows it gives another state than it did."""
        self._inbox: list[Work] = []
        self._wakes: list[_Wake] = []
        self._is_closing = False
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None

    def adopt(self, compiled: CompiledCatalog) -> None:
        """Apply what follows under this catalog."""
        self._applier.adopt(compiled)
        self._queries.adopt(compiled)
        self._filling.adopt(compiled)
        self._metrics = {metric.key: metric for metric in compiled.catalog.metrics}

    @property
    def compiled(self) -> CompiledCatalog:
        """The catalog under which commands are applied now."""
        return self._applier.compiled

    def start(self, committer: Committer, publisher: Publisher | None = None) -> None:
        """Begin to take work. What has been replayed is published once more: nobody knows whether it was."""
        self._committer = committer
        self._publisher = publisher
        if publisher is not None:
            residents = (self._residents.find(key) for key in self._tail)
            scores = [s for resident in residents if resident is not None for s in self._applier.find_scores(resident)]
            publisher.publish([*self._tail_scores, *scores], committer.committed)
            for member in self._tail_forgotten:
                publisher.forget(member)
        self._tail, self._tail_scores, self._tail_forgotten = {}, [], []
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

    async def wake(self, ids: Sequence[int]) -> float:
        """Let time do what it does to those of these users whose time has come; one wake at a time.

        Returns, before that is durable, how many seconds commands had to wait for it. While the shard closes nothing
        happens. Raises CommitsEnded if it stops.
        """
        woken = await self._residents.read_woken(ids, self._state)
        found = await self._filling.read_woken(ids, woken)
        if self._is_closing:
            return 0.0
        wake = _Wake(ids, woken, found, asyncio.get_running_loop().create_future())
        self._wakes.append(wake)
        self._idle.clear()
        self._wake.set()
        return await wake.done

    async def close(self) -> None:
        """Apply what has arrived, and take nothing more."""
        self._is_closing = True
        if self._task is not None:
            idle = asyncio.create_task(self._idle.wait())
            await asyncio.wait((idle, self._task), return_when=asyncio.FIRST_COMPLETED)
            idle.cancel()

    async def drain(self) -> None:
        """Wait for the queries that are being answered, but for what takes long, and stop."""
        self._queries.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)
        self.cancel()

    def cancel(self) -> None:
        """Stop at once."""
        if self._task is not None:
            self._task.cancel()
        for query in self._answering:
            query.cancel()
        for wake in self._wakes:
            if not wake.done.done():
                wake.done.set_exception(CommitsEnded("the shard has stopped"))

    def set_aside(self, users: tuple[UserKey, ...]) -> None:
        """Commands of these users are missing from the log: what is replayed after them cannot be compared."""
        self._unverifiable.update(users)

    async def replay(self, entry: Entry, first: int, digests: bytes) -> int | None:
        """Apply logged commands again, numbered from `first`, where their users do not have them yet.

        Returns the number of a command after which its user is not what the log says; None if all is well.
        """
        keys = {user_key(command) for command in entry.commands}
        await self._load(keys)
        self._tail |= dict.fromkeys(keys)
        if entry.next_user:
            self._residents.next_user_id = entry.next_user
        replies = {}
        for number, (position, command) in enumerate(zip(entry.positions, entry.commands, strict=True), first):
            key = user_key(command)
            resident = self._residents.get(key)
            if resident is not None and resident.applied >= number:
                self._residents.next_user_id = max(self._residents.next_user_id, resident.id + 1)
                continue
            start = 4 * (number - first)
            try:
                applied = self._applier.apply(command, number, entry.at_ms)
            except Rejected as error:
                if key not in self._unverifiable:
                    if isinstance(error, NotFound) and resident is None:
                        return number
                    raise
                replies[position] = DELETED if isinstance(command, DeleteUser) else reject(error)
                continue
            if digest(applied.snapshot) != digests[start : start + 4] and key not in self._unverifiable:
                return number
            replies[position] = applied.reply
            if applied.forgotten is not None:
                self._tail_scores += applied.scores
                self._tail_forgotten.append(applied.forgotten)
        if replies and entry.gateway != TIMERS:
            self._dedupe.remember(entry.gateway, entry.number, replies)
        return None

    async def _run(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                work, self._inbox = self._inbox, []
                if work:
                    await self._load_for(work)
                for item in work:
                    self._execute(item)
                while self._wakes:
                    self._advance_woken(self._wakes[0])
                    del self._wakes[0]
                self._residents.passivate()
                if not self._inbox:
                    self._idle.set()
        except Exception as error:  # noqa: BLE001  # commands that raise are contained below: this is the state
            self._fail(error)

    async def _load_for(self, work: list[Work]) -> None:
        commands = [command for item in work for command in item.batch.commands]
        await self._load({(c.tenant, c.user_id) for c in commands if c.user_id is not None})
        await self._fill({user_key(c) for c in commands if isinstance(c, RecordEvent | CompleteAchievement)})
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

    async def _fill(self, keys: set[UserKey]) -> None:
        """Look through the history of users who are to do something that a new catalog counts: what they did counts."""
        compiled = self._applier.compiled
        for _ in range(FILL_ATTEMPTS):
            residents = [r for key in keys if (r := self._residents.find(key)) and needs_history(r.user, compiled)]
            if not residents:
                return
            found = await self._filling.read(residents)
            at_ms, logged = self._stamp.now_ms(), _Logged()
            for resident in residents:
                self._try_to_advance(resident, found.get(resident.id), logged, at_ms)
            self._log_timers(logged, at_ms)

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
        is_query = all(isinstance(command, Query) for command in batch.commands)
        if not self._dedupe.take(work.gateway, batch.number) and not is_query:  # queries take their time, out of order
            LOG.warning("batch %d of gateway %d came too late and was ignored", batch.number, work.gateway)
            return
        at_ms, next_user = self._stamp.now_ms(), self._residents.next_user_id
        replies = dict(self._dedupe.find(work.gateway, batch.number))
        logged = _Logged()
        queries: dict[int, Answering] = {}
        for position, command in zip(batch.positions, batch.commands, strict=True):
            if position in replies:
                continue
            if batch.known_only or isinstance(command, BoardRead):
                replies[position] = REFUSED
            elif isinstance(command, Query):
                queries[position] = self._queries.take(command, at_ms)
            else:
                replies[position] = self._answer(command, position, logged, at_ms)
        if logged.commands:
            positions, commands = tuple(logged.positions), tuple(logged.commands)
            entry = Entry(work.gateway, batch.number, at_ms, positions, commands, next_user)
            self._committer.add_entry(entry, logged.digests)
            made = {position: replies[position] for position in logged.positions}
            self._dedupe.expect(work.gateway, batch.number, made)
            self._committer.release(lambda: self._dedupe.remember(work.gateway, batch.number, made))
        if queries:
            respond = partial(self._start_queries, work, replies, queries)
        else:
            turn = self._turns.enter(work.gateway)
            respond = partial(turn.take, partial(self._respond, work, replies))
        if logged.asked:
            ask = partial(self._ask_places, work, replies, logged, self._committer.next_number() - 1)
            self._committer.release(partial(ask, self._applier.renderer.boards, respond))
        else:
            self._publish(logged)
            self._committer.release(respond)

    def _publish(self, logged: _Logged) -> None:
        """Tell the leaderboards what has changed, when it is durable."""
        if self._publisher is not None and (logged.scores or logged.forgotten):
            publisher, through = self._publisher, self._committer.next_number() - 1

            def publish() -> None:
                publisher.publish(logged.scores, through)
                for member in logged.forgotten:
                    publisher.forget(member)

            self._committer.release(publish)

    def _ask_places(
        self,
        work: Work,
        replies: dict[int, Reply],
        logged: _Logged,
        through: int,
        renderer: BoardRenderer,
        respond: Callable[[], None],
    ) -> None:
        """Respond when it is known where the events have brought their users; or without, if that takes too long."""

        def take(places: list[Place | None]) -> None:
            by_reply: dict[int, list[tuple[Asked, Place | None]]] = {}
            for (position, asked), place in zip(logged.asked, places, strict=True):
                by_reply.setdefault(position, []).append((asked, place))
            for position, found in by_reply.items():
                replies[position] = with_places(
                    replies[position], [a for a, _ in found], [place for _, place in found], renderer
                )
            placed = {position: replies[position] for position in by_reply}
            self._dedupe.remember(work.gateway, work.batch.number, placed)
            respond()

        if self._publisher is None:
            return respond()
        for member in logged.forgotten:
            self._publisher.forget(member)
        self._publisher.ask(logged.scores, [asked.position for _, asked in logged.asked], through, take)
        return None

    def _respond(self, work: Work, replies: dict[int, Reply]) -> None:
        batch = work.batch
        in_order = tuple(replies[position] for position in batch.positions)
        work.respond(encode(Replies(batch.number, batch.positions[0], in_order)))

    def _start_queries(self, work: Work, replies: dict[int, Reply], queries: dict[int, Answering]) -> None:
        """Answer when the queries have been: beside the commands that follow, which do not wait for them."""

        async def answer() -> None:
            for position, query in queries.items():
                replies[position] = await query()
            self._respond(work, replies)

        task = asyncio.create_task(answer())
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    def _answer(self, command: Write | Read | ShardRead, position: int, logged: _Logged, at_ms: int) -> Reply:
        """The reply to one command, applied if it is a write."""
        try:
            if isinstance(command, Read):
                return self._reads.read(command, at_ms)
            if isinstance(command, ShardRead):
                return self._reads.read_shard(command, at_ms)
            return self._find_earlier(command, at_ms) or self._write(command, position, logged, at_ms)
        except Rejected as error:
            return reject(error)
        except Exception:  # a bug in the rules: its command fails alone
            LOG.exception("a command of user %r raised and was not applied", command.user_id)
            return INTERNAL_ERROR

    def _write(self, command: Write, position: int, logged: _Logged, at_ms: int) -> Reply:
        number = self._committer.next_number() + len(logged.commands)
        applied = self._applier.apply(command, number, at_ms)
        logged.add(position, command, applied)
        return applied.reply

    def _find_earlier(self, command: Write, at_ms: int) -> Reply | None:
        """The reply to what has been done before, and is not done again; None for all else."""
        if isinstance(command, RecordEvent):
            used_by = self._find_use(command)
            if used_by is not None:
                user = self._applier.elapsed(command, at_ms).user
                return self._applier.renderer.replayed(command, self._metrics[command.metric], user, used_by)
        elif isinstance(command, CompleteAchievement):
            return self._applier.find_completion(command, at_ms)
        return None

    def _find_use(self, event: RecordEvent) -> bytes | None:
        """The event that has used this event's idempotency key. Raises Corrupt if nobody can tell."""
        use = self._key_use(event)
        if use is None:
            return None
        used_by = self._residents.find_recent_key(use) or self._used_keys.get(use)
        if isinstance(used_by, Corrupt):
            raise used_by
        return used_by

    def _advance_woken(self, wake: _Wake) -> None:
        started = time.perf_counter()
        at_ms, logged = self._stamp.now_ms(), _Logged()
        for resident in self._residents.take_woken(wake.ids, wake.woken, str(self._state.path)):
            due_ms = self._residents.find_due_ms(resident)
            if due_ms is None or due_ms > at_ms:
                continue
            resident.due_ms = UNKNOWN_MS  # what was known may have been too early, and has passed
            if self._try_to_advance(resident, wake.found.get(resident.id), logged, at_ms):
                self._check_progress(resident, at_ms)
        self._log_timers(logged, at_ms)
        if not wake.done.done():
            wake.done.set_result(time.perf_counter() - started)

    def _log_timers(self, logged: _Logged, at_ms: int) -> None:
        if logged.commands:
            positions, commands = tuple(logged.positions), tuple(logged.commands)
            entry = Entry(TIMERS, 0, at_ms, positions, commands, self._residents.next_user_id)
            self._committer.add_entry(entry, logged.digests)
            self._committer.release(lambda: None)
            self._publish(logged)

    def _try_to_advance(self, resident: Resident, found: Found | None, logged: _Logged, at_ms: int) -> bool:
        try:
            self._advance(resident, found, logged, at_ms)
        except Exception:  # a bug in the rules: the user's next command advances them, or fails as well
            LOG.exception("user %r could not be advanced", resident.key[1])
            return False
        return True

    def _advance(self, resident: Resident, found: Found | None, logged: _Logged, at_ms: int) -> None:
        tenant, user_id = resident.key
        if needs_history(resident.user, self._applier.compiled):
            command = self._filling.make_command(resident, found)
            if command is not None:
                self._write(command, len(logged.commands), logged, at_ms)
        self._write(Advance(user_id, tenant), len(logged.commands), logged, at_ms)

    def _check_progress(self, resident: Resident, at_ms: int) -> None:
        """See that time does not come for the same user for ever, should the rules say so."""
        due_ms = self._residents.find_due_ms(resident)
        if due_ms is not None and due_ms <= at_ms and not needs_history(resident.user, self._applier.compiled):
            LOG.error("user %r has been advanced, and is due as before", resident.key[1])
            self._residents.schedule.discard(due_ms, resident.id)
