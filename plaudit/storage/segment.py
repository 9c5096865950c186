"""One file of the log."""

import asyncio
from pathlib import Path

import aiosqlite
import msgspec

from plaudit.storage.errors import Corrupt, Fenced
from plaudit.storage.files import sync_directory, sync_file
from plaudit.storage.records import Record
from plaudit.storage.sqlite import UNREADABLE, Synchronous, explain, opening
from plaudit.storage.wal import Trust

SCHEMA_VERSION = 1

_SCHEMA = """
BEGIN;
CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 0), schema INTEGER NOT NULL, epoch INTEGER NOT NULL
);
CREATE TABLE log (
    first INTEGER PRIMARY KEY, count INTEGER NOT NULL, epoch INTEGER NOT NULL, rules TEXT NOT NULL,
    checksum INTEGER NOT NULL, digests BLOB NOT NULL, body BLOB NOT NULL
);
INSERT INTO meta VALUES (0, {schema}, {epoch});
COMMIT;
"""

_COLUMNS = ("first", "count", "epoch", "rules", "checksum", "digests", "body")

_APPEND = """
INSERT INTO log (first, count, epoch, rules, checksum, digests, body)
SELECT ?, ?, ?, ?, ?, ?, ? FROM meta WHERE epoch = ?
"""


class Segment:
    """A file of records with consecutive numbers. Only the owner of the newest epoch can append to it."""

    def __init__(self, path: Path, connection: aiosqlite.Connection, epoch: int) -> None:
        self.path = path
        self._connection = connection
        self._epoch = epoch
        self.size = 0
        """Bytes appended since it was opened, without SQLite's own."""

    @classmethod
    async def open(
        cls, path: Path, epoch: int, synchronous: Synchronous = "FULL", trust: Trust = "unknown"
    ) -> "Segment":
        """Open or create a segment and raise its epoch. Raises Fenced if a newer owner has been here, or Corrupt."""
        is_new = not path.exists()
        if is_new:
            path.with_name(f"{path.name}-wal").unlink(missing_ok=True)  # a power cut can undo half of a removal
        schema = _SCHEMA.format(schema=SCHEMA_VERSION, epoch=epoch)
        async with opening(path, schema, SCHEMA_VERSION, synchronous, trust=trust) as connection:
            await connection.execute_fetchall("PRAGMA cache_spill=OFF")  # what `appended` says of the next owner's file
            raise_epoch = "UPDATE meta SET epoch = ? WHERE epoch <= ? RETURNING epoch"
            if not await connection.execute_fetchall(raise_epoch, (epoch, epoch)):
                raise Fenced(f"{path}: a newer owner than epoch {epoch} has been here")
            if is_new:
                sync_directory(path.parent)
        return cls(path, connection, epoch)

    async def append(self, record: Record) -> None:
        """Make a record durable: one statement, one commit, one fsync.

        Raises Fenced, or another StorageError; after the latter nobody knows whether the record is there, and only a
        reopened log can tell.
        """
        try:
            cursor = await self._connection.execute(_APPEND, (*_row(record), self._epoch))
        except UNREADABLE as error:
            raise explain(error, self.path) from error
        if cursor.rowcount != 1:
            raise Fenced(f"{self.path}: epoch {self._epoch} is over")
        self.size += len(record.body) + len(record.digests)

    async def copy_in(self, records: list[Record]) -> None:
        """Make many records durable at once, in one transaction. Raises sqlite3.Error."""
        if not records:
            return
        await self._connection.execute_fetchall("BEGIN IMMEDIATE")
        await self._connection.executemany("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?)", map(_row, records))
        await self._connection.execute_fetchall("COMMIT")
        self.size += sum(len(record.body) + len(record.digests) for record in records)

    async def sync(self) -> None:
        """Wait for the disk to have what has been appended."""
        await asyncio.to_thread(sync_file, self.path.with_name(f"{self.path.name}-wal"))

    async def read(self) -> list[Record]:
        """All records, verified and in order. Raises Corrupt, naming the record."""
        try:
            problems = await self._connection.execute_fetchall("PRAGMA integrity_check(1)")
            rows = await self._connection.execute_fetchall(
                "SELECT first, count, epoch, rules, checksum, digests, body FROM log ORDER BY first"
            )
        except UNREADABLE as error:
            raise explain(error, self.path) from error
        if [tuple(problem) for problem in problems] != [("ok",)]:
            raise Corrupt(f"{self.path}: {'; '.join(problem[0] for problem in problems)}")
        return [self._verify(dict(zip(_COLUMNS, row, strict=True))) for row in rows]

    def _verify(self, row: dict[str, int | str | bytes | None]) -> Record:
        place = f"{self.path}: record {row['first']!r}"
        try:
            record = msgspec.convert(row, Record)
        except msgspec.ValidationError as error:
            raise Corrupt(f"{place}: {error}") from None
        if record.checksum() != row["checksum"]:
            raise Corrupt(f"{place}: its checksum does not match")
        return record

    async def close(self) -> None:
        """Close the file and keep it."""
        await self._connection.close()

    async def remove(self) -> None:
        """Delete the file, all of whose records must be saved elsewhere, and close it.

        SQLite copies nothing into a file that is gone. If a crash leaves the main file alone, that is an empty segment:
        its records are at or below the checkpoint, or in a newer segment, so nobody misses them.
        """
        try:
            for suffix in ("-wal", "-shm", ""):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        finally:
            await self._connection.close()


def _row(record: Record) -> tuple[int, int, int, str, int, bytes, bytes]:
    return (
        record.first,
        record.count,
        record.epoch,
        record.rules,
        record.checksum(),
        record.digests,
        record.body,
    )
