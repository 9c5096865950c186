"""A shard whose time stands still until a test moves it, and everything that it knows of times."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec

from plaudit.actors.messages import Reply
from plaudit.actors.runtime import InlineHost
from plaudit.actors.shard_client import ShardClient
from plaudit.actors.user_shard import ShardSettings, UserShard
from plaudit.engine.catalog import Catalog, FreezeSettings, StreakSettings
from plaudit.engine.commands import Advance, Command, ReadStreak, UserKey
from plaudit.engine.snapshot import decode_user, encode_user
from plaudit.engine.user import User
from plaudit.storage.errors import Corrupt
from plaudit.storage.records import Events, decode_body
from tests.actors.shards import CATALOG, shard_in
from tests.engine.builders import CREATED_MS, instant

_GATEWAYS = itertools.count(1)
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
NOON_MS = instant("2099-03-02T12:00")
"""A Monday to which the machine's clock will not come."""


def with_freezes(version: int, every: int | None = 2, most: int = 3) -> Catalog:
    """The catalog of the tests with freezes, earned every so many days."""
    settings = FreezeSettings(
        start_count=0,
        max_count=most,
        auto_earn_interval=every,
        auto_earn_amount=None if every is None else 1,
        since_ms=CREATED_MS,
    )
    return msgspec.structs.replace(CATALOG, version=version, streaks=StreakSettings(freezes=settings))


@dataclass
class KnownUser:
    """A user as the shard has them, and when their time comes as far as anybody in it knows."""

    id: int
    user: User
    due_ms: int | None
    is_saved: bool


class TimedShard:
    """An open shard under a clock that stands still, and its client."""

    def __init__(self, settings: ShardSettings, catalog: Catalog) -> None:
        self.settings = settings
        self.catalog = catalog
        self.now_ms = NOON_MS
        self.host = InlineHost(settings, lambda reason: None)
        self.client: ShardClient

    async def open(self) -> None:
        """Open it, and let everything happen that is due."""
        await self.host.open(self.catalog, self.now_ms)
        await self.move(self.now_ms)

    @property
    def shard(self) -> UserShard:
        """The actor itself."""
        return shard_in(self.host)

    async def move(self, now_ms: int) -> int | None:
        """Move the clock, once; returns when something is due next."""
        self.now_ms = now_ms
        return await self.host.move_clock(now_ms)

    async def move_by_steps(self, until_ms: int) -> None:
        """Move the clock from one due time to the next, as the server does."""
        due_ms = await self.move(self.now_ms)
        while due_ms is not None and due_ms <= until_ms:
            due_ms = await self.move(due_ms)
        await self.move(until_ms)

    async def checkpoint(self) -> None:
        """Save everything."""
        await self.shard._checkpointer.run_once()

    async def adopt(self, catalog: Catalog) -> None:
        """Change the settings."""
        self.catalog = catalog
        await self.host.adopt(catalog)

    async def call(self, *commands: Command) -> list[Reply]:
        """Send commands, one after the other."""
        return [await self.client.call(command) for command in commands]

    async def streak_of(self, user: str) -> int:
        """How long somebody's streak is."""
        [reply] = await self.call(ReadStreak(user))
        length: int = msgspec.json.decode(reply.body)["length"]
        return length

    async def known(self) -> dict[UserKey, KnownUser]:
        """All users. Of those who are saved, the due time is that in state.sqlite."""
        residents = self.shard._residents
        unsaved = {
            resident.key: KnownUser(resident.id, resident.user, residents.find_due_ms(resident), is_saved=False)
            for resident in residents.unsaved()
        }
        known: dict[UserKey, KnownUser] = {}
        deleted = residents.deleted_ids()
        for id_, stored in await self.shard._state.scan_users(limit=100_000):
            assert not isinstance(stored, Corrupt)
            if id_ not in deleted:
                known[stored.key] = KnownUser(id_, decode_user(stored.snapshot), stored.due_ms, is_saved=True)
        return known | unsaved

    async def snapshots(self) -> dict[UserKey, bytes]:
        """Everybody's state."""
        return {key: encode_user(known.user) for key, known in (await self.known()).items()}

    async def logged(self) -> list[str]:
        """Who has been advanced by a timer, in the order of the log, as far as that is still there."""
        log = self.shard._log
        segments = [*(segment for segment, _ in log._full), log._current]
        bodies = [decode_body(record) for segment in segments for record in await segment.read()]
        entries = [entry for body in bodies if isinstance(body, Events) for entry in body.entries]
        return [command.user_id for entry in entries for command in entry.commands if isinstance(command, Advance)]


@asynccontextmanager
async def timed(settings: ShardSettings, catalog: Catalog = CATALOG) -> AsyncIterator[TimedShard]:
    """An open shard whose time stands still, with a client."""
    shard = TimedShard(settings, catalog)
    await shard.open()
    shard.client = ShardClient(settings.address, next(_GATEWAYS))
    shard.client.start()
    try:
        yield shard
    finally:
        await shard.client.close()
        await shard.host.close()
