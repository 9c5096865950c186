from pathlib import Path

import pytest

from plaudit.storage.errors import Corrupt, Fenced, InUse
from plaudit.storage.log import Log
from tests.storage.builders import failure, opened_log, read_log, record, records, segments, write_log

SMALL = 30
"""A segment size that two records of the tests fill."""


async def test_a_new_log_is_empty(tmp_path: Path) -> None:
    assert await read_log(tmp_path) == []


async def test_what_was_appended_is_there_again(tmp_path: Path) -> None:
    written = [record(1, 3), record(4), record(5, 2)]
    await write_log(tmp_path, *written)
    assert await read_log(tmp_path) == written


async def test_each_owner_continues_where_the_last_one_stopped(tmp_path: Path) -> None:
    written = [record(number, epoch=number) for number in range(1, 5)]
    for number, one in enumerate(written, 1):
        async with opened_log(tmp_path, epoch=number) as (log, tail):
            assert tail == written[: number - 1]
            await log.append(one)
    assert await read_log(tmp_path) == written


async def test_the_tail_is_what_lies_above_the_checkpoint(tmp_path: Path) -> None:
    await write_log(tmp_path, *records(4))
    assert await read_log(tmp_path, after=2) == records(4)[2:]


async def test_a_log_below_the_checkpoint_has_no_tail_and_goes_on_above_it(tmp_path: Path) -> None:
    await write_log(tmp_path, *records(4))
    async with opened_log(tmp_path, 2, after=4) as (log, tail):
        assert tail == []
        await log.append(record(5))
    assert await read_log(tmp_path, after=4) == [record(5)]


@pytest.mark.parametrize("first", [1, 2, 4])
async def test_a_record_that_is_not_the_next_one_is_refused(tmp_path: Path, first: int) -> None:
    async with opened_log(tmp_path, 1) as (log, _):
        await log.append(record(1, 2))
        with pytest.raises(Corrupt, match=f"log-00000001.sqlite: record {first} cannot follow 2"):
            await log.append(record(first))
        await log.append(record(3))
    assert await read_log(tmp_path) == [record(1, 2), record(3)]


async def test_a_full_segment_is_followed_by_the_next(tmp_path: Path) -> None:
    async with opened_log(tmp_path, 1, segment_size=SMALL) as (log, _):
        for one in records(5):
            await log.append(one)
        assert segments(tmp_path)[:3] == ["1", "2", "3"]
    assert await read_log(tmp_path) == records(5)


async def test_cutting_removes_the_segments_that_are_wholly_below(tmp_path: Path) -> None:
    async with opened_log(tmp_path, 1, segment_size=SMALL) as (log, _):
        for one in records(8):
            await log.append(one)
        found = []
        for through in (0, 1, 2, 5, 6, 8):
            await log.cut(through)
            found.append("".join(segments(tmp_path)))
    ends = [name.rstrip("5") for name in found]  # the fifth may be open already, for what comes next
    assert ends == ["1234", "1234", "234", "34", "4", "4"]
    assert await read_log(tmp_path, after=6) == records(8)[6:]


async def test_reopening_leaves_one_segment_under_a_number_of_its_own(tmp_path: Path) -> None:
    await write_log(tmp_path, *records(8), segment_size=SMALL)
    last = max(map(int, segments(tmp_path)))
    async with opened_log(tmp_path, 2):
        assert segments(tmp_path) == [str(last + 1)]


@pytest.mark.parametrize("segment_size", [SMALL, 10 * SMALL])
async def test_closing_a_log_that_nobody_needs_leaves_nothing(tmp_path: Path, segment_size: int) -> None:
    log, _ = await Log.open(tmp_path, 1, 0, segment_size=segment_size)
    for one in records(5):
        await log.append(one)
    await log.close(through=5)
    assert list(tmp_path.iterdir()) == []


async def test_closing_a_log_with_something_above_the_checkpoint_keeps_it(tmp_path: Path) -> None:
    log, _ = await Log.open(tmp_path, 1, 0, segment_size=SMALL)
    for one in records(5):
        await log.append(one)
    await log.close(through=4)
    assert await read_log(tmp_path, after=4) == [record(5)]


async def test_an_older_owner_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    await write_log(tmp_path, *records(3), epoch=7)
    error = await failure(Log.open(tmp_path, 6, 0))
    assert isinstance(error, Fenced)
    assert str(error).startswith(f"{tmp_path}/log-00000001.sqlite: ")
    assert await read_log(tmp_path, epoch=8) == records(3)


async def test_a_log_has_one_owner_at_a_time(tmp_path: Path) -> None:
    async with opened_log(tmp_path, 1) as (log, _):
        error = await failure(Log.open(tmp_path, 2, 0))
        assert isinstance(error, InUse)
        assert "log-00000001.sqlite" in str(error)
        await log.append(record(1))
    assert await read_log(tmp_path) == [record(1)]
