"""Where shard actors run: the interface that every runtime has, and the one that needs nothing.

A `ShardHost` is a place for one shard: the actor in it may be lost and opened again, the host stays.
"""

from collections.abc import Callable
from typing import Protocol

from plaudit.actors.clock import Clock, system_clock
from plaudit.actors.user_shard import Opened, ShardSettings, UserShard
from plaudit.engine.catalog import Catalog
from plaudit.storage.backup import BackedUp


class HostLost(Exception):
    """The actor was not there to answer; it is being started again, and may be asked again."""


class ShardHost(Protocol):
    """One shard's place."""

    async def open(self, catalog: Catalog) -> Opened:
        """Open the shard; if it is open, say so again. Raises StorageError, or HostLost: ask again."""

    async def close(self) -> None:
        """Close the shard cleanly. Raises HostLost if it could not be asked."""

    async def backup(self, target: str) -> BackedUp:
        """See `UserShard.backup`. Cancelled, it has ended when this returns. Raises StorageError, or HostLost."""


class Runtime(Protocol):
    """Starts shard actors and hands out their hosts."""

    async def start(self) -> None:
        """Get ready to host. Takes seconds where processes have to be started."""

    async def host(self, settings: ShardSettings) -> ShardHost:
        """A host for one shard; the shard is not open yet."""

    def find_failure(self) -> str | None:
        """Why nothing can be hosted any more; None while all is well. Cheap: asked every second."""

    async def stop(self) -> None:
        """Leave nothing running. The shards must have been closed."""


class InlineHost:
    """Hosts a shard in this process, on the running loop. A shard that fails is replaced by the next `open`."""

    def __init__(self, settings: ShardSettings, report: Callable[[str], None], clock: Clock = system_clock) -> None:
        self._settings = settings
        self._report = report
        self._clock = clock
        self._shard: UserShard | None = None
        self._failed: UserShard | None = None

    async def open(self, catalog: Catalog) -> Opened:
        """See `ShardHost`."""
        await self._clear_away()
        if self._shard is not None:
            return await self._shard.open(catalog)
        shard = UserShard(self._settings, self._clock, self._fail)
        opened = await shard.open(catalog)
        self._shard = shard
        return opened

    async def close(self) -> None:
        """See `ShardHost`."""
        shard, self._shard = self._shard, None
        if shard is not None:
            await shard.close()
        await self._clear_away()

    async def backup(self, target: str) -> BackedUp:
        """See `ShardHost`."""
        if self._shard is None:
            raise HostLost(f"shard {self._settings.index} is not open")
        return await self._shard.backup(target)

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
        self._report(reason)


class InlineRuntime:
    """Hosts every shard in the server's process: for tests, laptops and the smallest deployments."""

    def __init__(self, report: Callable[[str], None], clock: Clock = system_clock) -> None:
        self._report = report
        self._clock = clock

    async def start(self) -> None:
        """See `Runtime`."""

    async def host(self, settings: ShardSettings) -> InlineHost:
        """See `Runtime`."""
        return InlineHost(settings, self._report, self._clock)

    def find_failure(self) -> str | None:
        """See `Runtime`."""
        return None

    async def stop(self) -> None:
        """See `Runtime`."""
