"""What every runtime owes its callers, run against each."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from plaudit.actors.ray_runtime import RayRuntime
from plaudit.actors.runtime import HostLost, InlineHost, InlineRuntime, Runtime, ShardHost
from plaudit.actors.shard_client import ShardClient
from plaudit.actors.user_shard import Opened, ShardSettings
from plaudit.storage.errors import WrongDirectory
from tests.actors.shards import event, make_settings, total_in, total_of
from tests.catalogs import study_catalog

CATALOG = study_catalog()


class Place:
    """A shard's host under a runtime, with what a supervisor does for it."""

    def __init__(self, runtime: Runtime, settings: ShardSettings) -> None:
        self.runtime = runtime
        self.settings = settings
        self.host: ShardHost
        self.opened: Opened

    async def open(self) -> Opened:
        while True:
            try:
                self.opened = await self.host.open(CATALOG)
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

    async def test_a_shard_of_another_data_directory_is_refused(self, place: Place) -> None:
        await place.host.close()
        (Path(place.settings.directory) / "manifest.json").unlink()
        with pytest.raises(WrongDirectory, match=r"manifest\.json: missing"):
            await place.host.open(CATALOG)


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


class TestRay(RuntimeContract):
    @pytest.fixture
    async def place(self, ray_runtime: RayRuntime, make_place: Callable[[Runtime], Place]) -> AsyncIterator[Place]:
        place = make_place(ray_runtime)
        place.host = await ray_runtime.host(place.settings)
        await place.open()
        yield place
        await place.host.close()
