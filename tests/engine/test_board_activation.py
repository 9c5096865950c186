"""What the catalog remembers of leaderboards, and what those get that become active when users are there already."""

from datetime import date
from typing import Any

import pytest
from msgspec.structs import replace

from plaudit.engine.amounts import UNIT
from plaudit.engine.catalog import Catalog, Leaderboard
from plaudit.engine.catching_up import needs_history
from plaudit.engine.compiling import compile_catalog
from plaudit.engine.deadlines import AT_ONCE, next_deadline
from plaudit.engine.document import LeaderboardEntry, StreakEntry
from plaudit.engine.elapse import elapse
from plaudit.engine.revision import next_version, revise
from plaudit.engine.settings import StreakSettingsPatch, change_streaks
from plaudit.engine.standings import all_scores
from tests.engine.builders import day, instant, streak, system, trigger
from tests.engine.contestants import Contestant, contest, ranking, with_boards

NOW = "2024-03-04T12:00"
MEANWHILE = "2024-03-05T13:00"
"""In the run of NOW."""
LATER = "2024-03-14T12:00"
WEEKLY: dict[str, Any] = {"start": "2024-03-04", "run_unit": "day", "run_interval": 7}


def made(*boards: LeaderboardEntry, before: Catalog | None = None, at: str = NOW, **more: Any) -> Catalog:
    return revise(before or Catalog(), with_boards(*boards, **more), instant(at))


def only(catalog: Catalog) -> Leaderboard:
    [board] = catalog.leaderboards
    return board


# The catalog


def test_a10_5_without_a_start_it_begins_today_in_utc_and_that_stays() -> None:
    first = made(ranking(), at="2024-03-04T23:59")
    assert date.fromordinal(only(first).start_day) == date(2024, 3, 4)
    assert made(ranking(), before=first, at=LATER) == first
    changed = made(ranking(max_participants=3), before=first, at=LATER)
    assert (only(changed).start_day, only(changed).max_participants) == (only(first).start_day, 3)
    given = made(ranking(start="2024-03-10"), before=first, at=LATER)
    assert date.fromordinal(only(given).start_day) == date(2024, 3, 10)


def test_a10_5_without_a_start_it_begins_on_the_day_on_which_it_becomes_active() -> None:
    off = made(ranking(status="inactive"))
    on = made(ranking(), before=off, at=LATER)
    assert date.fromordinal(only(on).start_day) == date(2024, 3, 14)
    off_again = made(ranking(status="inactive"), before=on, at="2024-04-01T00:00")
    assert only(off_again).start_day == only(on).start_day
    assert date.fromordinal(only(made(ranking(), before=off_again, at="2024-04-02T00:00")).start_day) == date(
        2024, 4, 2
    )


@pytest.mark.parametrize(("end", "start"), [("2024-03-01", "2024-03-01"), ("2024-03-04", NOW), ("2024-03-09", NOW)])
def test_a10_5_a_start_that_it_keeps_is_not_after_an_end_that_it_gets(end: str, start: str) -> None:
    ended = made(ranking(end=end), before=made(ranking()), at=LATER)
    board = only(ended)
    assert (board.start_day, board.end_day) == (day(start[:10]), day(end))
    assert (board.filling, board.is_all_time) == (2, False)
    assert made(ranking(end=end), before=ended, at="2024-04-01T00:00") == ended


def test_a10_5_a_board_that_was_away_begins_anew() -> None:
    first = made(ranking())
    gone = made(before=first, at=LATER)
    assert only(gone).archived
    back = made(ranking(), before=gone, at="2024-04-01T00:00")
    assert only(back).number == only(first).number
    assert (only(back).archived, only(back).filling, back.filling) == (False, 3, 3)
    assert date.fromordinal(only(back).start_day) == date(2024, 4, 1)


def test_a10_3_one_that_is_inactive_counts_nothing_and_is_filled_when_it_becomes_active() -> None:
    off = made(ranking(status="inactive"))
    assert (only(off).filling, off.filling) == (0, 0)
    assert not compile_catalog(off).boards.by_number
    on = made(ranking(), before=off, at=LATER)
    assert (only(on).filling, on.filling) == (2, 2)
    again = made(ranking(), before=made(ranking(status="inactive"), before=on, at=LATER), at=LATER)
    assert (only(again).filling, again.filling) == (4, 4)


@pytest.mark.parametrize(
    ("more", "is_all_time"),
    [
        ({}, True),
        ({"start": "2020-01-01"}, True),
        ({"start": "2024-03-04"}, True),
        ({"start": "2024-03-05"}, False),
        ({"end": "2025-01-01"}, False),
        ({"run_unit": "month"}, False),
        ({"start_time": "10:00"}, False),
        ({"end_time": "10:00"}, False),
    ],
)
def test_q52_which_boards_count_everything(more: dict[str, Any], is_all_time: bool) -> None:
    assert only(made(ranking(**more))).is_all_time is is_all_time


def test_q52_one_that_has_begun_since_still_counts_from_its_start() -> None:
    first = made(ranking(start="2024-03-05"))
    changed = made(ranking(start="2024-03-05", description="more"), before=first, at=LATER)
    assert not only(changed).is_all_time
    assert only(changed).filling == 1


@pytest.mark.parametrize(
    "more",
    [
        {"metric": "pages"},
        {"rank_by": "points", "points": "xp"},
        {"rank_by": "streak", "run_unit": None, "run_interval": None},
        {"start": "2024-03-03"},
        {"end": "2024-12-31"},
        {"start_time": "10:00"},
        {"end_time": "10:00"},
        {"run_unit": "month"},
        {"run_interval": 8},
        {"breakdown_attributes": ("city",)},
        {"user_attributes": {"city": "Oslo"}},
    ],
)
def test_a10_4_what_decides_how_users_stand_fills_it_anew(more: dict[str, Any]) -> None:
    there: dict[str, Any] = {"points": (system(trigger(10, 2)),), "user_attributes": ("city",)}
    first = made(ranking(**WEEKLY), **there)
    changed = made(ranking(**(WEEKLY | more)), before=first, **there)
    assert (only(changed).filling, changed.filling) == (2, 2)


@pytest.mark.parametrize(
    "more",
    [
        {"description": "more"},
        {"max_participants": 3},
        {"name": "Another"},
    ],
)
def test_a10_4_what_only_decides_how_it_is_shown_does_not(more: dict[str, Any]) -> None:
    first = made(ranking(**WEEKLY))
    changed = made(replace(ranking(**WEEKLY), **more), before=first)
    assert (changed.version, only(changed).filling, changed.filling) == (2, 1, 1)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"breakdown_attributes": ("city", "team")}, {"breakdown_attributes": ("team", "city")}, 2),
        ({"breakdown_attributes": ("city",)}, {}, 2),
        ({"user_attributes": {"city": "Oslo"}}, {"user_attributes": {"city": "Rome"}}, 2),
        ({"user_attributes": {"city": "Oslo"}}, {}, 2),
        ({"user_attributes": {"city": "a", "team": "b"}}, {"user_attributes": {"team": "b", "city": "a"}}, 1),
    ],
)
def test_a10_9_a10_10_so_do_other_groups_and_other_participants(
    before: dict[str, Any], after: dict[str, Any], expected: int
) -> None:
    there: dict[str, Any] = {"user_attributes": ("city", "team")}
    first = made(ranking(**before), **there)
    changed = made(ranking(**after), before=first, **there)
    assert (only(changed).filling, changed.filling) == (expected, expected)


def test_a10_4_only_the_board_that_has_changed_is_filled_anew() -> None:
    first = made(ranking("one"), ranking("two"))
    changed = made(ranking("one"), ranking("two", metric="pages"), before=first)
    assert [board.filling for board in changed.leaderboards] == [1, 2]


@pytest.mark.parametrize(
    ("board", "gone"),
    [
        (ranking(), {"metrics": ("pages", "steps")}),
        (ranking(rank_by="points", points="xp"), {"points": ()}),
    ],
)
def test_q43_a_board_whose_metric_or_points_are_archived_is_not_there_until_they_are_back(
    board: LeaderboardEntry, gone: dict[str, Any]
) -> None:
    there: dict[str, Any] = {"points": (system(trigger(10, 2, "pages")),)}
    first = made(board, **there)
    second = made(board, before=first, **(there | gone))
    assert not compile_catalog(second).boards.by_number
    assert only(second).filling == 1
    third = made(board, before=second, **there)
    assert (*compile_catalog(third).boards.by_number,) == (1,)
    assert only(third).filling == third.filling == 3


def test_a10_1_another_frequency_fills_boards_of_streaks_anew() -> None:
    first = made(ranking(rank_by="streak"), ranking("words"))
    streaks = change_streaks(first, StreakSettingsPatch(frequency="weekly"), instant(LATER))
    patched = next_version(first, replace(first, streaks=streaks), instant(LATER))
    assert [board.filling for board in patched.leaderboards] == [2, 1]
    by_document = made(ranking(rank_by="streak"), ranking("words"), before=first, streak=streak(words=1))
    assert [board.filling for board in by_document.leaderboards] == [1, 1]


# Those who were there before


def test_those_who_have_done_what_counts_are_due_at_once_and_the_others_are_not() -> None:
    sam, kim = Contestant(contest()).sends(NOW), Contestant(contest()).sends(NOW, 1, "pages")
    for user, expected in ((sam, True), (kim, False)):
        user.adopts(with_boards(ranking(**WEEKLY)), LATER)
        user.waits_until(instant(LATER))
        assert needs_history(user.state, user.catalog) is expected
        assert (next_deadline(user.state, user.catalog) == AT_ONCE) is expected


def test_nothing_counts_before_the_history_has_been_looked_through_and_then_all_does() -> None:
    sam = Contestant(contest()).sends("2024-03-05T12:00", 3)
    sam.adopts(with_boards(ranking(**WEEKLY)), "2024-03-05T13:00").sends("2024-03-05T14:00", 4)
    assert (sam.values(), sam.fed, sam.said) == ({}, [], [])
    sam.is_filled()
    assert sam.values() == {"2024-03-04": 7}
    assert sam.stamps() == {"2024-03-04": (instant("2024-03-05T14:00"), 2)}
    assert len(sam.said) == 1
    assert sam.sends("2024-03-05T15:00", 1).values() == {"2024-03-04": 8}


def test_a_new_user_needs_no_look_at_history() -> None:
    sam = Contestant(contest(ranking())).sends(NOW)
    assert sam.state.filled == 1
    assert sam.stands_anew() == {}


def test_a_board_that_was_inactive_counts_what_was_done_meanwhile() -> None:
    sam = Contestant(contest(ranking(**WEEKLY))).sends("2024-03-05T12:00", 3)
    sam.adopts(with_boards(ranking(**WEEKLY, status="inactive")), "2024-03-05T13:00").sends("2024-03-06T12:00", 4)
    sam.adopts(with_boards(ranking(**WEEKLY)), "2024-03-07T13:00").is_filled()
    assert sam.values() == {"2024-03-04": 7}
    assert sam.sends("2024-03-08T12:00", 1).values() == {"2024-03-04": 8}


def test_only_the_boards_that_are_new_are_filled() -> None:
    sam = Contestant(contest(ranking("one", **WEEKLY))).sends("2024-03-05T12:00", 3)
    stamps = sam.stamps("one")
    sam.adopts(with_boards(ranking("one", **WEEKLY), ranking("two", **WEEKLY)), "2024-03-05T13:00").is_filled()
    assert sam.values("one") == sam.values("two") == {"2024-03-04": 3}
    assert sam.stamps("one") == stamps
    assert [score.board.definition.key for score in sam.said] == ["two"]


def test_a_streak_is_taken_as_it_is_with_when_it_was_extended() -> None:
    sam = Contestant(contest()).sends("2024-03-04T12:00").sends("2024-03-05T12:00").sends("2024-03-05T13:00")
    sam.adopts(with_boards(ranking(rank_by="streak", start="2024-03-01")), "2024-03-05T14:00").is_filled()
    assert sam.values() == {"2024-03-01": 2}
    assert sam.stamps()["2024-03-01"][0] == instant("2024-03-05T12:00")
    assert sam.sends("2024-03-06T12:00").values() == {"2024-03-01": 3}


def test_who_has_no_streak_is_not_filled() -> None:
    sam = Contestant(contest()).sends("2024-03-04T12:00").waits("2024-05-04T12:00")
    sam.adopts(with_boards(ranking(rank_by="streak", start="2024-03-01")), "2024-05-04T13:00")
    assert elapse(sam.state, sam.catalog, instant("2024-05-04T14:00")).user.standings == {}
    assert not needs_history(sam.state, sam.catalog)
    assert sam.sends("2024-05-05T12:00").values() == {"2024-03-01": 1}


# What is left of before


def counts_anew(sam: Contestant, later: str, *boards: LeaderboardEntry, **more: Any) -> Contestant:
    """Nothing is left of what the user had on a board, from the moment on at which this document is in force."""
    sam.adopts(with_boards(*boards, **more), later)
    assert [*all_scores(sam.state, sam.catalog)] == []
    assert not needs_history(sam.state, sam.catalog)
    sam.waits_until(instant(later) + 1)
    assert (sam.state.standings, sam.said) == ({}, [])
    assert sam.state.filled == sam.catalog.catalog.filling
    assert [*all_scores(sam.state, sam.catalog)] == []
    return sam


def test_a10_4_a_board_that_ranks_by_another_metric_keeps_nothing_of_the_old_one() -> None:
    sam = Contestant(contest(ranking(start="2024-03-01"))).sends(NOW, 5)
    counts_anew(sam, LATER, ranking(start="2024-03-01", metric="pages"))
    assert sam.sends(LATER, 2, "pages").values() == {"2024-03-01": 2}


def test_a10_3_a_streak_that_was_lost_while_its_board_was_inactive_is_not_on_it() -> None:
    board = ranking(rank_by="streak", start="2024-03-01")
    sam = Contestant(contest(board)).sends(NOW)
    sam.adopts(with_boards(replace(board, status="inactive")), "2024-03-04T13:00").waits("2024-03-09T12:00")
    counts_anew(sam, LATER, board)
    assert sam.sends(LATER).values() == {"2024-03-01": 1}


def test_a10_1_a_streak_of_another_frequency_is_not_on_a_board_that_counts_days() -> None:
    board = ranking(rank_by="streak", start="2024-03-01")
    sam = Contestant(contest(board, streak=StreakEntry("weekly"))).sends(NOW).waits("2024-03-07T12:00")
    assert sam.values() == {"2024-03-01": 1}
    counts_anew(sam, "2024-03-07T13:00", board, streak=StreakEntry("daily"))


def test_a10_7_a_window_in_which_nothing_has_happened_leaves_nothing() -> None:
    sam = Contestant(contest(ranking(**WEEKLY))).sends(NOW, 5)
    sam.adopts(with_boards(ranking(**WEEKLY, start_time="18:00")), LATER)
    assert [*all_scores(sam.state, sam.catalog)] == []
    assert needs_history(sam.state, sam.catalog)
    sam.is_filled()
    assert (sam.state.standings, sam.said) == ({}, [])
    assert sam.sends("2024-03-14T18:00", 2).values() == {"2024-03-11": 2}


def test_a10_4_another_board_keeps_what_it_has() -> None:
    sam = Contestant(contest(ranking("one"), ranking("two"))).sends(NOW, 5)
    sam.adopts(with_boards(ranking("one"), ranking("two", metric="pages")), LATER).waits(LATER)
    assert (sam.values("one"), sam.values("two")) == ({"2023-11-14": 5}, {})
    assert [*sam.state.standings] == [1]


def test_a10_9_other_groups_are_those_of_everybody_once_they_are_filled() -> None:
    there: dict[str, Any] = {"user_attributes": ("city",)}
    sam = Contestant(contest(ranking(**WEEKLY), **there)).sends(NOW, 5, attributes={"city": "Oslo"})
    for more, group in (({"breakdown_attributes": ("city",)}, ("Oslo",)), ({"user_attributes": {"city": "Oslo"}}, ())):
        sam.adopts(with_boards(ranking(**WEEKLY, **more), **there), MEANWHILE)
        assert [*all_scores(sam.state, sam.catalog)] == []
        sam.is_filled()
        assert [(score.group, score.value) for score in all_scores(sam.state, sam.catalog)] == [(group, 5 * UNIT)]
    sam.adopts(with_boards(ranking(**WEEKLY, user_attributes={"city": "Rome"}), **there), MEANWHILE).is_filled()
    assert sam.values() == {}
