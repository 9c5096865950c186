"""Latency of events while a midnight's timers fire.

A server with users who were last active two days ago, and whose timers (each closes two days, and ends a streak) are
due over the window of `--timer-window`, beginning `--lead` seconds after the server has started; meanwhile it takes
events of some of them at a fixed rate. Run as `python -m benchmarks.midnight`.
"""

import argparse
import shutil
import sqlite3
import tempfile
import time
from pathlib import Path

import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.checkpoint import Plaudit, make_snapshot
from benchmarks.client import measure_at_rate
from benchmarks.machine import describe_machine
from benchmarks.servers import PLAUDIT_ENVIRONMENT, ROOT, free_port, plaudit_command, serve
from benchmarks.target import Load, Target
from plaudit.actors.catalog import CatalogActor
from plaudit.actors.clock import system_clock
from plaudit.actors.schedule import DueTimes
from plaudit.catalog_file import load_document
from plaudit.engine.catalog import Catalog
from plaudit.engine.compiling import compile_catalog
from plaudit.engine.deadlines import next_deadline
from plaudit.storage.directory import open_directory, shard_directory
from plaudit.storage.files import DirectoryLock
from plaudit.storage.state import FILE_NAME

CATALOG = ROOT / "examples" / "study.toml"
AWAY_MS = 2 * 86_400_000
STRETCH_S = 30.0
ACTIVE_USERS = 100_000


class Sleepers(Plaudit):
    """Users of whom the one with the number n is due at `first_ms`, and n times the window by their number later."""

    def __init__(self, directory: Path, users: int, key: str, first_ms: int, window_ms: int) -> None:
        super().__init__(directory, "user-{}")
        self._users = users
        self._first_ms = first_ms
        self._window_ms = window_ms
        self.timing_key = key

    def due_ms(self, user: int) -> int:
        return self._first_ms + user * self._window_ms // self._users


async def make_catalog(data: Path) -> Catalog:
    """The catalog that the server will find, so that it takes no timer to be out of date."""
    actor = await CatalogActor.open(data, system_clock)
    try:
        return await actor.apply(load_document(CATALOG))
    finally:
        await actor.close()


def fill(data: Path, users: int, window_s: int, lead_s: float) -> int:
    """A data directory of one shard with these users in it. Returns about when the first timer is due, in Unix ms."""
    data.mkdir()
    lock = DirectoryLock(data)
    lock.acquire()
    open_directory(data, 1, "benchmark", 1)

    async def fill_state() -> int:
        key = DueTimes(compile_catalog(await make_catalog(data)), window_s * 1000, next_deadline).key
        layout = Sleepers(shard_directory(data, 0), users, key, 0, window_s * 1000)
        await layout.fill(users, make_snapshot(system_clock() - AWAY_MS))
        await layout.close()
        return system_clock() + int(lead_s * 1000)

    first_ms = uvloop.run(fill_state())
    with sqlite3.connect(shard_directory(data, 0) / FILE_NAME) as connection:  # now that it is known how long that took
        connection.execute("UPDATE timers SET due_ms = due_ms + ?", (first_ms,))
    connection.close()
    lock.release()
    return first_ms


def count_overdue(data: Path, until_ms: int) -> int:
    """How many timers are left, in a directory that is stopped, of those that were due until then."""
    connection = sqlite3.connect(shard_directory(data, 0) / FILE_NAME)
    (count,) = connection.execute("SELECT count(*) FROM timers WHERE due_ms <= ?", (until_ms,)).fetchone()
    connection.close()
    return int(count)


def run(options: argparse.Namespace, directory: Path, console: Console) -> None:
    """Fill, serve, and measure stretch by stretch."""
    data = directory / "data"
    console.print(f"Saving {options.users:,} users ...")
    first_ms = fill(data, options.users, options.timer_window, options.lead)
    last_ms = first_ms + options.timer_window * 1000
    port = free_port()
    command = [
        *plaudit_command(port, data, options.runtime, 1, CATALOG),
        *("--timer-window", str(options.timer_window)),
    ]
    table = Table("from s", "timers", "events/s", "p50 ms", "p90 ms", "p99 ms", "errors")
    with serve(command, port, directory / "server.log", PLAUDIT_ENVIRONMENT):
        target = Target(port, min(options.users, ACTIVE_USERS))
        while (now_ms := time.time() * 1000) < last_ms + options.lead * 1000:
            load = measure_at_rate(target, options.connections, STRETCH_S, options.rate)
            is_firing = now_ms + STRETCH_S * 1000 > first_ms and now_ms < last_ms
            row = describe((now_ms - first_ms) / 1000, load, is_firing=is_firing)
            table.add_row(*row)
            console.print(*row)
    console.print(
        f"{describe_machine()}; {options.runtime}, {options.users:,} users due within {options.timer_window} s, "
        f"{options.rate:,.0f} events/s; {count_overdue(data, last_ms):,} timers left"
    )
    console.print(table)


def describe(from_s: float, load: Load, *, is_firing: bool) -> tuple[str, ...]:
    """A row of the table."""
    return (
        f"{from_s:.0f}",
        "fire" if is_firing else "",
        f"{load.requests_per_s:,.0f}",
        f"{load.p50_ms:.1f}",
        f"{load.p90_ms:.1f}",
        f"{load.p99_ms:.1f}",
        f"{load.errors}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--rate", type=float, default=1_500)
    parser.add_argument("--timer-window", type=int, default=600, help="in seconds")
    parser.add_argument("--lead", type=float, default=120.0, help="seconds of load before the timers, and after them")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--runtime", choices=("ray", "inline"), default="ray")
    parser.add_argument("--directory", type=Path, default=None, help="where to make the files; a temporary place")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="plaudit-midnight-", dir=options.directory))
    try:
        run(options, directory, Console(highlight=False))
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
