"""A user shard's way to one leaderboard shard: says what has changed, again until it is known, in order."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from plaudit.actors.board_messages import (
    BOARD_PROTOCOL,
    BoardHello,
    BoardWelcome,
    Forget,
    Forgotten,
    Page,
    Place,
    Placed,
    Publish,
    Score,
    Want,
    decode_from_board,
    encode_board_message,
)
from plaudit.actors.committer import CommitsEnded
from plaudit.actors.transport import Connection, connect

SCORES_MAX = 1024
"""In one message."""
UNSAID_MAX = 50_000
"""Scores that wait for a leaderboard shard. Beyond it they are dropped, and it has to ask for all when it is back."""
RECONNECT_INTERVAL_S = 0.02
QUIET_INTERVAL_S = 1.0
"""How often a leaderboard shard is told how far the shard has come, if nothing changes for it."""

LOG = logging.getLogger(__name__)

OnPlace = Callable[[Place | None], None]
Pages = Callable[[Want], AsyncIterator[tuple[tuple[Score, ...], bool]]]
"""All committed scores that a leaderboard shard wants, and with each page whether users are missing from it."""


@dataclass(slots=True)
class _Unsaid:
    """A score, and who wants to know its place."""

    score: Score
    on_place: OnPlace | None


class BoardClient:
    """The client of the leaderboard shard that listens on `address`. Lives on one event loop.

    Guarantees: scores are said in the order of `add`, one message at a time, and again until they have been taken; or
    the leaderboard shard knows that some are missing, and asks for all. Whoever wants to know a place is called once.
    """

    def __init__(
        self,
        address: str,
        shard: int,
        covers_from: int,
        pages: Pages,
        on_forgotten: Callable[[int], None] = lambda member: None,
    ) -> None:
        self._address = address
        self._shard = shard
        self._pages = pages
        self._on_forgotten = on_forgotten
        self._taken_through = covers_from
        """What the leaderboard shard has taken, or has to ask for: all commands up to this number."""
        self._through = covers_from
        """The same, with what waits to be said."""
        self._coming = covers_from
        """The same, with what is being added."""
        self._unsaid: deque[_Unsaid] = deque()
        self._said: list[_Unsaid] = []
        """What is on its way."""
        self._is_waiting = False
        """A message is, maybe without scores."""
        self._said_through = covers_from
        self._sequence = 0
        self._forgets: dict[int, bool] = {}
        """Deleted users to be forgotten, and whether it is known that they are on no board any more."""
        self._connection: Connection | None = None
        self._is_welcome = False
        self._is_lost = asyncio.Event()
        self._is_lost.set()
        self._has_said_all = asyncio.Event()
        self._has_said_all.set()
        self._staying: asyncio.Task[None] | None = None
        self._streams: set[asyncio.Task[None]] = set()
        self._is_flush_due = False
        self._quiet_at = 0.0

    def start(self) -> None:
        """Begin to connect, and stay connected until `close`."""
        self._staying = asyncio.create_task(self._stay_connected())

    def add(self, score: Score, on_place: OnPlace | None = None) -> None:
        """Say a score. While the leaderboard shard is away, `on_place` is called with None, at once."""
        if on_place is not None and not self._is_welcome:
            on_place(None)
            on_place = None
        if len(self._unsaid) >= UNSAID_MAX:
            self._drop_unsaid()
        self._unsaid.append(_Unsaid(score, on_place))
        self._has_said_all.clear()
        self._flush_soon()

    def forget(self, member: int) -> None:
        """See that everything is erased that is written down of a user who has been deleted.

        What was added before this comes before it.
        """
        self._forgets[member] = False
        self._has_said_all.clear()
        self._flush_soon()

    def expect(self, through: int) -> None:
        """What is added until `note` is of commands up to this number."""
        self._coming = max(self._coming, through)

    def note(self, through: int) -> None:
        """All that commands up to this number have changed has been added."""
        self._through = max(self._through, through)
        if not self._unsaid and not self._is_waiting and self._is_welcome and time.monotonic() >= self._quiet_at:
            self._flush_soon()

    async def flush(self) -> None:
        """Return when everything has been taken; at once while the leaderboard shard is away."""
        if self._is_welcome:
            await self._has_said_all.wait()

    def close(self) -> None:
        """Disconnect for good."""
        for task in (self._staying, *self._streams):
            if task is not None:
                task.cancel()
        if self._connection is not None:
            self._connection.close()

    def frame_received(self, payload: bytes) -> None:
        """Take a message from the leaderboard shard (`Receiver`)."""
        message = decode_from_board(payload)
        if isinstance(message, Placed):
            self._take_places(message)
        elif isinstance(message, Want):
            task = asyncio.create_task(self._stream(message))
            self._streams.add(task)
            task.add_done_callback(self._streams.discard)
        elif isinstance(message, Forgotten):
            if self._forgets.pop(message.member, None) is not None:
                self._on_forgotten(message.member)
        else:
            self._take_welcome(message)

    def connection_closed(self) -> None:
        """Put what was on its way back in line, and connect again (`Receiver`). Nobody waits for places meanwhile."""
        self._connection = None
        self._is_welcome = False
        self._unsaid.extendleft(reversed(self._said))
        self._said, self._is_waiting = [], False
        for waiting in self._unsaid:
            on_place, waiting.on_place = waiting.on_place, None
            if on_place is not None:
                on_place(None)
        for stream in self._streams:
            stream.cancel()
        self._has_said_all.set()
        self._is_lost.set()

    async def _stay_connected(self) -> None:
        while True:
            await self._is_lost.wait()
            if self._connection is None:
                with contextlib.suppress(OSError):
                    await connect(self._address, self._connected)
            await asyncio.sleep(RECONNECT_INTERVAL_S)

    def _connected(self, connection: Connection) -> "BoardClient":
        self._connection = connection
        self._is_lost.clear()
        asyncio.get_running_loop().call_soon(self._greet)
        return self

    def _greet(self) -> None:
        self._send(BoardHello(BOARD_PROTOCOL, self._shard, self._taken_through))

    def _take_welcome(self, message: BoardWelcome) -> None:
        if message.protocol != BOARD_PROTOCOL:
            raise ValueError(f"protocol {message.protocol}")
        self._is_welcome = True
        self._forgets = dict.fromkeys(self._forgets, False)
        if self._unsaid or self._forgets:
            self._has_said_all.clear()
        self._flush()

    def _take_places(self, message: Placed) -> None:
        asking = [said.on_place for said in self._said if said.on_place is not None]
        if message.sequence != self._sequence or len(asking) != len(message.places):
            raise ValueError("an answer to something else")
        self._said, self._is_waiting = [], False
        self._taken_through = self._said_through
        self._flush()
        for on_place, place in zip(asking, message.places, strict=True):
            on_place(place)

    def _flush_soon(self) -> None:
        if not self._is_flush_due:
            self._is_flush_due = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        """Say what waits, unless something is on its way."""
        self._is_flush_due = False
        if self._is_waiting or not self._is_welcome:
            return
        if not self._unsaid:
            self._say_forgets()
            self._has_said_all.set()
            if self._through == self._taken_through or time.monotonic() < self._quiet_at:
                return
        self._said = [self._unsaid.popleft() for _ in range(min(len(self._unsaid), SCORES_MAX))]
        self._said_through = self._taken_through if self._unsaid else self._through
        self._sequence += 1
        self._is_waiting = True
        self._quiet_at = time.monotonic() + QUIET_INTERVAL_S
        asked = tuple(n for n, said in enumerate(self._said) if said.on_place is not None)
        self._send(Publish(self._sequence, self._said_through, tuple(said.score for said in self._said), asked))

    def _say_forgets(self) -> None:
        """All has been taken that was added before these."""
        for member, is_said in self._forgets.items():
            if not is_said:
                self._send(Forget(member))
        self._forgets = dict.fromkeys(self._forgets, True)

    def _drop_unsaid(self) -> None:
        """Let the leaderboard shard ask for everything, when it is there; if it is, it has to be greeted anew."""
        if self._connection is not None:
            self._connection.abort()
        for waiting in self._unsaid:
            if waiting.on_place is not None:
                waiting.on_place(None)
        self._unsaid.clear()
        self._taken_through = self._through = max(self._through, self._coming)

    def _send(self, message: BoardHello | Publish | Page | Forget) -> None:
        if self._connection is not None:
            self._connection.send(encode_board_message(message))

    async def _stream(self, want: Want) -> None:
        connection = self._connection
        try:
            await self._send_pages(want)
        except CommitsEnded:
            return
        except Exception:  # it is asked for again on the next connection
            LOG.exception("the scores that a leaderboard shard wants cannot be read")
            await asyncio.sleep(QUIET_INTERVAL_S)
            if connection is not None:
                connection.abort()

    async def _send_pages(self, want: Want) -> None:
        is_complete = True
        last: tuple[Score, ...] = ()
        async for scores, is_page_complete in self._pages(want):
            if last:
                self._send(Page(want.stream, last))
            last, is_complete = scores, is_complete and is_page_complete
        self._send(Page(want.stream, last, is_last=True, is_complete=is_complete))
