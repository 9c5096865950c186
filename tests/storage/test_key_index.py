"""The index of idempotency keys, with levels so small that keys move all the time."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.storage import key_index, state
from plaudit.storage.errors import Corrupt
from plaudit.storage.key_index import HASH_MAX, LEVELS, KeyEntry, KeyUse, hash_key
from plaudit.storage.state import FILE_NAME, key_entries
from tests.engine.builders import DETERMINISTIC, event_id
from tests.storage.builders import chunk, edit, opened_state, part, query

HASHES = st.sampled_from([0, 1, 2, 3, 100, 101, 2**46, HASH_MAX - 1, HASH_MAX])
ENTRIES = st.lists(st.tuples(HASHES, st.integers(1, 4)), min_size=1, max_size=5, unique=True).map(sorted)
STEPS = st.lists(
    st.tuples(st.just("add"), ENTRIES)
    | st.tuples(st.just("remove"), st.lists(st.tuples(HASHES, st.integers(1, 4)), max_size=3))
    | st.tuples(st.just("move"), st.integers(0, LEVELS - 2))
    | st.tuples(st.just("settle"), st.none()),
    max_size=25,
)


@pytest.fixture(autouse=True, scope="module")
def tiny() -> Iterator[None]:
    """Levels and ranges of a few keys."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(key_index, "LEVEL_KEYS_MAX", (2, 3, 5))
        patch.setattr(key_index, "MOVE_KEYS_MAX", 2)
        yield


def new_index() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(key_index.SCHEMA)
    return connection


def settle(connection: sqlite3.Connection) -> None:
    """Move keys on until no level has too many."""
    moves = 0
    while (level := key_index.find_full_level(connection)) is not None:
        key_index.move_keys(connection, level)
        moves += 1
        assert moves < 100


def levels_of(connection: sqlite3.Connection) -> list[set[KeyEntry]]:
    return [set(connection.execute(f"SELECT hash, chunk FROM keys_{level}")) for level in range(LEVELS)]


def check(connection: sqlite3.Connection, known: dict[KeyEntry, None]) -> None:
    """Everything that is known is found, in one level unless it was added again, and the counts are right."""
    levels = levels_of(connection)
    assert set.union(*levels) == known.keys()
    counts = connection.execute("SELECT keys FROM key_levels ORDER BY level").fetchall()
    assert counts == [(len(level),) for level in levels]
    hashes = sorted({hash_ for hash_, _ in known} | {7})
    assert set(key_index.find_entries(connection, hashes)) == known.keys()
    for hash_ in hashes:
        assert set(key_index.find_entries(connection, [hash_])) == {entry for entry in known if entry[0] == hash_}


@settings(DETERMINISTIC, max_examples=200)
@given(STEPS)
def test_nothing_is_lost_while_ranges_move(steps: list[tuple[str, object]]) -> None:
    known: dict[KeyEntry, None] = {}
    with closing(new_index()) as connection:
        for step, what in steps:
            if step == "add":
                assert isinstance(what, list)
                key_index.add_keys(connection, what)
                known |= dict.fromkeys(what)
            elif step == "remove":
                assert isinstance(what, list)
                key_index.remove_entries(connection, what)
                known = {entry: None for entry in known if entry not in what}
            elif step == "move":
                assert isinstance(what, int)
                key_index.move_keys(connection, what)
            else:
                settle(connection)
                assert all(len(level) <= bound for level, bound in zip(levels_of(connection), (2, 3, 5), strict=False))
            check(connection, known)


@DETERMINISTIC
@given(st.lists(st.tuples(HASHES, st.integers(1, 9)), unique=True, max_size=40))
def test_a_key_that_is_added_once_is_in_one_level(entries: list[KeyEntry]) -> None:
    with closing(new_index()) as connection:
        for start in range(0, len(entries), 3):
            key_index.add_keys(connection, sorted(entries[start : start + 3]))
            settle(connection)
        assert sum(len(level) for level in levels_of(connection)) == len(entries)
        assert sorted(key_index.find_entries(connection, sorted({hash_ for hash_, _ in entries} | {5}))) == sorted(
            entries
        )


def test_moving_goes_round_the_ring_of_hashes() -> None:
    """What came first is not what moves always: every range has its turn."""
    with closing(new_index()) as connection:
        key_index.add_keys(connection, [(hash_, 1) for hash_ in (10, 20, 30, 40, 50)])
        moved = []
        for added in ((11, 1), (12, 1), (13, 1)):
            before = levels_of(connection)[0]
            key_index.move_keys(connection, 0)
            moved.append({hash_ for hash_, _ in before - levels_of(connection)[0]})
            key_index.add_keys(connection, [added])
        assert moved == [{10, 20}, {30, 40}, {50}]
        key_index.move_keys(connection, 0)
        assert levels_of(connection)[0] == {(13, 1)}


def test_no_key_removed_is_no_key_counted() -> None:
    with closing(new_index()) as connection:
        key_index.add_keys(connection, [(1, 1)])
        key_index.remove_entries(connection, [])
        key_index.remove_entries(connection, [(1, 2), (2, 1)])
        check(connection, {(1, 1): None})


def test_hashes_are_what_they_were() -> None:
    """They are in files."""
    assert hash_key((1, 2, "order-4711")) == 29737884438497
    uses: list[KeyUse] = [(1, 2, "3"), (12, 3, ""), (1, 23, ""), (1, 2, " 3"), (2, 1, "3"), (1, 2, "日本")]
    assert len({hash_key(use) for use in uses}) == len(uses)
    assert all(0 <= hash_key(use) <= HASH_MAX for use in uses)


async def test_keys_of_one_hash_are_told_apart_by_what_the_chunks_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "hash_key", lambda use: len(use[2]))
    chunks = [
        chunk(1, 1, 2, keys={1: "a", 2: "b"}),
        chunk(2, 3, user=2, keys={3: "a"}),
        chunk(3, 4, 5, previous=1, keys={5: "cc"}),
    ]
    unused = [(3, 1, "a"), (1, 2, "a"), (1, 1, "A"), (2, 1, "b"), (1, 1, "dd"), (1, 1, "eee")]
    async with opened_state(tmp_path) as store:
        assert await store.find_keys([]) == {}
        assert await store.find_keys([(1, 1, "a")]) == {}
        await store.save(part(chunks=chunks))
        await store.index_keys([entry for one in chunks for entry in key_entries(one)])
    async with opened_state(tmp_path) as store:
        used = {
            (1, 1, "a"): event_id(1),
            (1, 1, "b"): event_id(2),
            (2, 1, "a"): event_id(3),
            (1, 1, "cc"): event_id(5),
        }
        assert await store.find_keys([*used, *unused]) == used
        for use, event in used.items():
            assert await store.find_keys([use]) == {use: event}
        assert await store.find_keys(unused) == {}


async def test_keys_in_a_chunk_that_cannot_be_read_are_the_only_ones_not_known(tmp_path: Path) -> None:
    chunks = [chunk(number, number, user=number, keys={number: "k"}) for number in (1, 2, 3)]
    async with opened_state(tmp_path) as store:
        await store.save(part(chunks=chunks))
        await store.index_keys([entry for one in chunks for entry in key_entries(one)])
    edit(tmp_path / FILE_NAME, "DELETE FROM history WHERE id = 1", "UPDATE history SET user = 3 WHERE id = 2")
    async with opened_state(tmp_path) as store:
        found = await store.find_keys([(number, 1, "k") for number in (1, 2, 3)])
    assert {use: isinstance(event, Corrupt) for use, event in found.items()} == {
        (1, 1, "k"): True,
        (2, 1, "k"): True,
        (3, 1, "k"): False,
    }


async def test_indexing_again_what_a_kill_left_indexed_changes_nothing(tmp_path: Path) -> None:
    """Keys may have moved on since."""
    chunks = [chunk(number, number, keys={number: f"k{number}"}) for number in range(1, 10)]
    entries = [entry for one in chunks for entry in key_entries(one)]
    uses: dict[KeyUse, bytes] = {(1, 1, f"k{number}"): event_id(number) for number in range(1, 10)}
    async with opened_state(tmp_path) as store:
        await store.save(part(chunks=chunks))
        for _ in range(3):
            await store.index_keys(list(entries))
            assert await store.find_keys(uses) == uses
    path = tmp_path / FILE_NAME
    for level, (keys,) in enumerate(query(path, "SELECT keys FROM key_levels ORDER BY level")):
        assert query(path, f"SELECT count(*) FROM keys_{level}") == [(keys,)]


@pytest.mark.parametrize("user", [1, 2**40])
@pytest.mark.parametrize("count", [1, 2, 3, 300])
async def test_keys_are_found_however_many_are_asked_for(tmp_path: Path, count: int, user: int) -> None:
    one = chunk(1, *range(1, count + 1), user=user, keys={number: f"k{number}" for number in range(1, count + 1)})
    async with opened_state(tmp_path) as store:
        await store.save(part(chunks=[one]))
        await store.index_keys(key_entries(one))
        uses: dict[KeyUse, bytes] = {(user, 1, f"k{number}"): event_id(number) for number in range(1, count + 1)}
        assert await store.find_keys([*uses, (user, 1, "unused")]) == uses
