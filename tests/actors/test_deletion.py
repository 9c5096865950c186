"""A user who is deleted is forgotten: at once, for good, and whatever happens meanwhile."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from plaudit.actors import checkpoint as checkpoints
from plaudit.actors.runtime import InlineHost
from plaudit.actors.shard_client import ShardClient
from plaudit.actors.user_shard import ShardSettings
from plaudit.actors.wire import EventPage
from plaudit.engine.amounts import UNIT
from plaudit.engine.commands import DeleteUser, ReadEvents, ReadMetrics, ReadUser, RecordEvent, UserFields
from plaudit.engine.revision import revise
from plaudit.engine.tally import bucket_of
from tests.actors.shards import (
    CATALOG,
    call,
    checkpoint,
    checkpoint_and_be_killed,
    event,
    killed_now,
    opened,
    query,
    shard_in,
    statuses,
    total_in,
    total_of,
)
from tests.catalogs import STUDY

READS = (ReadUser("ada"), ReadMetrics("ada"), ReadEvents("ada"))


async def log_of(client: ShardClient, user: str | None = None) -> list[tuple[str, float, float]]:
    """User, value and total of each event, newest first."""
    reply = await client.call(ReadEvents(user, limit=200))
    assert reply.status == 200, reply
    page = msgspec.json.decode(reply.body, type=EventPage)
    events: list[dict[str, Any]] = [msgspec.json.decode(raw) for raw in page.events]
    return [(one["userId"], one["value"], one["total"]) for one in events]


TEN_POINTS = ("points", bucket_of(1, 10))
"""The counter of users who have 10 points in the first system."""


async def counters(host: InlineHost) -> dict[tuple[str, int], int]:
    """The counters that are not zero, after everything has been saved."""
    await checkpoint(host)
    return {name: value for name, value in (await shard_in(host)._state.load_counters()).items() if value}


@pytest.mark.parametrize("is_saved", [False, True])
async def test_a_deleted_user_is_not_there(settings: ShardSettings, is_saved: bool) -> None:
    async with opened(settings) as (host, client):
        await call(client, event("ada", 5), event("bob", 7))
        if is_saved:
            await checkpoint(host)
        deleted = await client.call(DeleteUser("ada"))
        assert (deleted.status, deleted.body) == (204, b"")
        for _ in range(2):
            assert statuses(await call(client, *READS, DeleteUser("ada"))) == [404] * 4
            assert await log_of(client) == [("bob", 7, 7)]
            await checkpoint(host)
        host.kill()
        await host.open(CATALOG)
        assert statuses(await call(client, *READS)) == [404] * 3
        assert await total_of(client, "bob") == 7


async def test_who_was_never_there_cannot_be_deleted(settings: ShardSettings) -> None:
    async with opened(settings) as (host, client):
        assert statuses(await call(client, DeleteUser("ada"), DeleteUser("ada"))) == [404, 404]
        assert shard_in(host)._committer.committed == 1


@pytest.mark.parametrize("is_saved", [False, True])
async def test_a_user_who_comes_back_begins_at_zero(settings: ShardSettings, is_saved: bool) -> None:
    async with opened(settings) as (host, client):
        profile = UserFields(name="Ada", attributes={"plan": "pro"})
        await client.call(RecordEvent("ada", "lessons", 12 * UNIT, b"\1" * 16, profile))
        if is_saved:
            await checkpoint(host)
        await client.call(DeleteUser("ada"))
        again = msgspec.json.decode((await client.call(event("ada"))).body)
        assert again["total"] == 1
        assert [achievement["key"] for achievement in again["achievements"]] == ["first"]
        assert again["points"]["xp"]["total"] == 10
        for _ in range(2):
            user = msgspec.json.decode((await client.call(ReadUser("ada"))).body)
            assert (user["name"], user["attributes"]) == (None, {})
            assert await log_of(client, "ada") == [("ada", 1, 1)]
            await checkpoint(host)
        first = CATALOG.achievements[0].number
        assert await counters(host) == {("users", 0): 1, ("completions", first): 1, TEN_POINTS: 1}


STORY = (
    event("ada", 12, key="k"),
    event("bob", 1, key="k"),
    DeleteUser("ada"),
    event("ada", 1, key="k"),
    event("cid", 11),
    DeleteUser("ada"),
    event("ada", 2, key="k"),
    event("ada", 3),
    DeleteUser("cid"),
)


async def assert_told(host: InlineHost, client: ShardClient) -> None:
    """Everything is as after all of the story, whatever was saved when."""
    assert await log_of(client) == [("ada", 3, 5), ("ada", 2, 2), ("bob", 1, 1)]
    assert await log_of(client, "ada") == [("ada", 3, 5), ("ada", 2, 2)]
    assert [await total_of(client, user) for user in ("ada", "bob")] == [5, 1]
    assert (await client.call(ReadUser("cid"))).status == 404
    replayed = await call(client, event("ada", 100, key="k"), event("bob", 100, key="k"))
    assert (statuses(replayed), [total_in(reply) for reply in replayed]) == ([202, 202], [5, 1])
    first = CATALOG.achievements[0].number
    assert await counters(host) == {
        ("users", 0): 2,
        ("completions", first): 2,
        TEN_POINTS: 1,
        ("points", bucket_of(1, 50)): 1,
    }


@pytest.mark.parametrize("saved_after", range(len(STORY) + 1))
async def test_deletions_are_the_same_wherever_a_checkpoint_fell_and_a_kill(
    settings: ShardSettings, monkeypatch: pytest.MonkeyPatch, saved_after: int
) -> None:
    monkeypatch.setattr(checkpoints, "SLICE_USERS", 1)
    async with opened(settings) as (host, client):
        await call(client, *STORY[:saved_after])
        killed = await checkpoint_and_be_killed(host, settings)
        await call(client, *STORY[saved_after:])
        await assert_told(host, client)
    for left in killed:
        async with opened(left) as (host, client):
            await call(client, *STORY[saved_after:])
            host.kill()
            await host.open(CATALOG)
            await assert_told(host, client)
        async with opened(left) as (host, client):
            await assert_told(host, client)


@pytest.mark.parametrize("at", range(12))
async def test_deletions_may_come_at_any_step_of_a_checkpoint(
    settings: ShardSettings, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """The checkpoint is cut short after each step that follows, and what is in the log then decides."""
    monkeypatch.setattr(checkpoints, "SLICE_USERS", 1)
    async with opened(settings) as (host, client):
        await call(client, *STORY[:5])
        store, steps = shard_in(host)._state, 0
        write = store._write

        async def write_and_delete(*args: Any, **kwargs: Any) -> Any:
            nonlocal steps
            if steps == at:
                await call(client, *STORY[5:])
            steps += 1
            return await write(*args, **kwargs)

        monkeypatch.setattr(store, "_write", write_and_delete)
        killed = await checkpoint_and_be_killed(host, settings)
        if at >= steps:
            await call(client, *STORY[5:])
        await assert_told(host, client)
    for left in killed:
        async with opened(left) as (host, client):
            if (await client.call(ReadUser("cid"))).status == 200:  # the story had not gone on yet
                await call(client, *STORY[5:])
            await assert_told(host, client)


async def test_others_with_the_same_attributes_and_keys_keep_them(settings: ShardSettings) -> None:
    fields = UserFields(email="same@mail.example", name="Same", attributes={"plan": "same"})
    same = {
        user: RecordEvent(user, "lessons", UNIT, user.encode() * 4, fields, {"subject": "same"}, "same")
        for user in ("ada1", "bob1", "cid1")
    }
    async with opened(settings) as (host, client):
        await call(client, *same.values())
        await checkpoint(host)
        before = [reply.body for reply in await call(client, *(ReadUser(user) for user in ("bob1", "cid1")))]
        await client.call(DeleteUser("ada1"))
        await checkpoint(host)
        host.kill()
        await host.open(CATALOG)
        assert [reply.body for reply in await call(client, *(ReadUser(user) for user in ("bob1", "cid1")))] == before
        assert statuses(await call(client, *same.values())) == [201, 202, 202]
        page = msgspec.json.decode((await client.call(ReadEvents("bob1"))).body, type=EventPage)
        [logged] = [msgspec.json.decode(raw) for raw in page.events]
        assert (logged["attributes"], logged["idempotencyKey"]) == ({"subject": "same"}, "same")


async def test_many_deletions_in_one_record_of_the_log_survive_a_kill_at_any_step(settings: ShardSettings) -> None:
    """A checkpoint that took some of them only would leave half a record to replay."""
    users = [f"user-{n}" for n in range(7)]
    async with opened(settings) as (host, client):
        await asyncio.gather(*(client.call(event(user, key="k")) for user in users))
        await checkpoint(host)
        replies = [client.call(one) for user in users for one in (event(user), DeleteUser(user), event(user, 3))]
        assert statuses(await asyncio.gather(*replies)) == [201, 204, 201] * len(users)
        killed = [each for _ in range(4) for each in await checkpoint_and_be_killed(host, settings)]
    for left in killed:
        for _ in range(2):
            async with opened(left) as (host, client):
                assert [await total_of(client, user) for user in users] == [3] * len(users)
                assert {value for _, value, _ in await log_of(client)} == {3}
                assert await log_of(client) == [(user, 3, 3) for user in reversed(users)]
                await checkpoint(host)


async def test_closing_forgets_all_who_were_deleted(settings: ShardSettings) -> None:
    async with opened(settings) as (_, client):
        users = [f"user-{n}" for n in range(7)]
        await asyncio.gather(*(client.call(one) for user in users for one in (event(user), DeleteUser(user))))
    assert list(Path(settings.directory).glob("log-*")) == []
    assert query(settings, "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM purges)") == [(0, 0)]


async def test_a_catalog_that_comes_after_deletions_does_not_meet_what_was_before_it(settings: ShardSettings) -> None:
    without_achievements = revise(CATALOG, replace(STUDY, achievements=()), 1_700_000_001_000)
    users = [f"user-{n}" for n in range(7)]
    async with opened(settings) as (host, client):
        await call(client, *(one for user in users for one in (event(user), DeleteUser(user))), event("ada", 1))
        left = killed_now(settings, "full-log")
    async with opened(left, catalog=without_achievements) as (host, client):
        await checkpoint(host)
        again = killed_now(left, "again")
    async with opened(again, catalog=CATALOG) as (_, client):
        assert await log_of(client) == [("ada", 1, 1)]
        metrics = msgspec.json.decode((await client.call(ReadMetrics("ada"))).body)
        assert metrics[0]["achievements"][0]["achievedAt"] is not None
