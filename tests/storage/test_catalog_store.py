import hashlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from plaudit.engine.catalog import Catalog
from plaudit.storage.catalog_store import (
    FILE_NAME,
    SCHEMA_VERSION,
    AdminKey,
    CatalogStore,
    ClockTimes,
    KeySource,
)
from plaudit.storage.errors import Corrupt, InUse, OtherVersion, Unusable
from tests.catalogs import study_catalog
from tests.storage.builders import copy_as_killed, edit, failure, no_connection_left_open, query

ENVIRONMENT: KeySource = "environment"


@asynccontextmanager
async def opened_store(data: Path) -> AsyncIterator[CatalogStore]:
    store = await CatalogStore.open(data)
    try:
        yield store
    finally:
        await store.close()


def key(prefix: str) -> AdminKey:
    return AdminKey(prefix, hashlib.sha256(prefix.encode()).digest())


async def keys_in(store: CatalogStore) -> set[AdminKey]:
    keys = await store.load_keys()
    assert len(set(keys)) == len(keys)
    return set(keys)


async def test_without_a_version_the_catalog_is_empty(tmp_path: Path) -> None:
    async with opened_store(tmp_path) as store:
        assert await store.load() == Catalog()
        assert await store.load_keys() == []


async def test_the_newest_version_is_in_force_and_the_others_are_kept(tmp_path: Path) -> None:
    first = study_catalog()
    versions = [replace(first, version=version) for version in (1, 2, 10)]
    async with opened_store(tmp_path) as store:
        for version in versions:
            await store.save(version, 1_000 + version.version)
            assert await store.load() == version
    async with opened_store(tmp_path) as store:
        assert await store.load() == versions[-1]
    assert query(tmp_path / FILE_NAME, "SELECT version, at_ms FROM versions") == [(1, 1001), (2, 1002), (10, 1010)]


async def test_a_version_is_written_once(tmp_path: Path) -> None:
    async with opened_store(tmp_path) as store:
        await store.save(study_catalog(), 1)
        with pytest.raises(sqlite3.IntegrityError):
            await store.save(replace(Catalog(), version=study_catalog().version), 2)
        assert await store.load() == study_catalog()


async def test_a_version_and_a_key_survive_a_kill(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    async with opened_store(tmp_path / "data") as store:
        await store.save(study_catalog(), 1)
        await store.save_key(key("one"), ENVIRONMENT, 1)
        killed = copy_as_killed(tmp_path / "data", tmp_path / "killed")
    async with opened_store(killed) as store:
        assert await store.load() == study_catalog()
        assert await keys_in(store) == {key("one")}


async def test_a_key_from_the_environment_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    async with opened_store(tmp_path) as store:
        await store.save_key(key("made"), "first start", 1)
        await store.save_key(key("old"), ENVIRONMENT, 2)
        await store.save_key(key("new"), ENVIRONMENT, 3)
        assert await keys_in(store) == {key("made"), key("new")}
        await store.save_key(key("new"), ENVIRONMENT, 4)
    async with opened_store(tmp_path) as store:
        assert await keys_in(store) == {key("made"), key("new")}


async def test_other_keys_stand_beside_each_other(tmp_path: Path) -> None:
    async with opened_store(tmp_path) as store:
        await store.save_key(key("environment"), ENVIRONMENT, 1)
        await store.save_key(key("one"), "first start", 2)
        await store.save_key(key("two"), "first start", 3)
        assert await keys_in(store) == {key("environment"), key("one"), key("two")}


async def test_the_times_of_a_test_clock_survive_a_kill(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    async with opened_store(tmp_path / "data") as store:
        assert await store.load_clock() is None
        for times in (ClockTimes(1, 1), ClockTimes(1, 2**53)):
            await store.save_clock(times)
            assert await store.load_clock() == times
        killed = copy_as_killed(tmp_path / "data", tmp_path / "killed")
    async with opened_store(killed) as store:
        assert await store.load_clock() == ClockTimes(1, 2**53)


async def test_a_file_of_schema_1_keeps_what_it_has_and_has_no_test_clock(tmp_path: Path) -> None:
    async with opened_store(tmp_path) as store:
        await store.save(study_catalog(), 1)
        await store.save_key(key("one"), ENVIRONMENT, 1)
    edit(tmp_path / FILE_NAME, "DROP TABLE test_clock", "UPDATE meta SET schema = 1")
    async with opened_store(tmp_path) as store:
        assert await store.load() == study_catalog()
        assert await keys_in(store) == {key("one")}
        assert await store.load_clock() is None
        await store.save_clock(ClockTimes(1, 2))
    assert query(tmp_path / FILE_NAME, "SELECT schema FROM meta") == [(SCHEMA_VERSION,)]


async def test_what_cannot_be_written_is_told_by_file(tmp_path: Path) -> None:
    async with opened_store(tmp_path) as store:
        await store._connection.execute_fetchall("PRAGMA query_only = ON")
        for writing in (store.save(study_catalog(), 1), store.save_clock(ClockTimes(1, 2))):
            error = await failure(writing)
            assert isinstance(error, Unusable)
            assert str(error).startswith(f"{tmp_path / FILE_NAME}: ")


async def test_an_open_catalog_is_in_use(tmp_path: Path) -> None:
    async with opened_store(tmp_path):
        error = await failure(CatalogStore.open(tmp_path))
    assert isinstance(error, InUse)
    assert str(error) == f"{tmp_path / FILE_NAME}: open in another process"


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ("UPDATE meta SET schema = 3", f"of schema 3; this version of Plaudit reads {SCHEMA_VERSION}"),
        ("UPDATE meta SET schema = 0", f"of schema 0; this version of Plaudit reads {SCHEMA_VERSION}"),
        ("UPDATE versions SET body = x'c1'", ""),
        ("UPDATE versions SET body = x'9101'", ""),
    ],
)
async def test_what_is_no_catalog_is_refused_by_file(tmp_path: Path, damage: str, complaint: str) -> None:
    async with opened_store(tmp_path) as store:
        await store.save(study_catalog(), 1)
    edit(tmp_path / FILE_NAME, damage)

    async def load() -> Catalog:
        async with opened_store(tmp_path) as store:
            return await store.load()

    with no_connection_left_open():
        error = await failure(load())
    assert isinstance(error, OtherVersion if "schema" in damage else Corrupt)
    assert str(error).startswith(f"{tmp_path / FILE_NAME}: {complaint}")


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"not a database, but long enough to look like one" * 100)
    with no_connection_left_open():
        error = await failure(CatalogStore.open(tmp_path))
    assert isinstance(error, Corrupt)
    assert str(error).startswith(f"{tmp_path / FILE_NAME}: ")


async def test_a_key_that_nobody_has_seen_gives_way_to_the_next(tmp_path: Path) -> None:
    async with opened_store(tmp_path) as store:
        await store.save_key(key("lost"), "unseen", 1)
        assert not await store.has_seen_key()
        await store.save_key(key("shown"), "unseen", 2)
        await store.mark_seen()
        assert await store.has_seen_key()
        assert await keys_in(store) == {key("shown")}
