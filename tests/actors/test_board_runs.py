"""What a leaderboard shard knows: which runs are open, what is dropped, what is asked for again."""

import asyncio
from typing import Any

import pytest

from plaudit.actors.board_messages import Place, Publish, Score, Want
from plaudit.actors.board_routing import board_shard_of
from plaudit.actors.board_runs import BoardRuns
from plaudit.actors.clock import Stamp
from plaudit.engine.amounts import UNIT
from plaudit.engine.catalog import Leaderboard
from tests.actors.boards import NOON_MS, START, board, catalog, daily, score
from tests.actors.kept_boards import Way, connect, publish

KEY = (1, START)


def known(*boards: Leaderboard, user_shards: int = 1, again_s: float = 0.0) -> BoardRuns:
    """Runs of these boards, of which nothing is known yet."""
    runs = BoardRuns(0, 1, user_shards, again_s, Stamp(lambda: NOON_MS))
    runs.start(catalog(*boards), ())
    return runs


def complete(runs: BoardRuns, way: Way, *scores: Score, shard: int = 0) -> None:
    """Answer what is wanted with all of these, and open the runs as the keeper does."""
    runs.apply(shard, scores)
    runs.sources.end_stream(shard, way.take().stream, is_complete=True)
    keep(runs)


def keep(runs: BoardRuns) -> None:
    for run in runs.runs():
        if runs.sources.is_in(run.key[0]) and not run.is_caught_up:
            runs.catch_up(run)


def users(runs: BoardRuns, key: tuple[int, int] = KEY) -> list[str]:
    run = runs.find(key)
    return [line.user_id for line in run.ranking.read((), 0, 100)] if run else []


async def test_nothing_is_open_before_every_user_shard_is_in() -> None:
    runs = known(board(), user_shards=2)
    first, second = connect(runs), connect(runs, shard=1)
    complete(runs, first, score(1, 5))
    assert not runs.is_open(KEY)
    assert publish(runs, score(2, 6)) == (None,)
    complete(runs, second, score(1, 7, user_id="other"), shard=1)
    assert runs.is_open(KEY)
    assert users(runs) == ["other", "u2", "u1"]


async def test_a_run_is_not_open_before_what_was_missed_of_it_is_written_down() -> None:
    runs = known(board())
    way = connect(runs)
    runs.apply(0, [score(1, 5)])
    runs.sources.end_stream(0, way.take().stream, is_complete=True)
    assert runs.sources.are_in
    assert not runs.is_open(KEY)
    keep(runs)
    assert runs.is_open(KEY)


async def test_a_run_that_nobody_has_scored_in_is_open_when_all_are_in() -> None:
    runs = known(board())
    complete(runs, connect(runs))
    assert runs.is_open(KEY)
    assert runs.find(KEY) is None


async def test_what_waits_for_a_run_goes_on_when_it_opens() -> None:
    runs = known(board())
    way = connect(runs)
    waiting = asyncio.create_task(runs.wait_open(KEY, 10))
    await asyncio.sleep(0)
    complete(runs, way)
    assert await waiting
    assert not await known(board()).wait_open(KEY, 0)


async def test_places_are_those_before_and_after_a_score() -> None:
    runs = known(board(max_participants=2))
    complete(runs, connect(runs), score(1, 5), score(2, 4), score(3, 3))
    assert publish(runs, score(3, 6)) == (Place(1, None, 6),)
    assert publish(runs, score(3, 7), score(2, 9)) == (Place(1, 1, 6), Place(1, None, 8))
    assert publish(runs, score(2, None)) == (Place(None, 1, 6),)


async def test_q44_values_of_metrics_are_ranked_exactly_and_shown_in_wholes() -> None:
    runs = known(board(rank_by="metric", metric="km", points_system=None, max_participants=1))
    complete(runs, connect(runs))
    assert publish(runs, score(1, 5 * UNIT // 2), score(2, 5 * UNIT // 2 + 1)) == (Place(1, None, 3), Place(1, None, 3))
    assert users(runs) == ["u2"]


async def test_asking_for_the_place_of_no_score_is_an_error() -> None:
    runs = known(board())
    with pytest.raises(ValueError, match="none of 1 scores"):
        runs.publish(0, Publish(1, 0, (score(1, 5),), (1,)))


async def test_older_scores_that_come_late_change_nothing() -> None:
    runs = known(board())
    way = connect(runs)
    old = score(1, 5)
    publish(runs, score(1, None))
    complete(runs, way, old)
    assert users(runs) == []


async def test_a_shard_without_a_gap_is_asked_for_nothing() -> None:
    runs = known(board())
    complete(runs, connect(runs, covers_from=10), score(1, 5))
    publish(runs, score(2, 6), through=20)
    way = connect(runs, covers_from=20)
    assert not way.sent
    assert runs.is_open(KEY)
    assert users(runs) == ["u2", "u1"]


async def test_a_shard_with_a_gap_is_dropped_and_asked_for_everything() -> None:
    runs = known(board(), user_shards=2)
    complete(runs, connect(runs), score(1, 5))
    complete(runs, connect(runs, shard=1), score(1, 6, user_id="other"), shard=1)
    publish(runs, score(1, 7), through=20)
    way = connect(runs, covers_from=21)
    assert not runs.is_open(KEY)
    complete(runs, way, score(2, 1))
    assert users(runs) == ["other", "u2"]


async def test_what_was_not_in_when_a_connection_ended_is_asked_for_on_the_next() -> None:
    runs = known(board())
    first = connect(runs, covers_from=5)
    runs.sources.disconnect(0, first)
    second = connect(runs, covers_from=5)
    runs.sources.end_stream(0, first.take().stream, is_complete=True)  # came with the old connection
    assert not runs.is_open(KEY)
    complete(runs, second)
    assert runs.is_open(KEY)


async def test_a_connection_gives_way_to_the_next_one_of_its_shard() -> None:
    runs = known(board())
    first = connect(runs)
    second = connect(runs)
    assert first.is_aborted
    runs.sources.disconnect(0, first)
    second.sent.clear()
    runs.adopt(catalog(board(), board(2), version=2))
    assert second.take().boards == (2,)


async def test_a_lost_connection_closes_nothing() -> None:
    runs = known(board())
    way = connect(runs)
    complete(runs, way, score(1, 5))
    runs.sources.disconnect(0, way)
    assert runs.is_open(KEY)
    assert users(runs) == ["u1"]


async def test_a_shard_that_cannot_be_complete_is_asked_again() -> None:
    runs = known(board(), board(2))
    way = connect(runs)
    runs.sources.end_stream(0, way.take().stream, is_complete=False)
    assert not way.sent
    while not way.sent:
        await asyncio.sleep(0)
    assert not runs.is_open(KEY)
    complete(runs, way)
    assert runs.is_open(KEY)


async def test_a_shard_is_not_asked_again_for_what_it_is_being_asked() -> None:
    runs = known(board())
    way = connect(runs)
    runs.sources.end_stream(0, way.take().stream, is_complete=False)
    second = connect(runs)
    second.take()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not second.sent


async def test_a_shard_that_there_is_not_is_refused() -> None:
    runs = known(board())
    with pytest.raises(ValueError, match="user shard 1 of 1"):
        connect(runs, shard=1)


async def test_a_new_board_is_asked_for_alone_and_closes_no_other() -> None:
    runs = known(board())
    way = connect(runs)
    complete(runs, way, score(1, 5))
    runs.adopt(catalog(board(), board(2), version=2))
    assert runs.is_open(KEY)
    assert not runs.is_open((2, START))
    want = way.sent[0]
    assert want == Want(2, (2,), 2)
    complete(runs, way, score(1, 3, board=2))
    assert users(runs, (2, START)) == ["u1"]


async def test_a_board_added_while_everything_is_being_streamed_is_asked_for_too() -> None:
    runs = known(board())
    way = connect(runs)
    everything = way.take()
    runs.adopt(catalog(board(), board(2), version=2))
    runs.sources.end_stream(0, everything.stream, is_complete=True)
    assert runs.is_open(KEY)
    assert not runs.is_open((2, START))
    complete(runs, way)
    assert runs.is_open((2, START))


@pytest.mark.parametrize("changes", [{"filling": 2}, {"start_day": START - 1}])
async def test_runs_of_a_board_that_counts_anew_are_dropped(changes: dict[str, int]) -> None:
    runs = known(board())
    way = connect(runs)
    complete(runs, way, score(1, 5))
    runs.adopt(catalog(board(**changes), version=2))
    run = runs.find(KEY)
    assert run is None or (len(run.ranking), run.is_caught_up) == (0, False)
    assert runs.is_open(KEY) == ("filling" not in changes)


@pytest.mark.parametrize("changes", [{"status": "inactive"}, {"archived": True}])
async def test_runs_of_a_board_that_is_nowhere_to_be_seen_are_dropped(changes: dict[str, Any]) -> None:
    runs = known(board())
    way = connect(runs)
    complete(runs, way, score(1, 5))
    runs.adopt(catalog(board(**changes), version=2))
    assert publish(runs, score(1, 6)) == (None,)
    assert runs.find(KEY) is None
    assert runs.is_open(KEY)
    runs.adopt(catalog(board(), version=3))
    assert not runs.is_open(KEY)
    complete(runs, way, score(1, 7))
    assert users(runs) == ["u1"]


async def test_another_number_of_places_counts_at_once() -> None:
    runs = known(board())
    complete(runs, connect(runs), score(1, 5), score(2, 4))
    runs.adopt(catalog(board(max_participants=1), version=2))
    assert users(runs) == ["u1"]
    assert runs.is_open(KEY)


async def test_scores_of_a_run_that_is_final_are_ignored() -> None:
    runs = BoardRuns(0, 1, 1, 0.0, Stamp(lambda: NOON_MS))
    runs.start(catalog(daily()), [KEY])
    complete(runs, connect(runs), score(1, 5))
    assert publish(runs, score(1, 6)) == (None,)
    assert runs.find(KEY) is None
    assert runs.is_final(KEY)
    assert runs.is_open(KEY)


async def test_a_run_is_dropped_when_it_is_final() -> None:
    runs = known(daily())
    complete(runs, connect(runs), score(1, 5))
    (run,) = runs.runs()
    runs.finish(run)
    assert publish(runs, score(2, 6)) == (None,)
    assert runs.find(KEY) is None
    assert runs.is_open(KEY)


@pytest.mark.parametrize("key", [{"run": START + 1}, {"run": START - 1}, {"board": 9}])
async def test_scores_of_no_run_are_ignored(key: dict[str, int]) -> None:
    runs = known(board())
    complete(runs, connect(runs))
    assert publish(runs, score(1, 5, **key)) == (None,)
    assert runs.runs() == []


async def test_each_run_lives_in_one_shard() -> None:
    shards = [BoardRuns(index, 3, 1, 0.0, Stamp(lambda: NOON_MS)) for index in range(3)]
    for runs in shards:
        runs.start(catalog(daily()), ())
        complete(runs, connect(runs), *(score(1, 5, run=START + n) for n in range(20)))
    for n in range(20):
        there = [index for index, runs in enumerate(shards) if runs.find((1, START + n))]
        assert there == [board_shard_of(1, START + n, 3)]


async def test_a_board_that_nobody_knows_yet_is_not_open() -> None:
    runs = known(board())
    complete(runs, connect(runs))
    assert not runs.is_open((2, START))
