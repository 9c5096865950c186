"""The supervisor over hosts that only note what they are asked."""

import asyncio
import logging
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plaudit.actors import supervisor as supervisor_module
from plaudit.actors.leaderboard_shard import LeaderboardSettings
from plaudit.actors.runtime import HostLost
from plaudit.actors.supervisor import Supervisor
from plaudit.actors.transport import Connection, listen
from plaudit.actors.user_shard import Opened, ShardSettings
from plaudit.engine.catalog import Catalog
from plaudit.storage.backup import BackedUp
from plaudit.storage.errors import Unusable


class Host:
    """A shard's place; the catalog in it is what it was opened with, or adopted."""

    def __init__(self, name: str, journal: list[str]) -> None:
        self._name = name
        self._journal = journal
        self.catalog: Catalog | None = None
        self.now_ms: int | None = None
        self.opening = asyncio.Event()
        self.may_open = asyncio.Event()
        self.may_open.set()
        self.may_adopt = asyncio.Event()
        self.may_adopt.set()
        self.failure: Exception | None = None

    async def open(self, catalog: Catalog, now_ms: int | None = None) -> Opened:
        self.opening.set()
        await self.may_open.wait()
        self._journal.append(f"{self._name} open")
        self.catalog, self.now_ms = catalog, now_ms
        return Opened(0, 1, 0)

    async def close(self) -> None:
        await self._take_time("close")
        if self.failure is not None:
            raise self.failure
        self.catalog = None

    async def adopt(self, catalog: Catalog) -> None:
        if self.catalog is None:
            raise HostLost("not open")
        if self.failure is not None:
            raise self.failure
        await self.may_adopt.wait()
        await self._take_time("adopt")
        self.catalog = catalog

    async def move_clock(self, now_ms: int) -> int | None:
        raise NotImplementedError

    async def backup(self, target: str) -> BackedUp:
        raise NotImplementedError

    async def _take_time(self, what: str) -> None:
        self._journal.append(f"{self._name} {what}s")
        await asyncio.sleep(0)
        self._journal.append(f"{self._name} {what}")


class World:
    """Two hosts of users and two of leaderboards, and the catalog in force."""

    def __init__(self, sockets: Path = Path("/nowhere")) -> None:
        self.catalog = Catalog(version=1)
        self.journal: list[str] = []
        self.sockets = sockets
        self.hosts = [Host(f"users {index}", self.journal) for index in range(2)]
        self.boards = [Host(f"boards {index}", self.journal) for index in range(2)]

    def supervisor(self, clock: Callable[[], int] | None = None) -> Supervisor:
        users = [ShardSettings(index, "/nowhere", "data", str(self.sockets / f"u{index}")) for index in range(2)]
        boards = [
            LeaderboardSettings(index, "/nowhere", "data", str(self.sockets / f"b{index}"), 2, 2) for index in range(2)
        ]
        hosts: list[tuple[ShardSettings | LeaderboardSettings, Host]] = [
            *zip(users, self.hosts, strict=True),
            *zip(boards, self.boards, strict=True),
        ]
        return Supervisor(hosts, lambda: self.catalog, pytest.fail, clock)

    @property
    def versions(self) -> list[int | None]:
        return [None if host.catalog is None else host.catalog.version for host in (*self.hosts, *self.boards)]

    def take(self) -> list[str]:
        journal = self.journal.copy()
        self.journal.clear()
        return journal


@pytest.fixture
def sockets() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="plaudit-") as directory:
        yield Path(directory)


async def test_open_shards_adopt_what_is_in_force_and_lost_ones_are_not_waited_for() -> None:
    world = World()
    supervisor = world.supervisor()
    await supervisor.start(lambda _: None)
    assert world.versions == [1, 1, 1, 1]
    world.hosts[1].catalog = world.boards[0].catalog = None
    world.catalog = Catalog(version=2)
    await supervisor.adopt()
    assert world.versions == [2, None, None, 2]
    await supervisor.stop()


@pytest.mark.parametrize("kind", ["hosts", "boards"])
async def test_a_shard_that_is_being_opened_with_an_older_catalog_has_the_newer_one_in_the_end(kind: str) -> None:
    world = World()
    slow: Host = getattr(world, kind)[0]
    slow.may_open.clear()
    supervisor = world.supervisor()
    starting = asyncio.create_task(supervisor.start(lambda _: None))
    await slow.opening.wait()
    world.catalog = Catalog(version=2)
    adopting = asyncio.create_task(supervisor.adopt())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not adopting.done()
    slow.may_open.set()
    await starting
    await adopting
    assert world.versions == [2, 2, 2, 2]
    await supervisor.stop()


async def test_shards_are_opened_at_the_time_of_the_test_clock() -> None:
    world = World()
    supervisor = world.supervisor(lambda: 17)
    await supervisor.start(lambda _: None)
    assert [host.now_ms for host in (*world.hosts, *world.boards)] == [17] * 4
    await supervisor.stop()


async def test_all_are_opened_at_the_same_time() -> None:
    world = World()
    for host in (*world.hosts, *world.boards):
        host.may_open.clear()
    supervisor = world.supervisor()
    opened: list[Opened] = []
    starting = asyncio.create_task(supervisor.start(opened.append))
    for host in (*world.hosts, *world.boards):
        await host.opening.wait()
    assert not opened
    for host in (*world.hosts, *world.boards):
        host.may_open.set()
    await starting
    assert len(opened) == 4
    await supervisor.stop()


@pytest.mark.parametrize("what", ["adopt", "close"])
async def test_leaderboard_shards_adopt_and_close_when_all_shards_of_users_have(what: str) -> None:
    world = World()
    supervisor = world.supervisor()
    await supervisor.start(lambda _: None)
    world.take()
    failures = await (supervisor.adopt() if what == "adopt" else supervisor.stop())
    assert not failures
    assert world.take() == [
        *(f"users 0 {what}s", f"users 1 {what}s", f"users 0 {what}", f"users 1 {what}"),
        *(f"boards 0 {what}s", f"boards 1 {what}s", f"boards 0 {what}", f"boards 1 {what}"),
    ]
    await supervisor.stop()


async def test_what_cannot_be_closed_is_named_by_its_kind_and_the_rest_is_closed() -> None:
    world = World()
    supervisor = world.supervisor()
    await supervisor.start(lambda _: None)
    world.hosts[1].failure = world.boards[1].failure = OSError("disk full")
    assert [failure.partition(" could not be closed")[0] for failure in await supervisor.stop()] == [
        "shard 1",
        "leaderboard shard 1",
    ]
    assert world.versions == [None, 1, None, 1]


@pytest.mark.parametrize(("address", "name"), [("u1", "shard 1"), ("b1", "leaderboard shard 1")])
async def test_a_shard_that_is_lost_is_opened_again_and_named_by_its_kind(
    sockets: Path,
    address: str,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(supervisor_module, "LOST_RETRY_S", 60)  # the others have no socket: they are not at issue
    world = World(sockets)
    connected: asyncio.Queue[Connection] = asyncio.Queue()

    class Link:
        def __init__(self, connection: Connection) -> None:
            connected.put_nowait(connection)

        def frame_received(self, payload: bytes) -> None:
            raise NotImplementedError

        def connection_closed(self) -> None:
            pass

    server = await listen(str(sockets / address), Link)
    supervisor = world.supervisor()
    with caplog.at_level(logging.WARNING):
        await supervisor.start(lambda _: None)
        watched = await connected.get()
        world.take()
        watched.abort()
        watched = await connected.get()
    assert world.take() == [f"{'boards' if address == 'b1' else 'users'} 1 open"]
    assert [record.getMessage() for record in caplog.records] == [
        f"{name} was lost (its process ended); opening it again",
        f"{name} is open again, with 0 commands replayed",
    ]
    await supervisor.stop()
    server.close()
    watched.abort()
    for _ in range(10):  # until its other end has noticed
        await asyncio.sleep(0)


@pytest.mark.parametrize("failing", [0, 1])
async def test_a_failing_adoption_is_told_when_all_shards_have_answered(failing: int) -> None:
    world = World()
    supervisor = world.supervisor()
    await supervisor.start(lambda _: None)
    bad, good = world.hosts[failing], world.hosts[1 - failing]
    bad.failure = Unusable("the disk is full")
    good.may_adopt.clear()
    world.catalog = Catalog(version=2)
    adopting = asyncio.create_task(supervisor.adopt())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not adopting.done()
    good.may_adopt.set()
    with pytest.raises(Unusable, match="the disk is full"):
        await adopting
    assert world.versions[1 - failing] == 2
    assert world.versions[failing] == 1
    await supervisor.stop()
