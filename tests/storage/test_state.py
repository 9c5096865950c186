from pathlib import Path

import pytest

from plaudit.engine.catalog import Catalog
from plaudit.engine.commands import UserKey
from plaudit.storage.errors import Corrupt, Fenced, InUse
from plaudit.storage.state import FILE_NAME, Checkpoint, StateStore
from tests.catalogs import study_catalog
from tests.storage.builders import (
    chunk,
    connected,
    edit,
    entry,
    failure,
    no_connection_left_open,
    opened_state,
    part,
    query,
    user,
)

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
            assert await store.load_users([one.key]) == [one]
        assert sorted(await store.load_users(KEYS), key=lambda found: found.id) == users
        assert await store.load_users([("acme", "42"), ("", "nobody")]) == []
        assert sorted(await store.load_all_users(), key=lambda found: found.id) == users


async def test_a_later_slice_takes_the_place_of_what_was_saved_of_a_user(tmp_path: Path) -> None:
    async with opened_state(tmp_path) as store:
        await store.save(part(user(1), user(2)))
        await store.save(part(user(2, applied=7, chunk=3)))
        assert await store.load_all_users() == [user(1), user(2, applied=7, chunk=3)]


@pytest.mark.parametrize("count", [1, 255, 256, 257, 1025, 2100])
async def test_a_slice_may_have_any_number_of_users_and_keys(tmp_path: Path, count: int) -> None:
    users = [user(number, chunk=number) for number in range(1, count + 1)]
    chunks = tuple(chunk(number, number, user=number) for number in range(1, count + 1))
    keys = {number.to_bytes(16, "big"): b"%d" % number for number in range(1, count + 1)}
    async with opened_state(tmp_path) as store:
        await store.save(part(*users, chunks=chunks, keys=tuple(keys.items()), gateways=tuple(enumerate(keys))))
        assert sorted(await store.load_users([one.key for one in users]), key=lambda found: found.id) == users
        assert await store.find_keys(keys) == keys
        assert await store.load_gateways() == dict(enumerate(keys))
        assert await store.load_history(count) == [entry(count)]


async def test_numbers_go_on_after_the_highest_ones(tmp_path: Path) -> None:
    async with opened_state(tmp_path) as store:
        assert await store.next_ids() == (1, 1)
        await store.save(part(user(7), chunks=(chunk(12, 1),)))
    async with opened_state(tmp_path) as store:
        assert await store.next_ids() == (8, 13)


async def test_history_comes_back_in_order_chunk_by_chunk(tmp_path: Path) -> None:
    async with opened_state(tmp_path) as store:
        await store.save(part(chunks=(chunk(1, 1, 2), chunk(2, 50, user=2))))
        await store.save(part(chunks=(chunk(3, 3, previous=1),)))
        await store.save(part(chunks=(chunk(4, 4, 5, previous=3),)))
        assert await store.load_history(None) == []
        assert await store.load_history(1) == [entry(1), entry(2)]
        assert await store.load_history(4) == [entry(number) for number in range(1, 6)]


async def test_history_with_a_hole_is_refused(tmp_path: Path) -> None:
    async with opened_state(tmp_path) as store:
        await store.save(part(chunks=(chunk(2, 2, previous=1),)))
        with pytest.raises(Corrupt, match=r"state\.sqlite: history 1 is missing"):
            await store.load_history(2)


async def test_an_idempotency_key_is_found_by_its_whole_digest(tmp_path: Path) -> None:
    low, high, same_hash = b"\x00" * 15 + b"\x01", b"\xff" * 16, b"\x00" * 15 + b"\x02"
    unused = [b"\x00" * 15 + b"\x03", b"\x00" * 16, b"\xff" * 15 + b"\x00", b"\x01" + b"\x00" * 14 + b"\x01"]
    async with opened_state(tmp_path) as store:
        assert await store.find_keys([low]) == {}
        await store.save(part(keys=((low, b"first"), (high, b"second"))))
        await store.save(part(keys=((same_hash, b"third"),)))
    async with opened_state(tmp_path) as store:
        assert await store.find_keys([low, high, same_hash, *unused]) == {
            low: b"first",
            high: b"second",
            same_hash: b"third",
        }
        assert await store.find_keys(unused) == {}


async def test_gateways_are_kept_until_a_checkpoint_forgets_them(tmp_path: Path) -> None:
    large = 2**63 - 1
    async with opened_state(tmp_path) as store:
        await store.save(part(gateways=((1, b"old"), (2, b"other"), (large, b"large"))))
        await store.save(part(gateways=((1, b"new"),)))
        assert await store.load_gateways() == {1: b"new", 2: b"other", large: b"large"}
        await store.finish_checkpoint(5, 0, None, [1, large])
    async with opened_state(tmp_path) as store:
        assert await store.load_gateways() == {1: b"new", large: b"large"}


async def test_a_finished_checkpoint_says_what_is_in(tmp_path: Path) -> None:
    async with opened_state(tmp_path) as store:
        assert store.checkpoint == Checkpoint(0, 0, 0, 0)
        await store.finish_checkpoint(5, 1_000, None, [])
        await store.finish_checkpoint(9, 2_000, None, [])
        assert store.checkpoint == Checkpoint(2, 9, 2_000, 0)
    async with opened_state(tmp_path) as store:
        assert store.checkpoint == Checkpoint(2, 9, 2_000, 0)


async def test_a_checkpoint_keeps_the_catalog_unless_it_brings_one(tmp_path: Path) -> None:
    catalog = study_catalog()
    async with opened_state(tmp_path) as store:
        assert await store.load_catalog() is None
        for given, kept in ((None, None), (Catalog(), Catalog()), (catalog, catalog), (None, catalog)):
            await store.finish_checkpoint(1, 0, given, [])
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
    async with connected(path) as connection:
        older, newest = (StateStore(path, connection, number, checkpoint) for number in (old_epoch, epoch))
        with pytest.raises(Fenced, match=r"state\.sqlite: epoch 1 is over"):
            await older.save(part(user(1)))
        with pytest.raises(Fenced, match=r"state\.sqlite: epoch 1 is over"):
            await older.finish_checkpoint(5, 0, Catalog(), [])
        assert await newest.load_all_users() == []
        await newest.save(part(user(2)))


async def test_a_checkpoint_follows_the_one_that_its_owner_knows(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    async with opened_state(tmp_path) as store:
        unaware = (store.epoch, store.checkpoint)
        await store.finish_checkpoint(5, 0, Catalog(), [])
    async with connected(path) as connection:
        stale = StateStore(path, connection, *unaware)
        with pytest.raises(Fenced, match=r"state\.sqlite: checkpoint 0 is not the last one any more"):
            await stale.finish_checkpoint(3, 0, study_catalog(), [])
        aware = StateStore(path, connection, unaware[0], Checkpoint(1, 5, 0, 0))
        await aware.finish_checkpoint(6, 0, None, [])
        assert await aware.load_catalog() == Catalog()


async def test_the_state_has_one_owner_at_a_time(tmp_path: Path) -> None:
    async with opened_state(tmp_path):
        assert isinstance(await failure(StateStore.open(tmp_path)), InUse)


async def test_a_state_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    async with opened_state(tmp_path) as store:
        await store.save(part(user(1)))
    edit(path, "UPDATE meta SET schema = 2", "DROP TABLE gateways")
    with no_connection_left_open():
        error = await failure(StateStore.open(tmp_path))
    assert isinstance(error, Corrupt)
    assert str(error) == f"{path}: of schema 2; this version of Plaudit reads 1"
    assert query(path, "SELECT name FROM sqlite_master WHERE name = 'gateways'") == []


@pytest.mark.parametrize(
    ("damage", "where"),
    [("UPDATE history SET entries = x'c1'", "history 1"), ("UPDATE catalog SET body = x'c1'", "catalog")],
)
async def test_what_cannot_be_decoded_is_corrupt(tmp_path: Path, damage: str, where: str) -> None:
    async with opened_state(tmp_path) as store:
        await store.save(part(chunks=(chunk(1, 1),)))
        await store.finish_checkpoint(1, 0, study_catalog(), [])
    edit(tmp_path / FILE_NAME, damage)
    async with opened_state(tmp_path) as store:
        loading = store.load_catalog() if where == "catalog" else store.load_history(1)
        error = await failure(loading)
    assert isinstance(error, Corrupt)
    assert str(error).startswith(f"{tmp_path / FILE_NAME}: {where}")
