"""Why users are virtual actors: one Ray actor for each, against all of them as plain objects inside one.

The same actor class both ways: it owns some users, and applies events to them. All in favour of the Ray actors: they
start together, on every processor. Run as `python -m benchmarks.virtual_actors`.
"""

import argparse
import logging
import os
import time
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe_machine, resident_bytes
from benchmarks.servers import ROOT
from benchmarks.target import HOST, METRIC
from plaudit.catalog_file import load_document
from plaudit.engine.amounts import UNIT
from plaudit.engine.catalog import Catalog
from plaudit.engine.commands import SINGLE_TENANT, RecordEvent, UserFields, UserKey
from plaudit.engine.compiling import compile_catalog
from plaudit.engine.process import process
from plaudit.engine.revision import revise
from plaudit.engine.user import User

ACTORS = 10
USERS = 100_000
EVENTS_PER_USER = 10
EXTRAPOLATED_USERS = 10_000
NOW_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
DAY_MS = 86_400_000
OBJECT_STORE_BYTES = 80 * 2**20
TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Built:
    """What it took to give an actor its users. Microseconds and bytes are per user."""

    first_event_us: float
    next_event_us: float
    bytes_per_user: float


class Users:
    """Owner of some users: the body of a Ray actor, and the only thing that is different is how many it owns."""

    def __init__(self) -> None:
        document = load_document(ROOT / "examples" / "study.toml")
        self._catalog = compile_catalog(revise(Catalog(), document, NOW_MS))
        self._users: dict[UserKey, User] = {}

    def resident_bytes(self) -> tuple[int, int]:
        """(USS, PSS) of this actor's process."""
        return resident_bytes(os.getpid())

    def build(self, count: int) -> Built:
        """`count` users, each with events on ten days in a row: a total, a streak, two achievements and points."""
        before, _ = self.resident_bytes()
        started = time.perf_counter()
        self._apply_to_all(count, NOW_MS)
        created = time.perf_counter()
        for day in range(1, EVENTS_PER_USER):
            self._apply_to_all(count, NOW_MS + day * DAY_MS)
        ended = time.perf_counter()
        after, _ = self.resident_bytes()
        return Built(
            first_event_us=(created - started) * 1e6 / count,
            next_event_us=(ended - created) * 1e6 / count / (EVENTS_PER_USER - 1),
            bytes_per_user=(after - before) / count,
        )

    def _apply_to_all(self, count: int, now_ms: int) -> None:
        for number in range(count):
            user_id = f"user-{number}"
            key = (SINGLE_TENANT, user_id)
            event_id = number.to_bytes(16, "big")
            event = RecordEvent(user_id, METRIC, UNIT, event_id, UserFields(tz="Europe/Paris"))
            self._users[key] = process(self._users.get(key), event, self._catalog, now_ms).user


@dataclass(frozen=True)
class PerActor:
    """What one Ray actor costs: means of those that started together."""

    start_s: float
    """The time that all took, divided by their number."""
    uss_bytes: float
    pss_bytes: float


def measure_actors(ray: Any, count: int) -> PerActor:
    """`count` Ray actors that own one user each."""
    started = time.perf_counter()
    actors = [ray.remote(num_cpus=0)(Users).remote() for _ in range(count)]
    ray.get([actor.build.remote(1) for actor in actors], timeout=TIMEOUT_S)
    elapsed_s = time.perf_counter() - started
    sizes = ray.get([actor.resident_bytes.remote() for actor in actors], timeout=TIMEOUT_S)
    for actor in actors:
        ray.kill(actor)
    return PerActor(elapsed_s / count, fmean(uss for uss, _ in sizes), fmean(pss for _, pss in sizes))


def measure_hosted(ray: Any, users: int) -> Built:
    """One Ray actor that owns all of `users`."""
    actor = ray.remote(num_cpus=0)(Users).remote()
    built: Built = ray.get(actor.build.remote(users), timeout=TIMEOUT_S)
    ray.kill(actor)
    return built


def report(actor: PerActor, hosted: Built) -> Table:
    """Both ways, per user and for ten thousand of them."""
    table = Table(title="A user as a Ray actor, and as an object in one")
    for heading in ("", "a Ray actor each", "objects in one actor", "ratio"):
        table.add_column(heading, justify="right" if heading else "left")
    start_us = actor.start_s * 1e6
    times = start_us / hosted.first_event_us
    table.add_row(
        "first event, with activation", f"{start_us:,.0f} us", f"{hosted.first_event_us:.1f} us", f"{times:,.0f}"
    )
    sizes = actor.uss_bytes / hosted.bytes_per_user
    table.add_row(
        "memory of its own (USS)", f"{actor.uss_bytes:,.0f} B", f"{hosted.bytes_per_user:,.0f} B", f"{sizes:,.0f}"
    )
    table.add_row("with its part of the shared (PSS)", f"{actor.pss_bytes:,.0f} B", "", "")
    table.add_row("an event later, without any call", "", f"{hosted.next_event_us:.1f} us", "")
    table.add_section()
    n = EXTRAPOLATED_USERS
    hosted_s = hosted.first_event_us * n / 1e6
    table.add_row(f"{n:,} users, time", f"{actor.start_s * n / 60:,.0f} min", f"{hosted_s:.2f} s", "")
    hosted_mb = hosted.bytes_per_user * n / 1e6
    table.add_row(f"{n:,} users, USS", f"{actor.uss_bytes * n / 1e9:,.0f} GB", f"{hosted_mb:,.1f} MB", "")
    return table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.virtual_actors", description=__doc__)
    parser.add_argument("--actors", type=int, default=ACTORS)
    parser.add_argument("--users", type=int, default=USERS)
    args = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["PYTHONPATH"] = str(ROOT)  # for Ray's workers
    import ray  # noqa: PLC0415  (reads the environment when it is imported)

    ray.init(
        num_cpus=os.cpu_count(),  # also how many workers Ray starts at a time
        _node_ip_address=HOST,
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    try:
        actor = measure_actors(ray, args.actors)
        hosted = measure_hosted(ray, args.users)
    finally:
        ray.shutdown()
    console = Console()
    console.print(describe_machine(), highlight=False)
    console.print(report(actor, hosted))


if __name__ == "__main__":
    main()
