"""What a shard of users tells a leaderboard shard: as it happens, and all of it when that begins with nothing."""

import asyncio
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from plaudit.actors import board_client, publisher, score_pages
from plaudit.actors.board_messages import Place, Score
from plaudit.actors.board_routing import board_shard_of
from plaudit.actors.checkpoint import Checkpointer
from plaudit.actors.messages import Reply
from plaudit.actors.user_shard import ShardSettings
from plaudit.engine.commands import Command, DeleteUser, ReadPoints, ReadUser, Summarize
from tests.actors.boarded_shard import (
    ALL,
    MONDAY,
    boarded,
    boards_in,
    by_member,
    committed,
    lesson,
    ranking,
    until_welcome,
    unversioned,
    with_rankings,
)
from tests.actors.gateways import connected
from tests.actors.scripted_board import scripted_board, turns
from tests.actors.shards import killed_now, statuses
from tests.actors.timed_shard import DAY_MS, HOUR_MS, NOON_MS, TimedShard, timed

USERS = [f"u{number}" for number in range(7)]
RUN = MONDAY.toordinal()


@pytest.fixture(autouse=True)
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are small, checkpoints are when a test says, and so is what is said without need."""
    monkeypatch.setattr(score_pages, "PAGE_USERS", 2)
    monkeypatch.setattr(score_pages, "PAUSE_RATIO", 0.0)
    monkeypatch.setattr(board_client, "QUIET_INTERVAL_S", 1000.0)
    monkeypatch.setattr(board_client, "RECONNECT_INTERVAL_S", 0.001)
    monkeypatch.setattr(Checkpointer, "_run", lambda _: asyncio.Event().wait())


async def fill(shard: TimedShard, first: int = 100) -> None:
    """Everybody has lessons, half of them a plan."""
    for number, user in enumerate(USERS, first):
        more: dict[str, Any] = {"attributes": {"plan": "pro" if number % 4 else "free"}} if number % 2 else {}
        assert statuses(await shard.call(lesson(user, number, number - 90, **more))) == [201]


async def test_everything_is_published_as_it_happens(settings: ShardSettings) -> None:
    async with boarded(settings, with_rankings(*ALL)) as (shard, peer):
        await fill(shard)
        await shard.move_by_steps(NOON_MS + 9 * DAY_MS)
        await fill(shard, 200)
        await until_welcome(shard)
        assert unversioned(peer.standing()) == unversioned(await committed(shard))
        assert peer.said[-1].through == shard.shard._committer.committed


@pytest.mark.parametrize("saved", ["nothing", "all", "some", "some changed", "passivated"])
async def test_what_is_wanted_is_what_is_committed_whatever_is_saved(settings: ShardSettings, saved: str) -> None:
    async with boarded(settings, with_rankings(*ALL)) as (shard, peer):
        await fill(shard)
        if saved != "nothing":
            await shard.checkpoint()
        if saved == "passivated":
            shard.shard._residents.users_max = 0
        if saved in {"some", "some changed", "passivated"}:
            await shard.call(lesson("new", 300), lesson("u3", 301), lesson("u0", 302, -50))
        if saved == "some changed":
            await shard.checkpoint()
            await shard.call(lesson("u4", 303), lesson("u5", 304, 0, name="Five"))
        scores, is_complete = await peer.want()
        assert is_complete
        assert by_member(scores) == await committed(shard)
        assert {score.board for score in scores} == {*range(1, 8)}


async def test_only_the_boards_that_are_wanted_come(settings: ShardSettings) -> None:
    async with boarded(settings, with_rankings(*ALL)) as (shard, peer):
        await fill(shard)
        scores, is_complete = await peer.want((2, 5))
        assert is_complete
        expected = {key: score for key, score in (await committed(shard)).items() if key[0] in {2, 5}}
        assert by_member(scores) == expected
        assert await peer.want((99,)) == ([], True)


async def test_each_leaderboard_shard_gets_its_own_runs(settings: ShardSettings) -> None:
    addresses = [f"{settings.address}-{n}" for n in range(2)]
    async with (
        scripted_board(addresses[0], lambda _: None) as one,
        scripted_board(addresses[1], lambda _: None) as two,
        timed(replace(settings, boards=tuple(addresses)), with_rankings(*ALL)) as shard,
    ):
        await until_welcome(shard)
        await fill(shard)
        found = await committed(shard)
        for n, peer in enumerate((one, two)):
            scores, is_complete = await peer.want()
            assert is_complete
            expected = {key: score for key, score in found.items() if board_shard_of(key[0], key[1], 2) == n}
            assert by_member(scores) == expected
            assert expected


async def test_an_older_catalog_cannot_be_complete(settings: ShardSettings) -> None:
    async with boarded(settings, with_rankings(*ALL)) as (shard, peer):
        await fill(shard)
        scores, is_complete = await peer.want(catalog=2)
        assert by_member(scores) == await committed(shard)
        assert not is_complete
        await shard.adopt(with_rankings(*ALL, ranking("later"), before=shard.catalog))
        _, is_complete = await peer.want(catalog=2)
        assert is_complete


async def test_what_happens_meanwhile_is_published_with_higher_versions(settings: ShardSettings) -> None:
    async with boarded(settings, with_rankings(*ALL)) as (shard, peer):
        await fill(shard)
        await shard.checkpoint()
        wanting = asyncio.create_task(peer.want())
        for number, user in enumerate([*USERS, "new"], 400):
            await shard.call(lesson(user, number))
        await wanting
        await until_welcome(shard)
        assert unversioned(peer.standing()) == unversioned(await committed(shard))


async def test_nothing_is_said_before_it_is_durable(settings: ShardSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    async with boarded(settings, with_rankings(*ALL)) as (shard, peer):
        release, log = asyncio.Event(), shard.shard._log
        append = log.append

        async def slow(*args: object) -> None:
            await release.wait()
            await append(*args)  # type: ignore[arg-type]

        monkeypatch.setattr(log, "append", slow)
        calling = asyncio.create_task(shard.call(lesson("u0", 100)))
        wanting = asyncio.create_task(peer.want())
        for _ in range(5):
            await turns()
        assert (peer.scores, [page for page in peer.pages if page.scores]) == ([], [])
        release.set()
        await calling
        scores, _ = await wanting
        assert {score.version for score in scores} <= {2}
        assert {score.board for score in peer.scores if score.value is not None} == {1, 2, 3, 4, 5}


async def test_who_is_deleted_leaves_and_is_forgotten(settings: ShardSettings) -> None:
    async with boarded(settings, with_rankings(*ALL)) as (shard, peer):
        await fill(shard)
        await shard.checkpoint()
        [member] = {score.member for score in peer.scores if score.user_id == "u3"}
        assert statuses(await shard.call(DeleteUser("u3"))) == [204]
        await peer.until(lambda: peer.forgets == [member])
        assert unversioned(peer.standing()) == unversioned(await committed(shard))
        assert not any(key[2] == member for key in peer.standing())
        await shard.call(lesson("u3", 500))
        await shard.checkpoint()
        scores, _ = await peer.want()
        assert by_member(scores) == await committed(shard)
        assert member not in {score.member for score in scores}


async def test_after_a_kill_the_tail_is_published_again(settings: ShardSettings) -> None:
    catalog = with_rankings(*ALL)
    async with boarded(settings, catalog) as (shard, peer):
        await fill(shard)
        await shard.checkpoint()
        applied = shard.shard._state.checkpoint.applied
        await shard.call(lesson("u1", 300), lesson("new", 301), DeleteUser("u2"), DeleteUser("u4"), lesson("u4", 302))
        await until_welcome(shard)
        expected = await committed(shard)
        members = {score.user_id: score.member for score in peer.scores}
        copy = killed_now(shard.settings, "killed")
        before = peer.standing()
    again = f"{settings.address}-again"
    async with scripted_board(again, lambda _: None) as peer, timed(replace(copy, boards=(again,)), catalog) as shard:
        await until_welcome(shard)
        assert peer.hellos[0].covers_from == applied
        assert {score.user_id for score in peer.scores} == {"u1", "new", "u2", "u4"}
        gone = [score for score in peer.scores if score.value is None and score.user_id == "u2"]
        assert {score.member for score in gone} == {members["u2"]}
        assert len(peer.forgets) == 2
        known = {key: score for key, score in before.items() if score.user_id not in {"u1", "new", "u2", "u4"}}
        assert unversioned(known | peer.standing()) == unversioned(expected)
        scores, is_complete = await peer.want()
        assert is_complete
        assert unversioned(by_member(scores)) == unversioned(expected)


async def test_one_that_is_closed_and_opened_has_nothing_to_say_again(settings: ShardSettings) -> None:
    catalog = with_rankings(*ALL)
    async with boarded(settings, catalog) as (shard, peer):
        await fill(shard)
        await until_welcome(shard)
        expected, through = await committed(shard), peer.said[-1].through
    async with boarded(settings, catalog) as (shard, peer):
        assert peer.scores == []
        assert peer.hellos[0].covers_from == through
        scores, is_complete = await peer.want()
        assert is_complete
        assert by_member(scores) == expected


# The responses to events


def place(score: Score) -> Place | None:
    """Each board has a place of its own, and number 2 has none."""
    return None if score.board == 2 else Place(score.board, None if score.board == 1 else 10 * score.board, 7)


async def test_a10_13_an_event_says_where_it_has_brought_its_user(settings: ShardSettings) -> None:
    async with boarded(settings, with_rankings(*ALL), place) as (shard, _):
        [reply] = await shard.call(lesson("u0", 1))
        found = boards_in(reply)
        assert [*found] == ["all", "morning", "xp", "streak"]  # none of one that cannot say yet
        assert {key: (each["rank"], each["previousRank"], each["threshold"]) for key, each in found.items()} == {
            "all": (1, None, 7),
            "morning": (3, 30, 7),
            "xp": (4, 40, 7),
            "streak": (5, 50, 7),
        }
        [reply] = await shard.call(lesson("u0", 2, attributes={"plan": "pro"}))
        found = boards_in(reply)
        assert [*found] == ["all", "morning", "plan", "pro", "xp"]
        assert found["plan"]["breakdownAttributeValues"] == [{"key": "plan", "value": "pro"}]
        [reply] = await shard.call(lesson("u0", 3, metric="pages"))
        assert boards_in(reply) == {}


async def test_a10_13_the_dates_are_those_of_the_users_run(settings: ShardSettings) -> None:
    async with boarded(settings, with_rankings(ranking("daily", start=MONDAY, run_unit="day"))) as (shard, _):
        replies = await shard.call(
            lesson("u0", 1), lesson("u1", 2, tz="Pacific/Kiritimati"), lesson("u2", 3, tz="Etc/GMT+12")
        )
        dates = [
            (each["start"], each["end"])
            for each in (boards_in(r).get("daily", {"start": "", "end": ""}) for r in replies)
        ]
        assert dates == [("2099-03-02",) * 2, ("2099-03-03",) * 2, ("2099-03-02",) * 2]


async def test_a10_13_events_of_one_batch_have_their_own_places(settings: ShardSettings) -> None:
    async with boarded(settings, with_rankings(ranking("all")), lambda s: Place(s.version, None, 1)) as (shard, peer):
        events = [lesson("u0", n) for n in range(1, 5)]
        replies = await asyncio.gather(*(shard.client.call(event) for event in events))
        ranks = [boards_in(reply)["all"]["rank"] for reply in replies]
        assert ranks == sorted(set(ranks))
        assert len(peer.said) < 4 + 1


async def test_q55_an_event_that_changes_nothing_asks_as_well(settings: ShardSettings) -> None:
    async with boarded(settings, with_rankings(ranking("all"), ranking("pages", metric="pages"))) as (shard, peer):
        replies = await shard.call(lesson("u0", 1, 0), lesson("u0", 2), lesson("u0", 3, 0))
        assert [[*boards_in(reply)] for reply in replies] == [["all"]] * 3
        assert [score.value is None for score in peer.scores] == [True, False, False]


async def test_a10_13_an_event_does_not_wait_for_long(settings: ShardSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "PLACE_WAIT_S", 0.01)
    async with boarded(settings, with_rankings(ranking("all")), None) as (shard, peer):
        [reply] = await shard.call(lesson("u0", 1))
        assert boards_in(reply) == {}
        peer.answer(peer.unanswered[0], Place(1, None, 1))
        await until_welcome(shard)
        peer.place = lambda _: Place(1, 1, 1)
        [reply] = await shard.call(lesson("u0", 2))
        assert boards_in(reply)["all"]["previousRank"] == 1


async def test_a10_13_nor_for_one_that_is_away(settings: ShardSettings) -> None:
    async with timed(replace(settings, boards=(f"{settings.address}-b",)), with_rankings(*ALL)) as shard:
        replies = await shard.call(lesson("u0", 1), lesson("u0", 2))
        assert [boards_in(reply) for reply in replies] == [{}, {}]
        async with scripted_board(f"{settings.address}-b", lambda _: None) as peer:
            await until_welcome(shard)
            assert unversioned(peer.standing()) == unversioned(await committed(shard))


async def mixed_batch(shard: TimedShard) -> list[Reply]:
    """The replies to the events in a batch that asks questions and deletes somebody as well; sent again, they stay."""
    batch: list[Command] = [
        lesson("u0", 1),
        ReadPoints("u0", "xp"),
        lesson("u1", 2),
        ReadUser("u1"),
        DeleteUser("u9"),
        Summarize("u0", "points", "xp", "daily", RUN, RUN),
        lesson("u0", 3),
    ]
    async with connected(shard.settings.address, 99) as (gateway,):
        replies = await gateway.ask(1, *batch)
        gateway.answers.clear()
        again = await gateway.ask(1, *batch)
    assert statuses(replies) == statuses(again) == [201, 200, 201, 200, 204, 200, 201]
    assert msgspec.json.decode(replies[1].body)["total"] == 10
    events = [replies[n] for n in (0, 2, 6)]
    assert events == [again[n] for n in (0, 2, 6)]
    return events


async def test_a10_13_a_batch_of_events_and_questions_is_answered_as_a_whole(settings: ShardSettings) -> None:
    async with boarded(settings, with_rankings(ranking("all")), lambda s: Place(s.version, None, 1)) as (shard, peer):
        await shard.call(lesson("u9", 9))
        [member] = {score.member for score in peer.scores}
        ranks = [boards_in(reply)["all"]["rank"] for reply in await mixed_batch(shard)]
        assert ranks == sorted(set(ranks))
        await peer.until(lambda: peer.forgets == [member])
        assert {score.user_id for score in peer.standing().values()} == {"u0", "u1"}


async def test_a10_13_and_without_places_when_the_leaderboard_shard_is_away(settings: ShardSettings) -> None:
    async with timed(replace(settings, boards=(f"{settings.address}-b",)), with_rankings(ranking("all"))) as shard:
        await shard.call(lesson("u9", 9))
        assert [boards_in(reply) for reply in await mixed_batch(shard)] == [{}] * 3


async def test_a10_13_and_when_it_does_not_say_anything(
    settings: ShardSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "PLACE_WAIT_S", 0.01)
    async with boarded(settings, with_rankings(ranking("all")), None) as (shard, peer):
        await shard.call(lesson("u9", 9))
        assert [boards_in(reply) for reply in await mixed_batch(shard)] == [{}] * 3
        peer.place = lambda _: None
        peer.answer(peer.unanswered[0])


async def test_a_shard_closes_while_an_event_waits(settings: ShardSettings) -> None:
    async with boarded(settings, with_rankings(ranking("all")), None) as (shard, peer):
        calling = asyncio.create_task(shard.call(lesson("u0", 1)))
        publish = await peer.next_publish()
        closing = asyncio.create_task(shard.host.close())
        await turns()
        peer.answer(publish, Place(1, None, 1))
        await closing
        [reply] = await calling
        assert boards_in(reply)["all"]["rank"] == 1


async def test_streaks_that_are_lost_are_published_at_midnight(settings: ShardSettings) -> None:
    async with boarded(settings, with_rankings(ranking("streak", rank_by="streak", start=MONDAY))) as (shard, peer):
        await fill(shard)
        assert {score.value for score in peer.standing().values()} == {1}
        await shard.move_by_steps(NOON_MS + 35 * HOUR_MS)
        assert len(peer.standing()) == len(USERS)
        await shard.move_by_steps(NOON_MS + 36 * HOUR_MS)
        assert peer.standing() == {}
