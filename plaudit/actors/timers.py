"""Lets time do to users what is due, when it is due, whether or not anybody asks for them.

When a user's time comes is derived from their state (`engine.deadlines`) and never logged; that it has come is a
command, logged and replayed like others. The times of users who are not saved are in memory, those of the others in
state.sqlite; what is due soon is in a `Schedule`, which is refilled from both.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from functools import partial

from plaudit.actors.checkpoint import PAUSE_RATIO, Checkpointer
from plaudit.actors.clock import Stamp
from plaudit.actors.committer import CommitsEnded, Committer
from plaudit.actors.executor import Executor
from plaudit.actors.residents import Residents
from plaudit.actors.schedule import BEGINNING, END, ENTRIES_MAX, DueTimes
from plaudit.engine.snapshot import decode_user
from plaudit.storage.seal import UNDECODABLE
from plaudit.storage.snapshots import StoredUser
from plaudit.storage.state import StateStore

WAKE_USERS = 32
WAKE_PAUSE_RATIO = 4.0
"""How long a wake is followed by a pause, in times of what it took: four fifths of the time are left to commands."""
SWEEP_USERS = 256
LOOK_AHEAD_MS = 3_600_000
LOOK_AHEAD_MIN_MS = 60_000
"""The schedule is refilled when its horizon is nearer than this."""
SLEEP_MAX_S = 30.0
"""The machine's clock may be set while this waits, and waiting goes by another one."""


class Timers:
    """Wakes users whose time has come, in the order of their times; and keeps what state.sqlite says of times right.

    Guarantees: nobody's time is missed, whatever is saved, loaded, deleted or changed meanwhile. It may be late: events
    go first. Any error is final: it is handed to `fail`.
    """

    def __init__(
        self,
        residents: Residents,
        executor: Executor,
        committer: Committer,
        checkpointer: Checkpointer,
        state: StateStore,
        stamp: Stamp,
        fail: Callable[[BaseException], None],
    ) -> None:
        self._residents = residents
        self._schedule = residents.schedule
        self._executor = executor
        self._committer = committer
        self._checkpointer = checkpointer
        self._state = state
        self._stamp = stamp
        self._fail = fail
        self._running: asyncio.Task[None] | None = None
        self._sweeping: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Go by the clock from now on."""
        self._running = asyncio.create_task(self._watch(self._run))

    async def settle(self) -> int | None:
        """Let everything happen that is due now, and return when it is durable: for a clock that stands still.

        Returns when something is due next; None if nothing ever is.
        """
        await self._sweep(0.0)
        while True:
            await self._refill(END[0])
            if ids := self._schedule.take(self._stamp.now_ms(), WAKE_USERS):
                await self._executor.wake(ids)
            elif self._schedule.next_ms is not None or self._schedule.horizon == END:
                break
        await self._committer.wait(self._committer.next_number() - 1)
        return self._schedule.next_ms

    def cancel(self) -> None:
        """Stop at once; a page that is being swept is written before anything else can be."""
        for task in (self._running, self._sweeping):
            if task is not None:
                task.cancel()

    async def _watch(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        try:
            await work()
        except CommitsEnded:
            return
        except Exception as error:  # noqa: BLE001  # whatever it is, somebody's time may have been missed
            self._fail(error)

    async def _run(self) -> None:
        while True:
            self._schedule.changed.clear()
            if not self._schedule.is_swept and (self._sweeping is None or self._sweeping.done()):
                self._sweeping = asyncio.create_task(self._watch(partial(self._sweep, PAUSE_RATIO)))
            now_ms = self._stamp.now_ms()
            if self._schedule.horizon[0] < now_ms + LOOK_AHEAD_MIN_MS:
                await self._refill(now_ms + LOOK_AHEAD_MS)
            if ids := self._schedule.take(now_ms, WAKE_USERS):
                took_s = await self._executor.wake(ids)
                await asyncio.sleep(WAKE_PAUSE_RATIO * took_s)
            else:
                await self._sleep()

    async def _sleep(self) -> None:
        next_ms, wait_s = self._schedule.next_ms, SLEEP_MAX_S
        if next_ms is not None:
            wait_s = min(wait_s, (next_ms - self._stamp.now_ms()) / 1000)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(wait_s, 0.0)):
                await self._schedule.changed.wait()

    async def _refill(self, until_ms: int) -> None:
        """Raise the horizon, up to a time or until the schedule is full. It never has a gap.

        Whoever is changed from then on adds what is below the new horizon, and whoever is unsaved then is looked at; so
        what is read afterwards is complete. Some may be in it twice, or out of date.
        """
        schedule, version = self._schedule, self._schedule.version
        if len(schedule) >= ENTRIES_MAX // 2 or schedule.horizon[0] >= until_ms:
            return
        if schedule.horizon == BEGINNING:
            await self._find_due_times()
        last = await self._state.find_timers_end(schedule.horizon, ENTRIES_MAX)
        if schedule.version != version:
            return
        after, through = schedule.horizon, (until_ms, 0)
        schedule.horizon = through = through if last is None else min(last, through)
        schedule.add_all(self._residents.unsaved_dues(after, through))
        dues = await self._state.load_timers(after, through)
        if schedule.version == version:
            schedule.add_all(dues)

    async def _find_due_times(self) -> None:
        """Find the due times of unsaved users that are not known, without holding up commands."""
        for number, resident in enumerate(self._residents.unsaved()):
            self._residents.find_due_ms(resident)
            if number % SWEEP_USERS == 0:
                await asyncio.sleep(0)

    async def _sweep(self, pause_ratio: float) -> None:
        """Set every due time in state.sqlite right. What was begun before a crash is gone on with."""
        while not self._schedule.is_swept:
            page = asyncio.create_task(self._sweep_page(pause_ratio))
            page.add_done_callback(lambda page: page.cancelled() or page.exception())
            await asyncio.shield(page)

    async def _sweep_page(self, pause_ratio: float) -> None:
        """No checkpoint runs meanwhile, so no slice with other times comes after; and no backup."""
        schedule = self._schedule
        async with self._checkpointer.hold():
            version, key = schedule.version, schedule.key
            schedule.note_written()
            self._state.pause_ratio = pause_ratio
            find_due = partial(_find_stored_due, schedule.due_times)
            dues, is_last = await self._state.sweep_timers(key, find_due, SWEEP_USERS)
            await self._state.copy_wal()
        if schedule.version == version:
            schedule.add_all(dues)
            if is_last:
                schedule.swept_key = key


def _find_stored_due(due_times: DueTimes, stored: StoredUser) -> int | None:
    """When the time of a saved user comes; of one who cannot be read, what was known before."""
    try:
        user = decode_user(stored.snapshot)
    except UNDECODABLE:
        return stored.due_ms
    return due_times.find(user, stored.id)
