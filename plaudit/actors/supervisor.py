"""Keeps every shard open: whoever dies is opened again as soon as its host answers."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from plaudit.actors.clock import Clock
from plaudit.actors.runtime import HostLost, ShardHost
from plaudit.actors.transport import Connection, connect
from plaudit.actors.user_shard import Opened, ShardSettings
from plaudit.engine.catalog import Catalog
from plaudit.storage.errors import StorageError
from plaudit.storage.files import take_failure

LOST_RETRY_S = 0.05
STORAGE_RETRY_S = 2.0
HOST_LOST_MAX_S = 60.0
CLOSE_TIMEOUT_S = 60.0

LOG = logging.getLogger(__name__)


class Supervisor:
    """Opens shards and watches them by a connection of its own.

    With a `test_clock`, a shard is opened at its time. `give_up` is called if a shard cannot be opened again for
    another reason than its storage: its runtime is gone.
    """

    def __init__(
        self,
        hosts: Sequence[tuple[ShardSettings, ShardHost]],
        catalog: Callable[[], Catalog],
        give_up: Callable[[str], None],
        test_clock: Clock | None = None,
    ) -> None:
        self._hosts = hosts
        self._catalog = catalog
        self._test_clock = test_clock
        self._openings = [asyncio.Lock() for _ in hosts]
        """Held while a shard is being opened, with the catalog of that moment."""
        self._give_up = give_up
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, on_open: Callable[[Opened], None]) -> None:
        """Open all shards at the same time, and watch them from then on. Raises an ExceptionGroup of StorageError."""
        async with asyncio.TaskGroup() as group:
            for settings, host in self._hosts:
                group.create_task(self._open_first(settings, host, on_open))
        self._tasks = [asyncio.create_task(self._watch(settings, host)) for settings, host in self._hosts]
        for task in self._tasks:
            task.add_done_callback(self._watch_ended)

    def _watch_ended(self, task: asyncio.Task[None]) -> None:
        """A watch never ends by itself: whatever ended it, its shard has nobody to open it again."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._give_up(f"a shard cannot be opened again: {error!r}")

    async def adopt(self) -> None:
        """Have every shard that is open adopt the catalog in force; the others will when they are opened.

        When this returns, no event meets an older one any more. Call it after each change, one call at a time. Raises
        what the first shard raised that could not, when all have answered.
        """
        adoptions = (self._have_adopted(settings, host) for settings, host in self._hosts)
        results = await asyncio.gather(*adoptions, return_exceptions=True)
        for error in results:
            if error is not None:
                raise error

    async def _have_adopted(self, settings: ShardSettings, host: ShardHost) -> None:
        async with self._openings[settings.index]:  # one that is being opened may have been given an older one
            with contextlib.suppress(HostLost):
                await host.adopt(self._catalog())

    async def stop(self) -> list[str]:
        """Stop watching, and close all shards cleanly. Returns what went wrong with those that could not be."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        closings = await asyncio.gather(
            *(asyncio.wait_for(host.close(), CLOSE_TIMEOUT_S) for _, host in self._hosts), return_exceptions=True
        )
        return [
            f"shard {settings.index} could not be closed and will recover from its log: {closing!r}"
            for (settings, _), closing in zip(self._hosts, closings, strict=True)
            if isinstance(closing, BaseException)
        ]

    async def _open_first(self, settings: ShardSettings, host: ShardHost, on_open: Callable[[Opened], None]) -> None:
        on_open(await self._ask_open(settings, host))

    async def _ask_open(self, settings: ShardSettings, host: ShardHost) -> Opened:
        deadline = asyncio.get_running_loop().time() + HOST_LOST_MAX_S
        while True:
            try:
                async with self._openings[settings.index]:
                    return await host.open(self._catalog(), self._test_clock() if self._test_clock else None)
            except HostLost:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(LOST_RETRY_S)

    async def _watch(self, settings: ShardSettings, host: ShardHost) -> None:
        while True:
            watch = _Watch()
            try:
                await connect(settings.address, watch.accept)
                await watch.closed.wait()
            except OSError:
                await asyncio.sleep(LOST_RETRY_S)
            reason = take_failure(Path(settings.directory)) or "its process ended"
            LOG.warning("shard %d was lost (%s); opening it again", settings.index, reason)
            opened = await self._reopen(settings, host)
            LOG.warning("shard %d is open again, with %d commands replayed", settings.index, opened.replayed)

    async def _reopen(self, settings: ShardSettings, host: ShardHost) -> Opened:
        while True:
            try:
                return await self._ask_open(settings, host)
            except StorageError as error:
                LOG.error("shard %d cannot open: %s", settings.index, error)  # noqa: TRY400  # it says it all
                await asyncio.sleep(STORAGE_RETRY_S)


class _Watch:
    """A connection that says nothing and notices its end (`Receiver`)."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()

    def accept(self, connection: Connection) -> "_Watch":
        return self

    def frame_received(self, payload: bytes) -> None:
        raise ValueError(f"a frame of {len(payload)} bytes for nobody")

    def connection_closed(self) -> None:
        self.closed.set()
