"""The supervisor over hosts that only note what they are asked."""

import asyncio
from collections.abc import Callable

import pytest

from plaudit.actors.runtime import HostLost
from plaudit.actors.supervisor import Supervisor
from plaudit.actors.user_shard import Opened, ShardSettings
from plaudit.engine.catalog import Catalog
from plaudit.storage.backup import BackedUp
from plaudit.storage.errors import Unusable


class Host:
    """A shard's place; the catalog in it is what it was opened with, or adopted."""

    def __init__(self) -> None:
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
        self.catalog, self.now_ms = catalog, now_ms
        return Opened(0, 1, 0)

    async def close(self) -> None:
        self.catalog = None

    async def adopt(self, catalog: Catalog) -> None:
        if self.catalog is None:
            raise HostLost("not open")
        if self.failure is not None:
            raise self.failure
        await self.may_adopt.wait()
        self.catalog = catalog

    async def move_clock(self, now_ms: int) -> int | None:
        raise NotImplementedError

    async def backup(self, target: str) -> BackedUp:
        raise NotImplementedError


class World:
    """Two hosts and the catalog in force."""

    def __init__(self) -> None:
        self.catalog = Catalog(version=1)
        self.hosts = [Host(), Host()]

    def supervisor(self, clock: Callable[[], int] | None = None) -> Supervisor:
        settings = [ShardSettings(index, "/nowhere", "data", "/nowhere") for index in range(2)]
        return Supervisor(list(zip(settings, self.hosts, strict=True)), lambda: self.catalog, pytest.fail, clock)

    @property
    def versions(self) -> list[int | None]:
        return [None if host.catalog is None else host.catalog.version for host in self.hosts]


async def test_open_shards_adopt_what_is_in_force_and_lost_ones_are_not_waited_for() -> None:
    world = World()
    supervisor = world.supervisor()
    await supervisor.start(lambda _: None)
    assert world.versions == [1, 1]
    world.hosts[1].catalog = None
    world.catalog = Catalog(version=2)
    await supervisor.adopt()
    assert world.versions == [2, None]
    await supervisor.stop()


async def test_a_shard_that_is_being_opened_with_an_older_catalog_has_the_newer_one_in_the_end() -> None:
    world = World()
    world.hosts[0].may_open.clear()
    supervisor = world.supervisor()
    starting = asyncio.create_task(supervisor.start(lambda _: None))
    await world.hosts[0].opening.wait()
    world.catalog = Catalog(version=2)
    adopting = asyncio.create_task(supervisor.adopt())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not adopting.done()
    world.hosts[0].may_open.set()
    await starting
    await adopting
    assert world.versions == [2, 2]
    await supervisor.stop()


async def test_shards_are_opened_at_the_time_of_the_test_clock() -> None:
    world = World()
    supervisor = world.supervisor(lambda: 17)
    await supervisor.start(lambda _: None)
    assert [host.now_ms for host in world.hosts] == [17, 17]
    await supervisor.stop()


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
