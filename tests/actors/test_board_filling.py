"""Leaderboards that become active when users are there already: it makes no difference, whatever happens meanwhile."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from plaudit.actors import board_client, filling, schedule, score_pages, timers
from plaudit.actors import checkpoint as checkpoints
from plaudit.actors.board_messages import Score
from plaudit.actors.checkpoint import Checkpointer
from plaudit.actors.user_shard import ShardSettings
from plaudit.engine.catalog import Catalog
from plaudit.engine.compiling import compile_catalog
from plaudit.engine.runs import is_ranked, run_on
from plaudit.engine.user import Standing
from plaudit.storage.errors import Corrupt
from tests.actors.boarded_shard import (
    ALL,
    boarded,
    boards_in,
    by_member,
    committed,
    lesson,
    ranking,
    until_welcome,
    with_rankings,
)
from tests.actors.scripted_board import scripted_board
from tests.actors.shards import killed_now, statuses
from tests.actors.timed_shard import HOUR_MS, NOON_MS, TimedShard, timed

NOTHING = with_rankings(*(replace(board, status="inactive") for board in ALL))
"""All leaderboards, of which none is active."""
ZONES = ("UTC", "Pacific/Kiritimati", "Etc/GMT+12")
USERS = 9


@pytest.fixture(autouse=True)
def few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two users are many; checkpoints are when a test says."""
    monkeypatch.setattr(schedule, "ENTRIES_MAX", 4)
    monkeypatch.setattr(timers, "ENTRIES_MAX", 4)
    monkeypatch.setattr(timers, "WAKE_USERS", 2)
    monkeypatch.setattr(timers, "SWEEP_USERS", 2)
    monkeypatch.setattr(checkpoints, "SLICE_USERS", 2)
    monkeypatch.setattr(filling, "CHAIN_CHUNKS", 1)
    monkeypatch.setattr(score_pages, "PAGE_USERS", 2)
    monkeypatch.setattr(score_pages, "PAUSE_RATIO", 0.0)
    monkeypatch.setattr(board_client, "QUIET_INTERVAL_S", 1000.0)
    monkeypatch.setattr(board_client, "RECONNECT_INTERVAL_S", 0.001)
    monkeypatch.setattr(Checkpointer, "_run", lambda _: asyncio.Event().wait())


def active(at_ms: int, before: Catalog = NOTHING) -> Catalog:
    """All of them active, from then on."""
    return with_rankings(*ALL, before=before, at_ms=at_ms)


async def live(shard: TimedShard, steps: range, *, is_saving: bool = True) -> None:
    """Users do lessons at all hours for days, each where they are; some days are saved."""
    for step in steps:
        await shard.move_by_steps(NOON_MS + 7 * step * HOUR_MS)
        for user in range(USERS):
            if (user + step) % 3:
                more: dict[str, Any] = {"tz": ZONES[user % 3]}
                if user == 5 and step % 4 == 1:
                    more["attributes"] = {"plan": "pro" if step % 8 == 1 else "free"}
                value = (user * step) % 7 - 1
                assert statuses(await shard.call(lesson(f"u{user}", 100 * step + user, value, **more))) == [201]
        if is_saving and step % 5 == 2:
            await shard.checkpoint()


async def standings(shard: TimedShard) -> dict[str, dict[str, tuple[tuple[int, int, int], ...]]]:
    """The values of everybody, and when they were reached, by user and board; of streaks only the lengths."""
    boards = {board.number: board for board in shard.catalog.leaderboards}

    def seen(number: int, kept: tuple[Standing, ...]) -> tuple[tuple[int, int, int], ...]:
        is_streak = boards[number].rank_by == "streak"
        return tuple((s.run, s.value, 0 if is_streak else s.at_ms) for s in kept if s.value or not is_streak)

    return {
        name: {boards[n].key: found for n, kept in known.user.standings.items() if (found := seen(n, kept))}
        for (_, name), known in (await shard.known()).items()
    }


def since(expected: dict[str, Any], at_ms: int) -> dict[str, Any]:
    """The same without the runs that were over when the leaderboards became active."""
    boards = {board.key: board for board in active(at_ms).leaderboards}

    def counts(key: str, first_day: int) -> bool:
        run = None if boards[key].is_all_time else run_on(boards[key], first_day)
        return run is None or is_ranked(boards[key], run)

    found = {
        name: {key: tuple(each for each in kept if counts(key, each[0])) for key, kept in by_board.items()}
        for name, by_board in expected.items()
    }
    return {name: {key: kept for key, kept in by_board.items() if kept} for name, by_board in found.items()}


async def as_if_active(settings: ShardSettings, steps: int) -> dict[str, Any]:
    """How everybody stands if all leaderboards have been active from the beginning."""
    fresh = replace(settings, boards=())
    async with timed(fresh, active(NOON_MS)) as shard:
        await live(shard, range(steps), is_saving=False)
        return await standings(shard)


@pytest.fixture
def other(settings: ShardSettings) -> ShardSettings:
    """The settings of a shard that has nothing yet, as `settings` has not."""
    return killed_now(settings, "other")


@pytest.mark.parametrize("steps", [1, 9, 20])
async def test_a_board_that_becomes_active_in_the_middle_of_a_run_is_as_if_it_had_been_active(
    settings: ShardSettings, other: ShardSettings, steps: int
) -> None:
    expected = await as_if_active(other, 26)
    async with timed(settings, NOTHING) as shard:
        await live(shard, range(steps))
        at_ms = shard.now_ms
        await shard.adopt(active(at_ms))
        await live(shard, range(steps, 26))
        assert await standings(shard) == since(expected, at_ms)


async def test_it_is_the_same_after_a_kill_and_when_everything_is_passivated(
    settings: ShardSettings, other: ShardSettings
) -> None:
    expected = await as_if_active(other, 12)
    async with timed(settings, NOTHING) as shard:
        shard.shard._residents.users_max = 2
        await live(shard, range(12))
        await shard.checkpoint()
        copies = [killed_now(settings, "before")]
        shard.shard._change_catalog(active(shard.now_ms), compile_catalog(active(shard.now_ms)))
        await shard.shard._committer.wait(shard.shard._catalog_number)
        copies.append(killed_now(settings, "adopted"))
        await shard.adopt(active(shard.now_ms))
        copies.append(killed_now(settings, "filled"))
        expected = since(expected, shard.now_ms)
        assert await standings(shard) == expected
        await shard.checkpoint()
        copies.append(killed_now(settings, "saved"))
        now_ms = shard.now_ms
    for copy in copies:
        again = TimedShard(copy, active(now_ms))
        again.now_ms = now_ms
        await again.open()
        assert await standings(again) == expected
        await again.host.close()


async def test_scores_are_not_complete_until_all_histories_have_been_looked_through(settings: ShardSettings) -> None:
    async with boarded(settings, NOTHING) as (shard, peer):
        await live(shard, range(6))
        assert (await peer.want(), peer.scores) == (([], True), [])
        catalog = active(shard.now_ms)
        shard.shard._change_catalog(catalog, compile_catalog(catalog))  # nobody has been looked at yet
        shard.catalog = catalog
        _, is_complete = await peer.want(catalog=catalog.version)
        assert not is_complete
        _, is_complete = await peer.want((99,), catalog=catalog.version)
        assert is_complete
        await shard.move(shard.now_ms)
        scores, is_complete = await peer.want(catalog=catalog.version)
        assert is_complete
        assert by_member(scores) == await committed(shard)
        await until_welcome(shard)
        assert {key: s.value for key, s in peer.standing().items()} == {
            key: s.value for key, s in by_member(scores).items()
        }


async def test_what_is_published_on_the_way_is_what_is_filled(settings: ShardSettings) -> None:
    async with boarded(settings, NOTHING) as (shard, peer):
        await live(shard, range(6))
        await shard.adopt(active(shard.now_ms))
        await until_welcome(shard)
        scores = {key: replace(score, version=0) for key, score in peer.standing().items()}
        assert scores == {key: replace(score, version=0) for key, score in (await committed(shard)).items()}
        assert not peer.pages


async def test_who_does_something_first_is_filled_first(settings: ShardSettings) -> None:
    seen: list[Score] = []
    async with boarded(settings, NOTHING, seen.append) as (shard, peer):
        await shard.call(lesson("u0", 1, 3), lesson("u1", 2, 4), lesson("u2", 3, 5, metric="pages"))
        await shard.checkpoint()
        await shard.call(lesson("u0", 4, 10))
        catalog = active(shard.now_ms)
        shard.shard._change_catalog(catalog, compile_catalog(catalog))  # nobody has been looked at yet
        await shard.call(lesson("u0", 5, 1), lesson("u2", 6, 2))
        asked = {(score.user_id, score.board): score.value for score in seen}
        assert asked["u0", 2] == 14 * 10**9
        assert asked["u2", 2] == 2 * 10**9
        assert asked["u0", 4] == 140
        peer.place = lambda _: None
        await shard.move(shard.now_ms)
        values = {(s.user_id, s.board): s.value for s in (await committed(shard)).values()}
        assert {user: values[user, 2] for user in ("u0", "u1", "u2")} == {
            "u0": 14 * 10**9,
            "u1": 4 * 10**9,
            "u2": 2 * 10**9,
        }


async def test_an_event_says_nothing_of_a_board_that_is_not_filled(
    settings: ShardSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with boarded(settings, NOTHING) as (shard, _):
        await shard.call(lesson("u0", 1, 3))
        catalog = active(shard.now_ms)
        shard.shard._change_catalog(catalog, compile_catalog(catalog))
        with monkeypatch.context() as patch:
            patch.setattr(filling.Filling, "make_command", lambda *_: None)  # it is saved again and again
            [reply] = await shard.call(lesson("u0", 2, 4))
            assert boards_in(reply) == {}
        [reply] = await shard.call(lesson("u0", 3, 5))
        assert {"all", "weekly", "xp"} <= boards_in(reply).keys()
        assert {s.value for s in (await committed(shard)).values() if s.board == 2} == {12 * 10**9}


async def test_a_history_that_cannot_be_read_leaves_its_user_and_nobody_else_without(
    settings: ShardSettings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with boarded(settings, NOTHING) as (shard, peer):
        await shard.call(lesson("u0", 1, 3), lesson("u1", 2, 4))
        await shard.checkpoint()
        load = shard.shard._state.load_chain
        damaged: list[int | None] = []

        async def load_chain(chunk: int | None, limit: int) -> Any:
            chunks = await load(chunk, limit)
            if not damaged or chunk in damaged:
                damaged.append(chunk)
                raise Corrupt("damaged")
            return chunks

        monkeypatch.setattr(shard.shard._state, "load_chain", load_chain)
        await shard.adopt(active(shard.now_ms))
        assert "cannot be read" in caplog.text
        scores, is_complete = await peer.want()
        assert is_complete
        assert len({score.user_id for score in scores if score.board == 2}) == 1


async def test_a_board_of_which_something_else_counts_is_filled_anew(settings: ShardSettings) -> None:
    first = with_rankings(ranking("one"), ranking("two"))
    async with boarded(settings, first) as (shard, peer):
        await shard.call(lesson("u0", 1, 3), lesson("u0", 2, 4, metric="pages"), lesson("u1", 3, 5))
        changed = with_rankings(ranking("one", metric="pages"), ranking("two"), before=first)
        await shard.adopt(changed)
        scores, is_complete = await peer.want(catalog=2)
        assert is_complete
        assert by_member(scores) == await committed(shard)
        assert {(s.user_id, s.board, s.value) for s in scores} == {
            ("u0", 1, 4 * 10**9),
            ("u0", 2, 3 * 10**9),
            ("u1", 2, 5 * 10**9),
        }


async def test_a_new_leaderboard_shard_learns_everything(settings: ShardSettings) -> None:
    async with boarded(settings, active(NOON_MS)) as (shard, peer):
        await live(shard, range(10))
        await peer.close()
        async with scripted_board(peer.address, lambda _: None) as fresh:
            await fresh.until(lambda: bool(fresh.hellos))
            await until_welcome(shard)
            scores, is_complete = await fresh.want()
            assert is_complete
            assert by_member(scores) == await committed(shard)
        await peer.open()
