"""Where shard actors run: the interface that every runtime has, and the one that needs nothing.

A `ShardHost` is a place for one shard, of users or of leaderboards: the actor in it may be lost and opened again, the
host stays. What the settings are of is what is hosted.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Protocol, TypeVar

from plaudit.actors.clock import Clock, system_clock
from plaudit.actors.leaderboard_shard import LeaderboardSettings, LeaderboardShard
from plaudit.actors.user_shard import Opened, ShardSettings, UserShard
from plaudit.engine.catalog import Catalog
from plaudit.storage.backup import BackedUp

Result = TypeVar("Result")
AnySettings = ShardSettings | LeaderboardSettings
AnyShard = UserShard | LeaderboardShard


def name_of(settings: AnySettings) -> str:
    """What to call a shard when its operator is told of it."""
    kind = "leaderboard shard" if isinstance(settings, LeaderboardSettings) else "shard"
    return f"{kind} {settings.index}"


class HostLost(Exception):
    """The actor was not there to answer; it is being started again, and may be asked again."""


class ShardHost(Protocol):
    """One shard's place."""

    async def open(self, catalog: Catalog, now_ms: int | None = None) -> Opened:
        """See `UserShard.open`. Raises StorageError, or HostLost: ask again."""

    async def close(self) -> None:
        """Close the shard cleanly. Raises HostLost if it could not be asked."""

    async def adopt(self, catalog: Catalog) -> None:
        """See `UserShard.adopt`. Raises HostLost if the shard is not open, or was lost before it had answered."""

    async def move_clock(self, now_ms: int) -> int | None:
        """See `UserShard.move_clock`. Raises HostLost as `adopt` does."""

    async def backup(self, target: str) -> BackedUp:
        """See `UserShard.backup`. Cancelled, it has ended when this returns. Raises StorageError, or HostLost."""


class Runtime(Protocol):
    """Starts shard actors and hands out their hosts."""

    async def start(self) -> None:
        """Get ready to host. Takes seconds where processes have to be started."""

    async def host(self, settings: AnySettings) -> ShardHost:
        """A host for one shard; the shard is not open yet."""

    def find_failure(self) -> str | None:
        """Why nothing can be hosted any more; None while all is well. Cheap: asked every second."""

    async def stop(self) -> None:
        """Leave nothing running. The shards must have been closed."""


class InlineHost:
    """Hosts a shard in this process, on the running loop. A shard that fails is replaced by the next `open`."""

    def __init__(self, settings: AnySettings, report: Callable[[str], None], clock: Clock = system_clock) -> None:
        self._settings = settings
        self._report = report
        self._clock = clock
        self._shard: AnyShard | None = None
        self._failed: AnyShard | None = None
        self._lost = asyncio.Event()
        """Set when the shard is lost that was open last."""

    async def open(self, catalog: Catalog, now_ms: int | None = None) -> Opened:
        """See `ShardHost`."""
        await self._clear_away()
        if self._shard is not None:
            return await self._shard.open(catalog)
        shard = self._make()
        opened = await shard.open(catalog, now_ms)
        self._shard, self._lost = shard, asyncio.Event()
        return opened

    async def close(self) -> None:
        """See `ShardHost`."""
        shard, self._shard = self._shard, None
        if shard is not None:
            await shard.close()
        await self._clear_away()

    async def adopt(self, catalog: Catalog) -> None:
        """See `ShardHost`."""
        await self._ask(lambda shard: shard.adopt(catalog))

    async def move_clock(self, now_ms: int) -> int | None:
        """See `ShardHost`."""
        return await self._ask(lambda shard: shard.move_clock(now_ms))

    async def backup(self, target: str) -> BackedUp:
        """See `ShardHost`."""
        if self._shard is None:
            raise HostLost(f"{name_of(self._settings)} is not open")
        return await self._shard.backup(target)

    def _make(self) -> AnyShard:
        if isinstance(self._settings, LeaderboardSettings):
            return LeaderboardShard(self._settings, self._clock, self._fail)
        return UserShard(self._settings, self._clock, self._fail)

    async def _ask(self, ask: Callable[[AnyShard], Coroutine[None, None, Result]]) -> Result:
        """What the shard answers; a shard that is lost meanwhile may never do."""
        if self._shard is None:
            raise HostLost(f"{name_of(self._settings)} is not open")
        lost = self._lost
        asking, losing = asyncio.create_task(ask(self._shard)), asyncio.create_task(lost.wait())
        try:
            await asyncio.wait((asking, losing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (asking, losing):
                task.cancel()
            await asyncio.wait((asking, losing))
        if lost.is_set():
            raise HostLost(f"{name_of(self._settings)} was lost before it had answered")
        return asking.result()

    async def _clear_away(self) -> None:
        """Let go of what a shard that failed still holds."""
        if self._failed is not None:
            failed, self._failed = self._failed, None
            await failed.abandon()

    def kill(self) -> None:
        """Lose the shard as if its process had been killed. For tests."""
        if self._shard is not None:
            self._shard.fail(RuntimeError("killed"))

    def _fail(self, reason: str) -> None:
        self._failed, self._shard = self._shard, None
        self._lost.set()
        self._report(reason)


class InlineRuntime:
    """Hosts every shard in the server's process: for tests, laptops and the smallest deployments."""

    def __init__(self, report: Callable[[str], None], clock: Clock = system_clock) -> None:
        self._report = report
        self._clock = clock

    async def start(self) -> None:
        """See `Runtime`."""

    async def host(self, settings: AnySettings) -> InlineHost:
        """See `Runtime`."""
        return InlineHost(settings, self._report, self._clock)

    def find_failure(self) -> str | None:
        """See `Runtime`."""
        return None

    async def stop(self) -> None:
        """See `Runtime`."""
