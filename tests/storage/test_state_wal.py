"""The -wal file of the state: copied now and then, so that it stays small, and never at the cost of what was saved."""

import asyncio
import os
import random
from pathlib import Path

import pytest
from msgspec.structs import replace

from plaudit.storage import key_index, state
from plaudit.storage.state import FILE_NAME, Slice, StateStore
from tests.storage.builders import chunk, copy_as_killed, load_history, load_users, opened_state, part, query, user

WAL_NAME = f"{FILE_NAME}-wal"
WAL_BYTES_MAX = 300_000


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "WAL_BYTES_MAX", WAL_BYTES_MAX)


def noisy_slice(number: int) -> Slice:
    """Some 50 kB of a user of its own."""
    noise = random.Random(number).randbytes(50_000)
    return part(replace(user(number, chunk=number), snapshot=noise), chunks=[chunk(number, number, user=number)])


class CopyCounter:
    """Counts the fsyncs of the -wal file: one comes before a copying, one after it."""

    def __init__(self, store: StateStore, patch: pytest.MonkeyPatch) -> None:
        self.copies = 0
        sync = store._sync_wal

        async def sync_and_count() -> None:
            self.copies += 1
            await sync()

        patch.setattr(store, "_sync_wal", sync_and_count)


async def test_the_file_stays_small_and_is_copied_rarely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slices = [noisy_slice(number) for number in range(1, 41)]
    async with opened_state(tmp_path) as store:
        counter, sizes = CopyCounter(store, monkeypatch), []
        for one in slices:
            await store.save(one)
            sizes.append((tmp_path / WAL_NAME).stat().st_size)
            await store.copy_wal()
        assert max(sizes) <= WAL_BYTES_MAX + 75_000
        written = 40 * 75_000
        assert 3 <= counter.copies / 2 <= written / WAL_BYTES_MAX + 2
        assert await load_users(store) == [one.users[0] for one in slices]


async def test_the_index_of_keys_does_not_make_it_large_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_index, "LEVEL_KEYS_MAX", (50, 100, 10_000))
    monkeypatch.setattr(key_index, "MOVE_KEYS_MAX", 50)
    choices = random.Random(1)
    async with opened_state(tmp_path) as store:
        counter = CopyCounter(store, monkeypatch)
        await store.index_keys([(choices.randrange(2**47), 1) for _ in range(4000)])
        assert (tmp_path / WAL_NAME).stat().st_size <= WAL_BYTES_MAX + 450_000
        assert counter.copies >= 1


@pytest.mark.parametrize("erase", [False, True])
async def test_the_file_is_emptied_when_its_pages_are_on_disk_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, erase: bool
) -> None:
    synced: list[tuple[str, int]] = []
    wal = tmp_path / WAL_NAME
    async with opened_state(tmp_path) as store:
        for number in range(1, 9):
            await store.save(noisy_slice(number))
        size = wal.stat().st_size

        def sync(file: int) -> None:
            synced.append((Path(f"/proc/self/fd/{file}").readlink().name, wal.stat().st_size))

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", sync)
            await store.copy_wal(erase=erase)
        assert synced == [(WAL_NAME, size), (FILE_NAME, size), (WAL_NAME, 0)]
        assert wal.stat().st_size == 0


@pytest.mark.parametrize("erase", [False, True])
async def test_what_was_saved_is_there_after_a_kill_at_each_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, erase: bool
) -> None:
    directory = tmp_path / "state"
    directory.mkdir()
    slices = [noisy_slice(number) for number in range(1, 9)]
    copies: list[Path] = []

    def copy() -> None:
        copies.append(copy_as_killed(directory, tmp_path / f"killed-{len(copies)}"))

    async with opened_state(directory) as store:
        for one in slices:
            await store.save(one)
        copy()
        fetch, sync, fsync = store._fetch, store._sync_wal, os.fsync

        async def sync_between_kills() -> None:
            copy()
            await sync()
            copy()

        def fsync_between_kills(descriptor: int) -> None:
            copy()
            fsync(descriptor)
            copy()

        monkeypatch.setattr(store, "_sync_wal", sync_between_kills)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fsync_between_kills)
            await store.copy_wal(erase=erase)
        assert len(copies) >= 7
        assert (directory / WAL_NAME).stat().st_size == 0
        assert await asyncio.create_task(fetch("SELECT count(*) FROM history")) == [(8,)]
        await store.save(noisy_slice(9))
        copy()
    for number, copied in enumerate(copies):
        async with opened_state(copied) as found:
            saved = 9 if number == len(copies) - 1 else 8
            users = await load_users(found)
            assert users == [noisy_slice(each).users[0] for each in range(1, saved + 1)]
            for each in range(1, saved + 1):
                assert len(await load_history(found, each)) == 1


async def test_pages_are_in_the_main_file_before_the_other_one_is_written_over(tmp_path: Path) -> None:
    """A power cut may take the -wal file's new frames: what they replaced must be elsewhere by then."""
    directory = tmp_path / "state"
    directory.mkdir()
    async with opened_state(directory) as store:
        for number in range(1, 9):
            await store.save(noisy_slice(number))
        await store.copy_wal()
        await store.save(noisy_slice(9))
        copied = copy_as_killed(directory, tmp_path / "cut")
    (copied / WAL_NAME).write_bytes(b"")
    assert query(copied / FILE_NAME, "SELECT count(*), max(id) FROM history") == [(8, 8)]


async def test_erasing_leaves_nothing_of_what_was_deleted(tmp_path: Path) -> None:
    secret = b"a secret of 29 bytes, no less"
    async with opened_state(tmp_path) as store:
        await store.save(part(replace(user(1), snapshot=secret), user(2)))
        await store.copy_wal(erase=True)
        stored = [one for one in await load_users(store) if not isinstance(one, Exception)]
        assert secret in (tmp_path / FILE_NAME).read_bytes()
        await store.finish_checkpoint(1, 0, None, [], 0, deletions=[(stored[0], {})])
        await store.purge()
        files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert [name for name, content in files.items() if secret in content] == []


async def test_a_small_file_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened_state(tmp_path) as store:
        counter = CopyCounter(store, monkeypatch)
        await store.save(noisy_slice(1))
        await store.copy_wal()
        assert counter.copies == 0
        assert (tmp_path / WAL_NAME).stat().st_size > 50_000
