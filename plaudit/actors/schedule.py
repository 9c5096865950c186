"""Whose time comes next: what is due up to a horizon, in memory. Decides only; `timers` does."""

import asyncio
import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.deadlines import AT_ONCE, next_deadline, timing_key
from plaudit.engine.user import User
from plaudit.storage.timers import Due

BEGINNING: Due = (-1, 0)
END: Due = (2**62, 0)
"""Before and after everything that is due."""
ENTRIES_MAX = 8192
"""How many entries are kept when there are twice as many; the rest is found again when its time is near."""
JITTER_BITS = 20

Deadline = Callable[[User, CompiledCatalog], int | None]


@dataclass(frozen=True, slots=True)
class DueTimes:
    """Says when a user's time comes: a pure function under one version of the catalog."""

    compiled: CompiledCatalog
    window_ms: int
    deadline: Deadline

    def find(self, user: User, id_: int) -> int | None:
        """The deadline, or later by up to the window: a million users of one midnight are not due at once.

        In the order of their ids, so that those who are saved together are neighbours in the table as well.
        """
        deadline_ms = self.deadline(user, self.compiled)
        if deadline_ms is None or deadline_ms == AT_ONCE:
            return deadline_ms
        return deadline_ms + (id_ % (1 << JITTER_BITS) * self.window_ms >> JITTER_BITS)

    @property
    def key(self) -> str:
        """Another one means that due times have to be found anew."""
        return f"{timing_key(self.compiled)},{self.window_ms}"


class Schedule:
    """A heap of (due time, user) with everything that is due up to `horizon`, and nothing after it.

    An entry may be out of date: who takes one asks the user. `version` is another one after everything was forgotten.
    """

    def __init__(self, window_ms: int = 0, deadline: Deadline = next_deadline) -> None:
        self.window_ms = window_ms
        self._deadline = deadline
        self._heap: list[Due] = []
        self.due_times: DueTimes
        self.key = ""
        """Of `due_times`."""
        self.swept_key: str | None = None
        """The key under which all due times in state.sqlite are right; None if there is none."""
        self.version = 0
        self.horizon = BEGINNING
        self.changed = asyncio.Event()
        """Something is due before everything that was, or has been forgotten."""

    def adopt(self, compiled: CompiledCatalog) -> bool:
        """Find due times under this catalog from now on; True if those that have been found are no good any more."""
        self.due_times = DueTimes(compiled, self.window_ms, self._deadline)
        key, self.key = self.key, self.due_times.key
        if key == self.key:
            return False
        self._heap.clear()
        self.horizon = BEGINNING
        self.version += 1
        self.changed.set()
        return True

    @property
    def is_swept(self) -> bool:
        """The due times in state.sqlite are right."""
        return self.swept_key == self.key

    def note_written(self) -> None:
        """Due times under this key are being written to state.sqlite: those of another are not right any more."""
        if not self.is_swept:
            self.swept_key = None

    def add(self, due_ms: int, user: int) -> None:
        """Note when a user's time comes, unless that is beyond the horizon. O(log n)."""
        due = (due_ms, user)
        if due > self.horizon:
            return
        heapq.heappush(self._heap, due)
        if len(self._heap) > 2 * ENTRIES_MAX:
            self._heap.sort()
            del self._heap[ENTRIES_MAX:]
            self.horizon = self._heap[-1]
        if self._heap[0] is due:
            self.changed.set()

    def add_all(self, dues: Iterable[Due]) -> None:
        """Add many."""
        for due_ms, user in dues:
            self.add(due_ms, user)

    def discard(self, due_ms: int, user: int) -> None:
        """Take out an entry. O(n)."""
        self._heap = [due for due in self._heap if due != (due_ms, user)]
        heapq.heapify(self._heap)

    def take(self, now_ms: int, limit: int) -> list[int]:
        """Take out the next users whose time has come, in the order of their times, each once."""
        users: dict[int, None] = {}
        while self._heap and self._heap[0][0] <= now_ms and len(users) < limit:
            users[heapq.heappop(self._heap)[1]] = None
        return list(users)

    @property
    def next_ms(self) -> int | None:
        """When the next time comes; None if nothing is due up to the horizon."""
        return self._heap[0][0] if self._heap else None

    def __len__(self) -> int:
        return len(self._heap)
