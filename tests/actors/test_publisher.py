"""A shard's scores on their way to the leaderboard shards that they belong to, and the places that come back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from plaudit.actors import board_client, publisher
from plaudit.actors.board_messages import BoardHello, Forget, Forgotten, Place, Publish, Score, Want
from plaudit.actors.board_routing import board_shard_of
from plaudit.actors.publisher import Publisher
from tests.actors.scripted_board import ScriptedBoard, scripted_board, socket_directory, turns

RUN = 738_000
SHARDS = 3
BOARD_OF = {board_shard_of(board, RUN, SHARDS): board for board in range(40, 0, -1)}
"""A board of each leaderboard shard."""


@pytest.fixture(autouse=True)
def no_quiet_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_client, "QUIET_INTERVAL_S", 1000.0)
    monkeypatch.setattr(board_client, "RECONNECT_INTERVAL_S", 0.001)


async def no_pages(want: Want) -> AsyncIterator[tuple[tuple[Score, ...], bool]]:
    yield (), True


def score(shard: int, member: int) -> Score:
    """What command number `member` has changed on the board of a leaderboard shard."""
    return Score(BOARD_OF[shard], RUN, member, member, f"u{member}", None, (), member, 1, member)


class Asking:
    """Somebody who asks for places."""

    def __init__(self) -> None:
        self.answers: list[list[Place | None]] = []
        self._answered = asyncio.Event()

    def __call__(self, places: list[Place | None]) -> None:
        self.answers.append(places)
        self._answered.set()

    async def answer(self) -> list[Place | None]:
        await asyncio.wait_for(self._answered.wait(), 5)
        [places] = self.answers
        return places


@asynccontextmanager
async def world(shards: int = SHARDS) -> AsyncIterator[tuple[Publisher, list[ScriptedBoard]]]:
    """A publisher that all of some leaderboard shards have welcomed."""
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(socket_directory())
        peers = [await stack.enter_async_context(scripted_board(f"{directory}/{n}")) for n in range(shards)]
        said = Publisher(0, [peer.address for peer in peers], 0, lambda _: no_pages)
        said.start()
        stack.callback(said.close)
        async with asyncio.timeout(5):
            while not all(client._is_welcome for client in said._clients):
                await asyncio.sleep(0)
        yield said, peers
        said.close()
        await turns()


async def test_each_score_goes_to_the_shard_of_its_run() -> None:
    async with world() as (said, peers):
        said.publish([score(1, 1), score(0, 2), score(1, 3)], 3)
        await peers[0].next_publish()
        await peers[1].next_publish()
        await turns()
        assert [[each.member for each in peer.scores] for peer in peers] == [[2], [1, 3], []]
        assert [publish.through for peer in peers for publish in peer.said] == [3, 3, 3]  # the last has a note


async def test_places_come_in_the_order_in_which_they_were_asked_for() -> None:
    async with world() as (said, peers):
        asking = Asking()
        said.ask([score(n, member) for member, n in enumerate((2, 0, 1, 0), 1)], [3, 0, 2], 4, asking)
        for n in (1, 0, 2):
            publish = await peers[n].next_publish()
            asked = [publish.scores[position].member for position in publish.asked]
            assert asked == {0: [4], 1: [3], 2: [1]}[n]
            assert asking.answers == []
            peers[n].answer(publish, *(Place(member, None, 1) for member in asked))
        assert await asking.answer() == [Place(4, None, 1), Place(1, None, 1), Place(3, None, 1)]


async def test_places_that_are_not_known_are_none() -> None:
    async with world() as (said, peers):
        asking = Asking()
        said.ask([score(0, 1), score(0, 2)], [0, 1], 2, asking)
        peers[0].answer(await peers[0].next_publish(), None, Place(1, 2, 3))
        assert await asking.answer() == [None, Place(1, 2, 3)]


async def test_nobody_waits_longer_than_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "PLACE_WAIT_S", 0.02)
    async with world() as (said, peers):
        asking = Asking()
        said.ask([score(0, 1), score(1, 2)], [0, 1], 2, asking)
        publish = await peers[0].next_publish()
        peers[0].answer(publish, Place(1, None, 1))
        late = await peers[1].next_publish()
        assert await asking.answer() == [Place(1, None, 1), None]
        peers[1].answer(late, Place(2, None, 1))
        await said.flush()
        assert len(asking.answers) == 1


def test_it_is_a_quarter_of_a_second() -> None:
    assert publisher.PLACE_WAIT_S == 0.25


async def test_nobody_waits_for_a_shard_that_is_away() -> None:
    async with world() as (said, peers):
        await peers[1].close()
        async with asyncio.timeout(5):
            while said._clients[1]._is_welcome:
                await asyncio.sleep(0)
        asking, other = Asking(), Asking()
        said.ask([score(1, 1)], [0], 1, asking)
        assert asking.answers == [[None]]
        said.ask([score(0, 2), score(1, 3)], [0, 1], 3, other)
        peers[0].answer(await peers[0].next_publish(), Place(1, None, 1))
        assert await other.answer() == [Place(1, None, 1), None]
        await peers[1].open()
        assert [each.member for each in (await peers[1].next_publish()).scores] == [1, 3]


async def test_nobody_waits_for_a_shard_that_is_lost_meanwhile() -> None:
    async with world() as (said, peers):
        asking = Asking()
        said.ask([score(1, 1)], [0], 1, asking)
        await peers[1].next_publish()
        peers[1].lose()
        assert await asking.answer() == [None]


async def test_without_leaderboard_shards_places_are_none() -> None:
    said, asking = Publisher(0, [], 0, lambda _: no_pages), Asking()
    said.start()
    said.publish([score(0, 1)], 1)
    said.ask([score(0, 1)], [0], 1, asking)
    said.forget(1)
    await said.flush()
    said.close()
    assert asking.answers == [[None]]


async def test_all_shards_are_told_who_is_forgotten_and_how_far_the_shard_has_come() -> None:
    async with world() as (said, peers):
        said.publish([], 9)
        said.forget(4)
        for peer in peers:
            await peer.until(lambda peer=peer: bool(peer.forgets and peer.said))  # type: ignore[misc]
        assert [peer.forgets for peer in peers] == [[4]] * SHARDS
        assert [publish.through for peer in peers for publish in peer.said] == [9] * SHARDS


async def test_a_deleted_user_is_forgotten_when_all_shards_have_said_so() -> None:
    async with world() as (said, peers):
        peers[2].forgets_at_once = False
        said.forget(4)
        for peer in peers:
            await peer.until(lambda peer=peer: peer.forgets == [4])  # type: ignore[misc]
        await turns()
        assert said.take_forgotten() == []
        peers[2].send(Forgotten(4))
        await turns()
        assert (said.take_forgotten(), said.take_forgotten()) == ([4], [])


async def test_who_leaves_everything_leaves_before_being_forgotten() -> None:
    async with world(1) as (said, [peer]):
        peer.place = lambda _: None
        said.publish([score(0, 1)], 1)
        said.forget(1)
        await peer.until(lambda: bool(peer.forgets))
        assert [type(message) for message in peer.heard] == [BoardHello, Publish, Forget]


@pytest.mark.parametrize("is_asking", [False, True])
async def test_a_tail_that_is_too_long_to_be_said_leaves_a_gap(
    monkeypatch: pytest.MonkeyPatch, is_asking: bool
) -> None:
    """What has been replayed is published in one call: a gap up to the checkpoint would be none."""
    monkeypatch.setattr(board_client, "UNSAID_MAX", 3)
    tail, asking = [score(0, member) for member in range(11, 17)], Asking()
    with socket_directory() as directory:
        async with scripted_board(f"{directory}/0", lambda _: None) as peer:
            said = Publisher(0, [peer.address], 10, lambda _: no_pages)
            said.start()
            if is_asking:
                said.ask(tail, [0, 5], 16, asking)
            else:
                said.publish(tail, 16)
            await peer.until(lambda: bool(peer.said))
            assert [hello.covers_from for hello in peer.hellos] == [16]
            assert [each.member for each in peer.scores] == [14, 15, 16]
            assert asking.answers == ([[None, None]] if is_asking else [])
            said.close()


async def test_flush_waits_for_all_shards() -> None:
    async with world() as (said, peers):
        said.publish([score(0, 1), score(2, 2)], 2)
        flushing = asyncio.create_task(said.flush())
        peers[0].answer(await peers[0].next_publish())
        await peers[2].next_publish()
        await turns()
        assert not flushing.done()
        peers[2].answer(peers[2].unanswered[0])
        await asyncio.wait_for(flushing, 5)


async def test_runs_are_found_again_after_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "KNOWN_OWNERS_MAX", 2)
    async with world() as (said, peers):
        said.publish([score(n % SHARDS, n) for n in range(1, 10)], 9)
        for peer in peers:
            await peer.next_publish()
        assert [[each.member % SHARDS for each in peer.scores] for peer in peers] == [[n] * 3 for n in range(SHARDS)]


def test_the_shard_of_a_run_is_the_same_for_ever() -> None:
    assert [board_shard_of(board, RUN, 4) for board in range(1, 9)] == [1, 1, 0, 1, 3, 2, 2, 0]
    assert {board_shard_of(1, run, 4) for run in range(RUN, RUN + 40)} == {0, 1, 2, 3}
