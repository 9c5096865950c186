"""Damage in a -wal file is noticed, and what a kill or a power cut leaves is not taken for damage."""

import shutil
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plaudit.storage.errors import Corrupt
from plaudit.storage.log import Log
from plaudit.storage.records import Record
from plaudit.storage.segment import Segment
from plaudit.storage.wal import FRAME_HEADER_BYTES, HEADER_BYTES, Trust, find_damage, inspect_wal, read_wal
from tests.storage.builders import copy_as_killed, failure, opened_segment, record, records

SEGMENT = "log-00000001.sqlite"
WAL = f"{SEGMENT}-wal"
PAGE = 4096
FRAME = FRAME_HEADER_BYTES + PAGE
TRUSTS: list[Trust] = ["appended", "written", "synced", "unknown"]
LARGE = record(4, body=b"a body of several pages" * 800)
WRITTEN = [*records(3), LARGE, record(5), record(6)]


@pytest.fixture
async def killed(tmp_path: Path) -> Path:
    """A segment with the WRITTEN records, as a kill leaves it."""
    (tmp_path / "live").mkdir()
    async with opened_segment(tmp_path / "live" / SEGMENT, 1) as segment:
        for one in WRITTEN:
            await segment.append(one)
        return copy_as_killed(tmp_path / "live", tmp_path / "killed")


async def read(directory: Path, trust: Trust) -> list[Record]:
    """What the segment gives."""
    segment = await Segment.open(directory / SEGMENT, 2, trust=trust)
    try:
        return await segment.read()
    finally:
        await segment.close()


def rewrite(killed: Path, wal: bytes) -> Path:
    """The killed segment with another -wal file."""
    copy = killed.with_name("copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(killed, copy)
    (copy / WAL).write_bytes(wal)
    return copy


def flip(content: bytes, position: int, bit: int = 0) -> bytes:
    changed = bytearray(content)
    changed[position] ^= 1 << bit
    return bytes(changed)


def blank(content: bytes, start: int, length: int) -> bytes:
    return content[:start] + bytes(length) + content[start + length :]


def commits(wal: bytes) -> list[int]:
    """The frames that end a transaction, from 0."""
    count = (len(wal) - HEADER_BYTES) // FRAME
    return [n for n in range(count) if struct.unpack_from(">I", wal, HEADER_BYTES + n * FRAME + 4)[0]]


def positions(wal: bytes, frame_bytes: int = FRAME) -> Iterator[int]:
    """Every byte of all headers, and some of every page."""
    yield from range(HEADER_BYTES)
    for frame in range(HEADER_BYTES, len(wal), frame_bytes):
        yield from range(frame, frame + FRAME_HEADER_BYTES)
        yield from range(frame + FRAME_HEADER_BYTES, frame + frame_bytes, frame_bytes // 8)
        yield frame + frame_bytes - 1


async def test_a_flip_anywhere_is_refused_by_file_and_nothing_is_touched(killed: Path) -> None:
    wal = (killed / WAL).read_bytes()
    assert await read(rewrite(killed, wal), "appended") == WRITTEN
    copy = rewrite(killed, wal)
    main = (copy / SEGMENT).read_bytes()
    for position in positions(wal):
        flipped = flip(wal, position, position % 8)
        (copy / WAL).write_bytes(flipped)
        error = await failure(Segment.open(copy / SEGMENT, 2, trust="appended"))
        assert isinstance(error, Corrupt), f"byte {position}"
        assert str(error).startswith(f"{copy / WAL}: ")
        assert ((copy / SEGMENT).read_bytes(), (copy / WAL).read_bytes()) == (main, flipped)


async def test_the_complaint_names_the_frame(killed: Path) -> None:
    wal = (killed / WAL).read_bytes()
    frames = len(wal) // FRAME
    damaged = rewrite(killed, flip(wal, HEADER_BYTES + 2 * FRAME + 1000))
    with pytest.raises(Corrupt, match=f"{WAL}: frame 3 of {frames} is damaged$"):
        await read(damaged, "appended")
    with pytest.raises(Corrupt, match=f"{WAL}: its header is damaged$"):
        await read(rewrite(killed, flip(wal, 30)), "synced")


async def test_the_log_passes_on_what_it_is_told(killed: Path) -> None:
    wal = (killed / WAL).read_bytes()
    damaged = rewrite(killed, flip(wal, len(wal) - 1))
    assert isinstance(await failure(Log.open(damaged, 2, 0, trust="appended")), Corrupt)
    log, tail = await Log.open(damaged, 2, 0)
    await log.close()
    assert tail == WRITTEN[:-1]


@pytest.mark.parametrize("trust", TRUSTS)
async def test_an_end_that_a_kill_cut_off_is_no_damage(killed: Path, trust: Trust) -> None:
    wal = (killed / WAL).read_bytes()
    found = -1
    for length in sorted({0, 1, *(at + d for at in range(HEADER_BYTES, len(wal) + 1, FRAME) for d in (-1, 0, 1, 24))}):
        if length <= len(wal):
            kept = await read(rewrite(killed, wal[:length]), trust)
            assert kept == WRITTEN[: len(kept)]
            assert len(kept) >= found
            found = len(kept)
    assert found == len(WRITTEN)


@pytest.mark.parametrize("is_torn_whole", [False, True])
async def test_after_a_power_cut_the_last_transaction_may_be_torn(killed: Path, is_torn_whole: bool) -> None:
    *_, before, large, _, _ = commits((killed / WAL).read_bytes())
    wal = (killed / WAL).read_bytes()[: HEADER_BYTES + (large + 1) * FRAME]
    assert large - before > 3
    for frame in range(before + 1, large + 1):
        start = HEADER_BYTES + frame * FRAME
        torn = blank(wal, start, FRAME) if is_torn_whole else blank(wal, start + FRAME_HEADER_BYTES, PAGE)
        for trust in ("synced", "unknown"):
            assert await read(rewrite(killed, torn), trust) == WRITTEN[:3]


async def test_after_a_power_cut_an_earlier_transaction_may_not_be_torn(killed: Path) -> None:
    wal = (killed / WAL).read_bytes()
    *_, last, _ = commits(wal)
    for frame in range(last + 1):
        torn = rewrite(killed, blank(wal, HEADER_BYTES + frame * FRAME + FRAME_HEADER_BYTES, PAGE))
        with pytest.raises(Corrupt, match=f"frame {frame + 1} of"):
            await read(torn, "synced")


async def test_nothing_is_concluded_about_a_file_of_which_nothing_is_known(killed: Path) -> None:
    wal = (killed / WAL).read_bytes()
    for position in (0, 30, *range(HEADER_BYTES, len(wal), FRAME // 2)):
        kept = await read(rewrite(killed, flip(wal, position)), "unknown")
        assert kept == WRITTEN[: len(kept)] != WRITTEN


@pytest.mark.parametrize("trust", TRUSTS)
async def test_an_end_that_does_not_count_is_gone_before_anything_is_written(killed: Path, trust: Trust) -> None:
    """A short commit in the middle of what a longer one left would look like damage to the next owner."""
    wal = (killed / WAL).read_bytes()
    *_, large, _, _ = commits(wal)
    cut_short = rewrite(killed, wal[: HEADER_BYTES + large * FRAME])
    segment = await Segment.open(cut_short / SEGMENT, 2, trust=trust)
    again = copy_as_killed(cut_short, killed.with_name("again"))
    await segment.close()
    assert read_wal(again / WAL).right == len(read_wal(again / WAL).frames) < large
    assert await read(again, "appended") == WRITTEN[:3]


async def test_a_torn_end_is_gone_for_the_next_owner(killed: Path) -> None:
    wal = (killed / WAL).read_bytes()
    *_, before, _, _, _ = commits(wal)
    torn = rewrite(killed, blank(wal, HEADER_BYTES + (before + 1) * FRAME, FRAME))
    segment = await Segment.open(torn / SEGMENT, 2)
    await segment.append(LARGE)
    again = copy_as_killed(torn, killed.with_name("again"))
    await segment.close()
    assert await read(again, "appended") == WRITTEN[:4]


@pytest.mark.parametrize("is_empty", [False, True])
def test_frames_without_a_main_file_are_damage(killed: Path, is_empty: bool) -> None:
    (killed / SEGMENT).unlink()
    if is_empty:
        (killed / SEGMENT).touch()
    with pytest.raises(Corrupt, match=f"{WAL}: has content, and {SEGMENT} has none"):
        inspect_wal(killed / SEGMENT, "unknown")


async def test_a_new_segment_takes_nothing_from_one_that_was_half_removed(killed: Path) -> None:
    (killed / SEGMENT).unlink()
    assert await read(killed, "appended") == []


def connect(path: Path, page_size: int = 512) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(
        f"PRAGMA page_size={page_size}; PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;"
        "PRAGMA wal_autocheckpoint=0; PRAGMA synchronous=OFF"
    )
    return connection


def write(connection: sqlite3.Connection, *pages: int) -> None:
    """Transactions of about so many pages."""
    connection.execute("CREATE TABLE IF NOT EXISTS t (content BLOB)")
    for count in pages:
        connection.execute("INSERT INTO t VALUES (randomblob(?))", (count * 500,))


def what_sqlite_takes(directory: Path, name: str) -> int:
    """The number of frames."""
    with closing(sqlite3.connect(directory / name, isolation_level=None)) as connection:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        (_, frames, _) = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        return int(frames)


def kept_frames(path: Path) -> int:
    wal = read_wal(path)
    return (wal.kept_bytes - HEADER_BYTES) // wal.frame_bytes if wal.kept_bytes else 0


@pytest.fixture
def restarted(tmp_path: Path) -> Path:
    """A -wal file that was used again from its start: behind its frames are those of an older generation."""
    (tmp_path / "live").mkdir()
    with closing(connect(tmp_path / "live" / "db")) as connection:
        write(connection, 20, 20)
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        write(connection, 3, 5, 2)
        return copy_as_killed(tmp_path / "live", tmp_path / "killed") / "db-wal"


def test_older_generations_do_not_matter(restarted: Path) -> None:
    wal = read_wal(restarted)
    content = restarted.read_bytes()
    current = sum(frame.is_current for frame in wal.frames)
    assert 0 < current == wal.right < len(wal.frames) - 20
    for position in range(HEADER_BYTES + current * wal.frame_bytes, len(content), 97):
        restarted.write_bytes(flip(content, position))
        for trust in ("written", "synced"):
            assert find_damage(read_wal(restarted), trust) is None
        assert read_wal(restarted).kept_bytes == wal.kept_bytes


def test_what_is_older_than_a_later_commit_is_damage_in_any_generation(restarted: Path) -> None:
    content = restarted.read_bytes()
    wal = read_wal(restarted)
    *_, before, _ = [n for n, frame in enumerate(wal.frames) if frame.is_current and frame.is_commit]
    commit = HEADER_BYTES + before * wal.frame_bytes
    for position in positions(content[: commit + wal.frame_bytes], wal.frame_bytes):
        restarted.write_bytes(flip(content, position, position % 8))
        damaged = read_wal(restarted)
        assert find_damage(damaged, "written") is not None, f"byte {position}"
        if position < commit:  # where it no longer says that it is a commit, it may be of the last transaction
            assert find_damage(damaged, "synced") is not None, f"byte {position}"


def test_a_kill_can_come_between_the_two_writes_of_a_frame(restarted: Path) -> None:
    content = restarted.read_bytes()
    wal = read_wal(restarted)
    header = content[HEADER_BYTES + (wal.right - 1) * wal.frame_bytes :][:FRAME_HEADER_BYTES]
    start = HEADER_BYTES + wal.right * wal.frame_bytes
    restarted.write_bytes(content[:start] + header + content[start + FRAME_HEADER_BYTES :])
    assert read_wal(restarted).frames[wal.right].is_commit
    assert find_damage(read_wal(restarted), "written") is None
    assert read_wal(restarted).kept_bytes == wal.kept_bytes


def test_pages_that_were_written_before_their_commit_are_no_damage(tmp_path: Path) -> None:
    """A page of a transaction that is too large for the cache is overwritten in place, and its checksum is not."""
    (tmp_path / "live").mkdir()
    with closing(connect(tmp_path / "live" / "db")) as connection:
        write(connection, 5)
        committed = read_wal(tmp_path / "live" / "db-wal")
        connection.executescript("PRAGMA cache_size=10; BEGIN; CREATE INDEX i ON t (content)")
        connection.execute("CREATE TABLE u (a INTEGER PRIMARY KEY, b)")
        for number in range(3000):
            connection.execute("INSERT INTO u VALUES (?, randomblob(20))", (number * 7919 % 3001,))
        killed = copy_as_killed(tmp_path / "live", tmp_path / "killed")
    wal = read_wal(killed / "db-wal")
    assert wal.right < len(wal.frames)
    assert find_damage(wal, "appended") is not None
    assert find_damage(wal, "written") is None
    assert wal.kept_bytes == committed.size


def add_up(data: bytes, sums: tuple[int, int], order: str) -> tuple[int, int]:
    """The checksum as SQLite's documentation has it."""
    s0, s1 = sums
    for a, b in struct.iter_unpack(f"{order}2I", data):
        s0 = (s0 + a + s1) & 0xFFFFFFFF
        s1 = (s1 + b + s0) & 0xFFFFFFFF
    return s0, s1


def test_checksums_may_be_of_either_byte_order(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    with closing(connect(tmp_path / "live" / "db")) as connection:
        write(connection, 3, 300, 3)
        killed = copy_as_killed(tmp_path / "live", tmp_path / "killed")
    content = bytearray((killed / "db-wal").read_bytes())
    count = kept_frames(killed / "db-wal")
    assert count > 300
    content[3] ^= 1
    sums = add_up(bytes(content[:24]), (0, 0), ">" if content[3] & 1 else "<")
    struct.pack_into(">2I", content, 24, *sums)
    for start in range(HEADER_BYTES, len(content), FRAME_HEADER_BYTES + 512):
        page = content[start : start + 8] + content[start + 24 : start + 24 + 512]
        sums = add_up(bytes(page), sums, ">" if content[3] & 1 else "<")
        struct.pack_into(">2I", content, start + 16, *sums)
    (killed / "db-wal").write_bytes(content)
    assert kept_frames(killed / "db-wal") == count == what_sqlite_takes(killed, "db")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    generations=st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=4), min_size=1, max_size=3),
    cut=st.none() | st.floats(0, 1),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), max_size=2),
    page_size=st.sampled_from([512, 1024, 65536]),
)
def test_what_is_kept_is_what_sqlite_takes(
    tmp_path: Path, generations: list[list[int]], cut: float | None, flips: list[tuple[float, int]], page_size: int
) -> None:
    for name in ("live", "killed"):
        shutil.rmtree(tmp_path / name, ignore_errors=True)
    (tmp_path / "live").mkdir()
    with closing(connect(tmp_path / "live" / "db", page_size)) as connection:
        for pages in generations:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            write(connection, *pages)
        killed = copy_as_killed(tmp_path / "live", tmp_path / "killed")
    content = (killed / "db-wal").read_bytes()
    if cut is not None:
        content = content[: int(cut * len(content))]
    for where, bit in flips:
        content = flip(content, int(where * len(content)), bit) if content else content
    (killed / "db-wal").write_bytes(content)
    wal = read_wal(killed / "db-wal")
    if not flips and cut is None:
        assert wal.kept_bytes == HEADER_BYTES + sum(frame.is_current for frame in wal.frames) * wal.frame_bytes
    if not flips:
        assert find_damage(wal, "written") is None
        assert find_damage(wal, "synced") is None
    kept = kept_frames(killed / "db-wal")
    assert kept == what_sqlite_takes(killed, "db")
