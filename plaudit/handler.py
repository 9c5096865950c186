"""What a server does about the requests of its control channel."""

import asyncio
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TypeVar, assert_never

from plaudit.actors.catalog import CatalogActor
from plaudit.actors.clock_keeper import ClockKeeper
from plaudit.actors.runtime import ShardHost
from plaudit.actors.supervisor import Supervisor
from plaudit.control import (
    AppliedCatalog,
    ApplyCatalog,
    Backup,
    ChangeStreakSettings,
    ClockReading,
    MoveClock,
    ReadClock,
    ReadStreakSettings,
    Report,
    Request,
    Result,
)
from plaudit.engine.catalog import StreakSettings
from plaudit.engine.changes import compare_catalogs
from plaudit.engine.document import Document
from plaudit.engine.errors import Invalid
from plaudit.engine.problems import find_problems
from plaudit.engine.settings import StreakSettingsPatch
from plaudit.maintenance.backup import back_up_running
from plaudit.storage.backup import BackupNote
from plaudit.storage.errors import InUse

AnyChange = TypeVar("AnyChange", ClockReading, StreakSettings, AppliedCatalog)


class ControlHandler:
    """Obeys one server's operator and gateways.

    Changes of the catalog and of the clock are made one at a time; each, once begun, goes on to its end, whoever still
    waits for it. Backups are made beside them, also one at a time. `hosts` are those of all shards: of users, then of
    leaderboards.
    """

    def __init__(
        self,
        data: Path,
        hosts: Sequence[ShardHost],
        supervisor: Supervisor,
        catalog: CatalogActor,
        keeper: ClockKeeper | None,
    ) -> None:
        self._data = data
        self._hosts = hosts
        self._supervisor = supervisor
        self._catalog = catalog
        self._keeper = keeper
        self._backups = asyncio.Lock()
        self._changes = asyncio.Lock()
        self._changing: set[
            asyncio.Task[ClockReading] | asyncio.Task[StreakSettings] | asyncio.Task[AppliedCatalog]
        ] = set()

    async def handle(self, request: Request, report: Report) -> Result:
        """See `Handler`."""
        match request:
            case Backup():
                return await self._back_up(request, report)
            case ApplyCatalog():
                return await self._carry_out(self._apply_catalog(request.document))
            case ReadClock():
                return ClockReading(self._take_keeper().clock())
            case MoveClock():
                return await self._carry_out(self._move_clock(request.now_ms))
            case ReadStreakSettings():
                return self._catalog.catalog.streaks
            case ChangeStreakSettings():
                return await self._carry_out(self._change_streaks(request.patch))
            case _:
                assert_never(request)

    async def close(self) -> None:
        """End the changes that are under way; the next server takes up what had been decided."""
        changing = list(self._changing)
        for task in changing:
            task.cancel()
        await asyncio.gather(*changing, return_exceptions=True)

    async def _back_up(self, request: Backup, report: Report) -> BackupNote:
        if self._backups.locked():
            raise InUse(f"{self._data}: another backup is under way; try again when it has ended")
        async with self._backups:
            return await back_up_running(self._data, self._hosts, self._catalog, Path(request.target), report)

    async def _move_clock(self, now_ms: int) -> ClockReading:
        async with self._changes:
            return ClockReading(await self._take_keeper().move(now_ms))

    async def _change_streaks(self, patch: StreakSettingsPatch) -> StreakSettings:
        async with self._changes:
            settings = await self._catalog.change_streaks(patch)
            await self._supervisor.adopt()
            return settings

    async def _apply_catalog(self, document: Document) -> AppliedCatalog:
        problems = await asyncio.to_thread(find_problems, document)  # a large one takes a while
        if problems:
            raise Invalid("; ".join(str(problem) for problem in problems))
        async with self._changes:
            before = self._catalog.catalog
            after = await self._catalog.apply(document)
            await self._supervisor.adopt()
            return AppliedCatalog(after.version, compare_catalogs(before, after))

    def _take_keeper(self) -> ClockKeeper:
        if self._keeper is None:
            raise Invalid("this server has no test clock: start it with --test-clock")
        return self._keeper

    async def _carry_out(self, change: Coroutine[None, None, AnyChange]) -> AnyChange:
        """Make a change to its end, also if nobody waits for it any more."""
        task = asyncio.create_task(change)
        self._changing.add(task)
        task.add_done_callback(self._changing.discard)
        return await asyncio.shield(task)
