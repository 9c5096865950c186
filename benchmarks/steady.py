"""Latency and backlog over minutes, while checkpoints of a given size run.

A server with a million users already saved takes events of random ones at a fixed rate, each with an idempotency key.
With `--commands` a checkpoint begins after so many commands and not before: 50,000 by default, so that it has close to
50,000 users to save; the inline runtime is used for that, where the checkpoint shares its process with everything else.
With `--commands 0` the server is as shipped. Run as `python -m benchmarks.steady`.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import psutil
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.checkpoint import Plaudit, make_snapshot
from benchmarks.client import measure_at_rate
from benchmarks.machine import describe_machine
from benchmarks.servers import PLAUDIT_ENVIRONMENT, ROOT, free_port, plaudit_command, serve
from benchmarks.target import Target
from plaudit.storage.directory import open_directory, shard_directory
from plaudit.storage.files import DirectoryLock

PATCH = (
    "import plaudit.actors.checkpoint as c; c.CHECKPOINT_INTERVAL_S = 3600.0; c.CHECKPOINT_COMMANDS = {commands};"
    "from plaudit.cli import main; main()"
)


def fill(data: Path, users: int) -> None:
    """A data directory of one shard with this many users in it."""
    data.mkdir()
    lock = DirectoryLock(data)
    lock.acquire()
    open_directory(data, 1, "benchmark", 1)
    lock.release()

    async def fill_state() -> None:
        layout = Plaudit(shard_directory(data, 0), "user-{}")
        await layout.fill(users, make_snapshot())
        await layout.close()

    uvloop.run(fill_state())


def log_bytes(data: Path) -> int:
    """What is in the log: the backlog of the checkpoint."""
    return sum(path.stat().st_size for path in shard_directory(data, 0).glob("log-*"))


def resident_mb(port: int) -> float:
    """The largest of the processes that serve."""
    servers = [
        c.pid for c in psutil.net_connections("tcp") if c.laddr and c.laddr.port == port and c.status == "LISTEN"
    ]
    processes = [psutil.Process(pid) for pid in servers if pid is not None]
    processes += [child for process in processes for child in process.children(recursive=True)]
    return max((p.memory_info().rss for p in processes if "raylet" not in p.name()), default=0) / 2**20


def run(options: argparse.Namespace, directory: Path, console: Console) -> None:
    """Fill, serve, and measure minute by minute."""
    data = directory / "data"
    console.print(f"Saving {options.users:,} users ...")
    fill(data, options.users)
    port = free_port()
    runtime = "inline" if options.commands else options.runtime
    command = plaudit_command(port, data, runtime, 1, ROOT / "examples" / "study.toml")
    if options.commands:
        command = [sys.executable, "-c", PATCH.format(commands=options.commands), *command[3:]]
    table = Table("minute", "events/s", "p50 ms", "p90 ms", "p99 ms", "errors", "log MB", "resident MB")
    with serve(command, port, directory / "server.log", PLAUDIT_ENVIRONMENT):
        target = Target(port, options.users, with_keys=True)
        for minute in range(1, options.minutes + 1):
            load = measure_at_rate(target, options.connections, 60.0, options.rate)
            row = (
                f"{minute}",
                f"{load.requests_per_s:,.0f}",
                f"{load.p50_ms:.1f}",
                f"{load.p90_ms:.1f}",
                f"{load.p99_ms:.1f}",
                f"{load.errors}",
                f"{log_bytes(data) / 2**20:,.0f}",
                f"{resident_mb(port):,.0f}",
            )
            table.add_row(*row)
            console.print(*row)
    console.print(
        f"{describe_machine()}; {runtime}, {options.users:,} users, {options.rate:,.0f} events/s, a checkpoint "
        + (f"after {options.commands:,} commands" if options.commands else "as shipped")
    )
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--rate", type=float, default=3_500)
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--commands", type=int, default=50_000)
    parser.add_argument("--runtime", choices=("ray", "inline"), default="ray")
    parser.add_argument("--directory", type=Path, default=None, help="where to make the files; a temporary place")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="plaudit-steady-", dir=options.directory))
    try:
        run(options, directory, Console(highlight=False))
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
