"""Leaderboards, scores, and both ends of a leaderboard shard: a scripted user shard, and what it is run with."""

import asyncio
import itertools
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import date
from pathlib import Path
from typing import Any

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
    ToBoard,
    Want,
    decode_from_board,
    encode_board_message,
)
from plaudit.actors.leaderboard_shard import LeaderboardSettings, LeaderboardShard
from plaudit.actors.transport import Connection, connect
from plaudit.engine.catalog import Catalog, Leaderboard
from plaudit.engine.runs import midnight_utc_ms
from plaudit.storage.directory import leaderboard_directory, open_directory
from tests.actors.conftest import MEMORY

DATA_ID = "data-of-tests"
START = date(2027, 3, 1).toordinal()
HOUR_MS = 3_600_000
NOON_MS = midnight_utc_ms(START) + 12 * HOUR_MS
_versions = itertools.count(1)


def board(number: int = 1, **changes: Any) -> Leaderboard:
    """A board of points that does not end; without changes, everybody is on it."""
    fields: dict[str, Any] = {
        "id": f"id-{number}",
        "key": f"board-{number}",
        "name": f"Board {number}",
        "created_ms": midnight_utc_ms(START - 1),
        "updated_ms": midnight_utc_ms(START - 1),
        "rank_by": "points",
        "points_system": "xp",
        "start_day": START,
    }
    return Leaderboard(number=number, **(fields | changes))


def daily(number: int = 1, **changes: Any) -> Leaderboard:
    """A board that begins anew each day."""
    return board(number, run_unit="day", **changes)


def catalog(*boards: Leaderboard, version: int = 1) -> Catalog:
    return Catalog(version=version, leaderboards=boards)


def score(member: int, value: int | None, **changes: Any) -> Score:
    """A score that is newer than all before it, reached at noon of the first day if nothing else is said."""
    version = next(_versions)
    fields: dict[str, Any] = {
        "board": 1,
        "run": START,
        "version": version,
        "user_id": f"u{member}",
        "name": None,
        "group": (),
        "at_ms": NOON_MS,
        "number": version,
    }
    return Score(member=member, value=value, **(fields | changes))


@contextmanager
def board_settings(user_shards: int = 1) -> Iterator[LeaderboardSettings]:
    """The settings of the only leaderboard shard of a new data directory."""
    with tempfile.TemporaryDirectory(prefix="p-", dir=MEMORY if MEMORY.is_dir() else None) as home:
        data = Path(home) / "data"
        data.mkdir()
        open_directory(data, user_shards, DATA_ID, user_shards, 1)
        directory = str(leaderboard_directory(data, 0))
        yield LeaderboardSettings(0, directory, DATA_ID, f"{home}/board.sock", 1, user_shards)


@asynccontextmanager
async def board_shard(
    settings: LeaderboardSettings, catalog: Catalog, now_ms: int = NOON_MS
) -> AsyncIterator[LeaderboardShard]:
    """An open leaderboard shard whose time stands still. It must not fail."""
    failures: list[str] = []
    shard = LeaderboardShard(settings, lambda: 0, failures.append)
    await shard.open(catalog, now_ms)
    try:
        yield shard
    finally:
        await shard.close()
        assert not failures


class ScriptedShard:
    """A user shard that says what a test tells it to, and keeps what it hears (`Receiver`)."""

    def __init__(self, shard: int = 0) -> None:
        self.shard = shard
        self.welcome: BoardWelcome | None = None
        self.wants: list[Want] = []
        self.is_closed = False
        self._scores: tuple[Score, ...] | None = None
        self._placed: dict[int, tuple[Place | None, ...]] = {}
        self._forgotten: set[int] = set()
        self._sequence = 0
        self._connection: Connection
        self._arrived = asyncio.Event()

    async def connect(self, address: str, covers_from: int = 0) -> None:
        """Connect, and return when there is a welcome."""
        self.welcome = None
        self._connection = await connect(address, lambda _: self)
        self.say(BoardHello(BOARD_PROTOCOL, self.shard, covers_from))
        await self._until(lambda: self.welcome is not None)

    def answers(self, *scores: Score) -> "ScriptedShard":
        """Answer whatever is wanted with those of these scores that are of the boards, at once."""
        self._scores = scores
        return self

    def say(self, message: ToBoard) -> None:
        self._connection.send(encode_board_message(message))

    def answer(self, want: Want, *scores: Score, is_complete: bool = True) -> None:
        """Answer with two pages, the last of which is empty."""
        self.say(Page(want.stream, scores))
        self.say(Page(want.stream, (), is_last=True, is_complete=is_complete))

    async def next_want(self) -> Want:
        """The next thing that is wanted, and that has not been answered by itself."""
        await self._until(lambda: bool(self.wants))
        return self.wants.pop(0)

    async def publish(self, *scores: Score, through: int = 0, ask: bool = True) -> tuple[Place | None, ...]:
        """Publish, and return the places of all scores."""
        self._sequence += 1
        asked = tuple(range(len(scores))) if ask else ()
        self.say(Publish(self._sequence, through, scores, asked))
        await self._until(lambda: self._sequence in self._placed)
        return self._placed.pop(self._sequence)

    async def forget(self, member: int) -> None:
        """Return when what is written down of a member is erased."""
        self.say(Forget(member))
        await self._until(lambda: member in self._forgotten)

    async def closed(self) -> None:
        """Return when the other end has closed the connection."""
        await self._until(lambda: self.is_closed)

    def close(self) -> None:
        self._connection.abort()

    def frame_received(self, payload: bytes) -> None:
        self._take(decode_from_board(payload))
        self._arrived.set()

    def connection_closed(self) -> None:
        self.is_closed = True
        self._arrived.set()

    def _take(self, message: FromBoard) -> None:
        if isinstance(message, BoardWelcome):
            self.welcome = message
        elif isinstance(message, Placed):
            self._placed[message.sequence] = message.places
        elif isinstance(message, Forgotten):
            self._forgotten.add(message.member)
        elif self._scores is None:
            self.wants.append(message)
        else:
            wanted = message.boards
            self.answer(message, *(s for s in self._scores if wanted is None or s.board in wanted))

    async def _until(self, is_so: Any) -> None:
        while not is_so():
            self._arrived.clear()
            await asyncio.wait_for(self._arrived.wait(), 10)


@asynccontextmanager
async def user_shard(
    settings: LeaderboardSettings, *scores: Score, shard: int = 0, covers_from: int = 0
) -> AsyncIterator[ScriptedShard]:
    """A connected user shard that answers what is wanted with these scores."""
    peer = ScriptedShard(shard).answers(*scores)
    await peer.connect(settings.address, covers_from)
    try:
        yield peer
    finally:
        peer.close()
