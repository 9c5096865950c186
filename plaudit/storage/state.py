"""state.sqlite: the users as of the last checkpoint, their history, and what else must outlive the log.

Written only by the checkpoint, in slices. Every slice is one transaction and complete for its users; the log is cut
only when `finish_checkpoint` has said that all users of the cut are in.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TypeVar

import aiosqlite
import msgspec
from msgspec import Struct

from plaudit.engine.catalog import Catalog
from plaudit.engine.commands import UserKey
from plaudit.storage.errors import Corrupt, Fenced
from plaudit.storage.history import EventEntry, decode_chunk
from plaudit.storage.sqlite import UNREADABLE, explain, opening

SCHEMA_VERSION = 1
FILE_NAME = "state.sqlite"

_SCHEMA = """
BEGIN;
CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 0), schema INTEGER NOT NULL, epoch INTEGER NOT NULL
);
CREATE TABLE checkpoint (
    id INTEGER PRIMARY KEY CHECK (id = 0), number INTEGER NOT NULL, applied INTEGER NOT NULL, at_ms INTEGER NOT NULL,
    reached INTEGER NOT NULL
);
CREATE TABLE catalog (id INTEGER PRIMARY KEY CHECK (id = 0), body BLOB NOT NULL);
CREATE TABLE users (
    id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, key TEXT NOT NULL, applied INTEGER NOT NULL,
    chunk INTEGER, snapshot BLOB NOT NULL, UNIQUE (tenant, key)
);
CREATE TABLE history (
    id INTEGER PRIMARY KEY, user INTEGER NOT NULL, previous INTEGER, entries BLOB NOT NULL
);
CREATE TABLE idempotency (
    hash INTEGER NOT NULL, verify INTEGER NOT NULL, event BLOB NOT NULL, PRIMARY KEY (hash, verify)
) WITHOUT ROWID;
CREATE TABLE gateways (id INTEGER PRIMARY KEY, replies BLOB NOT NULL);
INSERT INTO meta VALUES (0, {schema}, 0);
INSERT INTO checkpoint VALUES (0, 0, 0, 0, 0);
COMMIT;
"""

_SAVE_USERS = (
    "INSERT INTO users (id, tenant, key, applied, chunk, snapshot) VALUES {rows} "
    "ON CONFLICT (id) DO UPDATE SET applied = excluded.applied, chunk = excluded.chunk, snapshot = excluded.snapshot"
)
_SAVE_CHUNKS = "INSERT INTO history (id, user, previous, entries) VALUES {rows}"
_SAVE_KEYS = "INSERT INTO idempotency (hash, verify, event) VALUES {rows}"
_SAVE_GATEWAYS = "INSERT OR REPLACE INTO gateways (id, replies) VALUES {rows}"

LOOKUP_KEYS_MAX = 1024
INSERT_ROWS_MAX = 256

Row = TypeVar("Row")


def _round_up(count: int) -> int:
    """The next power of two: so there are few different statements, and SQLite has them compiled."""
    return 1 << (count - 1).bit_length()


@cache
def _find_users(count: int) -> str:
    """Finds users by key. Bound one by one: SQLite's JSON would end a key at a NUL."""
    values = ", ".join(["(?, ?)"] * count)
    return (
        f"WITH wanted (tenant, key) AS (VALUES {values}) "  # noqa: S608  # made of nothing but question marks
        "SELECT users.id, users.tenant, users.key, applied, chunk, snapshot "
        "FROM wanted CROSS JOIN users ON users.tenant = wanted.tenant AND users.key = wanted.key"
    )


class StoredUser(Struct, frozen=True):
    """A user as saved: `applied` is the number of the last command in it, `chunk` its newest piece of history."""

    id: int
    key: UserKey
    applied: int
    chunk: int | None
    snapshot: bytes


class Chunk(Struct, frozen=True):
    """A piece of a user's history."""

    id: int
    user: int
    previous: int | None
    entries: bytes


class Slice(Struct, frozen=True):
    """What one transaction of a checkpoint writes."""

    users: list[StoredUser]
    chunks: list[Chunk]
    keys: list[tuple[bytes, bytes]]
    """(16-byte digest of an idempotency key, id of the event that used it)."""
    gateways: list[tuple[int, bytes]]


class Checkpoint(Struct, frozen=True):
    """What the state holds: every command up to number `applied`, and the stamp of the last one."""

    number: int
    applied: int
    at_ms: int
    reached: int
    """The last command of any slice: the log must go at least as far."""


class StateStore:
    """The connection to state.sqlite. Errors of writing are fatal to the owner: it must stop and recover."""

    def __init__(self, path: Path, connection: aiosqlite.Connection, epoch: int, checkpoint: Checkpoint) -> None:
        self.path = path
        self.epoch = epoch
        self.checkpoint = checkpoint
        self._connection = connection

    @classmethod
    async def open(cls, directory: Path) -> "StateStore":
        """Open or create the state and raise its epoch: older owners can write nothing from here on."""
        path = directory / FILE_NAME
        async with opening(path, _SCHEMA.format(schema=SCHEMA_VERSION), SCHEMA_VERSION) as connection:
            raised = list(await connection.execute_fetchall("UPDATE meta SET epoch = epoch + 1 RETURNING epoch"))
            rows = list(await connection.execute_fetchall("SELECT number, applied, at_ms, reached FROM checkpoint"))
        return cls(path, connection, raised[0][0], Checkpoint(*rows[0]))

    async def load_catalog(self) -> Catalog | None:
        """The catalog as of the last checkpoint; None before the first."""
        rows = list(await self._read("SELECT body FROM catalog"))
        try:
            return msgspec.msgpack.decode(rows[0][0], type=Catalog) if rows else None
        except msgspec.DecodeError as error:
            raise Corrupt(f"{self.path}: catalog: {error}") from error

    async def load_users(self, keys: Iterable[UserKey]) -> list[StoredUser]:
        """Those of the users that are saved. One query for each LOOKUP_KEYS_MAX keys."""
        rows: list[sqlite3.Row] = []
        wanted = list(keys)
        for start in range(0, len(wanted), LOOKUP_KEYS_MAX):
            part = wanted[start : start + LOOKUP_KEYS_MAX]
            padded = [*part, *[(None, None)] * (_round_up(len(part)) - len(part))]
            rows.extend(await self._read(_find_users(len(padded)), tuple(chain.from_iterable(padded))))
        return [StoredUser(id_, (tenant, key), *rest) for id_, tenant, key, *rest in rows]

    async def load_all_users(self) -> list[StoredUser]:
        """Every saved user, by key: for digests and checks. O(users)."""
        rows = await self._read("SELECT id, tenant, key, applied, chunk, snapshot FROM users ORDER BY tenant, key")
        return [StoredUser(id_, (tenant, key), *rest) for id_, tenant, key, *rest in rows]

    async def load_history(self, chunk: int | None) -> list[EventEntry]:
        """A user's saved events, oldest first, from the newest chunk back. O(their number)."""
        parts: list[tuple[EventEntry, ...]] = []
        while chunk is not None:
            rows = list(await self._read("SELECT previous, entries FROM history WHERE id = ?", (chunk,)))
            if not rows:
                raise Corrupt(f"{self.path}: history {chunk} is missing")
            previous, entries = rows[0]
            try:
                parts.append(decode_chunk(entries))
            except (msgspec.DecodeError, RecursionError) as error:
                raise Corrupt(f"{self.path}: history {chunk}: {error}") from error
            if previous is not None and previous >= chunk:
                raise Corrupt(f"{self.path}: history {chunk}: follows {previous}, which is not older")
            chunk = previous
        return [entry for part in reversed(parts) for entry in part]

    async def find_keys(self, digests: Iterable[bytes]) -> dict[bytes, bytes]:
        """The event of each idempotency key (by 16-byte digest) that has been used. One query."""
        by_halves = {_halves(digest): digest for digest in digests}
        rows = await self._read(
            "SELECT hash, verify, event FROM json_each(?) AS wanted "
            "JOIN idempotency ON hash = wanted.value ->> 0 AND verify = wanted.value ->> 1",
            (json.dumps(list(by_halves)),),
        )
        return {by_halves[hash_, verify]: event for hash_, verify, event in rows}

    async def load_gateways(self) -> dict[int, bytes]:
        """What is kept of each gateway's last batches."""
        return dict(await self._read("SELECT id, replies FROM gateways"))  # type: ignore[arg-type]

    async def next_ids(self) -> tuple[int, int]:
        """The first free user id and the first free chunk id."""
        rows = list(
            await self._read(
                "SELECT (SELECT coalesce(max(id), 0) + 1 FROM users), (SELECT coalesce(max(id), 0) + 1 FROM history)"
            )
        )
        return rows[0][0], rows[0][1]

    async def save(self, part: Slice) -> None:
        """Write a slice: one transaction, one fsync. Raises Fenced or sqlite3.Error."""
        await self._begin()
        await self._insert(_SAVE_USERS, [(u.id, *u.key, u.applied, u.chunk, u.snapshot) for u in part.users])
        await self._insert(_SAVE_CHUNKS, [(c.id, c.user, c.previous, c.entries) for c in part.chunks])
        await self._insert(_SAVE_KEYS, [(*_halves(digest), event) for digest, event in part.keys])
        await self._insert(_SAVE_GATEWAYS, part.gateways)
        reached = max((user.applied for user in part.users), default=0)
        await self._connection.execute_fetchall("UPDATE checkpoint SET reached = max(reached, ?)", (reached,))
        await self._connection.execute_fetchall("COMMIT")

    async def finish_checkpoint(self, applied: int, at_ms: int, catalog: Catalog | None, gateways: list[int]) -> None:
        """Declare that every command up to number `applied` is in, and keep only these gateways.

        Compare and set: raises Fenced if another owner has been here. `catalog` None keeps the stored one.
        """
        connection = self._connection
        await self._begin()
        number = self.checkpoint.number
        rows = list(
            await connection.execute_fetchall(
                "UPDATE checkpoint SET number = ?, applied = ?, at_ms = ? WHERE number = ? RETURNING reached",
                (number + 1, applied, at_ms, number),
            )
        )
        if not rows:
            await connection.execute_fetchall("ROLLBACK")
            raise Fenced(f"{self.path}: checkpoint {number} is not the last one any more")
        if catalog is not None:
            body = msgspec.msgpack.encode(catalog)
            await connection.execute_fetchall("INSERT OR REPLACE INTO catalog VALUES (0, ?)", (body,))
        await connection.execute_fetchall(
            "DELETE FROM gateways WHERE id NOT IN (SELECT value FROM json_each(?))", (json.dumps(gateways),)
        )
        await connection.execute_fetchall("COMMIT")
        self.checkpoint = Checkpoint(number + 1, applied, at_ms, rows[0][0])
        await connection.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")

    async def close(self) -> None:
        """Close the file."""
        await self._connection.close()

    async def _insert(self, sql: str, rows: Sequence[tuple[int | str | bytes | None, ...]]) -> None:
        """Insert rows, many in a statement: each statement takes the GIL from the loop's thread once."""
        for part in _powers_of_two(rows):
            row = f"({', '.join('?' * len(part[0]))})"
            statement = sql.format(rows=", ".join([row] * len(part)))
            await self._connection.execute_fetchall(statement, tuple(chain.from_iterable(part)))

    async def _begin(self) -> None:
        await self._connection.execute_fetchall("BEGIN IMMEDIATE")
        if not await self._connection.execute_fetchall("SELECT 1 FROM meta WHERE epoch = ?", (self.epoch,)):
            await self._connection.execute_fetchall("ROLLBACK")
            raise Fenced(f"{self.path}: epoch {self.epoch} is over")

    async def _read(self, sql: str, parameters: tuple[int | str | None, ...] = ()) -> Iterable[sqlite3.Row]:
        try:
            return await self._connection.execute_fetchall(sql, parameters)
        except UNREADABLE as error:
            raise explain(error, self.path) from error


def _powers_of_two(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """The rows in parts of so few different lengths that their statements stay compiled."""
    start = 0
    while start < len(rows):
        length = min(1 << ((len(rows) - start).bit_length() - 1), INSERT_ROWS_MAX)
        yield rows[start : start + length]
        start += length


def _halves(digest: bytes) -> tuple[int, int]:
    return int.from_bytes(digest[:8], "big", signed=True), int.from_bytes(digest[8:], "big", signed=True)
