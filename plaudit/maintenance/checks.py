"""Checks of the files of a data directory that nobody has open, and what they find.

A check returns what it saw, or raises what is wrong; `guard` makes a finding of either, so that the other checks run.
Reading a SQLite file takes its -wal into it: the files are checked in an order in which that hides nothing.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import closing
from pathlib import Path

from msgspec import Struct

from plaudit.storage.backup import BackedUp, BackupNote
from plaudit.storage.board_store import FILE_NAME as BOARDS_NAME
from plaudit.storage.catalog_store import FILE_NAME as CATALOG_NAME
from plaudit.storage.catalog_store import CatalogStore
from plaudit.storage.directory import (
    MANIFEST_NAME,
    Manifest,
    check_leaderboard_directory,
    check_shard_directory,
    leaderboard_directory,
    shard_directory,
)
from plaudit.storage.errors import Corrupt, StorageError, WrongDirectory
from plaudit.storage.records import Events, Record, decode_body
from plaudit.storage.segment import Segment
from plaudit.storage.state import FILE_NAME as STATE_NAME
from plaudit.storage.wal import Trust, inspect_wal

DIGEST_BYTES = 4


class Finding(Struct, frozen=True):
    """What a check found at a place: a path relative to the data directory. Without a problem, all is well there."""

    check: str
    place: str
    problem: str | None = None
    detail: str = ""


class _StateHead(Struct, frozen=True):
    """What state.sqlite says of itself: up to `reached`, it has taken commands from the log."""

    epoch: int = 0
    applied: int = 0
    reached: int = 0


async def guard(check: str, directory: Path, path: Path, work: Awaitable[str]) -> Finding:
    """A finding from the work of one check on a path within the directory."""
    place = str(path.relative_to(directory))
    try:
        return Finding(check, place, detail=await work)
    except StorageError as error:
        return Finding(check, place, str(error))
    except Exception as error:  # noqa: BLE001  # whatever a damaged file makes of a check, the others must run
        return Finding(check, place, f"{path}: {type(error).__name__}: {error}")


async def check_files(
    directory: Path, manifest: Manifest, notes: Sequence[BackupNote], trust: Sequence[Trust]
) -> AsyncIterator[Finding]:
    """All checks of files. `notes` say how far each shard has to go at least.

    `trust` is that in the -wal files of each of `all_directories`.
    """
    path = directory / CATALOG_NAME
    yield await guard("database", directory, path, check_integrity(path, "synced"))
    yield await guard("catalog", directory, path, check_catalog(directory))
    for shard in range(manifest.shards):
        least = [entry for note in notes for entry in note.shards if entry.shard == shard]
        async for finding in _check_shard(directory, manifest, shard, least, trust[shard]):
            yield finding
    for index, boards_trust in enumerate(trust[manifest.shards :]):
        async for finding in _check_leaderboards(directory, manifest, index, boards_trust):
            yield finding


async def _check_shard(
    directory: Path, manifest: Manifest, shard: int, least: list[BackedUp], trust: Trust
) -> AsyncIterator[Finding]:
    home = shard_directory(directory, shard)
    path = home / MANIFEST_NAME
    yield await guard("manifest", directory, path, check_manifest(home, manifest, shard))
    state = home / STATE_NAME
    yield await guard(
        "database", directory, state, check_integrity(state, "written" if trust == "written" else "unknown")
    )
    try:
        head = _read_head(state)
    except sqlite3.Error:  # found above
        head = _StateHead()
    records: dict[Path, list[Record]] = {}
    for path in sorted(home.glob("log-*.sqlite")):
        yield await guard("log file", directory, path, check_segment(path, head.epoch, trust, records))
    yield await guard("log", directory, home, check_whole(home, head, records, least))


async def _check_leaderboards(directory: Path, manifest: Manifest, index: int, trust: Trust) -> AsyncIterator[Finding]:
    home = leaderboard_directory(directory, index)
    path = home / MANIFEST_NAME
    yield await guard("manifest", directory, path, check_leaderboard_manifest(home, manifest, index))
    boards = home / BOARDS_NAME
    if boards.exists():  # or else the shard has never been opened, or that has been found above
        yield await guard("database", directory, boards, check_integrity(boards, trust))


async def check_manifest(home: Path, manifest: Manifest, shard: int) -> str:
    """The shard is the one that it should be, and has its state if it ever had one."""
    found = check_shard_directory(home, manifest.id, shard)
    if found.shards != manifest.shards:
        raise WrongDirectory(f"{home / MANIFEST_NAME}: of {found.shards} shards, and there are {manifest.shards}")
    if found.has_state and not (home / STATE_NAME).exists():
        raise WrongDirectory(f"{home / STATE_NAME}: missing")
    return f"shard {shard} of {manifest.shards}"


async def check_leaderboard_manifest(home: Path, manifest: Manifest, index: int) -> str:
    """The leaderboard shard is the one that it should be, and has its boards if it ever had any."""
    found = check_leaderboard_directory(home, manifest.id, index)
    if found.leaderboards != manifest.leaderboards:
        raise WrongDirectory(
            f"{home / MANIFEST_NAME}: of {found.leaderboards} leaderboard shards, and there are {manifest.leaderboards}"
        )
    if found.has_state and not (home / BOARDS_NAME).exists():
        raise WrongDirectory(f"{home / BOARDS_NAME}: missing")
    return f"leaderboard shard {index} of {manifest.leaderboards}"


async def check_integrity(path: Path, trust: Trust) -> str:
    """SQLite finds its file in order, and nothing in its -wal file is damaged."""
    if not path.exists():
        raise Corrupt(f"{path}: missing")
    await asyncio.to_thread(inspect_wal, path, trust)
    with closing(sqlite3.connect(path)) as connection:
        problems = [row[0] for row in connection.execute("PRAGMA integrity_check(10)")]
        pages, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    if problems != ["ok"]:
        raise Corrupt(f"{path}: {'; '.join(problems)}")
    return f"{pages * size} bytes"


async def check_catalog(directory: Path) -> str:
    """The newest version of the catalog can be read."""
    store = await CatalogStore.open(directory)
    try:
        catalog = await store.load()
    finally:
        await store.close()
    return f"version {catalog.version}"


async def check_segment(path: Path, epoch: int, trust: Trust, found: dict[Path, list[Record]]) -> str:
    """Every record of a log file is what was written. Puts the records into `found`."""
    segment = await Segment.open(path, epoch, trust=trust)
    try:
        records = found[path] = await segment.read()
    finally:
        await segment.close()
    newest = 0
    for record in records:
        place = f"{path}: record {record.first}"
        body = decode_body(record, path)
        if record.epoch < newest:
            raise Corrupt(f"{place}: written by epoch {record.epoch}, after one by epoch {newest}")
        newest = record.epoch
        if isinstance(body, Events):
            commands = sum(len(entry.commands) for entry in body.entries)
            if commands != record.count or len(record.digests) != DIGEST_BYTES * record.count:
                raise Corrupt(
                    f"{place}: {commands} commands and {len(record.digests)} bytes of digests for {record.count}"
                )
    commands = sum(record.count for record in records)
    return f"{len(records)} records, {commands} commands"


async def check_whole(home: Path, head: _StateHead, found: dict[Path, list[Record]], least: Iterable[BackedUp]) -> str:
    """The log goes on where the state ends, without a gap, and as far as it must."""
    last = head.applied
    records = sorted((record for part in found.values() for record in part), key=lambda record: record.first)
    for record in records:
        if record.first > last + 1:
            raise Corrupt(f"{home}: the log has no commands {last + 1} to {record.first - 1}")
        last = max(last, record.last)
    if last < head.reached:
        raise Corrupt(f"{home}: the log ends at command {last}, but the state has taken commands up to {head.reached}")
    for entry in least:
        if entry.last is not None and last < entry.last:
            raise Corrupt(f"{home}: ends at command {last}; when it was backed up it went to {entry.last}")
    return f"commands up to {last}, those up to {head.applied} in the state"


def _read_head(state: Path) -> _StateHead:
    """Zeros if there is no state yet. Raises sqlite3.Error."""
    if not state.exists():
        return _StateHead()
    with closing(sqlite3.connect(state)) as connection:
        (epoch,) = connection.execute("SELECT epoch FROM meta").fetchone()
        return _StateHead(epoch, *connection.execute("SELECT applied, reached FROM checkpoint").fetchone())
