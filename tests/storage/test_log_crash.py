"""What a killed process leaves is a log: everything that was appended, or a beginning of it."""

from pathlib import Path

import pytest

from tests.storage.builders import copy_as_killed, opened_log, read_log, record, records, segments, write_log


@pytest.mark.parametrize("segment_size", [30, 2**20])
async def test_an_unclean_end_keeps_everything_that_was_appended(tmp_path: Path, segment_size: int) -> None:
    killed = []
    (tmp_path / "log").mkdir()
    async with opened_log(tmp_path / "log", 1, segment_size=segment_size) as (log, _):
        for one in records(5):
            await log.append(one)
            killed.append(copy_as_killed(tmp_path / "log", tmp_path / f"killed-{one.first}"))
    assert [await read_log(copy) for copy in killed] == [records(number) for number in range(1, 6)]


async def test_an_unclean_end_after_a_takeover_keeps_both_owners_records(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    async with opened_log(tmp_path / "log", 1) as (log, _):
        await log.append(record(1))
        first = copy_as_killed(tmp_path / "log", tmp_path / "first")
    async with opened_log(first, 2) as (log, tail):
        assert tail == [record(1)]
        untouched = copy_as_killed(first, tmp_path / "untouched")
        await log.append(record(2, epoch=2))
        second = copy_as_killed(first, tmp_path / "second")
    assert await read_log(untouched) == [record(1)]
    assert await read_log(second) == [record(1), record(2, epoch=2)]


async def test_a_torn_write_ahead_file_holds_a_beginning(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    async with opened_log(tmp_path / "log", 1) as (log, _):
        await log.append(record(1))
        size = (tmp_path / "log/log-00000001.sqlite-wal").stat().st_size
        await log.append(record(2))
        whole = copy_as_killed(tmp_path / "log", tmp_path / "whole")
    wal = (whole / "log-00000001.sqlite-wal").read_bytes()
    assert size < len(wal)
    found = []
    for end in (size - 1, size, (size + len(wal)) // 2, len(wal) - 1, len(wal)):
        torn = tmp_path / f"torn-{end}"
        torn.mkdir()
        (torn / "log-00000001.sqlite").write_bytes((whole / "log-00000001.sqlite").read_bytes())
        (torn / "log-00000001.sqlite-wal").write_bytes(wal[:end])
        found.append(len(await read_log(torn)))
    assert found == [0, 1, 1, 1, 2]


async def test_what_a_removed_segment_left_behind_is_never_read(tmp_path: Path) -> None:
    """Removing takes three steps; a crash after the first leaves a write-ahead file without its segment."""
    (tmp_path / "log").mkdir()
    async with opened_log(tmp_path / "log", 1) as (log, _):
        await log.append(record(1, body=b"gone"))
        left = copy_as_killed(tmp_path / "log", tmp_path / "left")
    (left / "log-00000001.sqlite").unlink()
    async with opened_log(left, 2, after=1) as (log, tail):
        assert (tail, segments(left)) == ([], ["1"])
        await log.append(record(2))
    assert await read_log(left, after=1) == [record(2)]


async def test_a_crash_while_the_old_segments_are_removed_loses_nothing(tmp_path: Path) -> None:
    """The copy of the tail is whole, and the oldest of several segments is gone already."""
    old, copied = tmp_path / "old", tmp_path / "copied"
    for directory in (old, copied):
        directory.mkdir()
        await write_log(directory, *records(6), segment_size=30)
    assert await read_log(copied) == records(6)
    (copy,) = copied.glob("log-*.sqlite")
    copy.rename(old / "log-00000099.sqlite")
    min(old.glob("log-*.sqlite")).unlink()
    assert len(segments(old)) > 2
    assert await read_log(old) == records(6)
