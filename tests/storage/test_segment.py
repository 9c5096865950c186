from pathlib import Path

import pytest

from plaudit.storage.errors import Fenced, InUse, OtherVersion
from plaudit.storage.segment import Segment
from tests.storage.builders import connected, copy_as_killed, edit, failure, opened_segment, query, record, records


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log-00000001.sqlite"


async def write_segment(path: Path, epoch: int, count: int) -> None:
    async with opened_segment(path, epoch) as segment:
        for one in records(count):
            await segment.append(one)


async def test_records_come_back_in_order_of_number(path: Path) -> None:
    async with opened_segment(path, 1) as segment:
        for one in reversed(records(3)):
            await segment.append(one)
        assert await segment.read() == records(3)


async def test_a_record_is_in_the_file_when_append_returns(path: Path) -> None:
    async with opened_segment(path, 1) as segment:
        await segment.append(record(1))
        copy = copy_as_killed(path.parent, path.parent.parent / f"{path.parent.name}-killed")
    assert query(copy / path.name, "SELECT first FROM log") == [(1,)]


async def test_appending_needs_the_newest_epoch(path: Path) -> None:
    await write_segment(path, 5, 1)
    async with connected(path) as connection:
        older, newest = Segment(path, connection, 4), Segment(path, connection, 5)
        with pytest.raises(Fenced, match=r"log-00000001\.sqlite: epoch 4 is over"):
            await older.append(record(2))
        await newest.append(record(2))
        assert await newest.read() == records(2)


@pytest.mark.parametrize(("epoch", "is_taken_over"), [(4, False), (5, True), (6, True)])
async def test_opening_takes_over_from_no_newer_owner(path: Path, epoch: int, is_taken_over: bool) -> None:
    await write_segment(path, 5, 1)
    if is_taken_over:
        await (await Segment.open(path, epoch)).close()
    else:
        assert isinstance(await failure(Segment.open(path, epoch)), Fenced)
    assert query(path, "SELECT epoch FROM meta") == [(max(epoch, 5),)]


async def test_a_segment_of_a_newer_version_is_refused(path: Path) -> None:
    await write_segment(path, 1, 1)
    edit(path, "UPDATE meta SET schema = 2")
    error = await failure(Segment.open(path, 2))
    assert isinstance(error, OtherVersion)
    assert str(error) == f"{path}: of schema 2; this version of Plaudit reads 1"
    assert query(path, "SELECT epoch FROM meta") == [(1,)]


async def test_a_refused_segment_is_let_go(path: Path) -> None:
    await write_segment(path, 5, 1)
    await failure(Segment.open(path, 4))
    edit(path, "UPDATE meta SET epoch = 1")  # SQLite would say that it is locked
    await write_segment(path, 4, 0)


async def test_an_open_segment_is_in_use(path: Path) -> None:
    async with opened_segment(path, 1):
        error = await failure(Segment.open(path, 2))
    assert isinstance(error, InUse)
    assert str(error) == f"{path}: open in another process"


async def test_size_counts_what_is_appended(path: Path) -> None:
    async with opened_segment(path, 1) as segment:
        sizes = [segment.size]
        for one in (record(1, body=b"x" * 100), record(2, 3, body=b"y" * 10)):
            await segment.append(one)
            sizes.append(segment.size)
    assert sizes == [0, 104, 126]


async def test_copying_in_is_all_or_nothing(path: Path) -> None:
    async with opened_segment(path, 1) as segment:
        await segment.copy_in(records(2))
        assert await segment.read() == records(2)
        await failure(segment.copy_in([record(3), record(2)]))
    assert query(path, "SELECT first FROM log") == [(1,), (2,)]


async def test_removing_leaves_nothing(path: Path) -> None:
    segment = await Segment.open(path, 1)
    await segment.append(record(1))
    await segment.remove()
    assert list(path.parent.iterdir()) == []


async def test_a_removal_that_is_cut_short_leaves_an_empty_segment(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segment = await Segment.open(path, 1)
    await segment.append(record(1))
    unlink, killed = Path.unlink, path.parent.parent / f"{path.parent.name}-killed"

    def kill_before_main(file: Path, missing_ok: bool = False) -> None:
        if file == path:
            copy_as_killed(path.parent, killed)
            raise KeyboardInterrupt
        unlink(file, missing_ok)

    monkeypatch.setattr(Path, "unlink", kill_before_main)
    with pytest.raises(KeyboardInterrupt):
        await segment.remove()
    reopened = await Segment.open(killed / path.name, 2, trust="appended")
    assert await reopened.read() == []
    await reopened.close()
