"""The actor that hosts leaderboards: who is where on them, derived from what user shards publish."""

import asyncio
import contextlib
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from plaudit.actors.board_answers import BoardAnswers
from plaudit.actors.board_keeper import BoardKeeper
from plaudit.actors.board_link import BoardLinks
from plaudit.actors.board_runs import BoardRuns
from plaudit.actors.clock import Clock, Stamp, TestClock
from plaudit.actors.transport import listen
from plaudit.actors.user_shard import LOCK_RETRY_S, LOCK_WAIT_S, Opened
from plaudit.engine.catalog import Catalog
from plaudit.storage import board_finals, board_snapshots
from plaudit.storage.backup import BackedUp, finish_copy
from plaudit.storage.board_store import FILE_NAME, BoardStore
from plaudit.storage.directory import check_leaderboard_directory, save_shard_manifest
from plaudit.storage.errors import InUse, StorageError, Unusable, WrongDirectory
from plaudit.storage.files import DirectoryLock
from plaudit.storage.wal import Trust

AGAIN_S = 1.0
"""After how long a user shard is asked again that could not be complete."""
AGAIN_STANDING_S = 0.05
"""The same while time stands still: somebody may wait for it to move on."""


class LeaderboardSettings(Struct, frozen=True):
    """Which leaderboard shard an actor is, and where."""

    index: int
    directory: str
    data_id: str
    address: str
    """The path of the socket that it serves."""
    shards: int
    """How many leaderboard shards there are."""
    user_shards: int


class LeaderboardShard:
    """Hosts the runs of leaderboards that fall to one shard. It has the interface of `UserShard`.

    What can be derived is in memory only: after `open`, user shards connect and are asked for everything, and what a
    run is asked for waits until all have said it. What cannot, snapshots of days and final rankings, is durable when it
    can first be seen. `fail` is called, once and last, when the storage cannot be relied on.
    """

    def __init__(self, settings: LeaderboardSettings, clock: Clock, fail: Callable[[str], None]) -> None:
        self._settings = settings
        self._clock = clock
        self._report = fail
        self._directory = Path(settings.directory)
        self._lock = DirectoryLock(self._directory)
        self._opened: Opened | None = None
        self._has_failed = False
        self._error: BaseException | None = None
        self._catalog = Catalog()
        self._store: BoardStore
        self._runs: BoardRuns
        self._keeper: BoardKeeper
        self._links: BoardLinks
        self._server: asyncio.AbstractServer

    async def open(self, catalog: Catalog, now_ms: int | None = None) -> Opened:
        """Take the directory, adopt the catalog, and serve. One that is open already adopts it and says the same again.

        With `now_ms`, time stands still there until `move_clock`. Does not wait for user shards. Raises StorageError if
        the directory cannot be trusted; then nothing is held.
        """
        if self._opened is not None:
            await self.adopt(catalog)
            return self._opened
        if now_ms is not None:
            self._clock = TestClock(now_ms)
        try:
            async with contextlib.AsyncExitStack() as stack:
                await self._take_over(stack)
                await self._start(catalog, stack)
                stack.pop_all()
        except (OSError, sqlite3.Error) as error:
            raise Unusable(f"{self._directory}: {error}") from error
        self._opened = Opened(self._settings.index, os.getpid(), 0)
        return self._opened

    async def close(self) -> None:
        """Stop serving, and let go of the directory. What is being written down is abandoned, and done anew later."""
        if self._opened is None or self._has_failed:
            return
        try:
            self._stop()
            await self._keeper.close()
            await self._store.close()
        except BaseException:
            await self.abandon()
            raise
        self._lock.release()
        self._opened = None

    async def adopt(self, catalog: Catalog) -> None:
        """Go by a newer version of the catalog. What it needs from user shards is asked for, and not waited for.

        Nothing happens if this version, or a newer one, is in force already.
        """
        if catalog.version > self._catalog.version:
            self._catalog = catalog
            self._runs.adopt(catalog)

    async def move_clock(self, now_ms: int) -> int | None:
        """Move the time that `open` has set, never back, and let everything happen that is due then.

        Returns, when that is durable, when something is due again; None if nothing is. It waits until the scores of all
        users are in, so user shards have to be open, and at that time.
        """
        assert isinstance(self._clock, TestClock)
        self._clock.move(now_ms)
        return await self._keeper.settle()

    async def backup(self, target: str) -> BackedUp:
        """Copy what cannot be derived into a new directory. Cancelled, it has ended when this returns.

        Raises StorageError or OSError.
        """
        directory = Path(target)
        directory.mkdir(mode=0o700)
        copying = asyncio.create_task(self._store.backup(directory / FILE_NAME))
        try:
            await asyncio.shield(copying)
        except asyncio.CancelledError:
            await asyncio.wait([copying])
            raise
        if self._has_failed:
            raise Unusable(f"{self._directory}: the shard was lost while it was copied")
        await finish_copy(self._directory, directory)
        return BackedUp(self._settings.index)

    def fail(self, error: BaseException) -> None:
        """Stop at once: nothing is answered any more. The host is told why.

        While the shard is being opened there is nothing to stop yet: `open` raises the error.
        """
        if self._opened is None:
            self._error = error
        elif not self._has_failed:
            self._has_failed = True
            if isinstance(error, StorageError | OSError):
                self._lock.unvouch()
            self._stop()
            reason = f"{type(error).__name__}: {error}"
            self._report(f"leaderboard shard {self._settings.index} stops and will recover: {reason}")

    async def abandon(self) -> None:
        """Drop everything, as a killed process would, for a host that is not a process of its own."""
        self._has_failed = True
        self._stop()
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._lock.leave)
            stack.enter_context(contextlib.suppress(StorageError, sqlite3.Error, OSError, ValueError))
            stack.push_async_callback(self._store.close)
            stack.push_async_callback(self._keeper.close)
        self._opened = None

    def _stop(self) -> None:
        self._server.close()
        self._links.abort()
        self._runs.sources.close()
        self._keeper.cancel()

    async def _take_over(self, stack: contextlib.AsyncExitStack) -> None:
        """Lock the directory and open its file."""
        settings, directory = self._settings, self._directory
        manifest = check_leaderboard_directory(directory, settings.data_id, settings.index)
        await self._take_lock()
        stack.callback(self._lock.leave)
        path = directory / FILE_NAME
        if manifest.has_state and not path.exists():
            raise WrongDirectory(f"{path}: missing; final rankings would be lost, so restore it from a backup")
        trust: Trust = "written" if self._lock.same_boot else "synced"
        self._store = await BoardStore.open(directory, trust, must_exist=manifest.has_state)
        stack.push_async_callback(self._store.close)
        if not manifest.has_state:
            save_shard_manifest(directory, replace(manifest, has_state=True))
        self._lock.vouch()

    async def _start(self, catalog: Catalog, stack: contextlib.AsyncExitStack) -> None:
        """Begin with this catalog and with what has been written down, and serve."""
        settings, stands_still = self._settings, isinstance(self._clock, TestClock)
        stamp = Stamp(self._clock)
        again_s = AGAIN_STANDING_S if stands_still else AGAIN_S
        self._catalog = catalog
        self._runs = BoardRuns(settings.index, settings.shards, settings.user_shards, again_s, stamp)
        finals = await self._store.query(board_finals.final_runs)
        self._runs.start(catalog, finals, await self._store.query(board_snapshots.snapshot_runs))
        stack.callback(self._runs.sources.close)
        self._keeper = BoardKeeper(self._runs, self._store, stamp, self.fail)
        stack.push_async_callback(self._keeper.close)
        answers = BoardAnswers(self._runs, self._store, stamp)
        self._links = BoardLinks(settings.index, self._runs, self._keeper, answers, self.fail)
        self._server = await listen(settings.address, self._links.accept)
        stack.callback(self._links.abort)
        stack.callback(self._server.close)
        self._keeper.start(stands_still=stands_still)
        if self._error is not None:
            raise self._error

    async def _take_lock(self) -> None:
        """Take the directory's lock; a predecessor that is still dying is waited for. Raises InUse."""
        deadline = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                return self._lock.acquire()
            except InUse:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(LOCK_RETRY_S)
