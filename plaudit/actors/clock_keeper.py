"""Moves the test clock, and with it every shard, so that what is due happens in the order of time."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from plaudit.actors.clock import TestClock
from plaudit.actors.formats import format_instant
from plaudit.actors.runtime import HostLost
from plaudit.engine.errors import Invalid
from plaudit.storage.catalog_store import ClockTimes

LOST_RETRY_S = 0.05
AHEAD_MS_MAX = 36_525 * 86_400_000
"""How far one move may go, 100 years: one that has begun is finished, and until then no server starts."""
NEVER_MS = 2**63
"""Later than any time."""


class MovedHost(Protocol):
    """What of a `ShardHost` is needed here."""

    async def move_clock(self, now_ms: int) -> int | None:
        """See `ShardHost`."""


class ClockStore(Protocol):
    """What of the catalog's store is needed here."""

    async def load_clock(self) -> ClockTimes | None:
        """See `CatalogStore`."""

    async def save_clock(self, times: ClockTimes) -> None:
        """See `CatalogStore`."""


class ClockKeeper:
    """The only one who moves a server's test clock.

    Guarantees: a target is durable before anything moves; moves come one after the other; no shard goes on from a time
    before every shard has done what was due then; leaderboard shards come to no time before the shards of users have
    done what was due then, and they come to every time at which anything is due, because what happens to users may
    change what is due there; a move returns when everything due has happened and is durable. One that is interrupted,
    however that was, is finished before anything else.
    """

    def __init__(self, store: ClockStore, times: ClockTimes) -> None:
        self._store = store
        self._times = times
        self._users: Sequence[MovedHost] = ()
        self._boards: Sequence[MovedHost] = ()
        self._lock = asyncio.Lock()
        self.clock = TestClock(times.reached_ms)
        """The time of everything in the server; while it is being moved, the time that the shards have come to."""

    @classmethod
    async def open(cls, store: ClockStore, now_ms: int) -> "ClockKeeper":
        """Take up the clock where it stood; a new one starts at `now_ms`. One fsync if it is new."""
        times = await store.load_clock()
        if times is None:
            times = ClockTimes(now_ms, now_ms)
            await store.save_clock(times)
        return cls(store, times)

    @property
    def interrupted_ms(self) -> int | None:
        """Where a move was going that has not come to its end; None if there is none."""
        return self._times.target_ms if self._times.reached_ms < self._times.target_ms else None

    async def start(self, users: Sequence[MovedHost], boards: Sequence[MovedHost] = ()) -> None:
        """Let everything happen that was still due when the server ended, on these shards of users and of leaderboards.

        They must be open.
        """
        self._users, self._boards = users, boards
        async with self._lock:
            await self._settle()

    async def move(self, now_ms: int) -> int:
        """Move the time to `now_ms` and return it, when all that was due until then has happened.

        Raises Invalid for a time before the present one, or more than AHEAD_MS_MAX after it. One that is cancelled is
        finished by the next, or at the next start.
        """
        async with self._lock:
            if self.interrupted_ms is not None:
                await self._settle()
            present_ms = self.clock()
            if now_ms < present_ms:
                raise Invalid(
                    f"now: expected no time before the present one ({format_instant(present_ms)}), "
                    f"got {format_instant(now_ms)}"
                )
            if now_ms > present_ms + AHEAD_MS_MAX:
                raise Invalid(
                    f"now: expected no time more than 100 years after the present one ({format_instant(present_ms)}), "
                    f"got {format_instant(now_ms)}"
                )
            if now_ms > present_ms:
                await self._save(ClockTimes(present_ms, now_ms))
                await self._settle()
            return now_ms

    async def _settle(self) -> None:
        """Bring every shard from where it is to the target."""
        target = self._times.target_ms
        due = await _move_shards(self._users, self.clock())
        boards_due = await _move_shards(self._boards, self.clock())
        while (barrier := min((*due.values(), *boards_due.values()), default=NEVER_MS)) < target:
            if barrier <= self.clock():
                raise RuntimeError(f"a shard is due at {barrier} and has not done what there was to do")
            self.clock.move(barrier)
            due |= await _move_shards([host for host in self._users if due[host] == barrier], barrier)
            boards_due = await _move_shards(self._boards, barrier)
        if self.clock() < target:
            self.clock.move(target)
            await _move_shards(self._users, target)
            await _move_shards(self._boards, target)
        if self._times.reached_ms < target:
            await self._save(ClockTimes(target, target))

    async def _save(self, times: ClockTimes) -> None:
        await self._store.save_clock(times)
        self._times = times


async def _move_shards(hosts: Sequence[MovedHost], now_ms: int) -> dict[MovedHost, int]:
    """Move these shards to a time; returns when each has something to do again, as far as is known now."""
    due = await asyncio.gather(*(_move_shard(host, now_ms) for host in hosts))
    return dict(zip(hosts, due, strict=True))


async def _move_shard(host: MovedHost, now_ms: int) -> int:
    """Move a shard; one that is lost is waited for, because it may have been lost before it was done."""
    while True:
        try:
            due_ms = await host.move_clock(now_ms)
        except HostLost:
            await asyncio.sleep(LOST_RETRY_S)
        else:
            return NEVER_MS if due_ms is None else due_ms
