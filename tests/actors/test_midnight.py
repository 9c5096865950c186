"""Whatever happens to a shard, time does to its users what it does in one to which nothing happens."""

import asyncio
import random
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from plaudit.actors import checkpoint as checkpoints
from plaudit.actors import schedule, timers
from plaudit.actors.checkpoint import Checkpointer
from plaudit.actors.user_shard import ShardSettings
from plaudit.engine.advance import advance
from plaudit.engine.amounts import UNIT
from plaudit.engine.catalog import Catalog
from plaudit.engine.commands import (
    Command,
    DeleteUser,
    EndPause,
    GrantFreeze,
    PauseStreak,
    ReadStreak,
    RecordEvent,
    ResetStreak,
    RestoreStreak,
    StreakPreferenceFields,
    UpdatePreferences,
    UserFields,
)
from plaudit.engine.compiling import compile_catalog
from plaudit.engine.timezones import local_day
from plaudit.engine.user import User
from tests.actors.shards import CATALOG, killed_now, make_settings, statuses
from tests.actors.timed_shard import DAY_MS, HOUR_MS, NOON_MS, TimedShard, timed, with_freezes
from tests.engine.builders import event_id

MIDNIGHT_MS = NOON_MS + 35 * HOUR_MS
ZONES = ["Europe/Paris", "Pacific/Auckland", "America/Los_Angeles", "Pacific/Apia"]
USERS = [f"user-{n}" for n in range(8)]
STEPS = 70


@pytest.fixture(autouse=True)
def few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two users are many; checkpoints are when a test says."""
    monkeypatch.setattr(schedule, "ENTRIES_MAX", 4)
    monkeypatch.setattr(timers, "ENTRIES_MAX", 4)
    monkeypatch.setattr(timers, "WAKE_USERS", 2)
    monkeypatch.setattr(timers, "SWEEP_USERS", 2)
    monkeypatch.setattr(checkpoints, "SLICE_USERS", 2)
    monkeypatch.setattr(Checkpointer, "_run", lambda _: asyncio.Event().wait())


@pytest.fixture
def beside(settings: ShardSettings) -> ShardSettings:
    """A shard beside that of `settings`."""
    directory = Path(settings.address).parent / "beside"
    directory.mkdir()
    return make_settings(directory / "data", directory)


def event(user: str, number: int, zone: str = "Europe/Paris", value: int = UNIT) -> RecordEvent:
    return RecordEvent(user, "lessons", value, event_id(number), UserFields(tz=zone))


async def test_a_kill_in_the_middle_of_a_midnight_changes_nothing(
    settings: ShardSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[ShardSettings] = []
    async with timed(settings) as shard:
        await shard.call(*(event(f"user-{n}", n) for n in range(12)))
        await shard.checkpoint()
        await shard.move(NOON_MS + DAY_MS)
        await shard.call(*(event(f"user-{n}", 20 + n) for n in range(0, 12, 4)))

        def stepped(method: Any) -> Any:
            async def step(*args: Any, **kwargs: Any) -> Any:
                result = await method(*args, **kwargs)
                killed.append(killed_now(settings, str(len(killed))))
                return result

            return step

        with monkeypatch.context() as patch:
            patch.setattr(shard.shard._state, "_write", stepped(shard.shard._state._write))
            patch.setattr(shard.shard._log, "append", stepped(shard.shard._log.append))
            saving = asyncio.create_task(shard.checkpoint())
            await shard.move(MIDNIGHT_MS)
            await saving
            await shard.checkpoint()
        after = await shard.snapshots()
        assert [await shard.streak_of(f"user-{n}") for n in range(5)] == [2, 0, 0, 0, 2]
        await check_times(shard)
    assert len(killed) > 12
    for copy in killed:
        shard = TimedShard(copy, CATALOG)
        shard.now_ms = MIDNIGHT_MS
        await shard.open()
        assert await shard.snapshots() == after
        await check_times(shard)
        await shard.host.close()


async def check_times(shard: TimedShard) -> None:
    """What is known of everybody's time follows from their state, and everything that is due has happened."""
    due_times, compiled = shard.shard._residents.schedule.due_times, compile_catalog(shard.catalog)
    for known in (await shard.known()).values():
        assert known.due_ms == due_times.find(known.user, known.id)
        assert known.due_ms is None or known.due_ms > shard.now_ms
        assert lengths(advance(known.user, compiled, shard.now_ms)) == lengths(known.user)


def lengths(user: User) -> list[int]:
    streaks = user.streaks
    return [*(streak.length for streak in (streaks.daily, streaks.weekly, streaks.monthly)), streaks.freezes]


def choose(choices: random.Random, number: int, now_ms: int) -> Command:
    """Anything that may be done to a user; mostly events."""
    user, kind = choices.choice(USERS), choices.random()
    today = local_day(now_ms, "Europe/Paris")
    if kind < 0.6:
        zone = choices.choice(ZONES) if choices.random() < 0.2 else "Europe/Paris"
        return event(user, number, zone, choices.choice((UNIT, UNIT, -UNIT, 0)))
    others: list[Command] = [
        DeleteUser(user),
        GrantFreeze(user),
        ReadStreak(user),
        ReadStreak(user, 30),
        ResetStreak(user),
        RestoreStreak(user),
        PauseStreak(user, event_id(number), today + choices.randrange(3), today + 2 + choices.randrange(3)),
        EndPause(user, event_id(max(1, number - choices.randrange(20)))),
        UpdatePreferences(user, streak=StreakPreferenceFields(enabled=choices.choice((True, False, None)))),
    ]
    return choices.choice(others)


def choose_catalog(choices: random.Random, version: int) -> Catalog:
    every = choices.choice((None, None, 1, 2, 3))
    if choices.random() < 0.3:
        return replace(CATALOG, version=version)
    return with_freezes(version, every, choices.choice((1, 3)))


@pytest.mark.parametrize("seed", range(8))
async def test_time_does_the_same_whatever_else_happens(
    settings: ShardSettings, beside: ShardSettings, seed: int
) -> None:
    """One shard has room for two users and loses them now and then; the other one has no worries."""
    choices = random.Random(seed)
    statuses_seen: set[int] = set()
    async with AsyncExitStack() as stack:
        small = await stack.enter_async_context(timed(replace(settings, users_max=2)))
        large = await stack.enter_async_context(timed(beside))
        saving: asyncio.Task[None] | None = None
        for step in range(STEPS):
            kind = choices.random()
            if kind < 0.5:
                commands = [choose(choices, 100 * step + n, small.now_ms) for n in range(1, 5)]
                replies = await small.call(*commands)
                assert replies == await large.call(*commands)
                statuses_seen.update(statuses(replies))
            elif kind < 0.65:
                saving = asyncio.create_task(small.checkpoint())
            elif kind < 0.85:
                now_ms = small.now_ms + choices.choice((HOUR_MS, 7 * HOUR_MS, DAY_MS, 3 * DAY_MS))
                next_ms = await small.move(now_ms)
                await large.move(now_ms)
                dues = [known.due_ms for known in (await small.known()).values() if known.due_ms is not None]
                assert (next_ms is not None) >= bool(dues)
                assert next_ms is None or now_ms < next_ms <= min(dues, default=next_ms)
            elif kind < 0.92:
                catalog = choose_catalog(choices, small.catalog.version + 1)
                await small.adopt(catalog)
                await large.adopt(catalog)
            else:
                if saving is not None:
                    await saving
                await (reopen if choices.random() < 0.3 else lose)(small)
                await large.move(large.now_ms)
            if saving is not None and (saving.done() or choices.random() < 0.5):
                await saving
                saving = None
            assert await small.snapshots() == await large.snapshots()
            await check_rows(small)
        if saving is not None:
            await saving
        await small.move(small.now_ms)
        await check_times(small)
    assert statuses_seen >= {200, 201, 404}


async def check_rows(shard: TimedShard) -> None:
    """What is known of everybody's time is right at any moment, unless a sweep is still to come."""
    schedule = shard.shard._residents.schedule
    for known in (await shard.known()).values():
        if schedule.is_swept or not known.is_saved:
            assert known.due_ms == schedule.due_times.find(known.user, known.id)


async def lose(shard: TimedShard) -> None:
    """Kill it and open it again."""
    shard.host.kill()
    await shard.open()


async def reopen(shard: TimedShard) -> None:
    """Close it and open it again."""
    await shard.host.close()
    await shard.open()
