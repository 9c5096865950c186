"""A slice of a checkpoint is whole or not there, wherever it was cut short."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from plaudit.storage.errors import Corrupt
from plaudit.storage.history import Chunk
from plaudit.storage.state import FILE_NAME, Slice
from tests.storage.builders import (
    chunk,
    copy_as_killed,
    entry,
    load_history,
    load_users,
    opened_state,
    part,
    user,
)

WAL_NAME = f"{FILE_NAME}-wal"


class Interrupted(list[Chunk]):
    """Chunks that do something else when they are written: the users of their slice are, by then."""

    def __init__(self, chunks: list[Chunk], interrupt: Callable[[], object]) -> None:
        super().__init__(chunks)
        self._interrupt = interrupt

    def __iter__(self) -> Iterator[Chunk]:
        interrupt, self._interrupt = self._interrupt, lambda: None
        interrupt()
        return super().__iter__()


def large_slice() -> Slice:
    """More than SQLite keeps in memory, so that it writes ahead before the end."""
    noise = random.Random(1)
    users = [replace(user(number), chunk=number, snapshot=noise.randbytes(40_000)) for number in range(1, 81)]
    chunks = [chunk(number, number, user=number) for number in range(1, 81)]
    return part(*users, chunks=chunks, counters={("users", 0): 80}, gateways=[(1, b"replies")])


async def test_a_slice_that_was_being_written_is_not_there(tmp_path: Path) -> None:
    whole, killed = large_slice(), tmp_path / "killed"
    (tmp_path / "state").mkdir()
    async with opened_state(tmp_path / "state") as store:
        await store.save(part(gateways=[(1, b"before")]))
        await store._connection.execute("PRAGMA cache_spill=ON")
        interrupted = Interrupted(whole.chunks, lambda: copy_as_killed(tmp_path / "state", killed))
        await store.save(replace(whole, chunks=interrupted))
        finished = copy_as_killed(tmp_path / "state", tmp_path / "finished")
    assert (killed / WAL_NAME).stat().st_size > 1_000_000
    async with opened_state(killed) as store:
        assert await load_users(store) == []
        assert await store.load_gateways() == {1: b"before"}
        assert await store.load_counters() == {}
        assert await store.load_spans(100) == []
        await store.save(whole)
    async with opened_state(finished) as store:
        assert await load_users(store) == whole.users
        assert await load_history(store, 80) == [entry(80)]
        assert await store.load_counters() == {("users", 0): 80}
        assert await store.load_gateways() == {1: b"replies"}


async def test_a_slice_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    async with opened_state(tmp_path) as store:
        await store.save(part(user(1), chunks=[chunk(1, 1)]))
        with pytest.raises(Corrupt, match=r"state\.sqlite: UNIQUE constraint failed"):
            await store.save(part(user(1, applied=9), user(2), new=[user(2)], chunks=[chunk(2, 2), chunk(1, 3)]))
    async with opened_state(tmp_path) as store:
        assert await load_users(store) == [user(1)]
        assert await store.next_ids() == (2, 2)


async def test_a_torn_write_ahead_file_holds_whole_slices(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    sizes = []
    async with opened_state(tmp_path / "state") as store:
        for number in (1, 2):
            await store.save(part(user(number, chunk=number), chunks=[chunk(number, number, user=number)]))
            sizes.append((tmp_path / "state" / WAL_NAME).stat().st_size)
        whole = copy_as_killed(tmp_path / "state", tmp_path / "whole")
    wal, found = (whole / WAL_NAME).read_bytes(), []
    assert len(wal) == sizes[1]
    for end in (sizes[0] - 1, sizes[0], sum(sizes) // 2, sizes[1] - 1, sizes[1]):
        torn = tmp_path / f"torn-{end}"
        torn.mkdir()
        (torn / FILE_NAME).write_bytes((whole / FILE_NAME).read_bytes())
        (torn / WAL_NAME).write_bytes(wal[:end])
        async with opened_state(torn) as store:
            users = await load_users(store)
            assert users == [user(number, chunk=number) for number in range(1, len(users) + 1)]
            for number in range(1, len(users) + 1):
                assert await load_history(store, number) == [entry(number)]
            found.append(len(users))
    assert found == [0, 1, 1, 1, 2]


async def test_a_finished_checkpoint_survives_a_kill(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    async with opened_state(tmp_path / "state") as store:
        await store.save(part(user(1)))
        unfinished = copy_as_killed(tmp_path / "state", tmp_path / "unfinished")
        await store.finish_checkpoint(1, 1_000, None, [], 0)
        finished = copy_as_killed(tmp_path / "state", tmp_path / "finished")
    for copy, applied in ((unfinished, 0), (finished, 1)):
        async with opened_state(copy) as store:
            assert store.checkpoint.applied == applied
            assert await load_users(store) == [user(1)]
