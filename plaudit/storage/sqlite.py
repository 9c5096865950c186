"""How every SQLite file here is opened: one connection, which nothing else can share."""

import sqlite3
from pathlib import Path
from typing import Literal

import aiosqlite

from plaudit.storage.errors import Corrupt, InUse, StorageError, Unusable

Synchronous = Literal["FULL", "NORMAL", "OFF"]


async def connect(path: Path, synchronous: Synchronous = "FULL") -> aiosqlite.Connection:
    """Open a file in WAL mode, exclusively, each statement a transaction of its own; create it if it is missing.

    SQLite's automatic checkpoint is off: it would run inside a commit. `FULL` is one fsync a commit; `NORMAL` survives
    the process but not a power cut. Raises InUse, Unusable or Corrupt.
    """
    connection = await aiosqlite.connect(path, isolation_level=None, timeout=0)
    try:
        await connection.executescript(
            f"PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous={synchronous};"
            "PRAGMA wal_autocheckpoint=0; PRAGMA temp_store=MEMORY; BEGIN IMMEDIATE; COMMIT;"
        )
    except sqlite3.Error as error:
        await connection.close()
        raise explain(error, path) from error
    return connection


def explain(error: sqlite3.Error, path: Path) -> StorageError:
    """SQLite's error on a file, as one of ours that names it."""
    if isinstance(error, sqlite3.OperationalError):
        return InUse(f"{path}: open in another process") if "locked" in str(error) else Unusable(f"{path}: {error}")
    return Corrupt(f"{path}: {error}")
