"""What decides when an event was is the shard's stamp: not the client, not the machine's clock, not who sends again."""

import datetime
from pathlib import Path

import msgspec
import pytest

from plaudit.actors.messages import Reply
from plaudit.actors.shard_client import ShardClient
from plaudit.actors.user_shard import ShardSettings
from plaudit.engine.commands import ReadStreak
from tests.actors.gateways import connected
from tests.actors.shards import CATALOG, call, event, make_settings, opened, shard_in

DAY_MS = 86_400_000
MIDNIGHT_MS = int(datetime.datetime(2027, 3, 14, 23, tzinfo=datetime.UTC).timestamp() * 1000)
"""00:00 of 2027-03-15 in Paris, where everybody here lives."""
DAY_BEFORE_MS = MIDNIGHT_MS - DAY_MS


@pytest.fixture
def settings(tmp_path: Path) -> ShardSettings:
    """A new shard."""
    return make_settings(tmp_path / "data", tmp_path)


class Machine:
    """A clock that goes where it is put, also back."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms


def streak_in(reply: Reply) -> tuple[int, bool]:
    """Length, and whether the event extended it."""
    streak = msgspec.json.decode(reply.body)["currentStreak"]
    return streak["length"], streak["extended"]


async def length_of(client: ShardClient) -> int:
    """The length of Sam's streak."""
    (reply,) = await call(client, ReadStreak("sam"))
    length: int = msgspec.json.decode(reply.body)["length"]
    return length


@pytest.mark.parametrize(
    ("late_ms", "length"),
    [
        pytest.param(-1, 2, id="in the last moment of the day"),
        pytest.param(0, 1, id="at midnight"),
        pytest.param(1, 1, id="a moment after midnight"),
    ],
)
async def test_an_event_counts_for_the_day_of_its_stamp(settings: ShardSettings, late_ms: int, length: int) -> None:
    async with opened(settings, now_ms=DAY_BEFORE_MS - 1) as (host, client):
        await call(client, event("sam"))
        await host.move_clock(MIDNIGHT_MS + late_ms)
        assert await length_of(client) == length - 1
        assert streak_in((await call(client, event("sam")))[0]) == (length, True)


async def test_the_timer_and_the_event_of_one_moment_do_the_same_in_either_order(settings: ShardSettings) -> None:
    machine = Machine(DAY_BEFORE_MS - 1)
    async with opened(settings, machine) as (host, client):
        await call(client, event("sam"), event("ada"))
        ids = {r.key[1]: r.id for r in shard_in(host)._residents.unsaved()}
        machine.now_ms = MIDNIGHT_MS
        await shard_in(host)._executor.wake([ids["sam"]])
        streaks = [streak_in(reply) for reply in await call(client, event("sam"), event("ada"))]
        await shard_in(host)._executor.wake([ids["ada"]])
        snapshots = shard_in(host)._residents.snapshots()
        assert streaks == [(1, True), (1, True)]
        assert snapshots["", "sam"] == snapshots["", "ada"]


async def test_a_clock_that_steps_back_over_midnight_takes_no_day_back(settings: ShardSettings) -> None:
    machine = Machine(DAY_BEFORE_MS - 1)
    async with opened(settings, machine) as (_, client):
        await call(client, event("sam"))
        machine.now_ms = DAY_BEFORE_MS
        assert streak_in((await call(client, event("sam")))[0]) == (2, True)
        machine.now_ms = DAY_BEFORE_MS - 60_000
        assert streak_in((await call(client, event("sam")))[0]) == (2, False)
        assert await length_of(client) == 2
        machine.now_ms = MIDNIGHT_MS
        assert streak_in((await call(client, event("sam")))[0]) == (3, True)


async def test_a_clock_that_stepped_back_while_the_shard_was_closed_is_not_followed(settings: ShardSettings) -> None:
    async with opened(settings, Machine(DAY_BEFORE_MS - DAY_MS)) as (_, client):
        await call(client, event("sam"))
    async with opened(settings, Machine(DAY_BEFORE_MS)) as (_, client):
        assert streak_in((await call(client, event("sam")))[0]) == (2, True)
    async with opened(settings, Machine(DAY_BEFORE_MS - 1)) as (_, client):
        assert streak_in((await call(client, event("sam")))[0]) == (2, False)


async def test_a_batch_sent_again_after_midnight_keeps_the_day_of_its_first_stamp(settings: ShardSettings) -> None:
    async with opened(settings, now_ms=DAY_BEFORE_MS - 1) as (host, client), connected(settings.address, 7) as (mine,):
        first = await mine.ask(1, sent := event("sam"))
        await host.move_clock(DAY_BEFORE_MS)
        mine.answers.clear()
        assert await mine.ask(1, sent) == first
        assert await length_of(client) == 1
        assert streak_in((await mine.ask(2, event("sam")))[0]) == (2, True)


async def test_a_batch_sent_again_to_another_owner_after_midnight_keeps_its_day(settings: ShardSettings) -> None:
    async with opened(settings, now_ms=DAY_BEFORE_MS - 1) as (host, _):
        async with connected(settings.address, 7) as (mine,):
            first = await mine.ask(1, sent := event("sam"))
        host.kill()
        await host.open(CATALOG, MIDNIGHT_MS - 1)
        async with connected(settings.address, 7) as (mine,):
            assert await mine.ask(1, sent) == first
            assert streak_in((await mine.ask(2, event("sam")))[0]) == (2, True)
