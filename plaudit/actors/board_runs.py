"""All runs of a leaderboard shard, in memory: who is where, as far as the user shards have said."""

import asyncio
import contextlib
from collections.abc import Iterable
from dataclasses import dataclass

from plaudit.actors.board_messages import Place, Publish, Score
from plaudit.actors.board_routing import board_shard_of
from plaudit.actors.board_sources import Sources, Way
from plaudit.actors.clock import Stamp
from plaudit.actors.rank_index import pack_seat
from plaudit.actors.run_ranking import RunRanking
from plaudit.engine.amounts import UNIT
from plaudit.engine.catalog import Catalog, Leaderboard
from plaudit.engine.runs import is_ranked, run_on, utc_day
from plaudit.storage.board_snapshots import RunKey


@dataclass(slots=True, eq=False)
class LiveRun:
    """A run that somebody has scored in and that is not final."""

    key: RunKey
    last_day: int | None
    ranking: RunRanking
    is_caught_up: bool = False
    """What was to be written down of it before it may be read has been."""
    begun_day: int | None = None
    """The date in UTC on which the first one scored in it; None if that was before all users were in."""
    next_day: int | None = None
    """The date in UTC (an ordinal) of the next snapshot; None if that has still to be found out."""


class BoardRuns:
    """The runs of one leaderboard shard.

    Guarantees: no rank of a run is given before all user shards are in for its board and what was missed of it has been
    written down; nothing of a run is known any more once it is final.
    """

    def __init__(self, index: int, shards: int, user_shards: int, again_s: float, stamp: Stamp) -> None:
        self._index = index
        self._shards = shards
        self._stamp = stamp
        self._boards: dict[int, Leaderboard] = {}
        """The active ones, by number."""
        self._others: set[int] = set()
        """Those that are nowhere to be seen."""
        self._runs: dict[RunKey, LiveRun] = {}
        self._finals: set[RunKey] = set()
        self._known: set[RunKey] = set()
        self.changed = asyncio.Event()
        """Set, and replaced by another, when a run has come, gone, or may have opened; or when the time has moved."""
        self.sources = Sources(user_shards, again_s, self.notify)

    def start(self, catalog: Catalog, finals: Iterable[RunKey], known: Iterable[RunKey] = ()) -> None:
        """Begin with the runs that are final, and those of which snapshots are known: there may be nobody in them."""
        self._finals = set(finals)
        self.adopt(catalog)
        self._known = set(known)
        for key in self._known:
            self._begin(key)

    def adopt(self, catalog: Catalog) -> None:
        """Go by this catalog. Runs of boards that count anew, or not any more, are dropped."""
        boards = {b.number: b for b in catalog.leaderboards if not b.archived and b.status == "active"}
        known, self._boards = self._boards, boards
        self._others = {board.number for board in catalog.leaderboards} - boards.keys()
        anew = {n for n, board in boards.items() if n not in known or known[n].filling != board.filling}
        for run in list(self._runs.values()):
            board = boards.get(run.key[0])
            found = None if board is None else run_on(board, run.key[1])
            if board is None or board.number in anew or found is None or found.first_day != run.key[1]:
                self._known.add(run.key)
                del self._runs[run.key]
            else:
                run.ranking.maximum, run.last_day = board.max_participants, found.last_day
        self.sources.adopt(boards, anew, catalog.version)
        for key in sorted(self._known):
            if key[0] in anew and key not in self._runs:
                self._begin(key)
        self.notify()

    def greet(self, shard: int, covers_from: int, way: Way) -> None:
        """A user shard has connected, and will publish what its commands after this number change.

        What is known of it is kept if nothing is missing, and else dropped and asked for anew. Raises ValueError for a
        shard that does not exist.
        """
        if self.sources.has_gap(shard, covers_from):
            for run in self._runs.values():
                run.ranking.forget_shard(shard)
                run.is_caught_up = False
        self.sources.connect(shard, covers_from, way)

    def publish(self, shard: int, message: Publish) -> tuple[Place | None, ...]:
        """Apply what a user shard has published, and say the places that it asks for. O(log n) for each score.

        Raises ValueError for a position that there is not.
        """
        asked = set(message.asked)
        if not asked <= set(range(len(message.scores))):
            raise ValueError(f"a place is asked for that none of {len(message.scores)} scores has")
        places: dict[int, Place | None] = {}
        for position, score in enumerate(message.scores):
            run = self._run_of(score)
            if position in asked:
                places[position] = self._place(run, shard, score)
            elif run is not None:
                run.ranking.apply(shard, score)
        self.sources.note_through(shard, message.through)
        return tuple(places[position] for position in message.asked)

    def apply(self, shard: int, scores: Iterable[Score]) -> None:
        """Apply scores, of any time and in any order. O(log n) for each."""
        for score in scores:
            run = self._run_of(score)
            if run is not None:
                run.ranking.apply(shard, score)

    def runs(self) -> list[LiveRun]:
        """Those that somebody has scored in and that are not final, in the order of their boards and days."""
        return [self._runs[key] for key in sorted(self._runs)]

    def find(self, key: RunKey) -> LiveRun | None:
        """The run, if anybody has scored in it and it is not final."""
        return self._runs.get(key)

    def board(self, number: int) -> Leaderboard | None:
        """An active board."""
        return self._boards.get(number)

    def is_final(self, key: RunKey) -> bool:
        """True if its final ranking is in the store."""
        return key in self._finals

    def is_open(self, key: RunKey) -> bool:
        """True if there is a right answer to whatever is asked of the run now: it may be that nobody is in it."""
        if key in self._finals or key[0] in self._others:
            return True
        run = self._runs.get(key)
        return self.sources.is_in(key[0]) and (run is None or run.is_caught_up)

    async def wait_open(self, key: RunKey, timeout_s: float) -> bool:
        """Return True when the run is open, False if it is not in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not self.is_open(key):
                    await self.changed.wait()
        return self.is_open(key)

    def finish(self, run: LiveRun) -> None:
        """Drop a run whose final ranking is durable."""
        self._finals.add(run.key)
        if self._runs.get(run.key) is run:
            del self._runs[run.key]
        self.notify()

    def catch_up(self, run: LiveRun) -> None:
        """Say that nothing of a run is left to be written down."""
        run.is_caught_up = True
        self.notify()

    def notify(self) -> None:
        """Wake whoever waits for a change."""
        self.changed.set()
        self.changed = asyncio.Event()

    def _place(self, run: LiveRun | None, shard: int, score: Score) -> Place | None:
        if run is None:
            return None
        ranking = run.ranking
        if not self.is_open(run.key):
            ranking.apply(shard, score)
            return None
        seat = pack_seat(shard, score.member)
        previous, _ = ranking.place(seat)
        ranking.apply(shard, score)
        rank, _ = ranking.place(seat)
        return Place(rank, previous, ranking.threshold(score.group))

    def _run_of(self, score: Score) -> LiveRun | None:
        key = (score.board, score.run)
        return self._runs.get(key) or self._begin(key)

    def _begin(self, key: RunKey) -> LiveRun | None:
        """A run that nobody has scored in so far; None if it is final, or is not one of this shard's."""
        board = self._boards.get(key[0])
        if board is None or key in self._finals or board_shard_of(*key, self._shards) != self._index:
            return None
        found = run_on(board, key[1])
        if found is None or found.first_day != key[1] or not is_ranked(board, found):
            return None
        run = LiveRun(key, found.last_day, RunRanking(board.max_participants, unit_of(board)))
        if self.sources.is_in(board.number):
            run.is_caught_up = True
            run.begun_day = utc_day(self._stamp.now_ms())
        self._runs[key] = run
        self.notify()
        return run


def unit_of(board: Leaderboard) -> int:
    """What the board's values are counted in: metrics are amounts, all else is whole numbers."""
    return UNIT if board.rank_by == "metric" else 1
