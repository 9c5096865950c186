"""Runs of leaderboards and their keeper without sockets: a user shard is a `Way` here."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from plaudit.actors.board_keeper import BoardKeeper
from plaudit.actors.board_messages import FromBoard, Place, Publish, Score, Want
from plaudit.actors.board_runs import BoardRuns
from plaudit.actors.clock import Stamp, TestClock
from plaudit.engine.catalog import Leaderboard
from plaudit.storage.board_snapshots import HistoryDay, list_snapshots
from plaudit.storage.board_store import BoardStore
from tests.actors.boards import NOON_MS, START, catalog

KEY = (1, START)


class Way:
    """A connection to a user shard that keeps what is sent on it."""

    def __init__(self) -> None:
        self.sent: list[FromBoard] = []
        self.is_aborted = False

    def send(self, message: FromBoard) -> None:
        self.sent.append(message)

    def abort(self) -> None:
        self.is_aborted = True

    def take(self) -> Want:
        """The only thing that has been wanted since the last call."""
        (want,) = self.sent
        assert isinstance(want, Want)
        self.sent.clear()
        return want


def connect(runs: BoardRuns, *, shard: int = 0, covers_from: int = 0) -> Way:
    way = Way()
    runs.greet(shard, covers_from, way)
    return way


def publish(runs: BoardRuns, *scores: Score, shard: int = 0, through: int = 0) -> tuple[Place | None, ...]:
    return runs.publish(shard, Publish(1, through, scores, tuple(range(len(scores)))))


class Kept:
    """Runs and their keeper under a clock that stands still."""

    def __init__(self, store: BoardStore, boards: Sequence[Leaderboard], now_ms: int, finals: list[tuple[int, int]]):
        self.store = store
        self.clock = TestClock(now_ms)
        self.failed = asyncio.Event()
        self.errors: list[BaseException] = []
        self.runs = BoardRuns(0, 1, 1, 0.0, Stamp(self.clock))
        self.runs.start(catalog(*boards), finals)
        self.keeper = BoardKeeper(self.runs, store, Stamp(self.clock), self._fail)
        self.way: Way

    def _fail(self, error: BaseException) -> None:
        self.errors.append(error)
        self.failed.set()

    def connect(self, covers_from: int = 0) -> None:
        self.way = connect(self.runs, covers_from=covers_from)

    def complete(self) -> None:
        """The user shard has said all that was wanted."""
        self.runs.sources.end_stream(0, self.way.take().stream, is_complete=True)

    async def move(self, now_ms: int) -> int | None:
        self.clock.move(now_ms)
        return await asyncio.wait_for(self.keeper.settle(), 10)

    async def ranks(self, day: int, *members: int, key: tuple[int, int] = KEY) -> list[int | None]:
        """The ranks of members in the snapshot of a day."""
        return [(await self.history(member, day, key))[-1].rank for member in members]

    async def history(self, member: int, day: int, key: tuple[int, int] = KEY) -> list[HistoryDay]:
        return await self.store.load_history(*key, member, day, 100)

    async def days(self, key: tuple[int, int] = KEY) -> list[int]:
        """The days that have snapshots, from the start on."""
        found = await self.store.query(list_snapshots)
        return sorted(day - START for *run, day in found if tuple(run) == key)

    async def finals(self) -> list[int]:
        return [run - START for run in await self.store.list_finals(1)]


@asynccontextmanager
async def kept(
    store: BoardStore,
    *boards: Leaderboard,
    now_ms: int = NOON_MS,
    finals: Sequence[tuple[int, int]] = (),
    is_in: bool = True,
) -> AsyncIterator[Kept]:
    world = Kept(store, boards, now_ms, list(finals))
    world.keeper.start(stands_still=True)
    world.connect()
    if is_in:
        world.complete()
    try:
        yield world
    finally:
        await world.keeper.close()
