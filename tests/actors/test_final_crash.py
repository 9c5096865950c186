"""A leaderboard shard that is lost while it writes down how days and runs end: each is there once, and right."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from plaudit.actors.board_runs import BoardRuns
from plaudit.actors.runtime import HostLost
from plaudit.engine.runs import final_ms, midnight_utc_ms
from plaudit.storage.board_store import BoardStore
from tests.actors.board_pair import BOARD, Pair, paired, ranked_catalog
from tests.actors.boards import START
from tests.actors.shards import checkpoint

KEY = (BOARD, START)
WRITES = range(1, 6)
"""In how many transactions a final ranking of one page is written down."""


@pytest.fixture
async def pair(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pair]:
    async with paired(monkeypatch, ranked_catalog(run_unit="day")) as made:
        for number in range(5):
            await made.record(f"user-{number}", number + 1)
        yield made


async def move(pair: Pair, now_ms: int) -> None:
    """Move the time, of the user shard first; a leaderboard shard that is lost then is opened again, and goes on."""
    pair.now_ms = now_ms
    await pair.users.move_clock(now_ms)
    while True:
        try:
            await asyncio.wait_for(pair.boards.move_clock(now_ms), 10)
        except HostLost:
            await pair.open_boards()
        else:
            return


async def check_final(pair: Pair) -> None:
    """The first run is final, and is what the events come to."""
    store = pair.board_shard._store
    assert START in await store.list_finals(BOARD)
    final = await store.load_final(*KEY)
    assert final is not None
    assert final.groups == (((), len(pair.expected)),)
    assert pair.runs.find(KEY) is None
    await pair.check()


@pytest.mark.parametrize("number", WRITES)
async def test_lost_in_the_middle_of_a_final_ranking_it_writes_it_anew(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    await move(pair, midnight_utc_ms(START + 1))
    write, left = BoardStore._write, number

    async def write_and_kill(store: BoardStore, *args: Any) -> Any:
        nonlocal left
        result = await write(store, *args)
        left -= 1
        if left == 0:
            pair.boards.kill()
        return result

    monkeypatch.setattr(BoardStore, "_write", write_and_kill)
    await move(pair, final_ms(START))
    assert left <= 0
    await check_final(pair)


async def test_lost_when_the_final_ranking_is_saved_and_the_run_is_there_still_it_is_there_once(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[int] = []
    save, finish, killed = BoardStore.save_final, BoardRuns.finish, asyncio.Event()

    async def save_and_note(store: BoardStore, board: int, run: int, *args: Any) -> None:
        await save(store, board, run, *args)
        saved.append(run)

    def finish_or_kill(runs: BoardRuns, *args: Any) -> None:
        if killed.is_set():
            return finish(runs, *args)
        killed.set()
        return pair.boards.kill()

    monkeypatch.setattr(BoardStore, "save_final", save_and_note)
    monkeypatch.setattr(BoardRuns, "finish", finish_or_kill)
    await move(pair, final_ms(START))
    assert killed.is_set()
    assert saved == [START]
    await check_final(pair)
    await pair.record("user-0", 100)
    pair.expected["user-0"] -= 100  # which is of the next run
    await check_final(pair)


async def test_what_was_missed_is_taken_in_order_even_if_it_is_lost_again_and_again(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[tuple[int, str, int]] = []
    snapshot, final = BoardStore.save_snapshot, BoardStore.save_final

    async def snapshot_and_kill(store: BoardStore, board: int, run: int, day: int, *args: Any) -> None:
        await snapshot(store, board, run, day, *args)
        taken.append((run - START, "day", day - START))
        pair.boards.kill()

    async def final_and_kill(store: BoardStore, board: int, run: int, *args: Any) -> None:
        await final(store, board, run, *args)
        taken.append((run - START, "final", run - START))
        pair.boards.kill()

    monkeypatch.setattr(BoardStore, "save_snapshot", snapshot_and_kill)
    monkeypatch.setattr(BoardStore, "save_final", final_and_kill)
    pair.boards.kill()
    for day in (1, 2):
        pair.now_ms = midnight_utc_ms(START + day) + 6 * 3_600_000
        await pair.users.move_clock(pair.now_ms)
        for user in ("user-1", "user-3"):
            await pair.record(user, 10 * day + int(user[-1]))
    await move(pair, midnight_utc_ms(START + 4) + 13 * 3_600_000)
    assert sorted(taken) == [(n, kind, n) for n in range(3) for kind in ("day", "final")]
    for run in range(3):
        assert [kind for found, kind, _ in taken if found == run] == ["day", "final"]
    assert await pair.board_shard._store.list_finals(BOARD) == [START, START + 1, START + 2]
    assert await pair.rankings(START) == [(rank, f"user-{5 - rank}", 6 - rank) for rank in range(1, 6)]
    for day in (1, 2):
        assert await pair.rankings(START + day) == [(1, "user-3", 10 * day + 3), (2, "user-1", 10 * day + 1)]


async def test_days_that_were_missed_of_a_run_that_goes_on_are_made_up_for_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with paired(monkeypatch, ranked_catalog()) as pair:
        await pair.record("user-1", 1)
        await move(pair, midnight_utc_ms(START + 1))
        days: list[int] = []
        snapshot = BoardStore.save_snapshot

        async def snapshot_and_kill(store: BoardStore, board: int, run: int, day: int, *args: Any) -> None:
            await snapshot(store, board, run, day, *args)
            days.append(day - START)
            if len(days) == 2:
                pair.boards.kill()

        monkeypatch.setattr(BoardStore, "save_snapshot", snapshot_and_kill)
        pair.boards.kill()
        pair.now_ms = midnight_utc_ms(START + 3) + 1
        await pair.users.move_clock(pair.now_ms)
        await pair.record("user-2", 5)
        await move(pair, midnight_utc_ms(START + 5))
        assert days == [1, 2, 3, 4]
        await pair.check()


@pytest.mark.parametrize("is_saved", [False, True])
async def test_a_deleted_user_is_erased_even_if_both_shards_are_lost_meanwhile(pair: Pair, is_saved: bool) -> None:
    await move(pair, final_ms(START))
    pair.boards.kill()
    await pair.delete("user-4")
    if is_saved:
        await checkpoint(pair.users)
    pair.users.kill()
    await pair.open_boards()
    await pair.open_users()
    await pair.settle()
    await pair.until(lambda: bool(pair.forgotten))
    assert await pair.rankings() == [(rank, f"user-{5 - rank}", 6 - rank) for rank in range(2, 6)]
