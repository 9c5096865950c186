"""The users as of the last checkpoint, laid out as a log.

`snapshots` is only ever appended to: a user's new snapshot takes the next slot, and `heads` says which slot is the
user's. To change rows in place would write a page for each user of a checkpoint; so they share pages. When there are
more than twice as many slots as users, the oldest ones go: those still in use move to the front, the rest is deleted.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import chain

from msgspec import Struct

from plaudit.engine.commands import UserKey
from plaudit.storage.errors import Corrupt
from plaudit.storage.rows import insert_rows, round_up
from plaudit.storage.seal import seal, unseal

LOOKUP_USERS_MAX = 1024
SLOTS_PER_USER = 2
SLOTS_MIN = 1024
CLEAN_FACTOR = 4
"""How many old slots may be looked through for each snapshot that is written."""

SCHEMA = """
CREATE TABLE users (id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, key TEXT NOT NULL, UNIQUE (tenant, key));
CREATE TABLE heads (user INTEGER PRIMARY KEY, slot INTEGER NOT NULL);
CREATE TABLE snapshots (
    slot INTEGER PRIMARY KEY, user INTEGER NOT NULL, applied INTEGER NOT NULL, chunk INTEGER, body BLOB NOT NULL
);
"""

_SAVE_NAMES = "INSERT INTO users (id, tenant, key) VALUES {rows}"
_SAVE_HEADS = "INSERT OR REPLACE INTO heads (user, slot) VALUES {rows}"
_SAVE_SNAPSHOTS = "INSERT INTO snapshots (slot, user, applied, chunk, body) VALUES {rows}"
_CONTENT = "CAST(applied AS INTEGER), CAST(chunk AS INTEGER), CAST(body AS BLOB)"
"""In a damaged row anything may be a text, even one that is none."""
_COLUMNS = (
    f"users.id, users.tenant, users.key, CAST(heads.slot AS INTEGER), snapshots.user, {_CONTENT}, "
    "CAST(timers.due_ms AS INTEGER)"
)
_JOINS = (
    "LEFT JOIN heads ON heads.user = users.id LEFT JOIN snapshots ON snapshots.slot = heads.slot >> 8 "
    "LEFT JOIN timers ON timers.user = users.id"
)

_Row = tuple[int, str, str, int | None, int | None, int, int | None, bytes | None, int | None]


class StoredUser(Struct, frozen=True):
    """A user as saved: `applied` is the number of the last command in it, `chunk` its newest piece of history."""

    id: int
    key: UserKey
    applied: int
    chunk: int | None
    snapshot: bytes
    due_ms: int | None = None
    """When time does something to the user next, as far as `timers` knows. Saved apart from the rest."""


def save_users(connection: sqlite3.Connection, new: Iterable[StoredUser], users: Sequence[StoredUser]) -> None:
    """Write users, of which `new` have not been written before, within the caller's transaction."""
    insert_rows(connection, _SAVE_NAMES, [(user.id, *user.key) for user in new])
    (first,) = connection.execute("SELECT coalesce(max(slot), 0) + 1 FROM snapshots").fetchone()
    rows = [(slot, u.id, u.applied, u.chunk, _seal(u)) for slot, u in enumerate(users, first)]
    insert_rows(connection, _SAVE_SNAPSHOTS, rows)
    insert_rows(connection, _SAVE_HEADS, [(user.id, _pointer(user.id, slot)) for slot, user in enumerate(users, first)])


def clean_slots(connection: sqlite3.Connection, written: int, users: int) -> None:
    """Free the oldest slots, if there are too many, within the caller's transaction. O(`written`)."""
    oldest, newest = connection.execute(
        "SELECT (SELECT min(slot) FROM snapshots), (SELECT max(slot) FROM snapshots)"  # in one it would be a scan
    ).fetchone()
    if newest is None:
        return
    excess = newest + 1 - oldest - max(SLOTS_MIN, SLOTS_PER_USER * users)
    if excess <= 0:
        return
    end = oldest + min(2 * excess, CLEAN_FACTOR * written)
    kept = connection.execute(
        f"SELECT heads.user, {_CONTENT} FROM snapshots JOIN heads ON heads.user = snapshots.user "
        "WHERE snapshots.slot BETWEEN ? AND ? AND heads.slot >> 8 = snapshots.slot",
        (oldest, end - 1),
    ).fetchall()
    connection.execute("DELETE FROM snapshots WHERE slot BETWEEN ? AND ?", (oldest, end - 1))
    moved = list(enumerate(kept, newest + 1))
    insert_rows(connection, _SAVE_SNAPSHOTS, [(slot, *row) for slot, row in moved])
    insert_rows(connection, _SAVE_HEADS, [(row[0], _pointer(row[0], slot)) for slot, row in moved])


def load_users(
    connection: sqlite3.Connection, keys: Sequence[UserKey], place: str
) -> dict[UserKey, StoredUser | Corrupt]:
    """Those of the users that are saved, or what is wrong with them. One query for each LOOKUP_USERS_MAX keys."""
    rows: list[_Row] = []
    for start in range(0, len(keys), LOOKUP_USERS_MAX):
        part = keys[start : start + LOOKUP_USERS_MAX]
        padded = [*part, *[(None, None)] * (round_up(len(part)) - len(part))]
        rows.extend(connection.execute(_find_users(len(padded)), tuple(chain.from_iterable(padded))))
    return {(row[1], row[2]): _check(row, place) for row in rows}


def load_users_by_id(connection: sqlite3.Connection, ids: Sequence[int], place: str) -> dict[int, StoredUser | Corrupt]:
    """The same for ids. One query."""
    query = f"SELECT {_COLUMNS} FROM users {_JOINS} WHERE users.id IN (SELECT value FROM json_each(?))"
    return {row[0]: _check(row, place) for row in connection.execute(query, (json.dumps(ids),))}


def scan_users(
    connection: sqlite3.Connection, after: int, limit: int, place: str
) -> list[tuple[int, StoredUser | Corrupt]]:
    """The next users by id, or what is wrong with them. O(limit)."""
    query = f"SELECT {_COLUMNS} FROM users {_JOINS} WHERE users.id > ? ORDER BY users.id LIMIT ?"
    return [(row[0], _check(row, place)) for row in connection.execute(query, (after, limit))]


def remove_user(connection: sqlite3.Connection, user: int) -> None:
    """Forget a user's name and snapshot, within the caller's transaction. Older snapshots: see `purge_slots`."""
    for statement in ("DELETE FROM users WHERE id = ?", "DELETE FROM heads WHERE user = ?"):
        connection.execute(statement, (user,))


def purge_slots(connection: sqlite3.Connection, after: int, limit: int) -> int | None:
    """Delete what the next slots hold of users in `purges`; returns the last slot that was looked at, None at the end.

    O(limit).
    """
    row = connection.execute(
        "SELECT max(slot) FROM (SELECT slot FROM snapshots WHERE slot > ? ORDER BY slot LIMIT ?)", (after, limit)
    ).fetchone()
    last: int | None = row[0]
    if last is not None:
        connection.execute(
            "DELETE FROM snapshots WHERE slot > ? AND slot <= ? AND user IN (SELECT user FROM purges)", (after, last)
        )
    return last


@cache
def _find_users(count: int) -> str:
    """Finds users by key. Bound one by one: SQLite's JSON would end a key at a NUL."""
    values = ", ".join(["(?, ?)"] * count)
    return (
        f"WITH wanted (tenant, key) AS (VALUES {values}) SELECT {_COLUMNS} FROM wanted "
        f"CROSS JOIN users ON users.tenant = wanted.tenant AND users.key = wanted.key {_JOINS}"
    )


def _check(row: _Row, place: str) -> StoredUser | Corrupt:
    """A row as a user, if all its parts say that they belong together."""
    id_, tenant, key, pointer, owner, applied, chunk, body, due_ms = row
    where = f"{place}: user {key!r}"
    if pointer is None or owner != id_ or pointer != _pointer(id_, pointer >> 8):
        return Corrupt(f"{where}: the snapshot that it points to is not its own")
    try:
        snapshot = unseal(body, _identity(id_, (tenant, key), applied, chunk), where)
    except Corrupt as error:
        return error
    return StoredUser(id_, (tenant, key), applied, chunk, snapshot, due_ms)


def _seal(user: StoredUser) -> bytes:
    return seal(user.snapshot, _identity(user.id, user.key, user.applied, user.chunk))


def _identity(user: int, key: UserKey, applied: int, chunk: int | None) -> str:
    return f"{user},{applied},{chunk},{key[0]}\0{key[1]}"


def _pointer(user: int, slot: int) -> int:
    """A slot with eight bits of parity over it and its user, so that a flipped bit never points to older news."""
    parity = 0
    for byte in user.to_bytes(8, "big") + slot.to_bytes(8, "big"):
        parity ^= byte
    return slot << 8 | parity
