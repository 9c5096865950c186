"""Keeps every shard open: whoever dies is opened again as soon as its host answers."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from plaudit.actors.clock import Clock
from plaudit.actors.leaderboard_shard import LeaderboardSettings
from plaudit.actors.runtime import AnySettings, HostLost, ShardHost, name_of
from plaudit.actors.transport import Connection, connect
from plaudit.actors.user_shard import Opened
from plaudit.engine.catalog import Catalog
from plaudit.storage.errors import StorageError
from plaudit.storage.files import take_failure

LOST_RETRY_S = 0.05
STORAGE_RETRY_S = 2.0
HOST_LOST_MAX_S = 60.0
CLOSE_TIMEOUT_S = 60.0

LOG = logging.getLogger(__name__)


class Supervisor:
    """Opens shards, of users and of leaderboards, and watches them by a connection of its own.

    With a `test_clock`, a shard is opened at its time. `give_up` is called if a shard cannot be opened again for
    another reason than its storage: its runtime is gone.
    """

    def __init__(
        self,
        hosts: Sequence[tuple[AnySettings, ShardHost]],
        catalog: Callable[[], Catalog],
        give_up: Callable[[str], None],
        test_clock: Clock | None = None,
    ) -> None:
        kept = [_Kept(settings, host) for settings, host in hosts]
        self._users = [each for each in kept if not isinstance(each.settings, LeaderboardSettings)]
        self._boards = [each for each in kept if isinstance(each.settings, LeaderboardSettings)]
        self._catalog = catalog
        self._test_clock = test_clock
        self._give_up = give_up
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, on_open: Callable[[Opened], None]) -> None:
        """Open all shards at the same time, and watch them from then on. Raises an ExceptionGroup of StorageError."""
        everyone = [*self._users, *self._boards]
        async with asyncio.TaskGroup() as group:
            for kept in everyone:
                group.create_task(self._open_first(kept, on_open))
        self._tasks = [asyncio.create_task(self._watch(kept)) for kept in everyone]
        for task in self._tasks:
            task.add_done_callback(self._watch_ended)

    def _watch_ended(self, task: asyncio.Task[None]) -> None:
        """A watch never ends by itself: whatever ended it, its shard has nobody to open it again."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._give_up(f"a shard cannot be opened again: {error!r}")

    async def adopt(self) -> None:
        """Have every shard that is open adopt the catalog in force; the others will when they are opened.

        When this returns, no event meets an older one any more. Call it after each change, one call at a time. Shards
        of users come first: what a leaderboard shard asks them for, they know of already. Raises what the first shard
        raised that could not, when all have answered.
        """
        results: list[BaseException | None] = []
        for group in (self._users, self._boards):
            results += await asyncio.gather(*(self._have_adopted(kept) for kept in group), return_exceptions=True)
        for error in results:
            if error is not None:
                raise error

    async def _have_adopted(self, kept: "_Kept") -> None:
        async with kept.opening:  # one that is being opened may have been given an older one
            with contextlib.suppress(HostLost):
                await kept.host.adopt(self._catalog())

    async def stop(self) -> list[str]:
        """Stop watching, and close all shards cleanly. Returns what went wrong with those that could not be.

        Shards of users come first, so that leaderboard shards are there for the last of what they publish.
        """
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return [*await _close(self._users), *await _close(self._boards)]

    async def _open_first(self, kept: "_Kept", on_open: Callable[[Opened], None]) -> None:
        on_open(await self._ask_open(kept))

    async def _ask_open(self, kept: "_Kept") -> Opened:
        deadline = asyncio.get_running_loop().time() + HOST_LOST_MAX_S
        while True:
            try:
                async with kept.opening:
                    return await kept.host.open(self._catalog(), self._test_clock() if self._test_clock else None)
            except HostLost:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(LOST_RETRY_S)

    async def _watch(self, kept: "_Kept") -> None:
        name = name_of(kept.settings)
        while True:
            watch = _Watch()
            try:
                await connect(kept.settings.address, watch.accept)
                await watch.closed.wait()
            except OSError:
                await asyncio.sleep(LOST_RETRY_S)
            reason = take_failure(Path(kept.settings.directory)) or "its process ended"
            LOG.warning("%s was lost (%s); opening it again", name, reason)
            opened = await self._reopen(kept)
            LOG.warning("%s is open again, with %d commands replayed", name, opened.replayed)

    async def _reopen(self, kept: "_Kept") -> Opened:
        while True:
            try:
                return await self._ask_open(kept)
            except StorageError as error:
                LOG.error("%s cannot open: %s", name_of(kept.settings), error)  # noqa: TRY400  # it says it all
                await asyncio.sleep(STORAGE_RETRY_S)


class _Kept:
    """A shard that is kept open."""

    def __init__(self, settings: AnySettings, host: ShardHost) -> None:
        self.settings = settings
        self.host = host
        self.opening = asyncio.Lock()
        """Held while the shard is being opened, with the catalog of that moment."""


async def _close(group: Sequence[_Kept]) -> list[str]:
    """Close these shards at the same time. Returns what went wrong."""
    closings = await asyncio.gather(
        *(asyncio.wait_for(kept.host.close(), CLOSE_TIMEOUT_S) for kept in group), return_exceptions=True
    )
    return [
        f"{name_of(kept.settings)} could not be closed and will recover when it is opened: {closing!r}"
        for kept, closing in zip(group, closings, strict=True)
        if isinstance(closing, BaseException)
    ]


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
