"""A shard that can be killed at any moment, for the model: real files, a real socket, tiny limits."""

import asyncio
import contextlib
import itertools
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from plaudit.actors import checkpoint, event_log, shard_client
from plaudit.actors.checkpoint import Checkpointer
from plaudit.actors.messages import Reply
from plaudit.actors.runtime import InlineHost
from plaudit.actors.shard_client import ShardClient
from plaudit.actors.user_shard import UserShard
from plaudit.engine.catalog import Catalog
from plaudit.engine.commands import Command
from plaudit.storage import key_index, snapshots, state
from plaudit.storage.log import Log
from plaudit.storage.segment import Segment
from plaudit.storage.state import StateStore
from tests.actors.conftest import MEMORY
from tests.actors.shards import make_settings
from tests.engine.builders import CREATED_MS
from tests.storage.builders import copy_as_killed

USERS_MAX = 2
TRIPS: dict[str, tuple[type[Any], str]] = {
    "state": (StateStore, "_write"),
    "finish": (StateStore, "finish_checkpoint"),
    "purge": (StateStore, "purge"),
    "append": (Segment, "append"),
    "recover": (Segment, "copy_in"),
    "remove": (Segment, "remove"),
    "switch": (Log, "start_segment"),
    "cut": (Log, "cut"),
}
"""What a kill can come before or after."""


class Killed(Exception):
    """What runs on in a shard after the moment at which it was killed."""


class World:
    """One shard on one directory after the other: a kill leaves a copy of the last one. For one event loop."""

    def __init__(self) -> None:
        self._patches = pytest.MonkeyPatch()
        self._scratch = Path(tempfile.mkdtemp(prefix="p-", dir=MEMORY if MEMORY.is_dir() else None))
        self._settings = replace(make_settings(self._scratch / "data", self._scratch), users_max=USERS_MAX)
        self._copies = itertools.count(1)
        self._gateways = itertools.count(1)
        self.trip: tuple[str, int] | None = None
        self._is_killed = asyncio.Event()
        self._make_everything_tiny()
        self.now_ms = CREATED_MS
        self.kills = 0
        self.host = InlineHost(self._settings, lambda reason: None, lambda: self.now_ms)
        self.client: ShardClient

    def _make_everything_tiny(self) -> None:
        patch = self._patches.setattr
        patch(checkpoint, "SLICE_USERS", 2)
        patch(key_index, "LEVEL_KEYS_MAX", (2, 4, 8))
        patch(key_index, "MOVE_KEYS_MAX", 2)
        patch(snapshots, "SLOTS_MIN", 4)
        patch(state, "WAL_BYTES_MAX", 1)
        patch(event_log, "CHAIN_CHUNKS", 2)
        patch(event_log, "SCAN_CHUNKS", 2)
        patch(shard_client, "BATCH_COMMANDS_MAX", 4)
        patch(shard_client, "RECONNECT_INTERVAL_S", 0.001)
        patch(Checkpointer, "_run", lambda checkpointer: asyncio.Event().wait())  # checkpoints are steps of the model
        make_log = Log.__init__

        def make_small_log(log: Log, directory: Path, epoch: int, synchronous: Any, _: int) -> None:
            make_log(log, directory, epoch, synchronous, 600)

        patch(Log, "__init__", make_small_log)
        for name, (owner, method) in TRIPS.items():
            patch(owner, method, self._tripping(name, getattr(owner, method)))

    def _tripping(self, name: str, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def trip_or_pass(*args: Any, **kwargs: Any) -> Any:
            self._pass(name)
            result = await method(*args, **kwargs)
            self._pass(name)
            return result

        return trip_or_pass

    def _pass(self, name: str) -> None:
        """The trip says how many times a place is passed: on the way in, on the way out, on the next way in..."""
        if self.trip is not None and self.trip[0] == name:
            left = self.trip[1] - 1
            self.trip = (name, left) if left >= 0 else None
            if left < 0:
                self.kill()
                raise Killed

    def kill(self) -> None:
        """Take the shard away, and keep what is on its disk at this moment."""
        copy = self._scratch / f"copy-{next(self._copies)}"
        copy_as_killed(Path(self._settings.directory), copy)
        self._settings = replace(self._settings, directory=str(copy))
        self.host.kill()
        self.kills += 1
        self._is_killed.set()

    def lose(self) -> None:
        """Take the shard away, and leave its files where they are."""
        self.host.kill()
        self._is_killed.set()

    async def open(self, catalog: Catalog) -> None:
        """Open the shard, on the copy if it was killed; again, if that kills it."""
        while True:
            self._is_killed.clear()
            with contextlib.suppress(Killed):
                await self.host.close()
                self.host = InlineHost(self._settings, lambda reason: None, lambda: self.now_ms)
                await self.host.open(catalog)
            if not self._is_killed.is_set():
                return

    async def reopen(self, catalog: Catalog) -> None:
        """Close the shard cleanly, unless it has been killed, and open it."""
        await self.open(catalog)
        self.trip = None

    async def start(self, catalog: Catalog) -> None:
        """Open the shard, and connect."""
        await self.open(catalog)
        self.client = await self.connect()

    async def connect(self) -> ShardClient:
        """A gateway that nobody has seen before."""
        client = ShardClient(self._settings.address, next(self._gateways))
        client.start()
        await client.wait_connected()
        return client

    async def call(
        self,
        catalog: Catalog,
        calls: Sequence[tuple[ShardClient, Command]],
        trip: tuple[str, int] | None = None,
        *,
        turns: int | None = None,
        with_checkpoint: bool = False,
    ) -> list[Reply]:
        """Send commands at the same time, and see that they are answered, whatever happens to the shard.

        It is killed where `trip` says, and after so many turns of the loop.
        """
        self.trip = trip
        futures = [client.call(command) for client, command in calls]
        answers = asyncio.gather(*futures)
        saving = asyncio.create_task(self.checkpoint()) if with_checkpoint else None
        if turns is not None:
            await take_turns(turns)
            self.kill()
        while not answers.done():
            killed = asyncio.create_task(self._is_killed.wait())
            await asyncio.wait((answers, killed), return_when=asyncio.FIRST_COMPLETED)
            killed.cancel()
            if self._is_killed.is_set():
                await self.open(catalog)
        if saving is not None:
            await saving
        await self.recover(catalog)
        return await answers

    async def send_and_kill(self, client: ShardClient, commands: Sequence[Command], turns: int) -> None:
        """Send commands, and take both sides away before anybody knows what became of them."""
        futures = [client.call(command) for command in commands]
        await take_turns(turns)
        self.kill()
        await client.close()
        await asyncio.gather(*futures, return_exceptions=True)

    async def checkpoint(self) -> None:
        """Save everything now, unless the shard is killed meanwhile."""
        if self._is_killed.is_set():
            return
        kills = self.kills
        saving = asyncio.create_task(self.shard._checkpointer.run_once())
        killed = asyncio.create_task(self._is_killed.wait())
        await asyncio.wait((saving, killed), return_when=asyncio.FIRST_COMPLETED)
        killed.cancel()
        saving.cancel()
        [result] = await asyncio.gather(saving, return_exceptions=True)
        if isinstance(result, BaseException) and self.kills == kills:
            raise result

    async def checkpoint_until_killed(self, catalog: Catalog, trip: tuple[str, int] | None) -> None:
        """A checkpoint during which the shard may be killed."""
        self.trip = trip
        await self.checkpoint()
        await self.recover(catalog)

    async def recover(self, catalog: Catalog) -> None:
        """Open the shard again, if it has been killed; nothing kills it any more."""
        if self._is_killed.is_set():
            await self.open(catalog)
        self.trip = None

    @property
    def shard(self) -> UserShard:
        assert isinstance(self.host._shard, UserShard)
        return self.host._shard

    @property
    def directory(self) -> Path:
        return Path(self._settings.directory)

    async def stop(self) -> None:
        """End everything; nothing stays on disk."""
        self.trip = None
        try:
            await self.client.close()
            await self.host.close()
        finally:
            self._patches.undo()
            shutil.rmtree(self._scratch)


async def take_turns(turns: int) -> None:
    """Let the loop go round."""
    for _ in range(turns):
        await asyncio.sleep(0)
