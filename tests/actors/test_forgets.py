"""Users who have been deleted are forgotten by all leaderboard shards, whichever is away and whatever is killed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from plaudit.actors import board_client
from plaudit.actors.checkpoint import Checkpointer
from plaudit.actors.user_shard import ShardSettings
from plaudit.engine.commands import DeleteUser
from tests.actors.boarded_shard import ALL, lesson, until_welcome, with_rankings
from tests.actors.scripted_board import ScriptedBoard, scripted_board, turns
from tests.actors.shards import checkpoint_and_be_killed, killed_now, query, statuses
from tests.actors.timed_shard import TimedShard, timed

CATALOG = with_rankings(*ALL)
FORGETS = "SELECT user FROM forgets ORDER BY user"


@pytest.fixture(autouse=True)
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints are when a test says, and so is what is said without need."""
    monkeypatch.setattr(board_client, "QUIET_INTERVAL_S", 1000.0)
    monkeypatch.setattr(board_client, "RECONNECT_INTERVAL_S", 0.001)
    monkeypatch.setattr(Checkpointer, "_run", lambda _: asyncio.Event().wait())


@pytest.fixture
def away(settings: ShardSettings) -> ShardSettings:
    """The settings of a shard whose leaderboard shard is not there."""
    return replace(settings, boards=(f"{settings.address}-board",))


@asynccontextmanager
async def back(settings: ShardSettings) -> AsyncIterator[tuple[TimedShard, ScriptedBoard]]:
    """A shard that is opened again, and its leaderboard shard, which has heard everything that there is to be said."""
    async with scripted_board(settings.boards[0], lambda _: None) as peer, timed(settings, CATALOG) as shard:
        await until_welcome(shard)
        await turns()
        yield shard, peer


async def save(shard: TimedShard) -> list[int]:
    """Do something and save it; returns who has still to be forgotten."""
    assert statuses(await shard.call(lesson("somebody else", 1000))) == [201]
    await shard.checkpoint()
    return await shard.shard._state.load_forgets()


async def delete(shard: TimedShard, user: str) -> int:
    """Delete a user; returns their number."""
    member = (await shard.known())["", user].id
    assert statuses(await shard.call(DeleteUser(user))) == [204]
    return member


@pytest.mark.parametrize("is_saved", [False, True])
async def test_it_is_told_after_the_shard_has_been_closed_meanwhile(away: ShardSettings, is_saved: bool) -> None:
    async with timed(away, CATALOG) as shard:
        await shard.call(lesson("sam", 1), lesson("kim", 2))
        if is_saved:
            await shard.checkpoint()
        member = await delete(shard, "sam")
    for _ in range(2):
        assert query(away, FORGETS) == [(member,)]
        async with timed(away, CATALOG):
            pass
    async with back(away) as (shard, peer):
        assert peer.forgets == [member]
        assert await save(shard) == []
    async with back(away) as (_, peer):
        assert peer.forgets == []


@pytest.mark.parametrize("is_saved", [False, True])
async def test_it_is_told_after_a_kill_at_any_step_of_the_checkpoint(away: ShardSettings, is_saved: bool) -> None:
    async with timed(away, CATALOG) as shard:
        await shard.call(lesson("sam", 1), lesson("kim", 2))
        if is_saved:
            await shard.checkpoint()
        member = await delete(shard, "sam")
        killed = await checkpoint_and_be_killed(shard.host, away)
        killed.append(killed_now(away, "idle"))
        assert await shard.shard._state.load_forgets() == [member]
    for left in killed:
        async with back(left) as (shard, peer):
            assert set(peer.forgets) == {member}
            assert await save(shard) == []
        async with back(left) as (_, peer):
            assert peer.forgets == []


async def test_one_who_came_and_went_between_two_checkpoints_is_forgotten_too(away: ShardSettings) -> None:
    """Nothing of them is in state.sqlite, but they have been on leaderboards."""
    async with timed(away, CATALOG) as shard:
        await shard.call(lesson("kim", 1))
        await shard.checkpoint()
        members = []
        for number in range(2, 4):
            await shard.call(lesson("sam", number))
            members.append(await delete(shard, "sam"))
        await shard.call(lesson("sam", 4))
        await shard.checkpoint()
        assert await shard.shard._state.load_forgets() == members
        there = (await shard.known())["", "sam"].id
    async with back(away) as (shard, peer):
        assert sorted(peer.forgets) == members
        assert there not in members
        assert await save(shard) == []


async def test_who_is_forgotten_at_once_leaves_no_trace(away: ShardSettings) -> None:
    async with back(away) as (shard, peer):
        await shard.call(lesson("sam", 1))
        member = await delete(shard, "sam")
        await peer.until(lambda: peer.forgets == [member])
        await turns()
        assert await save(shard) == []


async def test_all_leaderboard_shards_have_to_say_so(settings: ShardSettings) -> None:
    addresses = tuple(f"{settings.address}-{n}" for n in range(2))
    many = replace(settings, boards=addresses)
    async with scripted_board(addresses[0], lambda _: None) as one:
        async with timed(many, CATALOG) as shard:
            await shard.call(lesson("sam", 1))
            member = await delete(shard, "sam")
            await one.until(lambda: one.forgets == [member])
            await turns()
            assert await save(shard) == [member]
            async with scripted_board(addresses[1], lambda _: None) as two:
                await two.until(lambda: two.forgets == [member])
                await turns()
                await shard.call(lesson("kim", 2))
                assert await save(shard) == []
        assert query(many, FORGETS) == []


async def test_one_that_has_not_said_so_is_told_again_after_a_restart(away: ShardSettings) -> None:
    async with scripted_board(away.boards[0], lambda _: None) as peer:
        peer.forgets_at_once = False
        members: list[int] = []
        for opening in range(1, 4):
            async with timed(away, CATALOG) as shard:
                await until_welcome(shard)
                await peer.until(lambda: len(peer.forgets) == len(members))
                assert sorted(peer.forgets) == members
                peer.forgets.clear()
                await shard.call(lesson("sam", opening))
                members.append(await delete(shard, "sam"))
                await peer.until(lambda: peer.forgets == members[-1:])
                peer.forgets.clear()
        assert query(away, FORGETS) == [(member,) for member in members]
