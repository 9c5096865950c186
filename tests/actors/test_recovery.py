"""What a shard finds when it opens again, and what it refuses."""

import asyncio
import random
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from plaudit.actors.runtime import InlineHost
from plaudit.actors.shard_client import ShardClient
from plaudit.actors.user_shard import ShardSettings, UserShard
from plaudit.engine.commands import ReadUser, UserKey
from plaudit.storage.errors import Corrupt, WrongDirectory
from tests.actors.shards import event, make_settings, total_in, total_of
from tests.catalogs import study_catalog

CATALOG = study_catalog()


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[ShardSettings]:
    sockets = Path(tempfile.mkdtemp(prefix="plaudit-"))
    yield make_settings(tmp_path / "data", sockets)
    shutil.rmtree(sockets)


@asynccontextmanager
async def opened(settings: ShardSettings) -> AsyncIterator[tuple[InlineHost, ShardClient]]:
    """An open shard with a client of it."""
    host = InlineHost(settings, lambda reason: None)
    await host.open(CATALOG)
    client = ShardClient(settings.address, random.getrandbits(60))
    client.start()
    try:
        yield host, client
    finally:
        await client.close()
        await host.close()


def shard_in(host: InlineHost) -> UserShard:
    shard = host._shard
    assert shard is not None
    return shard


def snapshots(host: InlineHost) -> dict[UserKey, bytes]:
    return shard_in(host)._residents.snapshots()


async def checkpoint(host: InlineHost) -> None:
    await shard_in(host)._checkpointer.run_once()


def edit(settings: ShardSettings, statement: str) -> None:
    with closing(sqlite3.connect(Path(settings.directory) / "state.sqlite", isolation_level=None)) as connection:
        connection.execute(statement)


@pytest.mark.parametrize("seed", range(5))
async def test_a_replay_gives_the_same_states_wherever_checkpoints_fell(settings: ShardSettings, seed: int) -> None:
    choices = random.Random(seed)
    async with opened(settings) as (host, client):
        for _ in range(12):
            users = [f"user-{choices.randrange(9)}" for _ in range(20)]
            await asyncio.gather(*(client.call(event(user, choices.randrange(-3, 9))) for user in users))
            if choices.random() < 0.3:
                await checkpoint(host)
        live = snapshots(host)
        host.kill()
        await host.open(CATALOG)
        await asyncio.gather(*(client.call(ReadUser(user)) for _, user in live))
        assert snapshots(host) == live


async def test_a_key_that_a_checkpoint_saves_during_the_lookup_is_still_known(
    settings: ShardSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(settings) as (host, client):
        await client.call(event("ada", key="k"))
        state = shard_in(host)._state
        look_up = state.find_keys

        async def find_keys(digests: set[bytes]) -> dict[bytes, bytes]:
            await checkpoint(host)
            return await look_up(digests)

        monkeypatch.setattr(state, "find_keys", find_keys)
        again, other = await asyncio.gather(client.call(event("ada", key="k")), client.call(event("bob", key="o")))
        assert (again.status, total_in(again)) == (202, 1)
        assert (other.status, total_in(other)) == (201, 1)


async def test_users_with_any_id_are_found_again(settings: ShardSettings) -> None:
    users = ["a\0b", "a", "\u2028", 'quote"', "ключ", " "]
    for total in (1, 2):
        async with opened(settings) as (_, client):
            assert [total_in(await client.call(event(user))) for user in users] == [total] * len(users)


async def test_a_log_whose_end_is_missing_is_refused(settings: ShardSettings) -> None:
    async with opened(settings) as (host, client):
        await client.call(event("ada"))
        await checkpoint(host)
    edit(settings, "UPDATE checkpoint SET reached = 99")
    with pytest.raises(Corrupt, match="the log ends at command 2, but"):
        await InlineHost(settings, lambda reason: None).open(CATALOG)


async def test_a_missing_state_is_refused(settings: ShardSettings) -> None:
    async with opened(settings) as (_, client):
        await client.call(event("ada"))
    (Path(settings.directory) / "state.sqlite").unlink()
    with pytest.raises(WrongDirectory, match=r"state\.sqlite: missing"):
        await InlineHost(settings, lambda reason: None).open(CATALOG)


async def test_a_user_who_cannot_be_read_concerns_nobody_else(settings: ShardSettings) -> None:
    async with opened(settings) as (_, client):
        await asyncio.gather(client.call(event("ada")), client.call(event("bob")))
    edit(settings, "UPDATE users SET snapshot = x'c1' WHERE key = 'ada'")
    async with opened(settings) as (_, client):
        ada, bob = await asyncio.gather(client.call(event("ada")), client.call(event("bob")))
        assert (ada.status, total_in(bob)) == (500, 2)
        assert await total_of(client, "bob") == 2
