"""A small shard in this process, and its supervisor: what fails is opened again, a bounded number of times."""

import asyncio
import contextlib
import functools
import itertools
import sqlite3
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from plaudit.actors import checkpoint, shard_client, user_shard
from plaudit.actors.messages import Reply
from plaudit.actors.runtime import InlineHost
from plaudit.actors.shard_client import ShardClient
from plaudit.actors.user_shard import ShardSettings, UserShard
from plaudit.engine.commands import Command
from plaudit.storage.directory import shard_directory
from plaudit.storage.errors import StorageError
from plaudit.storage.log import Log
from tests.actors.shards import DATA_ID
from tests.catalogs import study_catalog

CATALOG = study_catalog()
REFUSALS_MAX = 3
"""How often in a row a shard may refuse to open before its supervisor gives up."""
OPENINGS_MAX = 60
UNCLOSED = (StorageError, sqlite3.Error, OSError)
"""What closing a shard may raise: it will recover."""


def shrink() -> None:
    """Make everything small and at once, for the rest of this process."""
    setattr(Log, "open", functools.partial(Log.open, segment_size=900))  # noqa: B010  # for mypy, a method
    small = {
        checkpoint: {"CHECKPOINT_INTERVAL_S": 1000.0, "SLICE_USERS": 2},
        shard_client: {"RECONNECT_INTERVAL_S": 0.001},
        user_shard: {"LOCK_WAIT_S": 0.02, "LOCK_RETRY_S": 0.01},
    }
    for module, values in small.items():
        for name, value in values.items():
            assert hasattr(module, name), name
            setattr(module, name, value)


class GaveUp(Exception):
    """The shard could not be opened; says why."""


class Supervisor:
    """Keeps one shard open, and has a client of it."""

    def __init__(self, data: Path, gateway: int, note: Callable[[str, str], None]) -> None:
        self._sockets = tempfile.TemporaryDirectory(prefix="plaudit-", ignore_cleanup_errors=True)
        address = str(Path(self._sockets.name) / "s")
        self._settings = ShardSettings(0, str(shard_directory(data, 0)), DATA_ID, address)
        ticks = itertools.count(1_800_000_000_000)
        self._host = InlineHost(self._settings, self._failed, lambda: next(ticks))
        self._note = note
        self._openings = 0
        self._lock = asyncio.Lock()
        self._is_lost = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None
        self.refused: Callable[[], None] = lambda: None
        self.client = ShardClient(address, gateway)

    async def start(self) -> None:
        """Open the shard, and open it again whenever it fails. Raises GaveUp."""
        await self.shard()
        self.client.start()
        self._watch = asyncio.create_task(self._reopen())

    async def shard(self) -> UserShard:
        """The shard, open. Raises GaveUp."""
        reason = ""
        async with self._lock:
            for _ in range(REFUSALS_MAX):
                self._openings += 1
                try:
                    await self._host.open(CATALOG)
                except StorageError as error:
                    reason = str(error)
                    self._note("unopened", reason)
                    self.refused()
                    continue
                shard = self._host._shard
                if isinstance(shard, UserShard) and self._openings < OPENINGS_MAX:
                    return shard
        raise GaveUp(reason or "it opens and fails")

    async def ask(self, commands: Iterable[Command]) -> list[Reply | None]:
        """The replies to one batch; None for what is unanswered because the shard is lost for good."""
        assert self._watch is not None
        calls = [self.client.call(command) for command in commands]
        waiting: set[asyncio.Future[Any]] = set(calls)
        while waiting and not self._watch.done():
            await asyncio.wait((*waiting, self._watch), return_when=asyncio.FIRST_COMPLETED)
            waiting = {call for call in waiting if not call.done()}
        return [call.result() if call.done() else None for call in calls]

    async def save(self) -> None:
        """A checkpoint; one that fails ends the shard, as if it had run by itself."""
        shard = await self.shard()
        try:
            await shard._checkpointer.run_once()
        except Exception as error:  # noqa: BLE001  # as Checkpointer does
            shard.fail(error)

    def kill(self) -> None:
        """Lose the shard."""
        self._host.kill()

    async def restart(self) -> None:
        """Close the shard cleanly, and open it again. Raises GaveUp."""
        async with self._lock:
            await self._close_host()
        await self.shard()

    def check(self) -> None:
        """Raise GaveUp if the shard is lost for good."""
        if self._watch is not None and self._watch.done():
            self._watch.result()

    async def close(self) -> bool:
        """Let go of everything; returns whether the shard was closed cleanly."""
        await self.client.close()
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError, GaveUp):
                await self._watch
        is_clean = await self._close_host()
        self._sockets.cleanup()
        return is_clean

    async def _close_host(self) -> bool:
        try:
            await self._host.close()
        except UNCLOSED as error:
            self._note("unclosed", f"{type(error).__name__}: {error}")
            return False
        return True

    async def _reopen(self) -> None:
        while True:
            await self._is_lost.wait()
            self._is_lost.clear()
            await self.shard()

    def _failed(self, reason: str) -> None:
        self._note("report", reason)
        self._is_lost.set()
