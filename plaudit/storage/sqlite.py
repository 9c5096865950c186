"""How every SQLite file here is opened: one connection, which nothing else can share."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Literal, TypeVar

import aiosqlite

from plaudit.storage.errors import Corrupt, InUse, OtherVersion, StorageError, Unusable
from plaudit.storage.seal import UNDECODABLE
from plaudit.storage.wal import Trust, cut_wal, inspect_wal

UNREADABLE = (sqlite3.Error, UnicodeDecodeError)
"""What reading a file may raise: in a damaged one, even SQLite's message about it may not be text."""

Result = TypeVar("Result")

Synchronous = Literal["FULL", "NORMAL", "OFF"]

Migrations = Mapping[int, Callable[[sqlite3.Connection], None]]
"""For each older version of a schema, what brings its tables to the next one."""

NO_MIGRATIONS: Migrations = {}


@contextlib.asynccontextmanager
async def opening(
    path: Path,
    schema: str | None,
    version: int,
    synchronous: Synchronous = "FULL",
    *,
    migrations: Migrations = NO_MIGRATIONS,
    trust: Trust = "unknown",
) -> AsyncIterator[aiosqlite.Connection]:
    """A connection to a file with the tables of `schema`, which are made if the file is new; None: it must have some.

    WAL mode, exclusive, each statement a transaction of its own; SQLite's automatic checkpoint is off, because it would
    run inside a commit. `FULL` is one fsync a commit; `NORMAL` survives the process but not a power cut. The connection
    outlives the block, unless the block raises. Every schema has a table `meta` with a column `schema`: a file with an
    older version is migrated, in one transaction, if there are `migrations`; one with a newer version, or one that they
    do not begin with, is left as it is. `trust` decides what in the -wal file is damage; since that is found out before
    SQLite locks the file, the directory must be locked. Raises InUse, Unusable, Corrupt or OtherVersion.
    """
    try:
        wal = await asyncio.to_thread(inspect_wal, path, trust)
    except OSError as error:
        raise Unusable(f"{error.filename or path}: {error.strerror or error}") from error
    connection = await aiosqlite.connect(path, isolation_level=None, timeout=0)
    try:
        await connection.executescript(
            f"PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous={synchronous};"
            "PRAGMA wal_autocheckpoint=0; PRAGMA temp_store=MEMORY; BEGIN IMMEDIATE; COMMIT;"
        )
        cut_wal(wal)
        if not await connection.execute_fetchall("SELECT 1 FROM sqlite_master WHERE name = 'meta'"):
            if schema is None:
                raise Corrupt(f"{path}: empty, and it should not be")
            await connection.executescript(schema)
        await _migrate(connection, path, version, migrations)
        yield connection
    except UNREADABLE as error:
        await connection.close()
        raise explain(error, path) from error
    except BaseException:
        await connection.close()
        raise


async def _migrate(connection: aiosqlite.Connection, path: Path, version: int, migrations: Migrations) -> None:
    rows = list(await connection.execute_fetchall("SELECT schema FROM meta"))
    found = rows[0][0] if rows else None
    if found == version:
        return
    older = range(found, version) if isinstance(found, int) else range(0)
    steps = [migrations[number] for number in older if number in migrations]
    if not steps or len(steps) != len(older):
        raise OtherVersion(f"{path}: of schema {found}; this version of Plaudit reads {version}")

    def migrate(raw: sqlite3.Connection) -> None:
        raw.execute("BEGIN IMMEDIATE")
        for step in steps:
            step(raw)
        raw.execute("UPDATE meta SET schema = ?", (version,))
        raw.execute("COMMIT")

    try:
        await hop(connection, migrate)
    except (*UNDECODABLE, LookupError) as error:
        raise Corrupt(f"{path}: of schema {found}, and cannot be migrated: {error!r}") from error


async def hop(connection: aiosqlite.Connection, work: Callable[[sqlite3.Connection], Result]) -> Result:
    """Run `work` on the connection's thread. aiosqlite has no public way to do several statements in one hop of it."""
    result: Result = await connection._execute(work, connection._conn)  # type: ignore[no-untyped-call]
    return result


def explain(error: Exception, path: Path) -> StorageError:
    """SQLite's error on a file (one of UNREADABLE), as one of ours that names it."""
    if isinstance(error, sqlite3.OperationalError):
        return InUse(f"{path}: open in another process") if "locked" in str(error) else Unusable(f"{path}: {error}")
    return Corrupt(f"{path}: {error}")
