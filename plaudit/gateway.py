"""A gateway: uvicorn, the application, and a router to the shards. Needs no Ray."""

import asyncio
import contextlib
import multiprocessing
import secrets
import signal
import socket
from collections.abc import Awaitable, Callable, Generator

import uvicorn
import uvloop
from msgspec import Struct

from plaudit.actors.router import Router
from plaudit.actors.tuning import tune
from plaudit.http.app import create_app
from plaudit.http.keys import KeyRing
from plaudit.storage.catalog_store import AdminKey

GRACEFUL_SHUTDOWN_S = 20
BACKLOG = 2048


class GatewaySpec(Struct, frozen=True):
    """What a gateway has to know. Picklable: gateways of their own process get it from the server."""

    addresses: list[str]
    keys: list[AdminKey]


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
    router = Router(spec.addresses, secrets.randbits(63))
    router.start()
    config = uvicorn.Config(
        create_app(router, KeyRing(spec.keys)),
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
