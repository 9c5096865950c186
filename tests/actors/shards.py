"""A shard in a host, a client of it, and commands for both."""

import itertools
import random
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from plaudit.actors.clock import Clock, system_clock
from plaudit.actors.messages import Reply
from plaudit.actors.runtime import InlineHost
from plaudit.actors.shard_client import ShardClient
from plaudit.actors.user_shard import ShardSettings, UserShard
from plaudit.engine.amounts import UNIT
from plaudit.engine.catalog import Catalog
from plaudit.engine.commands import Command, ReadMetrics, RecordEvent, UserFields
from plaudit.storage.directory import open_directory, shard_directory
from tests.catalogs import study_catalog
from tests.storage.builders import copy_as_killed

CATALOG = study_catalog()
DATA_ID = "data-of-tests"
_event_ids = itertools.count(1)
_runs = itertools.count(1)


def make_settings(data: Path, sockets: Path) -> ShardSettings:
    """The settings of the only shard of a new data directory."""
    data.mkdir(exist_ok=True)
    open_directory(data, 1, DATA_ID, 1)
    return ShardSettings(0, str(shard_directory(data, 0)), DATA_ID, str(sockets / "shard.sock"))


@asynccontextmanager
async def opened(
    settings: ShardSettings,
    clock: Clock = system_clock,
    catalog: Catalog = CATALOG,
    now_ms: int | None = None,
) -> AsyncIterator[tuple[InlineHost, ShardClient]]:
    """An open shard with a client of it; with `now_ms`, time stands still there."""
    host = InlineHost(settings, lambda reason: None, clock)
    await host.open(catalog, now_ms)
    client = ShardClient(settings.address, random.getrandbits(60))
    client.start()
    try:
        yield host, client
    finally:
        await client.close()
        await host.close()


def shard_in(host: InlineHost) -> UserShard:
    """The actor itself."""
    shard = host._shard
    assert isinstance(shard, UserShard)
    return shard


async def checkpoint(host: InlineHost) -> None:
    """Save everything now."""
    await shard_in(host)._checkpointer.run_once()


def killed_now(settings: ShardSettings, name: str) -> ShardSettings:
    """The settings of a shard on the directory as a kill at this moment would leave it."""
    directory = Path(settings.directory)
    copy = copy_as_killed(directory, directory.with_name(f"{directory.name}-{name}"))
    return msgspec.structs.replace(settings, directory=str(copy), address=f"{settings.address}-{name}")


def edit(settings: ShardSettings, *statements: str) -> None:
    """Change a closed shard's state behind its back."""
    with closing(sqlite3.connect(Path(settings.directory) / "state.sqlite", isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def query(settings: ShardSettings, sql: str) -> list[tuple[Any, ...]]:
    """What a closed shard's state holds."""
    with closing(sqlite3.connect(Path(settings.directory) / "state.sqlite")) as connection:
        return connection.execute(sql).fetchall()


async def call(client: ShardClient, *commands: Command) -> list[Reply]:
    """Send commands, one after the other."""
    return [await client.call(command) for command in commands]


def statuses(replies: Sequence[Reply]) -> list[int]:
    """The statuses of replies."""
    return [reply.status for reply in replies]


def event(user: str, value: int = 1, *, key: str | None = None, metric: str = "lessons") -> RecordEvent:
    """An event with an id of its own."""
    event_id = next(_event_ids).to_bytes(16, "big")
    return RecordEvent(user, metric, value * UNIT, event_id, UserFields(tz="Europe/Paris"), idempotency_key=key)


async def total_of(client: ShardClient, user: str) -> int:
    """What the shard says the user's lessons are."""
    reply = await client.call(ReadMetrics(user))
    assert reply.status == 200, reply
    total: int = msgspec.json.decode(reply.body)[0]["current"]
    return total


def total_in(reply: Reply) -> int:
    """The total in an event's response."""
    assert reply.status in {201, 202}, reply
    total: int = msgspec.json.decode(reply.body)["total"]
    return total


async def checkpoint_and_be_killed(host: InlineHost, settings: ShardSettings) -> list[ShardSettings]:
    """Save everything now; returns shards on what a kill before or after each step of it would have left."""
    shard, kills = shard_in(host), next(_runs)
    killed = [killed_now(settings, f"{kills}-before")]

    def stepped(name: str, step: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def run(*args: Any, **kwargs: Any) -> Any:
            result = await step(*args, **kwargs)
            killed.append(killed_now(settings, f"{kills}-{len(killed)}-{name}"))
            return result

        return run

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in [(shard._state, "_write"), (shard._log, "start_segment"), (shard._log, "cut")]:
            patch.setattr(owner, name, stepped(name, getattr(owner, name)))
        await checkpoint(host)
    return killed
