import asyncio
import contextlib
import itertools
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from plaudit.actors import shard_client
from plaudit.actors.errors import Overloaded, Unavailable
from plaudit.actors.messages import PROTOCOL, Batch, Hello, Replies, Reply, Welcome, decode_to_shard, encode
from plaudit.actors.replies import REFUSED
from plaudit.actors.shard_client import RECONNECT_INTERVAL_S, UNAVAILABLE_AFTER_S, WINDOW, ShardClient
from plaudit.actors.transport import Connection, listen
from plaudit.engine.commands import ReadUser

GATEWAY = 7
PATIENCE_S = 2.0
"""How long to wait for what must happen: only a failing test waits that long."""


class Link:
    """A shard's end of a connection (`Receiver`)."""

    def __init__(self, shard: "FakeShard", connection: Connection) -> None:
        self.shard = shard
        self.connection = connection

    def frame_received(self, payload: bytes) -> None:
        message = decode_to_shard(payload)
        if isinstance(message, Hello):
            self.shard.greet(self, message)
        else:
            self.shard.batches.put_nowait(message)

    def connection_closed(self) -> None:
        self.shard.links.remove(self)


class FakeShard:
    """A shard that does what the test says: it answers each command with its user's name, or is lost."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.links: list[Link] = []
        self.batches: asyncio.Queue[Batch] = asyncio.Queue()
        self.hellos: asyncio.Queue[Hello] = asyncio.Queue()
        self.welcome: Welcome | None = Welcome(PROTOCOL, 0)
        self.hangs_up = False
        self._server: asyncio.AbstractServer

    async def open(self) -> None:
        self._server = await listen(self.address, self._accept)

    async def close(self) -> None:
        """Be gone, with everything that was in flight."""
        self._server.close()
        Path(self.address).unlink(missing_ok=True)
        self.lose()
        await self._server.wait_closed()

    def lose(self) -> None:
        """Lose every connection, as a shard that dies and is back at once."""
        while not self.batches.empty():
            self.batches.get_nowait()
        for link in list(self.links):
            link.connection.abort()

    def greet(self, link: Link, hello: Hello) -> None:
        self.hellos.put_nowait(hello)
        if self.welcome is not None:
            link.connection.send(encode(self.welcome))
        if self.hangs_up:
            link.connection.abort()

    async def next(self) -> Batch:
        return await asyncio.wait_for(self.batches.get(), PATIENCE_S)

    def answer(self, batch: Batch) -> None:
        replies = tuple(Reply(200, (command.user_id or "").encode()) for command in batch.commands)
        self.send(Replies(batch.number, batch.positions[0], replies))

    def send(self, message: Welcome | Replies) -> None:
        [link] = self.links
        link.connection.send(encode(message))

    async def serve(self, seen: list[Batch], dies_of: str = "") -> None:
        """Answer everything, and die of each batch with one of these users."""
        while True:
            batch = await self.batches.get()
            seen.append(batch)
            if batch.known_only:
                self.send(Replies(batch.number, batch.positions[0], (REFUSED,) * len(batch.commands)))
            elif set(users_of(batch)) & set(dies_of):
                self.lose()
            else:
                self.answer(batch)

    def _accept(self, connection: Connection) -> Link:
        self.links.append(Link(self, connection))
        return self.links[-1]


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def users_of(batch: Batch) -> str:
    return "".join(command.user_id or "" for command in batch.commands)


def call(client: ShardClient, users: str) -> list[asyncio.Future[Reply]]:
    """One call for each letter."""
    return [client.call(ReadUser(user)) for user in users]


async def answers(calls: list[asyncio.Future[Reply]]) -> str:
    """What the calls were answered, a star for each refusal."""
    replies = await asyncio.wait_for(asyncio.gather(*calls), PATIENCE_S)
    return "".join("*" if reply == REFUSED else reply.body.decode() for reply in replies)


async def turns() -> None:
    """Let everything that can be sent and received be sent and received."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def address() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as directory:  # tmp_path may be longer than a socket's path can be
        yield f"{directory}/s"


@pytest.fixture
async def shard(address: str) -> AsyncIterator[FakeShard]:
    shard = FakeShard(address)
    await shard.open()
    yield shard
    await shard.close()


@pytest.fixture
async def client(address: str, clock: Clock) -> AsyncIterator[ShardClient]:
    """A client that has not been started."""
    client = ShardClient(address, GATEWAY, clock)
    yield client
    await client.close()


@pytest.fixture
async def connected(client: ShardClient, shard: FakeShard) -> ShardClient:
    client.start()
    await asyncio.wait_for(client.wait_connected(), PATIENCE_S)
    return client


@asynccontextmanager
async def serving(shard: FakeShard, dies_of: str = "") -> AsyncIterator[list[Batch]]:
    """A shard that answers by itself; what it has seen."""
    seen: list[Batch] = []
    task = asyncio.create_task(shard.serve(seen, dies_of))
    try:
        yield seen
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


class TestBatching:
    """Commands gather while the window is full."""

    async def test_a_command_does_not_wait_when_nothing_is_unanswered(
        self, connected: ShardClient, shard: FakeShard
    ) -> None:
        for number, user in enumerate("abc", 1):
            calls = call(connected, user)
            assert await shard.next() == Batch(number, (0,), (ReadUser(user),))
            shard.answer(Batch(number, (0,), (ReadUser(user),)))
            assert await answers(calls) == user

    async def test_commands_gather_while_the_window_is_full(self, connected: ShardClient, shard: FakeShard) -> None:
        calls, sent = [], []
        for user in "abcd"[:WINDOW]:
            calls += call(connected, user)
            sent.append(await shard.next())
        for user in "xyz":
            calls += call(connected, user)
            await turns()
        assert shard.batches.empty()
        for batch in sent:
            shard.answer(batch)
        gathered = await shard.next()
        assert (gathered.number, gathered.positions, users_of(gathered)) == (WINDOW + 1, (0, 1, 2), "xyz")
        shard.answer(gathered)
        assert await answers(calls) == "abcd"[:WINDOW] + "xyz"

    async def test_the_order_is_that_of_the_calls_and_the_window_holds(
        self, connected: ShardClient, shard: FakeShard
    ) -> None:
        users = [chr(ord("A") + number) for number in range(50)]
        calls: list[asyncio.Future[Reply]] = []
        seen: list[Batch] = []
        unanswered = 0
        for group in itertools.islice(itertools.cycle((1, 3, 0, 7, 0, 0, 2)), 40):
            calls += call(connected, "".join(users[len(calls) : len(calls) + group]))
            await turns()
            unanswered += shard.batches.qsize()
            assert unanswered <= WINDOW
            seen += [shard.batches.get_nowait() for _ in range(shard.batches.qsize())]
            if unanswered:
                shard.answer(seen[len(seen) - unanswered])
                unanswered -= 1
        assert await answers(calls) == "".join(map(users_of, seen)) == "".join(users)
        assert [batch.number for batch in seen] == list(range(1, len(seen) + 1))
        assert [batch.positions for batch in seen] == [tuple(range(len(batch.commands))) for batch in seen]
        assert len(seen) < len(users) / 2

    async def test_a_batch_has_an_upper_limit(
        self, connected: ShardClient, shard: FakeShard, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shard_client, "BATCH_COMMANDS_MAX", 3)
        async with serving(shard) as seen:
            assert await answers(call(connected, "abcdefgh")) == "abcdefgh"
        assert [users_of(batch) for batch in seen] == ["abc", "def", "gh"]

    async def test_a_caller_that_has_gone_does_not_disturb_the_others(
        self, connected: ShardClient, shard: FakeShard
    ) -> None:
        calls = call(connected, "abc")
        batch = await shard.next()
        calls[1].cancel()
        shard.answer(batch)
        assert await answers([calls[0], calls[2]]) == "ac"


class TestLosses:
    """What was sent is sent again until it is answered."""

    async def test_a_lost_batch_is_sent_again_as_it_was(self, connected: ShardClient, shard: FakeShard) -> None:
        calls = call(connected, "abc")
        first = await shard.next()
        shard.lose()
        assert await shard.next() == first
        shard.answer(first)
        assert await answers(calls) == "abc"
        assert [shard.hellos.get_nowait().gateway for _ in range(shard.hellos.qsize())] == [GATEWAY, GATEWAY]

    async def test_lost_batches_are_sent_again_in_order_before_anything_new(
        self, connected: ShardClient, shard: FakeShard
    ) -> None:
        calls, sent = [], []
        for user in "abcd"[:WINDOW]:
            calls += call(connected, user)
            sent.append(await shard.next())
        calls += call(connected, "x")
        shard.lose()
        again = [await shard.next() for _ in sent]
        assert again == sent
        await turns()
        assert shard.batches.empty()
        async with serving(shard) as seen:
            for batch in again:
                shard.answer(batch)
            assert await answers(calls) == "abcd"[:WINDOW] + "x"
        assert [(batch.number, users_of(batch)) for batch in seen] == [(WINDOW + 1, "x")]

    async def test_what_was_answered_is_not_sent_again(self, connected: ShardClient, shard: FakeShard) -> None:
        calls = call(connected, "a")
        shard.answer(await shard.next())
        assert await answers(calls) == "a"
        shard.lose()
        calls = call(connected, "b")
        assert users_of(await shard.next()) == "b"

    async def test_a_shard_that_was_away_gets_what_was_sent_before(
        self, connected: ShardClient, shard: FakeShard, clock: Clock
    ) -> None:
        calls = call(connected, "ab")
        batch = await shard.next()
        await shard.close()
        await turns()
        assert not connected.is_connected
        clock.now_s += 10 * UNAVAILABLE_AFTER_S
        await shard.open()
        assert await shard.next() == batch
        shard.answer(batch)
        assert await answers(calls) == "ab"

    async def test_replies_that_do_not_fit_lose_the_connection_and_no_call(
        self, connected: ShardClient, shard: FakeShard
    ) -> None:
        calls = call(connected, "ab")
        batch = await shard.next()
        shard.send(Replies(batch.number, 0, (Reply(200, b"only one"),)))
        assert await shard.next() == batch
        shard.send(Replies(batch.number + 1, 0, (Reply(200, b"a"), Reply(200, b"b"))))
        assert await shard.next() == batch
        shard.answer(batch)
        assert await answers(calls) == "ab"

    @pytest.mark.parametrize(
        "payload",
        [
            b"",
            b"\xc1",
            encode(Hello(PROTOCOL, 1)),
            encode(Welcome(PROTOCOL + 1, 0)),
            encode(Replies(1, 0, (Reply(200, b"never asked"),))),
            b"\x94\xa7welcome\x01\x00" + b"\x91" * 10_000 + b"\0",
        ],
        ids=["nothing", "no MessagePack", "for a shard", "another protocol", "never asked", "too deep"],
    )
    async def test_a_message_that_makes_no_sense_is_a_value_error(self, connected: ShardClient, payload: bytes) -> None:
        with pytest.raises(ValueError):
            connected.frame_received(payload)


class TestSuspicion:
    """Who kills the shard is found and refused."""

    async def test_the_culprit_is_found_by_halves(self, connected: ShardClient, shard: FakeShard) -> None:
        async with serving(shard, dies_of="c") as seen:
            assert await answers(call(connected, "abcd")) == "ab*d"
            assert await answers(call(connected, "e")) == "e"
        whole = (1, (0, 1, 2, 3), "abcd")
        halves = [(1, (0, 1), "ab"), (1, (2, 3), "cd"), (1, (2,), "c"), (1, (2,), "c"), (1, (3,), "d")]
        found = [(batch.number, batch.positions, users_of(batch)) for batch in seen]
        assert found == [whole] * 3 + halves + [(2, (0,), "e")]
        assert [batch.known_only for batch in seen] == [False] * 6 + [True] + [False] * 2

    @pytest.mark.parametrize("culprits", ["a", "g", "ag", "cd", "abcdefg"])
    async def test_every_culprit_is_refused_and_everyone_else_answered(
        self, connected: ShardClient, shard: FakeShard, culprits: str
    ) -> None:
        async with serving(shard, dies_of=culprits):
            calls = call(connected, "abcdefg")
            await turns()
            calls += call(connected, "xyz")
            assert await answers(calls) == "".join("*" if u in culprits else u for u in "abcdefgxyz")

    async def test_a_suspect_is_sent_alone(self, connected: ShardClient, shard: FakeShard) -> None:
        calls = []
        for user in "abcd"[:WINDOW]:
            calls += call(connected, user)
            await shard.next()
        calls += call(connected, "x")
        shard.lose()
        for _ in range(WINDOW):
            await shard.next()
        shard.lose()
        alone = []
        for _ in range(WINDOW):
            alone.append(await shard.next())
            await turns()
            assert shard.batches.empty()
            shard.answer(alone[-1])
        assert "".join(map(users_of, alone)) == "abcd"[:WINDOW]
        shard.answer(await shard.next())
        assert await answers(calls) == "abcd"[:WINDOW] + "x"

    async def test_two_losses_refuse_nobody(self, connected: ShardClient, shard: FakeShard) -> None:
        calls = call(connected, "a")
        for _ in range(2):
            await shard.next()
            shard.lose()
        shard.answer(await shard.next())
        assert await answers(calls) == "a"


class TestLimits:
    """What cannot be sent is refused before it is sent."""

    async def test_a_full_queue_refuses_and_keeps_what_is_in_it(
        self, client: ShardClient, shard: FakeShard, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shard_client, "QUEUE_COMMANDS_MAX", 3)
        calls = call(client, "abc")
        with pytest.raises(Overloaded):
            client.call(ReadUser("d"))
        client.start()
        async with serving(shard):
            assert await answers(calls) == "abc"
            assert await answers(call(client, "e")) == "e"

    async def test_what_cannot_be_encoded_fails_and_holds_nobody_up(
        self, connected: ShardClient, shard: FakeShard
    ) -> None:
        broken = connected.call(ReadUser(cast("str", object())))
        with pytest.raises(TypeError):
            await asyncio.wait_for(broken, PATIENCE_S)
        async with serving(shard):
            assert await answers(call(connected, "ab")) == "ab"

    async def test_a_shard_that_never_came_is_unavailable_after_a_while(
        self, client: ShardClient, clock: Clock
    ) -> None:
        client.start()
        calls = call(client, "a")
        clock.now_s += UNAVAILABLE_AFTER_S
        calls += call(client, "b")
        clock.now_s += 0.001
        with pytest.raises(Unavailable):
            client.call(ReadUser("c"))
        for waiting in calls:
            with pytest.raises(Unavailable):
                await asyncio.wait_for(waiting, PATIENCE_S)

    @pytest.mark.parametrize("hangs_up", [False, True])
    async def test_a_shard_that_never_says_welcome_is_unavailable_too(
        self, client: ShardClient, shard: FakeShard, clock: Clock, hangs_up: bool
    ) -> None:
        shard.welcome, shard.hangs_up = None, hangs_up
        client.start()
        [waiting] = call(client, "a")
        await asyncio.wait_for(shard.hellos.get(), PATIENCE_S)
        clock.now_s += UNAVAILABLE_AFTER_S + 1
        with pytest.raises(Unavailable):
            await asyncio.wait_for(waiting, PATIENCE_S)

    async def test_the_wait_begins_with_the_loss(self, connected: ShardClient, shard: FakeShard, clock: Clock) -> None:
        clock.now_s += 10 * UNAVAILABLE_AFTER_S
        calls = call(connected, "a")
        shard.answer(await shard.next())
        assert await answers(calls) == "a"
        await shard.close()
        await turns()
        clock.now_s += UNAVAILABLE_AFTER_S
        calls = call(connected, "b")
        clock.now_s += 0.001
        with pytest.raises(Unavailable):
            connected.call(ReadUser("c"))
        with pytest.raises(Unavailable):
            await asyncio.wait_for(calls[0], PATIENCE_S)
        await shard.open()
        await asyncio.wait_for(connected.wait_connected(), PATIENCE_S)
        async with serving(shard):
            assert await answers(call(connected, "d")) == "d"

    async def test_a_shard_that_hangs_up_is_not_called_again_at_once(
        self, client: ShardClient, shard: FakeShard
    ) -> None:
        shard.welcome, shard.hangs_up = None, True
        loop = asyncio.get_running_loop()
        client.start()
        await asyncio.wait_for(shard.hellos.get(), PATIENCE_S)
        begun_s = loop.time()
        for _ in range(4):
            await asyncio.wait_for(shard.hellos.get(), PATIENCE_S)
        assert loop.time() - begun_s > 3 * RECONNECT_INTERVAL_S


class TestClose:
    """Nobody is left waiting."""

    async def test_closing_cancels_what_is_sent_and_what_is_queued(
        self, connected: ShardClient, shard: FakeShard
    ) -> None:
        calls = call(connected, "ab")
        await shard.next()
        for user in "cde":
            calls += call(connected, user)
            await turns()
        await connected.close()
        assert [waiting.cancelled() for waiting in calls] == [True] * 5
        await turns()
        assert shard.links == []

    async def test_closing_cancels_what_waits_to_be_sent_again(self, connected: ShardClient, shard: FakeShard) -> None:
        calls = call(connected, "ab")
        await shard.next()
        await shard.close()
        await turns()
        await connected.close()
        assert [waiting.cancelled() for waiting in calls] == [True] * 2
        await shard.open()
        await turns()
        assert shard.links == []

    async def test_closing_what_was_never_started_cancels_too(self, client: ShardClient) -> None:
        calls = call(client, "a")
        await client.close()
        await client.close()
        assert calls[0].cancelled()
