"""How every SQLite file here is opened: one connection, which nothing else can share."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import aiosqlite

from plaudit.storage.errors import Corrupt, InUse, StorageError, Unusable

UNREADABLE = (sqlite3.Error, UnicodeDecodeError)
"""What reading a file may raise: in a damaged one, even SQLite's message about it may not be text."""

Synchronous = Literal["FULL", "NORMAL", "OFF"]


@contextlib.asynccontextmanager
async def opening(
    path: Path, schema: str, version: int, synchronous: Synchronous = "FULL"
) -> AsyncIterator[aiosqlite.Connection]:
    """A connection to a file with the tables of `schema`, which are made if the file is new.

    WAL mode, exclusive, each statement a transaction of its own; SQLite's automatic checkpoint is off, because it would
    run inside a commit. `FULL` is one fsync a commit; `NORMAL` survives the process but not a power cut. The connection
    outlives the block, unless the block raises. Every schema has a table `meta` with a column `schema`: a file with
    another version is left as it is. Raises InUse, Unusable or Corrupt.
    """
    connection = await aiosqlite.connect(path, isolation_level=None, timeout=0)
    try:
        await connection.executescript(
            f"PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous={synchronous};"
            "PRAGMA wal_autocheckpoint=0; PRAGMA temp_store=MEMORY; BEGIN IMMEDIATE; COMMIT;"
        )
        if not await connection.execute_fetchall("SELECT 1 FROM sqlite_master WHERE name = 'meta'"):
            await connection.executescript(schema)
        rows = list(await connection.execute_fetchall("SELECT schema FROM meta"))
        found = rows[0][0] if rows else None
        if found != version:
            raise Corrupt(f"{path}: of schema {found}; this version of Plaudit reads {version}")
        yield connection
    except UNREADABLE as error:
        await connection.close()
        raise explain(error, path) from error
    except BaseException:
        await connection.close()
        raise


def explain(error: Exception, path: Path) -> StorageError:
    """SQLite's error on a file (one of UNREADABLE), as one of ours that names it."""
    if isinstance(error, sqlite3.OperationalError):
        return InUse(f"{path}: open in another process") if "locked" in str(error) else Unusable(f"{path}: {error}")
    return Corrupt(f"{path}: {error}")
