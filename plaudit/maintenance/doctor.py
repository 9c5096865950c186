"""Examining a data directory, served or not, on a private copy: nothing in it is touched.

First the files (`checks`), then a recovery of each shard, which replays its log and compares what comes out.
"""

import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from plaudit.actors.clock import system_clock
from plaudit.actors.user_shard import ShardSettings, UserShard
from plaudit.control import Backup, Report
from plaudit.engine.catalog import Catalog
from plaudit.maintenance.backup import ask_holder, copy_stopped, holding
from plaudit.maintenance.checks import Finding, check_files, guard
from plaudit.maintenance.target import making
from plaudit.storage.backup import NOTE_NAME, BackupNote, read_note
from plaudit.storage.catalog_store import CatalogStore
from plaudit.storage.directory import read_manifest, shard_directory
from plaudit.storage.errors import InUse, StorageError, Unusable


@contextlib.asynccontextmanager
async def private_copy(data: Path, scratch: Path | None, report: Report) -> AsyncIterator[Path]:
    """A copy of a data directory as it is, in `scratch` or beside it, which goes when the block ends.

    Through the directory's server if one runs. Raises StorageError or Refused.
    """
    parent = scratch or data.parent
    try:
        directory = tempfile.TemporaryDirectory(prefix=f"{data.name}.copy-", dir=parent, ignore_cleanup_errors=True)
    except OSError as error:
        raise Unusable(f"{parent}: {error.strerror or error}") from error
    with directory as name:
        copy = Path(name) / "data"
        try:
            async with holding(data) as manifest, making(copy):
                await copy_stopped(data, manifest, copy, report)
        except InUse as held:
            await ask_holder(data, Backup(str(copy)), report, held)
        yield copy


async def examine(data: Path, copy: Path) -> AsyncIterator[Finding]:
    """Examine the private copy of `data`. What is wrong is named as it is in `data`."""
    async for finding in _examine(data, copy):
        if finding.problem is None:
            yield finding
        else:
            yield Finding(finding.check, finding.place, finding.problem.replace(str(copy), str(data)))


async def _examine(data: Path, copy: Path) -> AsyncIterator[Finding]:
    manifest = read_manifest(copy)
    notes: list[BackupNote] = []
    yield await guard("backup", data, data / NOTE_NAME, _collect_notes([data, copy], notes))
    async for finding in check_files(copy, manifest, notes):
        yield finding
    catalog = await _load_catalog(copy)
    for shard in range(manifest.shards):
        home = shard_directory(copy, shard)
        yield await guard("recovery", copy, home, recover(home, manifest.id, shard, catalog))


async def _collect_notes(directories: list[Path], notes: list[BackupNote]) -> str:
    for directory in directories:
        note = read_note(directory)
        if note is not None:
            notes.append(note)
    return "" if len(notes) < len(directories) else f"a backup of {notes[0].completed}"


async def _load_catalog(directory: Path) -> Catalog:
    """The catalog in force; an empty one if it cannot be read, which has been found already."""
    try:
        store = await CatalogStore.open(directory)
    except StorageError:
        return Catalog()
    try:
        return await store.load()
    except StorageError:
        return Catalog()
    finally:
        await store.close()


async def recover(home: Path, data_id: str, shard: int, catalog: Catalog) -> str:
    """Open a shard that nobody has, as a server would, and close it: then its state has all that its log had."""
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="plaudit-") as sockets:  # a socket's path has to be short
        settings = ShardSettings(shard, str(home), data_id, f"{sockets}/shard.sock", "process")
        user_shard = UserShard(settings, system_clock, failures.append)
        opened = await user_shard.open(catalog)
        await user_shard.close()
    if failures:
        raise Unusable(f"{home}: {failures[0]}")
    return f"{opened.replayed} commands replayed"
