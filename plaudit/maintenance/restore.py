"""Restoring a backup: a copy of it that has been looked through, in a directory of its own."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from plaudit.control import Report
from plaudit.maintenance.backup import copy_shards, stopped_shards
from plaudit.maintenance.checks import check_files
from plaudit.maintenance.holding import Held, holding, never_served
from plaudit.maintenance.target import making
from plaudit.storage.backup import NOTE_NAME, BackupNote, copy_databases, finish_copy, read_note
from plaudit.storage.catalog_store import FILE_NAME as CATALOG_NAME
from plaudit.storage.directory import Manifest, check_directories, read_manifest
from plaudit.storage.errors import Corrupt, WrongDirectory
from plaudit.storage.files import LOCK_NAME


async def restore(backup: Path, data: Path, report: Report, *, verify: bool) -> BackupNote:
    """Copy a backup to `data`, which is missing or empty, and check the copy's files. Raises StorageError."""
    manifest, note = check_backup(backup)
    async with _left_alone(backup, manifest) as held, making(data):
        await copy_shards(backup, manifest, data, report, stopped_shards(backup, manifest))
        await copy_databases([backup / CATALOG_NAME], data)
        if verify:
            async for finding in check_files(data, manifest, [note], held.trust(backup, note)):
                if finding.problem is not None:
                    raise Corrupt(f"the backup is damaged; nothing was restored: {finding.problem}")
        await finish_copy(backup, data)
    return note


def check_backup(backup: Path) -> tuple[Manifest, BackupNote]:
    """The manifest and the note of a backup that has everything it should. Raises WrongDirectory."""
    note = read_note(backup)
    if note is None:
        raise WrongDirectory(f"{backup / NOTE_NAME}: missing; not a backup, or not a whole one")
    manifest = read_manifest(backup)
    check_directories(backup, manifest)
    if not (backup / CATALOG_NAME).exists():
        raise WrongDirectory(f"{backup / CATALOG_NAME}: missing; the backup is not whole")
    return manifest, note


@contextlib.asynccontextmanager
async def _left_alone(backup: Path, manifest: Manifest) -> AsyncIterator[Held]:
    """Lock a backup that has been served. One that has not may be on a medium that takes no lock."""
    if not (backup / LOCK_NAME).exists():
        yield never_served(manifest)
        return
    async with holding(backup) as held:
        yield held
