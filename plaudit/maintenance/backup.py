"""Backups: of a running server, inside its shards, and of a directory that nobody serves."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from plaudit import __version__
from plaudit.actors.catalog import CatalogActor
from plaudit.actors.runtime import HostLost, ShardHost
from plaudit.control import Backup, NoServer, Progress, Report, ask
from plaudit.maintenance.holding import holding
from plaudit.maintenance.target import making
from plaudit.storage.backup import (
    BackedUp,
    BackupNote,
    copy_databases,
    finish_copy,
    shard_databases,
    with_journals,
    write_note,
)
from plaudit.storage.catalog_store import FILE_NAME as CATALOG_NAME
from plaudit.storage.directory import Manifest, all_directories, check_directories, read_manifest
from plaudit.storage.errors import InUse, Unusable, WrongDirectory
from plaudit.storage.files import sync_directory

PROGRESS_INTERVAL_S = 0.2

CopyShard = Callable[[int, Path], Awaitable[BackedUp]]
"""Copies the shard with a position in `all_directories` into a new directory."""


async def back_up(data: Path, target: Path, report: Report) -> BackupNote:
    """Back up `data`, through its server if one runs. Raises StorageError or Refused."""
    read_manifest(data)
    if target.is_relative_to(data):
        raise WrongDirectory(f"{target}: within {data}, which it would be a backup of")
    try:
        return await back_up_stopped(data, target, report)
    except InUse as held:
        return await ask_holder(data, Backup(str(target)), report, held)


async def ask_holder(data: Path, request: Backup, report: Report, held: InUse) -> BackupNote:
    """Have the server do it that holds the lock of `data`. Raises Refused, or InUse if it does not answer."""
    try:
        return await ask(data, request, BackupNote, report)
    except NoServer as error:
        raise InUse(f"{held}, which takes no commands now: it is starting or stopping, or it is no server") from error


async def back_up_stopped(data: Path, target: Path, report: Report) -> BackupNote:
    """Back up a directory that no server has. Raises StorageError; InUse if one has it after all."""
    async with holding(data) as held:
        manifest = held.manifest
        check_directories(data, manifest)
        async with making(target):
            return await copy_stopped(data, manifest, target, report)


async def back_up_running(
    data: Path, hosts: Sequence[ShardHost], catalog: CatalogActor, target: Path, report: Report
) -> BackupNote:
    """Back up a directory in the server that has it, one shard after the other. Raises StorageError.

    `hosts` are those of the shards of users, then of the leaderboard shards.
    """
    manifest = read_manifest(data)

    async def copy_shard(position: int, directory: Path) -> BackedUp:
        try:
            return await hosts[position].backup(str(directory))
        except HostLost as error:
            name = directory.relative_to(target)
            raise Unusable(f"{data / name} was lost while it was copied; try again: {error}") from error
        except OSError as error:
            raise Unusable(f"{directory}: {error}") from error

    async with making(target):
        shards = await copy_shards(data, manifest, target, report, copy_shard)
        await catalog.backup(target)  # last: no shard knows a newer catalog
        return await _finish(data, manifest, target, shards)


async def copy_stopped(data: Path, manifest: Manifest, target: Path, report: Report) -> BackupNote:
    """Copy a directory that nobody serves, as it is: what is missing or damaged in it is so in the copy."""

    shards = await copy_shards(data, manifest, target, report, stopped_shards(data, manifest))
    await copy_databases([data / CATALOG_NAME], target)
    return await _finish(data, manifest, target, shards)


def stopped_shards(data: Path, manifest: Manifest) -> CopyShard:
    """Copies, durably, shards that nobody has open. Raises StorageError."""
    sources = all_directories(data, manifest)

    async def copy_shard(position: int, directory: Path) -> BackedUp:
        directory.mkdir(mode=0o700)
        await copy_databases(shard_databases(sources[position]), directory)
        await finish_copy(sources[position], directory)
        return BackedUp(position)

    return copy_shard


async def copy_shards(
    source: Path, manifest: Manifest, target: Path, report: Report, copy_shard: CopyShard
) -> tuple[BackedUp, ...]:
    """Copy all shards, one after the other, and say how far it is. Returns what the copies of the users' have.

    Leaderboard shards come last: what users have dropped, because it is in a final ranking, is there.
    """
    sources, targets = all_directories(source, manifest), all_directories(target, manifest)
    parents = dict.fromkeys(directory.parent for directory in targets)
    for parent in parents:
        parent.mkdir(mode=0o700)
    totals = [size_of(shard) for shard in sources]
    for shard, total in enumerate(totals):
        report(Progress(shard, 0, total))
    copied = []
    for shard, directory in enumerate(targets):
        watching = asyncio.create_task(_watch(shard, directory, totals[shard], report))
        try:
            copied.append(await copy_shard(shard, directory))
        finally:
            watching.cancel()
        report(Progress(shard, totals[shard], totals[shard]))
    for parent in parents:
        sync_directory(parent)
    return tuple(copied[: manifest.shards])


def size_of(directory: Path) -> int:
    """Bytes of the files of a shard that are copied; of files that come and go meanwhile, a guess."""
    total = 0
    for path in with_journals(shard_databases(directory)):
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


async def _watch(shard: int, directory: Path, total: int, report: Report) -> None:
    while True:
        await asyncio.sleep(PROGRESS_INTERVAL_S)
        report(Progress(shard, min(size_of(directory), total), total))


async def _finish(data: Path, manifest: Manifest, target: Path, shards: tuple[BackedUp, ...]) -> BackupNote:
    """Make the copy a whole one: the manifest comes last."""
    completed = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    note = BackupNote(manifest.id, __version__, completed, shards)
    write_note(target, note)
    await finish_copy(data, target)
    return note
