"""Examining a data directory, served or not, on a private copy: nothing in it is touched.

First the files (`checks`), then a recovery of each shard of users, which replays its log and compares what comes out,
and then all rows of each leaderboard shard.
"""

import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from msgspec import Struct

from plaudit.actors.clock import system_clock
from plaudit.actors.user_shard import ShardSettings, UserShard
from plaudit.control import Backup, Report
from plaudit.engine.catalog import Catalog
from plaudit.maintenance.backup import ask_holder, copy_stopped
from plaudit.maintenance.checks import Finding, check_files, guard
from plaudit.maintenance.holding import Held, holding, never_served
from plaudit.maintenance.target import making
from plaudit.storage.audit import Audit, Problem
from plaudit.storage.backup import NOTE_NAME, BackupNote, read_note
from plaudit.storage.board_audit import BoardAudit
from plaudit.storage.board_store import FILE_NAME as BOARDS_NAME
from plaudit.storage.board_store import BoardStore
from plaudit.storage.catalog_store import CatalogStore
from plaudit.storage.directory import leaderboard_directory, read_manifest, shard_directory
from plaudit.storage.errors import Corrupt, InUse, StorageError, Unusable
from plaudit.storage.state import FILE_NAME as STATE_NAME
from plaudit.storage.state import StateStore

PROBLEMS_MAX = 100
"""How many problems of one shard's state are told."""


class Copy(Struct, frozen=True):
    """A private copy of a data directory, and what is known of the original."""

    original: Path
    directory: Path
    held: Held


@contextlib.asynccontextmanager
async def private_copy(data: Path, scratch: Path | None, report: Report) -> AsyncIterator[Copy]:
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
            async with holding(data) as held, making(copy):
                yielded = Copy(data, copy, held)
                await copy_stopped(data, held.manifest, copy, report)
        except InUse as held_by:
            await ask_holder(data, Backup(str(copy)), report, held_by)
            yielded = Copy(data, copy, never_served(read_manifest(copy)))
        yield yielded


async def examine(copy: Copy) -> AsyncIterator[Finding]:
    """Examine a private copy. What is wrong is named as it is in the directory itself."""
    async for finding in _examine(copy):
        if finding.problem is None:
            yield finding
        else:
            problem = finding.problem.replace(str(copy.directory), str(copy.original))
            yield Finding(finding.check, finding.place, problem)


async def _examine(copy: Copy) -> AsyncIterator[Finding]:
    directory, manifest = copy.directory, copy.held.manifest
    taken = read_note(directory)  # by a server that is running, or else by ourselves
    given: list[BackupNote] = []
    yield await guard("backup", copy.original, copy.original / NOTE_NAME, _read_note(copy.original, given))
    notes = [note for note in (*given, taken) if note is not None]
    is_live = taken is not None and taken.shards[0].last is not None
    trust = copy.held.trust(directory, taken if is_live else next(iter(given), None))
    async for finding in check_files(directory, manifest, notes, trust):
        yield finding
    catalog = await load_catalog(directory)
    for shard in range(manifest.shards):
        home = shard_directory(directory, shard)
        recovery = await guard("recovery", directory, home, recover(home, manifest.id, shard, catalog))
        yield recovery
        if recovery.problem is None:  # before it, a checkpoint that was cut short would look like damage
            problems: list[Problem] = []
            yield await guard("state", directory, home / STATE_NAME, _audit(home, problems))
            for problem in problems:
                yield Finding("state", str(home.relative_to(directory)), f"{problem.place}: {problem.problem}")
    for index in range(manifest.leaderboards):
        async for finding in _audit_boards(directory, leaderboard_directory(directory, index)):
            yield finding


async def _read_note(directory: Path, found: list[BackupNote]) -> str:
    note = read_note(directory)
    if note is None:
        return "not a backup"
    found.append(note)
    return f"a backup of {note.completed}"


async def load_catalog(directory: Path) -> Catalog:
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


async def _audit(home: Path, found: list[Problem]) -> str:
    """Check the state of a shard that has been recovered; of its problems, up to PROBLEMS_MAX go into `found`."""
    store = await StateStore.open(home)
    try:
        audit = Audit(store)
        async for problem in audit.run():
            found.append(problem)
            if len(found) == PROBLEMS_MAX:
                raise Corrupt(f"{store.path}: {PROBLEMS_MAX} problems, and the rest was not looked at")
    finally:
        await store.close()
    return f"{audit.users} users, {audit.events} events"


async def _audit_boards(directory: Path, home: Path) -> AsyncIterator[Finding]:
    """Check what a leaderboard shard has written down; nothing if it has never been opened."""
    path = home / BOARDS_NAME
    if not path.exists():
        return
    problems: list[Problem] = []
    yield await guard("boards", directory, path, _read_boards(home, problems))
    for problem in problems:
        yield Finding("boards", str(home.relative_to(directory)), f"{problem.place}: {problem.problem}")


async def _read_boards(home: Path, found: list[Problem]) -> str:
    """Check the boards of a leaderboard shard; of their problems, up to PROBLEMS_MAX go into `found`."""
    store = await BoardStore.open(home, "unknown", must_exist=True)  # its -wal has been looked through before
    try:
        audit = BoardAudit(store)
        async for problem in audit.run():
            found.append(problem)
            if len(found) == PROBLEMS_MAX:
                raise Corrupt(f"{store.path}: {PROBLEMS_MAX} problems, and the rest was not looked at")
    finally:
        await store.close()
    return f"{audit.snapshots} days, {audit.finals} final rankings"


async def recover(home: Path, data_id: str, shard: int, catalog: Catalog) -> str:
    """Open a shard that nobody has, as a server would, and close it: then its state has all that its log had.

    Its time stands still where its log ends: nothing falls due.
    """
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="plaudit-") as sockets:  # a socket's path has to be short
        settings = ShardSettings(shard, str(home), data_id, f"{sockets}/shard.sock", "process")
        user_shard = UserShard(settings, system_clock, failures.append)
        opened = await user_shard.open(catalog, now_ms=0)
        await user_shard.close()
    if failures:
        raise Unusable(f"{home}: {failures[0]}")
    return f"{opened.replayed} commands replayed"
