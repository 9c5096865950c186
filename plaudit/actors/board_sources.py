"""Which user shards have said how all their users stand, and who is asked for what is missing."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from plaudit.actors.board_messages import FromBoard, Want

NEVER_ASKED = 0


class Way(Protocol):
    """A connection to a user shard."""

    def send(self, message: FromBoard) -> None:
        """Send a message; dropped if the connection has ended."""

    def abort(self) -> None:
        """End the connection: nothing that comes on it counts any more."""


@dataclass(slots=True)
class _Source:
    """One user shard, as far as this leaderboard shard knows it."""

    lacking: dict[int, int] = field(default_factory=dict)
    """Boards whose scores are not all in, and the stream that will bring them; NEVER_ASKED if none will."""
    through: int | None = None
    """All that its commands up to this number have changed is known, but for what is lacking; None: nothing is."""
    way: Way | None = None
    """None while it is not connected."""


class Sources:
    """Asks user shards for what is missing, until nothing is.

    Guarantees: a board is in exactly when every user shard has said how all its users stood there at some moment, and
    everything that has changed from then on has come, or will before anything of a later time does.
    """

    def __init__(self, user_shards: int, again_s: float, changed: Callable[[], None]) -> None:
        self._sources = [_Source() for _ in range(user_shards)]
        self._again_s = again_s
        self._changed = changed
        self._boards: set[int] = set()
        self._version = 0
        self._last_stream = NEVER_ASKED
        self._missing: set[int] = set()
        """Boards that any shard lacks."""
        self._waits: set[asyncio.TimerHandle] = set()

    def adopt(self, boards: Iterable[int], anew: Iterable[int], version: int) -> None:
        """Want these boards, of this version of the catalog; of those that are to come anew, everything."""
        self._boards, self._version = set(boards), version
        for source in self._sources:
            source.lacking = {board: stream for board, stream in source.lacking.items() if board in self._boards}
            self._want(source, anew)
        self._note()

    def is_in(self, board: int) -> bool:
        """True if nothing is missing of a board that is wanted."""
        return board in self._boards and board not in self._missing

    @property
    def are_in(self) -> bool:
        """True if nothing is missing."""
        return not self._missing

    def has_gap(self, shard: int, covers_from: int) -> bool:
        """True if a shard that will publish from here on has changed something before that is not known.

        Raises ValueError for a shard that does not exist.
        """
        if not 0 <= shard < len(self._sources):
            raise ValueError(f"user shard {shard} of {len(self._sources)}")
        through = self._sources[shard].through
        return through is None or through < covers_from

    def connect(self, shard: int, covers_from: int, way: Way) -> None:
        """Ask a shard that has connected for what is missing: for everything, if there is a gap.

        A connection that it had before is ended.
        """
        source, has_gap = self._sources[shard], self.has_gap(shard, covers_from)
        if source.way is not None:
            source.way.abort()
        source.way = way
        if has_gap:
            source.through = covers_from
        self._want(source, self._boards if has_gap else list(source.lacking))
        self._note()

    def disconnect(self, shard: int, way: Way) -> None:
        """What it has said stays. Does nothing if it has another connection by now."""
        if self._sources[shard].way is way:
            self._sources[shard].way = None

    def note_through(self, shard: int, through: int) -> None:
        """A shard has published what its commands up to this number have changed."""
        source = self._sources[shard]
        source.through = max(through, source.through or 0)

    def end_stream(self, shard: int, stream: int, *, is_complete: bool) -> None:
        """The last page of a stream is in. If the shard could not be complete, it is asked again after a while."""
        source = self._sources[shard]
        boards = [board for board, bringing in source.lacking.items() if bringing == stream]
        if is_complete:
            for board in boards:
                del source.lacking[board]
            self._note()
        elif boards:
            self._ask_later(source, stream)

    def close(self) -> None:
        """Ask for nothing any more."""
        for wait in self._waits:
            wait.cancel()
        self._waits.clear()

    def _ask_later(self, source: _Source, stream: int) -> None:
        def ask() -> None:
            self._waits.discard(wait)
            self._want(source, [board for board, bringing in source.lacking.items() if bringing == stream])

        wait = asyncio.get_running_loop().call_later(self._again_s, ask)
        self._waits.add(wait)

    def _want(self, source: _Source, boards: Iterable[int]) -> None:
        """Miss these boards of a shard, and ask for them if it is connected."""
        wanted = sorted(boards)
        if not wanted:
            return
        if source.way is None:
            source.lacking |= dict.fromkeys(wanted, NEVER_ASKED)
            return
        self._last_stream += 1
        source.lacking |= dict.fromkeys(wanted, self._last_stream)
        is_all = len(wanted) == len(self._boards)
        source.way.send(Want(self._last_stream, None if is_all else tuple(wanted), self._version))

    def _note(self) -> None:
        missing = {board for source in self._sources for board in source.lacking}
        is_change = missing != self._missing
        self._missing = missing
        if is_change:
            self._changed()
