"""An idempotency key counts once, wherever it is: in memory, in the log, in history, in the index or between them."""

import asyncio
from typing import Any

import msgspec
import pytest

from plaudit.actors.shard_client import ShardClient
from plaudit.actors.user_shard import ShardSettings
from plaudit.engine.commands import DeleteUser
from plaudit.engine.document import Document, MetricEntry
from plaudit.engine.revision import revise
from plaudit.storage import key_index
from plaudit.storage.state import StateStore
from tests.actors.shards import (
    CATALOG,
    checkpoint,
    checkpoint_and_be_killed,
    event,
    opened,
    shard_in,
    statuses,
    total_in,
    total_of,
)

WITHOUT_PAGES = revise(CATALOG, Document(metrics=(MetricEntry("lessons", "Lessons"),)), 1_700_000_001_000)


async def assert_counted(client: ShardClient, user: str = "ada", key: str = "k", metric: str = "lessons") -> None:
    """Assert that a key is known: the event that brings it again changes nothing."""
    reply = await client.call(event(user, 100, key=key, metric=metric))
    assert reply.status == 202, reply
    assert msgspec.json.decode(reply.body)["idempotentReplayed"]


@pytest.mark.parametrize("method", ["save", "index_keys", "finish_checkpoint", "copy_wal"])
async def test_a_key_is_known_before_and_after_every_step_of_a_checkpoint(
    settings: ShardSettings, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """And so is one that was first used during it."""
    steps = 0
    async with opened(settings) as (host, client):
        await client.call(event("ada", key="k"))
        state = shard_in(host)._state
        run = getattr(state, method)

        async def check() -> None:
            nonlocal steps
            steps += 1
            await assert_counted(client)
            assert (await client.call(event("bob", key=f"during {steps}"))).status == 201
            for number in range(1, steps + 1):
                await assert_counted(client, "bob", f"during {number}")

        async def checked(*args: Any, **kwargs: Any) -> Any:
            await check()
            result = await run(*args, **kwargs)
            await check()
            return result

        monkeypatch.setattr(state, method, checked)
        await checkpoint(host)
        await checkpoint(host)
        monkeypatch.undo()
        await check()
        assert await total_of(client, "ada") == 1
        assert await total_of(client, "bob") == steps
    assert steps >= 5
    async with opened(settings) as (_, client):
        for number in range(1, steps + 1):
            await assert_counted(client, "bob", f"during {number}")


async def test_a_key_is_known_after_a_kill_at_any_step_of_a_checkpoint(
    settings: ShardSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_index, "LEVEL_KEYS_MAX", (2, 2, 2))
    monkeypatch.setattr(key_index, "MOVE_KEYS_MAX", 1)
    keys = [f"k{number}" for number in range(6)]
    async with opened(settings) as (host, client):
        await asyncio.gather(*(client.call(event("ada", key=key)) for key in keys[:3]))
        await checkpoint(host)
        await asyncio.gather(*(client.call(event("ada", key=key)) for key in keys[3:]))
        killed = await checkpoint_and_be_killed(host, settings)
    assert len(killed) > 8
    for left in killed:
        for _ in range(2):
            async with opened(left) as (host, client):
                for key in keys:
                    await assert_counted(client, key=key)
                await checkpoint(host)
                await client.call(event("ada", 0))
                await checkpoint(host)
                for key in keys:
                    await assert_counted(client, key=key)
                assert await total_of(client, "ada") == 6


async def test_keys_of_history_that_the_index_does_not_have_are_known_after_a_restart(
    settings: ShardSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slices are in, the end of the checkpoint is not, and the log is not needed for what they hold."""

    async def stop(*_: Any) -> None:
        raise RuntimeError("killed")

    async with opened(settings) as (host, client):
        await client.call(event("ada", key="k"))
        monkeypatch.setattr(StateStore, "index_keys", stop)
        with pytest.raises(RuntimeError, match="killed"):
            await checkpoint(host)
        host.kill()
        monkeypatch.undo()
        await host.open(CATALOG)
        assert len(await shard_in(host)._state.load_unindexed()) == 1
        await assert_counted(client)
        await client.call(event("bob"))
        await checkpoint(host)
        assert await shard_in(host)._state.load_unindexed() == []
        assert shard_in(host)._residents._recent_keys == {}
        await assert_counted(client)
        assert await total_of(client, "ada") == 1


async def test_a_key_is_known_when_its_metric_is_archived(settings: ShardSettings) -> None:
    async with opened(settings) as (host, client):
        await client.call(event("ada", 7, metric="pages", key="saved"))
        await checkpoint(host)
        await client.call(event("ada", 2, metric="pages", key="recent"))
        host.kill()
        await host.open(WITHOUT_PAGES)
        for key in ("saved", "recent"):
            reply = await client.call(event("ada", 100, metric="pages", key=key))
            assert (reply.status, total_in(reply)) == (202, 9)
        unused = await client.call(event("ada", metric="pages", key="unused"))
        nobody = await client.call(event("bob", metric="pages", key="saved"))
        assert statuses([unused, nobody]) == [422, 422]
    async with opened(settings) as (_, client):
        assert (await client.call(event("ada", metric="pages", key="unused"))).status == 201


@pytest.mark.parametrize("saves", [(), (0,), (1,), (2,), (0, 1, 2)], ids=str)
async def test_keys_of_a_user_who_was_deleted_count_anew(settings: ShardSettings, saves: tuple[int, ...]) -> None:
    async with opened(settings) as (host, client):
        for step in range(3):
            first, again = [await client.call(event("ada", 5, key="k")) for _ in range(2)]
            assert (statuses([first, again]), total_in(again)) == ([201, 202], 5)
            if step in saves:
                await checkpoint(host)
                await assert_counted(client)
            await client.call(DeleteUser("ada"))
        host.kill()
        await host.open(CATALOG)
        assert total_in(await client.call(event("ada", 3, key="k"))) == 3
        await checkpoint(host)
        await assert_counted(client)
    async with opened(settings) as (_, client):
        await assert_counted(client)
        assert await total_of(client, "ada") == 3
