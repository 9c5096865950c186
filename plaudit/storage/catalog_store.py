"""catalog.sqlite: every version of the catalog, the admin keys (hashed), and how far a test clock has come."""

import sqlite3
from pathlib import Path
from typing import Literal

import aiosqlite
import msgspec
from msgspec import Struct

from plaudit.engine.catalog import Catalog
from plaudit.storage.errors import Corrupt
from plaudit.storage.seal import UNDECODABLE
from plaudit.storage.sqlite import Migrations, explain, opening
from plaudit.storage.wal import Trust

SCHEMA_VERSION = 2
FILE_NAME = "catalog.sqlite"

_TEST_CLOCK = """
CREATE TABLE test_clock (
    id INTEGER PRIMARY KEY CHECK (id = 0), reached_ms INTEGER NOT NULL, target_ms INTEGER NOT NULL
)
"""
_SCHEMA = f"""
BEGIN;
CREATE TABLE meta (id INTEGER PRIMARY KEY CHECK (id = 0), schema INTEGER NOT NULL);
CREATE TABLE versions (version INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE admin_keys (
    prefix TEXT PRIMARY KEY, hash BLOB NOT NULL, source TEXT NOT NULL, created_ms INTEGER NOT NULL
);
{_TEST_CLOCK};
INSERT INTO meta VALUES (0, {SCHEMA_VERSION});
COMMIT;
"""


def _add_test_clock(raw: sqlite3.Connection) -> None:
    raw.execute(_TEST_CLOCK)


MIGRATIONS: Migrations = {1: _add_test_clock}

KeySource = Literal["environment", "first start", "unseen"]
"""`unseen`: made on a first start that has not come as far as showing it."""


class AdminKey(Struct, frozen=True):
    """A key as stored: its readable prefix and the SHA-256 of the whole."""

    prefix: str
    hash: bytes


class ClockTimes(Struct, frozen=True):
    """How far a test clock has come, in Unix milliseconds."""

    reached_ms: int
    """Everything that was due then has happened."""
    target_ms: int
    """Where it is being moved to; where it stands, if nobody moves it."""


class CatalogStore:
    """The connection to catalog.sqlite. Each write is one statement and one fsync."""

    def __init__(self, path: Path, connection: aiosqlite.Connection) -> None:
        self.path = path
        self._connection = connection

    @classmethod
    async def open(cls, data: Path, trust: Trust = "synced") -> "CatalogStore":
        """Open or create the file. Raises Corrupt or InUse."""
        path = data / FILE_NAME
        async with opening(path, _SCHEMA, SCHEMA_VERSION, migrations=MIGRATIONS, trust=trust) as connection:
            await connection.execute_fetchall("PRAGMA cache_spill=OFF")  # what `appended` says of the next owner's file
            return cls(path, connection)

    async def load(self) -> Catalog:
        """The newest version; the empty catalog if there is none yet."""
        rows = list(await self._connection.execute_fetchall("SELECT body FROM versions ORDER BY version DESC LIMIT 1"))
        try:
            return msgspec.msgpack.decode(rows[0][0], type=Catalog) if rows else Catalog()
        except UNDECODABLE as error:
            raise Corrupt(f"{self.path}: versions: {error}") from error

    async def save(self, catalog: Catalog, at_ms: int) -> None:
        """Make a new version the decision. Raises Unusable if it cannot be written."""
        body = msgspec.msgpack.encode(catalog)
        await self._write("INSERT INTO versions VALUES (?, ?, ?)", (catalog.version, at_ms, body))

    async def load_keys(self) -> list[AdminKey]:
        """All admin keys."""
        return [
            AdminKey(*row) for row in await self._connection.execute_fetchall("SELECT prefix, hash FROM admin_keys")
        ]

    async def has_seen_key(self) -> bool:
        """True if there is a key that somebody knows."""
        return bool(await self._connection.execute_fetchall("SELECT 1 FROM admin_keys WHERE source != 'unseen'"))

    async def save_key(self, key: AdminKey, source: KeySource, at_ms: int) -> None:
        """Add an admin key. One from the environment, or unseen, takes the place of the last such one."""
        await self._connection.execute_fetchall("BEGIN IMMEDIATE")
        if source != "first start":
            await self._connection.execute_fetchall("DELETE FROM admin_keys WHERE source = ?", (source,))
        await self._connection.execute_fetchall(
            "INSERT OR REPLACE INTO admin_keys VALUES (?, ?, ?, ?)", (key.prefix, key.hash, source, at_ms)
        )
        await self._connection.execute_fetchall("COMMIT")

    async def mark_seen(self) -> None:
        """The key that was made has been shown: it stays."""
        await self._connection.execute_fetchall("UPDATE admin_keys SET source = 'first start' WHERE source = 'unseen'")

    async def load_clock(self) -> ClockTimes | None:
        """How far the test clock has come; None if the directory's time is the machine's."""
        rows = list(await self._connection.execute_fetchall("SELECT reached_ms, target_ms FROM test_clock"))
        return ClockTimes(*rows[0]) if rows else None

    async def save_clock(self, times: ClockTimes) -> None:
        """Note how far the test clock has come; from the first note on, the directory's time is a test clock's.

        Raises Unusable if it cannot be written.
        """
        await self._write("INSERT OR REPLACE INTO test_clock VALUES (0, ?, ?)", (times.reached_ms, times.target_ms))

    async def _write(self, statement: str, values: tuple[int | bytes, ...]) -> None:
        try:
            await self._connection.execute_fetchall(statement, values)
        except sqlite3.OperationalError as error:
            raise explain(error, self.path) from error

    async def backup(self, target: Path) -> None:
        """Copy everything into a new file. Not durable before its directory has been synced with it."""
        copy = await aiosqlite.connect(target)
        try:
            await self._connection.backup(copy)
        finally:
            await copy.close()

    async def close(self) -> None:
        """Close the file."""
        await self._connection.close()
