"""When leaderboards begin, begin anew and end (reference: Leaderboards 1-3, 6; Q-49, Q-53).

A run is a range of calendar days, known by its first. Each user is in it on these days where the user is: so it begins
when the day does in UTC+14, and is over for everybody when it is in UTC-12.
"""

from calendar import monthrange
from datetime import MAXYEAR, date
from typing import Literal

from msgspec import Struct

from plaudit.engine.catalog import Leaderboard

DAY_MS = 86_400_000
_EPOCH_DAY = 719_163
"""1970-01-01 as a proleptic ordinal."""
_EAST_MS = 14 * 3_600_000
_WEST_MS = 12 * 3_600_000
SHORT_DAYS = 3
_LAST_DAY = date.max.toordinal()

BoardStatus = Literal["scheduled", "active", "finished"]


class Run(Struct, frozen=True, array_like=True):
    """Days, both included, as ordinals. Without a last one it does not end."""

    first_day: int
    last_day: int | None


def run_on(board: Leaderboard, day: int) -> Run | None:
    """The run that a day is in; None before the board's start or after its end. O(1)."""
    if day < board.start_day or (board.end_day is not None and day > board.end_day):
        return None
    if board.run_unit is None:
        return Run(board.start_day, board.end_day)
    number = _run_number(board, day)
    last = _run_start(board, number + 1) - 1
    return Run(_run_start(board, number), last if board.end_day is None else min(last, board.end_day))


def is_short(board: Leaderboard) -> bool:
    """True if its runs may end before the one before the last is final."""
    return board.run_unit == "day" and board.run_interval < SHORT_DAYS


def status_at(board: Leaderboard, now_ms: int) -> BoardStatus:
    """What a board that is not inactive is: by the first place on Earth where it begins, and the last where it ends."""
    if now_ms < begin_ms(board.start_day):
        return "scheduled"
    return "finished" if board.end_day is not None and now_ms >= final_ms(board.end_day) else "active"


def is_ranked(board: Leaderboard, run: Run) -> bool:
    """True if the board counted before the run was over: else nobody can say who was where."""
    return run.last_day is None or final_ms(run.last_day) > board.counting_ms


def begin_ms(day: int) -> int:
    """When a day begins on Earth."""
    return _utc_ms(day) - _EAST_MS


def final_ms(last_day: int) -> int:
    """When a day is over everywhere, 12 hours after its end in UTC: nothing of a run that ends with it changes then."""
    return _utc_ms(last_day + 1) + _WEST_MS


def reset_ms(run: Run) -> int | None:
    """When a run ends in UTC, and the next begins; None if it does not."""
    return None if run.last_day is None else _utc_ms(run.last_day + 1)


def utc_day(now_ms: int) -> int:
    """The day that it is in UTC, as an ordinal."""
    return now_ms // DAY_MS + _EPOCH_DAY


def midnight_utc_ms(day: int) -> int:
    """When a day begins in UTC."""
    return _utc_ms(day)


def _utc_ms(day: int) -> int:
    return (day - _EPOCH_DAY) * DAY_MS


def _run_number(board: Leaderboard, day: int) -> int:
    """How many runs came before the one that a day (not before the start) is in."""
    if board.run_unit == "day":
        return (day - board.start_day) // board.run_interval
    months = _months(date.fromordinal(day)) - _months(date.fromordinal(board.start_day))
    number = months // _interval_months(board)
    return number if _run_start(board, number) <= day else number - 1


def _run_start(board: Leaderboard, number: int) -> int:
    """The first day of a run. One that its month does not have becomes the month's last; the next is not moved."""
    if board.run_unit == "day":
        return board.start_day + number * board.run_interval
    start = date.fromordinal(board.start_day)
    year, month = divmod(_months(start) + number * _interval_months(board), 12)
    if year > MAXYEAR:
        return _LAST_DAY + 1
    return date(year, month + 1, min(start.day, monthrange(year, month + 1)[1])).toordinal()


def _interval_months(board: Leaderboard) -> int:
    return board.run_interval * (12 if board.run_unit == "year" else 1)


def _months(day: date) -> int:
    return 12 * day.year + day.month - 1
