"""A log that is not what was written is refused, with the file and the record."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from plaudit.storage.errors import Corrupt, OtherVersion, StorageError
from plaudit.storage.log import Log
from plaudit.storage.records import Record
from plaudit.storage.segment import Segment
from tests.storage.builders import (
    edit,
    failure,
    no_connection_left_open,
    query,
    read_log,
    record,
    records,
    segments,
    write_log,
)

FIRST = "log-00000001.sqlite"
SECOND = "log-00000002.sqlite"
NO_DATABASE = b"not a database, but long enough to look like one" * 100
TORN_TYPES = (
    "body = NULL",
    "body = CAST(body AS TEXT)",
    "digests = NULL",
    "digests = CAST(digests AS TEXT)",
    "rules = CAST(rules AS BLOB)",
    "checksum = NULL",
    "count = NULL",
    "count = 1.5",
    "epoch = NULL",
)


def replace_record(path: Path, changed: Record) -> None:
    body = changed.body.hex()
    edit(path, f"UPDATE log SET body = x'{body}', checksum = {changed.checksum()} WHERE first = {changed.first}")


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ("DELETE FROM log WHERE first = 2", "expected record 2, got 3"),
        ("DELETE FROM log WHERE first = 1", "expected record 1, got 2"),
        ("UPDATE log SET first = 5 WHERE first = 3", "record 5: its checksum does not match"),
        ("UPDATE log SET body = CAST(upper(body) AS BLOB) WHERE first = 2", "record 2: its checksum does not match"),
        ("UPDATE log SET body = x'' WHERE first = 3", "record 3: its checksum does not match"),
        ("UPDATE log SET digests = x'00000001' WHERE first = 2", "record 2: its checksum does not match"),
        ("UPDATE log SET rules = '2/2025b' WHERE first = 2", "record 2: its checksum does not match"),
        ("UPDATE log SET count = 2 WHERE first = 2", "record 2: its checksum does not match"),
        ("UPDATE log SET checksum = checksum + 1 WHERE first = 1", "record 1: its checksum does not match"),
        ("UPDATE meta SET schema = 2", "of schema 2; this version of Plaudit reads 1"),
    ],
)
async def test_damage_is_refused_by_file_and_record(tmp_path: Path, damage: str, complaint: str) -> None:
    await write_log(tmp_path, *records(3))
    edit(tmp_path / FIRST, damage)
    with no_connection_left_open():
        error = await failure(Log.open(tmp_path, 2, 0))
    assert isinstance(error, OtherVersion if "schema" in damage else Corrupt)
    assert str(error) == f"{tmp_path}/{FIRST}: {complaint}"


@pytest.mark.parametrize("change", TORN_TYPES)
async def test_a_value_of_another_type_is_damage(tmp_path: Path, change: str) -> None:
    await write_log(tmp_path, *records(3))
    without_constraints = ("CREATE TABLE torn AS SELECT * FROM log", "DROP TABLE log", "ALTER TABLE torn RENAME TO log")
    edit(tmp_path / FIRST, *without_constraints, f"UPDATE log SET {change} WHERE first = 2")
    with no_connection_left_open():
        error = await failure(Log.open(tmp_path, 2, 0))
    assert isinstance(error, Corrupt)
    assert str(error).startswith(f"{tmp_path}/{FIRST}: record 2")


async def test_a_page_that_has_lost_its_last_record_is_damage(tmp_path: Path) -> None:
    """The count of a page's rows is one bit flip away from one row less, which no checksum of a row can notice."""
    await write_log(tmp_path, *records(3))
    path = tmp_path / FIRST
    [(page_size,)] = query(path, "PRAGMA page_size")
    [(root,)] = query(path, "SELECT rootpage FROM sqlite_master WHERE name = 'log'")
    content = bytearray(path.read_bytes())
    rows = (root - 1) * page_size + 4
    assert content[rows] == 3
    content[rows] = 2
    path.write_bytes(content)
    with pytest.raises(Corrupt, match=FIRST):
        await read_log(tmp_path)


async def test_a_flipped_bit_anywhere_is_refused_or_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    await write_log(tmp_path / "log", *records(3))
    content = (tmp_path / "log" / FIRST).read_bytes()
    outcomes = Counter[str]()
    for position in [at for at, byte in enumerate(content) if byte][::12]:
        for bit in (0, 7):
            flipped = bytearray(content)
            flipped[position] ^= 1 << bit
            directory = tmp_path / f"{position}-{bit}"
            directory.mkdir()
            (directory / FIRST).write_bytes(flipped)
            try:
                found = await read_log(directory)
            except StorageError:
                outcomes["refused"] += 1
            else:
                assert found == records(3), f"bit {bit} of byte {position}"
                outcomes["unchanged"] += 1
    assert min(outcomes["unchanged"], outcomes["refused"]) > 10


@pytest.mark.parametrize("content", [NO_DATABASE, b"SQLite format 3\0" * 9])
async def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FIRST).write_bytes(content)
    with no_connection_left_open():
        error = await failure(Log.open(tmp_path, 1, 0))
    assert isinstance(error, Corrupt)
    assert str(error).startswith(f"{tmp_path}/{FIRST}: ")


async def test_a_missing_segment_is_a_gap(tmp_path: Path) -> None:
    await write_log(tmp_path, *records(6), segment_size=30)
    assert query(tmp_path / SECOND, "SELECT first FROM log") == [(3,), (4,)]
    (tmp_path / SECOND).unlink()
    with pytest.raises(Corrupt, match=r"log-00000003\.sqlite: expected record 3, got 5"):
        await read_log(tmp_path)


async def test_one_number_with_two_contents_is_refused(tmp_path: Path) -> None:
    await write_log(tmp_path, *records(3))
    shutil.copy(tmp_path / FIRST, tmp_path / SECOND)
    replace_record(tmp_path / SECOND, record(2, body=b"something else"))
    with pytest.raises(Corrupt, match=r"log-00000002\.sqlite: record 2 is there twice, with different content"):
        await read_log(tmp_path)


@pytest.mark.parametrize("after", [0, 1, 3])
async def test_a_copy_that_was_cut_short_repeats_records_and_is_fine(tmp_path: Path, after: int) -> None:
    await write_log(tmp_path, *records(3))
    shutil.copy(tmp_path / FIRST, tmp_path / SECOND)
    assert await read_log(tmp_path, after=after) == records(3)[after:]
    assert segments(tmp_path) == ["3"]


async def test_a_copy_that_had_not_begun_is_fine(tmp_path: Path) -> None:
    await write_log(tmp_path, *records(3))
    await (await Segment.open(tmp_path / SECOND, 2)).close()
    (tmp_path / "log-00000003.sqlite").touch()  # created, and nothing more
    assert await read_log(tmp_path) == records(3)


async def test_a_refusal_lets_go_of_every_segment(tmp_path: Path) -> None:
    await write_log(tmp_path, *records(3))
    (tmp_path / SECOND).write_bytes(NO_DATABASE)
    with no_connection_left_open():
        assert isinstance(await failure(Log.open(tmp_path, 2, 0)), Corrupt)
    (tmp_path / SECOND).unlink()
    assert await read_log(tmp_path) == records(3)
