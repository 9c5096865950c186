"""The log of snapshots: nobody is lost when it is cleaned, and no damage to it goes unnoticed."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from plaudit.storage import snapshots, timers
from plaudit.storage.errors import Corrupt
from plaudit.storage.snapshots import CLEAN_FACTOR, SLOTS_PER_USER, StoredUser
from plaudit.storage.sqlite import UNREADABLE
from tests.engine.builders import DETERMINISTIC
from tests.storage.builders import user

PLACE = "state.sqlite"
SLOTS_MIN = 4
USERS = st.integers(1, 12)
STEPS = st.lists(
    st.tuples(st.just("save"), st.sets(USERS, min_size=1, max_size=12))
    | st.tuples(st.just("remove"), USERS.map(lambda number: {number})),
    max_size=40,
)


@pytest.fixture(autouse=True, scope="module")
def few_slots() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshots, "SLOTS_MIN", SLOTS_MIN)
        yield


def new_log() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(snapshots.SCHEMA + timers.SCHEMA + "CREATE TABLE purges (user INTEGER PRIMARY KEY);")
    return connection


class Snapshots:
    """What a checkpoint does with users, and what must be found after it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.saved: dict[int, StoredUser] = {}
        self._ids = 100

    def save(self, numbers: set[int]) -> None:
        """Save a slice, and clean as often as a checkpoint does: once."""
        new = {number: user(number) for number in numbers if number not in self.saved}
        for number in new:
            self._ids += 1
            new[number] = replace(user(self._ids), key=("", f"user-{number}"))
        old = {n: replace(self.saved[n], applied=self.saved[n].applied + 1) for n in numbers if n in self.saved}
        written = [replace(one, snapshot=b"%d at %d" % (one.id, one.applied)) for one in (new | old).values()]
        self.saved |= dict(zip((new | old).keys(), written, strict=True))
        snapshots.save_users(self.connection, list(new.values()), written)
        snapshots.clean_slots(self.connection, len(written), len(self.saved))

    def remove(self, number: int) -> None:
        if number in self.saved:
            removed = self.saved.pop(number).id
            snapshots.remove_user(self.connection, removed)
            self.connection.executemany("INSERT INTO purges VALUES (?)", [(removed,), (99_999,)])
            slot: int | None = 0
            while slot is not None:
                slot = snapshots.purge_slots(self.connection, slot, 3)
            self.connection.execute("DELETE FROM purges")
            assert self.count(f"WHERE user = {removed}") == 0

    def count(self, where: str = "") -> int:
        rows = self.connection.execute(f"SELECT count(*) FROM snapshots {where}").fetchone()
        return int(rows[0])

    def check(self) -> None:
        wanted = [("", "nobody"), *(one.key for one in self.saved.values())]
        assert snapshots.load_users(self.connection, wanted, PLACE) == {one.key: one for one in self.saved.values()}
        by_id = sorted((one.id, one) for one in self.saved.values())
        assert snapshots.scan_users(self.connection, 0, 1000, PLACE) == by_id


@settings(DETERMINISTIC, max_examples=200)
@given(STEPS)
def test_everybody_is_there_whatever_was_saved_and_cleaned(steps: list[tuple[str, set[int]]]) -> None:
    with closing(new_log()) as connection:
        found = Snapshots(connection)
        for step, numbers in steps:
            if step == "save":
                found.save(numbers)
            else:
                found.remove(*numbers)
            found.check()


@settings(DETERMINISTIC, max_examples=100)
@given(st.lists(st.sets(st.integers(1, 30), min_size=1, max_size=8), min_size=20, max_size=60))
def test_there_are_little_more_than_twice_as_many_slots_as_users(slices: list[set[int]]) -> None:
    with closing(new_log()) as connection:
        found = Snapshots(connection)
        for numbers in slices:
            found.save(numbers)
            users = len(found.saved)
            assert found.count() <= max(SLOTS_MIN, SLOTS_PER_USER * users) + users / CLEAN_FACTOR + len(numbers)


def test_users_who_never_come_again_make_cleaning_late_but_not_endless() -> None:
    """The oldest slots are all in use: moving them frees nothing, and those that are free come after them."""
    with closing(new_log()) as connection:
        found = Snapshots(connection)
        found.save(set(range(1, 201)))
        counts = []
        for _ in range(200):
            found.save({197, 198, 199, 200})
            counts.append(found.count())
        assert 2 * 200 + 40 < max(counts) <= 2 * 200 + 200 / CLEAN_FACTOR + 4
        found.check()


@pytest.mark.parametrize("written", [0, 1, 3])
def test_cleaning_looks_at_a_few_slots_for_each_that_was_written(written: int) -> None:
    with closing(new_log()) as connection:
        users = [user(number) for number in range(1, 51)]
        snapshots.save_users(connection, users, users)
        changes = connection.total_changes
        snapshots.clean_slots(connection, written, 10)
        assert connection.total_changes - changes <= 3 * CLEAN_FACTOR * written


def test_nothing_is_cleaned_of_nothing() -> None:
    with closing(new_log()) as connection:
        snapshots.clean_slots(connection, 5, 0)
        assert snapshots.load_users(connection, [], PLACE) == {}
        assert snapshots.scan_users(connection, 0, 10, PLACE) == []
        assert snapshots.purge_slots(connection, 0, 10) is None


POINTERS = {
    "another user's": "(SELECT slot FROM heads WHERE user = 2)",
    "an older one": "(SELECT min(slot) FROM snapshots WHERE user = 1) * 256 + (slot & 255)",
    "one that is not there": "slot + 256 * 64",
    "one that cannot be": "-1",
    "nothing": "NULL",
    "a text": "'garbage'",
}


@pytest.mark.parametrize("pointer", POINTERS.values(), ids=POINTERS)
def test_a_pointer_to_another_snapshot_is_noticed(pointer: str) -> None:
    with closing(new_log()) as connection:
        found = Snapshots(connection)
        found.save({1, 2})
        found.save({1})
        ada, bob = found.saved[1], found.saved[2]
        connection.executescript(
            "DROP TABLE IF EXISTS copy; CREATE TABLE copy AS SELECT user, slot FROM heads; DROP TABLE heads;"
            "CREATE TABLE heads (user INTEGER PRIMARY KEY, slot INTEGER);"
            f"INSERT INTO heads SELECT user - 100, slot FROM copy;"
            f"UPDATE heads SET slot = {pointer} WHERE user = 1; UPDATE heads SET user = user + 100;"
        )
        loaded = snapshots.load_users(connection, [ada.key, bob.key], PLACE)
        assert isinstance(loaded[ada.key], Corrupt)
        assert str(loaded[ada.key]).startswith(f"{PLACE}: user '{ada.key[1]}': ")
        assert loaded[bob.key] == bob


def pages(connection: sqlite3.Connection, table: str) -> list[int]:
    """Where in the file the bits in use of a table's only page are."""
    (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    start = 4096 * (root - 1)
    page = connection.serialize()[start : start + 4096]
    cells, content = int.from_bytes(page[3:5], "big"), int.from_bytes(page[5:7], "big")
    assert page[0] == 13, "a leaf"
    used = [*range(8 + 2 * cells), *range(content, 4096)]
    return [8 * (start + byte) + bit for byte in used for bit in range(8)]


@pytest.mark.parametrize("table", ["heads", "snapshots"])
def test_any_flipped_bit_is_noticed_or_harmless(table: str) -> None:
    """Users are what they were, or damaged, or SQLite finds the page to be: never others, and nobody is missing."""
    with closing(new_log()) as connection:
        found = Snapshots(connection)
        for numbers in ({1, 2, 3}, {1}, {2, 3}, {1}):
            found.save(numbers)
        whole, bits = connection.serialize(), pages(connection, table)
    noticed = 0
    for bit in bits:
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.deserialize(bytes(damaged))
            try:
                loaded = snapshots.load_users(connection, [one.key for one in found.saved.values()], PLACE)
            except UNREADABLE:
                noticed += 1
                continue
        wrong = [one for one in found.saved.values() if loaded[one.key] != one]
        assert all(isinstance(loaded[one.key], Corrupt) for one in wrong)
        noticed += bool(wrong)
    assert noticed > 100
