"""Whose the ids are that the API uses without saying whose: those of pauses.

A row is written with the user that has the id, and stays until the user is deleted.
"""

import sqlite3
from collections.abc import Sequence

from plaudit.engine.commands import UserKey
from plaudit.storage.rows import insert_rows, powers_of_two

Owner = tuple[bytes, int]
"""An id (16 bytes), and the user (by id) whose it is."""

SCHEMA = "CREATE TABLE owners (id BLOB PRIMARY KEY, user INTEGER NOT NULL) WITHOUT ROWID;"

_SAVE = "INSERT OR IGNORE INTO owners (id, user) VALUES {rows}"


def save_owners(connection: sqlite3.Connection, owners: Sequence[Owner]) -> None:
    """Add ids, within the caller's transaction. Those that are there already change nothing."""
    insert_rows(connection, _SAVE, owners)


def find_owners(connection: sqlite3.Connection, ids: Sequence[bytes]) -> dict[bytes, tuple[int, UserKey]]:
    """Whose these ids are: users by id and key. Ids of nobody, or of users who are deleted, are not in it."""
    found: dict[bytes, tuple[int, UserKey]] = {}
    for part in powers_of_two(ids):
        query = (
            "SELECT owners.id, users.id, users.tenant, users.key FROM owners JOIN users ON users.id = owners.user "
            f"WHERE owners.id IN ({', '.join('?' * len(part))})"
        )
        found |= {row[0]: (row[1], (row[2], row[3])) for row in connection.execute(query, part)}
    return found


def purge_owners(connection: sqlite3.Connection, after: bytes, limit: int) -> bytes | None:
    """Delete those of the next ids that belong to users in `purges`; returns the last one looked at, None at the end.

    O(limit).
    """
    (last,) = connection.execute(
        "SELECT max(id) FROM (SELECT id FROM owners WHERE id > ? ORDER BY id LIMIT ?)", (after, limit)
    ).fetchone()
    if last is None:
        return None
    connection.execute(
        "DELETE FROM owners WHERE id > ? AND id <= ? AND user IN (SELECT user FROM purges)", (after, last)
    )
    return bytes(last)


def count_strays(connection: sqlite3.Connection) -> int:
    """How many ids belong to nobody who is, or is being erased. O(rows)."""
    (count,) = connection.execute(
        "SELECT count(*) FROM owners WHERE user NOT IN (SELECT id FROM users UNION ALL SELECT user FROM purges)"
    ).fetchone()
    return int(count)
