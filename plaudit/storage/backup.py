"""What a backup is on disk, and how files that SQLite may have open are copied.

A backup is a data directory with a `backup.json`. Its files are byte copies: while a shard holds its checkpoints,
nothing writes its state, and of a log file only the -wal grows, at its end. So a file and then its -wal are everything
that had been committed when the copy began, and maybe a part of what followed; recovery ignores a record that is not
whole.
"""

import asyncio
import os
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from plaudit.storage.directory import MANIFEST_NAME
from plaudit.storage.errors import Unusable, WrongDirectory
from plaudit.storage.files import sync_directory, write_durably

NOTE_NAME = "backup.json"
FORMAT = 1
COPY_COMMAND = ("cp", "--reflink=auto", "--sparse=never", "--")


class BackedUp(Struct, frozen=True):
    """What the copy of one shard has: all commands up to `last`, those up to `applied` in its state.

    None if nobody looked: a stopped directory is copied without being opened.
    """

    shard: int
    applied: int | None = None
    last: int | None = None


class BackupNote(Struct, frozen=True):
    """backup.json: where a backup came from. `completed` is an instant as the API writes them."""

    data: str
    version: str
    completed: str
    shards: tuple[BackedUp, ...]
    """Those of users. Of a leaderboard shard there is nothing to say: how many there are is in the manifest."""
    format: int = FORMAT


def read_note(directory: Path) -> BackupNote | None:
    """The note of a backup; None if the directory has none. Raises WrongDirectory if it is not one."""
    path = directory / NOTE_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=BackupNote)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, OSError) as error:
        raise WrongDirectory(f"{path}: not the note of a backup: {error}") from None


def write_note(directory: Path, note: BackupNote) -> None:
    """Write the note durably."""
    write_durably(directory / NOTE_NAME, msgspec.json.format(msgspec.json.encode(note)) + b"\n")


def shard_databases(directory: Path) -> list[Path]:
    """The files that hold what a shard has, in the order in which they are copied: the log, then the state.

    A leaderboard shard has neither, but its boards.
    """
    names = ("log-*.sqlite", "state.sqlite", "boards.sqlite")
    return [path for name in names for path in sorted(directory.glob(name))]


def with_journals(databases: Iterable[Path]) -> list[Path]:
    """The databases, each followed by its -wal if it has one."""
    pairs = ((path, path.with_name(f"{path.name}-wal")) for path in databases)
    return [path for pair in pairs for path in pair if path.exists()]


async def copy_databases(databases: Iterable[Path], target: Path) -> None:
    """Copy databases with their -wal files into a directory. Not durable before `finish_copy`.

    Nothing but the ends of -wal files may be written meanwhile. A child process copies, because SQLite's locks on a
    file go when its process closes any descriptor of it; the child ends if this is cancelled. Raises Unusable.
    """
    files = with_journals(databases)
    sizes = [path.stat().st_size for path in files]
    if files:
        await _run([*COPY_COMMAND, *map(str, files), str(target)])
    for path, size in zip(files, sizes, strict=True):
        copied = (target / path.name).stat().st_size
        if copied < size:
            raise Unusable(f"{target / path.name}: {copied} bytes were copied of {size}")


async def finish_copy(source: Path, target: Path) -> None:
    """Make a copied directory durable, with its manifest, which comes last. One fsync for each file."""
    await asyncio.to_thread(_finish_copy, source, target)


def _finish_copy(source: Path, target: Path) -> None:
    for path in target.iterdir():
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    manifest = source / MANIFEST_NAME
    if manifest.exists():
        write_durably(target / MANIFEST_NAME, manifest.read_bytes())
    sync_directory(target)


async def _run(command: Sequence[str]) -> None:
    """Run a command to its end, without the loop's own ways: in a Ray worker, signals are not ours."""
    child = _start(command)
    ending = asyncio.create_task(asyncio.to_thread(child.communicate))
    try:
        _, errors = await asyncio.shield(ending)
    except asyncio.CancelledError:
        child.kill()
        await asyncio.wait([ending])
        raise
    if child.returncode != 0:
        reason = errors.decode(errors="replace").strip() or f"ended with {child.returncode}"
        raise Unusable(reason)


def _start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    environment = os.environ | {"LC_ALL": "C"}
    return subprocess.Popen(  # noqa: S603  # no shell, and paths only after --
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment
    )
