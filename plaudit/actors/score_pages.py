"""All committed scores of a shard's users, for a leaderboard shard that begins with nothing."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

from plaudit.actors.board_messages import Score, Want
from plaudit.actors.board_routing import board_shard_of
from plaudit.actors.board_scores import make_score
from plaudit.actors.committer import Committer
from plaudit.actors.residents import Residents
from plaudit.engine.catching_up import boards_to_fill
from plaudit.engine.commands import UserKey
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.snapshot import decode_user, glimpse_at_standings
from plaudit.engine.standings import all_scores
from plaudit.engine.user import User
from plaudit.storage.errors import Corrupt
from plaudit.storage.seal import UNDECODABLE
from plaudit.storage.snapshots import StoredUser
from plaudit.storage.state import StateStore

PAGE_USERS = 256
PAUSE_RATIO = 1.0
"""How long each page is followed by a pause, in times of what it took to go through it."""


class ScorePages:
    """Goes through all users beside the commands: those that are saved as they are saved, the others as they are now.

    A user who changes meanwhile is published as well, with a higher version. Nothing is said before it is durable.
    """

    def __init__(
        self,
        residents: Residents,
        state: StateStore,
        committer: Committer,
        compiled: Callable[[], CompiledCatalog],
        leaderboards: int,
    ) -> None:
        self._residents = residents
        self._state = state
        self._committer = committer
        self._compiled = compiled
        self._leaderboards = leaderboards

    async def find(self, leaderboard: int, want: Want) -> AsyncIterator[tuple[tuple[Score, ...], bool]]:
        """Pages of what leaderboard shard number `leaderboard` wants; False with those that are not complete yet.

        O(users). Raises StorageError.
        """
        is_behind = self._compiled().catalog.version < want.catalog
        last, seen = 0, set[int]()
        reading = self._read(0)
        try:
            while page := await reading:
                started = time.monotonic()
                reading = self._read(page[-1][0])  # while this one is gone through
                found = _Found(self._compiled(), self._leaderboards, leaderboard, want)
                applied = self._go_through(page, found, seen)
                took_s = time.monotonic() - started
                await self._committer.wait(applied)
                yield tuple(found.scores), found.is_complete and not is_behind
                last = page[-1][0]
                await asyncio.sleep(PAUSE_RATIO * took_s)
        finally:
            reading.cancel()
        found, applied = _Found(self._compiled(), self._leaderboards, leaderboard, want), 0
        for resident in self._residents.unsaved_beyond(last, seen):
            applied = max(applied, resident.applied)
            found.add(resident.key, resident.id, resident.user, resident.applied)
        await self._committer.wait(applied)
        yield tuple(found.scores), found.is_complete and not is_behind

    def _read(self, after: int) -> "asyncio.Task[list[tuple[int, StoredUser | Corrupt]]]":
        return asyncio.create_task(self._state.scan_users(after, PAGE_USERS))

    def _go_through(self, page: list[tuple[int, StoredUser | Corrupt]], found: "_Found", seen: set[int]) -> int:
        """Find what there is to be said of the users of a page; returns the number of the last command in that."""
        applied, deleted, filling = 0, self._residents.deleted_ids(), self._compiled().boards.filling
        for id_, stored in page:
            unsaved = self._residents.find_unsaved(id_)
            if unsaved is not None:
                seen.add(id_)
                applied = max(applied, unsaved.applied)
                found.add(unsaved.key, id_, unsaved.user, unsaved.applied)
            elif id_ not in deleted and not isinstance(stored, Corrupt):
                user = _decode(stored.snapshot, filling)
                if user is not None:
                    found.add(stored.key, id_, user, stored.applied)
        return applied


class _Found:
    """The scores of a page."""

    def __init__(self, compiled: CompiledCatalog, leaderboards: int, leaderboard: int, want: Want) -> None:
        self._compiled = compiled
        self._leaderboards = leaderboards
        self._leaderboard = leaderboard
        self._boards = None if want.boards is None else set(want.boards)
        self.scores: list[Score] = []
        self.is_complete = True

    def add(self, key: UserKey, id_: int, user: User, version: int) -> None:
        """What is to be said of one user."""
        for board in boards_to_fill(user, self._compiled):
            if self._boards is None or board.definition.number in self._boards:
                self.is_complete = False
        for each in all_scores(user, self._compiled):
            number = each.board.definition.number
            is_wanted = self._boards is None or number in self._boards
            if is_wanted and each.value is not None and self._owner(number, each.run) == self._leaderboard:
                self.scores.append(make_score(each, key, id_, user, version))

    def _owner(self, board: int, run: int) -> int:
        return board_shard_of(board, run, self._leaderboards)


def _decode(snapshot: bytes, filling: int) -> User | None:
    """A user with all that is needed here; None for one who cannot be read."""
    with contextlib.suppress(*UNDECODABLE):
        user = glimpse_at_standings(snapshot)
        if user.filled >= filling:
            return user
    with contextlib.suppress(*UNDECODABLE):
        return decode_user(snapshot)
    return None
