"""A shard in a host, a client of it, and commands for both."""

import itertools
from pathlib import Path

import msgspec

from plaudit.actors.messages import Reply
from plaudit.actors.shard_client import ShardClient
from plaudit.actors.user_shard import ShardSettings
from plaudit.engine.amounts import UNIT
from plaudit.engine.commands import ReadMetrics, RecordEvent, UserFields
from plaudit.storage.directory import open_directory, shard_directory

DATA_ID = "data-of-tests"
_event_ids = itertools.count(1)


def make_settings(data: Path, sockets: Path) -> ShardSettings:
    """The settings of the only shard of a new data directory."""
    data.mkdir(exist_ok=True)
    open_directory(data, 1, DATA_ID, 1)
    return ShardSettings(0, str(shard_directory(data, 0)), DATA_ID, str(sockets / "shard.sock"))


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
