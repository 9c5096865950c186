"""catalog.sqlite: every version of the catalog, and the admin keys (hashed)."""

from pathlib import Path
from typing import Literal

import aiosqlite
import msgspec
from msgspec import Struct

from plaudit.engine.catalog import Catalog
from plaudit.storage.errors import Corrupt
from plaudit.storage.seal import UNDECODABLE
from plaudit.storage.sqlite import opening
from plaudit.storage.wal import Trust

SCHEMA_VERSION = 1
FILE_NAME = "catalog.sqlite"

_SCHEMA = """
BEGIN;
CREATE TABLE meta (id INTEGER PRIMARY KEY CHECK (id = 0), schema INTEGER NOT NULL);
CREATE TABLE versions (version INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE admin_keys (
    prefix TEXT PRIMARY KEY, hash BLOB NOT NULL, source TEXT NOT NULL, created_ms INTEGER NOT NULL
);
INSERT INTO meta VALUES (0, {schema});
COMMIT;
"""


KeySource = Literal["environment", "first start", "unseen"]
"""`unseen`: made on a first start that has not come as far as showing it."""


class AdminKey(Struct, frozen=True):
    """A key as stored: its readable prefix and the SHA-256 of the whole."""

    prefix: str
    hash: bytes


class CatalogStore:
    """The connection to catalog.sqlite. Each write is one statement and one fsync."""

    def __init__(self, path: Path, connection: aiosqlite.Connection) -> None:
        self.path = path
        self._connection = connection

    @classmethod
    async def open(cls, data: Path, trust: Trust = "synced") -> "CatalogStore":
        """Open or create the file. Raises Corrupt or InUse."""
        path = data / FILE_NAME
        schema = _SCHEMA.format(schema=SCHEMA_VERSION)
        async with opening(path, schema, SCHEMA_VERSION, trust=trust) as connection:
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
        """Make a new version the decision."""
        body = msgspec.msgpack.encode(catalog)
        await self._connection.execute_fetchall("INSERT INTO versions VALUES (?, ?, ?)", (catalog.version, at_ms, body))

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
