"""What is written down of leaderboards, and when."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from plaudit.actors.board_keeper import HISTORY_DAYS, BoardKeeper
from plaudit.actors.clock import Stamp
from plaudit.engine.amounts import UNIT
from plaudit.engine.runs import begin_ms, final_ms, midnight_utc_ms
from plaudit.storage.board_pages import Standing
from plaudit.storage.board_snapshots import HistoryDay
from plaudit.storage.board_store import BoardStore
from tests.actors.boards import HOUR_MS, NOON_MS, START, board, catalog, daily, score
from tests.actors.kept_boards import Kept, kept, publish

KEY = (1, START)
NIGHT_MS = midnight_utc_ms(START + 1)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[BoardStore]:
    opened = await BoardStore.open(tmp_path)
    yield opened
    await opened.close()


async def test_a_snapshot_is_taken_when_the_date_ends_in_utc(store: BoardStore) -> None:
    async with kept(store, board()) as world:
        publish(world.runs, score(1, 5), score(2, 6))
        assert await world.move(NOON_MS) == NIGHT_MS
        assert await world.move(NIGHT_MS - 1) == NIGHT_MS
        assert await world.days() == []
        assert await world.move(NIGHT_MS) == midnight_utc_ms(START + 2)
        publish(world.runs, score(1, 7))
        assert await world.ranks(START, 1, 2, 3) == [2, 1, None]
        assert await world.move(midnight_utc_ms(START + 2)) == midnight_utc_ms(START + 3)
        assert await world.ranks(START + 1, 1, 2) == [1, 2]
        assert await world.days() == [0, 1]


async def test_nothing_is_due_while_nobody_has_scored(store: BoardStore) -> None:
    async with kept(store, board()) as world:
        assert await world.move(NIGHT_MS + 1) is None
        publish(world.runs, score(1, 5))
        assert await world.move(NIGHT_MS + 1) == midnight_utc_ms(START + 2)
        assert await world.days() == []


async def test_a_run_that_begins_in_the_east_before_its_day_does_in_utc_has_a_snapshot_then(store: BoardStore) -> None:
    begin = begin_ms(START)
    async with kept(store, board(), now_ms=begin) as world:
        publish(world.runs, score(1, 5, at_ms=begin))
        assert await world.move(begin) == midnight_utc_ms(START)
        await world.move(midnight_utc_ms(START))
        assert await world.days() == [-1]


async def test_each_group_is_ranked_by_itself_and_only_places_are_written_down(store: BoardStore) -> None:
    async with kept(store, board(max_participants=1, breakdown_attributes=("plan",))) as world:
        groups = {1: "free", 2: "free", 3: "pro"}
        publish(world.runs, *(score(member, member, group=(group,)) for member, group in groups.items()))
        await world.move(NIGHT_MS)
        assert await world.ranks(START, 1, 2, 3) == [None, 1, 1]


async def test_q44_what_is_written_down_is_what_is_shown(store: BoardStore) -> None:
    async with kept(store, daily(rank_by="metric", metric="km", points_system=None)) as world:
        publish(world.runs, score(1, 5 * UNIT // 2))
        await world.move(final_ms(START))
        assert await world.history(1, START) == [HistoryDay(START, 1, 2)]
        assert [place.value for _, place in await store.read_final(*KEY, (), 0, 9)] == [2]


async def test_a_run_is_final_when_it_is_over_everywhere(store: BoardStore) -> None:
    async with kept(store, daily()) as world:
        publish(world.runs, score(1, 5), score(2, 6, name="Two"), score(3, 1), score(3, None))
        end = final_ms(START)
        assert await world.move(NIGHT_MS) == end
        assert await world.move(end - 1) == end
        assert await world.finals() == []
        assert await world.move(end) is None
        assert await world.finals() == [0]
        assert world.runs.find(KEY) is None
        assert world.runs.is_final(KEY)
        lines = await store.read_final(*KEY, (), 0, 9)
        assert [(rank, place.user_id, place.name) for rank, place in lines] == [(1, "u2", "Two"), (2, "u1", None)]
        assert await world.days() == [0]


async def test_a_final_ranking_is_durable_before_its_run_leaves_memory(
    store: BoardStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    save = store.save_final

    async def save_slowly(*args: object) -> None:
        begun.set()
        await go_on.wait()
        await save(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "save_final", save_slowly)
    async with kept(store, daily()) as world:
        publish(world.runs, score(1, 5))
        moving = asyncio.create_task(world.move(final_ms(START)))
        await begun.wait()
        assert world.runs.is_open(KEY)
        assert not world.runs.is_final(KEY)
        go_on.set()
        await moving
        assert await store.load_final(*KEY) is not None


async def test_runs_follow_each_other(store: BoardStore) -> None:
    async with kept(store, daily()) as world:
        publish(world.runs, score(1, 5))
        await world.move(NIGHT_MS)
        publish(world.runs, score(1, 2, run=START + 1, at_ms=NIGHT_MS))
        assert await world.move(NIGHT_MS) == final_ms(START)
        assert await world.move(final_ms(START)) == midnight_utc_ms(START + 2)
        await world.move(final_ms(START + 1))
        assert await world.finals() == [0, 1]
        assert (await world.days(), await world.days((1, START + 1))) == ([0], [1])


async def test_what_was_missed_is_written_down_in_order_before_the_run_is_open(
    store: BoardStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_days = board(run_unit="day", run_interval=2)
    async with kept(store, two_days) as world:
        publish(world.runs, score(1, 5))
        await world.move(NIGHT_MS)
    steps: list[str] = []
    save_snapshot, save_final = store.save_snapshot, store.save_final
    async with kept(store, two_days, now_ms=final_ms(START + 1), is_in=False) as world:

        async def saving_snapshot(*args: object) -> None:
            assert not world.runs.is_open(KEY)
            steps.append(f"snapshot {args[2]}")
            await save_snapshot(*args)  # type: ignore[arg-type]

        async def saving_final(*args: object) -> None:
            assert not world.runs.is_open(KEY)
            steps.append("final")
            await save_final(*args)  # type: ignore[arg-type]

        monkeypatch.setattr(store, "save_snapshot", saving_snapshot)
        monkeypatch.setattr(store, "save_final", saving_final)
        world.runs.apply(0, [score(1, 5), score(2, 9)])
        assert steps == []
        world.complete()
        await world.move(final_ms(START + 1))
        assert steps == [f"snapshot {START + 1}", "final"]
        assert await world.ranks(START + 1, 1, 2) == [2, 1]


async def test_a_run_that_has_no_snapshot_misses_those_since_somebody_stood_where_they_stand(store: BoardStore) -> None:
    now_ms = midnight_utc_ms(START + 5)
    async with kept(store, board(), now_ms=now_ms, is_in=False) as world:
        world.runs.apply(0, [score(1, 5, at_ms=midnight_utc_ms(START + 3)), score(2, 6, at_ms=now_ms - 1)])
        world.complete()
        await world.move(now_ms)
        assert await world.days() == [3, 4]


async def test_nothing_is_made_up_of_days_before_the_board_was_as_it_is(store: BoardStore) -> None:
    now_ms = midnight_utc_ms(START + 5) + HOUR_MS
    async with kept(store, board(counting_ms=now_ms), now_ms=now_ms, is_in=False) as world:
        world.runs.apply(0, [score(1, 5)])
        world.complete()
        assert await world.move(now_ms) == midnight_utc_ms(START + 6)
        assert await world.days() == []


async def test_no_more_is_made_up_than_is_kept(store: BoardStore) -> None:
    now_ms = midnight_utc_ms(START + 300)
    async with kept(store, board(), now_ms=now_ms, is_in=False) as world:
        world.runs.apply(0, [score(1, 5)])
        world.complete()
        await world.move(now_ms)
        assert await world.days() == list(range(300 - HISTORY_DAYS, 300))


async def test_old_snapshots_are_removed(store: BoardStore) -> None:
    async with kept(store, board()) as world:
        publish(world.runs, score(1, 5))
        await world.move(NIGHT_MS)
        await world.move(midnight_utc_ms(START + HISTORY_DAYS))
        assert (await world.days())[0] == 0
        await world.move(midnight_utc_ms(START + HISTORY_DAYS + 1))
        while (await world.days())[0] == 0:  # beside what is waited for
            await asyncio.sleep(0)
        assert await world.days() == list(range(1, HISTORY_DAYS + 1))


async def test_a_move_waits_until_the_scores_of_all_users_are_in(store: BoardStore) -> None:
    async with kept(store, board(), is_in=False) as world:
        moving = asyncio.create_task(world.move(NIGHT_MS))
        world.runs.apply(0, [score(1, 5)])
        for _ in range(20):
            await asyncio.sleep(0)
        assert not moving.done()
        world.complete()
        assert await moving == midnight_utc_ms(START + 2)
        assert await world.days() == [0]


async def test_a_gap_stops_what_is_written_down_until_all_are_in_again(store: BoardStore) -> None:
    async with kept(store, board()) as world:
        publish(world.runs, score(1, 5), score(2, 6))
        await world.move(NOON_MS)
        world.connect(covers_from=1)  # all that the user shard had said is dropped
        world.clock.move(NIGHT_MS)
        world.runs.notify()
        for _ in range(20):
            await asyncio.sleep(0)
        assert await world.days() == []
        world.runs.apply(0, [score(2, 6)])
        world.complete()
        await world.move(NIGHT_MS)
        assert await world.ranks(START, 1, 2) == [None, 1]


async def test_a_board_that_is_gone_has_nothing_due(store: BoardStore) -> None:
    async with kept(store, board()) as world:
        publish(world.runs, score(1, 5))
        await world.move(NOON_MS)
        world.runs.adopt(catalog(version=2))
        assert await world.move(NIGHT_MS) is None


async def test_a_run_that_is_empty_now_has_empty_snapshots(store: BoardStore) -> None:
    async with kept(store, board()) as world:
        publish(world.runs, score(1, 5))
        await world.move(NIGHT_MS)
        publish(world.runs, score(1, None))
        await world.move(midnight_utc_ms(START + 2))
        assert await world.history(1, START + 1) == [HistoryDay(START, 1, 5), HistoryDay(START + 1, None, None)]


async def test_what_changes_while_an_order_is_written_down_is_not_in_it(
    store: BoardStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = store.save_snapshot
    async with kept(store, board()) as world:

        async def save_late(number: int, run: int, day: int, pages: list[list[Standing]]) -> None:
            publish(world.runs, score(2, 9), score(3, 9))
            await save(number, run, day, pages)

        monkeypatch.setattr(store, "save_snapshot", save_late)
        publish(world.runs, score(1, 5), score(2, 1))
        await world.move(NIGHT_MS)
        assert await world.ranks(START, 1, 2, 3) == [1, 2, None]


async def test_a_deleted_user_is_erased_after_what_is_being_written_down(
    store: BoardStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = store.save_snapshot
    async with kept(store, board()) as world:
        forgetting: list[asyncio.Task[None]] = []

        async def save_while_forgotten(number: int, run: int, day: int, pages: list[list[Standing]]) -> None:
            publish(world.runs, score(1, None))
            forgetting.append(asyncio.create_task(world.keeper.forget(1)))
            for _ in range(20):
                await asyncio.sleep(0)
            await save(number, run, day, pages)

        monkeypatch.setattr(store, "save_snapshot", save_while_forgotten)
        publish(world.runs, score(1, 5), score(2, 1))
        await world.move(NIGHT_MS)
        await asyncio.gather(*forgetting)
        assert await world.ranks(START, 1, 2) == [None, 2]


async def test_what_was_cut_short_is_written_down_by_the_next_one(
    store: BoardStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()

    async def begin(*args: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(store, "save_snapshot", begin)
        async with kept(store, board()) as world:
            publish(world.runs, score(1, 5))
            world.clock.move(NIGHT_MS - 1)
            await world.move(NIGHT_MS - 1)
            world.clock.move(NIGHT_MS)
            world.runs.notify()
            await begun.wait()
    async with kept(store, board(), now_ms=NIGHT_MS, is_in=False) as world:
        world.runs.apply(0, [score(1, 5)])
        world.complete()
        await world.move(NIGHT_MS)
        assert await world.ranks(START, 1) == [1]


async def test_an_error_of_the_storage_is_final(store: BoardStore, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*args: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(store, "save_snapshot", fail)
    async with kept(store, board()) as world:
        publish(world.runs, score(1, 5))
        await world.move(NOON_MS)
        world.clock.move(NIGHT_MS)
        world.runs.notify()
        await asyncio.wait_for(world.failed.wait(), 10)
        assert [str(error) for error in world.errors] == ["no space left"]


async def test_by_the_machine_s_clock_what_is_due_happens_when_it_is(store: BoardStore) -> None:
    world = Kept(store, [board()], NIGHT_MS - 20, [])
    loop = asyncio.get_running_loop()
    began = loop.time()
    stamp = Stamp(lambda: NIGHT_MS - 20 + int(1000 * (loop.time() - began)))
    world.keeper = BoardKeeper(world.runs, store, stamp, world._fail)
    world.connect()
    world.complete()
    publish(world.runs, score(1, 5))
    world.keeper.start(stands_still=False)
    async with asyncio.timeout(10):
        while (await world.days()) != [0]:
            await asyncio.sleep(0)
    await world.keeper.close()
