"""Counts the points of users with certain attributes: nobody keeps counters of those, so all users are looked at.

Off the event loop, a page at a time, in the thread of state.sqlite; events go on. What has been found is good for a
while: the longer it took, the longer.
"""

import asyncio
import time
from dataclasses import dataclass
from functools import partial

from plaudit.actors.errors import Overloaded
from plaudit.actors.residents import Residents
from plaudit.engine.catalog import AttributeValue, Filter
from plaudit.engine.filters import matches
from plaudit.engine.tally import Counter, bucket_of
from plaudit.engine.user import User
from plaudit.storage.state import StateStore

PAGE_USERS = 128
PAUSE_RATIO = 1.0
"""How long each page is followed by a pause, in times of what it took."""
FRESH_RATIO = 20.0
FRESH_MAX_S = 3.0
"""For how long a count is good: in times of what it took, and at most."""
KEPT_MAX = 64
"""How many counts are kept, or wait for their turn."""

_Query = tuple[int, tuple[tuple[str, str], ...]]


@dataclass(slots=True)
class _Count:
    counters: asyncio.Task[dict[Counter, int]]
    good_until: float | None = None
    """Monotonic seconds; None while it is under way."""


class PointsScan:
    """Counts and remembers, one count at a time. Whoever asks for what is being counted gets the same."""

    def __init__(self, residents: Residents, state: StateStore) -> None:
        self._residents = residents
        self._state = state
        self._counts: dict[_Query, _Count] = {}
        self._turn = asyncio.Lock()

    async def count(self, system: int, attributes: tuple[tuple[str, str], ...]) -> dict[Counter, int]:
        """The counters of users and of a system's points (by number) over users who have these attributes.

        O(users) unless it is known. Raises StorageError, or Overloaded if too many other counts wait.
        """
        query = (system, tuple(sorted(attributes)))
        known = self._counts.get(query)
        if known is None or (known.good_until is not None and known.good_until < time.monotonic()):
            self._counts.pop(query, None)
            self._make_room()
            known = _Count(asyncio.create_task(self._scan(*query)))
            self._counts[query] = known
            known.counters.add_done_callback(partial(self._finish, query, time.monotonic()))
        return await asyncio.shield(known.counters)

    def _make_room(self) -> None:
        if len(self._counts) >= KEPT_MAX:
            oldest = next((query for query, count in self._counts.items() if count.good_until is not None), None)
            if oldest is None:
                raise Overloaded("too many counts by attributes are waiting")
            del self._counts[oldest]

    def cancel(self) -> None:
        """Give up what is being counted."""
        for count in self._counts.values():
            count.counters.cancel()

    def _finish(self, query: _Query, started: float, task: asyncio.Task[dict[Counter, int]]) -> None:
        failed = task.cancelled() or task.exception() is not None
        count = self._counts.get(query)
        if count is not None and count.counters is task:
            now = time.monotonic()
            count.good_until = now if failed else now + min(FRESH_MAX_S, FRESH_RATIO * (now - started))

    async def _scan(self, system: int, attributes: tuple[tuple[str, str], ...]) -> dict[Counter, int]:
        async with self._turn:
            return await self._count_all(system, attributes)

    async def _count_all(self, system: int, attributes: tuple[tuple[str, str], ...]) -> dict[Counter, int]:
        wanted: Filter = tuple(AttributeValue(key, value) for key, value in attributes)
        counters: dict[Counter, int] = {}
        last, seen = 0, set[int]()
        while True:
            started = time.monotonic()
            page = await self._state.scan_points(system, last, PAGE_USERS)
            if not page:
                break
            deleted = self._residents.deleted_ids()
            for id_, found, total in page:
                unsaved = self._residents.find_unsaved(id_)
                if unsaved is not None:
                    seen.add(id_)
                    _count(counters, system, wanted, unsaved.user)
                elif id_ not in deleted and matches(found, wanted):
                    _add(counters, system, total)
            last = page[-1][0]
            await asyncio.sleep(PAUSE_RATIO * (time.monotonic() - started))
        for number, resident in enumerate(self._residents.unsaved_beyond(last, seen)):
            _count(counters, system, wanted, resident.user)
            if number % PAGE_USERS == 0:
                await asyncio.sleep(0)
        return counters


def _count(counters: dict[Counter, int], system: int, wanted: Filter, user: User) -> None:
    if matches(user.profile.attributes, wanted):
        _add(counters, system, user.points.get(system, 0))


def _add(counters: dict[Counter, int], system: int, total: int) -> None:
    counters["users", 0] = counters.get(("users", 0), 0) + 1
    if total > 0:
        counter = "points", bucket_of(system, total)
        counters[counter] = counters.get(counter, 0) + 1
