"""What a shard finds when it opens again, and what it refuses."""

import asyncio
import random
from pathlib import Path

import msgspec
import pytest

from plaudit.actors.runtime import InlineHost
from plaudit.actors.user_shard import ShardSettings
from plaudit.engine.commands import DeleteUser, ReadEvents, ReadMetrics, ReadUser, UserKey
from plaudit.storage.errors import Corrupt, WrongDirectory
from plaudit.storage.key_index import KeyUse
from tests.actors.shards import CATALOG, checkpoint, edit, event, opened, query, shard_in, total_in, total_of


def snapshots(host: InlineHost) -> dict[UserKey, bytes]:
    return shard_in(host)._residents.snapshots()


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

        async def find_keys(uses: set[KeyUse]) -> dict[KeyUse, bytes | Corrupt]:
            await checkpoint(host)
            return await look_up(uses)

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


DAMAGES = [
    "UPDATE snapshots SET body = x'c1' WHERE user = (SELECT id FROM users WHERE key = 'ada')",
    "DELETE FROM snapshots WHERE user = (SELECT id FROM users WHERE key = 'ada')",
    "DELETE FROM heads WHERE user = (SELECT id FROM users WHERE key = 'ada')",
    "UPDATE heads SET slot = (SELECT slot FROM heads JOIN users ON user = id WHERE key = 'bob')",
]


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_user_who_cannot_be_read_concerns_nobody_else(settings: ShardSettings, damage: str) -> None:
    async with opened(settings) as (_, client):
        await asyncio.gather(client.call(event("ada")), client.call(event("bob")))
    edit(settings, damage)
    async with opened(settings) as (host, client):
        ada, bob = await asyncio.gather(client.call(event("ada")), client.call(event("bob")))
        assert (ada.status, total_in(bob)) == (500, 2)
        for command in (ReadUser("ada"), ReadMetrics("ada"), ReadEvents("ada"), DeleteUser("ada"), event("ada")):
            assert (await client.call(command)).status == 500
        await checkpoint(host)
        assert await total_of(client, "bob") == 2
        everybody = msgspec.json.decode((await client.call(ReadEvents(None))).body)
        assert [one["userId"] for one in everybody["events"]].count("bob") == 2
    assert query(settings, "SELECT count(*) FROM users") == [(2,)]


@pytest.mark.parametrize("damage", ["UPDATE history SET entries = x'c1'", "DELETE FROM history"])
async def test_a_history_that_cannot_be_read_concerns_nobody_else(settings: ShardSettings, damage: str) -> None:
    async with opened(settings) as (_, client):
        await asyncio.gather(client.call(event("ada", key="used")), client.call(event("bob", key="used")))
    edit(settings, f"{damage} WHERE user = (SELECT id FROM users WHERE key = 'ada')")
    async with opened(settings) as (_, client):
        again, bob, log, bobs_log, other, read = await asyncio.gather(
            client.call(event("ada", key="used")),
            client.call(event("bob", key="used")),
            client.call(ReadEvents("ada")),
            client.call(ReadEvents("bob")),
            client.call(event("ada", key="other")),
            client.call(ReadMetrics("ada")),
        )
        assert (again.status, bob.status, log.status, bobs_log.status) == (500, 202, 500, 200)
        assert (total_in(other), read.status) == (2, 200)
