"""Shards that are lost while scores are on their way: afterwards a leaderboard is exactly what is committed."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from plaudit.actors.board_client import BoardClient
from plaudit.actors.board_messages import BoardHello, Publish
from plaudit.actors.board_runs import BoardRuns
from plaudit.actors.publisher import Publisher
from plaudit.engine.commands import DeleteUser
from plaudit.storage.state import StateStore
from tests.actors.board_pair import Pair, has_scores, paired
from tests.actors.shards import checkpoint, checkpoint_and_be_killed

USERS = [f"user-{number}" for number in range(8)]
STEP = 1000
"""What an event is worth, so that the totals of two users are never the same."""
USERS_BEFORE_GATE = 4
MESSAGES_MAX = 6
"""Before which something is lost, in a round of the random test."""
MOMENTS = ["committed", "queued", "said", "taken"]


@pytest.fixture
async def pair(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pair]:
    async with paired(monkeypatch) as made:
        for number, user in enumerate(USERS):
            await made.record(user, number * STEP + number + 1)
        yield made


def kill_at(patches: pytest.MonkeyPatch, moment: str, kill: Callable[[], None]) -> asyncio.Event:
    """Call `kill` once when scores are first published from now on: how far they come then is the moment."""
    killed = asyncio.Event()

    def once() -> None:
        killed.set()
        kill()

    ask, publish, flush = Publisher.ask, Publisher.publish, BoardClient._flush
    send, take = BoardClient._send, BoardRuns.publish

    def ask_or_kill(publisher: Publisher, *args: Any) -> None:
        return ask(publisher, *args) if killed.is_set() else once()

    def publish_or_kill(publisher: Publisher, *args: Any) -> None:
        return publish(publisher, *args) if killed.is_set() or not args[0] else once()

    def flush_or_kill(client: BoardClient) -> None:
        return flush(client) if killed.is_set() or not client._unsaid else once()

    def send_and_kill(client: BoardClient, message: Any) -> None:
        send(client, message)
        if has_scores(message) and not killed.is_set():
            once()

    def take_and_kill(runs: BoardRuns, shard: int, message: Publish) -> Any:
        places = take(runs, shard, message)
        if has_scores(message) and not killed.is_set():
            once()
        return places

    if moment == "committed":
        patches.setattr(Publisher, "ask", ask_or_kill)
        patches.setattr(Publisher, "publish", publish_or_kill)
    elif moment == "queued":
        patches.setattr(BoardClient, "_flush", flush_or_kill)
    elif moment == "said":
        patches.setattr(BoardClient, "_send", send_and_kill)
    else:
        patches.setattr(BoardRuns, "publish", take_and_kill)
    return killed


class Gate:
    """Holds streams of scores back when two pages have been read, while it is closed."""

    def __init__(self, patches: pytest.MonkeyPatch) -> None:
        self.begun = asyncio.Event()
        self._is_open = asyncio.Event()
        patches.setattr("plaudit.actors.score_pages.PAGE_USERS", 2)
        scan = StateStore.scan_users

        async def scan_slowly(state: StateStore, last: int, limit: int) -> Any:
            if last >= USERS_BEFORE_GATE:
                self.begun.set()
                await self._is_open.wait()
            return await scan(state, last, limit)

        patches.setattr(StateStore, "scan_users", scan_slowly)

    def open(self) -> None:
        self._is_open.set()


def stall(patches: pytest.MonkeyPatch) -> None:
    """Let nothing that is published be said any more, and nobody wait for places."""
    patches.setattr("plaudit.actors.publisher.PLACE_WAIT_S", 0.0)
    patches.setattr(BoardClient, "_flush", lambda client: None)


@pytest.mark.parametrize("moment", MOMENTS)
async def test_what_is_committed_and_not_published_is_published_by_the_next_one(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    await checkpoint(pair.users)
    await pair.record("user-1", STEP)
    await pair.settle()
    pair.wants.clear()
    killed = kill_at(monkeypatch, moment, pair.users.kill)
    sending = [pair.send(user, 10 * STEP) for user in ("user-0", "new")]
    await killed.wait()
    await pair.open_users()
    assert {reply.status for reply in await asyncio.gather(*sending)} == {201}
    await pair.settle()
    await pair.check()
    assert pair.wants == []
    assert (await pair.record("user-3", 100 * STEP))["lessons"]["rank"] == 1


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_deletion_that_is_committed_and_not_published_is_published_by_the_next_one(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    pair.wants.clear()
    killed = kill_at(monkeypatch, moment, pair.users.kill)
    deleting = asyncio.create_task(pair.delete("user-7"))
    await killed.wait()
    await pair.open_users()
    await deleting
    await pair.settle()
    await pair.check()
    assert pair.wants == []


@pytest.mark.parametrize("number", range(1, 5))
async def test_scores_of_which_only_some_have_been_said_are_all_there_afterwards(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr("plaudit.actors.board_client.SCORES_MAX", 1)
    pair.wants.clear()
    killed, said, send = asyncio.Event(), 0, BoardClient._send

    def send_or_kill(client: BoardClient, message: Any) -> None:
        nonlocal said
        said += has_scores(message)
        if said == number and not killed.is_set():
            killed.set()
            return pair.users.kill()
        return send(client, message)

    monkeypatch.setattr(BoardClient, "_send", send_or_kill)
    sending = [pair.send(user, 10 * STEP) for user in USERS[:4]]
    await killed.wait()
    await pair.open_users()
    assert {reply.status for reply in await asyncio.gather(*sending)} == {201}
    await pair.settle()
    await pair.check()
    assert pair.wants == []


async def test_a_checkpoint_of_what_is_published_needs_no_more(pair: Pair) -> None:
    await checkpoint(pair.users)
    pair.wants.clear()
    pair.users.kill()
    await pair.open_users()
    assert await pair.record("user-1", STEP)
    await pair.check()
    assert pair.wants == []


async def test_when_a_checkpoint_has_gone_past_what_is_published_everything_is_asked_for(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.wants.clear()
    with monkeypatch.context() as patches:
        stall(patches)
        assert await pair.record("user-0", 20 * STEP) == {}
        assert await pair.record("new", 30 * STEP) == {}
        await pair.delete("user-7")
        await checkpoint(pair.users)
        pair.users.kill()
    await pair.open_users()
    await pair.record("user-1", STEP)
    await pair.settle()
    await pair.check()
    assert [want.boards for want in pair.wants] == [None]


@pytest.mark.parametrize("is_saved", [True, False])
@pytest.mark.parametrize("lost", ["users", "boards", "users boards", "boards users"])
async def test_shards_that_are_lost_in_the_middle_of_a_stream_begin_it_anew(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, lost: str, is_saved: bool
) -> None:
    await checkpoint(pair.users)
    gate = Gate(monkeypatch)
    pair.boards.kill()
    await pair.open_boards()
    await gate.begun.wait()
    assert await pair.record("user-0", 20 * STEP) == {}
    assert await pair.record("new", 30 * STEP) == {}
    await pair.delete("user-7")
    if is_saved:
        await checkpoint(pair.users)
    for each in lost.split():
        (pair.users if each == "users" else pair.boards).kill()
    pair.wants.clear()
    sending = pair.send("user-1", 40 * STEP)
    for each in lost.split():
        await (pair.open_users() if each == "users" else pair.open_boards())
    gate.open()
    assert (await sending).status == 201
    await pair.settle()
    await pair.check()
    assert pair.wants
    assert await pair.record("user-2", 50 * STEP)


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_leaderboard_shard_that_is_lost_while_it_is_told_something_costs_the_events_their_places_only(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    killed = kill_at(monkeypatch, moment, pair.boards.kill)
    if moment == "committed":
        pair.boards.kill()
        killed.set()
    assert await pair.record("user-0", 20 * STEP) == {}
    assert killed.is_set()
    assert await pair.record("user-1", 30 * STEP) == {}
    await pair.delete("user-7")
    await pair.open_boards()
    await pair.settle()
    await pair.check()
    assert (await pair.record("user-2", 50 * STEP))["lessons"]["rank"] == 1


async def play(pair: Pair, choices: random.Random, patches: pytest.MonkeyPatch) -> None:
    """Events and deletions, during which one of the shards, or both, are lost at some message between them."""
    victims = choices.choice([["users"], ["boards"], ["users", "boards"], ["boards", "users"]])
    left, killed, send = choices.randrange(MESSAGES_MAX), asyncio.Event(), BoardClient._send

    def send_or_kill(client: BoardClient, message: Any) -> None:
        nonlocal left
        left -= not isinstance(message, BoardHello)  # asyncio forgets a connection that a closing server has accepted
        if left < 0 and not killed.is_set():
            killed.set()
            if choices.random() < 0.5:
                send(client, message)
            for victim in victims:
                (pair.users if victim == "users" else pair.boards).kill()
            return
        send(client, message)

    if choices.random() < 0.3:
        pair.boards.kill()
        await pair.open_boards()
        await pair.reconnect()
    patches.setattr(BoardClient, "_send", send_or_kill)
    calls: list[asyncio.Future[Any]] = []
    for _ in range(choices.randrange(1, 12)):
        user = choices.choice(USERS)
        if choices.random() < 0.2 and user in pair.expected:
            del pair.expected[user]
            calls.append(pair._client.call(DeleteUser(user)))
        else:
            calls.append(pair.send(user, STEP if user in pair.expected else STEP + USERS.index(user) + 1))
        if choices.random() < 0.3:
            await asyncio.sleep(0)
        if choices.random() < 0.1 and calls and not killed.is_set():
            await asyncio.wait([calls[-1], asyncio.create_task(killed.wait())], return_when="FIRST_COMPLETED")
        if choices.random() < 0.1 and not killed.is_set():
            await save_unless_lost(pair)
    if not killed.is_set():
        killed.set()
        for victim in victims:
            (pair.users if victim == "users" else pair.boards).kill()
    for victim in victims:
        await (pair.open_users() if victim == "users" else pair.open_boards())
    replies = await asyncio.wait_for(asyncio.gather(*calls), 10)
    assert {reply.status for reply in replies} <= {201, 204}
    await pair.settle()
    await pair.check()


async def save_unless_lost(pair: Pair) -> None:
    """Save everything, unless the user shard is lost meanwhile."""
    saving, losing = asyncio.create_task(checkpoint(pair.users)), asyncio.create_task(pair.users._lost.wait())
    await asyncio.wait([saving, losing], return_when=asyncio.FIRST_COMPLETED)
    saving.cancel()
    losing.cancel()
    await asyncio.gather(saving, losing, return_exceptions=True)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("seed", range(30))
async def test_whatever_is_lost_at_whichever_message_nothing_is_missing(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    choices = random.Random(seed)
    monkeypatch.setattr("plaudit.actors.score_pages.PAGE_USERS", 2)
    monkeypatch.setattr("plaudit.actors.publisher.PLACE_WAIT_S", 0.01)
    async with paired(monkeypatch) as pair:
        for _ in range(4):
            with monkeypatch.context() as patches:
                await play(pair, choices, patches)


@pytest.mark.parametrize("step", range(5))
async def test_a_checkpoint_that_was_cut_short_leaves_users_their_numbers(
    monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    async with paired(monkeypatch) as pair:
        await pair.record("again", STEP)
        await checkpoint(pair.users)
        await pair.delete("again")
        await pair.record("again", 2 * STEP)
        await pair.record("newer", 3 * STEP)
        await pair.move_users_to((await checkpoint_and_be_killed(pair.users, pair.user_settings))[step])
        await pair.settle()
        await pair.check()


async def test_more_in_the_log_than_can_wait_is_asked_for_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    async with paired(monkeypatch) as pair:
        for number, user in enumerate(USERS):
            await pair.record(user, STEP + number)
        await pair.settle()
        killed = kill_at(monkeypatch, "committed", pair.users.kill)
        sending = pair.send(USERS[0], 50 * STEP)
        await killed.wait()
        monkeypatch.setattr("plaudit.actors.board_client.UNSAID_MAX", 3)
        await pair.open_users()
        assert (await sending).status == 201
        await pair.settle()
        await pair.check()
