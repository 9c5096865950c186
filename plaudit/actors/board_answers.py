"""Answers what gateways ask a leaderboard shard: who is where, and where somebody has been."""

import logging
import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

from plaudit.actors.board_runs import BoardRuns
from plaudit.actors.clock import Stamp
from plaudit.actors.final_rankings import FinalRankings
from plaudit.actors.formats import format_day, format_instant
from plaudit.actors.messages import Reply
from plaudit.actors.replies import INTERNAL_ERROR
from plaudit.actors.wire import ErrorResponse, LeaderboardDay, PlaceResponse, Ranking
from plaudit.engine.commands import Command, ReadPlace, ReadRankings
from plaudit.engine.runs import begin_ms, final_ms, midnight_utc_ms, run_on, utc_day
from plaudit.storage.board_snapshots import HistoryDay, RunKey
from plaudit.storage.board_store import BoardStore
from plaudit.storage.errors import StorageError

OPEN_WAIT_S = 10.0
"""How long a question waits for a run whose ranks cannot be given yet."""

LOG = logging.getLogger(__name__)

_encoder = msgspec.json.Encoder()

NOT_OPEN = Reply(
    503, _encoder.encode(ErrorResponse("the leaderboard is still being restored; try again in some seconds"))
)


class BoardAnswers:
    """The replies to `ReadRankings` and `ReadPlace`.

    Guarantees: what has been answered was right at one moment after the question had come; of a run that is final,
    everything comes from the store. Raises StorageError, sqlite3.Error or OSError: then nothing can be said any more.
    """

    def __init__(self, runs: BoardRuns, store: BoardStore, stamp: Stamp, wait_s: float = OPEN_WAIT_S) -> None:
        self._runs = runs
        self._store = store
        self._finals = FinalRankings(store)
        self._stamp = stamp
        self._wait_s = wait_s

    async def answer(self, command: Command) -> Reply:
        """The reply to a command. What is not for a leaderboard shard, or fails, is a bug: 500."""
        try:
            if isinstance(command, ReadRankings):
                return await self._rankings(command)
            if isinstance(command, ReadPlace):
                return await self._place(command)
        except (StorageError, sqlite3.Error, OSError):
            raise
        except Exception:  # a bug: its command fails alone
            LOG.exception("%r raised", command)
            return INTERNAL_ERROR
        LOG.error("a leaderboard shard was asked %r", type(command).__name__)
        return INTERNAL_ERROR

    async def _rankings(self, command: ReadRankings) -> Reply:
        key = (command.board, command.run)
        if not await self._runs.wait_open(key, self._wait_s):
            return NOT_OPEN
        if not self._runs.is_final(key):
            run = self._runs.find(key)
            lines = run.ranking.read(command.group, command.offset, command.limit, command.seat) if run else []
        else:
            board = self._runs.board(command.board)
            lines = await self._finals.read(command, board.max_participants if board else None)
        return _reply([Ranking(line.user_id, line.name, line.rank, line.value) for line in lines])

    async def _place(self, command: ReadPlace) -> Reply:
        key, seat, days = (command.board, command.run), command.seat, command.days
        if not await self._runs.wait_open(key, self._wait_s):
            return NOT_OPEN
        today = utc_day(self._stamp.now_ms())
        if self._runs.is_final(key):
            final = await self._store.find_final(*key, seat)
            known = await self._store.load_history(*key, seat, today, days + 1)
            rank, value = (final.rank, final.value) if final else (None, None)
            is_live = False
        else:
            run = self._runs.find(key)
            rank, value = run.ranking.place(seat) if run else (None, None)
            known = await self._store.load_history(*key, seat, today - 1, days + 1)
            is_live = self._is_live(key)
            if is_live:
                known.append(HistoryDay(today, rank, value))
        return _reply(PlaceResponse(rank, value, _history(known, days, is_live=is_live)))

    def _is_live(self, key: RunKey) -> bool:
        """True if a run of an active board has begun and is not over, whether or not anybody has scored in it."""
        board = self._runs.board(key[0])
        run = run_on(board, key[1]) if board else None
        now_ms = self._stamp.now_ms()
        if run is None or run.first_day != key[1] or now_ms < begin_ms(run.first_day):
            return False
        return run.last_day is None or now_ms < final_ms(run.last_day)


def _history(known: Sequence[HistoryDay], days: int, *, is_live: bool) -> list[LeaderboardDay]:
    """The last `days` of what is known, ascending, each with the one before it.

    The days before the first on which the user was on the board say nothing, and are left out; today, if it is the
    last, stays.
    """
    pairs = list(zip([HistoryDay(0, None, None), *known], known, strict=False))[-days:] if days else []
    end = len(pairs) - 1 if is_live else len(pairs)
    first = next((n for n, (before, day) in enumerate(pairs) if before.rank or day.rank), end)
    return [_day(before, day) for before, day in pairs[min(first, max(end, 0)) :]]


def _day(before: HistoryDay, day: HistoryDay) -> LeaderboardDay:
    timestamp = format_instant(midnight_utc_ms(day.day))
    return LeaderboardDay(format_day(day.day), timestamp, before.rank, day.rank, before.value, day.value)


def _reply(content: Iterable[Ranking] | PlaceResponse) -> Reply:
    return Reply(200, _encoder.encode(content))
