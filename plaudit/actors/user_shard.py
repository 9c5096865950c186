"""The actor that hosts users: the only writer of their state."""

import asyncio
import contextlib
import os
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from plaudit.actors.checkpoint import Checkpointer
from plaudit.actors.clock import Clock, Stamp, TestClock
from plaudit.actors.committer import Committer
from plaudit.actors.dedupe import Dedupe
from plaudit.actors.executor import Executor, Work
from plaudit.actors.messages import PROTOCOL, Hello, Welcome, decode_to_shard, encode
from plaudit.actors.publisher import Publisher
from plaudit.actors.residents import DEFAULT_USERS_MAX, Residents
from plaudit.actors.schedule import Schedule
from plaudit.actors.score_pages import ScorePages
from plaudit.actors.timers import Timers
from plaudit.actors.transport import Connection, listen
from plaudit.engine.catalog import Catalog
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.compiling import compile_catalog
from plaudit.engine.rules import RULES_VERSION
from plaudit.storage.backup import BackedUp, copy_databases, finish_copy
from plaudit.storage.directory import ShardManifest, check_shard_directory, save_shard_manifest
from plaudit.storage.errors import Corrupt, Fenced, InUse, OtherRules, StorageError, Unusable, WrongDirectory
from plaudit.storage.files import DirectoryLock
from plaudit.storage.log import FILES as LOG_FILES
from plaudit.storage.log import Log
from plaudit.storage.records import CatalogChange, Quarantined, Record, decode_body
from plaudit.storage.seal import UNDECODABLE
from plaudit.storage.state import FILE_NAME as STATE_NAME
from plaudit.storage.state import StateStore
from plaudit.storage.wal import Trust

Durability = Literal["commit", "process"]
FLUSH_TIMEOUT_S = 10.0
ADOPT_FLUSH_TIMEOUT_S = 1.0
"""While events come there may always be something new to say; what was there before has long been taken then."""
LOCK_RETRY_S = 0.05
LOCK_WAIT_S = 15.0
"""How long to wait for a predecessor that is still dying: its helpers outlive a killed server by seconds."""


class ShardSettings(Struct, frozen=True):
    """Which shard an actor is, and where."""

    index: int
    directory: str
    data_id: str
    address: str
    """The path of the socket that it serves."""
    durability: Durability = "commit"
    """`commit`: an answered event survives a power cut. `process`: it survives the process, however that ends."""
    users_max: int = DEFAULT_USERS_MAX
    """How many users stay in memory when nothing of them is unsaved."""
    timer_window_ms: int = 0
    """Over how long what falls due for many users at one moment is spread."""
    boards: tuple[str, ...] = ()
    """The addresses of the leaderboard shards, in their order."""


class Opened(Struct, frozen=True):
    """What opening a shard found."""

    index: int
    process: int
    """The id of the process that it is open in."""
    replayed: int
    """Commands that were in the log only."""


class UserShard:
    """Hosts the users of one shard. `open` recovers and begins to serve; `close` leaves an empty log.

    `fail` is called, once and last, when the shard can no longer know what is durable: it must not go on, and only a
    new one that recovers may take its place.
    """

    def __init__(self, settings: ShardSettings, clock: Clock, fail: Callable[[str], None]) -> None:
        self._settings = settings
        self._clock = clock
        self._stamp = Stamp(clock)
        self._report = fail
        self._directory = Path(settings.directory)
        self._lock = DirectoryLock(self._directory)
        self._residents = Residents(settings.users_max, Schedule(settings.timer_window_ms))
        self._dedupe = Dedupe()
        self._connections: set[Connection] = set()
        self._opened: Opened | None = None
        self._has_failed = False
        self._error: BaseException | None = None
        self._moving = asyncio.Lock()
        self._catalog = Catalog()
        """The one under which commands are applied now."""
        self._catalog_number = 0
        """The command that brought it; 0 if it was in force when the shard was opened."""
        self._manifest: ShardManifest
        self._state: StateStore
        self._log: Log
        self._executor: Executor
        self._committer: Committer
        self._checkpointer: Checkpointer
        self._timers: Timers
        self._publisher: Publisher
        self._server: asyncio.AbstractServer

    async def open(self, catalog: Catalog, now_ms: int | None = None) -> Opened:
        """Recover, adopt the catalog, and serve. One that is open already adopts it and says the same again.

        With `now_ms`, time stands still there until `move_clock`. Raises StorageError if the directory cannot be
        trusted; then nothing is held, and nothing has been changed but the epoch.
        """
        if self._opened is not None:
            await self.adopt(catalog)
        else:
            if now_ms is not None:
                self._clock = TestClock(now_ms)
                self._stamp = Stamp(self._clock)
            try:
                async with contextlib.AsyncExitStack() as stack:
                    replayed = await self._recover(stack)
                    await self._adopt_first(catalog)
                    self._server = await listen(self._settings.address, self._accept)
                    stack.callback(self._hang_up)
                    if self._error is not None:
                        raise self._error
                    if now_ms is None:
                        self._timers.start()
                    else:
                        await self._timers.settle()
                    stack.pop_all()
            except (OSError, sqlite3.Error) as error:
                raise Unusable(f"{self._directory}: {error}") from error
            self._opened = Opened(self._settings.index, os.getpid(), replayed)
        return self._opened

    async def close(self) -> None:
        """Answer what has arrived, save everything, leave an empty log, and let go of the directory."""
        if self._opened is None or self._has_failed:
            return
        try:
            self._server.close()
            self._timers.cancel()
            await self._executor.close()
            await self._committer.close()
            await self._executor.drain()
            await self._flush_publisher()
            self._publisher.close()
            await self._checkpointer.close()
            self._note(is_open=False)  # before its log may be missing
            await self._log.close(through=self._state.checkpoint.applied)
            await self._state.close()
        except BaseException:
            await self.abandon()
            raise
        for connection in list(self._connections):
            connection.close()
        self._lock.release()
        self._opened = None

    async def adopt(self, catalog: Catalog) -> None:
        """Apply what follows under a newer version of the catalog; returns when the log has it, which is one fsync.

        What it gives to users who are there already comes after that; while time stands still, before this returns.
        Nothing happens if this version, or a newer one, is in force already.
        """
        if catalog.version > self._catalog.version:
            compiled = await asyncio.to_thread(compile_catalog, catalog)
            if catalog.version > self._catalog.version:
                self._change_catalog(catalog, compiled)
        await self._committer.wait(self._catalog_number)
        if isinstance(self._clock, TestClock):
            async with self._moving:
                await self._timers.settle()
                await self._flush_publisher()
        else:  # what was published under the older one must not reach a leaderboard that counts anew
            await self._flush_publisher(ADOPT_FLUSH_TIMEOUT_S)

    async def move_clock(self, now_ms: int) -> int | None:
        """Move the time that `open` has set, never back, and let everything happen that is due then.

        Returns, when that is durable, when something is due again; None if nothing is.
        """
        assert isinstance(self._clock, TestClock)
        async with self._moving:
            self._clock.move(now_ms)
            due_ms = await self._timers.settle()
            await self._flush_publisher()
            return due_ms

    async def backup(self, target: str) -> BackedUp:
        """Copy the shard into a new directory while it serves; its next checkpoint waits until all is copied.

        The copy has everything that had been answered when this was called. Raises StorageError or OSError.
        """
        directory = Path(target)
        directory.mkdir(mode=0o700)
        async with self._checkpointer.hold():
            found = BackedUp(self._settings.index, self._state.checkpoint.applied, self._committer.committed)
            await copy_databases([*self._log.paths(), self._state.path], directory)
        if self._has_failed:
            raise Unusable(f"{self._directory}: the shard was lost while it was copied")
        await finish_copy(self._directory, directory)
        return found

    def fail(self, error: BaseException) -> None:
        """Stop at once: no reply leaves any more, and nothing more is taken. The host is told why.

        While the shard is being opened there is nothing to stop yet: `open` raises the error.
        """
        if self._opened is None:
            self._error = error
        elif not self._has_failed:
            if isinstance(error, StorageError | OSError):
                self._lock.unvouch()
            self._stop()
            self._report(f"shard {self._settings.index} stops and will recover: {type(error).__name__}: {error}")

    async def abandon(self) -> None:
        """Drop everything, as a killed process would, for a host that is not a process of its own."""
        self._stop()
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._lock.leave)
            stack.enter_context(contextlib.suppress(sqlite3.Error, OSError, ValueError))
            stack.push_async_callback(self._state.close)
            stack.push_async_callback(self._log.close)
        self._opened = None

    def _stop(self) -> None:
        self._hang_up()
        for part in (self._timers, self._executor, self._committer, self._checkpointer):
            part.cancel()
        self._publisher.close()

    def _hang_up(self) -> None:
        """End every connection, also one that the loop has accepted and not handed over yet."""
        self._has_failed = True
        self._server.close()
        for connection in list(self._connections):
            connection.abort()

    async def _recover(self, stack: contextlib.AsyncExitStack) -> int:
        """Take the directory over, and bring the users to where the log ends. Returns how many commands it replayed."""
        tail = await self._take_over(stack)
        state = self._state
        applied = state.checkpoint.applied
        last = tail[-1].last if tail else applied
        if last < state.checkpoint.reached:
            raise Corrupt(
                f"{self._directory}: the log ends at command {last}, but {state.path.name} has taken commands up to "
                f"{state.checkpoint.reached} from it: its end is missing"
            )
        self._stamp.raise_to(state.checkpoint.at_ms)
        self._residents.start_ids(*await state.next_ids())
        self._residents.counters = await state.load_counters()
        try:
            self._dedupe.restore(await state.load_gateways())
        except UNDECODABLE as error:
            raise Corrupt(f"{state.path}: gateways: {error}") from error
        index = self._settings.index
        self._residents.schedule.swept_key = await state.load_swept_key()
        self._executor = Executor(index, self._residents, self._dedupe, state, self._stamp, self.fail)
        catalog = await state.load_catalog() or Catalog()
        self._executor.adopt(compile_catalog(catalog))
        for record in tail:
            catalog = await self._replay(record, catalog)
        self._committer = Committer(self._log, state.epoch, last, catalog, self.fail, self._check_owner)
        stack.callback(self._committer.cancel)
        self._publisher = self._make_publisher(applied)
        stack.callback(self._publisher.close)
        self._checkpointer = Checkpointer(
            self._residents,
            self._dedupe,
            self._committer,
            self._log,
            state,
            self._stamp,
            self.fail,
            self._publisher,
        )
        await self._checkpointer.start()
        stack.callback(self._checkpointer.cancel)
        self._publisher.start()
        for member in await state.load_forgets():
            self._publisher.forget(member)
        self._executor.start(self._committer, self._publisher)
        stack.callback(self._executor.cancel)
        self._timers = Timers(
            self._residents, self._executor, self._committer, self._checkpointer, state, self._stamp, self.fail
        )
        stack.callback(self._timers.cancel)
        self._lock.vouch()
        return last - applied

    async def _take_over(self, stack: contextlib.AsyncExitStack) -> list[Record]:
        """Lock the directory and open its files as their newest owner; returns the tail of the log."""
        self._manifest = manifest = check_shard_directory(self._directory, self._settings.data_id, self._settings.index)
        await self._take_lock()
        stack.callback(self._lock.leave)
        state_path = self._directory / STATE_NAME
        if manifest.has_state and not state_path.exists():
            raise WrongDirectory(f"{state_path}: missing; the shard's users would be lost, so restore it from a backup")
        if manifest.is_open and not any(self._directory.glob(LOG_FILES)):
            raise WrongDirectory(f"{self._directory / LOG_FILES}: missing; the shard was not closed, so it had a log")
        same_boot, is_synced = self._lock.same_boot, self._settings.durability == "commit"
        trust: Trust = "written" if same_boot else "unknown"
        self._state = await StateStore.open(self._directory, trust, must_exist=manifest.has_state)
        stack.push_async_callback(self._state.close)
        self._note(has_state=True, synced=manifest.synced and is_synced)
        self._log, tail = await Log.open(
            self._directory,
            self._state.epoch,
            self._state.checkpoint.applied,
            "FULL" if is_synced else "NORMAL",
            trust="appended" if same_boot else "synced" if manifest.synced else "unknown",
        )
        stack.push_async_callback(self._log.close)
        self._note(is_open=True, synced=is_synced)
        return tail

    async def _flush_publisher(self, timeout_s: float | None = None) -> None:
        """Let leaderboards know all that is durable; one that does not answer is not waited for."""
        self._publisher.publish((), self._committer.committed)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._publisher.flush(), FLUSH_TIMEOUT_S if timeout_s is None else timeout_s)

    def _note(self, **changes: bool) -> None:
        """Keep in the manifest what its next owner has to know of the files. Two fsyncs, if it is news."""
        changed = replace(self._manifest, **changes)
        if changed != self._manifest:
            save_shard_manifest(self._directory, changed)
            self._manifest = changed

    def _make_publisher(self, covers_from: int) -> Publisher:
        """What has changed since the last checkpoint is in the log's tail, and so published again."""
        pages = ScorePages(
            self._residents, self._state, self._committer, lambda: self._executor.compiled, len(self._settings.boards)
        )
        return Publisher(self._settings.index, self._settings.boards, covers_from, lambda n: partial(pages.find, n))

    def _check_owner(self) -> None:
        if not self._lock.is_held():
            raise Fenced(f"{self._directory}: its lock has been removed or replaced, so it may have another owner")

    async def _take_lock(self) -> None:
        deadline = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                return self._lock.acquire()
            except InUse:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(LOCK_RETRY_S)

    async def _replay(self, record: Record, catalog: Catalog) -> Catalog:
        """Apply a record again; returns the catalog that is in force after it."""
        place = f"{self._directory}: log record {record.first}"
        if record.rules != RULES_VERSION:
            raise OtherRules(
                f"{place} was written under rules {record.rules}, and this version of Plaudit has {RULES_VERSION}: "
                "start the version that wrote it once, stop it cleanly, and start this one again"
            )
        body = decode_body(record, self._directory)
        if isinstance(body, Quarantined):
            self._executor.set_aside(body.users)
            return catalog
        if isinstance(body, CatalogChange):
            self._stamp.raise_to(body.at_ms)
            self._executor.adopt(compile_catalog(body.catalog))
            return body.catalog
        number = record.first
        for entry in body.entries:
            self._stamp.raise_to(entry.at_ms)
            start = 4 * (number - record.first)
            digests = record.digests[start : start + 4 * len(entry.commands)]
            try:
                wrong = await self._executor.replay(entry, number, digests)
            except Exception as error:
                raise Corrupt(f"{place} cannot be replayed: {error!r}") from error
            if wrong is not None:
                raise Corrupt(f"{place}: replaying command {wrong} gives another state than the one that was logged")
            number += len(entry.commands)
        return catalog

    async def _adopt_first(self, catalog: Catalog) -> None:
        """Begin with this catalog; it is logged, unless it was in force when the shard was closed."""
        self._catalog = self._committer.catalog
        if catalog != self._catalog:
            self._change_catalog(catalog, compile_catalog(catalog))
        await self._committer.wait(self._catalog_number)

    def _change_catalog(self, catalog: Catalog, compiled: CompiledCatalog) -> None:
        """Log the catalog, and apply what follows under it. Commands are on one side of this or the other."""
        self._catalog_number = self._committer.next_number()
        self._committer.add_catalog(CatalogChange(self._stamp.now_ms(), catalog))
        self._executor.adopt(compiled)
        self._catalog = catalog

    def _accept(self, connection: Connection) -> "_GatewayLink":
        self._connections.add(connection)
        if self._has_failed:
            connection.abort()  # it was under way when the shard was lost
        return _GatewayLink(self._settings.index, connection, self._executor.submit, self._connections.discard)


class _GatewayLink:
    """A gateway's connection, seen from the shard (`Receiver`)."""

    def __init__(
        self,
        index: int,
        connection: Connection,
        submit: Callable[[Work], None],
        forget: Callable[[Connection], None],
    ) -> None:
        self._index = index
        self._connection = connection
        self._submit = submit
        self._forget = forget
        self._gateway: int | None = None

    def frame_received(self, payload: bytes) -> None:
        """Take a message: Hello first, then batches."""
        message = decode_to_shard(payload)
        if isinstance(message, Hello):
            if message.protocol != PROTOCOL:
                raise ValueError(f"protocol {message.protocol}; this shard speaks {PROTOCOL}")
            self._gateway = message.gateway
            self._connection.send(encode(Welcome(PROTOCOL, self._index)))
        elif self._gateway is None or not message.commands or len(message.commands) != len(message.positions):
            raise ValueError("a batch before Hello, or one that is not whole")
        else:
            self._submit(Work(self._gateway, message, self._connection.send))

    def connection_closed(self) -> None:
        """Forget the connection: replies to it are dropped, and found again when the batch is sent again."""
        self._forget(self._connection)
