"""The real application over real sockets and real shards, in this process, with a clock that the test moves."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from plaudit.actors import publisher
from plaudit.actors.catalog import CatalogActor
from plaudit.actors.clock_keeper import ClockKeeper
from plaudit.actors.leaderboard_shard import LeaderboardSettings, LeaderboardShard
from plaudit.actors.router import Router
from plaudit.actors.runtime import AnySettings, InlineHost
from plaudit.actors.supervisor import Supervisor
from plaudit.actors.user_shard import ShardSettings, UserShard
from plaudit.catalog_file import load_document
from plaudit.control import listen
from plaudit.gateway import ControlledServer
from plaudit.handler import ControlHandler
from plaudit.http.app import create_app
from plaudit.http.keys import KeyRing, hash_key
from plaudit.storage.directory import leaderboard_directory, open_directory, shard_directory

SHARDS = 2
MEMORY = Path("/dev/shm")
"""Where an fsync costs nothing; what fsyncs are for is tested with the storage."""
ADMIN_KEY = "testkey1.a-body-that-nobody-guesses"
START = "2026-03-02T10:00:00.250+00:00"
"""A Monday."""
CATALOG = """
attributes = [
    { key = "plan", name = "Plan", type = "user" },
    { key = "city", name = "City", type = "user" },
    { key = "subject", name = "Subject", type = "event" },
]
metrics = [
    { key = "lessons", name = "Lessons", units = "lessons" },
    { key = "pages", name = "Pages" },
    { key = "hours", name = "Hours" },
]

[streak]
metrics = [{ key = "lessons", threshold = 1 }, { key = "hours", threshold = 2 }]

[[achievements]]
key = "first"
name = "First steps"
description = "Finish a lesson."
badge_url = "https://example.org/first.png"
metric = "lessons"
metric_value = 1

[[achievements]]
key = "third"
name = "Third time"
metric = "lessons"
metric_value = 3

[[achievements]]
key = "closed"
name = "Too late"
metric = "lessons"
metric_value = 2
status = "locked"

[[achievements]]
key = "deep"
name = "Deep work"
metric = "hours"
metric_value = 2.5

[[points]]
key = "xp"
name = "Experience"
description = "All your work."
triggers = [
    { key = "each", metric = "lessons", metric_threshold = 1, points = 10 },
    { key = "third", metric = "lessons", metric_threshold = 3, points = 50 },
]

[[points]]
key = "coins"
name = "Coins"
badge_url = "https://example.org/coin.png"
max_points = 15
triggers = [{ key = "pages", metric = "pages", metric_threshold = 20, points = 6 }]
"""


class MovedClock:
    """Unix milliseconds, standing still until the test moves them."""

    def __init__(self, moment: str) -> None:
        self._now_ms = 0
        self.move_to(moment)

    def move_to(self, moment: str) -> None:
        """Set the time, an ISO date-time with its offset from UTC."""
        self._now_ms = round(datetime.fromisoformat(moment).timestamp() * 1000)

    def __call__(self) -> int:
        return self._now_ms


class Api:
    """A gateway with its shards, as the server puts them together, and a client that has the admin key.

    Time stands still. With `has_test_clock` it is the server's test clock, and what is due happens when it is moved;
    otherwise `clock` is moved, and what is due happens to a user with the next command.
    """

    def __init__(self, directory: Path, *, has_test_clock: bool = False) -> None:
        self.data = directory / "data"
        self.data.mkdir()
        self.clock = MovedClock(START)
        manifest = open_directory(self.data, SHARDS, "11111111-2222-4333-8444-555555555555", SHARDS)
        addresses = [str(directory / f"b{i}.sock") for i in range(manifest.leaderboards)]
        boards = [
            LeaderboardSettings(
                i, str(leaderboard_directory(self.data, i)), manifest.id, address, manifest.leaderboards, SHARDS
            )
            for i, address in enumerate(addresses)
        ]
        settings = [
            ShardSettings(
                i,
                str(shard_directory(self.data, i)),
                manifest.id,
                str(directory / f"{i}.sock"),
                boards=tuple(addresses),
            )
            for i in range(SHARDS)
        ]
        self.troubles: list[str] = []
        self._hosts = [InlineHost(each, self.troubles.append, self.clock) for each in settings]
        self._board_hosts = [InlineHost(each, self.troubles.append, self.clock) for each in boards]
        everyone: list[AnySettings] = [*settings, *boards]
        shards = list(zip(everyone, [*self._hosts, *self._board_hosts], strict=True))
        self._supervisor = Supervisor(shards, lambda: self._catalog.catalog, self.troubles.append)
        self._stack = contextlib.AsyncExitStack()
        self.router = Router([each.address for each in settings], 1, addresses)
        self.client: httpx.AsyncClient
        self._has_test_clock = has_test_clock
        self._keeper: ClockKeeper | None = None
        self._catalog: CatalogActor

    async def start(self) -> None:
        """Settle catalog and key, and take requests. The shards are closed, and nothing is connected to them."""
        path = self.data / "catalog.toml"
        path.write_text(CATALOG, "utf-8")
        self._catalog = await CatalogActor.open(self.data, self.clock)
        if self._has_test_clock:
            self._keeper = await self._catalog.start_test_clock()
        await self._catalog.apply(load_document(path))
        await self._catalog.save_key(hash_key(ADMIN_KEY), "environment")
        keys = KeyRing(await self._catalog.load_keys())
        hosts = [*self._hosts, *self._board_hosts]
        handler = ControlHandler(self.data, hosts, self._supervisor, self._catalog, self._keeper)
        self._stack.push_async_callback(handler.close)
        await self._stack.enter_async_context(listen(self.data, self.data.parent, handler.handle))
        server = ControlledServer(self.data)
        app = create_app(self.router, keys, server, has_test_clock=self._has_test_clock)
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False),
            base_url="http://plaudit.test",
            headers={"X-API-KEY": ADMIN_KEY},
        )

    async def open_shards(self) -> None:
        """Open the shards, whether they have been closed or killed."""
        for host in (*self._board_hosts, *self._hosts):
            await host.open(self._catalog.catalog, None if self._keeper is None else self._keeper.clock())
        if self._keeper is not None:
            await self._keeper.start(self._hosts, self._board_hosts)
        self.router.start()
        await self.router.wait_ready()
        while not self._knows_places():
            await asyncio.sleep(0.001)

    def _knows_places(self) -> bool:
        """All users are in on all leaderboards, and what happens to them will be said."""
        for host in self._board_hosts:
            if not (isinstance(host._shard, LeaderboardShard) and host._shard._runs.sources.are_in):
                return False
        shards = [host._shard for host in self._hosts]
        return all(isinstance(s, UserShard) and all(c._is_welcome for c in s._publisher._clients) for s in shards)

    async def close_shards(self) -> None:
        """Close the shards cleanly: everything is in their state, and their logs are gone."""
        for host in (*self._hosts, *self._board_hosts):
            await host.close()

    def kill_shards(self) -> None:
        """Lose the shards as if their processes had been killed: what they know is in their logs."""
        for host in self._hosts:
            host.kill()

    async def checkpoint(self) -> None:
        """Save what the logs hold, with the shards open."""
        for host in self._hosts:
            assert isinstance(host._shard, UserShard)
            await host._shard._checkpointer.run_once()

    async def stop(self) -> None:
        """Leave nothing running."""
        await self.client.aclose()
        await self.router.close()
        await self._stack.aclose()
        await self.close_shards()
        await self._catalog.close()

    async def move_to(self, moment: str) -> None:
        """Move the test clock, and let happen what is due until then."""
        response = await self.client.put("/admin/v1/clock", json={"now": moment})
        assert response.status_code == 200, response.text

    async def change_streaks(self, **settings: Any) -> Any:
        """Change the streak settings."""
        response = await self.client.patch("/admin/v1/streaks/settings", json=settings)
        assert response.status_code == 200, response.text
        return response.json()

    async def streak(self, user_id: str = "sam", periods: int | None = None) -> Any:
        """The streak of a user, with its history."""
        parameters = {} if periods is None else {"historyPeriods": periods}
        response = await self.client.get(f"/v1/users/{user_id}/streak", params=parameters)
        assert response.status_code == 200, response.text
        return response.json()

    async def send(
        self,
        user: str | dict[str, Any] = "sam",
        value: float = 1,
        metric: str = "lessons",
        *,
        key: str | None = None,
        attributes: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Send an event of a user, given by id or with a profile; `key` is an idempotency key."""
        body: dict[str, Any] = {"user": {"id": user} if isinstance(user, str) else user, "value": value}
        if attributes is not None:
            body["attributes"] = attributes
        headers = {} if key is None else {"Idempotency-Key": key}
        return await self.client.post(f"/v1/metrics/{metric}/event", json=body, headers=headers)

    async def send_ok(self, *args: Any, **kwargs: Any) -> Any:
        """Send an event that must be recorded; returns the response's body."""
        response = await self.send(*args, **kwargs)
        assert response.status_code == 201, response.text
        return response.json()

    async def user(self, user_id: str = "sam") -> Any:
        """The profile of a user."""
        response = await self.client.get(f"/v1/users/{user_id}")
        assert response.status_code == 200, response.text
        return response.json()

    async def metrics(self, user_id: str = "sam") -> dict[str, Any]:
        """The metrics of a user, by key."""
        response = await self.client.get(f"/v1/users/{user_id}/metrics")
        assert response.status_code == 200, response.text
        return {metric["key"]: metric for metric in response.json()}

    async def totals(self, user_id: str = "sam") -> dict[str, float]:
        """The totals of a user, by the metrics' keys."""
        return {key: metric["current"] for key, metric in (await self.metrics(user_id)).items()}


@contextlib.asynccontextmanager
async def prepared(*, has_test_clock: bool = False) -> AsyncIterator[Api]:
    """A gateway that has not begun to look for its shards."""
    directory = Path(tempfile.mkdtemp(prefix="p-", dir=MEMORY if MEMORY.is_dir() else None))
    api = Api(directory, has_test_clock=has_test_clock)
    await api.start()
    yield api
    await api.stop()
    shutil.rmtree(directory)


@pytest.fixture(autouse=True)
def places_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is."""
    monkeypatch.setattr(publisher, "PLACE_WAIT_S", 60.0)


@pytest.fixture
async def started() -> AsyncIterator[Api]:
    """A gateway that has not begun to look for its shards."""
    async with prepared() as api:
        yield api


@pytest.fixture
async def unopened(started: Api) -> Api:
    """A gateway that looks for its shards, which are not open."""
    started.router.start()
    return started


@pytest.fixture
async def api(started: Api) -> Api:
    """A gateway that answers."""
    await started.open_shards()
    return started


@pytest.fixture
async def timed() -> AsyncIterator[Api]:
    """A gateway that answers, and whose server has a test clock."""
    async with prepared(has_test_clock=True) as api:
        await api.open_shards()
        yield api
