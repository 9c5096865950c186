"""A state of another version: a newer one is refused, an older one becomes one of today or stays as it is."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from plaudit.engine.amounts import UNIT
from plaudit.engine.snapshot import encode_user
from plaudit.engine.tally import bucket_of
from plaudit.engine.user import Profile, User
from plaudit.storage import sqlite, state
from plaudit.storage.catalog_store import CatalogStore
from plaudit.storage.errors import Corrupt, OtherVersion
from plaudit.storage.history import EventEntry
from plaudit.storage.schema import MIGRATIONS, SCHEMA_VERSION
from plaudit.storage.segment import Segment
from plaudit.storage.snapshots import StoredUser
from plaudit.storage.state import FILE_NAME, Checkpoint, Span, StateStore
from tests.catalogs import study_catalog
from tests.engine.builders import day as day_of
from tests.engine.builders import event_id, instant
from tests.storage.builders import copy_as_killed, edit, failure, load_history, load_users, opened_state, query

SCHEMA_1 = """
CREATE TABLE meta (id INTEGER PRIMARY KEY CHECK (id = 0), schema INTEGER NOT NULL, epoch INTEGER NOT NULL);
CREATE TABLE checkpoint (
    id INTEGER PRIMARY KEY CHECK (id = 0), number INTEGER NOT NULL, applied INTEGER NOT NULL, at_ms INTEGER NOT NULL,
    reached INTEGER NOT NULL
);
CREATE TABLE catalog (id INTEGER PRIMARY KEY CHECK (id = 0), body BLOB NOT NULL);
CREATE TABLE users (
    id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, key TEXT NOT NULL, applied INTEGER NOT NULL,
    chunk INTEGER, snapshot BLOB NOT NULL, UNIQUE (tenant, key)
);
CREATE TABLE history (id INTEGER PRIMARY KEY, user INTEGER NOT NULL, previous INTEGER, entries BLOB NOT NULL);
CREATE TABLE idempotency (
    hash INTEGER NOT NULL, verify INTEGER NOT NULL, event BLOB NOT NULL, PRIMARY KEY (hash, verify)
) WITHOUT ROWID;
CREATE TABLE gateways (id INTEGER PRIMARY KEY, replies BLOB NOT NULL);
INSERT INTO meta VALUES (0, 1, 5);
INSERT INTO checkpoint VALUES (0, 3, 40, 1000, 41);
"""
NOON = instant("2026-03-02T12:00")
LATE = instant("2026-03-02T23:30")
USERS = [
    StoredUser(2, ("", "ada"), 40, 4, encode_user(User(Profile(NOON, NOON, tz="Asia/Tokyo"), {1: UNIT}, {7: 1, 8: 2}))),
    StoredUser(5, ("acme", "bob"), 39, 3, encode_user(User(Profile(NOON, NOON), {1: UNIT}, {7: 1}, {2: 25}))),
]


def old_entry(number: int, at_ms: int, key: str | None = None) -> EventEntry:
    return EventEntry(event_id(number), at_ms, 1, UNIT, number * UNIT, {"subject": "maths"}, idempotency_key=key)


HISTORY: dict[int, tuple[int, int | None, list[EventEntry]]] = {
    1: (2, None, [old_entry(1, NOON, "k1"), old_entry(2, LATE)]),
    3: (5, None, [old_entry(3, NOON, "k1"), old_entry(4, NOON, "k2"), old_entry(5, NOON)]),
    4: (2, 1, [old_entry(6, LATE, "k2"), old_entry(7, LATE)]),
}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A state as version 1 left it."""
    path = tmp_path / FILE_NAME
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(SCHEMA_1)
        connection.execute("INSERT INTO catalog VALUES (0, ?)", (msgspec.msgpack.encode(study_catalog()),))
        connection.execute("INSERT INTO gateways VALUES (?, ?)", (2**63 - 1, b"replies"))
        for one in USERS:
            row = (one.id, *one.key, one.applied, one.chunk, one.snapshot)
            connection.execute("INSERT INTO users VALUES (?, ?, ?, ?, ?, ?)", row)
        for id_, (user, previous, entries) in HISTORY.items():
            content = msgspec.msgpack.encode([[*msgspec.structs.astuple(entry)[:10]] for entry in entries])
            connection.execute("INSERT INTO history VALUES (?, ?, ?, ?)", (id_, user, previous, content))
    return path


async def test_an_older_state_becomes_one_of_today(old: Path) -> None:
    for epoch in (6, 7):
        async with opened_state(old.parent) as store:
            assert store.epoch == epoch
            assert store.checkpoint == Checkpoint(3, 40, 1000, 41)
            assert await load_users(store) == USERS
            assert await store.load_catalog() == study_catalog()
            assert await store.load_gateways() == {2**63 - 1: b"replies"}
            assert await store.load_counters() == {
                ("users", 0): 2,
                ("completions", 7): 2,
                ("completions", 8): 1,
                ("points", bucket_of(2, 25)): 1,
            }
            assert await store.next_ids() == (6, 5)
            assert await store.load_unindexed() == []
            assert await store.load_forgets() == []
            assert await store.load_names([2, 5]) == {2: ("", "ada"), 5: ("acme", "bob")}
    assert query(old, "SELECT schema FROM meta") == [(SCHEMA_VERSION,)]
    assert query(old, "SELECT name FROM sqlite_master WHERE name LIKE 'old%' OR name = 'idempotency'") == []


@pytest.mark.parametrize("schema", MIGRATIONS)
async def test_every_older_state_gets_the_tables_that_there_are_today(tmp_path: Path, old: Path, schema: int) -> None:
    """One of a later schema than the first is made by the steps to it."""
    tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name"
    with closing(sqlite3.connect(old, isolation_level=None)) as connection:
        for step in range(1, schema):
            MIGRATIONS[step](connection)
        connection.execute("UPDATE meta SET schema = ?", (schema,))
    new = tmp_path / "new"
    new.mkdir()
    async with opened_state(new), opened_state(old.parent) as store:
        await store.finish_checkpoint(41, 1000, None, [], 4, forgets=[2, 5], forgotten=[5])
        assert await store.load_forgets() == [2]
    assert query(old, tables) == query(new / FILE_NAME, tables)


async def test_keys_of_an_older_state_are_known(old: Path) -> None:
    async with opened_state(old.parent) as store:
        used = {
            (2, 1, "k1"): event_id(1),
            (5, 1, "k1"): event_id(3),
            (5, 1, "k2"): event_id(4),
            (2, 1, "k2"): event_id(6),
        }
        assert await store.find_keys([*used, (2, 1, "k3"), (2, 2, "k1")]) == used
    assert query(old, "SELECT keys FROM key_levels WHERE level = 0") == [(4,)]


async def test_events_of_an_older_state_have_a_day_and_an_order(old: Path) -> None:
    """Where events were at the same time, the number is what tells their positions apart."""
    async with opened_state(old.parent) as store:
        ada, bob = await load_history(store, 4), await load_history(store, 3)
        spans = await store.load_spans(100)
    without = [msgspec.structs.replace(entry, number=0, day=0) for entry in ada + bob]
    assert without == [*HISTORY[1][2], *HISTORY[4][2], *HISTORY[3][2]]
    today, tomorrow = day_of("2026-03-02"), day_of("2026-03-03")
    assert [entry.day for entry in ada] == [today, tomorrow, tomorrow, tomorrow]
    assert [entry.day for entry in bob] == [today] * 3
    assert spans == [Span(4, 4, LATE, LATE), Span(3, 3, NOON, LATE), Span(1, 1, NOON, LATE)]
    for entries in (ada, bob):
        order = [(entry.at_ms, entry.number) for entry in entries]
        assert order == sorted(set(order))
    assert len({(entry.at_ms, entry.number) for entry in ada + bob}) == 7
    assert all(0 < entry.number <= 40 for entry in ada + bob), "what comes next has higher numbers"


async def test_a_migration_that_is_cut_short_leaves_the_file_as_it_was(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dump(old)
    copies: list[Path] = []

    def migrate_and_be_killed(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA cache_size=0")  # spill everything to the -wal file
        MIGRATIONS[1](connection)
        copies.append(copy_as_killed(old.parent, tmp_path / "killed") / FILE_NAME)
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(state, "MIGRATIONS", {**MIGRATIONS, 1: migrate_and_be_killed})
        assert isinstance(await failure(StateStore.open(old.parent)), RuntimeError)
    for path in (old, *copies):
        assert dump(path) == before
        async with opened_state(path.parent) as store:
            assert await load_users(store) == USERS


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


@pytest.mark.parametrize(
    "damage", ["UPDATE history SET entries = x'c1'", "UPDATE users SET snapshot = x'c1'", "UPDATE history SET user = 9"]
)
async def test_an_older_state_that_cannot_be_read_is_corrupt_and_left_as_it_is(old: Path, damage: str) -> None:
    edit(old, damage)
    before = dump(old)
    error = await failure(StateStore.open(old.parent))
    assert isinstance(error, Corrupt)
    assert str(error).startswith(f"{old}: ")
    assert dump(old) == before


@pytest.mark.parametrize("found", [SCHEMA_VERSION + 1, SCHEMA_VERSION + 7, 0, -1])
async def test_a_state_that_no_way_leads_from_is_refused(tmp_path: Path, found: int) -> None:
    path = tmp_path / FILE_NAME
    async with opened_state(tmp_path):
        pass
    edit(path, f"UPDATE meta SET schema = {found}")
    before = dump(path)
    error = await failure(StateStore.open(tmp_path))
    assert isinstance(error, OtherVersion)
    assert str(error) == f"{path}: of schema {found}; this version of Plaudit reads {SCHEMA_VERSION}"
    assert dump(path) == before


async def test_steps_follow_each_other(tmp_path: Path) -> None:
    path = tmp_path / "any.sqlite"
    tables = "CREATE TABLE meta (schema INTEGER); CREATE TABLE steps (number); INSERT INTO meta VALUES ({})"
    async with sqlite.opening(path, tables.format(1), 1) as connection:
        await connection.close()

    def step(number: int) -> dict[int, Callable[[sqlite3.Connection], None]]:
        def run(raw: sqlite3.Connection) -> None:
            raw.execute("INSERT INTO steps VALUES (?)", (number,))

        return {number: run}

    for there in (step(1), step(2), step(1) | step(3), {}):
        with pytest.raises(OtherVersion, match=r"any\.sqlite: of schema 1; this version of Plaudit reads 4"):
            async with sqlite.opening(path, "", 4, migrations=there):
                pass
    async with sqlite.opening(path, "", 4, migrations=step(3) | step(0) | step(2) | step(1)) as connection:
        await connection.close()
    assert query(path, "SELECT number FROM steps ORDER BY rowid") == [(1,), (2,), (3,)]
    assert query(path, "SELECT schema FROM meta") == [(4,)]


async def test_other_files_have_no_older_versions(tmp_path: Path) -> None:
    segment = await Segment.open(tmp_path / "log-00000001.sqlite", 1)
    await segment.close()
    catalog = await CatalogStore.open(tmp_path)
    await catalog.close()
    for path in (segment.path, tmp_path / "catalog.sqlite"):
        edit(path, "UPDATE meta SET schema = 0")
    assert isinstance(await failure(Segment.open(segment.path, 2)), OtherVersion)
    assert isinstance(await failure(CatalogStore.open(tmp_path)), OtherVersion)
