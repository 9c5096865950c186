"""Keeping servers from a data directory while an operator's command works on it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

from msgspec import Struct

from plaudit.storage.backup import BackupNote
from plaudit.storage.directory import (
    Manifest,
    all_directories,
    check_shard_directory,
    read_manifest,
    shard_directory,
)
from plaudit.storage.errors import InUse, StorageError, Unusable
from plaudit.storage.files import LOCK_NAME, DirectoryLock
from plaudit.storage.wal import Trust

LOCK_RETRY_S = 0.05
LOCK_WAIT_S = 15.0
"""How long to wait for the shards of a killed server to end."""


class Held(Struct, frozen=True):
    """A data directory that nobody serves, and what is known of its shards' files."""

    manifest: Manifest
    same_boot: tuple[bool, ...]
    """See `DirectoryLock`; of each shard of `all_directories`, in their order."""
    is_copy: tuple[bool, ...]
    """No server has ever opened the shard here."""

    def trust(self, directory: Path, note: BackupNote | None) -> list[Trust]:
        """What is known of how each shard's -wal files were written, which are now in `directory`.

        In the order of `all_directories`. `note` is of the backup, if this is one: files that a running server copied
        have all that was written.
        """
        live = {entry.shard for entry in note.shards if entry.last is not None} if note is not None else set()
        users: list[Trust] = [
            "written"
            if self.same_boot[shard] or (self.is_copy[shard] and shard in live)
            else _trust_manifest(directory, self.manifest, shard)
            for shard in range(self.manifest.shards)
        ]
        boards: list[Trust] = ["written" if same else "synced" for same in self.same_boot[self.manifest.shards :]]
        return users + boards


def _trust_manifest(directory: Path, manifest: Manifest, shard: int) -> Trust:
    try:
        found = check_shard_directory(shard_directory(directory, shard), manifest.id, shard)
    except StorageError:
        return "unknown"
    return "synced" if found.synced else "unknown"


def never_served(manifest: Manifest) -> Held:
    """What is known of a copy that no server has opened; it needs no lock."""
    shards = manifest.shards + manifest.leaderboards
    return Held(manifest, (False,) * shards, (True,) * shards)


@contextlib.asynccontextmanager
async def holding(data: Path) -> AsyncIterator[Held]:
    """Keep servers, and what is still dying of one, from a data directory. Raises InUse, Unusable or WrongDirectory."""
    manifest = read_manifest(data)
    same_boot, is_copy = [], []
    with contextlib.ExitStack() as stack:
        _lock(data, stack)
        for directory in all_directories(data, manifest):
            is_copy.append(not (directory / LOCK_NAME).exists())
            same_boot.append(directory.is_dir() and await _lock_patiently(directory, stack))
        yield Held(manifest, tuple(same_boot), tuple(is_copy))


async def _lock_patiently(directory: Path, stack: contextlib.ExitStack) -> bool:
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            return _lock(directory, stack)
        except InUse:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(LOCK_RETRY_S)


def _lock(directory: Path, stack: contextlib.ExitStack) -> bool:
    """Lock a directory; returns whether all in it was written in this boot, which stays on record."""
    lock = DirectoryLock(directory)
    try:
        lock.acquire()
    except OSError as error:
        raise Unusable(f"{directory}: {error.strerror or error}") from error
    stack.callback(lock.leave)
    return lock.same_boot
