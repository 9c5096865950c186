"""The server: takes the data directory, starts the runtime, opens the shards, serves, and puts everything back."""

import asyncio
import contextlib
import multiprocessing
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Awaitable, Callable, Coroutine
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from plaudit.actors.catalog import CatalogActor
from plaudit.actors.clock import system_clock
from plaudit.actors.clock_keeper import ClockKeeper
from plaudit.actors.formats import format_instant
from plaudit.actors.leaderboard_shard import LeaderboardSettings
from plaudit.actors.ray_runtime import RayRuntime
from plaudit.actors.runtime import AnySettings, HostLost, InlineRuntime, Runtime, ShardHost
from plaudit.actors.supervisor import Supervisor
from plaudit.actors.tuning import tune
from plaudit.actors.user_shard import Opened, ShardSettings
from plaudit.config import DEFAULT_LEADERBOARD_SHARDS, DEFAULT_SHARDS, Settings
from plaudit.control import listen
from plaudit.engine.document import Document
from plaudit.gateway import GatewaySpec, run_gateway, run_gateway_process
from plaudit.handler import ControlHandler
from plaudit.http.keys import hash_key, make_key
from plaudit.storage.directory import Manifest, leaderboard_directory, open_directory, shard_directory
from plaudit.storage.errors import WrongDirectory
from plaudit.storage.files import DirectoryLock

SOCKET_PATH_MAX = 100
"""Bytes; the system's limit is 107."""
LONGEST_SOCKET_NAME = "leaderboard-000.sock"
SCRATCH_PREFIX = "plaudit-"
WORKER_CHECK_INTERVAL_S = 0.5
RUNTIME_CHECK_INTERVAL_S = 1.0
WORKER_STOP_TIMEOUT_S = 30.0


class Reporter(Protocol):
    """Who tells the operator what is going on."""

    def step(self, text: str) -> None:
        """Something that may take seconds has begun."""

    def shards_opening(self, total: int) -> None:
        """The shards have begun to restore."""

    def shard_opened(self, opened: Opened) -> None:
        """One shard more is open."""

    def ready(self, url: str, new_key: str | None, metric: str | None) -> None:
        """Requests are answered. `new_key` is an admin key that was just made; it is never shown again.

        `metric` is the key of a metric to try it with; None if the catalog has none.
        """

    def trouble(self, text: str) -> None:
        """Something went wrong; the server goes on, unless it says that it stops."""


class ServerFailed(Exception):
    """The server cannot start or go on, and says why."""


async def serve(settings: Settings, document: Document | None, reporter: Reporter) -> None:
    """Run a server until SIGTERM or SIGINT; returns when nothing is left running.

    Raises StorageError, ServerFailed, or OSError for an address that cannot be had.
    """
    os.umask(0o077)
    async with contextlib.AsyncExitStack() as stack:
        server = Server(settings, reporter, stack)
        await server.run(document)


class Server:
    """One run of a server. What it starts goes on `stack`, and so ends in reverse order."""

    def __init__(self, settings: Settings, reporter: Reporter, stack: contextlib.AsyncExitStack) -> None:
        self._settings = settings
        self._reporter = reporter
        self._stack = stack
        self._data = settings.data.resolve()
        self._stop = asyncio.Event()
        self._failure: str | None = None

    async def run(self, document: Document | None) -> None:
        """See `serve`."""
        self._handle_signals()
        listening = self._bind()
        manifest = self._open_data()
        catalog = await CatalogActor.open(self._data, system_clock)
        self._stack.push_async_callback(catalog.close)
        keeper = await self._take_clock(catalog)
        new_key = await self._settle_keys(catalog)
        is_interrupted = keeper is not None and keeper.interrupted_ms is not None
        if document is not None and not is_interrupted:
            await catalog.apply(document)
        runtime = await self._start_runtime()
        if self._stop.is_set():
            return
        sockets = self._socket_directory()
        boards = self._board_settings(manifest, sockets)
        addresses = [board.address for board in boards]
        users = self._user_settings(manifest, sockets, addresses)
        everyone: list[AnySettings] = [*users, *boards]
        shards = [(settings, await runtime.host(settings)) for settings in everyone]
        supervisor = Supervisor(shards, lambda: catalog.catalog, self._give_up, keeper.clock if keeper else None)
        await self._open_shards(supervisor, len(shards))
        hosts = [host for _, host in shards]
        if keeper is not None:
            await self._start_clock(keeper, hosts[: len(users)], hosts[len(users) :])
        if document is not None and is_interrupted:  # it is not for the time before the target
            await catalog.apply(document)
            await supervisor.adopt()
        handler = ControlHandler(self._data, hosts, supervisor, catalog, keeper)
        self._stack.push_async_callback(handler.close)
        await self._stack.enter_async_context(listen(self._data, sockets, handler.handle))
        spec = GatewaySpec(
            addresses=[settings.address for settings in users],
            boards=addresses,
            keys=await catalog.load_keys(),
            data=str(self._data),
            has_test_clock=keeper is not None,
        )
        host = self._settings.host
        url = f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"

        metric = next((m.key for m in catalog.catalog.metrics if not m.archived), None)

        async def announce() -> None:
            self._reporter.ready(url, new_key, metric)
            await catalog.mark_key_seen()

        watching = asyncio.create_task(self._watch(runtime))
        self._stack.callback(watching.cancel)
        await self._serve(spec, listening, announce)
        if self._failure is not None:
            raise ServerFailed(self._failure)

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop.set)

    def _bind(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._settings.host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        self._stack.callback(listening.close)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((self._settings.host, self._settings.port))
        except OSError as error:
            raise ServerFailed(f"{self._settings.host}:{self._settings.port}: {error.strerror or error}") from None
        return listening

    def _open_data(self) -> Manifest:
        self._data.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = DirectoryLock(self._data)
        lock.acquire()
        self._stack.callback(lock.release)
        return open_directory(
            self._data,
            self._settings.shards,
            str(uuid4()),
            DEFAULT_SHARDS,
            self._settings.leaderboard_shards,
            DEFAULT_LEADERBOARD_SHARDS,
        )

    async def _take_clock(self, catalog: CatalogActor) -> ClockKeeper | None:
        """The test clock of the directory, if there shall be one. Raises WrongDirectory if there is, and shall not."""
        if self._settings.test_clock:
            return await catalog.start_test_clock()
        times = await catalog.load_clock()
        if times is not None:
            raise WrongDirectory(
                f"{self._data}: made with a test clock, which stands at {format_instant(times.target_ms)}: "
                "start with --test-clock"
            )
        return None

    async def _settle_keys(self, catalog: CatalogActor) -> str | None:
        """See that there is an admin key. Returns it if it had to be made."""
        if self._settings.admin_key is not None:
            await catalog.save_key(hash_key(self._settings.admin_key), "environment")
            return None
        if await catalog.has_seen_key():
            return None
        key = make_key()
        await catalog.save_key(hash_key(key), "unseen")
        return key

    async def _start_runtime(self) -> Runtime:
        runtime: Runtime
        if self._settings.runtime == "inline":
            runtime = InlineRuntime(self._reporter.trouble)
        else:
            address = self._settings.ray_address
            self._reporter.step("Starting Ray" if address is None else f"Connecting to Ray at {address}")
            runtime = RayRuntime(self._data, self._scratch(), address)
        try:
            await runtime.start()
        except (RuntimeError, ValueError, OSError) as error:
            raise ServerFailed(f"the {self._settings.runtime} runtime does not start: {error}") from error
        self._stack.push_async_callback(runtime.stop)
        self._handle_signals()  # Ray has put its own in their place
        return runtime

    def _scratch(self) -> Path:
        """A short-lived directory for Ray's files. That of a run that was killed is removed."""
        note = self._data / "scratch"
        if note.exists():
            old = Path(note.read_text("utf-8"))
            if old.name.startswith(SCRATCH_PREFIX):
                shutil.rmtree(old, ignore_errors=True)
        scratch = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX))
        note.write_text(str(scratch), "utf-8")
        self._stack.callback(note.unlink, missing_ok=True)
        self._stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        return scratch

    def _user_settings(self, manifest: Manifest, sockets: Path, boards: list[str]) -> list[ShardSettings]:
        """All shards of users, which listen in `sockets`; `boards` are the addresses of the leaderboard shards."""
        return [
            ShardSettings(
                index=index,
                directory=str(shard_directory(self._data, index)),
                data_id=manifest.id,
                address=str(sockets / f"shard-{index:03d}.sock"),
                durability=self._settings.durability,
                users_max=self._settings.users_in_memory,
                timer_window_ms=0 if self._settings.test_clock else 1000 * self._settings.timer_window,
                boards=tuple(boards),
            )
            for index in range(manifest.shards)
        ]

    def _board_settings(self, manifest: Manifest, sockets: Path) -> list[LeaderboardSettings]:
        """All leaderboard shards, which listen in `sockets`."""
        return [
            LeaderboardSettings(
                index=index,
                directory=str(leaderboard_directory(self._data, index)),
                data_id=manifest.id,
                address=str(sockets / f"leaderboard-{index:03d}.sock"),
                shards=manifest.leaderboards,
                user_shards=manifest.shards,
            )
            for index in range(manifest.leaderboards)
        ]

    async def _open_shards(self, supervisor: Supervisor, shards: int) -> None:
        """Open all shards, and keep them open."""
        self._reporter.shards_opening(shards)

        async def close_shards() -> None:
            failures = await supervisor.stop()
            if failures:
                raise ServerFailed("; ".join(failures))

        self._stack.push_async_callback(close_shards)
        try:
            await self._unless_stopped(supervisor.start(self._reporter.shard_opened), "all shards were open")
        except ExceptionGroup as group:
            first = group.exceptions[0]
            if isinstance(first, HostLost):
                raise ServerFailed(f"the runtime does not answer: {first}") from None
            raise first from None

    async def _start_clock(self, keeper: ClockKeeper, users: list[ShardHost], boards: list[ShardHost]) -> None:
        """Let everything happen that was still due when the last server ended."""
        if keeper.interrupted_ms is not None:
            self._reporter.step(f"Moving the test clock on to {format_instant(keeper.interrupted_ms)}")
        await self._unless_stopped(keeper.start(users, boards), "all that was due had happened")

    async def _unless_stopped(self, work: Coroutine[None, None, None], end: str) -> None:
        """Do what a start cannot do without. Raises ServerFailed if the server has to stop before the end of it."""
        working = asyncio.create_task(work)
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not working.done():
            working.cancel()
        try:
            await asyncio.gather(working)
        except asyncio.CancelledError:
            raise ServerFailed(self._failure or f"stopped before {end}") from None

    def _socket_directory(self) -> Path:
        """A private directory for sockets: in the data directory, or, if its path is too long, a temporary one."""
        directory = self._data / "run"
        if len(os.fsencode(directory / LONGEST_SOCKET_NAME)) > SOCKET_PATH_MAX:
            directory = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX))
        directory.mkdir(exist_ok=True, mode=0o700)
        directory.chmod(0o700)  # also one that was there: it is what keeps others from the control socket
        self._stack.callback(shutil.rmtree, directory, ignore_errors=True)
        return directory

    async def _watch(self, runtime: Runtime) -> None:
        while (failure := runtime.find_failure()) is None:
            await asyncio.sleep(RUNTIME_CHECK_INTERVAL_S)
        self._give_up(failure)

    def _give_up(self, reason: str) -> None:
        self._failure = f"the runtime is gone: {reason}"
        self._stop.set()

    async def _serve(
        self, spec: GatewaySpec, listening: socket.socket, on_ready: Callable[[], Awaitable[None]]
    ) -> None:
        if self._settings.workers == 1:
            await run_gateway(spec, listening, self._stop, on_ready)
            return
        listening.listen()
        workers = [_start_worker(spec, listening) for _ in range(self._settings.workers)]
        try:
            tune()
            await on_ready()
            await self._keep_alive(workers, spec, listening)
        finally:
            await _stop_workers(workers)

    async def _keep_alive(self, workers: list[SpawnProcess], spec: GatewaySpec, listening: socket.socket) -> None:
        """Replace gateway processes that end, until the server stops."""
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), WORKER_CHECK_INTERVAL_S)
            for position, worker in enumerate(workers):
                if not worker.is_alive() and not self._stop.is_set():
                    self._reporter.trouble(
                        f"gateway process {worker.pid} ended with {worker.exitcode}; starting another"
                    )
                    workers[position] = _start_worker(spec, listening)


async def _stop_workers(workers: list[SpawnProcess]) -> None:
    for worker in workers:
        worker.terminate()
    for worker in workers:
        await asyncio.to_thread(worker.join, WORKER_STOP_TIMEOUT_S)
        if worker.is_alive():
            worker.kill()


def _start_worker(spec: GatewaySpec, listening: socket.socket) -> SpawnProcess:
    context = multiprocessing.get_context("spawn")
    worker = context.Process(target=run_gateway_process, args=(spec, listening), name="gateway")
    worker.start()
    return worker
