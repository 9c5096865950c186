"""The users that are in memory, and what of them is not in state.sqlite yet."""

from dataclasses import dataclass, field

from msgspec import DecodeError

from plaudit.engine.commands import UserKey
from plaudit.engine.snapshot import decode_user, encode_user
from plaudit.engine.user import User
from plaudit.storage.errors import Corrupt
from plaudit.storage.history import EventEntry, encode_chunk
from plaudit.storage.state import Chunk, Slice, StateStore, StoredUser


@dataclass(slots=True)
class Resident:
    """A user in memory. `applied` is the number of the last command in `user`; `chunk` the newest saved history."""

    key: UserKey
    id: int
    user: User
    applied: int
    chunk: int | None = None
    unsaved: list[EventEntry] = field(default_factory=list)
    """Events since the last checkpoint, oldest first; the user is dirty while there are any."""
    unsaved_keys: list[tuple[bytes, bytes]] = field(default_factory=list)
    """(digest of an idempotency key, event id), likewise."""


class Residents:
    """All users in memory, the dirty ones marked. Loads from the state; hands slices to the checkpoint."""

    def __init__(self) -> None:
        self._residents: dict[UserKey, Resident] = {}
        self._dirty: dict[UserKey, Resident] = {}
        self._recent_keys: dict[bytes, bytes] = {}
        """Idempotency keys that state.sqlite does not have yet: digest to event id."""
        self._damaged: dict[UserKey, Corrupt] = {}
        """Users whose snapshots cannot be read: what is asked of them fails, and nobody else is concerned."""
        self._next_user_id = 1
        self._next_chunk_id = 1

    def start_ids(self, user_id: int, chunk_id: int) -> None:
        """Number new users and chunks from here on."""
        self._next_user_id, self._next_chunk_id = user_id, chunk_id

    def get(self, key: UserKey) -> Resident | None:
        """A user who is in memory; None if not loaded, or not existing. Raises Corrupt for one who cannot be read."""
        resident = self._residents.get(key)
        if resident is None and key in self._damaged:
            raise self._damaged[key]
        return resident

    def __contains__(self, key: UserKey) -> bool:
        return key in self._residents

    async def load(self, keys: set[UserKey], state: StateStore) -> None:
        """Bring users into memory; those that do not exist stay away. One query."""
        for stored in await state.load_users(keys):
            try:
                user = decode_user(stored.snapshot)
            except DecodeError as error:
                self._damaged[stored.key] = Corrupt(f"{state.path}: user {stored.key[1]!r}: {error}")
            else:
                self._residents[stored.key] = Resident(stored.key, stored.id, user, stored.applied, stored.chunk)

    def install(self, key: UserKey, user: User, applied: int, entry: EventEntry, digest: bytes | None) -> None:
        """Make `user` the state after command number `applied`, which `entry` describes."""
        resident = self._residents.get(key)
        if resident is None:
            resident = Resident(key, self._next_user_id, user, applied)
            self._next_user_id += 1
            self._residents[key] = resident
        resident.user = user
        resident.applied = applied
        resident.unsaved.append(entry)
        self._dirty[key] = resident
        if digest is not None:
            resident.unsaved_keys.append((digest, entry.event_id))
            self._recent_keys[digest] = entry.event_id

    def find_recent_key(self, digest: bytes) -> bytes | None:
        """The event that used an idempotency key since the last checkpoint, if any did."""
        return self._recent_keys.get(digest)

    def take_dirty(self) -> list[UserKey]:
        """The users that are dirty now, for a checkpoint to go through."""
        return list(self._dirty)

    def take_slice(self, keys: list[UserKey]) -> tuple[Slice, int]:
        """Everything unsaved of these users, and the number of the last command in it.

        From here on they are clean: whoever takes a slice must save it, or stop for good.
        """
        users, chunks, used_keys = [], [], []
        applied = 0
        for key in keys:
            resident = self._dirty.pop(key)
            chunk = Chunk(self._next_chunk_id, resident.id, resident.chunk, encode_chunk(resident.unsaved))
            self._next_chunk_id += 1
            resident.chunk = chunk.id
            chunks.append(chunk)
            users.append(StoredUser(resident.id, key, resident.applied, chunk.id, encode_user(resident.user)))
            used_keys.extend(resident.unsaved_keys)
            applied = max(applied, resident.applied)
            resident.unsaved, resident.unsaved_keys = [], []
        return Slice(users, chunks, used_keys, []), applied

    def forget_keys(self, part: Slice) -> None:
        """The keys of a saved slice can be found in state.sqlite now."""
        for digest, _ in part.keys:
            del self._recent_keys[digest]

    def snapshots(self) -> dict[UserKey, bytes]:
        """The snapshot of every user in memory: for digests and checks. O(users)."""
        return {key: encode_user(resident.user) for key, resident in self._residents.items()}
