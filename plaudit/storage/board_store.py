"""boards.sqlite: what of a leaderboard shard cannot be derived from the users: how boards stood each day, and ended.

Written a few times a day. Large things are written in steps, each a transaction; a row that says that all is there
comes last, so what was cut short is not seen, and is cleared before it is tried again. Of a step that has returned,
everything is on the disk (`synchronous=FULL`).
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import aiosqlite

from plaudit.storage import board_finals, board_snapshots
from plaudit.storage.board_finals import Final, FinalPlace, PlacePage, SeatPage
from plaudit.storage.board_pages import PLACES_PER_PAGE, Group, Place, Standing, StandingsBySeat
from plaudit.storage.board_snapshots import HistoryDay, RunKey, SnapshotPage
from plaudit.storage.files import sync_file
from plaudit.storage.sqlite import UNREADABLE, explain, hop, opening
from plaudit.storage.wal import Trust

SCHEMA_VERSION = 1
FILE_NAME = "boards.sqlite"
PAGE_BYTES = 16_384
"""Of SQLite: several pages of members fit into one, so that little of it stays empty."""
WAL_BYTES_MAX = 8 * 2**20
PAGES_PER_WRITE = 64
"""How many pages of members or places a transaction writes: up to 0.3 MB, or 1 MB of SQLite's pages."""

_SCHEMA = f"""
BEGIN;
CREATE TABLE meta (id INTEGER PRIMARY KEY CHECK (id = 0), schema INTEGER NOT NULL, kept_day INTEGER NOT NULL);
{board_snapshots.SCHEMA}
{board_finals.SCHEMA}
INSERT INTO meta VALUES (0, {SCHEMA_VERSION}, 0);
COMMIT;
"""

Item = TypeVar("Item")
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Stream = Iterable[Item] | AsyncIterable[Item]


class BoardStore:
    """The connection to boards.sqlite. One change at a time: the others wait for it, reads do not.

    A run is (board number, first day as an ordinal); a seat is (user shard << 40 | member). Everything that reads
    raises Corrupt if a row is not what was written, and names it; everything that writes raises Unusable if it cannot.
    """

    def __init__(self, path: Path, connection: aiosqlite.Connection) -> None:
        self.path = path
        self._connection = connection
        self._changing = asyncio.Lock()

    @classmethod
    async def open(cls, directory: Path, trust: Trust = "synced", *, must_exist: bool = False) -> "BoardStore":
        """Open or create the file; with `must_exist`, one without tables is Corrupt, not new.

        `trust` is `written` if the machine has not been started since the last owner, else `synced`. Raises InUse,
        Unusable, Corrupt or OtherVersion.
        """
        path = directory / FILE_NAME
        if not must_exist:
            await asyncio.to_thread(_make_file, path)
        schema = None if must_exist else _SCHEMA
        async with opening(path, schema, SCHEMA_VERSION, trust=trust) as connection:
            await connection.executescript("PRAGMA cache_spill=OFF; PRAGMA secure_delete=ON")
            return cls(path, connection)

    async def save_snapshot(self, board: int, run: int, day: int, pages: Stream[Sequence[Standing]]) -> None:
        """Write how a run stood at the end of a day: for each page that has members, all of them.

        `StandingsBySeat` makes such pages. It is seen when this returns; a try that has failed leaves nothing that is.
        About 1 ms a page; the loop is free between pages. There must be none of that day yet.
        """
        async with self._changing:
            key, members = (board, run), 0
            await self._clear_snapshots(key)
            await self._write(board_snapshots.begin_snapshot, key, day)
            async for some in _in_parts(_paced(pages), PAGES_PER_WRITE):
                members += sum(map(len, some))
                await self._write(board_snapshots.save_pages, await asyncio.to_thread(_snapshot_rows, key, day, some))
            await self._write(board_snapshots.finish_snapshot, key, day, members)

    async def taken(self, board: int, run: int) -> int | None:
        """The day of the newest snapshot of a run; None if none is kept."""
        return await self.query(board_snapshots.last_taken, (board, run))

    async def load_history(self, board: int, run: int, seat: int, through_day: int, limit: int) -> list[HistoryDay]:
        """How a member stood on the last `limit` days that have snapshots, up to a day, ascending.

        Some 0.1 ms a day, in which other reads wait.
        """
        key = (board, run)
        return await self.query(board_snapshots.load_history, key, seat, through_day, limit, str(self.path))

    async def load_kept_day(self) -> int:
        """The last day of which every run that there was has a snapshot; 0 if there is none."""
        return await self.query(board_snapshots.load_kept_day)

    async def save_kept_day(self, day: int) -> None:
        """Every run that there was has a snapshot of this day."""
        async with self._changing:
            await self._write(board_snapshots.save_kept_day, day)

    async def prune(self, before_day: int) -> None:
        """Remove the snapshots of all days before one: none is seen any more at once, then a little at a time."""
        async with self._changing:
            await self._write(board_snapshots.retire_snapshots, before_day)
            for key in await self.query(board_snapshots.find_leftovers):
                await self._clear_snapshots(key)

    async def save_final(
        self, board: int, run: int, last_day: int, groups: Stream[tuple[Group, Stream[Place]]]
    ) -> None:
        """Write how a run has ended: each group with its places in the order of their ranks.

        It is seen when this returns, and nothing of it before. The loop is free between pages of 256 places; meanwhile
        each place takes 32 bytes of memory. There must be none of that run yet.
        """
        async with self._changing:
            key = (board, run)
            await self._clear_final(key)
            await self._write(board_finals.begin_final, key)
            by_seat = StandingsBySeat()
            sizes: list[tuple[Group, int]] = []
            async for some in _in_parts(_paced(_place_pages(groups, by_seat, sizes)), PAGES_PER_WRITE):
                await self._write(board_finals.save_place_pages, await asyncio.to_thread(_place_rows, key, some))
            async for standings in _in_parts(_paced(by_seat.pages()), PAGES_PER_WRITE):
                await self._write(board_finals.save_seat_pages, await asyncio.to_thread(_seat_rows, key, standings))
            final = Final(last_day, sum(size for _, size in sizes), tuple(sizes))
            assert len(dict(sizes)) == len(sizes), "a group comes once"
            await self._write(board_finals.finish_final, key, final)

    async def list_finals(self, board: int) -> list[int]:
        """The runs of a board that have final rankings, ascending."""
        return await self.query(board_finals.list_finals, board)

    async def load_final(self, board: int, run: int) -> Final | None:
        """The final ranking of a run, without its places; None if it has none."""
        return await self.query(board_finals.load_final, (board, run), str(self.path))

    async def read_final(self, board: int, run: int, group: Group, start: int, stop: int) -> list[tuple[int, Place]]:
        """The places of a group from position `start` (0 is rank 1) to before `stop`, each with its rank.

        Ranks of users who have been deleted are left out. Nothing if there is no such group or final ranking.
        """
        return await self.query(board_finals.read_final, (board, run), group, start, stop, str(self.path))

    async def find_final(self, board: int, run: int, seat: int) -> FinalPlace | None:
        """Where a member has ended; None if not on the board, or if there is no final ranking. Two rows."""
        return await self.query(board_finals.find_final, (board, run), seat, str(self.path))

    async def forget(self, seat: int) -> None:
        """Erase a member, who has been deleted for good, from everything: on the disk too when this returns.

        After a crash it has to be called again. In final rankings the others keep their ranks. O(runs).
        """
        async with self._changing:
            await self._clear_leftovers()
            for key in await self.query(board_snapshots.snapshot_runs):
                day: int | None = 0
                while day is not None:
                    day = await self._write(board_snapshots.forget_member, key, seat, day, str(self.path))
            for key in await self.query(board_finals.final_runs):
                await self._write(board_finals.forget_member, key, seat, str(self.path))
            await self._copy_wal()

    async def backup(self, target: Path) -> None:
        """Copy everything into a new file; reads wait for it: some 5 ms a MB.

        Not durable before its directory has been synced with it.
        """
        copy = await aiosqlite.connect(target)
        try:
            await self._connection.backup(copy)
        except UNREADABLE as error:
            raise explain(error, self.path) from error
        finally:
            await copy.close()

    async def close(self) -> None:
        """Close the file, when the change that is being made has ended."""
        async with self._changing:
            await self._connection.close()

    async def _clear_leftovers(self) -> None:
        for key in await self.query(board_snapshots.find_leftovers):
            await self._clear_snapshots(key)
        for key in await self.query(board_finals.find_leftovers):
            await self._clear_final(key)

    async def _clear_snapshots(self, key: RunKey) -> None:
        page: int | None = -1
        while page is not None:
            page = await self._write(board_snapshots.clear_leftovers, key, page)

    async def _clear_final(self, key: RunKey) -> None:
        while await self._write(board_finals.clear_leftovers, key):
            pass

    async def _write(
        self,
        work: Callable[Concatenate[sqlite3.Connection, Parameters], Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """Run `work` as one transaction, in one hop to the connection's thread; one fsync if it changes anything."""

        def transaction(connection: sqlite3.Connection) -> Result:
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(connection, *args, **kwargs)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return result

        result = await self.query(transaction)
        if self._wal.stat().st_size > WAL_BYTES_MAX:
            await self._copy_wal()
        return result

    async def _copy_wal(self) -> None:
        """Copy the -wal file into the main file, with SQLite's own syncs, and empty it: on the disk, too.

        A power cut could otherwise leave a part of it from before, which SQLite would put over what is newer.
        """
        ((is_busy, _, _),) = await self.query(_checkpoint)
        assert not is_busy, f"{self.path}: nobody else has it open"
        await asyncio.to_thread(sync_file, self._wal)

    @property
    def _wal(self) -> Path:
        return self.path.with_name(f"{self.path.name}-wal")

    async def query(
        self,
        work: Callable[Concatenate[sqlite3.Connection, Parameters], Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """Run a query of `board_snapshots` or `board_finals` in one hop to the connection's thread."""
        try:
            return await hop(self._connection, lambda connection: work(connection, *args, **kwargs))
        except UNREADABLE as error:
            raise explain(error, self.path) from error


def _make_file(path: Path) -> None:
    """Make an empty database with large pages, unless there is something: once in WAL mode, its size is fixed."""
    if path.exists() or path.with_name(f"{path.name}-wal").exists():
        return
    try:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as connection:
            connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
            connection.execute("PRAGMA journal_mode=WAL")
    except sqlite3.Error as error:
        raise explain(error, path) from error


def _checkpoint(connection: sqlite3.Connection) -> list[Any]:
    return connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _snapshot_rows(key: RunKey, day: int, pages: Sequence[Sequence[Standing]]) -> list[SnapshotPage]:
    return [board_snapshots.encode_page(key, day, standings) for standings in pages]


def _place_rows(key: RunKey, pages: Sequence[tuple[int, int, list[Place]]]) -> list[PlacePage]:
    return [board_finals.encode_place_page(key, number, page, places) for number, page, places in pages]


def _seat_rows(key: RunKey, pages: Sequence[Sequence[Standing]]) -> list[SeatPage]:
    return [board_finals.encode_seat_page(key, standings) for standings in pages]


async def _place_pages(
    groups: Stream[tuple[Group, Stream[Place]]], by_seat: StandingsBySeat, sizes: list[tuple[Group, int]]
) -> AsyncIterator[tuple[int, int, list[Place]]]:
    """The groups' places in pages: group number, page number, places. Notes in `by_seat` and `sizes` what was seen."""
    number = 0
    async for group, places in _each(groups):
        page = size = 0
        async for some in _in_parts(places, PLACES_PER_PAGE):
            for rank, place in enumerate(some, size + 1):
                by_seat.add(place.seat, rank, place.value, number)
            size += len(some)
            yield number, page, some
            page += 1
        sizes.append((group, size))
        number += 1


async def _in_parts(items: Stream[Item], size: int) -> AsyncIterator[list[Item]]:
    """All items, `size` at a time, the last ones fewer."""
    part: list[Item] = []
    async for item in _each(items):
        part.append(item)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


async def _paced(items: Stream[Item]) -> AsyncIterator[Item]:
    """All items, with a turn of the loop for others after each."""
    async for item in _each(items):
        yield item
        await asyncio.sleep(0)


async def _each(items: Stream[Item]) -> AsyncIterator[Item]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
