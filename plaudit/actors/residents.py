"""The users that are in memory, and what of them is not in state.sqlite yet."""

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

from plaudit.engine.commands import UserKey
from plaudit.engine.snapshot import decode_user, encode_user
from plaudit.engine.user import User
from plaudit.storage.errors import Corrupt
from plaudit.storage.history import Chunk, EventEntry
from plaudit.storage.key_index import KeyUse
from plaudit.storage.seal import UNDECODABLE
from plaudit.storage.snapshots import StoredUser
from plaudit.storage.state import Counter, Slice, StateStore, key_uses

DEFAULT_USERS_MAX = 200_000


@dataclass(slots=True, eq=False)
class Resident:
    """A user in memory. `applied` is the number of the last command in `user`; `chunk` the newest saved history."""

    key: UserKey
    id: int
    user: User
    applied: int
    chunk: int | None = None
    is_new: bool = False
    """It is not in state.sqlite yet."""
    unsaved: list[EventEntry] = field(default_factory=list)
    """Events that no slice has taken, oldest first; the user is dirty while there are any."""
    saving: list[EventEntry] = field(default_factory=list)
    """Events of a slice that is being written; they are older."""
    snapshot: bytes = b""
    """Of `user`, while dirty."""
    saved_through: int = 0
    """The number of the last command that has been saved while the user was in memory."""
    deleted_at: int = 0
    """The number of the command that deleted the user; 0 if none did."""

    def pending(self) -> list[EventEntry]:
        """The events that are not in the saved history, which ends with `chunk`, oldest first."""
        return [*self.saving, *self.unsaved]


class Residents:
    """Users in memory: at most `users_max` that are clean, and all that are not.

    Loads from the state; hands slices to the checkpoint; lets those go that have not been asked for the longest.
    """

    def __init__(self, users_max: int = DEFAULT_USERS_MAX) -> None:
        self.users_max = users_max
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
        self._next_user_id = 1
        self._next_chunk_id = 1
        self.newest_saved_chunk = 0
        """Its id."""

    def __len__(self) -> int:
        return len(self._residents)

    def start_ids(self, user_id: int, chunk_id: int) -> None:
        """Number new users and chunks from here on."""
        self._next_user_id, self._next_chunk_id = user_id, chunk_id
        self.newest_saved_chunk = chunk_id - 1

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
            try:
                if isinstance(stored, Corrupt):
                    raise stored
                user = decode_user(stored.snapshot)
            except (*UNDECODABLE, Corrupt) as error:
                self._damaged[key] = Corrupt(f"{state.path}: user {key[1]!r}: {error}")
            else:
                self._residents[key] = Resident(key, stored.id, user, stored.applied, stored.chunk)
                self._clean[key] = self._residents[key]

    def passivate(self) -> None:
        """Let go of clean users until no more than `users_max` are in memory, the least recently used first."""
        while len(self._residents) > self.users_max and self._clean:
            key, _ = self._clean.popitem(last=False)
            del self._residents[key]

    def install(self, key: UserKey, user: User, snapshot: bytes, entry: EventEntry) -> None:
        """Make `user` the state after the command that `entry` describes."""
        resident = self._residents.get(key)
        if resident is None:
            resident = Resident(key, self._next_user_id, user, entry.number, is_new=True)
            self._next_user_id += 1
            self._residents[key] = resident
        else:
            self._clean.pop(key, None)
        resident.user = user
        resident.snapshot = snapshot
        resident.applied = entry.number
        resident.unsaved.append(entry)
        self._timeline.append((resident, entry))
        self._dirty[resident.id] = resident
        if entry.idempotency_key is not None:
            self._recent_keys[resident.id, entry.metric, entry.idempotency_key] = entry.event_id

    def delete(self, key: UserKey, number: int) -> None:
        """Forget a user, by command `number`. What is unsaved is still saved if a checkpoint gets there first."""
        resident = self._residents.pop(key)
        self._clean.pop(key, None)
        resident.deleted_at = number
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
        chunks, users, new = [], [], []
        counters: dict[Counter, int] = {}
        for resident in taken:
            entries = tuple(resident.unsaved)
            resident.saving, resident.unsaved = resident.unsaved, []
            chunk = Chunk(self._next_chunk_id, resident.id, resident.chunk, entries)
            self._next_chunk_id += 1
            stored = StoredUser(resident.id, resident.key, resident.applied, chunk.id, resident.snapshot)
            chunks.append(chunk)
            users.append(stored)
            if resident.is_new:
                new.append(stored)
            for number in chain.from_iterable(entry.completed for entry in entries):
                counters["completions", number] = counters.get(("completions", number), 0) + 1
            self._saving[resident.id] = resident
        if new:
            counters["users", 0] = len(new)
        return Slice(users, new, chunks, counters), max((user.applied for user in users), default=0)

    def mark_saved(self, part: Slice) -> None:
        """A slice is in state.sqlite now."""
        for chunk in part.chunks:
            self.newest_saved_chunk = chunk.id
            resident = self._saving.pop(chunk.user)
            resident.saving = []
            resident.chunk = chunk.id
            resident.is_new = False
            resident.saved_through = chunk.entries[-1].number
            if chunk.user not in self._dirty:
                resident.snapshot = b""
                if resident.deleted_at == 0:
                    self._clean[resident.key] = resident

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
                for entry in resident.unsaved:
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
