import random
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from plaudit.storage import board_finals, board_snapshots, board_store
from plaudit.storage.board_audit import BoardAudit
from plaudit.storage.board_finals import Final, FinalPlace
from plaudit.storage.board_pages import Group, Place, Standing, StandingsBySeat
from plaudit.storage.board_snapshots import HistoryDay
from plaudit.storage.board_store import FILE_NAME, PAGE_BYTES, SCHEMA_VERSION, BoardStore
from plaudit.storage.errors import Corrupt, InUse, OtherVersion, StorageError, Unusable
from tests.storage.builders import copy_as_killed, edit, failure, no_connection_left_open, query

BOARD, RUN, DAY = 3, 738_000, 738_005
SHARD = 1 << 40
SEATS = [0, 1, 511, 512, 5000, SHARD, SHARD + 1]
WAL_NAME = f"{FILE_NAME}-wal"


class Interruption(Exception):
    """Something that comes between."""


@asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[BoardStore]:
    store = await BoardStore.open(directory)
    try:
        yield store
    finally:
        await store.close()


def pages(seats: Iterable[int], day: int = 0) -> Iterator[list[Standing]]:
    """The seats in the order of their ranks; values follow from ranks and the day."""
    by_seat = StandingsBySeat()
    for rank, seat in enumerate(seats, 1):
        by_seat.add(seat, rank, value_of(rank, day))
    return by_seat.pages()


def value_of(rank: int, day: int = 0) -> int:
    return 10**15 - 10 * rank + day


def places(seats: Iterable[int]) -> list[Place]:
    return [Place(seat, f"user-{seat}", None, value_of(rank)) for rank, seat in enumerate(seats, 1)]


def until_interrupted(items: Iterable[list[Standing]]) -> Iterator[list[Standing]]:
    yield from items
    raise Interruption


async def problems(store: BoardStore) -> list[str]:
    return [problem.problem async for problem in BoardAudit(store).run()]


async def save_final(store: BoardStore, run: int, *groups: tuple[Group, Iterable[int]]) -> None:
    await store.save_final(BOARD, run, run + 6, [(group, places(seats)) for group, seats in groups])


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_store, "PAGES_PER_WRITE", 2)
    monkeypatch.setattr(board_snapshots, "CLEAR_PAGES", 2)
    monkeypatch.setattr(board_snapshots, "FORGET_PAGES", 2)
    monkeypatch.setattr(board_finals, "CLEAR_ROWS", 2)


async def test_a_member_is_found_in_the_snapshots_of_each_day(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        for day in range(4):
            await store.save_snapshot(BOARD, RUN, DAY + day, pages(SEATS[day:], day))
        await store.save_snapshot(BOARD, RUN + 7, DAY + 1, pages([1]))
        await store.save_snapshot(BOARD + 1, RUN, DAY + 1, pages([1]))
    async with opened(tmp_path) as store:
        for index, seat in enumerate(SEATS):
            assert await store.load_history(BOARD, RUN, seat, DAY + 9, 100) == [
                HistoryDay(DAY + day, index - day + 1, value_of(index - day + 1, day))
                if index >= day
                else HistoryDay(DAY + day, None, None)
                for day in range(4)
            ]
        assert await store.load_history(BOARD, RUN, 77, DAY, 100) == [(DAY, None, None)]
        assert [day.day for day in await store.load_history(BOARD, RUN, 1, DAY + 2, 2)] == [DAY + 1, DAY + 2]
        assert await store.load_history(BOARD, RUN, 1, DAY - 1, 100) == []
        assert await problems(store) == []


async def test_the_last_day_that_was_taken_is_known(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        assert await store.taken(BOARD, RUN) is None
        await store.save_snapshot(BOARD, RUN, DAY, pages([]))
        await store.save_snapshot(BOARD, RUN, DAY + 1, pages([]))
        assert await store.taken(BOARD, RUN) == DAY + 1
        assert await store.taken(BOARD, RUN + 1) is None
        assert await store.taken(BOARD + 1, RUN) is None
        assert await store.load_history(BOARD, RUN, 1, DAY, 9) == [HistoryDay(DAY, None, None)]


async def test_pages_may_come_in_their_own_time(tmp_path: Path) -> None:
    async def coming() -> AsyncIterator[list[Standing]]:
        for page in pages(SEATS):
            yield page

    async with opened(tmp_path) as store:
        await store.save_snapshot(BOARD, RUN, DAY, coming())
        assert await store.load_history(BOARD, RUN, SHARD, DAY, 1) == [HistoryDay(DAY, 6, value_of(6))]


async def test_a_snapshot_is_taken_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.save_snapshot(BOARD, RUN, DAY, pages(SEATS))
        with pytest.raises(AssertionError):
            await store.save_snapshot(BOARD, RUN, DAY, pages([1]))
        assert await problems(store) == []


async def test_a_hundred_days_are_read_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        for day in range(110):
            await store.save_snapshot(BOARD, RUN, DAY + day, pages(range(600), day))
        history = await store.load_history(BOARD, RUN, 512, DAY + 109, 100)
    assert history == [HistoryDay(DAY + day, 513, value_of(513, day)) for day in range(10, 110)]


@pytest.mark.usefixtures("small_steps")
async def test_a_snapshot_that_was_cut_short_is_not_seen_and_can_be_taken_again(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    many = [512 * page for page in range(9)]
    async with opened(tmp_path / "data") as store:
        await store.save_snapshot(BOARD, RUN, DAY - 1, pages(many))
        with pytest.raises(Interruption):
            await store.save_snapshot(BOARD, RUN, DAY, until_interrupted(pages(many)))
        killed = copy_as_killed(tmp_path / "data", tmp_path / "killed")
    for directory in (tmp_path / "data", killed):
        async with opened(directory) as store:
            assert await store.taken(BOARD, RUN) == DAY - 1
            assert [day.day for day in await store.load_history(BOARD, RUN, 0, DAY, 9)] == [DAY - 1]
            assert await problems(store) == []
            await store.save_snapshot(BOARD, RUN, DAY, pages(many[5:]))
            assert await store.load_history(BOARD, RUN, 0, DAY, 1) == [HistoryDay(DAY, None, None)]
            assert await store.load_history(BOARD, RUN, many[5], DAY, 1) == [HistoryDay(DAY, 1, value_of(1))]
            assert await problems(store) == []
        assert query(directory / FILE_NAME, "SELECT count(*) FROM snapshot_pages") == [(9 + 4,)]


@pytest.mark.usefixtures("small_steps")
async def test_old_snapshots_are_removed(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        for day in range(5):
            for run in (RUN, RUN + 1):
                await store.save_snapshot(BOARD, run, DAY + day, pages(SEATS, day))
        await store.prune(DAY + 3)
        await store.prune(DAY + 3)
        for run in (RUN, RUN + 1):
            assert [day.day for day in await store.load_history(BOARD, run, 1, DAY + 9, 9)] == [DAY + 3, DAY + 4]
        assert await problems(store) == []
    assert query(tmp_path / FILE_NAME, "SELECT DISTINCT day FROM snapshot_pages ORDER BY 1") == [(DAY + 3,), (DAY + 4,)]
    assert query(tmp_path / FILE_NAME, "SELECT * FROM snapshot_leftovers") == []


@pytest.mark.usefixtures("small_steps")
async def test_a_removal_that_was_cut_short_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise Interruption

    async with opened(tmp_path) as store:
        for day in (DAY, DAY + 1):
            await store.save_snapshot(BOARD, RUN, day, pages(SEATS))
        with monkeypatch.context() as patch:
            patch.setattr(board_snapshots, "clear_leftovers", interrupt)
            with pytest.raises(Interruption):
                await store.prune(DAY + 1)
        assert [day.day for day in await store.load_history(BOARD, RUN, 1, DAY + 9, 9)] == [DAY + 1]
        assert await problems(store) == []
        await store.prune(DAY)
    assert query(tmp_path / FILE_NAME, "SELECT DISTINCT day FROM snapshot_pages") == [(DAY + 1,)]


async def test_a_final_ranking_is_read_by_rank_and_by_member(tmp_path: Path) -> None:
    plain, paid = range(700), [SHARD + number for number in range(300)]
    async with opened(tmp_path) as store:
        assert await store.load_final(BOARD, RUN) is None
        assert await store.find_final(BOARD, RUN, 1) is None
        assert await store.read_final(BOARD, RUN, (), 0, 9) == []
        await save_final(store, RUN, (("plain", ""), plain), (("none", ""), []), (("paid", "x"), paid))
    async with opened(tmp_path) as store:
        groups = ((("plain", ""), 700), (("none", ""), 0), (("paid", "x"), 300))
        assert await store.load_final(BOARD, RUN) == Final(RUN + 6, 1000, groups)
        ranked = list(enumerate(places(plain), 1))
        for start, stop in ((0, 5), (250, 260), (255, 256), (0, 700), (690, 9999), (-5, 3), (700, 800), (9, 9), (9, 3)):
            assert await store.read_final(BOARD, RUN, ("plain", ""), start, stop) == ranked[max(start, 0) : stop]
        assert await store.read_final(BOARD, RUN, ("none", ""), 0, 9) == []
        assert await store.read_final(BOARD, RUN, ("other", ""), 0, 9) == []
        assert await store.find_final(BOARD, RUN, 699) == FinalPlace(("plain", ""), 700, value_of(700))
        assert await store.find_final(BOARD, RUN, SHARD + 7) == FinalPlace(("paid", "x"), 8, value_of(8))
        assert await store.find_final(BOARD, RUN, 701) is None
        assert await store.find_final(BOARD, RUN, 5 * SHARD) is None
        assert await problems(store) == []


async def test_finals_are_listed_by_board(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        for run in (RUN + 7, RUN):
            await save_final(store, run, ((), [1]))
        await store.save_final(BOARD + 1, RUN + 1, RUN + 2, [])
        assert await store.list_finals(BOARD) == [RUN, RUN + 7]
        assert await store.list_finals(BOARD + 1) == [RUN + 1]
        assert await store.list_finals(BOARD + 2) == []
        assert await store.load_final(BOARD + 1, RUN + 1) == Final(RUN + 2, 0, ())
        with pytest.raises(AssertionError):
            await save_final(store, RUN, ((), [2]))


@pytest.mark.usefixtures("small_steps")
async def test_a_final_ranking_that_was_cut_short_is_not_seen_and_can_be_saved_again(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()

    def cut(at: int) -> Iterator[Place]:
        yield from places(range(at))
        raise Interruption

    async with opened(tmp_path / "data") as store:
        await save_final(store, RUN - 7, ((), [1]))
        with pytest.raises(Interruption):
            await store.save_final(BOARD, RUN, RUN + 6, [(("a",), places(range(9000, 9900))), (("b",), cut(2000))])
        killed = copy_as_killed(tmp_path / "data", tmp_path / "killed")
    for directory in (tmp_path / "data", killed):
        async with opened(directory) as store:
            assert await store.list_finals(BOARD) == [RUN - 7]
            assert await store.load_final(BOARD, RUN) is None
            assert await store.read_final(BOARD, RUN, ("a",), 0, 9) == []
            await save_final(store, RUN, (("b",), range(300)))
            assert await store.load_final(BOARD, RUN) == Final(RUN + 6, 300, ((("b",), 300),))
            assert len(await store.read_final(BOARD, RUN, ("b",), 0, 999)) == 300
            assert await problems(store) == []
        assert query(directory / FILE_NAME, "SELECT count(*) FROM final_places") == [(1 + 2,)]


async def test_what_was_saved_survives_a_kill(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    async with opened(tmp_path / "data") as store:
        assert await store.query(lambda connection: connection.execute("PRAGMA synchronous").fetchone()) == (2,)
        await store.save_snapshot(BOARD, RUN, DAY, pages(SEATS))
        first = copy_as_killed(tmp_path / "data", tmp_path / "first")
        await save_final(store, RUN, ((), SEATS))
        second = copy_as_killed(tmp_path / "data", tmp_path / "second")
    for directory, finals in ((first, []), (second, [RUN])):
        async with opened(directory) as store:
            assert await store.taken(BOARD, RUN) == DAY
            assert await store.list_finals(BOARD) == finals
            assert await problems(store) == []


@pytest.mark.usefixtures("small_steps")
async def test_a_deleted_member_is_in_no_snapshot_and_leaves_a_gap_in_finals(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        for day in range(5):
            await store.save_snapshot(BOARD, RUN, DAY + day, pages([5, 1, 6] if day else [1], day))
        await save_final(store, RUN, (("a",), [7]), (("b",), [5, 1, 6, 600]))
        await save_final(store, RUN + 7, (("a",), [1]))
        await store.forget(1)
        await store.forget(1)
        await store.forget(12345)
        assert [tuple(day)[1:] for day in await store.load_history(BOARD, RUN, 1, DAY + 9, 9)] == [(None, None)] * 5
        assert [day.rank for day in await store.load_history(BOARD, RUN, 6, DAY + 9, 9)] == [None, 3, 3, 3, 3]
        assert await store.find_final(BOARD, RUN, 1) is None
        assert await store.find_final(BOARD, RUN, 6) == FinalPlace(("b",), 3, value_of(3))
        left = await store.read_final(BOARD, RUN, ("b",), 0, 9)
        assert [(rank, place.user_id) for rank, place in left] == [(1, "user-5"), (3, "user-6"), (4, "user-600")]
        assert await store.read_final(BOARD, RUN + 7, ("a",), 0, 9) == []
        assert await store.load_final(BOARD, RUN) == Final(RUN + 6, 5, ((("a",), 1), (("b",), 4)))
        assert await problems(store) == []


async def test_of_a_deleted_user_no_byte_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plaudit.storage.board_pages.LEVEL", 0)  # else it could not be seen that it was there
    secret, noise = "a-secret-of-31-bytes-and-no-less", random.Random(1)

    def ranking(first: Place) -> list[Place]:
        return [first, *(Place(seat, noise.randbytes(20).hex(), "Sam", 9) for seat in range(2, 900))]

    def files_with_secret() -> list[str]:
        return [path.name for path in tmp_path.iterdir() if secret.encode() in path.read_bytes()]

    async with opened(tmp_path) as store:
        for run in range(RUN, RUN + 4):
            await store.save_final(BOARD, run, run, [((), ranking(Place(1, secret, secret, 10)))])
        with pytest.raises(Interruption):
            await store.save_final(BOARD, RUN + 4, RUN, [((), interrupted_places(secret))])
        assert files_with_secret() == [WAL_NAME]
        await store._copy_wal()
        assert files_with_secret() == [FILE_NAME]
        await store.forget(1)
        assert files_with_secret() == []
        assert (tmp_path / WAL_NAME).stat().st_size == 0
    assert files_with_secret() == []


def interrupted_places(secret: str) -> Iterator[Place]:
    for seat in range(board_store.PAGES_PER_WRITE * 256 + 1):
        yield Place(seat, secret if seat == 1 else "", None, 1)
    raise Interruption


async def test_the_wal_file_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_store, "WAL_BYTES_MAX", 200_000)
    monkeypatch.setattr(board_store, "PAGES_PER_WRITE", 4)
    async with opened(tmp_path) as store:
        for day in range(3):
            await store.save_snapshot(BOARD, RUN, DAY + day, pages(range(60 * 512), day))
            assert (tmp_path / WAL_NAME).stat().st_size < 400_000
        assert await problems(store) == []


async def test_a_backup_has_everything(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    async with opened(tmp_path) as store:
        await store.save_snapshot(BOARD, RUN, DAY, pages(SEATS))
        await save_final(store, RUN, ((), SEATS))
        await store.backup(tmp_path / "copy" / FILE_NAME)
    async with opened(tmp_path / "copy") as store:
        assert await store.taken(BOARD, RUN) == DAY
        assert await store.list_finals(BOARD) == [RUN]
        assert await problems(store) == []


DAMAGES = [
    ("snapshots", "body", f"snapshot {BOARD},{RUN},{DAY}"),
    ("snapshot_pages", "body", f"snapshot page {BOARD},{RUN},0,{DAY}"),
    ("finals", "body", f"final {BOARD},{RUN}"),
    ("final_places", "body", f"final places {BOARD},{RUN},0,0"),
    ("final_seats", "body", f"final seats {BOARD},{RUN},0"),
]


async def read_everything(store: BoardStore) -> None:
    await store.load_history(BOARD, RUN, 1, DAY, 9)
    await store.find_final(BOARD, RUN, 1)
    await store.read_final(BOARD, RUN, (), 0, 9)


@pytest.mark.parametrize(("table", "column", "row"), DAMAGES)
@pytest.mark.parametrize("damage", ["flip", "text", "empty", "swap"])
async def test_damage_is_told_by_file_and_row(tmp_path: Path, table: str, column: str, row: str, damage: str) -> None:
    async with opened(tmp_path) as store:
        await store.save_snapshot(BOARD, RUN, DAY, pages([1]))
        await save_final(store, RUN, ((), [1]))
        await read_everything(store)
    ((body,),) = query(tmp_path / FILE_NAME, f"SELECT {column} FROM {table}")
    flipped = bytes([*body[:-1], body[-1] ^ 1])
    new = {"flip": f"x'{flipped.hex()}'", "text": "CAST(x'c3' AS TEXT)", "empty": "x''", "swap": "x'00000000c0'"}[
        damage
    ]
    edit(tmp_path / FILE_NAME, f"UPDATE {table} SET {column} = {new}")
    async with opened(tmp_path) as store:
        error = await failure(read_everything(store))
        assert isinstance(error, Corrupt)
        assert str(error).startswith(f"{tmp_path / FILE_NAME}: {row}: ")
        found = await problems(store)
        assert found
        assert str(error) in found


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ("DELETE FROM snapshot_pages", f"snapshot {BOARD},{RUN},{DAY}: has 2 members, and its pages have 0"),
        ("DELETE FROM snapshots", f"snapshot {BOARD},{RUN},{DAY}: is missing, and has pages"),
        ("DELETE FROM final_places", f"FILE: final places {BOARD},{RUN},0,0 is missing"),
        ("DELETE FROM final_seats", f"final {BOARD},{RUN}: its 2 places are not those of its 0 members in 1 groups"),
    ],
)
async def test_what_is_missing_is_found(tmp_path: Path, damage: str, complaint: str) -> None:
    async with opened(tmp_path) as store:
        await store.save_snapshot(BOARD, RUN, DAY, pages([1, 2]))
        await save_final(store, RUN, ((), [1, 2]))
    edit(tmp_path / FILE_NAME, damage)
    async with opened(tmp_path) as store:
        assert await problems(store) == [complaint.replace("FILE", str(tmp_path / FILE_NAME))]


async def test_an_open_store_is_in_use(tmp_path: Path) -> None:
    async with opened(tmp_path):
        assert isinstance(await failure(BoardStore.open(tmp_path)), InUse)


async def test_a_store_has_large_pages_also_if_its_making_was_cut_short(tmp_path: Path) -> None:
    board_store._make_file(tmp_path / FILE_NAME)
    board_store._make_file(tmp_path / FILE_NAME)
    async with opened(tmp_path) as store:
        await store.save_snapshot(BOARD, RUN, DAY, pages(SEATS))
    assert query(tmp_path / FILE_NAME, "PRAGMA page_size") == [(PAGE_BYTES,)]


async def test_a_store_that_has_to_be_there_is_not_made(tmp_path: Path) -> None:
    with no_connection_left_open():
        error = await failure(BoardStore.open(tmp_path, must_exist=True))
    assert isinstance(error, Corrupt)
    assert str(error) == f"{tmp_path / FILE_NAME}: empty, and it should not be"


async def test_a_wal_file_without_its_database_is_kept(tmp_path: Path) -> None:
    (tmp_path / WAL_NAME).write_bytes(bytes(100))
    with no_connection_left_open():
        assert isinstance(await failure(BoardStore.open(tmp_path)), Corrupt)
    assert (tmp_path / WAL_NAME).read_bytes() == bytes(100)


@pytest.mark.parametrize("schema", [0, SCHEMA_VERSION + 1])
async def test_a_store_of_another_version_is_refused(tmp_path: Path, schema: int) -> None:
    async with opened(tmp_path):
        pass
    edit(tmp_path / FILE_NAME, f"UPDATE meta SET schema = {schema}")
    with no_connection_left_open():
        assert isinstance(await failure(BoardStore.open(tmp_path)), OtherVersion)


async def test_what_cannot_be_written_is_told_by_file(tmp_path: Path) -> None:
    error: BaseException
    async with opened(tmp_path) as store:
        await store.query(lambda connection: connection.execute("PRAGMA query_only = ON"))
        for writing in (store.save_snapshot(BOARD, RUN, DAY, pages([1])), save_final(store, RUN), store.prune(DAY)):
            error = await failure(writing)
            assert isinstance(error, Unusable)
            assert str(error).startswith(f"{tmp_path / FILE_NAME}: ")
    error = await failure(BoardStore.open(tmp_path / "nowhere"))
    assert isinstance(error, StorageError)
    assert str(error).startswith(str(tmp_path / "nowhere" / FILE_NAME))


def test_the_days_of_a_member_are_found_without_a_scan() -> None:
    with sqlite3.connect(":memory:") as connection:
        connection.executescript(board_snapshots.SCHEMA)
        plan = connection.execute(
            "EXPLAIN QUERY PLAN SELECT day, body FROM snapshot_pages "
            "WHERE board = 1 AND run = 1 AND page = 1 AND day BETWEEN 1 AND 100"
        ).fetchall()
    connection.close()
    assert "SEARCH snapshot_pages USING PRIMARY KEY" in plan[0][3]
