"""Writes what the log holds into state.sqlite, in slices, so that the log can be cut."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from itertools import islice

from msgspec.structs import replace

from plaudit.actors.clock import Stamp
from plaudit.actors.committer import Committer
from plaudit.actors.dedupe import Dedupe
from plaudit.actors.residents import Residents
from plaudit.engine.commands import UserKey
from plaudit.storage.log import Log
from plaudit.storage.state import StateStore

CHECKPOINT_INTERVAL_S = 2.0
CHECKPOINT_COMMANDS = 50_000
SLICE_USERS = 256


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
    ) -> None:
        self._residents = residents
        self._dedupe = dedupe
        self._committer = committer
        self._log = log
        self._state = state
        self._stamp = stamp
        self._fail = fail
        self._saved_catalog_version = -1
        self._is_broken = False
        self._lock = asyncio.Lock()
        self._task = asyncio.create_task(self._run())

    async def run_once(self) -> None:
        """Save everything that is committed now, and cut the log. Does nothing if nothing has changed."""
        async with self._lock:
            if self._is_broken:
                raise RuntimeError("a checkpoint has failed: what it took is not saved")
            self._is_broken = True
            await self._save()
            self._is_broken = False

    async def _save(self) -> None:
        cut, catalog, at_ms = self._committer.committed, self._committer.catalog, self._stamp.now_ms()
        if cut == self._state.checkpoint.applied:
            return
        for keys in _slices(self._residents.take_dirty()):
            part, applied = self._residents.take_slice(keys)
            await self._committer.wait(applied)
            await self._log.sync()
            await self._state.save(replace(part, gateways=self._dedupe.take_changed()))
            self._residents.forget_keys(part)
        changed = catalog if catalog.version != self._saved_catalog_version else None
        await self._state.finish_checkpoint(cut, at_ms, changed, self._dedupe.gateways())
        self._saved_catalog_version = catalog.version
        await self._log.cut(cut)

    async def close(self) -> None:
        """Save everything, and stop."""
        await self.run_once()
        self.cancel()

    def cancel(self) -> None:
        """Stop at once; a slice that is being written is whole or not there."""
        self._task.cancel()

    async def _run(self) -> None:
        try:
            while True:
                due = self._state.checkpoint.applied + CHECKPOINT_COMMANDS
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._committer.wait(due), CHECKPOINT_INTERVAL_S)
                await self.run_once()
        except Exception as error:  # noqa: BLE001  # whatever it is, what it took is not saved
            self._fail(error)


def _slices(keys: list[UserKey]) -> Iterator[list[UserKey]]:
    iterator = iter(keys)
    while part := list(islice(iterator, SLICE_USERS)):
        yield part
