"""Reads one user's history backwards: what is not saved yet, and then what is."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from plaudit.actors.residents import Resident
from plaudit.engine.user import User
from plaudit.storage.errors import Corrupt
from plaudit.storage.history import EventEntry
from plaudit.storage.state import StateStore

CHAIN_CHUNKS = 32
"""How many pieces are read at once, at most: most questions are answered by the newest ones."""


@dataclass(frozen=True, slots=True)
class UserView:
    """A user as of now, and the history that led there, as it was when a query was taken."""

    user: User
    resident: Resident
    chunk: int | None
    """The newest saved piece of it."""
    pending: Sequence[EventEntry]
    """What came after that, oldest first."""


async def walk_back(view: UserView, state: StateStore) -> AsyncIterator[EventEntry]:
    """All entries, newest first. Ends early if the user has been deleted meanwhile. Raises StorageError."""
    for entry in reversed(view.pending):
        yield entry
    chunk, limit = view.chunk, 1
    while chunk is not None:
        try:
            chunks = await state.load_chain(chunk, limit)
        except Corrupt:
            if await state.load_names([view.resident.id]):
                raise
            return  # the user has been deleted, and is being erased
        for found in chunks:
            for entry in reversed(found.entries):
                yield entry
        chunk, limit = chunks[-1].previous, min(2 * limit, CHAIN_CHUNKS)
