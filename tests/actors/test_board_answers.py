"""What leaderboard shards answer: rankings, and where somebody is and was."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from plaudit.actors.board_answers import BoardAnswers
from plaudit.actors.clock import Stamp
from plaudit.engine.amounts import UNIT
from plaudit.engine.commands import ReadPlace, ReadRankings, ReadUser
from plaudit.engine.runs import final_ms, midnight_utc_ms
from plaudit.storage.board_store import BoardStore
from plaudit.storage.errors import Corrupt
from tests.actors.boards import NOON_MS, START, board, catalog, daily, score
from tests.actors.kept_boards import KEY, Kept, kept, publish

PLANS = ("plan", "country")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[BoardStore]:
    opened = await BoardStore.open(tmp_path)
    yield opened
    await opened.close()


async def ask(world: Kept, command: ReadRankings | ReadPlace | ReadUser) -> tuple[int, Any]:
    reply = await BoardAnswers(world.runs, world.store, Stamp(world.clock), 0.0).answer(command)
    return reply.status, msgspec.json.decode(reply.body)


async def ranked(world: Kept, group: tuple[str | None, ...] = (), **fields: Any) -> list[tuple[int, str]]:
    """The ranks and users of a part of the ranking."""
    status, lines = await ask(world, ReadRankings(*KEY, group, **fields))
    assert status == 200
    return [(line["rank"], line["userId"]) for line in lines]


async def place(world: Kept, member: int, days: int = 10) -> tuple[int | None, int | None, list[tuple[Any, ...]]]:
    """Rank and value, and the history as (day after the start, previous rank, rank, previous value, value)."""
    status, found = await ask(world, ReadPlace(*KEY, member, days))
    assert status == 200
    history = []
    for day in found["history"]:
        assert day["timestamp"] == f"{day['date']}T00:00:00.000Z"
        number = date.fromisoformat(day["date"]).toordinal() - START
        history.append((number, day["previousRank"], day["rank"], day["previousValue"], day["value"]))
    return found["rank"], found["value"], history


async def with_scores(world: Kept) -> None:
    """Five users in three groups."""
    groups = [("free", "fr"), ("free", "de"), ("pro", "fr"), ("free", "fr"), ("pro", "fr")]
    publish(world.runs, *(score(n, 10 * n, group=group) for n, group in enumerate(groups, 1)))
    await world.move(NOON_MS)


@pytest.mark.parametrize("is_final", [False, True])
async def test_rankings_are_pages_of_a_run_that_goes_on_or_is_over(store: BoardStore, is_final: bool) -> None:
    async with kept(store, daily()) as world:
        publish(world.runs, *(score(n, 10 - n, name=f"Name {n}") for n in range(1, 6)))
        await world.move(final_ms(START) if is_final else NOON_MS)
        assert world.runs.is_final(KEY) == is_final
        status, lines = await ask(world, ReadRankings(*KEY, limit=1))
        assert (status, lines) == (200, [{"userId": "u1", "userName": "Name 1", "rank": 1, "value": 9}])
        assert await ranked(world) == [(n, f"u{n}") for n in range(1, 6)]
        assert await ranked(world, offset=3, limit=5) == [(4, "u4"), (5, "u5")]
        assert await ranked(world, limit=0) == []
        assert await ranked(world, offset=9) == []


@pytest.mark.parametrize("is_final", [False, True])
async def test_with_a_participant_the_offset_is_from_there(store: BoardStore, is_final: bool) -> None:
    async with kept(store, daily()) as world:
        publish(world.runs, *(score(n, 10 - n) for n in range(1, 6)))
        await world.move(final_ms(START) if is_final else NOON_MS)
        assert await ranked(world, seat=3, limit=2) == [(3, "u3"), (4, "u4")]
        assert await ranked(world, seat=3, offset=-1, limit=2) == [(2, "u2"), (3, "u3")]
        assert await ranked(world, seat=3, offset=-9, limit=2) == [(1, "u1"), (2, "u2")]
        assert await ranked(world, seat=3, offset=2, limit=2) == [(5, "u5")]
        assert await ranked(world, seat=77) == []


@pytest.mark.parametrize("is_final", [False, True])
async def test_q50_groups_that_match_are_merged_and_ranked_anew(store: BoardStore, is_final: bool) -> None:
    async with kept(store, daily(breakdown_attributes=PLANS)) as world:
        await with_scores(world)
        if is_final:
            await world.move(final_ms(START))
        assert await ranked(world, ("free", "fr")) == [(1, "u4"), (2, "u1")]
        assert await ranked(world, ("free", None)) == [(1, "u4"), (2, "u2"), (3, "u1")]
        assert await ranked(world, (None, None), offset=1, limit=3) == [(2, "u4"), (3, "u3"), (4, "u2")]
        assert await ranked(world, (None, "fr"), seat=3) == [(3, "u3"), (4, "u1")]
        assert await ranked(world, (None, "fr"), seat=3, offset=-1, limit=2) == [(2, "u4"), (3, "u3")]
        assert await ranked(world, (None, "de"), seat=3) == []
        assert await ranked(world, ("free", None), seat=3) == []
        assert await ranked(world, ("basic", None)) == []


@pytest.mark.parametrize("is_final", [False, True])
async def test_merged_groups_have_as_many_places_as_the_board(store: BoardStore, is_final: bool) -> None:
    async with kept(store, daily(breakdown_attributes=PLANS, max_participants=2)) as world:
        await with_scores(world)
        if is_final:
            await world.move(final_ms(START))
        assert await ranked(world, (None, None)) == [(1, "u5"), (2, "u4")]
        assert await ranked(world, (None, None), seat=4) == [(2, "u4")]
        assert await ranked(world, (None, None), seat=1) == []


async def test_long_final_rankings_are_merged_page_by_page(store: BoardStore) -> None:
    async with kept(store, daily(breakdown_attributes=("plan",))) as world:
        publish(world.runs, *(score(n, n, group=("pro" if n % 3 else "free",)) for n in range(1, 1001)))
        await world.move(final_ms(START))
        assert await ranked(world, (None,), offset=899, limit=3) == [(900, "u101"), (901, "u100"), (902, "u99")]
        assert await ranked(world, (None,), seat=300, limit=1) == [(701, "u300")]


async def test_users_who_have_been_deleted_are_not_in_final_rankings(store: BoardStore) -> None:
    async with kept(store, daily(breakdown_attributes=("plan",))) as world:
        publish(world.runs, *(score(n, n, group=("pro" if n % 2 else "free",)) for n in range(1, 6)))
        await world.move(final_ms(START))
        await world.keeper.forget(3)
        assert await ranked(world, ("pro",)) == [(1, "u5"), (3, "u1")]
        assert await ranked(world, (None,)) == [(1, "u5"), (2, "u4"), (3, "u2"), (4, "u1")]
        assert (await place(world, 3))[:2] == (None, None)


async def test_a_run_that_nobody_has_scored_in_is_empty(store: BoardStore) -> None:
    async with kept(store, board()) as world:
        assert await ranked(world) == []
        assert await place(world, 1) == (None, None, [(0, None, None, None, None)])


async def test_a_run_that_has_not_begun_has_no_history(store: BoardStore) -> None:
    async with kept(store, board(start_day=START + 9)) as world:
        assert await ask(world, ReadPlace(1, START + 9, 1)) == (200, {"rank": None, "value": None, "history": []})


async def test_history_is_that_of_days_and_ends_with_now(store: BoardStore) -> None:
    async with kept(store, board()) as world:
        publish(world.runs, score(1, 5))
        await world.move(midnight_utc_ms(START + 1))
        publish(world.runs, score(2, 6))
        await world.move(midnight_utc_ms(START + 2))
        publish(world.runs, score(1, 8))
        await world.move(midnight_utc_ms(START + 2) + 1)
        one = [(0, None, 1, None, 5), (1, 1, 2, 5, 5), (2, 2, 1, 5, 8)]
        assert await place(world, 1) == (1, 8, one)
        assert await place(world, 1, days=2) == (1, 8, one[1:])
        assert await place(world, 1, days=1) == (1, 8, one[2:])
        assert await place(world, 1, days=0) == (1, 8, [])
        assert await place(world, 2) == (2, 6, [(1, None, 1, None, 6), (2, 1, 2, 6, 6)])


async def test_who_has_left_has_days_without_a_rank(store: BoardStore) -> None:
    async with kept(store, board()) as world:
        publish(world.runs, score(1, 5))
        await world.move(midnight_utc_ms(START + 1))
        publish(world.runs, score(1, None))
        await world.move(midnight_utc_ms(START + 2))
        history = [(0, None, 1, None, 5), (1, 1, None, 5, None), (2, None, None, None, None)]
        assert await place(world, 1) == (None, None, history)


async def test_who_is_on_no_place_has_no_rank(store: BoardStore) -> None:
    async with kept(store, daily(max_participants=1)) as world:
        publish(world.runs, score(1, 5), score(2, 4))
        assert await place(world, 2) == (None, None, [(0, None, None, None, None)])
        await world.move(final_ms(START))
        assert await place(world, 2) == (None, None, [])


async def test_the_place_in_a_run_that_is_over_is_the_final_one(store: BoardStore) -> None:
    async with kept(store, board(run_unit="day", run_interval=3)) as world:
        publish(world.runs, score(1, 5), score(2, 4))
        await world.move(midnight_utc_ms(START + 3))
        publish(world.runs, score(2, 9))  # where it is still the last day
        await world.move(final_ms(START + 2))
        assert world.runs.is_final(KEY)
        history = [(0, None, 1, None, 5), (1, 1, 1, 5, 5), (2, 1, 1, 5, 5)]
        assert await place(world, 1) == (2, 5, history)
        assert await place(world, 1, days=2) == (2, 5, history[1:])
        assert await place(world, 2, days=1) == (1, 9, [(2, 2, 2, 4, 4)])


async def test_q44_values_are_whole_and_rounded_down(store: BoardStore) -> None:
    async with kept(store, board(rank_by="metric", metric="km", points_system=None)) as world:
        publish(world.runs, score(1, 5 * UNIT // 2))
        assert (await ask(world, ReadRankings(*KEY)))[1][0]["value"] == 2
        assert (await place(world, 1))[1] == 2


async def test_what_is_asked_before_all_are_in_waits_and_is_then_refused(store: BoardStore) -> None:
    async with kept(store, board(), is_in=False) as world:
        assert (await ask(world, ReadRankings(*KEY)))[0] == 503
        status, body = await ask(world, ReadPlace(*KEY, 1))
        assert status == 503
        assert set(body) == {"error"}
        answers = BoardAnswers(world.runs, store, Stamp(world.clock))
        asking = asyncio.create_task(answers.answer(ReadRankings(*KEY)))
        world.runs.apply(0, [score(1, 5)])
        await asyncio.sleep(0)
        world.complete()
        assert msgspec.json.decode((await asking).body)[0]["userId"] == "u1"


async def test_a_board_that_is_gone_has_no_lines(store: BoardStore) -> None:
    async with kept(store, board()) as world:
        publish(world.runs, score(1, 5))
        await world.move(midnight_utc_ms(START + 1))
        world.runs.adopt(catalog(board(status="inactive"), version=2))
        assert await ranked(world) == []
        assert await place(world, 1) == (None, None, [(0, None, 1, None, 5)])


async def test_what_is_not_for_a_leaderboard_shard_is_a_bug(
    store: BoardStore, caplog: pytest.LogCaptureFixture
) -> None:
    async with kept(store, board(breakdown_attributes=PLANS)) as world:
        assert (await ask(world, ReadUser("u1")))[0] == 500
        await with_scores(world)
        assert (await ask(world, ReadRankings(*KEY, ("pro", None, None))))[0] == 500
    assert "ReadUser" in caplog.text


async def test_an_error_of_the_storage_is_not_an_answer(store: BoardStore, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*args: object) -> None:
        raise Corrupt("boards.sqlite: a row")

    monkeypatch.setattr(store, "load_history", fail)
    async with kept(store, board()) as world:
        with pytest.raises(Corrupt):
            await ask(world, ReadPlace(*KEY, 1))
