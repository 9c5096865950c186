"""What is due happens, once, in order, whether anybody asks or not."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from plaudit.actors import applier, schedule, timers
from plaudit.actors.checkpoint import Checkpointer
from plaudit.actors.executor import TIMERS, Executor
from plaudit.actors.user_shard import ShardSettings
from plaudit.engine.amounts import UNIT
from plaudit.engine.commands import DeleteUser, ReadUser, RecordEvent, UserFields
from plaudit.engine.compiling import compile_catalog
from plaudit.engine.deadlines import next_deadline
from plaudit.engine.elapse import elapse
from plaudit.engine.outcome import Elapsed
from plaudit.engine.user import User
from tests.actors.shards import CATALOG, edit, opened, query, shard_in, statuses
from tests.actors.timed_shard import DAY_MS, HOUR_MS, NOON_MS, TimedShard, timed, with_freezes
from tests.engine.builders import event_id

MIDNIGHT_MS = NOON_MS + 35 * HOUR_MS
"""The end of tomorrow in Paris, when a streak of today is lost."""
FREEZES = with_freezes(CATALOG.version + 1)


@pytest.fixture(autouse=True)
def few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two users are many; checkpoints are when a test says."""
    monkeypatch.setattr(schedule, "ENTRIES_MAX", 4)
    monkeypatch.setattr(timers, "ENTRIES_MAX", 4)
    monkeypatch.setattr(timers, "WAKE_USERS", 2)
    monkeypatch.setattr(timers, "SWEEP_USERS", 2)
    monkeypatch.setattr(Checkpointer, "_run", lambda _: asyncio.Event().wait())


@pytest.fixture
async def shard(settings: ShardSettings) -> AsyncIterator[TimedShard]:
    async with timed(settings) as opened:
        yield opened


def event(user: str, number: int = 1, zone: str = "Europe/Paris") -> RecordEvent:
    return RecordEvent(user, "lessons", UNIT, event_id(number), UserFields(tz=zone))


async def test_of_nobody_nothing_is_due(shard: TimedShard) -> None:
    assert await shard.move(NOON_MS) is None
    await shard.call(RecordEvent("ada", "lessons", -UNIT, event_id(1)))
    assert await shard.move(NOON_MS + 400 * DAY_MS) is None
    assert await shard.logged() == []


async def test_a_streak_is_lost_at_midnight_and_not_before(shard: TimedShard) -> None:
    await shard.call(event("ada"), event("bob"))
    assert await shard.move(NOON_MS + DAY_MS) == MIDNIGHT_MS
    await shard.call(event("bob", 2))
    assert await shard.move(MIDNIGHT_MS - 1) == MIDNIGHT_MS
    assert await shard.logged() == []
    assert await shard.move(MIDNIGHT_MS) == MIDNIGHT_MS + DAY_MS
    assert await shard.logged() == ["ada"]
    states = {key[1]: known.user.streaks.daily.length for key, known in (await shard.known()).items()}
    assert states == {"ada": 0, "bob": 2}
    assert [await shard.streak_of("ada"), await shard.streak_of("bob")] == [0, 2]


async def test_users_are_advanced_in_the_order_of_their_times(shard: TimedShard) -> None:
    """East before west, unless it is tomorrow there; and the order in which they were first seen within a zone."""
    zones = ["America/Los_Angeles", "Asia/Tokyo", "Europe/Paris", "Pacific/Auckland"]
    await shard.call(*(event(f"{zone}-{n}", zone=zone) for n in range(4) for zone in zones))
    await shard.checkpoint()
    await shard.call(event("Asia/Tokyo-1", 2, "Asia/Tokyo"))
    await shard.move(NOON_MS + 2 * DAY_MS)
    order = [zones[n] for n in (1, 2, 0, 3)]
    assert await shard.logged() == [f"{zone}-{n}" for zone in order for n in range(4)]


async def test_what_is_due_at_once_is_spread_over_the_window(settings: ShardSettings) -> None:
    async with timed(replace(settings, timer_window_ms=(1 << schedule.JITTER_BITS) * 10)) as shard:
        await shard.call(*(event(f"user-{n}") for n in range(1, 6)))
        for n in range(1, 6):
            assert await shard.move(MIDNIGHT_MS + 10 * n - 1) == MIDNIGHT_MS + 10 * n
            assert len(await shard.logged()) == n - 1
        await shard.move(MIDNIGHT_MS + 50)
        assert await shard.logged() == [f"user-{n}" for n in range(1, 6)]


@pytest.mark.parametrize("is_saved", [False, True])
async def test_it_is_logged_once_and_replayed(shard: TimedShard, is_saved: bool) -> None:
    users = [f"user-{n}" for n in range(7)]
    await shard.call(*map(event, users))
    if is_saved:
        await shard.checkpoint()
    await shard.move(MIDNIGHT_MS)
    assert await shard.logged() == users
    before = await shard.snapshots()
    for _ in range(2):
        shard.host.kill()
        await shard.open()
        assert await shard.snapshots() == before
        assert await shard.logged() == users
        await shard.move(MIDNIGHT_MS)
    assert TIMERS not in shard.shard._dedupe.gateways()


async def test_users_are_advanced_who_are_not_in_memory_and_leave_it_first(settings: ShardSettings) -> None:
    window_ms = 10 << schedule.JITTER_BITS
    async with timed(replace(settings, users_max=3, timer_window_ms=window_ms)) as shard:
        await shard.call(*(event(f"user-{n}") for n in range(1, 10)))
        await shard.checkpoint()
        hot = ["user-9", "user-8"]
        await shard.call(*map(ReadUser, hot))
        for n in range(1, 8):
            await shard.move(MIDNIGHT_MS + 10 * n)
            await shard.checkpoint()
            residents = shard.shard._residents
            assert len(residents) <= 4
            assert all(residents.find(("", user)) is not None for user in hot)
        assert await shard.logged() == [f"user-{n}" for n in range(1, 8)]


async def test_of_whom_something_has_been_heard_since_nothing_is_due(shard: TimedShard) -> None:
    """The row in state.sqlite still says so, and so may the schedule."""
    await shard.call(event("ada"), event("bob"))
    await shard.checkpoint()
    assert await shard.move(MIDNIGHT_MS - 1) == MIDNIGHT_MS
    await shard.call(event("ada", 2))
    shard.host.kill()
    await shard.open()
    await shard.move(MIDNIGHT_MS)
    assert await shard.logged() == ["bob"]
    assert await shard.streak_of("ada") == 2


async def test_a_row_that_is_too_early_is_set_right(settings: ShardSettings) -> None:
    async with timed(settings) as shard:
        await shard.call(event("ada"))
    edit(settings, f"UPDATE timers SET due_ms = {NOON_MS}")
    async with timed(settings) as shard:
        assert await shard.logged() == ["ada"]
        assert await shard.move(NOON_MS) == MIDNIGHT_MS
    assert query(settings, "SELECT due_ms FROM timers") == [(MIDNIGHT_MS,)]


@pytest.mark.parametrize("is_saved", [False, True])
async def test_who_is_deleted_is_left_alone_and_so_is_who_comes_after(shard: TimedShard, is_saved: bool) -> None:
    await shard.call(event("ada"), event("bob"))
    await shard.checkpoint()
    await shard.move(MIDNIGHT_MS - 1)
    await shard.call(DeleteUser("ada"), DeleteUser("bob"), event("bob", 2))
    if is_saved:
        await shard.checkpoint()
    await shard.move(MIDNIGHT_MS)
    assert await shard.logged() == []
    assert statuses(await shard.call(ReadUser("ada"))) == [404]
    assert await shard.streak_of("bob") == 1
    await shard.checkpoint()
    assert await shard.move(MIDNIGHT_MS + DAY_MS) is not None
    assert [key[1] for key in await shard.known()] == ["bob"]


async def test_a_state_without_times_is_swept_and_the_sweep_is_resumed(
    settings: ShardSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with timed(settings) as shard:
        await shard.call(*(event(f"user-{n}") for n in range(9)))
        due = {key: known.due_ms for key, known in (await shard.known()).items()}
    edit(settings, "DELETE FROM timers", "UPDATE sweep SET key = '', position = 0")
    async with opened(settings, lambda: NOON_MS) as (host, _):
        state = shard_in(host)._state
        pages: list[Any] = []

        async def sweep(*args: Any) -> Any:
            if len(pages) == 2:
                await asyncio.Event().wait()
            pages.append(await type(state).sweep_timers(state, *args))
            return pages[-1]

        monkeypatch.setattr(state, "sweep_timers", sweep)
        async with asyncio.timeout(10):
            while len(pages) < 2:
                await asyncio.sleep(0)
        host.kill()
    [(position,)] = query(settings, "SELECT position FROM sweep")
    assert position == 4
    async with timed(settings) as shard:
        assert {key: known.due_ms for key, known in (await shard.known()).items()} == due
        await shard.move(MIDNIGHT_MS)
        assert await shard.logged() == [f"user-{n}" for n in range(9)]


async def test_another_window_is_as_good_as_another_rule(settings: ShardSettings) -> None:
    for window_ms in (0, 5 << schedule.JITTER_BITS, 0, 9 << schedule.JITTER_BITS):
        async with timed(replace(settings, timer_window_ms=window_ms)) as shard:
            await shard.call(*(event(f"user-{n}") for n in range(5)))
            await shard.checkpoint()
            factor = window_ms >> schedule.JITTER_BITS
            assert {known.due_ms for known in (await shard.known()).values()} == {
                MIDNIGHT_MS + factor * n for n in range(1, 6)
            }


async def test_new_settings_hold_for_everybody_at_once(shard: TimedShard) -> None:
    """Freezes are earned: who is in memory and who is not has something to wait for."""
    await shard.call(*(RecordEvent(f"user-{n}", "lessons", -UNIT, event_id(n)) for n in range(9)))
    await shard.checkpoint()
    await shard.call(*(RecordEvent(f"user-{n}", "lessons", -UNIT, event_id(9 + n)) for n in range(0, 9, 2)))
    assert await shard.move(NOON_MS) is None
    await shard.adopt(FREEZES)
    due_ms = await shard.move(NOON_MS)
    assert due_ms is not None
    await check_times(shard)
    await shard.move(due_ms)
    assert sorted(await shard.logged()) == [f"user-{n}" for n in range(9)]
    for version, catalog in enumerate((CATALOG, FREEZES, CATALOG), FREEZES.version + 1):
        await shard.adopt(replace(catalog, version=version))
        await shard.call(event("user-1", 100 + version))
        await shard.checkpoint()
        await shard.move(shard.now_ms)
        await check_times(shard)


async def check_times(shard: TimedShard) -> None:
    """What is known of everybody's time is what follows from their state."""
    compiled = compile_catalog(shard.catalog)
    for known in (await shard.known()).values():
        assert known.due_ms == next_deadline(known.user, compiled)


async def test_settings_that_go_and_come_back_before_a_sweep_leave_nothing_wrong(shard: TimedShard) -> None:
    """A slice has written times under other settings, and the table says so."""
    await shard.call(event("ada"), event("bob"))
    await shard.checkpoint()
    await shard.adopt(FREEZES)
    await shard.call(event("ada", 2))
    await shard.checkpoint()
    await shard.adopt(replace(CATALOG, version=FREEZES.version + 1))
    shard.host.kill()
    await shard.open()
    await check_times(shard)


async def test_by_the_clock_what_is_due_happens_by_itself(settings: ShardSettings) -> None:
    now_ms = NOON_MS
    async with opened(settings, lambda: now_ms) as (host, client):
        shard = shard_in(host)
        for n in range(5):
            await client.call(event(f"user-{n}"))
        await shard._checkpointer.run_once()
        before = shard._committer.committed
        now_ms = MIDNIGHT_MS - 1
        await client.call(event("user-0", 2))
        now_ms = MIDNIGHT_MS
        shard._residents.schedule.changed.set()
        async with asyncio.timeout(10):
            await shard._committer.wait(before + 5)
        assert {key[1] for key, _ in unsaved(host)} == {"user-0"}
        assert len(shard._residents.unsaved()) == 5
        now_ms = MIDNIGHT_MS + DAY_MS
        await client.call(event("somebody-new"))
        async with asyncio.timeout(10):
            await shard._committer.wait(before + 7)


def unsaved(host: Any) -> Any:
    return shard_in(host)._residents.unsaved_events()


async def test_it_sleeps_until_something_is_due_but_not_for_long(
    settings: ShardSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    timeout = asyncio.timeout

    def remember(seconds: float) -> asyncio.Timeout:
        waits.append(seconds)
        return timeout(seconds)

    monkeypatch.setattr(asyncio, "timeout", remember)
    now_ms = NOON_MS
    async with opened(settings, lambda: now_ms) as (host, client):
        await client.call(event("ada"))
        while not waits:
            await asyncio.sleep(0)
        now_ms = MIDNIGHT_MS - 1500
        shard_in(host)._residents.schedule.changed.set()
        while waits[-1] == timers.SLEEP_MAX_S:
            await asyncio.sleep(0)
    assert waits[-1] == 1.5
    assert set(waits) == {1.5, timers.SLEEP_MAX_S}


@pytest.mark.parametrize(("took_s", "wakes"), [(0.0, 2), (3600.0, 1)])
async def test_after_a_wake_comes_a_pause(settings: ShardSettings, took_s: float, wakes: int) -> None:
    async with timed(settings) as shard:
        await shard.call(*(event(f"user-{n}") for n in range(4)))
    woken = []

    class SlowExecutor(Executor):
        async def wake(self, ids: Sequence[int]) -> float:
            woken.append(list(ids))
            return took_s

    async with opened(settings, lambda: NOON_MS) as (host, client):
        running = shard_in(host)._timers
        running._executor.__class__ = SlowExecutor
        while running._schedule.horizon == schedule.BEGINNING:
            await asyncio.sleep(0)
        running._schedule.add_all([(NOON_MS, n) for n in (1, 2, 3, 4)])
        for _ in range(20):
            await client.call(ReadUser("user-1"))
    assert woken == [[1, 2], [3, 4]][:wakes]


async def test_a_wake_that_comes_while_the_shard_closes_is_dropped(shard: TimedShard) -> None:
    await shard.call(event("ada"))
    shard.shard._clock.move(MIDNIGHT_MS)  # type: ignore[attr-defined]
    await shard.shard._executor.close()
    committed = shard.shard._committer.committed
    assert await shard.shard._executor.wake([1]) == 0.0
    assert shard.shard._committer.committed == committed


async def test_whom_the_rules_cannot_advance_is_left_as_he_was(
    shard: TimedShard, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shard.call(event("ada"), event("bob", zone="UTC"), event("cid"))

    def elapse_or_raise(user: User, *args: Any) -> Elapsed:
        if user.profile.tz == "UTC":
            raise ZeroDivisionError
        return elapse(user, *args)

    monkeypatch.setattr(applier, "elapse", elapse_or_raise)
    await shard.move(NOON_MS + 2 * DAY_MS)
    assert await shard.logged() == ["ada", "cid"]
    monkeypatch.undo()
    assert await shard.streak_of("bob") == 0


async def test_whose_time_comes_again_at_once_is_not_advanced_for_ever(
    shard: TimedShard, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shard.call(event("ada"), event("bob"))
    monkeypatch.setattr(applier, "elapse", lambda user, *_: Elapsed(user))
    assert await shard.move(MIDNIGHT_MS) is None
    assert await shard.logged() == ["ada", "bob"]
