"""A shard with little memory answers as one with plenty."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from msgspec.structs import replace

from plaudit.actors import checkpoint as checkpoints
from plaudit.actors.checkpoint import Checkpointer
from plaudit.actors.messages import Reply
from plaudit.actors.runtime import InlineHost
from plaudit.actors.shard_client import ShardClient
from plaudit.actors.user_shard import ShardSettings
from plaudit.engine.amounts import UNIT
from plaudit.engine.commands import Command, DeleteUser, ReadEvents, ReadMetrics, ReadUser, RecordEvent
from tests.actors.shards import checkpoint, make_settings, opened, shard_in
from tests.engine.builders import CREATED_MS, event_id

USERS_MAX = 3
USERS = 100 * USERS_MAX
ROUNDS = 25
CALLS = 40


@pytest.fixture
def roomy(settings: ShardSettings) -> ShardSettings:
    """A shard beside that of `settings`, with room for all."""
    directory = Path(settings.address).parent / "roomy"
    directory.mkdir()
    return make_settings(directory / "data", directory)


def command(choices: random.Random, number: int) -> Command:
    """Any event or read; some users are asked for often, most hardly ever."""
    user = f"user-{min(choices.randrange(USERS), choices.randrange(USERS))}"
    kind = choices.random()
    if kind < 0.6:
        metric, key = choices.choice(["lessons", "lessons", "pages"]), choices.choice([None, "one", "two"])
        return RecordEvent(user, metric, choices.randrange(-2, 9) * UNIT, event_id(number), idempotency_key=key)
    if kind < 0.65:
        return DeleteUser(user)
    reads: list[Command] = [ReadUser(user), ReadMetrics(user), ReadEvents(user)]
    return choices.choice(reads)


async def call(client: ShardClient, commands: Sequence[Command]) -> list[Reply]:
    return list(await asyncio.gather(*(client.call(one) for one in commands)))


def kept(host: InlineHost) -> tuple[int, int]:
    """How many users are in memory, and how many must be."""
    residents = shard_in(host)._residents
    return len(residents), len({user for user, _ in residents.unsaved_events()})


@pytest.mark.parametrize("seed", range(2))
async def test_a_shard_with_little_memory_answers_as_one_with_plenty(
    settings: ShardSettings, roomy: ShardSettings, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(checkpoints, "SLICE_USERS", 7)
    monkeypatch.setattr(Checkpointer, "_run", lambda _: asyncio.Event().wait())  # the test says when
    choices, now_ms, numbers = random.Random(seed), CREATED_MS, 0
    async with AsyncExitStack() as stack:
        (small, little), (large, plenty) = [
            await stack.enter_async_context(opened(each, lambda: now_ms))
            for each in (replace(settings, users_max=USERS_MAX), roomy)
        ]
        for _ in range(ROUNDS):
            now_ms += choices.randrange(10**7)
            commands = [command(choices, numbers + n) for n in range(CALLS)]
            numbers += CALLS
            saving = asyncio.create_task(checkpoint(small)) if choices.random() < 0.6 else None
            assert await call(little, commands) == await call(plenty, commands)
            if saving is not None:
                await saving
            await little.call(ReadUser("nobody"))
            in_memory, unsaved = kept(small)
            assert in_memory <= max(USERS_MAX, unsaved)
        everyone = [read(f"user-{n}") for n in range(USERS) for read in (ReadUser, ReadMetrics, ReadEvents)]
        assert await call(little, everyone) == await call(plenty, everyone)
        await checkpoint(small)
        await little.call(ReadUser("nobody"))
        assert kept(small) == (USERS_MAX, 0)
        assert kept(large)[0] > 10 * USERS_MAX
        pages = [await client.call(ReadEvents(None, limit=200)) for client in (little, plenty)]
        assert pages[0] == pages[1]


async def test_users_who_are_only_read_do_not_stay(settings: ShardSettings) -> None:
    async with opened(replace(settings, users_max=2)) as (host, client):
        await call(client, [RecordEvent(f"user-{n}", "lessons", UNIT, event_id(n)) for n in range(50)])
        await checkpoint(host)
        assert {reply.status for reply in await call(client, [ReadUser(f"user-{n}") for n in range(60)])} == {200, 404}
        assert kept(host) == (2, 0)


async def test_a_checkpoint_is_due_when_what_is_dirty_fills_half_of_the_memory(settings: ShardSettings) -> None:
    """What is not saved cannot leave: nobody may have to wait for the clock."""
    async with opened(replace(settings, users_max=2 * checkpoints.SLICE_USERS)) as (host, client):
        users = [f"user-{n}" for n in range(checkpoints.SLICE_USERS + 1)]
        await call(client, [RecordEvent(user, "lessons", UNIT, event_id(n)) for n, user in enumerate(users)])
        state = shard_in(host)._state
        async with asyncio.timeout(checkpoints.CHECKPOINT_INTERVAL_S / 2):
            while state.checkpoint.applied < checkpoints.SLICE_USERS:
                await asyncio.sleep(0)
