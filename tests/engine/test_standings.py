"""How users stand on leaderboards: the value in each run, and when it was reached."""

from typing import Any

import pytest

from plaudit.engine.amounts import TOTAL_MAX, UNIT
from plaudit.engine.catalog import Frequency
from plaudit.engine.commands import (
    PauseStreak,
    ResetStreak,
    RestoreStreak,
    StreakPreferenceFields,
    UpdatePreferences,
)
from plaudit.engine.document import StreakEntry, TriggerEntry
from plaudit.engine.snapshot import decode_user, encode_user
from plaudit.engine.standings import changed_scores, find_group
from plaudit.engine.streak_history import PERIODS_MAX
from plaudit.engine.user import Profile, User
from tests.engine.builders import day, event_id, frozen, instant, system, trigger
from tests.engine.contestants import Contestant, contest, ranking, with_boards

EAST, WEST = "Pacific/Kiritimati", "Etc/GMT+12"
WEEKLY: dict[str, Any] = {"start": "2024-03-04", "run_unit": "day", "run_interval": 7}
DAILY: dict[str, Any] = {"start": "2024-03-04", "run_unit": "day"}


def member(**attributes: str) -> User:
    return User(Profile(0, 0, attributes=attributes))


# What it ranks by


def test_a10_2_a_metric_counts_in_the_run_in_which_it_changes() -> None:
    sam = Contestant(contest(ranking(**WEEKLY)))
    sam.sends("2024-03-04T00:00", 3).sends("2024-03-10T23:59", 4).sends("2024-03-11T00:00", 5)
    assert sam.values() == {"2024-03-04": 7, "2024-03-11": 5}


def test_a10_2_points_count_in_the_run_in_which_they_are_awarded() -> None:
    board = ranking(rank_by="points", points="xp", **WEEKLY)
    sam = Contestant(contest(board, points=(system(trigger(10, 2)),)))
    sam.sends("2024-03-05T12:00", 5).sends("2024-03-12T12:00", 1)
    assert sam.values() == {"2024-03-04": 20, "2024-03-11": 10}


def test_a10_2_points_that_time_has_brought_count_on_their_own_days() -> None:
    daily = TriggerEntry("daily", type="time", points=7, time_unit="days", time_interval=1)
    sam = Contestant(contest(ranking(rank_by="points", points="xp", **WEEKLY), points=(system(daily),)))
    sam.sends("2024-03-08T12:00").waits("2024-03-13T12:00")
    assert sam.values() == {"2024-03-04": 14, "2024-03-11": 21}
    assert sam.stamps()["2024-03-04"] == (instant("2024-03-10T00:00"), 2)


def test_a10_2_only_what_it_ranks_by_counts() -> None:
    sam = Contestant(contest(ranking(), ranking("other", metric="pages"))).sends("2024-03-04T12:00", 3, "pages")
    assert sam.values() == {}
    assert sam.values("other") == {"2023-11-14": 3}


def test_a10_2_a_board_that_does_not_end_has_one_run() -> None:
    sam = Contestant(contest(ranking(start="2024-03-04", end="2025-03-03")))
    sam.sends("2024-03-03T23:59").sends("2024-03-04T00:00", 2).sends("2025-03-03T23:59", 4).sends("2025-03-04T00:00")
    assert sam.values() == {"2024-03-04": 6}


def test_q52_a_board_without_an_end_counts_everything_that_there_ever_was() -> None:
    sam = Contestant(contest()).sends("2023-12-01T12:00", 5)
    sam.adopts(with_boards(ranking()), "2024-03-04T12:00").is_filled()
    assert sam.values() == {"2024-03-04": 5}
    assert sam.sends("2024-03-04T12:01", 2).values() == {"2024-03-04": 7}


@pytest.mark.parametrize(
    "more",
    [
        {"start": "2024-03-05"},
        {"start": "2024-03-04", "end": "2024-12-31"},
        {"start": "2024-03-04", "run_unit": "year"},
        {"start": "2024-03-04", "start_time": "00:00"},
    ],
)
def test_q52_one_that_begins_later_or_is_bounded_counts_from_its_start(more: dict[str, Any]) -> None:
    sam = Contestant(contest()).sends("2024-03-01T12:00", 5)
    sam.adopts(with_boards(ranking(**more)), "2024-03-04T00:00").is_filled()
    assert sam.values() == {}
    assert sam.sends("2024-03-05T12:00", 2).values() == {more["start"]: 2}


def test_q46_nobody_is_on_a_board_with_nothing_or_less() -> None:
    sam = Contestant(contest(ranking()))
    assert sam.sends("2024-03-04T12:00", 0).said == []
    assert sam.sends("2024-03-04T12:01", -5).values() == {}
    assert [score.value for score in sam.said] == [None]
    assert sam.sends("2024-03-04T12:02", 5).values() == {}
    assert sam.sends("2024-03-04T12:03", 1).values() == {"2023-11-14": 1}


def test_q44_values_are_exact() -> None:
    sam = Contestant(contest(ranking()))
    for _ in range(10):
        sam.sends_at(instant("2024-03-04T12:00"), UNIT // 10)
    [score] = sam.said
    assert score.value == UNIT
    assert sam.values() == {"2023-11-14": 1}


# Where users are


def test_a10_6_the_dates_of_each_user_bound_the_run() -> None:
    catalog = contest(ranking(**DAILY))
    at = instant("2024-03-05T11:00")  # the 6th in the far east, the 4th in the far west
    for zone, expected in ((EAST, "2024-03-06"), (None, "2024-03-05"), (WEST, "2024-03-04")):
        assert Contestant(catalog, zone).sends_at(at).values() == {expected: 1}


def test_a10_6_an_event_is_said_something_of_in_the_run_of_its_user() -> None:
    catalog = contest(ranking(start="2024-03-05", end="2024-03-05"))
    at = instant("2024-03-05T11:30")
    assert Contestant(catalog, EAST).sends_at(at).fed == []
    assert Contestant(catalog).sends_at(at).fed == ["board"]
    assert Contestant(catalog, WEST).sends_at(at).fed == []
    assert Contestant(catalog, EAST).sends_at(at).values() == {}


def test_q52_what_is_done_where_its_first_day_has_not_begun_counts_and_is_said() -> None:
    catalog = contest(ranking(), at_ms=instant("2024-03-04T02:00"))
    sam = Contestant(catalog, "America/New_York").sends_at(instant("2024-03-04T03:00"))
    assert (sam.values(), sam.fed) == ({"2024-03-04": 1}, ["board"])


def test_a10_6_who_moves_takes_along_what_counted() -> None:
    sam = Contestant(contest(ranking(**DAILY)), EAST).sends("2024-03-05T12:00", 3)
    sam.sends("2024-03-05T12:00", 4, zone=WEST)
    assert sam.values() == {"2024-03-05": 7}
    assert sam.sends("2024-03-06T12:00", 1).values() == {"2024-03-05": 7, "2024-03-06": 1}


def test_a10_6_what_was_done_on_the_next_day_stays_there_after_a_move_west() -> None:
    sam = Contestant(contest(ranking(**DAILY)), EAST).sends("2024-03-05T23:00", 3).sends("2024-03-06T00:30", 4)
    sam.sends_at(instant("2024-03-05T10:45"), 5 * UNIT)
    sam.zone = WEST
    sam.sends_at(instant("2024-03-05T10:50"), 6 * UNIT)
    assert sam.values() == {"2024-03-05": 3, "2024-03-06": 15}


def test_a10_6_as_many_runs_are_kept_as_may_not_be_final() -> None:
    daily, others = contest(ranking(**DAILY)), contest(ranking(**(DAILY | {"run_interval": 3})))
    sam, kim = Contestant(daily), Contestant(others)
    for number in range(10, 20):
        sam.sends(f"2024-03-{number}T12:00", number)
        kim.sends(f"2024-03-{number}T12:00")
    assert sam.values() == {f"2024-03-{number}": number for number in (17, 18, 19)}
    assert kim.values() == {"2024-03-16": 3, "2024-03-19": 1}


# Windows


def windowed(zone: str = "UTC", **times: str) -> Contestant:
    return Contestant(contest(ranking(**DAILY, **times)), zone)


@pytest.mark.parametrize(
    ("times", "inside", "outside"),
    [
        ({"start_time": "09:00", "end_time": "17:00"}, ("09:00:00", "16:59:59.999"), ("08:59:59.999", "17:00:00")),
        ({"start_time": "09:00"}, ("09:00:00", "23:59:59.999"), ("00:00:00", "08:59:59.999")),
        ({"end_time": "09:00:30"}, ("00:00:00", "09:00:29.999"), ("09:00:30", "23:59:59")),
        ({"start_time": "22:00", "end_time": "06:00"}, ("22:00:00", "05:59:59.999"), ("21:59:59.999", "06:00:00")),
        ({"start_time": "20:00", "end_time": "00:00"}, ("20:00:00", "23:59:59.999"), ("00:00:00", "19:59:59")),
        ({"end_time": "00:00"}, ("00:00:00", "23:59:59.999"), ()),
    ],
)
def test_a10_7_only_what_is_from_the_start_to_before_the_end_counts(
    times: dict[str, str], inside: tuple[str, ...], outside: tuple[str, ...]
) -> None:
    for at in inside:
        sam = windowed(**times).sends(f"2024-03-06T{at}")
        assert (sam.values(), sam.fed) == ({"2024-03-06": 1}, ["board"])
    for at in outside:
        sam = windowed(**times).sends(f"2024-03-06T{at}")
        assert (sam.values(), sam.fed, sam.said) == ({}, [], [])


def test_a10_7_a_night_counts_for_the_days_on_which_it_is() -> None:
    sam = windowed(start_time="22:00", end_time="02:00")
    sam.sends("2024-03-05T23:00", 3).sends("2024-03-06T01:00", 4)
    assert sam.values() == {"2024-03-05": 3, "2024-03-06": 4}


def test_a10_7_the_hours_are_those_of_the_users_clock() -> None:
    at = instant("2024-03-06T20:30")
    assert windowed("Asia/Tokyo", start_time="05:00", end_time="06:00").sends_at(at).values() == {"2024-03-07": 1}
    assert windowed(start_time="05:00", end_time="06:00").sends_at(at).values() == {}


def test_a10_7_an_hour_that_is_skipped_or_there_twice() -> None:
    zone, times = "America/New_York", {"start_time": "01:30", "end_time": "03:00"}
    spring = windowed(zone, **times).sends("2024-03-10T01:45").sends_at(instant("2024-03-10T06:59:59"))
    assert spring.values() == {"2024-03-10": 2}
    assert spring.sends_at(instant("2024-03-10T07:00")).values() == {"2024-03-10": 2}  # it is 03:00
    autumn = windowed(zone, **times).sends("2024-11-03T01:45").sends("2024-11-03T01:45", fold=1)
    assert autumn.values() == {"2024-11-03": 2}
    assert autumn.sends("2024-11-03T01:15", fold=1).values() == {"2024-11-03": 2}


# Who takes part


def test_a10_9_groups_are_the_values_of_attributes_in_the_order_of_the_board() -> None:
    catalog = contest(ranking(breakdown_attributes=("city", "team")), user_attributes=("city", "team"))
    board = catalog.boards.by_key["board"].definition
    assert find_group(member(team="red", city="Oslo"), board) == ("Oslo", "red")
    assert find_group(member(city="Oslo"), board) is None
    assert find_group(member(), board) is None


def test_a10_10_only_who_matches_takes_part() -> None:
    catalog = contest(ranking(user_attributes={"city": "Oslo"}), user_attributes=("city",))
    board = catalog.boards.by_key["board"].definition
    assert find_group(member(city="Oslo"), board) == ()
    assert find_group(member(city="Rome"), board) is None
    assert find_group(member(), board) is None


def test_a10_9_who_gets_another_value_moves_with_all_that_they_have() -> None:
    sam = Contestant(contest(ranking(breakdown_attributes=("city",), **WEEKLY), user_attributes=("city",)))
    sam.sends("2024-03-05T12:00", 3, attributes={"city": "Oslo"})
    sam.sends("2024-03-12T12:00", 4).sends("2024-03-12T13:00", 0, attributes={"city": "Rome"})
    assert [(score.run, score.group, score.value) for score in sam.said] == [
        (day("2024-03-04"), ("Rome",), 3 * UNIT),
        (day("2024-03-11"), ("Rome",), 4 * UNIT),
    ]
    assert sam.stamps()["2024-03-11"][0] == instant("2024-03-12T12:00")


def test_a10_10_who_does_not_match_any_more_leaves_and_comes_back_with_all() -> None:
    sam = Contestant(contest(ranking(user_attributes={"city": "Oslo"}), user_attributes=("city",)))
    sam.sends("2024-03-05T12:00", 3, attributes={"city": "Oslo"})
    sam.sends("2024-03-05T13:00", 4, attributes={"city": "Rome"})
    assert [score.value for score in sam.said] == [None]
    assert sam.fed == []
    assert sam.sends("2024-03-05T14:00", 0, attributes={"city": "Oslo"}).values() == {"2023-11-14": 7}


# When it was reached


def test_q45_the_stamp_is_that_of_the_command_that_reached_the_value() -> None:
    sam = Contestant(contest(ranking())).sends("2024-03-05T12:00", 3).sends("2024-03-05T13:00", 2)
    assert sam.stamps() == {"2023-11-14": (instant("2024-03-05T13:00"), 2)}


def test_q45_what_changes_nothing_leaves_the_stamp() -> None:
    board = ranking(rank_by="points", points="xp")
    sam = Contestant(contest(board, ranking("words"), points=(system(trigger(10, 5)),)))
    sam.sends("2024-03-05T12:00", 5).sends("2024-03-05T13:00", 1).sends("2024-03-05T14:00", 0)
    assert sam.stamps() == {"2023-11-14": (instant("2024-03-05T12:00"), 1)}
    assert sam.stamps("words") == {"2023-11-14": (instant("2024-03-05T13:00"), 2)}
    assert sam.said == []


def test_q45_who_loses_some_of_it_and_comes_back_has_it_anew() -> None:
    sam = Contestant(contest(ranking()))
    sam.sends("2024-03-05T12:00", 5).sends("2024-03-05T13:00", -1).sends("2024-03-05T14:00", 1)
    assert sam.values() == {"2023-11-14": 5}
    assert sam.stamps() == {"2023-11-14": (instant("2024-03-05T14:00"), 3)}


# Streaks


def on_streak(**more: Any) -> Contestant:
    """Somebody with three days, the last on 2024-03-06."""
    sam = Contestant(contest(ranking(rank_by="streak", start="2024-03-01", **more)))
    return sam.sends("2024-03-04T12:00").sends("2024-03-05T12:00").sends("2024-03-06T12:00").sends("2024-03-06T13:00")


def test_a10_1_streaks_rank_by_their_length() -> None:
    sam = on_streak()
    assert sam.values() == {"2024-03-01": 3}
    assert sam.stamps() == {"2024-03-01": (instant("2024-03-06T12:00"), 3)}
    assert sam.fed == []
    assert sam.sends("2024-03-07T00:00").fed == ["board"]


def test_a10_1_a_streak_that_is_lost_at_midnight_is_off_the_board() -> None:
    sam = on_streak().waits("2024-03-07T23:59")
    assert sam.values() == {"2024-03-01": 3}
    sam.waits("2024-03-08T00:00")
    assert sam.values() == {}
    assert [score.value for score in sam.said] == [None]
    assert sam.stamps() == {"2024-03-01": (instant("2024-03-08T00:00"), 6)}
    assert sam.sends("2024-03-08T12:00").values() == {"2024-03-01": 1}


def test_a10_1_who_wants_no_streaks_is_off_the_board_meanwhile() -> None:
    sam = on_streak()
    for wanted, expected in ((False, {}), (True, {"2024-03-01": 3})):
        preferences = UpdatePreferences("sam", streak=StreakPreferenceFields(enabled=wanted))
        assert sam.asks("2024-03-06T14:00", preferences).values() == expected


def test_a10_1_a_streak_that_is_lost_and_restored_or_reset() -> None:
    sam = on_streak().waits("2024-03-08T00:00").asks("2024-03-08T01:00", RestoreStreak("sam"))
    assert sam.values() == {"2024-03-01": 3}
    assert sam.stamps()["2024-03-01"][0] == instant("2024-03-08T01:00")
    assert sam.asks("2024-03-08T02:00", ResetStreak("sam")).values() == {}


def test_a10_1_a_pause_changes_nothing() -> None:
    sam = on_streak().asks("2024-03-06T14:00", PauseStreak("sam", event_id(1), day("2024-03-07"), day("2024-03-20")))
    stamps = sam.stamps()
    assert sam.waits("2024-03-20T12:00").values() == {"2024-03-01": 3}
    assert sam.stamps() == stamps


def test_a10_3_a_board_of_streaks_stays_as_it_was_at_its_end() -> None:
    sam = on_streak(end="2024-03-06").sends("2024-03-07T12:00").waits("2024-03-20T12:00")
    assert sam.values() == {"2024-03-01": 3}
    assert sam.said == []


LOOKS = [(), ("2024-03-07T12:00",), ("2024-03-08T00:00",), ("2024-03-08T12:00", "2024-03-09T12:00")]
"""When somebody may have looked at the user before they come back."""


@pytest.mark.parametrize("looks", LOOKS)
@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("2024-03-06", {"2024-03-01": 3}),
        ("2024-03-07", {"2024-03-01": 3}),
        ("2024-03-08", {}),
        ("2024-03-10", {}),
    ],
)
def test_a10_3_a_streak_that_was_lost_by_the_end_is_off_the_board_whenever_that_is_seen(
    looks: tuple[str, ...], end: str, expected: dict[str, int]
) -> None:
    seen, back = on_streak(end=end), on_streak(end=end)
    for look in looks:
        seen.waits(look)
        back.waits(look)
    assert seen.waits("2024-03-14T12:00").values() == expected
    assert back.sends("2024-03-14T12:00").values() == expected
    assert back.sends("2024-03-15T12:00").said == []


@pytest.mark.parametrize(
    ("frequency", "days", "end", "expected"),
    [
        ("weekly", ("2024-03-05", "2024-03-12"), "2024-03-14", 2),
        ("weekly", ("2024-03-05", "2024-03-12"), "2024-03-23", 2),
        ("weekly", ("2024-03-05", "2024-03-12"), "2024-03-24", 0),
        ("weekly", ("2024-03-05", "2024-03-12"), "2024-04-20", 0),
        ("monthly", ("2024-03-05", "2024-04-12"), "2024-04-20", 2),
        ("monthly", ("2024-03-05", "2024-04-12"), "2024-05-31", 2),
        ("monthly", ("2024-03-05", "2024-04-12"), "2024-06-01", 0),
    ],
)
def test_a10_3_so_are_weeks_and_months(frequency: Frequency, days: tuple[str, ...], end: str, expected: int) -> None:
    board = ranking(rank_by="streak", start="2024-03-01", end=end)
    sam = Contestant(contest(board, streak=StreakEntry(frequency)))
    for each in days:
        sam.sends(f"{each}T12:00")
    assert sam.waits("2024-09-01T12:00").values() == ({"2024-03-01": expected} if expected else {})


@pytest.mark.parametrize("looks", [(), ("2024-03-14T00:00",)])
def test_a10_3_a_week_that_is_extended_after_the_end_within_it_counts_for_nothing(looks: tuple[str, ...]) -> None:
    board = ranking(rank_by="streak", start="2024-03-01", end="2024-03-13")
    sam = Contestant(contest(board, streak=StreakEntry("weekly"))).sends("2024-02-27T12:00").sends("2024-03-05T12:00")
    for look in looks:
        sam.waits(look)
    assert sam.sends("2024-03-15T12:00").values() == {"2024-03-01": 2}


@pytest.mark.parametrize(("days", "expected"), [(PERIODS_MAX - 2, {"2024-03-01": 3}), (PERIODS_MAX - 1, {})])
def test_a10_3_a_streak_of_which_history_does_not_say_any_more_how_it_ended_is_lost(
    days: int, expected: dict[str, int]
) -> None:
    sam = on_streak(end="2024-03-06").waits_until(instant("2024-03-06T12:00") + days * 86_400_000)
    assert sam.values() == expected


def test_a10_3_a_streak_that_was_frozen_over_the_end_stays() -> None:
    board = ranking(rank_by="streak", start="2024-03-01", end="2024-03-07")
    sam = Contestant(contest(board, streak=frozen(1, 1)))
    sam.sends("2024-03-05T12:00").sends("2024-03-06T12:00").waits("2024-03-14T12:00")
    assert sam.values() == {"2024-03-01": 2}


# What is said


def test_a_new_user_and_a_change_of_one_run_say_only_that() -> None:
    sam = Contestant(contest(ranking(**WEEKLY), ranking("other", metric="pages")))
    sam.sends("2024-03-05T12:00", 3)
    assert len(sam.said) == 1
    sam.sends("2024-03-12T12:00", 4)
    assert [score.run for score in sam.said] == [day("2024-03-11")]
    assert sam.sends("2024-03-12T12:00", 4, "steps").said == []
    assert len(sam.sends("2024-03-12T12:00", 4, "pages").said) == 1


def test_a_change_of_the_profile_says_everything_again() -> None:
    sam = Contestant(contest(ranking(**WEEKLY), ranking("other", metric="pages")))
    sam.sends("2024-03-05T12:00").sends("2024-03-12T12:00").sends("2024-03-12T12:00", 1, "pages")
    sam.sends("2024-03-12T13:00", 0, name="Sam")
    assert len(sam.said) == 3
    assert sam.sends("2024-03-12T14:00", 0, name="Sam").said == []


def test_nothing_is_said_of_a_board_that_is_not_there_any_more() -> None:
    sam = Contestant(contest(ranking(), ranking("other"))).sends("2024-03-05T12:00")
    before = sam.state
    sam.adopts(with_boards(ranking("other")), "2024-03-05T12:30")
    sam.sends("2024-03-05T13:00", name="Sam")
    assert [score.board.definition.key for score in sam.said] == ["other"]
    assert [*sam.state.standings] == [2]
    assert [score.value for score in changed_scores(before, sam.state, sam.catalog)] == [2 * UNIT]


def test_q55_boards_are_fed_by_the_metric_the_points_and_the_streak_of_an_event() -> None:
    boards = (
        ranking("words"),
        ranking("pages", metric="pages"),
        ranking("xp", rank_by="points", points="xp"),
        ranking("streak", rank_by="streak"),
        ranking("later", start="2024-03-06"),
        ranking("over", start="2024-01-01", end="2024-03-04"),
        ranking("oslo", user_attributes={"city": "Oslo"}),
        ranking("city", breakdown_attributes=("city",)),
        ranking("off", status="inactive"),
        ranking("night", start_time="22:00"),
    )
    sam = Contestant(contest(*boards, points=(system(trigger(10, 2)),), user_attributes=("city",)))
    assert sam.sends("2024-03-05T12:00").fed == ["words", "streak"]
    assert sam.sends("2024-03-05T12:01").fed == ["words", "xp"]
    assert sam.sends("2024-03-05T12:02", 0, attributes={"city": "Rome"}).fed == ["words", "city"]
    assert sam.sends("2024-03-05T22:00", 0, attributes={"city": "Oslo"}).fed == ["words", "oslo", "city", "night"]
    assert sam.sends("2024-03-06T12:02", 1, "pages").fed == ["pages", "streak"]
    assert sam.sends("2024-03-06T12:03", 0).fed == ["words", "later", "oslo", "city"]


def test_values_beyond_64_bits_survive_a_snapshot() -> None:
    sam = Contestant(contest(ranking(**DAILY)))
    for number in range(4, 7):
        for _ in range(100):
            sam.sends_at(instant(f"2024-03-0{number}T12:00"), TOTAL_MAX // 1000)
    assert sam.values() == {f"2024-03-0{number}": 10**14 for number in range(4, 7)}
    assert decode_user(encode_user(sam.state)) == sam.state
    sam.sends_at(instant("2024-03-06T12:00"), -TOTAL_MAX // 1000)
    assert decode_user(encode_user(sam.state)).standings == sam.state.standings


def test_nothing_is_different_without_leaderboards() -> None:
    sam = Contestant(contest()).sends("2024-03-05T12:00")
    assert (sam.state.standings, sam.said, sam.fed) == ({}, [], [])
