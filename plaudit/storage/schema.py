"""The tables of state.sqlite, and the way there from every older version of them."""

import contextlib
import sqlite3
from collections.abc import Callable, Mapping
from itertools import count

import msgspec

from plaudit.engine.snapshot import decode_user
from plaudit.engine.tally import Counter, add_up, tally
from plaudit.engine.timezones import local_day
from plaudit.storage import key_index, owners, snapshots, timers
from plaudit.storage.errors import Corrupt
from plaudit.storage.history import Chunk, EventEntry, encode_chunk
from plaudit.storage.key_index import hash_key
from plaudit.storage.seal import UNDECODABLE, seal
from plaudit.storage.snapshots import StoredUser

SCHEMA_VERSION = 4

SCAN_USERS = 1000
SPAN_MS = 86_400_000
LONG_SPAN = f"until_ms - from_ms > {SPAN_MS}"
"""Events wait seconds for a checkpoint, or minutes while a backup holds it; days if the machine slept meanwhile."""

_TABLES_OF_2 = (
    """
CREATE TABLE checkpoint (
    id INTEGER PRIMARY KEY CHECK (id = 0), number INTEGER NOT NULL, applied INTEGER NOT NULL, at_ms INTEGER NOT NULL,
    reached INTEGER NOT NULL, indexed INTEGER NOT NULL, next_user INTEGER NOT NULL, next_chunk INTEGER NOT NULL
);
CREATE TABLE history (
    id INTEGER PRIMARY KEY, user INTEGER NOT NULL, previous INTEGER, entries BLOB NOT NULL
);
CREATE TABLE spans (
    first INTEGER PRIMARY KEY, last INTEGER NOT NULL, from_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL
);
CREATE INDEX spans_by_time ON spans (until_ms);
CREATE TABLE counters (
    name TEXT NOT NULL, number INTEGER NOT NULL, value INTEGER NOT NULL, PRIMARY KEY (name, number)
) WITHOUT ROWID;
CREATE TABLE purges (user INTEGER PRIMARY KEY, chunk INTEGER);
"""
    + f"CREATE INDEX long_spans ON spans (first) WHERE {LONG_SPAN};"
    + snapshots.SCHEMA
    + key_index.SCHEMA
)
_TABLES_OF_3 = timers.SCHEMA + owners.SCHEMA
_TABLES_OF_4 = "CREATE TABLE forgets (user INTEGER PRIMARY KEY);"

SCHEMA = (
    """
BEGIN;
CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 0), schema INTEGER NOT NULL, epoch INTEGER NOT NULL
);
CREATE TABLE catalog (id INTEGER PRIMARY KEY CHECK (id = 0), body BLOB NOT NULL);
CREATE TABLE gateways (id INTEGER PRIMARY KEY, replies BLOB NOT NULL);
"""
    + _TABLES_OF_2
    + _TABLES_OF_3
    + _TABLES_OF_4
    + """
INSERT INTO meta VALUES (0, {schema}, 0);
INSERT INTO checkpoint VALUES (0, 0, 0, 0, 0, 0, 1, 1);
COMMIT;
"""
)


def _from_1(connection: sqlite3.Connection) -> None:
    """Schema 1 had a user's snapshot in its row, keys by other hashes, and no checksums, counters or times."""
    for table in ("users", "history", "checkpoint"):
        connection.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
    connection.execute("DROP TABLE idempotency")
    for (body,) in connection.execute("SELECT body FROM catalog").fetchall():
        connection.execute("UPDATE catalog SET body = ?", (seal(body, "catalog"),))
    for id_, replies in connection.execute("SELECT id, replies FROM gateways").fetchall():
        connection.execute("UPDATE gateways SET replies = ? WHERE id = ?", (seal(replies, f"gateway {id_}"), id_))
    _create(connection, _TABLES_OF_2)
    zones = _move_users(connection)
    _move_history(connection, zones)
    connection.execute(
        "INSERT INTO checkpoint SELECT 0, number, applied, at_ms, reached, "
        "(SELECT coalesce(max(id), 0) FROM history), (SELECT coalesce(max(id), 0) + 1 FROM users), "
        "(SELECT coalesce(max(id), 0) + 1 FROM history) FROM old_checkpoint"
    )
    for table in ("users", "history", "checkpoint"):
        connection.execute(f"DROP TABLE old_{table}")


def _move_users(connection: sqlite3.Connection) -> dict[int, str | None]:
    """Takes the users over; returns their time zones by id."""
    zones: dict[int, str | None] = {}
    completions: dict[int, int] = {}
    for id_, tenant, key, applied, chunk, snapshot in connection.execute(
        "SELECT id, tenant, key, applied, chunk, snapshot FROM old_users ORDER BY id"
    ):
        stored = StoredUser(id_, (tenant, key), applied, chunk, snapshot)
        snapshots.save_users(connection, [stored], [stored])
        user = decode_user(snapshot)
        zones[id_] = user.profile.tz
        for number in user.completions:
            completions[number] = completions.get(number, 0) + 1
    connection.execute("INSERT INTO counters VALUES ('users', 0, ?)", (len(zones),))
    connection.executemany("INSERT INTO counters VALUES ('completions', ?, ?)", completions.items())
    return zones


def _move_history(connection: sqlite3.Connection, zones: dict[int, str | None]) -> None:
    """Takes the events over, each with the day that it has in its user's zone of now.

    Their commands' numbers are not known; what tells events of one millisecond apart must be lower than those to come.
    """
    decoder = msgspec.msgpack.Decoder(tuple[EventEntry, ...])
    numbers = count(1)
    until_ms = 0
    for id_, user, previous, entries in connection.execute(
        "SELECT id, user, previous, entries FROM old_history ORDER BY id"
    ):
        events = tuple(
            msgspec.structs.replace(entry, number=next(numbers), day=local_day(entry.at_ms, zones[user]))
            for entry in decoder.decode(entries)
        )
        chunk = Chunk(id_, user, previous, events)
        connection.execute("INSERT INTO history VALUES (?, ?, ?, ?)", (id_, user, previous, encode_chunk(chunk)))
        times = [entry.at_ms for entry in events]
        until_ms = max(until_ms, *times)
        connection.execute("INSERT INTO spans VALUES (?, ?, ?, ?)", (id_, id_, min(times), until_ms))
        used = [(user, entry.metric, entry.idempotency_key) for entry in events if entry.idempotency_key is not None]
        for use in used:
            key_index.add_keys(connection, [(hash_key(use), id_)])


def _from_2(connection: sqlite3.Connection) -> None:
    """Schema 2 had no timers: the first sweep finds when everybody's time comes."""
    _create(connection, _TABLES_OF_3)


def _from_3(connection: sqlite3.Connection) -> None:
    """Schema 3 counted users and completions only, and completions by what events did; it had no leaderboards."""
    _create(connection, _TABLES_OF_4)
    counters: dict[Counter, int] = {}
    after = 0
    while page := snapshots.scan_users(connection, after, SCAN_USERS, "state.sqlite"):
        for _, stored in page:
            if not isinstance(stored, Corrupt):
                with contextlib.suppress(*UNDECODABLE):
                    add_up(counters, tally(None, decode_user(stored.snapshot)))
        after = page[-1][0]
    users = [value for (value,) in connection.execute("SELECT value FROM counters WHERE name = 'users'")]
    counters["users", 0] = users[0] if users else 0
    connection.execute("DELETE FROM counters")
    connection.executemany("INSERT INTO counters VALUES (?, ?, ?)", [(*c, value) for c, value in counters.items()])


def _create(connection: sqlite3.Connection, tables: str) -> None:
    """Run a script within the caller's transaction."""
    for statement in tables.split(";")[:-1]:
        connection.execute(statement)


MIGRATIONS: Mapping[int, Callable[[sqlite3.Connection], None]] = {1: _from_1, 2: _from_2, 3: _from_3}
"""What brings a file of each older version to the next."""
