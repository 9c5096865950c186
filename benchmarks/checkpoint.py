"""What a checkpoint costs for each event: Plaudit's layout of state.sqlite, beside the obvious one.

A million users, checkpoints of 50,000 events by as many users, picked at random, one idempotency key an event. The
obvious layout has a row for each user, event, day, award and key, found by text keys, in one transaction a checkpoint.
CPU is that of the process, all threads; bytes are what it hands to the kernel, and what the kernel has to write
(whole pages). Run as `python -m benchmarks.checkpoint`.
"""

import argparse
import asyncio
import random
import shutil
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Protocol

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.machine import describe_machine
from benchmarks.servers import ROOT
from plaudit.actors.checkpoint import SLICE_USERS
from plaudit.catalog_file import load_document
from plaudit.engine.amounts import UNIT
from plaudit.engine.catalog import Catalog
from plaudit.engine.commands import RecordEvent, UserFields
from plaudit.engine.compiling import compile_catalog
from plaudit.engine.process import process
from plaudit.engine.revision import revise
from plaudit.engine.snapshot import encode_user
from plaudit.engine.user import User
from plaudit.storage.history import AwardEntry, Chunk, EventEntry
from plaudit.storage.snapshots import StoredUser
from plaudit.storage.state import FILE_NAME, Slice, StateStore, key_entries
from plaudit.storage.timers import Timer

NOW_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
DAY = 739_617
DAY_MS = 86_400_000
EVENTS_OF_TEMPLATE = 12


class Layout(Protocol):
    """A way to keep users, history and keys in a file."""

    name: str

    async def fill(self, users: int, snapshot: bytes) -> None:
        """Have this many users, with an event or two each."""

    async def checkpoint(self, events: dict[int, EventEntry], snapshot: bytes) -> None:
        """Save an event for each of these users, who are in the order of their numbers."""

    async def close(self) -> None:
        """Close the file."""


def entry(number: int) -> EventEntry:
    """An event with everything that is usual: an attribute, points, a key."""
    return EventEntry(
        event_id=uuid.UUID(int=random.getrandbits(128)).bytes,
        at_ms=NOW_MS + number,
        metric=1,
        value=UNIT,
        total=number % 1000 * UNIT,
        attributes={"subject": "maths"},
        awards=(AwardEntry(1, 1, 10, 120),),
        idempotency_key=str(uuid.UUID(int=random.getrandbits(128))),
        number=number,
        day=DAY,
    )


def make_events(users: Iterable[int]) -> dict[int, EventEntry]:
    """An event for each user."""
    return {user: entry(number) for number, user in enumerate(users)}


class Plaudit:
    """state.sqlite, as a shard writes it."""

    name = "Plaudit"
    timing_key = "benchmark"

    def __init__(self, directory: Path, names: str = "user-{:08d}") -> None:
        self._directory = directory
        self._names = names
        self._number = 0
        self._chunk = 0
        self._checkpoints = 0
        self._chunks: dict[int, int] = {}
        self._store: StateStore

    async def fill(self, users: int, snapshot: bytes) -> None:
        self._store = await StateStore.open(self._directory)
        for is_new in (True, False):  # twice: from then on every slice has old snapshots to clear away
            for start in range(0, users, 50_000):
                await self._save(make_events(range(start, min(start + 50_000, users))), snapshot, is_new=is_new)

    async def checkpoint(self, events: dict[int, EventEntry], snapshot: bytes) -> None:
        await self._save(events, snapshot, is_new=False)

    async def close(self) -> None:
        await self._store.close()

    def due_ms(self, user: int) -> int:
        """When the user's time comes: a day later after each checkpoint, as after the first event of a day."""
        return NOW_MS + self._checkpoints * DAY_MS + user

    def snapshot_of(self, user: int, snapshot: bytes) -> bytes:
        """The snapshot of one of the users: the same for all."""
        return snapshot

    async def _save(self, events: dict[int, EventEntry], snapshot: bytes, *, is_new: bool) -> None:
        self._checkpoints += 1
        unindexed: list[Chunk] = []
        items = list(events.items())
        for start in range(0, len(items), SLICE_USERS):
            part = self._slice(items[start : start + SLICE_USERS], snapshot, is_new=is_new)
            await self._store.save(part)
            await self._store.copy_wal()
            unindexed += part.chunks
        await self._store.index_keys([found for chunk in unindexed for found in key_entries(chunk)])
        await self._store.finish_checkpoint(self._number, NOW_MS, None, [], self._chunk)

    def _slice(self, events: list[tuple[int, EventEntry]], snapshot: bytes, *, is_new: bool) -> Slice:
        chunks, stored = [], []
        timers: list[Timer] = []
        for user, event in events:
            self._number += 1
            self._chunk += 1
            chunks.append(Chunk(self._chunk, user + 1, self._chunks.get(user), (event,)))
            self._chunks[user] = self._chunk
            own = self.snapshot_of(user, snapshot)
            stored.append(StoredUser(user + 1, ("", self._names.format(user)), self._number, self._chunk, own))
            timers.append((user + 1, self.due_ms(user)))
        counters = {("users", 0): len(events)} if is_new else {}
        new = stored if is_new else []
        return Slice(stored, new, chunks, counters, timers=timers, timing_key=self.timing_key)


class Obvious:
    """A row for everything, found by text keys."""

    name = "obvious"

    def __init__(self, directory: Path) -> None:
        self._connection = sqlite3.connect(directory / FILE_NAME, isolation_level=None)
        self._connection.executescript(
            "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
            "PRAGMA wal_autocheckpoint=0;"
            "CREATE TABLE users (key TEXT PRIMARY KEY, snapshot BLOB);"
            "CREATE TABLE events (id BLOB PRIMARY KEY, user TEXT, metric TEXT, at_ms INTEGER, value INTEGER,"
            " total INTEGER, attributes TEXT);"
            "CREATE INDEX events_of_user ON events (user, at_ms);"
            "CREATE TABLE days (user TEXT, metric TEXT, day INTEGER, total INTEGER, PRIMARY KEY (user, metric, day));"
            "CREATE TABLE awards (id INTEGER PRIMARY KEY, user TEXT, system TEXT, event BLOB, awarded INTEGER,"
            " total INTEGER);"
            "CREATE INDEX awards_of_user ON awards (user);"
            "CREATE TABLE idempotency (user TEXT, metric TEXT, key TEXT, event BLOB, PRIMARY KEY (user, metric, key));"
        )
        self._number = 0

    async def fill(self, users: int, snapshot: bytes) -> None:
        for start in range(0, users, 50_000):
            await self.checkpoint(make_events(range(start, min(start + 50_000, users))), snapshot)

    async def checkpoint(self, events: dict[int, EventEntry], snapshot: bytes) -> None:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        for user, event in events.items():
            self._number += 1
            key = f"user-{user:08d}"
            award = event.awards[0]
            execute("INSERT OR REPLACE INTO users VALUES (?, ?)", (key, snapshot))
            execute(
                "INSERT INTO events VALUES (?, ?, 'lessons', ?, ?, ?, '{\"subject\":\"maths\"}')",
                (event.event_id, key, event.at_ms, event.value, event.total),
            )
            execute(
                "INSERT INTO days VALUES (?, 'lessons', ?, 1) ON CONFLICT DO UPDATE SET total = total + 1",
                (key, event.day + self._number // 1_000_000),
            )
            execute(
                "INSERT INTO awards (user, system, event, awarded, total) VALUES (?, 'xp', ?, ?, ?)",
                (key, event.event_id, award.awarded, award.total),
            )
            execute("INSERT INTO idempotency VALUES (?, 'lessons', ?, ?)", (key, event.idempotency_key, event.event_id))
        execute("COMMIT")
        execute("PRAGMA wal_checkpoint(TRUNCATE)")

    async def close(self) -> None:
        self._connection.close()


@dataclass(frozen=True)
class Cost:
    """Of one event in a checkpoint: microseconds, and bytes."""

    cpu_us: float
    handed: float
    written: float
    wall_us: float


async def measure(layout: Layout, users: int, events: int, snapshot: bytes, choices: random.Random) -> Cost:
    """One checkpoint."""
    chosen = make_events(sorted(choices.sample(range(users), events)))
    handed, written = written_bytes()
    cpu, started = time.process_time(), time.perf_counter()
    await layout.checkpoint(chosen, snapshot)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - started
    handed_after, written_after = written_bytes()
    return Cost(
        1e6 * cpu / events, (handed_after - handed) / events, (written_after - written) / events, 1e6 * wall / events
    )


def written_bytes() -> tuple[int, int]:
    """What this process has handed to write calls, and what the kernel has to write for it."""
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(lines["wchar"]), int(lines["write_bytes"])


def make_snapshot(now_ms: int = NOW_MS) -> bytes:
    """The snapshot of a user with some events, achievements and points, all at an instant (Unix ms)."""
    catalog = compile_catalog(revise(Catalog(), load_document(ROOT / "examples" / "study.toml"), now_ms))
    user: User | None = None
    fields = UserFields(name="Ada Lovelace", email="ada@example.com", tz="Europe/Paris")
    for number in range(EVENTS_OF_TEMPLATE):
        for metric in catalog.metrics:
            event = RecordEvent("user-00000000", metric, UNIT, number.to_bytes(16, "big"), fields)
            user = process(user, event, catalog, now_ms).user
    assert user is not None
    return encode_user(user)


async def run(users: int, events: int, checkpoints: int, directory: Path, console: Console) -> None:
    """Fill both layouts, then checkpoint them in turns."""
    snapshot = make_snapshot()
    layouts: list[Layout] = []
    for kind in (Plaudit, Obvious):
        place = directory / kind.name
        place.mkdir()
        layout: Layout = kind(place)
        console.print(f"Filling {layout.name} with {users:,} users ...")
        await layout.fill(users, snapshot)
        layouts.append(layout)
    costs: dict[str, list[Cost]] = {layout.name: [] for layout in layouts}
    choices = random.Random(1)
    for _ in track(range(checkpoints), "Checkpoints", console=console, transient=True):
        for layout in layouts:
            costs[layout.name].append(await measure(layout, users, events, snapshot, choices))
    table = Table("layout", "CPU us", "bytes written", "bytes to disk", "wall us", "file MB")
    for layout in layouts:
        await layout.close()
        found = costs[layout.name]
        size = sum(path.stat().st_size for path in (directory / layout.name).iterdir()) / 2**20
        table.add_row(
            layout.name,
            *(
                f"{median(getattr(cost, name) for cost in found):,.0f}"
                for name in ("cpu_us", "handed", "written", "wall_us")
            ),
            f"{size:,.0f}",
        )
    console.print(
        f"{describe_machine()}; per event, medians of {checkpoints} checkpoints of {events:,} events; "
        f"{users:,} users, snapshots of {len(snapshot)} bytes"
    )
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--checkpoints", type=int, default=40)
    parser.add_argument("--directory", type=Path, default=None, help="where to make the files; a temporary place")
    arguments = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="plaudit-checkpoint-", dir=arguments.directory))
    try:
        asyncio.run(run(arguments.users, arguments.events, arguments.checkpoints, directory, Console(highlight=False)))
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
