"""When time does something to each saved user: `timers` in state.sqlite.

A due time is derived from a user and the settings, so rows can be wrong when the settings have changed. `sweep` has the
timing key under which rows are right, and up to which user they are; no position means all. Whatever writes rows under
another key takes that back, in the same transaction.
"""

import json
import sqlite3
from collections.abc import Callable, Sequence

from plaudit.storage import snapshots
from plaudit.storage.errors import Corrupt
from plaudit.storage.rows import insert_rows
from plaudit.storage.snapshots import StoredUser

Due = tuple[int, int]
"""When (Unix ms), and which user (by id): in the order in which users' times come."""
Timer = tuple[int, int | None]
"""A user (by id), and when their time comes; None if it does not."""

SCHEMA = """
CREATE TABLE timers (user INTEGER PRIMARY KEY, due_ms INTEGER NOT NULL);
CREATE INDEX timers_by_due ON timers (due_ms);
CREATE TABLE sweep (id INTEGER PRIMARY KEY CHECK (id = 0), key TEXT NOT NULL, position INTEGER);
INSERT INTO sweep VALUES (0, '', 0);
"""

_SAVE = "INSERT INTO timers (user, due_ms) VALUES {rows} ON CONFLICT DO UPDATE SET due_ms = excluded.due_ms"
_IN_ORDER = "ORDER BY due_ms, user"


def save_timers(connection: sqlite3.Connection, key: str, timers: Sequence[Timer]) -> None:
    """Write due times that are right under a timing key, within the caller's transaction."""
    if timers:
        connection.execute("UPDATE sweep SET key = ?, position = 0 WHERE key <> ?", (key, key))
        _write(connection, timers)


def remove_timer(connection: sqlite3.Connection, user: int) -> None:
    """Forget a user's due time, within the caller's transaction."""
    connection.execute("DELETE FROM timers WHERE user = ?", (user,))


def find_end(connection: sqlite3.Connection, after: Due, limit: int) -> Due | None:
    """The last of the next `limit` rows; None if there are fewer. O(limit)."""
    due_ms, user = after
    same = "FROM timers WHERE due_ms = ? AND user > ?"
    (count,) = connection.execute(f"SELECT count(*) FROM (SELECT 1 {same} LIMIT ?)", (due_ms, user, limit)).fetchone()
    query, values = f"SELECT due_ms, user {same} {_IN_ORDER} LIMIT 1 OFFSET ?", [due_ms, user, limit - 1]
    if count < limit:
        query = f"SELECT due_ms, user FROM timers WHERE due_ms > ? {_IN_ORDER} LIMIT 1 OFFSET ?"
        values = [due_ms, limit - 1 - count]
    found: Due | None = connection.execute(query, values).fetchone()
    return found


def load_timers(connection: sqlite3.Connection, after: Due, through: Due) -> list[Due]:
    """The rows after one place and up to another, in order."""
    between: list[tuple[str, tuple[int, ...]]]
    if after[0] == through[0]:
        between = [("due_ms = ? AND user > ? AND user <= ?", (*after, through[1]))]
    else:  # SQLite would compare pairs one by one
        between = [
            ("due_ms = ? AND user > ?", after),
            ("due_ms > ? AND due_ms < ?", (after[0], through[0])),
            ("due_ms = ? AND user <= ?", through),
        ]
    return [
        row
        for condition, values in between
        for row in connection.execute(f"SELECT due_ms, user FROM timers WHERE {condition} {_IN_ORDER}", values)
    ]


def load_swept_key(connection: sqlite3.Connection) -> str | None:
    """The timing key under which every row is right; None if there is none."""
    (key, position) = connection.execute("SELECT key, position FROM sweep").fetchone()
    return None if position is not None else str(key)


def sweep_timers(
    connection: sqlite3.Connection, key: str, find_due: Callable[[StoredUser], int | None], limit: int, place: str
) -> tuple[list[Due], bool]:
    """Set the next `limit` users' rows right under a key, within the caller's transaction.

    Returns the rows that it has written, and whether it was the last page. Goes on where the last call for the same
    key has come to.
    """
    found, position = connection.execute("SELECT key, position FROM sweep").fetchone()
    after = position if found == key else 0
    if after is None:
        return [], True
    page = snapshots.scan_users(connection, after, limit, place)
    users = [stored for _, stored in page if not isinstance(stored, Corrupt)]
    changed = [(stored.id, due) for stored in users if (due := find_due(stored)) != stored.due_ms]
    _write(connection, changed)
    is_last = len(page) < limit
    connection.execute("UPDATE sweep SET key = ?, position = ?", (key, None if is_last else page[-1][0]))
    return [(due_ms, user) for user, due_ms in changed if due_ms is not None], is_last


def count_strays(connection: sqlite3.Connection) -> int:
    """How many rows belong to nobody. O(rows)."""
    (count,) = connection.execute("SELECT count(*) FROM timers WHERE user NOT IN (SELECT id FROM users)").fetchone()
    return int(count)


def _write(connection: sqlite3.Connection, timers: Sequence[Timer]) -> None:
    insert_rows(connection, _SAVE, [(user, due_ms) for user, due_ms in timers if due_ms is not None])
    ended = [user for user, due_ms in timers if due_ms is None]
    if ended:
        connection.execute("DELETE FROM timers WHERE user IN (SELECT value FROM json_each(?))", (json.dumps(ended),))
