"""What time does to leaderboards: how they stand at the end of each day, and how their runs end, is written down."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator

from plaudit.actors.board_runs import BoardRuns, LiveRun
from plaudit.actors.clock import Stamp
from plaudit.actors.rank_index import seat_of, unpack
from plaudit.actors.run_ranking import Member, RunRanking
from plaudit.engine.runs import begin_ms, final_ms, midnight_utc_ms, utc_day
from plaudit.storage.board_pages import Group, Place, StandingsBySeat
from plaudit.storage.board_store import BoardStore

HISTORY_DAYS = 101
"""How many days snapshots are kept: as many as can be asked for, and the one before those."""
FINAL_GRACE_MS = 60_000
"""How long a final ranking waits for what was committed at the last moment and is still on its way."""
SLEEP_MAX_S = 30.0
"""The machine's clock may be set while this waits, and waiting goes by another one."""

Order = Iterator[tuple[int, int, Member]]
"""(rank, key, member), by rank."""


class BoardKeeper:
    """Takes a snapshot of each run when a date ends in UTC, and its final ranking when it is over everywhere.

    Guarantees: of each run, in the order of time; each once; nothing of a run whose scores are not all in. What was
    missed, because the shard was away, is made up for as soon as they are in and before the run is open, with the
    standings of then. A final ranking is durable before the run leaves memory. Others go on meanwhile: only copying an
    order, 10 ns for each member, is done in one go. Any error is final: it is handed to `fail`.
    """

    def __init__(self, runs: BoardRuns, store: BoardStore, stamp: Stamp, fail: Callable[[BaseException], None]) -> None:
        self._runs = runs
        self._store = store
        self._stamp = stamp
        self._fail = fail
        self._writing = asyncio.Lock()
        """Held from when an order is copied until it is written."""
        self._grace_ms = 0
        self._pruned_day = 0
        self._kept_day: int | None = None
        """The last day of which every run that there was has a snapshot; None if that has still to be looked up."""
        self._task: asyncio.Task[None] | None = None

    def start(self, *, stands_still: bool) -> None:
        """Begin; with a clock that stands still, what is due comes with `settle` only."""
        self._grace_ms = 0 if stands_still else FINAL_GRACE_MS
        self._task = asyncio.create_task(self._watch(stands_still))

    async def settle(self) -> int | None:
        """Return when all that is due has happened and is durable, and when something is due next; None if never.

        That cannot be said before the scores of all users are in.
        """
        self._runs.notify()
        while True:
            due_ms = self._find_due()
            if self._runs.sources.are_in and (due_ms is None or due_ms > self._stamp.now_ms()):
                return due_ms
            await self._runs.changed.wait()

    async def forget(self, seat: int) -> None:
        """Erase a member who is on no board any more from what is written down. O(runs)."""
        async with self._writing:  # an order that still has them is not written afterwards
            await self._store.forget(seat)

    async def close(self) -> None:
        """Stop. What is being written is not seen, and is written anew by whoever opens the shard next."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def cancel(self) -> None:
        """Stop at once."""
        if self._task is not None:
            self._task.cancel()

    async def _watch(self, stands_still: bool) -> None:
        try:
            while True:
                changed = self._runs.changed
                await self._keep()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(None if stands_still else self._sleep_s()):
                        await changed.wait()
        except Exception as error:  # noqa: BLE001  # whatever it is, something may not have been written down
            self._fail(error)

    def _sleep_s(self) -> float:
        due_ms = self._find_due(only_ready=True)
        wait_s = SLEEP_MAX_S if due_ms is None else (due_ms - self._stamp.now_ms()) / 1000
        return min(max(wait_s, 0.0), SLEEP_MAX_S)

    def _find_due(self, *, only_ready: bool = False) -> int | None:
        """When something is due next; 0 if there is a run of which that is not known yet."""
        runs = [run for run in self._runs.runs() if not only_ready or self._is_in(run)]
        return min(
            (0 if run.next_day is None else _due_ms(run, run.next_day, self._grace_ms) for run in runs), default=None
        )

    def _is_in(self, run: LiveRun) -> bool:
        return self._runs.find(run.key) is run and self._runs.sources.is_in(run.key[0])

    async def _keep(self) -> None:
        """Do what is due now, as far as it can be done."""
        today = utc_day(self._stamp.now_ms())
        for run in self._runs.runs():
            if self._is_in(run):
                await self._bring_up(run)
        if self._runs.sources.are_in and await self._load_kept_day() < today - 1:
            await self._store.save_kept_day(today - 1)
            self._kept_day = today - 1
        if self._pruned_day < today:
            await self._store.prune(today - HISTORY_DAYS)
            self._pruned_day = today

    async def _bring_up(self, run: LiveRun) -> None:
        """Write down all that is due of a run, and open it; stops if its scores are not all in any more."""
        if run.next_day is None:
            run.next_day = await self._find_next_day(run)
            self._runs.notify()
        while await self._write_next(run, run.next_day):
            run.next_day += 1
            self._runs.notify()
        if self._is_in(run) and not run.is_caught_up:
            self._runs.catch_up(run)

    async def _write_next(self, run: LiveRun, day: int) -> bool:
        """Take the snapshot of a day, or the final ranking, if it is due; True if there may be more to write."""
        async with self._writing:
            if not self._is_in(run) or _due_ms(run, day, self._grace_ms) > self._stamp.now_ms():
                return False
            has_snapshot = _has_snapshots_left(run, day)
            if has_snapshot:
                await self._take_snapshot(run, day)
            else:
                await self._take_final(run)
                self._runs.finish(run)
            return has_snapshot

    async def _find_next_day(self, run: LiveRun) -> int:
        """The date of the first snapshot that is missing.

        Of a run without any it is the first on which somebody stood where they stand now, and the board was as it is.
        """
        today = utc_day(self._stamp.now_ms())
        taken = await self._store.taken(*run.key)
        if run.begun_day is not None:
            return run.begun_day if taken is None else max(taken + 1, run.begun_day)
        oldest = today - HISTORY_DAYS
        board = self._runs.board(run.key[0])
        counting_day = today if board is None else utc_day(board.counting_ms)
        if taken is not None:
            return max(taken + 1, counting_day, oldest)
        first = max(utc_day(begin_ms(run.key[1])), counting_day, oldest, await self._load_kept_day() + 1)
        if first >= today:
            return first
        earliest_ms = await asyncio.to_thread(_find_earliest, _orders(run.ranking))
        return today if earliest_ms is None else max(first, utc_day(earliest_ms))

    async def _load_kept_day(self) -> int:
        if self._kept_day is None:
            self._kept_day = await self._store.load_kept_day()
        return self._kept_day

    async def _take_snapshot(self, run: LiveRun, day: int) -> None:
        orders = _orders(run.ranking)
        standings = await asyncio.to_thread(_by_seat, orders, run.ranking)
        await self._store.save_snapshot(*run.key, day, standings.pages())

    async def _take_final(self, run: LiveRun) -> None:
        assert run.last_day is not None
        groups = [(group, _places(order, run.ranking)) for group, order in _orders(run.ranking)]
        await self._store.save_final(*run.key, run.last_day, groups)


def _due_ms(run: LiveRun, next_day: int, grace_ms: int) -> int:
    """When the next snapshot of a run, or its final ranking, is due."""
    if _has_snapshots_left(run, next_day):
        return midnight_utc_ms(next_day + 1)
    assert run.last_day is not None
    return final_ms(run.last_day) + grace_ms


def _has_snapshots_left(run: LiveRun, next_day: int) -> bool:
    return run.last_day is None or next_day <= run.last_day


def _orders(ranking: RunRanking) -> list[tuple[Group, Order]]:
    """All groups, in the order of now."""
    return [(group, ranking.ordered(group)) for group in ranking.groups()]


def _by_seat(orders: Iterable[tuple[Group, Order]], ranking: RunRanking) -> StandingsBySeat:
    standings = StandingsBySeat()
    for _, order in orders:
        for rank, key, _ in order:
            standings.add(seat_of(key), rank, ranking.shown(key))
    return standings


def _places(order: Order, ranking: RunRanking) -> Iterator[Place]:
    for _, key, member in order:
        value, at_ms, number, seat = unpack(key)
        shown = ranking.shown(key)
        yield Place(seat, member.user_id, member.name, shown, value - shown * ranking.unit, at_ms, number)


def _find_earliest(orders: Iterable[tuple[Group, Order]]) -> int | None:
    """When the oldest standing was reached; None if there is none."""
    return min((unpack(key).at_ms for _, order in orders for _, key, _ in order), default=None)
