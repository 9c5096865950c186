"""A leaderboard of many members, served over HTTP: what it costs events, what reads take, and how it comes back.

A server with the board and one without, with the same users saved in both; events at a fixed rate, in turns. Then the
board's process is killed while events go on. What updates and ranks cost in memory is in `benchmarks.rank_index`.
Run as `python -m benchmarks.leaderboards`.
"""

import argparse
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import httpx
import psutil
import uvloop
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from benchmarks.checkpoint import Plaudit, make_events, make_snapshot
from benchmarks.client import measure_at_rate, measure_idle
from benchmarks.machine import describe_machine
from benchmarks.servers import PLAUDIT_ENVIRONMENT, free_port, plaudit_command, serve
from benchmarks.target import API_KEY, HOST, METRIC, Load, Target
from plaudit.actors.catalog import CatalogActor
from plaudit.actors.clock import system_clock
from plaudit.catalog_file import load_document
from plaudit.engine.amounts import UNIT
from plaudit.engine.runs import utc_day
from plaudit.engine.snapshot import decode_user, encode_user
from plaudit.engine.user import Standing, User
from plaudit.storage.directory import open_directory, shard_directory
from plaudit.storage.files import DirectoryLock
from plaudit.storage.state import StateStore

BOARD = "everybody"
CATALOG = f"""
[[metrics]]
key = "{METRIC}"
name = "Lessons"
"""
WITH_BOARD = f"""
[[leaderboards]]
key = "{BOARD}"
name = "Everybody"
rank_by = "metric"
metric = "{METRIC}"
"""
ACTIVE_USERS = 50_000
"""Whose events come; the others are on the board all the same."""
READS = 200
FILL_USERS = 50_000
OPEN_TIMEOUT_S = 600.0
POLL_S = 0.05


class Members(Plaudit):
    """Users of whom each has some points of their own, many few and few many."""

    def __init__(self, directory: Path, template: User) -> None:
        super().__init__(directory, "user-{}")
        self._template = template
        self._choices = random.Random(1)
        self._run = utc_day(system_clock())
        self._at_ms = system_clock()

    async def fill(self, users: int, snapshot: bytes) -> None:
        self._store = await StateStore.open(self._directory)
        for start in range(0, users, FILL_USERS):
            events = make_events(range(start, min(start + FILL_USERS, users)))
            await self._save(events, snapshot, is_new=True)

    def snapshot_of(self, user: int, snapshot: bytes) -> bytes:
        value = int(20 * self._choices.paretovariate(1.2)) * UNIT
        standing = Standing(self._run, value, self._at_ms + user, user + 1)
        return encode_user(replace(self._template, totals={1: value}, standings={1: (standing,)}))


def fill(data: Path, users: int, catalog: Path) -> None:
    """A data directory of one shard with these users in it, and the catalog that the server will find."""
    data.mkdir()
    lock = DirectoryLock(data)
    lock.acquire()
    open_directory(data, 1, "benchmark", 1)

    async def fill_state() -> None:
        actor = await CatalogActor.open(data, system_clock)
        version = (await actor.apply(load_document(catalog))).filling
        await actor.close()
        template = replace(decode_user(make_snapshot(system_clock())), points={}, completions={}, filled=version)
        layout = Members(shard_directory(data, 0), template)
        await layout.fill(users, b"")
        await layout.close()

    uvloop.run(fill_state())
    lock.release()


class Board:
    """The board of a running server, seen by a client of its own."""

    def __init__(self, port: int) -> None:
        self._client = httpx.Client(base_url=f"http://{HOST}:{port}", headers={"X-API-KEY": API_KEY}, timeout=30.0)

    def is_open(self) -> bool:
        """Whether there is a ranking."""
        answer = self._client.get(f"/v1/leaderboards/{BOARD}")
        return answer.status_code == 200 and len(answer.json()["rankings"]) > 0

    def wait_open(self) -> float:
        """Seconds until there is a ranking."""
        started = time.perf_counter()
        while not self.is_open():
            if time.perf_counter() - started > OPEN_TIMEOUT_S:
                raise TimeoutError("the board does not open")
            time.sleep(POLL_S)
        return time.perf_counter() - started

    def time_reads(self, path: Callable[[], str]) -> str:
        """Milliseconds of reads, one after the other: median and 99th percentile."""
        times = []
        for _ in range(READS):
            started = time.perf_counter()
            self._client.get(path()).raise_for_status()
            times.append(1000 * (time.perf_counter() - started))
        return f"{median(times):.1f} (p99 {sorted(times)[READS * 99 // 100]:.1f})"


def find_process() -> psutil.Process:
    """The Ray process of the board: the larger one, since the other server has one without a board."""
    processes = psutil.process_iter(["cmdline"])
    found = [each for each in processes if "ray::LeaderboardShard" in " ".join(each.info["cmdline"] or ())]
    return max(found, key=lambda process: process.memory_info().rss)


def describe(load: Load) -> tuple[str, ...]:
    """Cells of a table."""
    return f"{load.requests_per_s:,.0f}", f"{load.p50_ms:.1f}", f"{load.p99_ms:.1f}", f"{load.errors}"


def measure_events(ports: dict[str, int], options: argparse.Namespace) -> Table:
    """Events at a fixed rate and of one connection, on each server in turns."""
    table = Table("events", "per s", "p50 ms", "p99 ms", "errors", title="Events, medians of rounds")
    loads: dict[tuple[str, str], list[Load]] = {}
    for _ in range(options.rounds):
        for name, port in ports.items():
            target = Target(port, min(options.members, ACTIVE_USERS))
            for kind, load in (
                (f"{options.rate:,.0f} a second", measure_at_rate(target, 64, options.seconds, options.rate)),
                ("one connection", measure_idle(target, options.seconds / 2)),
            ):
                loads.setdefault((kind, name), []).append(load)
    for (kind, name), found in sorted(loads.items()):
        middle = Load(
            median(each.requests_per_s for each in found),
            median(each.p50_ms for each in found),
            median(each.p90_ms for each in found),
            median(each.p99_ms for each in found),
            sum(each.errors for each in found),
        )
        table.add_row(f"{kind}, {name}", *describe(middle))
    return table


def measure_reads(board: Board, members: int) -> Table:
    """What is asked of a board."""
    choices = random.Random(1)
    table = Table("request", "ms", title="Reads, one connection")
    paths: dict[str, Callable[[], str]] = {
        "the first 10": lambda: f"/v1/leaderboards/{BOARD}",
        "10 anywhere": lambda: f"/v1/leaderboards/{BOARD}?offset={choices.randrange(members - 10)}",
        "a user's neighbours": lambda: (
            f"/v1/leaderboards/{BOARD}?userId=user-{choices.randrange(members)}&offset=-5&limit=11"
        ),
        "a user's place": lambda: f"/v1/users/user-{choices.randrange(members)}/leaderboards/{BOARD}",
    }
    for name, path in paths.items():
        table.add_row(name, board.time_reads(path))
    return table


def measure_loss(board: Board, port: int, options: argparse.Namespace) -> Table:
    """Kill the board's process under load, and see how events fare until it is back."""
    table = Table("events", "per s", "p50 ms", "p99 ms", "errors", title="The board's process is killed")
    target = Target(port, min(options.members, ACTIVE_USERS))
    with ThreadPoolExecutor(1) as other:
        find_process().send_signal(signal.SIGKILL)
        opening = other.submit(board.wait_open)
        while not opening.done():
            table.add_row("while it comes back", *describe(measure_at_rate(target, 64, 5.0, options.rate)))
        table.add_row("ranks again after, s", f"{opening.result():.1f}")
    return table


def run(options: argparse.Namespace, directory: Path, console: Console) -> None:
    """Fill, serve, measure."""
    console.print(f"{describe_machine()}; {options.members:,} members, ray, one shard of each kind")
    servers: dict[str, tuple[int, list[str]]] = {}
    for name, text in (("without a board", CATALOG), ("with the board", CATALOG + WITH_BOARD)):
        place = directory / name.replace(" ", "-")
        place.mkdir()
        catalog = place / "catalog.toml"
        catalog.write_text(text, "utf-8")
        console.print(f"Saving the users of the server {name} ...")
        fill(place / "data", options.members, catalog)
        port = free_port()
        servers[name] = port, plaudit_command(port, place / "data", "ray", 1, catalog)
    (plain, plain_command), (ranked, ranked_command) = servers.values()
    with (
        serve(plain_command, plain, directory / "plain.log", PLAUDIT_ENVIRONMENT),
        serve(ranked_command, ranked, directory / "ranked.log", PLAUDIT_ENVIRONMENT),
    ):
        board = Board(ranked)
        console.print(f"the board opened {board.wait_open():.1f} s after the server")
        used = find_process().memory_full_info().uss
        console.print(f"its process has {used / 2**20:,.0f} MB, {used / options.members:,.0f} bytes a member")
        console.print(measure_events({name: port for name, (port, _) in servers.items()}, options))
        console.print(measure_reads(board, options.members))
        console.print(measure_loss(board, ranked, options))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.leaderboards", description=__doc__)
    parser.add_argument("--members", type=int, default=1_000_000)
    parser.add_argument("--rate", type=float, default=1_500)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", type=Path, default=None, help="where to make the files; a temporary place")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="plaudit-boards-", dir=options.directory))
    try:
        run(options, directory, Console(highlight=False))
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
