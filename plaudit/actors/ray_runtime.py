"""Shard actors as Ray actors: processes that Ray starts, restarts and stops.

Ray is the control plane: `open` and `close` go through it, events go through the shards' own sockets. Everything that
depends on Ray's version is in this module.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import threading
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from plaudit.actors.leaderboard_shard import LeaderboardSettings
from plaudit.actors.runtime import AnySettings, HostLost, InlineHost
from plaudit.actors.tuning import tune
from plaudit.actors.user_shard import Opened
from plaudit.engine.catalog import Catalog
from plaudit.storage.backup import BackedUp
from plaudit.storage.files import leave_failure, write_durably

TOKEN_NAME = "ray.token"  # noqa: S105  # a file's name
OBJECT_STORE_BYTES = 80 * 2**20
"""Close to the least that Ray accepts. Nothing of ours goes through it."""
CALLS_MAX = 5
"""At the same time, each in a thread: a backup takes minutes, and what the server asks for meanwhile must not wait."""
FAILED_EXIT_CODE = 70
LOG_NAME = "shard.log"
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
VITAL_PROCESSES = {"gcs_server", "raylet"}
SHUTDOWN_TIMEOUT_S = 15.0
SHUTDOWN_POLL_S = 0.02

LOG = logging.getLogger(__name__)

Result = TypeVar("Result")


class ShardProcess:
    """What runs in a shard's process: the shard on a uvloop loop in a thread, Ray's own calls beside it."""

    def __init__(self, settings: AnySettings) -> None:
        os.umask(0o077)
        directory = Path(settings.directory)
        logging.basicConfig(filename=directory / LOG_NAME, level=logging.WARNING, format=LOG_FORMAT)
        self._host = InlineHost(settings, lambda reason: _exit(directory, reason))
        self._backups = _Backups(self._host)
        self._loop = uvloop.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="shard", daemon=True).start()

    def open(self, catalog: Catalog, now_ms: int | None) -> Opened:
        """See `ShardHost`."""
        opened = self._run(self._host.open(catalog, now_ms))
        tune()
        return opened

    def adopt(self, catalog: Catalog) -> None:
        """See `ShardHost`."""
        self._run(self._host.adopt(catalog))

    def move_clock(self, now_ms: int) -> int | None:
        """See `ShardHost`."""
        return self._run(self._host.move_clock(now_ms))

    def close(self) -> None:
        """See `ShardHost`."""
        self._run(self._host.close())

    def backup(self, target: str) -> BackedUp:
        """See `ShardHost`. Takes a thread of its own until it ends."""
        return self._run(self._backups.run(target))

    def cancel_backup(self) -> None:
        """End a backup that is under way; when this returns it has ended."""
        self._run(self._backups.cancel())

    def _run(self, work: Coroutine[None, None, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


class _Backups:
    """A shard's backup that can be cancelled. Apart from `ShardProcess`: Ray runs a class with coroutines otherwise."""

    def __init__(self, host: InlineHost) -> None:
        self._host = host
        self._running: asyncio.Task[BackedUp] | None = None

    async def run(self, target: str) -> BackedUp:
        """See `ShardHost`; HostLost if it is cancelled."""
        self._running = asyncio.create_task(self._host.backup(target))
        await asyncio.wait([self._running])
        if self._running.cancelled():
            raise HostLost("the backup was cancelled")
        return self._running.result()

    async def cancel(self) -> None:
        """Returns when the backup has ended, if one was running."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])


def _exit(directory: Path, reason: str) -> None:
    """End the process at once: the next one recovers."""
    leave_failure(directory, reason)
    os._exit(FAILED_EXIT_CODE)


class RayHost:
    """A shard in a Ray actor. Ray restarts its process whenever it dies; `open` has to be called again then."""

    def __init__(self, actor: Any) -> None:  # Ray's handles have no static type
        self._actor = actor

    async def open(self, catalog: Catalog, now_ms: int | None = None) -> Opened:
        """See `ShardHost`."""
        opened: Opened = await self._ask(self._actor.open, catalog, now_ms)
        return opened

    async def adopt(self, catalog: Catalog) -> None:
        """See `ShardHost`."""
        await self._ask(self._actor.adopt, catalog)

    async def move_clock(self, now_ms: int) -> int | None:
        """See `ShardHost`."""
        due_ms: int | None = await self._ask(self._actor.move_clock, now_ms)
        return due_ms

    async def close(self) -> None:
        """See `ShardHost`."""
        await self._ask(self._actor.close)

    async def backup(self, target: str) -> BackedUp:
        """See `ShardHost`."""
        try:
            found: BackedUp = await self._ask(self._actor.backup, target)
        except asyncio.CancelledError:
            with contextlib.suppress(HostLost):
                await self._ask(self._actor.cancel_backup)
            raise
        return found

    async def _ask(self, method: Any, *arguments: Catalog | str | int | None) -> Any:
        import ray  # noqa: PLC0415  # a second of imports that the inline runtime does without

        try:
            return await method.remote(*arguments)
        except ray.exceptions.RayActorError as error:
            raise HostLost(str(error)) from error
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None  # without Ray's account of where it happened


class RayRuntime:
    """Local Ray, started with the smallest footprint that works, or an existing cluster.

    Shards are pinned to this node: their directories are here.
    """

    def __init__(self, data: Path, scratch: Path, address: str | None) -> None:
        self._data = data
        self._scratch = scratch
        self._address = address

    async def start(self) -> None:
        """See `Runtime`. Local Ray takes some four seconds, all of them in this call."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        if self._address is None:
            os.environ["RAY_AUTH_MODE"] = "token"
            os.environ["RAY_AUTH_TOKEN_PATH"] = str(self._token())
        import ray  # noqa: PLC0415  # reads the environment above

        ray._private.worker.print_to_stdstream = _log_ray_message  # type: ignore[assignment]
        if self._address is not None:
            ray.init(address=self._address, log_to_driver=False, logging_level=logging.ERROR)
            return
        ray.init(
            address="local",  # whatever RAY_ADDRESS says
            num_cpus=1,
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _temp_dir=str(self._scratch / "ray"),
        )

    async def host(self, settings: AnySettings) -> RayHost:
        """See `Runtime`."""
        import ray  # noqa: PLC0415
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: PLC0415

        node = ray.get_runtime_context().get_node_id()
        # Ray names a process after its class
        name = "LeaderboardShard" if isinstance(settings, LeaderboardSettings) else "UserShard"
        actor_class: Any = ray.remote(type(name, (ShardProcess,), {}))
        actor = actor_class.options(
            num_cpus=0,
            max_concurrency=CALLS_MAX,
            max_restarts=-1,
            max_task_retries=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
        ).remote(settings)
        return RayHost(actor)

    def find_failure(self) -> str | None:
        """See `Runtime`: a local cluster that has lost its head or its node can restart no shard."""
        import ray  # noqa: PLC0415

        node = ray._private.worker._global_node
        dead = {kind for kind, _ in node.dead_processes()} & VITAL_PROCESSES if node is not None else ()
        return f"Ray's {' and '.join(sorted(dead))} died" if dead else None

    async def stop(self) -> None:
        """See `Runtime`. If Ray has failed, it may not answer: it is given some seconds."""
        import ray  # noqa: PLC0415

        thread = threading.Thread(target=ray.shutdown, daemon=True)
        thread.start()
        deadline = time.monotonic() + SHUTDOWN_TIMEOUT_S
        while thread.is_alive() and time.monotonic() < deadline:
            await asyncio.sleep(SHUTDOWN_POLL_S)

    def _token(self) -> Path:
        """The file with this data directory's own token; made on first use, readable by its owner only."""
        path = self._data / TOKEN_NAME
        if not path.exists():
            write_durably(path, secrets.token_hex(32).encode())
        return path


def _log_ray_message(message: dict[str, Any], ignore_prefix: bool = True) -> None:
    LOG.info("Ray: %s", "".join(message.get("lines", ())))
