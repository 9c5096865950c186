from pathlib import Path

import pytest

from plaudit.engine.catalog import Catalog
from plaudit.engine.commands import UserKey
from plaudit.storage.errors import Corrupt, Fenced, InUse, OtherVersion
from plaudit.storage.history import Chunk, EventEntry
from plaudit.storage.schema import SCHEMA_VERSION, SPAN_MS
from plaudit.storage.state import FILE_NAME, Checkpoint, Span, StateStore, key_entries
from tests.catalogs import study_catalog
from tests.engine.builders import CREATED_MS, event_id
from tests.storage.builders import (
    chunk,
    connected,
    edit,
    entry,
    failure,
    load_history,
    load_users,
    no_connection_left_open,
    opened_state,
    part,
    query,
    user,
)


def at(at_ms: int) -> EventEntry:
    return EventEntry(event_id(1), at_ms, 1, 1, 1)


KEYS: list[UserKey] = [
    ("", "sam"),
    ("", "Sam"),
    ("", "sam "),
    ("", "42"),
    ("acme", "sam"),
    ("acme", ""),
    ("", 'quo"te\\[0]'),
    ("", "naïve"),
    ("", "nai\u0308ve"),
    ("", "日本語 👩\u200d💻"),
    ("", "a\u0000b"),
    ("", "a"),
    ("\u0000", "a"),
]


async def test_saved_users_are_found_by_tenant_and_key(tmp_path: Path) -> None:
    users = [user(number, key=key) for number, key in enumerate(KEYS, 1)]
    async with opened_state(tmp_path) as store:
        await store.save(part(*users))
    async with opened_state(tmp_path) as store:
        for one in users:
            assert await store.load_users([one.key]) == {one.key: one}
        assert await store.load_users(KEYS) == {one.key: one for one in users}
        assert await store.load_users([("acme", "42"), ("", "nobody")]) == {}
        assert await load_users(store) == users


async def test_a_later_slice_takes_the_place_of_what_was_saved_of_a_user(tmp_path: Path) -> None:
    async with opened_state(tmp_path) as store:
        await store.save(part(user(1), user(2)))
        await store.save(part(user(2, applied=7, chunk=3), new=()))
        assert await load_users(store) == [user(1), user(2, applied=7, chunk=3)]


@pytest.mark.parametrize("count", [1, 255, 256, 257, 1025, 2100])
async def test_a_slice_may_have_any_number_of_users_and_keys(tmp_path: Path, count: int) -> None:
    numbers = range(1, count + 1)
    users = [user(number, chunk=number) for number in numbers]
    chunks = [chunk(number, number, user=number, keys={number: f"key {number}"}) for number in numbers]
    gateways = {number: b"%d" % number for number in numbers}
    counters = {("completions", number): number for number in numbers}
    async with opened_state(tmp_path) as store:
        await store.save(part(*users, chunks=chunks, counters=counters, gateways=gateways.items()))
        await store.index_keys([found for one in chunks for found in key_entries(one)])
        assert await store.load_users([one.key for one in users]) == {one.key: one for one in users}
        uses = {(number, 1, f"key {number}"): event_id(number) for number in numbers}
        assert await store.find_keys(uses) == uses
        assert await store.load_gateways() == gateways
        assert await store.load_counters() == counters
        assert await load_history(store, count) == [entry(count, f"key {count}")]


async def test_numbers_go_on_after_the_highest_ones(tmp_path: Path) -> None:
    async with opened_state(tmp_path) as store:
        assert await store.next_ids() == (1, 1)
        await store.save(part(user(7), chunks=[chunk(12, 1)]))
    async with opened_state(tmp_path) as store:
        assert await store.next_ids() == (8, 13)


async def test_history_comes_back_in_order_chunk_by_chunk(tmp_path: Path) -> None:
    chunks = [chunk(1, 1, 2), chunk(2, 50, user=2), chunk(3, 3, previous=1), chunk(4, 4, 5, previous=3)]
    async with opened_state(tmp_path) as store:
        await store.save(part(chunks=chunks[:2]))
        for one in chunks[2:]:
            await store.save(part(chunks=[one]))
        assert await store.load_chain(None, 10) == []
        assert await store.load_chain(1, 10) == chunks[:1]
        assert await store.load_chain(4, 10) == [chunks[3], chunks[2], chunks[0]]
        assert await store.load_chain(4, 2) == [chunks[3], chunks[2]]
        assert await store.load_chunks(2, 3) == chunks[1:3]


async def test_history_with_a_hole_is_refused(tmp_path: Path) -> None:
    async with opened_state(tmp_path) as store:
        await store.save(part(chunks=[chunk(2, 2, previous=1)]))
        for start, limit in ((2, 2), (1, 1)):
            with pytest.raises(Corrupt, match=r"state\.sqlite: history 1 is missing"):
                await store.load_chain(start, limit)
        assert await store.load_chain(2, 1) == [chunk(2, 2, previous=1)]


async def test_spans_say_when_the_events_of_a_slice_were(tmp_path: Path) -> None:
    async with opened_state(tmp_path) as store:
        await store.save(part(chunks=[chunk(1, 5, 9), chunk(2, 3, 4, user=2)]))
        await store.save(part())
        await store.save(part(chunks=[chunk(3, 7, previous=1)]))
        older, newer = Span(1, 2, CREATED_MS + 3, CREATED_MS + 9), Span(3, 3, CREATED_MS + 7, CREATED_MS + 9)
        assert await store.load_spans(4) == [newer, older]
        assert await store.load_spans(4, limit=1) == [newer]
        assert await store.load_spans(3) == [older]
        assert await store.load_spans(1) == []


async def test_chunks_that_are_all_later_than_a_time_need_not_be_looked_at(tmp_path: Path) -> None:
    minutes = [0, 1, 5, 5000, 5001, 10_000]
    times = [CREATED_MS + 60_000 * minute for minute in minutes]
    slept = [Chunk(7, 1, None, (at(times[5] + 1),)), Chunk(8, 2, None, (at(times[5] + 5 * SPAN_MS),))]
    async with opened_state(tmp_path) as store:
        assert await store.find_end(CREATED_MS) is None
        for number, at_ms in enumerate(times, 1):
            await store.save(part(chunks=[Chunk(number, 1, None, (at(at_ms),))]))
        await store.save(part(chunks=slept))
        await store.save(part(chunks=[Chunk(9, 1, None, (at(times[5] + 9 * SPAN_MS),))]))
        ends = [await store.find_end(at_ms) for at_ms in (0, times[2], times[3], times[5], times[5] + 1, 2**52)]
    assert ends == [1, 4, 6, 7, 9, None]


async def test_counters_add_up(tmp_path: Path) -> None:
    async with opened_state(tmp_path) as store:
        assert await store.load_counters() == {}
        await store.save(part(counters={("users", 0): 2, ("completions", 7): 1}))
        await store.save(part(counters={("completions", 7): 2, ("completions", 8): 1}))
    async with opened_state(tmp_path) as store:
        assert await store.load_counters() == {("users", 0): 2, ("completions", 7): 3, ("completions", 8): 1}


async def test_names_are_known_by_id(tmp_path: Path) -> None:
    users = [user(number, key=key) for number, key in enumerate(KEYS, 1)]
    async with opened_state(tmp_path) as store:
        await store.save(part(*users))
        assert await store.load_names([*range(1, 100)]) == {one.id: one.key for one in users}
        assert await store.load_names([]) == {}


async def test_users_are_scanned_by_id(tmp_path: Path) -> None:
    users = [user(number) for number in (9, 2, 5)]
    async with opened_state(tmp_path) as store:
        await store.save(part(*users))
        assert await store.scan_users(limit=2) == [(2, user(2)), (5, user(5))]
        assert await store.scan_users(after=5, limit=2) == [(9, user(9))]
        assert await store.scan_users(after=9) == []


async def test_gateways_are_kept_until_a_checkpoint_forgets_them(tmp_path: Path) -> None:
    large = 2**63 - 1
    async with opened_state(tmp_path) as store:
        await store.save(part(gateways=[(1, b"old"), (2, b"other"), (large, b"large")]))
        await store.save(part(gateways=[(1, b"new")]))
        assert await store.load_gateways() == {1: b"new", 2: b"other", large: b"large"}
        await store.finish_checkpoint(5, 0, None, [1, large], 0)
    async with opened_state(tmp_path) as store:
        assert await store.load_gateways() == {1: b"new", large: b"large"}


async def test_a_finished_checkpoint_says_what_is_in(tmp_path: Path) -> None:
    async with opened_state(tmp_path) as store:
        assert store.checkpoint == Checkpoint(0, 0, 0, 0)
        await store.finish_checkpoint(5, 1_000, None, [], 0)
        await store.finish_checkpoint(9, 2_000, None, [], 0)
        assert (store.checkpoint.number, store.checkpoint.applied, store.checkpoint.at_ms) == (2, 9, 2_000)
    async with opened_state(tmp_path) as store:
        assert store.checkpoint == Checkpoint(2, 9, 2_000, 0)


async def test_who_has_to_be_forgotten_is_known_until_they_are(tmp_path: Path) -> None:
    async with opened_state(tmp_path) as store:
        await store.save(part(user(7)))
        await store.finish_checkpoint(5, 0, None, [], 0, deletions=[(user(7), {})], forgets=[7, 9])
        await store.finish_checkpoint(6, 0, None, [], 0, forgets=[3, 7, 8], forgotten=[8, 9, 12])
        assert await store.load_forgets() == [3, 7]
    async with opened_state(tmp_path) as store:
        assert await store.load_forgets() == [3, 7]
        await store.finish_checkpoint(7, 0, None, [], 0, forgotten=[3, 7])
        assert await store.load_forgets() == []


async def test_a_slice_says_how_far_the_log_must_go(tmp_path: Path) -> None:
    async with opened_state(tmp_path) as store:
        await store.save(part(user(1, applied=12), user(2, applied=7)))
        await store.finish_checkpoint(9, 1_000, None, [], 0, recreated=part(user(3, applied=14)))
    async with opened_state(tmp_path) as store:
        assert store.checkpoint == Checkpoint(1, 9, 1_000, 14)


async def test_a_checkpoint_keeps_the_catalog_unless_it_brings_one(tmp_path: Path) -> None:
    catalog = study_catalog()
    async with opened_state(tmp_path) as store:
        assert await store.load_catalog() is None
        for given, kept in ((None, None), (Catalog(), Catalog()), (catalog, catalog), (None, catalog)):
            await store.finish_checkpoint(1, 0, given, [], 0)
            assert await store.load_catalog() == kept


async def test_each_opening_raises_the_epoch(tmp_path: Path) -> None:
    epochs = []
    for _ in range(3):
        async with opened_state(tmp_path) as store:
            epochs.append(store.epoch)
    assert epochs == [1, 2, 3]


async def test_an_older_owner_can_write_nothing(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    async with opened_state(tmp_path) as store:
        old_epoch, checkpoint = store.epoch, store.checkpoint
    async with opened_state(tmp_path) as store:
        epoch = store.epoch
    async with connected(path, SCHEMA_VERSION) as connection:
        older, newest = (StateStore(path, connection, number, checkpoint) for number in (old_epoch, epoch))
        with pytest.raises(Fenced, match=r"state\.sqlite: epoch 1 is over"):
            await older.save(part(user(1)))
        with pytest.raises(Fenced, match=r"state\.sqlite: epoch 1 is over"):
            await older.finish_checkpoint(5, 0, Catalog(), [], 0)
        with pytest.raises(Fenced, match=r"state\.sqlite: epoch 1 is over"):
            await older.index_keys([(1, 1)])
        assert await load_users(newest) == []
        await newest.save(part(user(2)))


async def test_a_checkpoint_follows_the_one_that_its_owner_knows(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    async with opened_state(tmp_path) as store:
        unaware = (store.epoch, store.checkpoint)
        await store.finish_checkpoint(5, 0, Catalog(), [], 0)
    async with connected(path, SCHEMA_VERSION) as connection:
        stale = StateStore(path, connection, *unaware)
        with pytest.raises(Fenced, match=r"state\.sqlite: checkpoint 0 is not the last one any more"):
            await stale.finish_checkpoint(3, 0, study_catalog(), [], 0)
        aware = StateStore(path, connection, unaware[0], Checkpoint(1, 5, 0, 0))
        await aware.finish_checkpoint(6, 0, None, [], 0)
        assert await aware.load_catalog() == Catalog()


async def test_the_state_has_one_owner_at_a_time(tmp_path: Path) -> None:
    async with opened_state(tmp_path):
        assert isinstance(await failure(StateStore.open(tmp_path)), InUse)


async def test_a_state_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    async with opened_state(tmp_path) as store:
        await store.save(part(user(1)))
    edit(path, f"UPDATE meta SET schema = {SCHEMA_VERSION + 1}", "DROP TABLE gateways")
    with no_connection_left_open():
        error = await failure(StateStore.open(tmp_path))
    assert isinstance(error, OtherVersion)
    assert str(error) == f"{path}: of schema {SCHEMA_VERSION + 1}; this version of Plaudit reads {SCHEMA_VERSION}"
    assert query(path, "SELECT name FROM sqlite_master WHERE name = 'gateways'") == []


@pytest.mark.parametrize(
    ("damage", "where"),
    [("UPDATE history SET entries = x'c1'", "history 1"), ("UPDATE catalog SET body = x'c1'", "catalog")],
)
async def test_what_cannot_be_decoded_is_corrupt(tmp_path: Path, damage: str, where: str) -> None:
    async with opened_state(tmp_path) as store:
        await store.save(part(chunks=[chunk(1, 1)]))
        await store.finish_checkpoint(1, 0, study_catalog(), [], 0)
    edit(tmp_path / FILE_NAME, damage)
    async with opened_state(tmp_path) as store:
        loading = store.load_catalog() if where == "catalog" else load_history(store, 1)
        error = await failure(loading)
    assert isinstance(error, Corrupt)
    assert str(error).startswith(f"{tmp_path / FILE_NAME}: {where}")
