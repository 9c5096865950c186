"""A gateway's router over shards that answer everything with their names."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from plaudit.actors.board_routing import board_shard_of
from plaudit.actors.messages import PROTOCOL, Hello, Replies, Reply, Welcome, decode_to_shard, encode
from plaudit.actors.router import Router
from plaudit.actors.transport import Connection, listen
from plaudit.engine.commands import ReadPlace, ReadPointsSystem, ReadRankings


class NamedShard:
    """Answers gateways on a socket of its name until it is closed."""

    def __init__(self, sockets: Path, name: str) -> None:
        self.name = name
        self.address = str(sockets / name)
        self.connections: list[Connection] = []

    async def open(self) -> None:
        self._server = await listen(self.address, lambda connection: NamedLink(self, connection))

    def close(self) -> None:
        self._server.close()
        for connection in self.connections:
            connection.close()
        self.connections.clear()


class NamedLink:
    """A gateway's connection (`Receiver`)."""

    def __init__(self, shard: NamedShard, connection: Connection) -> None:
        self._shard = shard
        self._connection = connection
        shard.connections.append(connection)

    def frame_received(self, payload: bytes) -> None:
        message = decode_to_shard(payload)
        if isinstance(message, Hello):
            self._connection.send(encode(Welcome(PROTOCOL, 0)))
        else:
            replies = tuple(Reply(200, self._shard.name.encode()) for _ in message.commands)
            self._connection.send(encode(Replies(message.number, message.positions[0], replies)))

    def connection_closed(self) -> None:
        """Nothing is kept of it."""


class Place:
    """A router with a shard of users and three leaderboard shards."""

    def __init__(self, sockets: Path) -> None:
        self.users = NamedShard(sockets, "users")
        self.boards = [NamedShard(sockets, f"board {n}") for n in range(3)]
        self.router = Router([self.users.address], 1, [board.address for board in self.boards])


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    with tempfile.TemporaryDirectory(prefix="plaudit-") as sockets:
        place = Place(Path(sockets))
        for shard in (place.users, *place.boards):
            await shard.open()
        place.router.start()
        await place.router.wait_ready()
        yield place
        await place.router.close()
        for shard in (place.users, *place.boards):
            shard.close()


async def test_a_ranking_is_asked_of_the_shard_that_has_its_run(place: Place) -> None:
    runs = [(board, 739_000 + 7 * n) for board in (1, 2) for n in range(8)]
    replies = [await place.router.board_call(board, run, ReadRankings(board, run)) for board, run in runs]
    assert [reply.body.decode() for reply in replies] == [f"board {board_shard_of(*key, 3)}" for key in runs]
    assert len({reply.body for reply in replies}) == 3, "all of them have some"
    again = await place.router.board_call(1, 739_000, ReadPlace(1, 739_000, 5))
    assert again.body == replies[0].body


async def test_what_is_of_users_goes_to_their_shards(place: Place) -> None:
    replies = [await place.router.call_any(ReadPointsSystem("xp")) for _ in range(4)]
    replies += [await each for each in place.router.call_all(ReadPointsSystem("xp"))]
    assert {reply.body for reply in replies} == {b"users"}


async def test_a_leaderboard_shard_that_is_away_is_waited_for_and_the_router_is_not_ready(place: Place) -> None:
    away = place.boards[board_shard_of(1, 739_000, 3)]
    away.close()
    while place.router.is_ready:
        await asyncio.sleep(0)
    asked = place.router.board_call(1, 739_000, ReadRankings(1, 739_000))
    await away.open()
    assert (await asked).body.decode() == away.name
    assert place.router.is_ready
