"""What the files of a shard that has been closed must hold, and nothing else."""

import sqlite3
from contextlib import closing
from pathlib import Path

from plaudit.engine.tally import bucket_of
from plaudit.storage.history import Chunk, decode_chunk
from plaudit.storage.key_index import LEVELS
from plaudit.storage.state import key_entries
from tests.actors.shard_oracle import UserState

ACHIEVEMENTS = {1: 1, 2: 10}
"""Those of the catalog, by number: from how many lessons on."""
POINTS_PER_LESSON = 10
"""In system 1."""


def check_contents(directory: Path, users: dict[str, UserState]) -> None:
    """Compare a closed shard with what the oracle has: users, history, keys and counters."""
    assert list(directory.glob("log-*")) == []
    with closing(sqlite3.connect(directory / "state.sqlite")) as connection:
        ids = _check_users(connection, users)
        chunks = _check_history(connection, users, ids)
        _check_keys(connection, chunks)
        _check_counters(connection, users)
        assert connection.execute("SELECT * FROM purges").fetchall() == []


def _check_users(connection: sqlite3.Connection, users: dict[str, UserState]) -> dict[int, str]:
    ids: dict[int, str] = dict(connection.execute("SELECT id, key FROM users"))
    assert sorted(ids.values()) == sorted(users)
    heads = {row[0]: row[1] >> 8 for row in connection.execute("SELECT user, slot FROM heads")}
    assert heads.keys() == ids.keys()
    slots = dict(connection.execute("SELECT slot, user FROM snapshots"))
    assert set(slots.values()) == ids.keys()
    assert {slots[slot] for slot in heads.values()} == ids.keys()
    return ids


def _check_history(connection: sqlite3.Connection, users: dict[str, UserState], ids: dict[int, str]) -> list[Chunk]:
    rows = connection.execute("SELECT id, user, previous, entries FROM history ORDER BY id").fetchall()
    chunks = [decode_chunk(row, "state.sqlite") for row in rows]
    saved: dict[str, int] = dict.fromkeys(users, 0)
    for chunk in chunks:
        saved[ids[chunk.user]] += len(chunk.entries)
    assert saved == {user: len(state.events) for user, state in users.items()}
    return chunks


def _check_keys(connection: sqlite3.Connection, chunks: list[Chunk]) -> None:
    """The index has every key up to where it says that it goes; what a later start finds again, it may have.

    A key may be in two levels: one was there before a kill, and what was not finished is added again.
    """
    [(indexed,)] = connection.execute("SELECT indexed FROM checkpoint")
    levels = [set(connection.execute(f"SELECT hash, chunk FROM keys_{level}")) for level in range(LEVELS)]
    counts = dict(connection.execute("SELECT level, keys FROM key_levels"))
    assert counts == {level: len(keys) for level, keys in enumerate(levels)}
    found = set().union(*levels)
    assert found >= {entry for chunk in chunks if chunk.id <= indexed for entry in key_entries(chunk)}
    assert found <= {entry for chunk in chunks for entry in key_entries(chunk)}


def _check_counters(connection: sqlite3.Connection, users: dict[str, UserState]) -> None:
    found = {(name, number): value for name, number, value in connection.execute("SELECT * FROM counters") if value}
    expected = {("users", 0): len(users)}
    for number, lessons in ACHIEVEMENTS.items():
        expected["completions", number] = sum(state.completed("lessons", lessons) for state in users.values())
    for state in users.values():
        points = state.points("lessons", 1, POINTS_PER_LESSON)
        if points:
            bucket = "points", bucket_of(1, points)
            expected[bucket] = expected.get(bucket, 0) + 1
    assert found == {counter: value for counter, value in expected.items() if value}
