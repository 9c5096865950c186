"""Nothing of a deleted user can be found in any file, as soon as a checkpoint has been."""

import asyncio
from pathlib import Path

import pytest

from plaudit.actors.shard_client import WINDOW, ShardClient
from plaudit.actors.user_shard import ShardSettings
from plaudit.engine.amounts import UNIT
from plaudit.engine.commands import DeleteUser, ReadUser, RecordEvent, UserFields
from plaudit.storage import state
from tests.actors.shards import call, checkpoint, checkpoint_and_be_killed, event, opened, shard_in, total_of

SECRETS = {
    "id": "1-5zqvx",
    "name": "Zqvxname Notanyone",
    "email": "zqvx@mail.example",
    "token": "zqvxtoken",
    "plan": "zqvxplan",
    "subject": "zqvxsubject",
    "key": "zqvxkey",
}


def find_secrets(directory: Path) -> list[str]:
    """Where something of the user is, in any file."""
    contents = {path.name: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    return [f"{file}: {what}" for file, data in contents.items() for what in SECRETS.values() if what.encode() in data]


async def forget(client: ShardClient) -> None:
    """Send what makes the shard forget the replies that it keeps for a gateway that might not have had them."""
    for _ in range(WINDOW):
        await client.call(event("bob", 0))


@pytest.mark.parametrize("others", [1, 1500])
async def test_nothing_of_a_deleted_user_is_left_in_any_file(
    settings: ShardSettings, monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    fields = UserFields(
        email=SECRETS["email"],
        name=SECRETS["name"],
        device_tokens=(SECRETS["token"],),
        attributes={"plan": SECRETS["plan"]},
    )
    subject, directory = {"subject": SECRETS["subject"]}, Path(settings.directory)

    def secret(number: int) -> RecordEvent:
        id_, key = number.to_bytes(16, "little"), f"{SECRETS['key']}-{number}"
        return RecordEvent(SECRETS["id"], "lessons", UNIT, id_, fields, subject, key)

    async with opened(settings) as (host, client):
        for part in range(3):
            await asyncio.gather(*(client.call(event(f"{part}-{n}", key="k")) for n in range(others // 2)))
            await client.call(secret(part))
            await asyncio.gather(*(client.call(event(f"{part}+{n}", key="k")) for n in range(others // 2)))
            if part < 2:
                await checkpoint(host)
        if others == 1:
            assert len(find_secrets(directory)) > len(SECRETS)
        assert (await client.call(DeleteUser(SECRETS["id"]))).status == 204
        await forget(client)
        await checkpoint(host)
        assert find_secrets(directory) == []
    assert find_secrets(directory) == []


async def test_what_was_never_saved_is_not_left_in_any_file_either(settings: ShardSettings) -> None:
    async with opened(settings) as (host, client):
        await client.call(event(SECRETS["id"], key=SECRETS["key"]))
        await client.call(DeleteUser(SECRETS["id"]))
        await forget(client)
        await checkpoint(host)
        assert find_secrets(Path(settings.directory)) == []


async def test_erasing_is_taken_up_again_after_a_kill_at_any_step(
    settings: ShardSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "PURGE_CHUNKS", 2)
    async with opened(settings) as (host, client):
        for number in range(7):
            await client.call(event(SECRETS["id"], key=f"{SECRETS['key']}-{number}"))
            await checkpoint(host)
        await call(client, event("bob", 3, key="k"), DeleteUser(SECRETS["id"]))
        await forget(client)
        killed = await checkpoint_and_be_killed(host, settings)
    assert len(killed) > 8
    for left in killed:
        async with opened(left) as (host, client):
            await client.call(event("bob", 0))
            await checkpoint(host)
            store = shard_in(host)._state
            assert find_secrets(Path(left.directory)) == []
            assert await store._fetch("SELECT count(*) FROM purges") == [(0,)]
            assert (await store.load_counters())["users", 0] == 1
            assert (await client.call(ReadUser(SECRETS["id"]))).status == 404
            assert (await client.call(event("bob", 100, key="k"))).status == 202
            assert await total_of(client, "bob") == 3


async def test_very_many_users_may_be_deleted_at_once(settings: ShardSettings) -> None:
    """One statement with a parameter for each would be too long; then the shard could not even open."""
    async with opened(settings) as (host, client):
        await client.call(event("bob"))
        await checkpoint(host)
        state = shard_in(host)._state
        await state._run(lambda raw: raw.setlimit(SQLITE_LIMIT_VARIABLE_NUMBER, 100))
        await state._fetch(
            "WITH RECURSIVE n (id) AS (SELECT 1000 UNION ALL SELECT id + 1 FROM n LIMIT 200) "
            "INSERT INTO purges SELECT id, NULL FROM n"
        )
        await state.purge()
        assert await state._fetch("SELECT count(*) FROM purges") == [(0,)]
        assert await total_of(client, "bob") == 1


SQLITE_LIMIT_VARIABLE_NUMBER = 9
