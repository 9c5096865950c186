"""What every runtime owes its callers, run against each."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psutil
import pytest

from plaudit.actors.leaderboard_shard import LeaderboardSettings
from plaudit.actors.ray_runtime import RayRuntime
from plaudit.actors.runtime import AnySettings, HostLost, InlineHost, InlineRuntime, Runtime, ShardHost
from plaudit.actors.shard_client import ShardClient
from plaudit.actors.user_shard import Opened
from plaudit.engine.catalog import Catalog, StreakSettings
from plaudit.engine.commands import ReadStreak
from plaudit.storage.directory import leaderboard_directory
from plaudit.storage.errors import WrongDirectory
from tests.actors.boards import ScriptedShard
from tests.actors.shards import DATA_ID, event, make_settings, total_in, total_of
from tests.catalogs import study_catalog

CATALOG = study_catalog()
WEEKLY = msgspec.structs.replace(
    CATALOG, version=CATALOG.version + 1, streaks=StreakSettings(frequency="weekly", metrics=CATALOG.streaks.metrics)
)
NOON_MS = round(datetime(2099, 3, 2, 12, tzinfo=UTC).timestamp() * 1000)
"""A Monday to which the machine's clock will not come."""
HOUR_MS = 3_600_000


class Place:
    """A shard's host under a runtime, with what a supervisor does for it."""

    def __init__(self, runtime: Runtime, settings: AnySettings) -> None:
        self.runtime = runtime
        self.settings = settings
        self.host: ShardHost
        self.opened: Opened

    async def open(self, catalog: Catalog = CATALOG, now_ms: int | None = None) -> Opened:
        while True:
            try:
                self.opened = await self.host.open(catalog, now_ms)
            except HostLost:
                await asyncio.sleep(0)
            else:
                return self.opened

    def kill(self) -> None:
        if isinstance(self.host, InlineHost):
            self.host.kill()
        else:
            os.kill(self.opened.process, signal.SIGKILL)

    @asynccontextmanager
    async def client(self, gateway: int = 1) -> AsyncIterator[ShardClient]:
        client = ShardClient(self.settings.address, gateway)
        client.start()
        try:
            yield client
        finally:
            await client.close()


async def streak_of(client: ShardClient, user: str) -> tuple[int, str]:
    """Length and frequency of a user's streak."""
    reply = await client.call(ReadStreak(user))
    assert reply.status == 200, reply
    streak = msgspec.json.decode(reply.body)
    return streak["length"], streak["frequency"]


class RuntimeContract:
    """One shard, opened, killed and closed in the ways that a server may see."""

    async def test_an_event_is_answered_with_its_total(self, place: Place) -> None:
        async with place.client() as client:
            assert total_in(await client.call(event("ada", 3))) == 3
            assert await total_of(client, "ada") == 3

    async def test_opening_again_changes_nothing(self, place: Place) -> None:
        async with place.client() as client:
            await client.call(event("ada"))
            assert await place.host.open(CATALOG) == place.opened
            assert await total_of(client, "ada") == 1

    async def test_after_a_clean_close_everything_is_there_and_the_log_is_empty(self, place: Place) -> None:
        async with place.client() as client:
            await asyncio.gather(*(client.call(event(f"user-{n % 7}")) for n in range(100)))
        await place.host.close()
        assert list(Path(place.settings.directory).glob("log-*")) == []
        assert (await place.open()).replayed == 0
        async with place.client(2) as client:
            assert sum([await total_of(client, f"user-{n}") for n in range(7)]) == 100

    async def test_a_killed_shard_costs_its_callers_only_time(self, place: Place) -> None:
        async with place.client() as client:
            await client.call(event("ada"))
            place.kill()
            waiting = [client.call(event("ada")) for _ in range(10)]
            reopened = asyncio.create_task(place.open())
            totals = [total_in(reply) for reply in await asyncio.gather(*waiting)]
            assert sorted(totals) == list(range(2, 12))
            assert (await reopened).replayed >= 1

    async def test_a_batch_in_flight_when_the_shard_dies_counts_once(self, place: Place) -> None:
        async with place.client() as client:
            await client.wait_connected()
            for round_ in range(3):
                waiting = [client.call(event(f"user-{n}")) for n in range(50)]
                await asyncio.sleep(0)
                place.kill()
                await place.open()
                totals = {total_in(reply) for reply in await asyncio.gather(*waiting)}
                assert totals == {round_ + 1}

    async def test_an_idempotency_key_survives_a_kill(self, place: Place) -> None:
        async with place.client() as client:
            assert (await client.call(event("ada", key="k"))).status == 201
            place.kill()
            await place.open()
            again = await client.call(event("ada", key="k"))
            assert (again.status, total_in(again)) == (202, 1)

    async def test_what_follows_an_adoption_meets_the_new_catalog(self, place: Place) -> None:
        async with place.client() as client:
            await client.call(event("ada"))
            assert await streak_of(client, "ada") == (1, "daily")
            await place.host.adopt(WEEKLY)
            assert await streak_of(client, "ada") == (1, "weekly")
            await place.host.adopt(WEEKLY)
            await place.host.adopt(CATALOG)
            assert await streak_of(client, "ada") == (1, "weekly"), "an older one is none"

    async def test_an_adoption_survives_a_kill_and_a_close(self, place: Place) -> None:
        async with place.client() as client:
            await place.host.adopt(WEEKLY)
            await client.call(event("ada"))
            place.kill()
            assert (await place.open(WEEKLY)).replayed >= 2
            assert await streak_of(client, "ada") == (1, "weekly")
        await place.host.close()
        assert (await place.open(WEEKLY)).replayed == 0
        async with place.client(2) as client:
            assert await streak_of(client, "ada") == (1, "weekly")

    async def test_opening_again_with_a_newer_catalog_adopts_it(self, place: Place) -> None:
        async with place.client() as client:
            await client.call(event("ada"))
            assert await place.host.open(WEEKLY) == place.opened
            assert await streak_of(client, "ada") == (1, "weekly")

    async def test_adopting_under_load_loses_nothing(self, place: Place) -> None:
        async with place.client() as client:
            waiting = [client.call(event(f"user-{n % 7}")) for n in range(300)]
            await place.host.adopt(WEEKLY)
            waiting += [client.call(event(f"user-{n % 7}")) for n in range(300)]
            await asyncio.gather(*waiting)
            place.kill()
            await place.open(WEEKLY)
            assert sum([await total_of(client, f"user-{n}") for n in range(7)]) == 600

    async def test_time_stands_still_and_is_moved_to_where_something_is_due(self, place: Place) -> None:
        await place.host.close()
        await place.open(now_ms=NOON_MS)
        async with place.client() as client:
            assert await place.host.move_clock(NOON_MS) is None
            await client.call(event("ada"))
            due_ms = await place.host.move_clock(NOON_MS)
            assert due_ms == NOON_MS + 35 * HOUR_MS, "the end of tomorrow in Paris"
            assert await place.host.move_clock(due_ms - 1) == due_ms
            assert await streak_of(client, "ada") == (1, "daily")
            next_ms = await place.host.move_clock(due_ms)
            assert next_ms == NOON_MS + 299 * HOUR_MS, "the weekly streak is kept as well: the end of next week"
            assert await streak_of(client, "ada") == (0, "daily")
            assert await place.host.move_clock(NOON_MS) == next_ms, "it does not go back"
            assert await streak_of(client, "ada") == (0, "daily")

    async def test_moving_and_adopting_and_a_backup_do_not_disturb_each_other(
        self, place: Place, tmp_path: Path
    ) -> None:
        await place.host.close()
        await place.open(now_ms=NOON_MS)
        async with place.client() as client:
            await asyncio.gather(*(client.call(event(f"user-{n}")) for n in range(100)))
            moves = [place.host.move_clock(NOON_MS + n * HOUR_MS) for n in (30, 36, 40, 60)]
            await asyncio.gather(*moves, place.host.adopt(WEEKLY), place.host.backup(str(tmp_path / "copy")))
            assert {await streak_of(client, f"user-{n}") for n in range(100)} == {(1, "weekly")}
            place.kill()
            await place.open(WEEKLY, NOON_MS + 60 * HOUR_MS)
            assert {await streak_of(client, f"user-{n}") for n in range(100)} == {(1, "weekly")}

    async def test_a_shard_that_is_not_open_is_lost(self, place: Place) -> None:
        await place.host.close()
        with pytest.raises(HostLost):
            await place.host.adopt(WEEKLY)
        with pytest.raises(HostLost):
            await place.host.move_clock(NOON_MS)

    async def test_a_shard_of_another_data_directory_is_refused(self, place: Place) -> None:
        await place.host.close()
        (Path(place.settings.directory) / "manifest.json").unlink()
        with pytest.raises(WrongDirectory, match=r"manifest\.json: missing"):
            await place.host.open(CATALOG)


class LeaderboardContract:
    """One leaderboard shard, opened, killed and closed in the ways that a server may see."""

    async def test_it_is_reached_when_it_is_open(self, board: Place) -> None:
        assert (board.opened.index, board.opened.replayed) == (0, 0)
        async with board.client() as client:
            await client.wait_connected()

    async def test_opening_again_changes_nothing(self, board: Place) -> None:
        assert await board.host.open(CATALOG) == board.opened

    async def test_a_killed_shard_is_opened_again(self, board: Place) -> None:
        async with board.client() as client:
            await client.wait_connected()
            board.kill()
            while client.is_connected:
                await asyncio.sleep(0)
            await board.open()
            await client.wait_connected()

    async def test_a_closed_shard_is_opened_again(self, board: Place) -> None:
        await board.host.close()
        await board.open()
        async with board.client() as client:
            await client.wait_connected()

    async def test_it_adopts_catalogs_also_after_a_kill(self, board: Place) -> None:
        await board.host.adopt(WEEKLY)
        await board.host.adopt(CATALOG)
        board.kill()
        await board.open(WEEKLY)
        await board.host.adopt(WEEKLY)

    async def test_time_stands_still_and_is_moved(self, board: Place) -> None:
        await board.host.close()
        await board.open(now_ms=NOON_MS)
        users = ScriptedShard().answers()
        await users.connect(board.settings.address)
        for moved_ms in (NOON_MS, NOON_MS + HOUR_MS, NOON_MS):
            assert await board.host.move_clock(moved_ms) is None, "there is no leaderboard"
        users.close()
        await users.closed()

    async def test_a_backup_can_be_opened_like_the_shard_itself(self, board: Place, tmp_path: Path) -> None:
        await board.host.backup(str(tmp_path / "copy"))
        await board.host.close()
        shutil.rmtree(board.settings.directory)
        shutil.copytree(tmp_path / "copy", board.settings.directory)
        await board.open()

    async def test_a_shard_whose_boards_are_gone_is_refused(self, board: Place) -> None:
        await board.host.close()
        for path in Path(board.settings.directory).glob("boards.sqlite*"):
            path.unlink()
        with pytest.raises(WrongDirectory, match=r"boards\.sqlite: missing; final rankings would be lost"):
            await board.host.open(CATALOG)

    async def test_a_shard_that_is_not_open_is_lost(self, board: Place) -> None:
        await board.host.close()
        with pytest.raises(HostLost):
            await board.host.adopt(WEEKLY)
        with pytest.raises(HostLost):
            await board.host.move_clock(NOON_MS)

    async def test_a_missing_shard_is_refused(self, board: Place) -> None:
        await board.host.close()
        (Path(board.settings.directory) / "manifest.json").unlink()
        with pytest.raises(WrongDirectory, match=r"leaderboards/000/manifest\.json: missing"):
            await board.host.open(CATALOG)


@pytest.fixture
def make_board(tmp_path: Path) -> Iterator[Callable[[Runtime], Place]]:
    with tempfile.TemporaryDirectory(prefix="plaudit-") as sockets:
        make_settings(tmp_path / "data", Path(sockets))
        directory = leaderboard_directory(tmp_path / "data", 0)
        settings = LeaderboardSettings(0, str(directory), DATA_ID, f"{sockets}/board.sock", 1, 1)
        yield lambda runtime: Place(runtime, settings)


@pytest.fixture
def make_place(tmp_path: Path) -> Iterator[Callable[[Runtime], Place]]:
    sockets = Path(tempfile.mkdtemp(prefix="plaudit-"))
    yield lambda runtime: Place(runtime, make_settings(tmp_path / "data", sockets))
    shutil.rmtree(sockets)


@pytest.fixture(scope="module")
def ray_runtime() -> Iterator[RayRuntime]:
    scratch = Path(tempfile.mkdtemp(prefix="plaudit-"))
    runtime = RayRuntime(scratch, scratch, None)
    asyncio.run(runtime.start())
    yield runtime
    asyncio.run(runtime.stop())
    shutil.rmtree(scratch)


class TestInline(RuntimeContract):
    @pytest.fixture
    async def place(self, make_place: Callable[[Runtime], Place]) -> AsyncIterator[Place]:
        place = make_place(InlineRuntime(lambda reason: None))
        place.host = await place.runtime.host(place.settings)
        await place.open()
        yield place
        await place.host.close()


class TestInlineLeaderboards(LeaderboardContract):
    @pytest.fixture
    async def board(self, make_board: Callable[[Runtime], Place]) -> AsyncIterator[Place]:
        board = make_board(InlineRuntime(lambda reason: None))
        board.host = await board.runtime.host(board.settings)
        await board.open()
        yield board
        await board.host.close()


class TestRayLeaderboards(LeaderboardContract):
    @pytest.fixture
    async def board(self, ray_runtime: RayRuntime, make_board: Callable[[Runtime], Place]) -> AsyncIterator[Place]:
        board = make_board(ray_runtime)
        board.host = await ray_runtime.host(board.settings)
        await board.open()
        yield board
        await board.host.close()

    async def test_its_process_is_named_after_it(self, board: Place) -> None:
        assert "LeaderboardShard" in "".join(psutil.Process(board.opened.process).cmdline())


class TestRay(RuntimeContract):
    @pytest.fixture
    async def place(self, ray_runtime: RayRuntime, make_place: Callable[[Runtime], Place]) -> AsyncIterator[Place]:
        place = make_place(ray_runtime)
        place.host = await ray_runtime.host(place.settings)
        await place.open()
        yield place
        await place.host.close()
