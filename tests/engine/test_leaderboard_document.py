"""Leaderboards in a document: what they may say, what is wrong with them, and the items that they become."""

from datetime import date
from typing import Any

import msgspec
import pytest

from plaudit.engine.catalog import AttributeValue
from plaudit.engine.document import Document, LeaderboardEntry
from plaudit.engine.items import to_leaderboard
from plaudit.engine.problems import find_problems
from plaudit.engine.times import format_time, parse_time
from tests.engine.builders import day, document, instant, system, trigger

WORDS: dict[str, Any] = {"key": "top", "name": "Top", "rank_by": "metric", "metric": "words"}
XP: dict[str, Any] = {"key": "top", "name": "Top", "rank_by": "points", "points": "xp"}
STREAKS: dict[str, Any] = {"key": "top", "name": "Top", "rank_by": "streak"}
NOON = instant("2026-03-02T12:00")


def read(*boards: dict[str, Any]) -> Document:
    """A document with these leaderboards, as a file is read; it has the points system xp and some attributes."""
    return msgspec.structs.replace(
        document(points=(system(trigger(1, 1)),), user_attributes=("plan", "city"), event_attributes=("mood", "plan")),
        leaderboards=msgspec.convert(boards, type=tuple[LeaderboardEntry, ...]),
    )


def problems(*boards: dict[str, Any]) -> list[str]:
    return [str(problem).removeprefix('[[leaderboards]] "top" ') for problem in find_problems(read(*boards))]


def entry(**fields: Any) -> LeaderboardEntry:
    return read(fields).leaderboards[0]


@pytest.mark.parametrize("board", [WORDS, XP, STREAKS], ids=lambda board: board["rank_by"])
def test_a10_1_there_are_three_kinds(board: dict[str, Any]) -> None:
    assert problems(board) == []


@pytest.mark.parametrize(
    "more",
    [
        {"description": "All of it.", "status": "inactive", "max_participants": 1},
        {"max_participants": 1_000_000},
        {"start": date(2026, 3, 2), "end": date(2026, 3, 2)},
        {"end": date(2020, 1, 1)},
        {"run_unit": "day", "run_interval": 7},
        {"run_unit": "month"},
        {"run_unit": "year", "run_interval": 2, "end": date(2030, 1, 1)},
        {"start_time": "09:00"},
        {"start_time": "00:00", "end_time": "23:59:59"},
        {"start_time": "22:00", "end_time": "06:00"},
        {"breakdown_attributes": ["plan", "city"], "user_attributes": {"plan": "pro"}},
    ],
)
def test_what_a_leaderboard_may_say(more: dict[str, Any]) -> None:
    assert problems(WORDS | more) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"key": "two words"},
        {"name": ""},
        {"rank_by": "luck"},
        {"status": "finished"},
        {"description": "x" * 2001},
        {"max_participants": 0},
        {"max_participants": 1.5},
        {"run_unit": "week"},
        {"run_unit": "day", "run_interval": 0},
        {"start": "tomorrow"},
        {"breakdown_attributes": "plan"},
        {"user_attributes": {"plan": 1}},
        {"colour": "red"},
    ],
)
def test_values_out_of_bounds_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        read(WORDS | changed)


@pytest.mark.parametrize("field", ["key", "name", "rank_by"])
def test_key_name_and_kind_are_required(field: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=f"missing required field `{field}`"):
        read({name: value for name, value in WORDS.items() if name != field})


@pytest.mark.parametrize(
    ("board", "problem"),
    [
        (WORDS | {"metric": "wrds"}, 'metric: expected the key of a metric (pages, steps, words), got "wrds"'),
        (WORDS | {"metric": None}, "metric: expected, since it ranks by metric"),
        (WORDS | {"points": "xp"}, "points: expected none, since it ranks by metric"),
        (XP | {"points": "gems"}, 'points: expected the key of a points system (xp), got "gems"'),
        (XP | {"points": None}, "points: expected, since it ranks by points"),
        (XP | {"metric": "words"}, "metric: expected none, since it ranks by points"),
        (STREAKS | {"metric": "words"}, "metric: expected none, since it ranks by streak"),
        (STREAKS | {"points": "xp"}, "points: expected none, since it ranks by streak"),
        (
            STREAKS | {"run_unit": "day", "run_interval": 7},
            "run_unit: expected none, since a leaderboard of streaks does not begin anew",
        ),
        (STREAKS | {"start_time": "09:00"}, "start_time: expected none, since a streak is of whole days"),
        (STREAKS | {"end_time": "09:00"}, "end_time: expected none, since a streak is of whole days"),
        (
            WORDS | {"start": date(2026, 3, 2), "end": date(2026, 3, 1)},
            "end: expected a date that is not before start (2026-03-02)",
        ),
        (WORDS | {"run_interval": 2}, "run_interval: expected with run_unit only"),
        (
            WORDS | {"start_time": "09:00", "end_time": "09:00:00"},
            "end_time: expected a time other than start_time: nothing is between them",
        ),
        (
            WORDS | {"breakdown_attributes": ["plan", "plan"]},
            'breakdown_attributes: expected each attribute once, got "plan" 2 times',
        ),
        (
            WORDS | {"breakdown_attributes": ["mood"]},
            'breakdown_attributes: expected the key of a user attribute (city, plan), got "mood"',
        ),
        (
            WORDS | {"user_attributes": {"mood": "good"}},
            'user_attributes: expected the key of a user attribute (city, plan), got "mood"',
        ),
    ],
)
def test_a10_a_leaderboard_that_makes_no_sense_is_a_problem(board: dict[str, Any], problem: str) -> None:
    assert problems(board) == [problem]


@pytest.mark.parametrize("time", ["", "9:00", "24:00", "09:60", "09:00:60", "09:00:00.5", "noon", "09:00\n"])
def test_a10_7_a_time_of_day_has_hours_and_minutes(time: str) -> None:
    assert problems(WORDS | {"start_time": time}) == [
        f'start_time: expected a time of day such as "09:00" or "21:30:00", got "{time}"'
    ]


def test_a_key_is_used_once() -> None:
    assert problems(WORDS, XP) == ["key: expected a key of its own, got one that is used 2 times"]


def test_every_problem_is_found_at_once() -> None:
    board = WORDS | {"metric": None, "run_interval": 2, "end_time": "x", "breakdown_attributes": ["mood", "mood"]}
    assert [problem.partition(":")[0] for problem in problems(board)] == [
        "metric",
        "run_interval",
        "end_time",
        "breakdown_attributes",
        "breakdown_attributes",
    ]


def test_an_entry_becomes_an_item() -> None:
    board = to_leaderboard(
        entry(
            **WORDS,
            description="All of it.",
            status="inactive",
            max_participants=5,
            start=date(2026, 3, 1),
            end=date(2026, 3, 31),
            start_time="09:00",
            end_time="21:30:05",
            run_unit="day",
            run_interval=7,
            breakdown_attributes=["plan", "city"],
            user_attributes={"plan": "pro", "city": "Oslo"},
        ),
        NOON,
    )
    assert (board.number, board.key, board.name, board.description) == (0, "top", "Top", "All of it.")
    assert (board.rank_by, board.metric, board.points_system, board.status) == ("metric", "words", None, "inactive")
    assert (board.start_day, board.end_day) == (day("2026-03-01"), day("2026-03-31"))
    assert (board.start_time_s, board.end_time_s) == (9 * 3600, 21 * 3600 + 30 * 60 + 5)
    assert (board.run_unit, board.run_interval, board.max_participants) == ("day", 7, 5)
    assert board.breakdown_attributes == ("plan", "city")
    assert board.user_attributes == (AttributeValue("city", "Oslo"), AttributeValue("plan", "pro"))
    assert (board.is_all_time, board.filling, board.archived) == (False, 0, False)
    assert (board.created_ms, board.updated_ms) == (NOON, NOON)


def test_what_an_entry_does_not_say() -> None:
    board = to_leaderboard(entry(**XP, run_unit="month"), NOON)
    assert (board.rank_by, board.metric, board.points_system, board.status) == ("points", None, "xp", "active")
    assert (board.max_participants, board.end_day, board.start_time_s, board.end_time_s) == (None, None, None, None)
    assert (board.run_unit, board.run_interval) == ("month", 1)
    assert (board.breakdown_attributes, board.user_attributes) == ((), ())


@pytest.mark.parametrize(("now", "today"), [("2026-03-02T00:00", "2026-03-02"), ("2026-03-01T23:59", "2026-03-01")])
def test_a10_5_without_a_start_it_begins_today_in_utc(now: str, today: str) -> None:
    assert to_leaderboard(entry(**STREAKS), instant(now)).start_day == day(today)
    assert to_leaderboard(entry(**STREAKS, end=date(2026, 2, 1)), instant(now)).start_day == day("2026-02-01")


def test_the_id_depends_on_the_key_alone() -> None:
    first, second = to_leaderboard(entry(**XP), 0), to_leaderboard(entry(**WORDS), NOON)
    assert first.id == second.id
    assert to_leaderboard(entry(**XP | {"key": "other"}), 0).id != first.id


@pytest.mark.parametrize(("time", "time_s"), [("00:00", 0), ("09:05", 32_700), ("23:59:59", 86_399)])
def test_a_time_is_written_as_it_was(time: str, time_s: int) -> None:
    assert (parse_time(time), format_time(time_s)) == (time_s, time)
