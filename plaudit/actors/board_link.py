"""Connections to a leaderboard shard: of user shards and of gateways, as their first frames say."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial

from plaudit.actors.board_answers import BoardAnswers
from plaudit.actors.board_keeper import BoardKeeper
from plaudit.actors.board_messages import (
    BOARD_PROTOCOL,
    BoardHello,
    BoardWelcome,
    Forget,
    Forgotten,
    FromBoard,
    Page,
    Placed,
    Publish,
    decode_to_board,
    encode_board_message,
)
from plaudit.actors.board_runs import BoardRuns
from plaudit.actors.messages import PROTOCOL, Batch, Hello, Replies, Welcome, encode
from plaudit.actors.rank_index import MEMBER_MAX, pack_seat
from plaudit.actors.transport import Connection


class BoardLinks:
    """All connections of a shard, and what is done for them. `fail` ends the shard."""

    def __init__(
        self,
        index: int,
        runs: BoardRuns,
        keeper: BoardKeeper,
        answers: BoardAnswers,
        fail: Callable[[BaseException], None],
    ) -> None:
        self.index = index
        self.runs = runs
        self.keeper = keeper
        self.answers = answers
        self._fail = fail
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_over = False

    def accept(self, connection: Connection) -> "BoardLink":
        """Take up a connection, which has just been made."""
        self._connections.add(connection)
        if self._is_over:
            connection.abort()  # it was under way when the shard ended
        return BoardLink(connection, self)

    def discard(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self._connections.discard(connection)

    def start(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        """Do something beside what comes next. Any error ends the shard."""

        async def watch() -> None:
            try:
                await work()
            except Exception as error:  # noqa: BLE001  # whatever it is, the storage cannot be relied on
                self._fail(error)

        task = asyncio.create_task(watch())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def abort(self) -> None:
        """End every connection, and all that is being done, at once."""
        self._is_over = True
        for task in self._tasks:
            task.cancel()
        for connection in list(self._connections):
            connection.abort()


class BoardLink:
    """One connection (`Receiver`). One that says nothing is somebody who waits for its end.

    Guarantees: what a user shard says is applied in its order, and its `Publish`es are answered in it. Batches are
    answered as wholes, when all of it can be; nothing in them changes anything, so the same may be asked again.
    """

    def __init__(self, connection: Connection, links: BoardLinks) -> None:
        self._connection = connection
        self._links = links
        self._runs = links.runs
        self._shard: int | None = None
        """The user shard at the other end."""
        self._is_gateway = False
        self._is_over = False

    def frame_received(self, payload: bytes) -> None:
        """Take a message. Raises ValueError if it makes no sense here."""
        if self._is_over:
            return
        message = decode_to_board(payload)
        if isinstance(message, Hello | Batch):
            self._take_from_gateway(message)
        else:
            self._take_from_shard(message)

    def connection_closed(self) -> None:
        """Forget the connection. What a user shard has said stays; what a gateway has asked, it will ask again."""
        self._is_over = True
        if self._shard is not None:
            self._runs.sources.disconnect(self._shard, self)
        self._links.discard(self._connection)

    def send(self, message: FromBoard) -> None:
        """Send a message to the user shard (`Way`)."""
        self._connection.send(encode_board_message(message))

    def abort(self) -> None:
        """End the connection: the user shard has another one (`Way`)."""
        self._is_over = True
        self._connection.abort()

    def _take_from_gateway(self, message: Hello | Batch) -> None:
        if self._shard is not None:
            raise ValueError("a gateway's message from a user shard")
        if isinstance(message, Hello):
            _check(message.protocol, PROTOCOL)
            self._is_gateway = True
            self._connection.send(encode(Welcome(PROTOCOL, self._links.index)))
        elif not self._is_gateway or not message.commands or len(message.commands) != len(message.positions):
            raise ValueError("a batch before Hello, or one that is not whole")
        else:
            self._links.start(partial(self._answer, message))

    async def _answer(self, batch: Batch) -> None:
        answer = self._links.answers.answer
        replies = tuple(await asyncio.gather(*(answer(command) for command in batch.commands)))
        self._connection.send(encode(Replies(batch.number, batch.positions[0], replies)))

    def _take_from_shard(self, message: BoardHello | Publish | Page | Forget) -> None:
        if isinstance(message, BoardHello):
            self._greet(message)
        elif self._shard is None:
            raise ValueError("a message of a user shard before its hello")
        elif isinstance(message, Publish):
            self.send(Placed(message.sequence, self._runs.publish(self._shard, message)))
        elif isinstance(message, Page):
            self._runs.apply(self._shard, message.scores)
            if message.is_last:
                self._runs.sources.end_stream(self._shard, message.stream, is_complete=message.is_complete)
        elif not 0 <= message.member <= MEMBER_MAX:
            raise ValueError(f"member {message.member}")
        else:
            self._links.start(partial(self._forget, self._shard, message.member))

    def _greet(self, hello: BoardHello) -> None:
        if self._is_gateway or self._shard is not None:
            raise ValueError("a second hello")
        _check(hello.protocol, BOARD_PROTOCOL)
        self.send(BoardWelcome(BOARD_PROTOCOL, self._links.index))
        self._runs.greet(hello.shard, hello.covers_from, self)
        self._shard = hello.shard

    async def _forget(self, shard: int, member: int) -> None:
        await self._links.keeper.forget(pack_seat(shard, member))
        self.send(Forgotten(member))


def _check(protocol: int, known: int) -> None:
    if protocol != known:
        raise ValueError(f"protocol {protocol}; this shard speaks {known}")
