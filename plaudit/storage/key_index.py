"""Where each idempotency key was used: an index over the history, written in the order of its hashes.

Kept for ever, so it is laid out for what a key costs to add: a B-tree of 50 million random keys would rewrite a page
for each. Here the levels are trees of bounded size (a log-structured merge): new keys go into the smallest, which is
so small that a checkpoint's keys share its pages; what is over a level's bound moves on, a range of neighbours at a
time. A lookup asks every level, at most four. An entry is a hash of 47 bits (six bytes in SQLite) and the chunk of
history that has the key itself: who looks it up compares.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from hashlib import blake2b

LEVELS = 4
LEVEL_KEYS_MAX = tuple(500_000 * 16**level for level in range(LEVELS - 1))
"""How many keys a level keeps before it moves some on; the last keeps all."""
MOVE_KEYS_MAX = 1024
HASH_BITS = 47
HASH_MAX = 2**HASH_BITS - 1

KeyUse = tuple[int, int, str]
"""An idempotency key is one of a user (by id) and a metric (by number)."""
KeyEntry = tuple[int, int]
"""(hash of a key, id of the chunk that has it)."""

SCHEMA = (
    "".join(
        f"CREATE TABLE keys_{level} (hash INTEGER NOT NULL, chunk INTEGER NOT NULL, PRIMARY KEY (hash, chunk)) "
        "WITHOUT ROWID;"
        for level in range(LEVELS)
    )
    + "CREATE TABLE key_levels (level INTEGER PRIMARY KEY, keys INTEGER NOT NULL, position INTEGER NOT NULL);"
    + "".join(f"INSERT INTO key_levels VALUES ({level}, 0, 0);" for level in range(LEVELS))
)


def hash_key(use: KeyUse) -> int:
    """The hash of a key, uniform over 47 bits. About 1 us."""
    user, metric, key = use
    digest = blake2b(b"%d %d " % (user, metric) + key.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> (64 - HASH_BITS)


def add_keys(connection: sqlite3.Connection, entries: Sequence[KeyEntry]) -> None:
    """Add entries, sorted, within the caller's transaction. Those that are there already change nothing."""
    values = ", ".join(["(?, ?)"] * len(entries))
    cursor = connection.execute(
        f"INSERT OR IGNORE INTO keys_0 VALUES {values}",
        [part for entry in entries for part in entry],
    )
    _count(connection, 0, cursor.rowcount)


def find_full_level(connection: sqlite3.Connection) -> int | None:
    """A level that has more keys than it should; None if there is none."""
    for level, keys in connection.execute("SELECT level, keys FROM key_levels ORDER BY level"):
        if level < LEVELS - 1 and keys > LEVEL_KEYS_MAX[level]:
            return int(level)
    return None


def move_keys(connection: sqlite3.Connection, level: int) -> None:
    """Move the next range of a level, up to MOVE_KEYS_MAX keys, to the level below, within the caller's transaction.

    Ranges follow each other round the ring of hashes, so keys that are neighbours in the larger tree arrive together.
    """
    (start,) = connection.execute("SELECT position FROM key_levels WHERE level = ?", (level,)).fetchone()
    row = connection.execute(
        f"SELECT hash FROM keys_{level} WHERE hash >= ? ORDER BY hash LIMIT 1 OFFSET ?",
        (start, MOVE_KEYS_MAX - 1),
    ).fetchone()
    end = HASH_MAX if row is None else row[0]
    added = connection.execute(
        f"INSERT OR IGNORE INTO keys_{level + 1} "
        f"SELECT hash, chunk FROM keys_{level} WHERE hash BETWEEN ? AND ? ORDER BY hash, chunk",
        (start, end),
    ).rowcount
    removed = connection.execute(f"DELETE FROM keys_{level} WHERE hash BETWEEN ? AND ?", (start, end)).rowcount
    _count(connection, level + 1, added)
    _count(connection, level, -removed)
    position = 0 if end == HASH_MAX else end + 1
    connection.execute("UPDATE key_levels SET position = ? WHERE level = ?", (position, level))


def find_entries(connection: sqlite3.Connection, hashes: Sequence[int]) -> list[KeyEntry]:
    """All entries of these hashes. One query, a probe for each hash and level."""
    wanted = f"WITH wanted (hash) AS MATERIALIZED (VALUES {', '.join(['(?)'] * len(hashes))}) "
    parts = (
        f"SELECT keys_{level}.hash, chunk FROM wanted CROSS JOIN keys_{level} USING (hash)" for level in range(LEVELS)
    )
    return connection.execute(wanted + " UNION ALL ".join(parts), list(hashes)).fetchall()


def remove_entries(connection: sqlite3.Connection, entries: Iterable[KeyEntry]) -> None:
    """Forget entries, within the caller's transaction."""
    rows = list(entries)
    for level in range(LEVELS):
        cursor = connection.executemany(f"DELETE FROM keys_{level} WHERE hash = ? AND chunk = ?", rows)
        _count(connection, level, -cursor.rowcount)


def _count(connection: sqlite3.Connection, level: int, change: int) -> None:
    connection.execute("UPDATE key_levels SET keys = keys + ? WHERE level = ?", (change, level))
