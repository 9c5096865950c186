"""Writes what the log holds into state.sqlite, in slices, so that the log can be cut."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice

from msgspec.structs import replace

from plaudit.actors.clock import Stamp
from plaudit.actors.committer import CommitsEnded, Committer
from plaudit.actors.dedupe import Dedupe
from plaudit.actors.publisher import Publisher
from plaudit.actors.residents import Resident, Residents
from plaudit.actors.unindexed_keys import UnindexedKeys
from plaudit.engine.tally import Counter, add_up, tally
from plaudit.storage.log import Log
from plaudit.storage.snapshots import StoredUser
from plaudit.storage.state import Slice, StateStore

CHECKPOINT_INTERVAL_S = 2.0
CHECKPOINT_COMMANDS = 50_000
SLICE_USERS = 128
PAUSE_RATIO = 2.0
"""A checkpoint leaves the state's thread to lookups for two thirds of the time, unless it falls behind."""
BACKLOG_COMMANDS_MAX = 2 * CHECKPOINT_COMMANDS
"""How far it may be behind before it hurries."""


class Checkpointer:
    """Runs a checkpoint every so often. What a slice takes is durable in the log before the slice is written.

    Any error is final: it is handed to `fail`.
    """

    def __init__(
        self,
        residents: Residents,
        dedupe: Dedupe,
        committer: Committer,
        log: Log,
        state: StateStore,
        stamp: Stamp,
        fail: Callable[[BaseException], None],
        publisher: Publisher | None = None,
    ) -> None:
        self._residents = residents
        self._dedupe = dedupe
        self._committer = committer
        self._log = log
        self._state = state
        self._stamp = stamp
        self._fail = fail
        self._publisher = publisher
        self._saved_catalog_version = -1
        self._unindexed = UnindexedKeys()
        self._commands = min(CHECKPOINT_COMMANDS, max(residents.users_max // 2, SLICE_USERS))
        """After how many commands a checkpoint is due: what is dirty cannot leave memory."""
        self._is_broken = False
        self._is_closing = False
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None]

    async def start(self) -> None:
        """Take up what an earlier checkpoint left unfinished, and run from then on."""
        chunks = await self._state.load_unindexed()
        self._unindexed.add(chunks)
        self._residents.add_recent_keys(chunks)
        await self._state.purge()
        self._task = asyncio.create_task(self._run())

    async def run_once(self) -> None:
        """Save everything that is committed now, and cut the log. Does nothing if nothing has changed."""
        async with self.hold():
            if self._is_broken:
                raise RuntimeError("a checkpoint has failed: what it took is not saved")
            self._is_broken = True
            await self._save()
            self._is_broken = False

    @contextlib.asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Wait for a checkpoint that is running; within the block there is none, and nobody else is in such a block.

        State and log keep what they have.
        """
        async with self._lock:
            yield

    async def _save(self) -> None:
        cut, catalog, at_ms = self._committer.committed, self._committer.catalog, self._stamp.now_ms()
        if cut == self._state.checkpoint.applied:
            return
        deleted = self._residents.take_deleted(cut)
        for ids in _slices(self._residents.take_dirty()):
            self._state.pause_ratio = self._pause_ratio()
            part = await self._take_slice(ids)
            await self._state.save(part)
            self._saved(part)
            await self._state.copy_wal()
        recreated = await self._take_slice(self._residents.take_recreated(deleted))
        for entries, uses in self._unindexed.take():
            await self._state.index_keys(entries)
            self._residents.forget_keys(uses)
        changed = catalog if catalog.version != self._saved_catalog_version else None
        await self._state.finish_checkpoint(
            cut,
            at_ms,
            changed,
            self._dedupe.gateways(),
            self._residents.newest_saved_chunk,
            _deletions(deleted),
            recreated,
            [r.id for r in deleted if self._publisher is not None and self._publisher.is_forgetting(r.id)],
            [] if self._publisher is None else self._publisher.take_forgotten(),
            self._residents.next_user_id,
        )
        self._saved_catalog_version = catalog.version
        self._residents.mark_deleted(deleted)
        self._saved(recreated)
        if deleted:
            await self._log.start_segment()
            await self._state.purge()
        await self._log.cut(cut)

    def _pause_ratio(self) -> float:
        backlog = self._committer.committed - self._state.checkpoint.applied
        return 0.0 if self._is_closing or backlog > BACKLOG_COMMANDS_MAX else PAUSE_RATIO

    async def _take_slice(self, ids: list[int]) -> Slice:
        """What is unsaved of these users, as soon as it is durable in the log."""
        part, applied = self._residents.take_slice(ids)
        await self._committer.wait(applied)
        self._committer.check_owner()
        await self._log.sync()
        return replace(part, gateways=self._dedupe.take_changed())

    def _saved(self, part: Slice) -> None:
        self._residents.mark_saved(part)
        self._residents.forget_saved()
        self._unindexed.add(part.chunks)

    async def close(self) -> None:
        """Save everything, and stop."""
        self._is_closing = True
        self._state.pause_ratio = 0.0
        await self.run_once()
        self.cancel()

    def cancel(self) -> None:
        """Stop at once; a slice that is being written is whole or not there."""
        self._task.cancel()

    async def _run(self) -> None:
        try:
            while True:
                due = self._state.checkpoint.applied + self._commands
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._committer.wait(due), CHECKPOINT_INTERVAL_S)
                await self.run_once()
        except CommitsEnded:
            return
        except Exception as error:  # noqa: BLE001  # whatever it is, what it took is not saved
            self._fail(error)


def _deletions(deleted: list[Resident]) -> list[tuple[StoredUser, dict[Counter, int]]]:
    """Those of the deleted users that state.sqlite has, each with what its counters change by without them."""
    deletions = []
    for resident in deleted:
        if not resident.is_new:
            stored = StoredUser(resident.id, resident.key, resident.applied, resident.chunk, b"")
            changes = tally(resident.user, None)
            add_up(changes, resident.counted or {})
            deletions.append((stored, changes))
    return deletions


def _slices(ids: list[int]) -> Iterator[list[int]]:
    iterator = iter(ids)
    while part := list(islice(iterator, SLICE_USERS)):
        yield part
