"""A gateway: uvicorn, the application, and a router to the shards. Needs no Ray."""

import asyncio
import contextlib
import multiprocessing
import secrets
import signal
import socket
from collections.abc import Awaitable, Callable, Generator
from pathlib import Path

import uvicorn
import uvloop
from msgspec import Struct

from plaudit.actors.router import Router
from plaudit.actors.tuning import tune
from plaudit.control import (
    AnyResult,
    ChangeStreakSettings,
    ClockReading,
    MoveClock,
    NoServer,
    ReadClock,
    ReadStreakSettings,
    Refused,
    Request,
    ask,
)
from plaudit.engine.catalog import StreakSettings
from plaudit.engine.settings import StreakSettingsPatch
from plaudit.http.app import create_app
from plaudit.http.errors import NotDone
from plaudit.http.keys import KeyRing
from plaudit.storage.catalog_store import AdminKey

GRACEFUL_SHUTDOWN_S = 20
BACKLOG = 2048


class GatewaySpec(Struct, frozen=True):
    """What a gateway has to know. Picklable: gateways of their own process get it from the server."""

    addresses: list[str]
    """Of the shards of users."""
    boards: list[str]
    """Of the leaderboard shards."""
    keys: list[AdminKey]
    data: str
    """The data directory of the server, by which it is found."""
    has_test_clock: bool


class ControlledServer:
    """The server of this gateway, by its control channel (`Administration`)."""

    def __init__(self, data: Path) -> None:
        self._data = data

    async def read_clock(self) -> int:
        """See `Administration`."""
        return (await self._ask(ReadClock(), ClockReading)).now_ms

    async def move_clock(self, now_ms: int) -> int:
        """See `Administration`."""
        return (await self._ask(MoveClock(now_ms), ClockReading)).now_ms

    async def read_streak_settings(self) -> StreakSettings:
        """See `Administration`."""
        return await self._ask(ReadStreakSettings(), StreakSettings)

    async def change_streak_settings(self, patch: StreakSettingsPatch) -> StreakSettings:
        """See `Administration`."""
        return await self._ask(ChangeStreakSettings(patch), StreakSettings)

    async def _ask(self, request: Request, result: type[AnyResult]) -> AnyResult:
        try:
            return await ask(self._data, request, result)
        except (NoServer, Refused) as error:
            raise NotDone(str(error)) from error


class _Uvicorn(uvicorn.Server):
    """uvicorn without signal handlers of its own: the server decides when a gateway stops."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        hurry = asyncio.get_running_loop().call_later(GRACEFUL_SHUTDOWN_S, self._hang_up)
        await super().shutdown(sockets)
        hurry.cancel()

    def _hang_up(self) -> None:
        """Leave what is still waiting without an answer: it may have counted, so an error would be a lie."""
        for connection in list(self.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()
        self.force_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


async def run_gateway(
    spec: GatewaySpec, listening: socket.socket, stop: asyncio.Event, on_ready: Callable[[], Awaitable[None]]
) -> None:
    """Serve until `stop`, then finish what has been accepted. `on_ready` is called when requests are answered."""
    router = Router(spec.addresses, secrets.randbits(63), spec.boards)
    router.start()
    config = uvicorn.Config(
        create_app(router, KeyRing(spec.keys), ControlledServer(Path(spec.data)), has_test_clock=spec.has_test_clock),
        http="httptools",
        loop="none",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
    )
    server = _Uvicorn(config)

    async def announce() -> None:
        await server.listening.wait()
        await router.wait_ready()
        tune()
        await on_ready()

    async def watch() -> None:
        await stop.wait()
        server.should_exit = True

    tasks = [asyncio.create_task(announce()), asyncio.create_task(watch())]
    try:
        await server.serve(sockets=[listening])
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await router.close()


async def _announce_nothing() -> None:
    """The server says when it is ready, not one of its gateways."""


def run_gateway_process(spec: GatewaySpec, listening: socket.socket) -> None:
    """The main function of a gateway in a process of its own: stops on SIGTERM, or when the server is gone."""

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        loop.add_signal_handler(signal.SIGINT, lambda: None)  # a Ctrl-C goes to the whole group; the server decides
        parent = multiprocessing.parent_process()
        assert parent is not None
        loop.add_reader(parent.sentinel, stop.set)
        await run_gateway(spec, listening, stop, _announce_nothing)

    uvloop.run(main())
