"""No reply leaves before everything that it could have seen is durable."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from plaudit.actors.runtime import InlineHost
from plaudit.actors.user_shard import ShardSettings, UserShard
from plaudit.engine.commands import Command, DeleteUser, ReadEvents, ReadMetrics, ReadUser
from plaudit.storage.errors import Unusable
from plaudit.storage.snapshots import StoredUser
from tests.actors.gateways import Gate, connected
from tests.actors.shards import event
from tests.catalogs import study_catalog
from tests.storage.builders import copy_as_killed

CATALOG = study_catalog()
SIGHTS: list[tuple[Command, Command, int]] = [
    (event("ada", 5), ReadMetrics("ada"), 200),
    (event("bob"), ReadUser("bob"), 200),
    (event("ada", 5, key="k"), event("ada", 5, key="k"), 202),
    (DeleteUser("ada"), ReadUser("ada"), 404),
    (DeleteUser("ada"), DeleteUser("ada"), 404),
    (event("ada", 5), ReadEvents("ada"), 200),
    (event("ada", 5), ReadEvents(None), 200),
    (DeleteUser("ada"), ReadEvents("ada"), 404),
    (DeleteUser("ada"), ReadEvents(None), 200),
]
"""A write, what shows that it has happened, and with which status. Before it, `ada` has one event."""
NAMES = [f"{type(sight).__name__} after {type(write).__name__}" for write, sight, _ in SIGHTS]
from_either = pytest.mark.parametrize("is_same_gateway", [True, False], ids=["same gateway", "another gateway"])


@asynccontextmanager
async def opened(settings: ShardSettings, failures: list[str]) -> AsyncIterator[InlineHost]:
    host = InlineHost(settings, failures.append)
    await host.open(CATALOG)
    try:
        yield host
    finally:
        await host.close()


def gate_of(host: InlineHost) -> Gate:
    assert isinstance(host._shard, UserShard)
    return Gate(host._shard)


@pytest.mark.parametrize(("write", "sight", "status"), SIGHTS, ids=NAMES)
@from_either
async def test_what_shows_a_write_waits_until_the_write_is_durable(
    settings: ShardSettings, tmp_path: Path, write: Command, sight: Command, status: int, is_same_gateway: bool
) -> None:
    failures: list[str] = []
    killed = replace(settings, directory=str(tmp_path / "killed"))
    async with opened(settings, failures) as host, connected(settings.address, 1, 2) as (writer, other):
        await writer.ask(1, event("ada"))
        gate = gate_of(host)
        reader = writer if is_same_gateway else other
        writer.send(2, write)
        await gate.settle(writer)
        reader.send(3, sight)
        await gate.settle(writer, other)
        assert (list(writer.answers), list(other.answers)) == ([1], [])
        gate.open()
        [shown] = await reader.answer(3)
        copy_as_killed(Path(settings.directory), Path(killed.directory))
        assert shown.status == status
        assert (await writer.answer(2))[0].status in {201, 204}
    async with opened(killed, failures), connected(settings.address, 3) as (late,):
        assert await late.ask(1, sight) == (shown,)
    assert failures == []


@pytest.mark.parametrize(("write", "sight"), [(write, sight) for write, sight, _ in SIGHTS], ids=NAMES)
@from_either
async def test_what_shows_a_write_whose_commit_fails_is_never_answered(
    settings: ShardSettings, write: Command, sight: Command, is_same_gateway: bool
) -> None:
    """It did not happen, as the next shard finds out; so nobody may have seen it."""
    failures: list[str] = []
    async with opened(settings, failures) as host:
        async with connected(settings.address, 1, 2) as (writer, other):
            await writer.ask(1, event("ada"))
            gate = gate_of(host)
            reader = writer if is_same_gateway else other
            writer.send(2, write)
            await gate.settle(writer)
            reader.send(3, sight)
            await gate.settle(writer, other)
            gate.error = Unusable("disk I/O error")
            gate.open()
            await writer.is_closed.wait()
            await other.is_closed.wait()
            assert (list(writer.answers), list(other.answers)) == ([1], [])
        await host.open(CATALOG)
        async with connected(settings.address, 3) as (late,):
            [reply] = await late.ask(1, ReadEvents(None))
            assert [event["userId"] for event in msgspec.json.decode(reply.body)["events"]] == ["ada"]
    assert failures == ["shard 0 stops and will recover: Unusable: disk I/O error"]


async def test_a_read_of_what_is_durable_waits_for_nothing(settings: ShardSettings) -> None:
    failures: list[str] = []
    async with opened(settings, failures) as host, connected(settings.address, 1) as (gateway,):
        await gateway.ask(1, event("ada"))
        gate_of(host)
        assert [reply.status for reply in await gateway.ask(2, ReadMetrics("ada"), ReadEvents("ada"))] == [200, 200]
    assert failures == []


async def test_a_write_and_what_shows_it_in_one_batch_leave_together(settings: ShardSettings) -> None:
    failures: list[str] = []
    commands = (event("ada"), ReadMetrics("ada"), ReadEvents("ada"), DeleteUser("ada"), ReadUser("ada"))
    async with opened(settings, failures) as host, connected(settings.address, 1) as (gateway,):
        gate = gate_of(host)
        gateway.send(1, *commands)
        await gate.settle(gateway)
        assert gateway.answers == {}
        gate.open()
        assert [reply.status for reply in await gateway.answer(1)] == [201, 200, 200, 204, 404]
    assert failures == []


async def test_a_checkpoint_saves_nothing_that_is_not_durable(settings: ShardSettings) -> None:
    failures: list[str] = []
    async with opened(settings, failures) as host, connected(settings.address, 1) as (gateway,):
        await gateway.ask(1, event("ada"))
        gate = gate_of(host)
        gateway.send(2, event("ada"))
        await gate.settle(gateway)
        assert isinstance(host._shard, UserShard)
        saving = asyncio.create_task(host._shard._checkpointer.run_once())
        await gate.settle(gateway)
        assert await host._shard._state.load_users([("", "ada")]) == {}
        gate.open()
        await saving
        [saved] = (await host._shard._state.load_users([("", "ada")])).values()
        assert isinstance(saved, StoredUser)
        assert saved.applied == host._shard._committer.committed
    assert failures == []
