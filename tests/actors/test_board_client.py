"""The way of a user shard to one leaderboard shard: all is said, in order, or it is known that something is not."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from plaudit.actors import board_client
from plaudit.actors.board_client import BoardClient, Pages
from plaudit.actors.board_messages import BoardWelcome, Forget, Forgotten, Place, Placed, Publish, Score, Want
from plaudit.actors.committer import CommitsEnded
from tests.actors.scripted_board import ScriptedBoard, scripted_board, socket_directory, turns

RUN = 738_000
FIRST = Place(1, None, 1)


@pytest.fixture
def address() -> Iterator[str]:
    with socket_directory() as directory:
        yield f"{directory}/b"


@pytest.fixture(autouse=True)
def no_quiet_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A leaderboard shard is told how far the shard has come when a test says so."""
    monkeypatch.setattr(board_client, "QUIET_INTERVAL_S", 1000.0)
    monkeypatch.setattr(board_client, "RECONNECT_INTERVAL_S", 0.001)


async def no_pages(want: Want) -> AsyncIterator[tuple[tuple[Score, ...], bool]]:
    yield (), True


def score(member: int) -> Score:
    """What command number `member` has changed for member number `member`."""
    return Score(1, RUN, member, member, f"u{member}", None, (), member, 1, member)


@asynccontextmanager
async def client_of(peer: ScriptedBoard, covers_from: int = 0, pages: Pages = no_pages) -> AsyncIterator[BoardClient]:
    """A client that has been welcomed, and of whom nothing is unanswered."""
    client = BoardClient(peer.address, 3, covers_from, pages)
    client.start()
    try:
        if peer.welcomes and peer.links is not None:
            await until_welcome(client)
        yield client
    finally:
        client.close()
        await turns()


async def until_welcome(client: BoardClient) -> None:
    async with asyncio.timeout(5):
        while not client._is_welcome:
            await asyncio.sleep(0)


def say(client: BoardClient, *members: int, places: list[Place | None] | None = None) -> None:
    """Add the scores of these members, and ask for their places."""
    for member in members:
        client.add(score(member), None if places is None else places.append)
    client.note(members[-1])


def members(publish: Publish) -> list[int]:
    return [each.member for each in publish.scores]


async def test_the_first_message_says_from_where_on_everything_will_be_said(address: str) -> None:
    async with scripted_board(address) as peer, client_of(peer, 7):
        [hello] = peer.hellos
        assert (hello.shard, hello.covers_from) == (3, 7)
        assert peer.said == []


async def test_what_is_added_together_is_said_together_and_in_order(address: str) -> None:
    async with scripted_board(address) as peer, client_of(peer) as client:
        places: list[Place | None] = []
        say(client, 1)
        say(client, 2, 3, places=places)
        say(client, 4)
        publish = await peer.next_publish()
        assert (members(publish), publish.asked, publish.through) == ([1, 2, 3, 4], (1, 2), 4)
        peer.answer(publish, Place(5, 6, 7), None)
        await client.flush()
        assert places == [Place(5, 6, 7), None]


async def test_one_message_is_on_its_way_at_a_time(address: str) -> None:
    async with scripted_board(address) as peer, client_of(peer) as client:
        say(client, 1)
        first = await peer.next_publish()
        say(client, 2)
        await turns()
        say(client, 3)
        await turns()
        assert peer.said == [first]
        peer.answer(first)
        second = await peer.next_publish()
        assert (members(second), second.through) == ([2, 3], 3)
        assert second.sequence == first.sequence + 1
        peer.answer(second)
        await client.flush()
        assert len(peer.said) == 2


async def test_many_scores_are_said_in_pieces_the_last_of_which_is_as_far_as_the_shard_has_come(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board_client, "SCORES_MAX", 2)
    async with scripted_board(address, lambda _: FIRST) as peer, client_of(peer, 10) as client:
        say(client, *range(11, 16))
        await client.flush()
        assert [members(publish) for publish in peer.said] == [[11, 12], [13, 14], [15]]
        assert [publish.through for publish in peer.said] == [10, 10, 15]


async def test_flush_waits_until_everything_has_been_taken(address: str) -> None:
    async with scripted_board(address) as peer, client_of(peer) as client:
        await client.flush()
        say(client, 1)
        flushing = asyncio.create_task(client.flush())
        first = await peer.next_publish()
        say(client, 2)
        peer.answer(first)
        await turns()
        second = peer.unanswered[0]
        assert not flushing.done()
        peer.answer(second)
        await asyncio.wait_for(flushing, 5)


async def test_flush_does_not_wait_for_one_that_is_away(address: str) -> None:
    client = BoardClient(address, 0, 0, no_pages)
    client.start()
    say(client, 1)
    await asyncio.wait_for(client.flush(), 5)
    client.close()


async def test_who_is_lost_while_somebody_flushes_is_not_waited_for(address: str) -> None:
    async with scripted_board(address) as peer, client_of(peer) as client:
        say(client, 1)
        flushing = asyncio.create_task(client.flush())
        await peer.next_publish()
        await peer.close()
        await asyncio.wait_for(flushing, 5)
        await peer.open()


async def test_what_was_on_its_way_is_said_again_before_what_has_come_since(address: str) -> None:
    async with scripted_board(address) as peer, client_of(peer) as client:
        say(client, 1)
        peer.answer(await peer.next_publish())
        say(client, 2)
        await peer.next_publish()
        say(client, 3)
        peer.lose()
        again = await peer.next_publish()
        assert (members(again), again.through) == ([2, 3], 3)
        assert peer.hellos[-1].covers_from == 1
        assert len(peer.hellos) == 2


async def test_nobody_waits_for_places_while_it_is_away(address: str) -> None:
    client, places = BoardClient(address, 0, 0, no_pages), list[Place | None]()
    client.start()
    say(client, 1, places=places)
    assert places == [None]
    client.close()


async def test_nobody_waits_for_places_that_were_on_their_way_or_in_line_when_it_was_lost(address: str) -> None:
    async with scripted_board(address) as peer, client_of(peer) as client:
        places: list[Place | None] = []
        say(client, 1, places=places)
        await peer.next_publish()
        say(client, 2, places=places)
        peer.lose()
        again = await peer.next_publish()
        assert places == [None, None]
        assert (members(again), again.asked) == ([1, 2], ())


async def test_what_is_said_while_it_is_away_is_said_when_it_is_back(address: str) -> None:
    client = BoardClient(address, 0, 4, no_pages)
    client.start()
    say(client, 5)
    say(client, 6)
    async with scripted_board(address, lambda _: FIRST) as peer:
        await peer.until(lambda: bool(peer.said))
        assert peer.hellos[0].covers_from == 4
        assert members(peer.said[0]) == [5, 6]
        client.close()


async def test_too_much_for_one_that_is_away_is_dropped_and_it_learns_of_the_gap(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board_client, "UNSAID_MAX", 3)
    client = BoardClient(address, 0, 0, no_pages)
    client.start()
    for member in range(1, 6):
        say(client, member)
    async with scripted_board(address, lambda _: FIRST) as peer:
        await peer.until(lambda: bool(peer.said))
        assert peer.hellos[0].covers_from == 3
        assert (members(peer.said[0]), peer.said[0].through) == ([4, 5], 5)
        client.close()


async def test_too_much_for_one_that_is_slow_is_dropped_and_it_learns_of_the_gap(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board_client, "UNSAID_MAX", 3)
    async with scripted_board(address) as peer, client_of(peer) as client:
        places: list[Place | None] = []
        say(client, 1, places=places)
        await peer.next_publish()
        for member in range(2, 8):
            say(client, member, places=places)
        await peer.until(lambda: len(peer.hellos) == 2)
        covered = peer.hellos[1].covers_from
        assert covered > 1
        again = await peer.next_publish()
        assert {*range(covered + 1, 8)} <= {*members(again)}
        assert again.through == 7
        assert places[:6] == [None] * 6


async def test_what_is_dropped_within_one_call_leaves_a_gap_up_to_its_end(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of the commands has been noted yet: all that is known is how far they go."""
    monkeypatch.setattr(board_client, "UNSAID_MAX", 3)
    async with scripted_board(address, lambda _: FIRST) as peer, client_of(peer, 10) as client:
        client.expect(16)
        say(client, *range(11, 17))
        await peer.until(lambda: len(peer.hellos) == 2 and bool(peer.said))
        assert [hello.covers_from for hello in peer.hellos] == [10, 16]
        assert [(members(publish), publish.through) for publish in peer.said] == [([14, 15, 16], 16)]


async def test_it_is_told_now_and_then_how_far_the_shard_has_come(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scripted_board(address) as peer, client_of(peer) as client:
        client.note(5)
        await peer.until(lambda: bool(peer.said))
        assert (peer.said[0].scores, peer.said[0].through) == ((), 5)
        await turns()
        client.note(6)
        await turns()
        assert len(peer.said) == 1
        monkeypatch.setattr(client, "_quiet_at", 0.0)
        client.note(6)
        await peer.until(lambda: len(peer.said) == 2)
        monkeypatch.setattr(client, "_quiet_at", 0.0)
        await turns()
        client.note(6)
        client.note(3)
        await turns()
        assert [publish.through for publish in peer.said] == [5, 6]


async def test_what_has_been_told_so_is_not_told_again_after_a_loss(address: str) -> None:
    async with scripted_board(address) as peer, client_of(peer) as client:
        client.note(5)
        await peer.until(lambda: bool(peer.said))
        await turns()
        peer.lose()
        await peer.until(lambda: len(peer.hellos) == 2)
        assert peer.hellos[1].covers_from == 5


async def test_what_comes_while_that_is_on_its_way_waits_for_its_answer(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scripted_board(address) as peer, client_of(peer) as client:
        places: list[Place | None] = []
        with monkeypatch.context() as patch:
            patch.setattr(peer, "answer", lambda *_: None)
            client.note(5)
            await peer.until(lambda: bool(peer.said))
            say(client, 6, places=places)
            client.forget(6)
            await turns()
            assert [publish.through for publish in peer.said] == [5]
        peer.answer(peer.said[0])
        await peer.until(lambda: len(peer.said) == 2)
        assert (members(peer.said[1]), peer.said[1].through, peer.forgets) == ([6], 6, [])
        peer.answer(peer.said[1], FIRST)
        await client.flush()
        assert (places, len(peer.hellos)) == ([FIRST], 1)
        await peer.until(lambda: peer.forgets == [6])


async def test_a_score_right_after_a_note_is_said_with_it_or_after_it(address: str) -> None:
    async with scripted_board(address, lambda _: FIRST) as peer, client_of(peer) as client:
        places: list[Place | None] = []
        for turn in range(4):
            client._quiet_at = 0.0
            client.note(10 * turn + 5)
            for _ in range(turn):
                await asyncio.sleep(0)
            say(client, 10 * turn + 6, places=places)
            await client.flush()
        assert [score.member for score in peer.scores] == [6, 16, 26, 36]
        assert (places, len(peer.hellos)) == ([FIRST] * 4, 1)


async def test_a_deleted_user_is_forgotten_after_what_was_said_of_them(address: str) -> None:
    async with scripted_board(address) as peer, client_of(peer) as client:
        say(client, 1)
        client.forget(1)
        first = await peer.next_publish()
        await turns()
        assert peer.forgets == []
        flushing = asyncio.create_task(client.flush())
        peer.answer(first)
        await peer.until(lambda: bool(peer.forgets))
        await asyncio.wait_for(flushing, 5)
        kinds = [type(message) for message in peer.heard]
        assert kinds.index(Publish) < kinds.index(Forget)


async def test_a_deleted_user_is_forgotten_on_each_connection_until_that_is_done(address: str) -> None:
    async with scripted_board(address) as peer:
        peer.forgets_at_once = False
        async with client_of(peer) as client:
            client.forget(8)
            client.forget(9)
            await peer.until(lambda: len(peer.forgets) == 2)
            await turns()
            peer.forgets_at_once = True
            peer.lose()
            await peer.until(lambda: len(peer.forgets) == 4)
            await turns()
            peer.lose()
            await peer.until(lambda: len(peer.hellos) == 3)
            await until_welcome(client)
            await turns()
            assert sorted(peer.forgets) == [8, 8, 9, 9]


async def test_it_is_known_when_a_deleted_user_is_forgotten(address: str) -> None:
    forgotten: list[int] = []
    async with scripted_board(address) as peer:
        peer.forgets_at_once = False
        client = BoardClient(address, 3, 0, no_pages, forgotten.append)
        client.start()
        client.forget(8)
        await peer.until(lambda: peer.forgets == [8])
        await turns()
        assert forgotten == []
        for member in (9, 8, 8):
            peer.send(Forgotten(member))
        await turns()
        assert forgotten == [8]
        client.close()


async def test_one_that_does_not_say_welcome_is_told_nothing(address: str) -> None:
    async with scripted_board(address) as peer:
        peer.welcomes = False
        async with client_of(peer) as client:
            await peer.until(lambda: bool(peer.hellos))
            places: list[Place | None] = []
            say(client, 1, places=places)
            client.forget(1)
            await asyncio.wait_for(client.flush(), 5)
            await turns()
            assert (places, peer.said, peer.forgets) == ([None], [], [])


@pytest.mark.parametrize("wrong", [Placed(99, ()), Placed(1, (FIRST, FIRST)), Placed(1, ())])
async def test_an_answer_to_something_else_ends_the_connection(address: str, wrong: Placed) -> None:
    async with scripted_board(address) as peer, client_of(peer) as client:
        places: list[Place | None] = []
        say(client, 1, places=places)
        await peer.next_publish()
        peer.send(wrong)
        await peer.until(lambda: len(peer.hellos) == 2)
        assert places == [None]
        await peer.until(lambda: len(peer.said) == 2)


async def test_another_protocol_ends_the_connection(address: str) -> None:
    async with scripted_board(address) as peer:
        peer.welcomes = False
        async with client_of(peer):
            await peer.until(lambda: bool(peer.hellos))
            peer.send(BoardWelcome(99, 0))
            await peer.until(lambda: len(peer.hellos) == 2)


async def test_what_is_wanted_comes_in_pages_beside_what_is_published(address: str) -> None:
    release = asyncio.Event()

    async def pages(want: Want) -> AsyncIterator[tuple[tuple[Score, ...], bool]]:
        yield (score(1),), want.boards == (1,)
        await release.wait()
        yield (score(2),), True
        yield (), True

    async with scripted_board(address) as peer, client_of(peer, pages=pages) as client:
        wanting = [asyncio.create_task(peer.want(boards)) for boards in ((1,), (2,))]
        await turns()
        say(client, 3)
        peer.answer(await peer.next_publish())
        await client.flush()
        release.set()
        assert await wanting[0] == ([score(1), score(2)], True)
        assert await wanting[1] == ([score(1), score(2)], False)


async def test_pages_that_cannot_be_read_end_the_connection(
    address: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(board_client, "QUIET_INTERVAL_S", 0.0)

    async def pages(_: Want) -> AsyncIterator[tuple[tuple[Score, ...], bool]]:
        yield (score(1),), True
        raise OSError("the disk is gone")

    async with scripted_board(address) as peer, client_of(peer, pages=pages):
        peer.send(Want(1))
        await peer.until(lambda: len(peer.hellos) == 2)
        assert not any(page.is_last for page in peer.pages)
        assert "cannot be read" in caplog.text


async def test_pages_of_a_shard_that_ends_just_end(address: str) -> None:
    async def pages(_: Want) -> AsyncIterator[tuple[tuple[Score, ...], bool]]:
        yield (score(1),), True
        raise CommitsEnded("closed")

    async with scripted_board(address) as peer, client_of(peer, pages=pages) as client:
        peer.send(Want(1))
        await turns()
        assert (len(peer.hellos), peer.pages, client._streams) == (1, [], set())


async def test_pages_for_a_connection_that_is_gone_are_not_sent_on_the_next(address: str) -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    async def pages(_: Want) -> AsyncIterator[tuple[tuple[Score, ...], bool]]:
        yield (score(1),), True
        begun.set()
        await release.wait()
        yield (score(2),), True

    async with scripted_board(address) as peer, client_of(peer, pages=pages) as client:
        peer.send(Want(1))
        await begun.wait()
        peer.lose()
        await peer.until(lambda: len(peer.hellos) == 2)
        release.set()
        await until_welcome(client)
        await turns()
        assert peer.pages == []
