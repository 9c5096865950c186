"""Idempotency keys, kept for ever: bytes a key, and time and memory a lookup, at 50 million of them.

The index is filled level by level, in the order of the hashes, as its moves leave it; then checkpoints of 50,000 new
keys go on adding to it, and batches of keys, new ones and used ones, are looked up in between. Run as
`python -m benchmarks.keys`.
"""

import argparse
import os
import random
import shutil
import sqlite3
import tempfile
import time
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.checkpoint import written_bytes
from benchmarks.machine import describe_machine, resident_bytes
from plaudit.storage.key_index import (
    HASH_MAX,
    LEVEL_KEYS_MAX,
    LEVELS,
    MOVE_KEYS_MAX,
    SCHEMA,
    add_keys,
    find_entries,
    find_full_level,
    move_keys,
)

BATCH = 32
LOOKUPS = 500
NEW_KEYS = 50_000
CHECKPOINTS = 12


def fill(connection: sqlite3.Connection, keys: int) -> None:
    """Give every level what it holds when there are this many keys: evenly spaced hashes with a random offset."""
    left = keys
    for level in range(LEVELS):
        count = min(left, LEVEL_KEYS_MAX[level]) if level < LEVELS - 1 else left
        if count:
            step = HASH_MAX // count
            connection.execute(
                "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?) "
                f"INSERT INTO keys_{level} SELECT i * ? + abs(random() % ?), i FROM n",
                (count, step, step),
            )
            connection.execute("UPDATE key_levels SET keys = ? WHERE level = ?", (count, level))
        left -= count


def checkpoint(connection: sqlite3.Connection, chunk: int, choices: random.Random) -> None:
    """Add keys as a checkpoint does."""
    entries = sorted((choices.randrange(HASH_MAX), chunk) for _ in range(NEW_KEYS))
    for start in range(0, NEW_KEYS, MOVE_KEYS_MAX):
        connection.execute("BEGIN")
        add_keys(connection, entries[start : start + MOVE_KEYS_MAX])
        connection.execute("COMMIT")
    while (level := find_full_level(connection)) is not None:
        connection.execute("BEGIN")
        move_keys(connection, level)
        connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def time_lookups(connection: sqlite3.Connection, hashes: list[list[int]]) -> float:
    """Microseconds for each key, in batches."""
    times = []
    for batch in hashes:
        started = time.perf_counter()
        find_entries(connection, batch)
        times.append(time.perf_counter() - started)
    return 1e6 * median(times) / BATCH


def run(keys: int, path: Path, console: Console) -> None:
    """Fill, then add and look up."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(
        "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA wal_autocheckpoint=0;"
        + SCHEMA
    )
    console.print(f"Filling the index with {keys:,} keys ...")
    fill(connection, keys)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = path.stat().st_size
    choices = random.Random(1)
    memory = resident_bytes(os.getpid())[0]
    cpu, (handed, written) = time.process_time(), written_bytes()
    for number in range(CHECKPOINTS):
        checkpoint(connection, keys + number, choices)
    cpu, (handed_after, written_after) = time.process_time() - cpu, written_bytes()
    added = CHECKPOINTS * NEW_KEYS
    (largest,) = connection.execute("SELECT level FROM key_levels ORDER BY keys DESC LIMIT 1").fetchone()
    rows = connection.execute(f"SELECT hash FROM keys_{largest} LIMIT ?", (LOOKUPS * BATCH * 5,))
    used = [row[0] for row in rows][::5]
    new = [[choices.randrange(HASH_MAX) for _ in range(BATCH)] for _ in range(LOOKUPS)]
    choices.shuffle(used)
    batches = [used[start : start + BATCH] for start in range(0, len(used) - BATCH, BATCH)]
    table = Table("what", "figure")
    for name, figure in (
        ("bytes a key, in the file", f"{size / keys:.1f}"),
        ("adding a key, CPU us", f"{1e6 * cpu / added:.1f}"),
        ("adding a key, bytes written", f"{(handed_after - handed) / added:,.0f}"),
        ("adding a key, bytes to disk", f"{(written_after - written) / added:,.0f}"),
        (f"looking up a new key, us (batches of {BATCH})", f"{time_lookups(connection, new):.1f}"),
        (f"looking up a used key, us (batches of {BATCH})", f"{time_lookups(connection, batches):.1f}"),
        (
            "memory of the process after all of that, MB more",
            f"{(resident_bytes(os.getpid())[0] - memory) / 2**20:.1f}",
        ),
    ):
        table.add_row(name, figure)
    connection.close()
    console.print(f"{describe_machine()}; {keys:,} keys, {CHECKPOINTS} checkpoints of {NEW_KEYS:,}")
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=50_000_000)
    parser.add_argument("--directory", type=Path, default=None, help="where to make the file; a temporary place")
    arguments = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="plaudit-keys-", dir=arguments.directory))
    try:
        run(arguments.keys, directory / "keys.sqlite", Console(highlight=False))
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
