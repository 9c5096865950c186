"""The users that are in memory, and what of them is not in state.sqlite yet."""

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from msgspec import Struct

from plaudit.actors.schedule import Schedule
from plaudit.engine.commands import UserKey
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.deadlines import has_same_deadline
from plaudit.engine.snapshot import decode_user, encode_user
from plaudit.engine.tally import Counter, add_up, tally
from plaudit.engine.user import User
from plaudit.storage.errors import Corrupt
from plaudit.storage.history import Chunk, EventEntry
from plaudit.storage.key_index import KeyUse
from plaudit.storage.seal import UNDECODABLE
from plaudit.storage.snapshots import StoredUser
from plaudit.storage.state import Slice, StateStore, key_uses
from plaudit.storage.timers import Due

DEFAULT_USERS_MAX = 200_000
UNKNOWN_MS = -1
"""In place of a due time that has to be found."""


class Resident(Struct, eq=False, gc=False):
    """A user in memory. `applied` is the number of the last command in `user`; `chunk` the newest saved history.

    Nothing in it leads back to it, so the collector need not look at it.
    """

    key: UserKey
    id: int
    user: User
    applied: int
    chunk: int | None = None
    is_new: bool = False
    """It is not in state.sqlite yet."""
    unsaved: list[EventEntry] | None = None
    """Events that no slice has taken, oldest first; None for none, which most users have."""
    saving: tuple[EventEntry, ...] = ()
    """Events of a slice that is being written; they are older."""
    snapshot: bytes = b""
    """Of `user`, while dirty."""
    saved_through: int = 0
    """The number of the last command that has been saved while the user was in memory."""
    deleted_at: int = 0
    """The number of the command that deleted the user; 0 if none did."""
    due_ms: int | None = None
    """When time does something to `user`; None if it does not. Also UNKNOWN_MS, as the next."""
    stored_due_ms: int | None = None
    """What state.sqlite says, or will when the slice that is being written is there."""
    counted: dict[Counter, int] | None = None
    """What the counters of the shard have changed by since the user was last saved; None for nothing."""
    is_cold: bool = False
    """A timer has brought the user into memory, and nobody has asked for them since."""

    def pending(self) -> list[EventEntry]:
        """The events that are not in the saved history, which ends with `chunk`, oldest first."""
        return [*self.saving, *(self.unsaved or ())]


@dataclass(slots=True)
class Woken:
    """What state.sqlite had of some users, by id, and who of them has been saved or deleted since then."""

    stored: dict[int, StoredUser | Corrupt]
    outdated: set[int]


class Residents:
    """Users in memory: at most `users_max` that are clean, and all that are not.

    Loads from the state; hands slices to the checkpoint; lets those go that have not been asked for the longest. Tells
    the schedule when the time of a dirty user comes; of all others, state.sqlite knows.
    """

    def __init__(self, users_max: int = DEFAULT_USERS_MAX, schedule: Schedule | None = None) -> None:
        self.users_max = users_max
        self.schedule = Schedule() if schedule is None else schedule
        self._residents: dict[UserKey, Resident] = {}
        self._clean: OrderedDict[UserKey, Resident] = OrderedDict()
        """Least recently used first. The first of a plain dict is found by passing all that were removed before it."""
        self._dirty: dict[int, Resident] = {}
        """By id."""
        self._saving: dict[int, Resident] = {}
        self._deleted: dict[UserKey, list[Resident]] = {}
        """Users that are deleted and may still be in state.sqlite, those of one key in the order of their deletion."""
        self._recent_keys: dict[KeyUse, bytes] = {}
        """Idempotency keys that the index does not have yet: their events."""
        self._damaged: dict[UserKey, Corrupt] = {}
        """Users whose snapshots cannot be read: what is asked of them fails, and nobody else is concerned."""
        self._timeline: deque[tuple[Resident, EventEntry]] = deque()
        """Everything unsaved, in the order of commands, and some of what has been saved since."""
        self._outdated: set[int] | None = None
        """Of the users that are being read for a timer, if any are."""
        self.counters: dict[Counter, int] = {}
        """What all users of the shard come to, unsaved ones as they are now."""
        self.next_user_id = 1
        """What the next new user gets, in the order of the commands; never used again, whatever becomes of the user."""
        self._next_chunk_id = 1
        self.newest_saved_chunk = 0
        """Its id."""

    def __len__(self) -> int:
        return len(self._residents)

    def start_ids(self, user_id: int, chunk_id: int) -> None:
        """Number new users and chunks from here on."""
        self.next_user_id, self._next_chunk_id = user_id, chunk_id
        self.newest_saved_chunk = chunk_id - 1

    def adopt(self, compiled: CompiledCatalog) -> None:
        """Find due times under this catalog. O(users) if it matters to them: what was known is forgotten."""
        if self.schedule.adopt(compiled):
            for resident in chain(self._residents.values(), self._saving.values(), *self._deleted.values()):
                resident.due_ms = resident.stored_due_ms = UNKNOWN_MS

    def get(self, key: UserKey) -> Resident | None:
        """A user who is in memory; None if not loaded, or not existing. Raises Corrupt for one who cannot be read."""
        resident = self._residents.get(key)
        if resident is None and key in self._damaged:
            raise self._damaged[key]
        return resident

    def find(self, key: UserKey) -> Resident | None:
        """A user who is in memory; None if not loaded, not existing, or not readable."""
        return self._residents.get(key)

    def touch(self, key: UserKey) -> bool:
        """True if the user is in memory, or cannot be loaded; it has been used just now."""
        if key in self._clean:
            self._clean.move_to_end(key)
            return True
        return key in self._residents or key in self._damaged or key in self._deleted

    async def load(self, keys: set[UserKey], state: StateStore) -> None:
        """Bring users into memory; those that do not exist stay away. One query."""
        for key, stored in (await state.load_users(keys)).items():
            self._take_in(key, stored, str(state.path))

    def _take_in(self, key: UserKey, stored: StoredUser | Corrupt, place: str) -> Resident | None:
        try:
            if isinstance(stored, Corrupt):
                raise stored
            user = decode_user(stored.snapshot)
        except (*UNDECODABLE, Corrupt) as error:
            self._damaged[key] = Corrupt(f"{place}: user {key[1]!r}: {error}")
            return None
        due_ms = stored.due_ms if self.schedule.is_swept else UNKNOWN_MS
        resident = Resident(key, stored.id, user, stored.applied, stored.chunk, due_ms=due_ms, stored_due_ms=due_ms)
        self._residents[key] = self._clean[key] = resident
        return resident

    async def read_woken(self, ids: Sequence[int], state: StateStore) -> Woken:
        """Read users for `take_woken`, while commands go on. One at a time. One query."""
        outdated: set[int] = set()
        self._outdated = outdated
        return Woken(await state.load_users_by_id(ids), outdated)

    def take_woken(self, ids: Sequence[int], woken: Woken, place: str) -> list[Resident]:
        """Those of the users who exist and can be read, in memory now and in this order.

        Of whom something was saved since they were read, and who have left memory again, come again later.
        """
        self._outdated = None
        found = (self._find_woken(id_, woken, place) for id_ in ids)
        return [resident for resident in found if resident is not None and not resident.deleted_at]

    def _find_woken(self, id_: int, woken: Woken, place: str) -> Resident | None:
        unsaved = self._dirty.get(id_) or self._saving.get(id_)
        if unsaved is not None:
            return unsaved
        stored = woken.stored.get(id_)
        resident = None if stored is None or isinstance(stored, Corrupt) else self._residents.get(stored.key)
        if resident is not None:
            return resident if resident.id == id_ else None
        if id_ in woken.outdated:
            self.schedule.add(0, id_)
            return None
        if stored is None or isinstance(stored, Corrupt) or self.touch(stored.key):
            return None
        resident = self._take_in(stored.key, stored, place)
        if resident is not None:
            resident.is_cold = True
            self._clean.move_to_end(resident.key, last=False)
        return resident

    def find_due_ms(self, resident: Resident) -> int | None:
        """When the user's time comes; None if it does not."""
        if resident.due_ms == UNKNOWN_MS:
            resident.due_ms = self.schedule.due_times.find(resident.user, resident.id)
        return resident.due_ms

    def peek(self, id_: int, woken: Woken) -> tuple[User, int | None] | None:
        """A user that is being woken, and their newest saved piece of history; None if there is none to be woken."""
        resident = self._dirty.get(id_) or self._saving.get(id_)
        if resident is None:
            stored = woken.stored.get(id_)
            if stored is None or isinstance(stored, Corrupt):
                return None
            resident = self._residents.get(stored.key)
            if resident is None:
                user = _decode(stored)
                return None if user is None else (user, stored.chunk)
        return resident.user, resident.chunk

    def find_unsaved(self, id_: int) -> Resident | None:
        """A user (by id) who is not what state.sqlite says; None for all others."""
        resident = self._dirty.get(id_) or self._saving.get(id_)
        return None if resident is None or resident.deleted_at else resident

    def unsaved_beyond(self, last: int, seen: set[int]) -> list[Resident]:
        """The users who are not in state.sqlite up to an id: new ones, but for those seen. O(unsaved users)."""
        ids = {r.id for r in self.unsaved() if r.id > last or (r.is_new and r.id not in seen)}
        residents = (self.find_unsaved(each) for each in ids)
        return [resident for resident in residents if resident is not None]

    def passivate(self) -> None:
        """Let go of clean users until no more than `users_max` are in memory, the least recently used first."""
        while len(self._residents) > self.users_max and self._clean:
            key, _ = self._clean.popitem(last=False)
            del self._residents[key]

    def install(
        self, key: UserKey, user: User, snapshot: bytes, number: int, entries: Iterable[EventEntry] = ()
    ) -> Resident:
        """Make `user` the state after command `number`, and `entries` a part of the history, oldest first."""
        resident = self._residents.get(key)
        counted = tally(None if resident is None else resident.user, user)
        id_ = self.next_user_id if resident is None else resident.id
        if resident is None or resident.due_ms == UNKNOWN_MS or not has_same_deadline(resident.user, user):
            due_ms = self.schedule.due_times.find(user, id_)
        else:
            due_ms = resident.due_ms
        if resident is None:
            resident = Resident(key, id_, user, number, is_new=True)
            self.next_user_id += 1
            self._residents[key] = resident
        else:
            self._clean.pop(key, None)
        if counted:
            self._count(resident, counted)
        resident.user = user
        resident.snapshot = snapshot
        resident.applied = number
        self._dirty[id_] = resident
        for entry in entries:
            self._add_event(resident, entry)
        if due_ms != resident.due_ms:
            resident.due_ms = due_ms
            if due_ms is not None:
                self.schedule.add(due_ms, id_)
        return resident

    def _count(self, resident: Resident, changes: dict[Counter, int]) -> None:
        if resident.counted is None:
            resident.counted = {}
        for counters in (resident.counted, self.counters):
            add_up(counters, changes)

    def _add_event(self, resident: Resident, entry: EventEntry) -> None:
        resident.is_cold = False
        if resident.unsaved is None:
            resident.unsaved = [entry]
        else:
            resident.unsaved.append(entry)
        self._timeline.append((resident, entry))
        if entry.idempotency_key is not None:
            self._recent_keys[resident.id, entry.metric, entry.idempotency_key] = entry.event_id

    def delete(self, key: UserKey, number: int) -> None:
        """Forget a user, by command `number`. What is unsaved is still saved if a checkpoint gets there first."""
        resident = self._residents.pop(key)
        self._clean.pop(key, None)
        resident.deleted_at = number
        add_up(self.counters, tally(resident.user, None))
        self._deleted.setdefault(key, []).append(resident)

    def find_recent_key(self, use: KeyUse) -> bytes | None:
        """The event that used an idempotency key, if the index does not have it yet."""
        return self._recent_keys.get(use)

    def add_recent_keys(self, chunks: Iterable[Chunk]) -> None:
        """Know the keys of saved chunks that the index does not have."""
        for chunk in chunks:
            self._recent_keys |= key_uses(chunk)

    def take_dirty(self) -> list[int]:
        """The users (by id) that are dirty now, for a checkpoint to go through in this order.

        One whose key belonged to another user has to wait until state.sqlite has forgotten that one.
        """
        if not self._deleted:
            return sorted(self._dirty)
        waiting = {r.id for key in self._deleted for r in self._holders(key)[1:]}
        return sorted(self._dirty.keys() - waiting)

    def take_slice(self, ids: list[int]) -> tuple[Slice, int]:
        """Everything unsaved of these users, and the number of the last command in it.

        Whoever takes a slice must save it and call `mark_saved`, or stop for good.
        """
        taken = [self._dirty.pop(id_) for id_ in ids]
        part = Slice([], [], [], {}, timing_key=self.schedule.key)
        for resident in taken:
            self._saving[resident.id] = resident
            chunk_id = self._take_events(resident, part)
            stored = StoredUser(resident.id, resident.key, resident.applied, chunk_id, resident.snapshot)
            part.users.append(stored)
            if resident.is_new:
                part.new.append(stored)
            due_ms = self.find_due_ms(resident)
            if due_ms != resident.stored_due_ms:
                resident.stored_due_ms = due_ms
                part.timers.append((resident.id, due_ms))
            part.owners.extend((pause.id, resident.id) for pause in resident.user.streaks.pauses)
            if resident.counted is not None:
                add_up(part.counters, resident.counted)
                resident.counted = None
        if part.timers:
            self.schedule.note_written()
        return part, max((user.applied for user in part.users), default=0)

    def _take_events(self, resident: Resident, part: Slice) -> int | None:
        """Put what is unsaved of the user's history into a slice; returns the id of their newest chunk."""
        if resident.unsaved is None:
            return resident.chunk
        resident.saving, resident.unsaved = tuple(resident.unsaved), None
        chunk = Chunk(self._next_chunk_id, resident.id, resident.chunk, resident.saving)
        self._next_chunk_id += 1
        part.chunks.append(chunk)
        return chunk.id

    def mark_saved(self, part: Slice) -> None:
        """A slice is in state.sqlite now."""
        for stored in part.users:
            resident = self._saving.pop(stored.id)
            resident.saving = ()
            resident.chunk = stored.chunk
            resident.is_new = False
            resident.saved_through = stored.applied
            if stored.id not in self._dirty:
                resident.snapshot = b""
                if resident.deleted_at == 0:
                    self._clean[resident.key] = resident
                    if resident.is_cold:
                        self._clean.move_to_end(resident.key, last=False)
        if part.chunks:
            self.newest_saved_chunk = part.chunks[-1].id
        if self._outdated is not None:
            self._outdated.update(stored.id for stored in part.users)

    def forget_keys(self, uses: Iterable[KeyUse]) -> None:
        """These keys can be found in the index now."""
        for use in uses:
            del self._recent_keys[use]

    def take_deleted(self, through: int) -> list[Resident]:
        """The users that were deleted by commands up to number `through`, for a checkpoint to forget.

        What of them is unsaved need not be saved any more.
        """
        taken = [r for residents in self._deleted.values() for r in residents if r.deleted_at <= through]
        for resident in taken:
            if self._dirty.pop(resident.id, None) is not None:
                for entry in resident.unsaved or ():
                    if entry.idempotency_key is not None:
                        del self._recent_keys[resident.id, entry.metric, entry.idempotency_key]
        return taken

    def take_recreated(self, deleted: list[Resident]) -> list[int]:
        """The dirty users (by id) whose keys belonged to these: they can be saved as soon as these are forgotten."""
        next_holders, ids = {}, {resident.id for resident in deleted}
        for key in {resident.key for resident in deleted}:
            next_holders[key] = next((r for r in self._holders(key) if r.id not in ids), None)
        return sorted(r.id for r in next_holders.values() if r is not None and r.id in self._dirty)

    def mark_deleted(self, deleted: list[Resident]) -> None:
        """state.sqlite has forgotten these."""
        for resident in deleted:
            left = self._deleted[resident.key]
            left.remove(resident)
            if not left:
                del self._deleted[resident.key]
        if self._outdated is not None:
            self._outdated.update(resident.id for resident in deleted)

    def unsaved_events(self) -> Iterator[tuple[UserKey, EventEntry]]:
        """Everything that is not saved yet, newest first."""
        for resident, entry in reversed(self._timeline):
            if entry.number > resident.saved_through and resident.deleted_at == 0:
                yield resident.key, entry

    def forget_saved(self) -> None:
        """Let go of what is remembered of events that have been saved: all but those behind one that has not."""
        timeline = self._timeline
        while timeline and (timeline[0][1].number <= timeline[0][0].saved_through or timeline[0][0].deleted_at):
            timeline.popleft()

    def unsaved_dues(self, after: Due, through: Due) -> list[Due]:
        """When the times of users come who are not saved, after one due time and up to another. O(unsaved users)."""
        return [
            due
            for resident in self.unsaved()
            if (due_ms := self.find_due_ms(resident)) is not None and after < (due := (due_ms, resident.id)) <= through
        ]

    def find_unsaved_owners(self, ids: frozenset[bytes]) -> list[tuple[bytes, UserKey]]:
        """Whose these pauses are, as far as that is not saved yet. O(unsaved users)."""
        return [
            (pause.id, resident.key)
            for resident in self.unsaved()
            for pause in resident.user.streaks.pauses
            if pause.id in ids
        ]

    def unsaved(self) -> list[Resident]:
        """The users who exist and are not saved; one who is being saved and has changed since is there twice."""
        return [r for r in chain(self._dirty.values(), self._saving.values()) if r.deleted_at == 0]

    def deleted_ids(self) -> frozenset[int]:
        """The ids of deleted users that may still be in state.sqlite."""
        return frozenset(resident.id for residents in self._deleted.values() for resident in residents)

    def snapshots(self) -> dict[UserKey, bytes]:
        """The snapshot of every user in memory: for digests and checks. O(users)."""
        return {key: encode_user(resident.user) for key, resident in self._residents.items()}

    def _holders(self, key: UserKey) -> list[Resident]:
        """The users that have had a key and may still have it in state.sqlite, oldest first; then the one in memory."""
        alive = self._residents.get(key)
        return [*self._deleted.get(key, ()), *([alive] if alive is not None else ())]


def _decode(stored: StoredUser) -> User | None:
    try:
        return decode_user(stored.snapshot)
    except UNDECODABLE:
        return None
