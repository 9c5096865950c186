"""Checks what state.sqlite says against itself: every user against every event. For `plaudit doctor`."""

from collections import Counter as Tally
from collections.abc import AsyncIterator, Iterator

from msgspec import Struct

from plaudit.engine.amounts import unpack_amount
from plaudit.engine.snapshot import decode_user
from plaudit.engine.tally import Counter, tally
from plaudit.engine.user import User
from plaudit.storage.errors import Corrupt
from plaudit.storage.history import EVENT, TIME, Chunk, EventEntry
from plaudit.storage.seal import UNDECODABLE
from plaudit.storage.snapshots import StoredUser
from plaudit.storage.state import StateStore, key_uses

CHAIN_CHUNKS = 256


class Problem(Struct, frozen=True):
    """Something that does not fit, and where."""

    place: str
    problem: str


class Audit:
    """Walks all users of a state that nobody writes. O(users + events); remembers counts only."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._counters: Tally[Counter] = Tally()
        self._chunks = 0
        self.users = 0
        self.events = 0

    async def run(self) -> AsyncIterator[Problem]:
        """Every problem, as it is found."""
        after = 0
        while users := await self._store.scan_users(after):
            for _, stored in users:
                if isinstance(stored, Corrupt):
                    yield self._problem("users", str(stored))
                    continue
                async for problem in self._check_user(stored):
                    yield problem
            after = users[-1][0]
        async for problem in self._check_counts():
            yield problem

    async def _check_user(self, stored: StoredUser) -> AsyncIterator[Problem]:
        self.users += 1
        place = f"user {stored.key[1]!r}"
        try:
            user = decode_user(stored.snapshot)
            entries: list[EventEntry] = []
            chunk = stored.chunk
            while chunk is not None:
                chunks = await self._store.load_chain(chunk, CHAIN_CHUNKS)
                for found in chunks:
                    if found.user != stored.id:
                        yield self._problem(place, f"history {found.id} belongs to user {found.user}")
                async for problem in self._check_keys(place, chunks):
                    yield problem
                entries += [entry for found in chunks for entry in reversed(found.entries)]
                chunk = chunks[-1].previous
                self._chunks += len(chunks)
        except (Corrupt, *UNDECODABLE) as error:
            yield self._problem(place, str(error))
            self._counters["users", 0] += 1
            return
        self._counters.update(tally(None, user))
        entries.reverse()
        self.events += sum(entry.kind == EVENT for entry in entries)
        for text in check_events(user, entries):
            yield self._problem(place, text)
        for entry in entries:
            if entry.number > stored.applied:
                yield self._problem(place, f"command {entry.number} is in the history, but not in the user")

    async def _check_keys(self, place: str, chunks: list[Chunk]) -> AsyncIterator[Problem]:
        uses = {use: event for chunk in chunks for use, event in key_uses(chunk).items()}
        found = await self._store.find_keys(uses)
        for use, event in uses.items():
            if found.get(use) != event:
                yield self._problem(place, f"idempotency key {use[2]!r} is not in the index, or leads elsewhere")

    async def _check_counts(self) -> AsyncIterator[Problem]:
        counters = {counter: value for counter, value in (await self._store.load_counters()).items() if value}
        for counter in counters.keys() | self._counters.keys():
            name, number = counter
            counted, there = counters.get(counter, 0), self._counters[counter]
            if counted != there:
                yield self._problem(f"counter {name} {number}", f"is {counted}, and {there} are there")
        sizes = await self._store.load_sizes()
        for name, size, expected in (
            ("heads", sizes.heads, self.users),
            ("history", sizes.chunks, self._chunks),
        ):
            if size != expected:
                yield self._problem(name, f"{size} rows, and the users lead to {expected}")
        strays = await self._store.load_strays()
        for name, count in (("timers", strays.timers), ("owners", strays.owners)):
            if count:
                yield self._problem(name, f"{count} rows belong to nobody")

    def _problem(self, place: str, problem: str) -> Problem:
        return Problem(f"{self._store.path}: {place}", problem)


def check_events(user: User, entries: list[EventEntry]) -> Iterator[str]:
    """What does not fit between a user and all events of it, oldest first."""
    totals: dict[int, int] = {}
    points: dict[int, int] = {}
    last, is_same_command = 0, False
    for entry in entries:
        if entry.kind == EVENT:
            total = totals.get(entry.metric, 0) + unpack_amount(entry.value)
            if total != unpack_amount(entry.total):
                yield f"event {entry.event_id.hex()}: its total does not follow from the event before it"
            totals[entry.metric] = unpack_amount(entry.total)
        if entry.number and entry.number < last + (not is_same_command):
            yield f"event {entry.event_id.hex()}: is out of order"
        last, is_same_command = max(last, entry.number), entry.kind == TIME
        for award in entry.awards:
            points[award.system] = award.total
        missing = set(entry.completed) - user.completions.keys()
        if missing:
            yield f"achievement {min(missing)} was completed by an event, but not by the user"
    if totals != user.totals:
        yield f"totals are {user.totals}, and the events come to {totals}"
    if points != {system: total for system, total in user.points.items() if system in points}:
        yield f"points are {user.points}, and the awards come to {points}"
