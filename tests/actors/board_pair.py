"""A user shard and a leaderboard shard on one data directory, in this process, either of which can be lost."""

import asyncio
import itertools
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from plaudit.actors.board_client import BoardClient
from plaudit.actors.board_link import BoardLink
from plaudit.actors.board_messages import Forgotten, FromBoard, Publish, Want
from plaudit.actors.board_runs import BoardRuns
from plaudit.actors.board_sources import Sources
from plaudit.actors.leaderboard_shard import LeaderboardSettings, LeaderboardShard
from plaudit.actors.messages import Reply
from plaudit.actors.runtime import InlineHost
from plaudit.actors.shard_client import ShardClient
from plaudit.actors.user_shard import ShardSettings, UserShard
from plaudit.engine.catalog import Catalog
from plaudit.engine.commands import Command, DeleteUser, ReadRankings
from plaudit.engine.document import LeaderboardEntry, MetricEntry
from plaudit.engine.revision import revise
from plaudit.storage.directory import leaderboard_directory, open_directory, shard_directory
from tests.actors.boards import NOON_MS, START
from tests.actors.conftest import MEMORY
from tests.actors.shard_world import take_turns
from tests.actors.shards import event, shard_in
from tests.catalogs import STUDY
from tests.engine.builders import CREATED_MS

BOARD, METRIC = 1, "lessons"
_gateways = itertools.count(1)
_names = itertools.count(1)


def ranked_catalog(**changes: Any) -> Catalog:
    """Two metrics; a leaderboard of the first, which nobody leaves but by being deleted."""
    board = LeaderboardEntry("lessons", "Lessons", "metric", METRIC, start=date.fromordinal(START))
    document = replace(
        STUDY,
        metrics=(MetricEntry(METRIC, "Lessons"), MetricEntry("pages", "Pages")),
        leaderboards=(replace(board, **changes),),
    )
    return revise(Catalog(), document, CREATED_MS)


class Pair:
    """Both shards, a client of each, and what goes over the connection between them."""

    def __init__(self, home: Path, catalog: Catalog, patches: pytest.MonkeyPatch) -> None:
        data = home / "data"
        data.mkdir()
        open_directory(data, 1, "data-of-tests", 1, 1)
        address = str(home / "board.sock")
        directory = str(leaderboard_directory(data, 0))
        self.catalog = catalog
        self.now_ms = NOON_MS
        self.board_settings = LeaderboardSettings(0, directory, "data-of-tests", address, 1, 1)
        self.user_settings = ShardSettings(
            0, str(shard_directory(data, 0)), "data-of-tests", str(home / "users.sock"), boards=(address,)
        )
        self.users = InlineHost(self.user_settings, lambda reason: None)
        self.boards = InlineHost(self.board_settings, lambda reason: None)
        self.wants: list[Want] = []
        """What the leaderboard shard has asked for."""
        self.forgotten: list[int] = []
        """The users whom it has erased."""
        self.expected: dict[str, int] = {}
        """The totals of all events that have been sent."""
        self._moved = asyncio.Event()
        self._client: ShardClient
        self._board_client: ShardClient
        self._watch(patches)

    def _watch(self, patches: pytest.MonkeyPatch) -> None:
        send, note, end = BoardLink.send, Sources.note_through, Sources.end_stream

        def send_and_note(link: BoardLink, message: FromBoard) -> None:
            if isinstance(message, Want):
                self.wants.append(message)
            elif isinstance(message, Forgotten):
                self.forgotten.append(message.member)
            send(link, message)
            self._moved.set()

        def note_and_tell(sources: Sources, shard: int, through: int) -> None:
            note(sources, shard, through)
            self._moved.set()

        def end_and_tell(sources: Sources, shard: int, stream: int, *, is_complete: bool) -> None:
            end(sources, shard, stream, is_complete=is_complete)
            self._moved.set()

        patches.setattr("plaudit.actors.board_client.QUIET_INTERVAL_S", 0.0)
        patches.setattr(BoardLink, "send", send_and_note)
        patches.setattr(Sources, "note_through", note_and_tell)
        patches.setattr(Sources, "end_stream", end_and_tell)

    async def start(self) -> None:
        """Open both, and return when the leaderboard shard has all scores."""
        await self.open_boards()
        await self.open_users()
        self._client = ShardClient(self.user_settings.address, next(_gateways))
        self._board_client = ShardClient(self.board_settings.address, next(_gateways))
        for client in (self._client, self._board_client):
            client.start()
            await client.wait_connected()
        await self.settle()

    async def stop(self) -> None:
        """Close what is open."""
        await self._client.close()
        await self._board_client.close()
        await self.users.close()
        await self.boards.close()
        await take_turns(5)  # a connection may have been on its way

    async def open_users(self) -> None:
        """Open the user shard, again if it has been lost."""
        await self.users.open(self.catalog, self.now_ms)

    async def open_boards(self) -> None:
        """Open the leaderboard shard, again if it has been lost."""
        await self.boards.open(self.catalog, self.now_ms)

    async def move_users_to(self, settings: ShardSettings) -> None:
        """Lose the user shard, and open the one on another directory in its place."""
        self.users.kill()
        await self.users.close()
        await self._client.close()
        self.user_settings = settings
        self.users = InlineHost(settings, lambda reason: None)
        await self.open_users()
        self._client = ShardClient(settings.address, next(_gateways))
        self._client.start()

    @property
    def user_shard(self) -> UserShard:
        return shard_in(self.users)

    @property
    def board_shard(self) -> LeaderboardShard:
        assert isinstance(self.boards._shard, LeaderboardShard)
        return self.boards._shard

    @property
    def runs(self) -> BoardRuns:
        return self.board_shard._runs

    @property
    def link(self) -> BoardClient:
        """The user shard's end of the connection."""
        (client,) = self.user_shard._publisher._clients
        return client

    def send(self, user: str, value: int, metric: str = METRIC) -> "asyncio.Future[Reply]":
        """Send an event; it counts, whatever happens."""
        if metric == METRIC:
            self.expected[user] = self.expected.get(user, 0) + value
        return self._client.call(event(user, value, metric=metric))

    async def record(self, user: str, value: int, metric: str = METRIC) -> dict[str, Any]:
        """Send an event, and return what is said of leaderboards when it is answered, which must say that it counts."""
        reply = await asyncio.wait_for(self.send(user, value, metric), 10)
        assert reply.status == 201
        places: dict[str, Any] = msgspec.json.decode(reply.body)["leaderboards"]
        return places

    async def delete(self, user: str) -> None:
        """Delete a user."""
        del self.expected[user]
        assert (await self.call(DeleteUser(user))).status == 204

    async def call(self, command: Command) -> Reply:
        """What the user shard answers, however often it is lost."""
        return await asyncio.wait_for(self._client.call(command), 10)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for something that a message between the two changes."""
        while not is_so():
            self._moved.clear()
            await asyncio.wait_for(self._moved.wait(), 10)

    async def reconnect(self) -> None:
        """Return when everybody is connected to the leaderboard shard, which has just been opened."""
        await self._board_client.wait_connected()
        await self.until(lambda: self.runs.sources._sources[0].way is not None)

    async def settle(self) -> None:
        """Return when the leaderboard shard knows everything that is committed, and says that it does."""
        await self.users.move_clock(self.now_ms)
        committed = self.user_shard._committer.committed
        sources = self.runs.sources
        await self.until(lambda: sources.are_in and (sources._sources[0].through or 0) >= committed)
        await self._client.wait_connected()
        await self._board_client.wait_connected()

    async def rankings(self, run: int = START) -> list[tuple[int, str, int]]:
        """(rank, user, value) of a whole run."""
        reply = await asyncio.wait_for(self._board_client.call(ReadRankings(BOARD, run, limit=1000)), 10)
        assert reply.status == 200, reply
        return [(line["rank"], line["userId"], line["value"]) for line in msgspec.json.decode(reply.body)]

    async def check(self) -> None:
        """The leaderboard is what the events come to. Two users with one value are a mistake of the test."""
        order = sorted(self.expected.items(), key=lambda each: -each[1])
        assert len(set(self.expected.values())) == len(order)
        assert await self.rankings() == [(rank, user, value) for rank, (user, value) in enumerate(order, 1)]


@asynccontextmanager
async def paired(
    patches: pytest.MonkeyPatch, catalog: Catalog | None = None, now_ms: int = NOON_MS
) -> AsyncIterator[Pair]:
    """Both shards, open."""
    with tempfile.TemporaryDirectory(prefix="p-", dir=MEMORY if MEMORY.is_dir() else None) as home:
        pair = Pair(Path(home), ranked_catalog() if catalog is None else catalog, patches)
        pair.now_ms = now_ms
        await pair.start()
        try:
            yield pair
        finally:
            await pair.stop()


def has_scores(message: object) -> bool:
    """True if a message publishes something."""
    return isinstance(message, Publish) and bool(message.scores)
