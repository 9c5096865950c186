"""What the control channel's requests do, with a catalog of its own and a shard that only notes what it is asked."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from plaudit.actors.catalog import CatalogActor
from plaudit.actors.supervisor import Supervisor
from plaudit.actors.user_shard import Opened, ShardSettings
from plaudit.control import (
    ChangeStreakSettings,
    ClockReading,
    MoveClock,
    ReadClock,
    ReadStreakSettings,
    Request,
    Result,
    ignore,
)
from plaudit.engine.catalog import Catalog, StreakSettings
from plaudit.engine.errors import Invalid
from plaudit.engine.settings import StreakSettingsPatch
from plaudit.handler import ControlHandler
from plaudit.storage.backup import BackedUp
from plaudit.storage.catalog_store import ClockTimes

WEEKLY = ChangeStreakSettings(StreakSettingsPatch(frequency="weekly"))
AND = ChangeStreakSettings(StreakSettingsPatch(evaluation_mode="AND"))


class Host:
    """A shard that does nothing until the gate is open (`ShardHost`)."""

    def __init__(self) -> None:
        self.journal: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()

    async def open(self, catalog: Catalog, now_ms: int | None = None) -> Opened:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError

    async def adopt(self, catalog: Catalog) -> None:
        await self._do(f"{catalog.streaks.frequency} {catalog.streaks.evaluation_mode}")

    async def move_clock(self, now_ms: int) -> int | None:
        await self._do(str(now_ms))
        return None

    async def backup(self, target: str) -> BackedUp:
        raise NotImplementedError

    async def _do(self, what: str) -> None:
        self.asked.set()
        await self.gate.wait()
        self.journal.append(what)


class World:
    """A handler and what it works on."""

    def __init__(self, data: Path, catalog: CatalogActor) -> None:
        self.data = data
        self.catalog = catalog
        self.host = Host()
        self.handler: ControlHandler

    async def start(self, *, has_test_clock: bool) -> None:
        supervisor = Supervisor(
            [(ShardSettings(0, "/nowhere", "data", "/nowhere"), self.host)], lambda: self.catalog.catalog, pytest.fail
        )
        keeper = await self.catalog.start_test_clock() if has_test_clock else None
        if keeper is not None:
            await keeper.start([self.host])
        self.host.journal.clear()
        self.host.asked.clear()
        self.handler = ControlHandler(self.data, [self.host], supervisor, self.catalog, keeper)

    async def ask(self, request: Request) -> Result:
        return await self.handler.handle(request, ignore)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    catalog = await CatalogActor.open(tmp_path, lambda: 1_000)
    world = World(tmp_path, catalog)
    await world.start(has_test_clock=True)
    yield world
    await world.handler.close()
    await catalog.close()


async def test_clock_and_settings_are_read_and_changed(world: World) -> None:
    assert await world.ask(ReadClock()) == ClockReading(1_000)
    assert await world.ask(MoveClock(2_000)) == ClockReading(2_000)
    assert await world.ask(ReadClock()) == ClockReading(2_000)
    assert await world.ask(WEEKLY) == StreakSettings(frequency="weekly")
    assert await world.ask(ReadStreakSettings()) == StreakSettings(frequency="weekly")
    assert world.host.journal == ["1000", "2000", "weekly OR"]


async def test_changes_are_made_one_at_a_time_and_reads_do_not_wait(world: World) -> None:
    world.host.gate.clear()
    changes = [asyncio.create_task(world.ask(request)) for request in (MoveClock(2_000), WEEKLY, MoveClock(3_000), AND)]
    await world.host.asked.wait()
    assert await world.ask(ReadClock()) == ClockReading(1_000)
    assert await world.ask(ReadStreakSettings()) == StreakSettings()
    world.host.gate.set()
    await asyncio.gather(*changes)
    assert world.host.journal == ["1000", "2000", "weekly OR", "2000", "3000", "weekly AND"]


@pytest.mark.parametrize(("request_", "done"), [(MoveClock(2_000), ["1000", "2000"]), (WEEKLY, ["weekly OR"])])
async def test_a_change_that_nobody_waits_for_any_more_is_made_all_the_same(
    world: World, request_: Request, done: list[str]
) -> None:
    world.host.gate.clear()
    asking = asyncio.create_task(world.ask(request_))
    await world.host.asked.wait()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    world.host.gate.set()
    await world.ask(MoveClock(3_000))
    assert world.host.journal[: len(done)] == done
    assert world.host.journal[-1] == "3000"


async def test_a_server_that_stops_ends_its_changes_and_the_next_one_knows_of_them(world: World) -> None:
    world.host.gate.clear()
    asking = asyncio.create_task(world.ask(MoveClock(2_000)))
    await world.host.asked.wait()
    await world.handler.close()
    await asyncio.gather(asking, return_exceptions=True)
    assert asking.cancelled()
    assert await world.catalog.load_clock() == ClockTimes(1_000, 2_000)


async def test_without_a_test_clock_there_is_no_time_to_read_or_move(world: World) -> None:
    await world.start(has_test_clock=False)
    for request in (ReadClock(), MoveClock(2_000)):
        with pytest.raises(Invalid, match="--test-clock"):
            await world.ask(request)
