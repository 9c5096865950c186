"""What is wrong with the leaderboards of a document (reference: Leaderboards 1, 5, 7)."""

from collections import Counter
from collections.abc import Iterator

from plaudit.engine.document import Document, LeaderboardEntry
from plaudit.engine.document_checks import Keys, Problem, check_filters, check_reference, find_duplicates
from plaudit.engine.times import parse_time


def find_board_problems(document: Document, keys: Keys) -> Iterator[Problem]:
    """Duplicates, unknown references, what is missing or belongs to another kind, days and times that mean nothing."""
    yield from find_duplicates("[[leaderboards]]", (board.key for board in document.leaderboards))
    for board in document.leaderboards:
        place = f'[[leaderboards]] "{board.key}"'
        yield from _ranking_problems(place, board, keys)
        yield from _day_problems(place, board)
        yield from _time_problems(place, board)
        yield from _participant_problems(place, board, keys)


def _ranking_problems(place: str, board: LeaderboardEntry, keys: Keys) -> Iterator[Problem]:
    for field in ("metric", "points"):
        is_there = getattr(board, field) is not None
        if is_there != (board.rank_by == field):
            expected = "expected none" if is_there else "expected"
            yield Problem(place, field, f"{expected}, since it ranks by {board.rank_by}")
    yield from check_reference(place, "metric", "a metric", board.metric, keys.metrics)
    yield from check_reference(place, "points", "a points system", board.points, keys.points)


def _day_problems(place: str, board: LeaderboardEntry) -> Iterator[Problem]:
    if board.start is not None and board.end is not None and board.end < board.start:
        yield Problem(place, "end", f"expected a date that is not before start ({board.start})")
    if board.run_interval is not None and board.run_unit is None:
        yield Problem(place, "run_interval", "expected with run_unit only")
    if board.run_unit is not None and board.rank_by == "streak":
        yield Problem(place, "run_unit", "expected none, since a leaderboard of streaks does not begin anew")


def _time_problems(place: str, board: LeaderboardEntry) -> Iterator[Problem]:
    times: list[int] = []
    for field, text in (("start_time", board.start_time), ("end_time", board.end_time)):
        if text is None:
            continue
        time_s = parse_time(text)
        if board.rank_by == "streak":
            yield Problem(place, field, "expected none, since a streak is of whole days")
        elif time_s is None:
            yield Problem(place, field, f'expected a time of day such as "09:00" or "21:30:00", got "{text}"')
        else:
            times.append(time_s)
    if len(times) == 2 and times[0] == times[1]:  # noqa: PLR2004 (both)
        yield Problem(place, "end_time", "expected a time other than start_time: nothing is between them")


def _participant_problems(place: str, board: LeaderboardEntry, keys: Keys) -> Iterator[Problem]:
    for key, count in Counter(board.breakdown_attributes).items():
        yield from check_reference(place, "breakdown_attributes", "a user attribute", key, keys.user_attributes)
        if count > 1:
            yield Problem(place, "breakdown_attributes", f'expected each attribute once, got "{key}" {count} times')
    yield from check_filters(place, board.user_attributes, {}, keys)
