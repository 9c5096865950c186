"""A leaderboard shard that does what a test says, on a real socket; and how a test waits for what it hears."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from plaudit.actors.board_messages import (
    BOARD_PROTOCOL,
    BoardHello,
    BoardWelcome,
    Forget,
    Forgotten,
    FromBoard,
    Page,
    Place,
    Placed,
    Publish,
    Score,
    Want,
    decode_to_board,
    encode_board_message,
)
from plaudit.actors.transport import Connection, listen

PATIENCE_S = 5.0
"""How long to wait for what must happen: only a failing test waits that long."""


class _Link:
    """Its end of a connection (`Receiver`)."""

    def __init__(self, board: "ScriptedBoard", connection: Connection) -> None:
        self._board = board
        self.connection = connection

    def frame_received(self, payload: bytes) -> None:
        self._board.take(decode_to_board(payload))

    def connection_closed(self) -> None:
        self._board.links.remove(self)
        self._board.unanswered.clear()


class ScriptedBoard:
    """Keeps everything that it hears. What `place` answers to a score is its place; without it, a test answers."""

    def __init__(self, address: str, place: Callable[[Score], Place | None] | None = None) -> None:
        self.address = address
        self.place = place
        self.welcomes = True
        self.forgets_at_once = True
        self.links: list[_Link] = []
        self.hellos: list[BoardHello] = []
        self.said: list[Publish] = []
        self.unanswered: list[Publish] = []
        self.pages: list[Page] = []
        self.forgets: list[int] = []
        self.heard: list[object] = []
        """Everything, in order."""
        self._streams = 0
        self._server: asyncio.AbstractServer
        self._arrived = asyncio.Event()

    async def open(self) -> None:
        self._server = await listen(self.address, self._accept)

    async def close(self) -> None:
        """Be gone, with everything that was on its way."""
        self._server.close()
        Path(self.address).unlink(missing_ok=True)
        self.lose()
        await self._server.wait_closed()

    def lose(self) -> None:
        """Lose every connection, as one that dies and is back at once."""
        self.unanswered.clear()
        for link in list(self.links):
            link.connection.abort()

    def send(self, message: FromBoard) -> None:
        [link] = self.links
        link.connection.send(encode_board_message(message))

    def take(self, message: object) -> None:
        """Hear a message."""
        self.heard.append(message)
        if isinstance(message, BoardHello):
            self.hellos.append(message)
            if self.welcomes:
                self.send(BoardWelcome(BOARD_PROTOCOL, 0))
        elif isinstance(message, Publish):
            self.said.append(message)
            self.unanswered.append(message)
            if self.place is not None or not message.scores:
                self.answer(message)
        elif isinstance(message, Page):
            self.pages.append(message)
        elif isinstance(message, Forget):
            self.forgets.append(message.member)
            if self.forgets_at_once:
                self.send(Forgotten(message.member))
        self._arrived.set()

    def answer(self, publish: Publish, *places: Place | None) -> None:
        """Answer with these places; without any, with those of `place`."""
        self.unanswered.remove(publish)
        if not places:
            place = self.place or (lambda _: None)
            places = tuple(place(publish.scores[position]) for position in publish.asked)
        self.send(Placed(publish.sequence, places))

    async def next_publish(self) -> Publish:
        """The next one that has not been answered."""
        await self.until(lambda: bool(self.unanswered))
        return self.unanswered[0]

    async def want(self, boards: tuple[int, ...] | None = None, catalog: int = 0) -> tuple[list[Score], bool]:
        """All scores of the user shard, and whether they are complete."""
        self._streams += 1
        stream = self._streams
        self.send(Want(stream, boards, catalog))
        await self.until(lambda: any(page.stream == stream and page.is_last for page in self.pages))
        pages = [page for page in self.pages if page.stream == stream]
        return [score for page in pages for score in page.scores], pages[-1].is_complete

    @property
    def scores(self) -> list[Score]:
        """Everything that has been published, in order."""
        return [score for publish in self.said for score in publish.scores]

    def standing(self) -> dict[tuple[int, int, int], Score]:
        """Who is where: of each board, run and member the score that counts, if it has a value."""
        known: dict[tuple[int, int, int], Score] = {}
        streamed = [score for page in self.pages for score in page.scores]
        for score in (*streamed, *self.scores):
            key = (score.board, score.run, score.member)
            if key not in known or known[key].version <= score.version:
                known[key] = score
        return {key: score for key, score in known.items() if score.value is not None}

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Return when something is so, which is looked at whenever something has arrived."""
        async with asyncio.timeout(PATIENCE_S):
            while not is_so():
                self._arrived.clear()
                await self._arrived.wait()

    def _accept(self, connection: Connection) -> _Link:
        self.links.append(_Link(self, connection))
        return self.links[-1]


async def turns() -> None:
    """Let everything that can be sent and received be sent and received."""
    for _ in range(20):
        await asyncio.sleep(0)


@contextmanager
def socket_directory() -> Iterator[str]:
    """A place for sockets: that of pytest may be longer than a socket's path can be."""
    with tempfile.TemporaryDirectory(prefix="p-") as directory:
        yield directory


@asynccontextmanager
async def scripted_board(
    address: str, place: Callable[[Score], Place | None] | None = None
) -> AsyncIterator[ScriptedBoard]:
    """An open one."""
    board = ScriptedBoard(address, place)
    await board.open()
    try:
        yield board
    finally:
        await board.close()
