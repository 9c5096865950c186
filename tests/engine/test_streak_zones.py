"""Streaks across the days on which clocks change, in zones off the full hour, and of users who move."""

from datetime import date

import pytest

from plaudit.engine.commands import RestoreStreak, UpdatePreferences, UserFields
from plaudit.engine.document import StreakEntry
from plaudit.engine.process import process
from plaudit.engine.user import Streak
from tests.engine.builders import Player, compiled, day, document, event, frozen, instant, streak

ANYTHING = compiled(document())
TEN_WORDS = compiled(document(streak=streak(words=10)))
LOS_ANGELES, TOKYO = "America/Los_Angeles", "Asia/Tokyo"  # 16 hours apart in March 2024
HONOLULU, KIRITIMATI = "Pacific/Honolulu", "Pacific/Kiritimati"  # 24 hours apart
PAGO_PAGO = "Pacific/Pago_Pago"  # 25 hours from Kiritimati


def last_ms(zone: str, ordinal: int) -> int:
    """The last millisecond of a day."""
    return instant(f"{date.fromordinal(ordinal)}T23:59:59.999", zone, fold=1)


@pytest.mark.parametrize(
    ("zone", "change"),
    [
        ("America/New_York", "2024-03-10"),  # 23 hours
        ("America/New_York", "2024-11-03"),  # 25 hours
        ("Australia/Lord_Howe", "2024-10-06"),  # 23.5 hours
        ("Australia/Lord_Howe", "2024-04-07"),  # 24.5 hours
        ("Africa/Cairo", "2024-04-26"),  # from 24:00 to 01:00
        ("America/Havana", "2024-11-03"),  # from 01:00 to 00:00
        ("America/Havana", "2024-03-10"),  # from 24:00 to 01:00
        ("America/Sao_Paulo", "2018-02-17"),  # from 24:00 to 23:00
        ("America/Sao_Paulo", "2018-11-04"),  # from 24:00 to 01:00
        ("Pacific/Chatham", "2024-09-29"),
        ("Asia/Kathmandu", "2024-01-15"),  # none, 5:45 from UTC
        ("Asia/Kolkata", "2024-01-15"),  # none, 5:30
    ],
)
def test_a9_1_the_first_and_the_last_millisecond_of_a_day_are_one_day(zone: str, change: str) -> None:
    sam = Player(ANYTHING, zone)
    sam.sends_at(last_ms(zone, day(change) - 2))
    for length, today in enumerate(range(day(change) - 1, day(change) + 2), 2):
        assert sam.sends_at(last_ms(zone, today - 1) + 1).user.streaks.daily.length == length
        assert not sam.sends_at(last_ms(zone, today)).streak_extended


@pytest.mark.parametrize(("zone", "local"), [("America/New_York", "01:30"), ("America/Havana", "00:30")])
def test_a9_3_an_hour_that_comes_twice_is_on_one_day(zone: str, local: str) -> None:
    sam = Player(ANYTHING, zone)
    assert sam.sends(f"2024-11-03T{local}").streak_extended
    assert not sam.sends(f"2024-11-03T{local}", fold=1).streak_extended


def test_a9_8_a_day_of_25_hours_is_missed_as_a_whole() -> None:
    sam = Player(ANYTHING, "America/New_York")
    assert sam.streak_after("2024-11-02T23:59", "2024-11-04T00:00") == 1
    assert sam.streak_after("2024-11-05T00:00") == 2


@pytest.mark.parametrize(
    ("zone", "length"), [("UTC", 1), ("Asia/Kathmandu", 2), ("Australia/Adelaide", 1), ("America/St_Johns", 1)]
)
def test_a9_1_the_same_instants_are_on_days_of_the_users_zone(zone: str, length: int) -> None:
    first, second = instant("2024-01-15T18:14:59"), instant("2024-01-15T18:15")
    user = process(None, event(fields=UserFields(tz=zone)), ANYTHING, first).user
    assert process(user, event(), ANYTHING, second).user.streaks.daily.length == length


def test_q32_moving_east_does_not_lose_the_day_that_is_skipped() -> None:
    sam = Player(ANYTHING, LOS_ANGELES)
    sam.sends("2024-03-12T16:00")
    outcome = sam.sends("2024-03-14T09:00", zone=TOKYO)  # 03-13 in Los Angeles
    assert outcome.user.streaks.daily.length == 2
    assert sam.streak_after("2024-03-15T09:00") == 3


def test_q32_moving_east_without_counting_leaves_today_to_count() -> None:
    sam = Player(ANYTHING, LOS_ANGELES)
    sam.sends("2024-03-12T16:00")
    moved = sam.sends("2024-03-14T09:00", "0", zone=TOKYO).user
    assert (moved.streaks.daily.length, sam.view.expires_day) == (1, day("2024-03-14"))
    assert sam.sends("2024-03-14T23:59").streak_extended


def test_a9_3_q32_after_moving_east_the_new_day_counts_although_the_old_one_has() -> None:
    sam = Player(ANYTHING, LOS_ANGELES)
    sam.sends("2024-03-12T10:00")
    assert sam.sends("2024-03-13T12:00", zone=TOKYO).user.streaks.daily.length == 2


def test_q32_changes_of_the_day_that_was_left_do_not_count_in_the_new_one() -> None:
    sam = Player(TEN_WORDS, LOS_ANGELES)
    sam.sends("2024-03-12T19:00", "6")
    assert not sam.sends("2024-03-13T12:00", "6", zone=TOKYO).streak_extended
    assert sam.sends("2024-03-13T13:00", "4").streak_extended


def test_q32_moving_west_does_not_count_a_day_twice() -> None:
    sam = Player(ANYTHING, TOKYO)
    sam.sends("2024-03-12T09:00")
    assert sam.sends("2024-03-11T18:00", zone=LOS_ANGELES).user.day == day("2024-03-12")
    assert sam.streak_after("2024-03-11T23:59", "2024-03-12T00:01", "2024-03-12T23:59") == 1
    assert sam.streak_after("2024-03-13T00:00") == 2


def test_q32_moving_west_keeps_the_changes_of_the_day_that_has_begun() -> None:
    sam = Player(TEN_WORDS, TOKYO)
    sam.sends("2024-03-12T09:00", "6")
    assert sam.sends("2024-03-11T18:00", "4", zone=LOS_ANGELES).streak_extended


def test_q32_moving_west_gives_the_day_more_hours_before_it_is_missed() -> None:
    sam = Player(ANYTHING, TOKYO)
    sam.sends("2024-03-12T09:00")
    sam.sends("2024-03-13T09:00", "0", zone=TOKYO)
    sam.sends("2024-03-12T18:00", "0", zone=LOS_ANGELES)
    assert sam.streak_after("2024-03-13T23:59:59.999") == 2


def test_q32_a_move_west_that_comes_with_the_next_event_does_not_lose_the_streak() -> None:
    sam = Player(ANYTHING, TOKYO)
    sam.sends("2024-03-10T20:00")
    assert sam.sends("2024-03-11T20:00", zone=LOS_ANGELES).user.streaks.daily.length == 2  # 03-12 12:00 in Tokyo


TIMERS = pytest.mark.parametrize("is_timed", [False, True])
"""Whether timers fire at midnight, or nothing happens until the user does something."""


@TIMERS
def test_q32_a_day_that_goes_on_where_the_user_comes_from_has_not_been_missed(is_timed: bool) -> None:
    sam = Player(ANYTHING, TOKYO).counts_on("2024-03-10", "2024-03-11")
    if is_timed:
        sam.waits("2024-03-13")
    assert sam.length == (0 if is_timed else 2)
    moved = sam.sends("2024-03-12T12:00", zone=LOS_ANGELES).user  # 03-13 04:00 in Tokyo
    assert (moved.streaks.daily.length, moved.day) == (3, day("2024-03-12"))
    assert sam.streak_after("2024-03-13T23:00") == 4


@TIMERS
def test_q32_a_freeze_that_was_spent_on_such_a_day_comes_back(is_timed: bool) -> None:
    sam = Player(compiled(document(streak=frozen(1, 2))), TOKYO).counts_on("2024-03-10", "2024-03-11")
    if is_timed:
        sam.waits("2024-03-13")
    assert sam.state.streaks.freezes == (0 if is_timed else 1)
    moved = sam.sends("2024-03-12T12:00", zone=LOS_ANGELES).user
    assert (moved.streaks.daily.length, moved.streaks.freezes) == (3, 1)


@TIMERS
def test_q32_of_two_days_that_ended_the_one_that_goes_on_comes_back(is_timed: bool) -> None:
    sam = Player(ANYTHING, KIRITIMATI).counts_on("2024-03-10", "2024-03-11")
    if is_timed:
        sam.waits("2024-03-13").waits("2024-03-14")
    assert sam.sends("2024-03-12T23:30", zone=PAGO_PAGO).user.streaks.daily.length == 3  # 03-14 00:30 in Kiritimati
    alex = Player(ANYTHING, KIRITIMATI).counts_on("2024-03-10", "2024-03-11")
    if is_timed:
        alex.waits("2024-03-13").waits("2024-03-14")
    moved = alex.sends("2024-03-13T00:30", zone=HONOLULU).user
    assert (moved.streaks.daily.length, moved.day) == (1, day("2024-03-13"))


@TIMERS
def test_q32_who_has_been_active_on_the_next_day_stays_in_it(is_timed: bool) -> None:
    sam = Player(ANYTHING, TOKYO).counts_on("2024-03-10", "2024-03-11")
    if is_timed:
        sam.waits("2024-03-13")
    sam.sends("2024-03-13T01:00")
    moved = sam.sends("2024-03-12T12:00", zone=LOS_ANGELES).user
    assert (moved.streaks.daily.length, moved.day) == (1, day("2024-03-13"))


def test_q32_what_was_done_to_the_streak_on_the_next_day_stays() -> None:
    sam = Player(ANYTHING, TOKYO).counts_on("2024-03-10", "2024-03-11")
    sam.asks_at(instant("2024-03-13T01:00", TOKYO), RestoreStreak("sam"))
    moved = sam.sends("2024-03-12T12:00", zone=LOS_ANGELES).user
    assert (moved.streaks.daily.length, moved.day) == (3, day("2024-03-13"))


def test_q32_preferences_on_the_next_day_do_not_end_the_day_before() -> None:
    sam = Player(ANYTHING, TOKYO).counts_on("2024-03-10", "2024-03-11")
    sam.asks_at(instant("2024-03-13T01:00", TOKYO), UpdatePreferences("sam", {"recap": ("email",)}))
    assert sam.sends("2024-03-12T12:00", zone=LOS_ANGELES).user.streaks.daily.length == 3
    assert sam.state.preferences is not None


def test_q32_east_across_the_date_line_no_day_counts_twice() -> None:
    sam = Player(ANYTHING, KIRITIMATI)
    sam.sends("2024-03-12T12:00")
    assert not sam.sends("2024-03-11T13:00", zone=HONOLULU).streak_extended
    assert sam.streak_after("2024-03-12T13:00") == 1
    assert sam.streak_after("2024-03-13T13:00") == 2


def test_q32_west_across_the_date_line_the_skipped_day_is_not_missed() -> None:
    sam = Player(ANYTHING, HONOLULU)
    sam.sends("2024-03-11T12:00")
    assert sam.sends("2024-03-13T10:00", zone=KIRITIMATI).user.streaks.daily.length == 2
    assert sam.sends("2024-03-14T10:00").user.streaks.daily.length == 3


def test_q32_a_move_may_skip_two_days() -> None:
    sam = Player(ANYTHING, PAGO_PAGO)
    sam.sends("2024-03-11T12:00")
    outcome = sam.sends("2024-03-14T00:30", zone=KIRITIMATI)  # 03-12 23:30 in Pago Pago
    assert (outcome.user.streaks.daily.length, outcome.user.day) == (2, day("2024-03-14"))
    assert outcome.user.streaks.daily.counted


@TIMERS
@pytest.mark.parametrize("sent", ["2026-02-05T20:59", "2026-02-05T21:01", "2026-02-06T01:00"])
def test_q32_a_day_that_ended_sooner_where_the_user_is_now_is_not_missed_while_it_goes_on_anywhere(
    sent: str, is_timed: bool
) -> None:
    sam = Player(compiled(document(streak=frozen(1, 1))), LOS_ANGELES).counts_through("2026-01-26", "2026-02-03")
    if is_timed and sent != "2026-02-05T20:59":
        sam.waits("2026-02-05")
        assert sam.state.streaks.freezes == 0
    sam.sends(sent, zone="Pacific/Auckland")
    freezes = 0 if sent.startswith("2026-02-06") else 1  # by then it is the 5th everywhere
    assert (sam.length, sam.view.freezes) == (10, freezes)


@TIMERS
def test_q32_two_days_that_a_move_skips_may_have_ended_where_the_user_comes_from(is_timed: bool) -> None:
    sam = Player(ANYTHING, PAGO_PAGO).counts_on("2024-03-10", "2024-03-11")
    if is_timed:
        sam.waits("2024-03-13")
    assert sam.sends("2024-03-14T01:30", zone=KIRITIMATI).user.streaks.daily.length == 3  # 03-13 00:30 in Pago Pago
    assert sam.story(5) == "1 2 2 2 3"


def test_q32_who_has_been_active_since_has_missed_the_day_before_the_move_east() -> None:
    sam = Player(ANYTHING, LOS_ANGELES).counts_on("2026-02-02", "2026-02-03")
    sam.sends("2026-02-05T00:01", "0")
    assert sam.sends("2026-02-05T21:05", zone="Pacific/Auckland").user.streaks.daily.length == 1


def test_q32_who_only_moves_does_not_keep_a_streak_for_ever() -> None:
    sam = Player(ANYTHING, LOS_ANGELES).counts_on("2024-03-11", "2024-03-12")
    assert sam.sends("2024-03-14T12:00", "0", zone=TOKYO).user.streaks.daily.length == 2  # the 13th in Los Angeles
    assert sam.sends("2024-03-14T12:00", "0", zone=LOS_ANGELES).user.streaks.daily.length == 2
    assert sam.sends("2024-03-15T12:00", "0", zone=TOKYO).user.streaks.daily.length == 0


def test_a9_8_moving_does_not_bring_back_a_streak_that_was_lost() -> None:
    sam = Player(ANYTHING, HONOLULU)
    sam.sends("2024-03-10T12:00")
    assert sam.sends("2024-03-13T10:00", zone=KIRITIMATI).user.streaks.daily.length == 1  # 03-12 in Honolulu


def test_moving_makes_no_streak_of_nothing() -> None:
    sam = Player(ANYTHING, HONOLULU)
    sam.sends("2024-03-11T12:00", "0")
    assert sam.sends("2024-03-12T13:00", "0", zone=KIRITIMATI).user.streaks.daily == Streak()


def test_moving_within_a_day_changes_nothing() -> None:
    sam = Player(ANYTHING, LOS_ANGELES)
    first = sam.sends("2024-03-12T10:00").user
    there = sam.sends("2024-03-12T14:00", zone="America/Chicago").user
    back = sam.sends("2024-03-12T15:00", zone=LOS_ANGELES).user
    assert first.streaks.daily == there.streaks.daily == back.streaks.daily
    assert first.streaks.weekly == back.streaks.weekly
    assert first.streaks.monthly == back.streaks.monthly
    assert sam.streak_after("2024-03-13T10:00") == 2


def test_q08_q32_clearing_the_zone_moves_to_utc() -> None:
    sam = Player(ANYTHING, LOS_ANGELES)
    user = sam.sends("2024-03-12T10:00", "0").user
    cleared = process(user, event(fields=UserFields(tz=None)), ANYTHING, instant("2024-03-13T01:00")).user
    assert cleared.day == day("2024-03-13")


def test_a9_1_a_day_that_is_left_for_an_hour_is_not_left() -> None:
    sam = Player(ANYTHING, "America/St_Johns")
    sam.sends("2010-11-06T12:00")
    assert sam.sends_at(instant("2010-11-07T02:30")).streak_extended  # 00:00 on the 7th
    assert sam.state.day == day("2010-11-07")
    assert not sam.sends_at(instant("2010-11-07T02:31")).streak_extended  # 23:01 on the 6th
    assert not sam.sends_at(instant("2010-11-07T03:30")).streak_extended  # 00:00 on the 7th
    assert (sam.length, sam.state.day) == (2, day("2010-11-07"))


@pytest.mark.parametrize(
    ("zone", "before", "after"),
    [("Pacific/Apia", "2011-12-29", "2011-12-31"), ("Pacific/Kiritimati", "1994-12-30", "1995-01-01")],
)
def test_a9_8_a_day_that_a_zone_skips_is_not_missed(zone: str, before: str, after: str) -> None:
    sam = Player(ANYTHING, zone).counts_on(before, after)
    assert (sam.length, sam.story(3)) == (2, "1 1 2")


def test_a9_8_in_another_zone_the_same_day_is_missed() -> None:
    assert Player(ANYTHING, "Pacific/Auckland").counts_on("2011-12-29", "2011-12-31").length == 1


def test_a9_8_the_day_after_a_skipped_one_is_missed_when_it_ends() -> None:
    sam = Player(ANYTHING, "Pacific/Apia").counts_on("2011-12-29")
    assert sam.waits("2011-12-31T23:59:59.999").length == 1
    assert sam.waits("2012-01-01").length == 0


@pytest.mark.parametrize(
    ("zone", "sent", "extended"),
    [
        ("Pacific/Kiritimati", "2024-04-24T12:00", True),  # the 25th there
        ("Asia/Kathmandu", "2024-04-24T18:14:59.999", False),
        ("Asia/Kathmandu", "2024-04-24T18:15", True),
        ("Pacific/Pago_Pago", "2024-04-24T05:00", False),  # the 23rd there, and the 24th goes on
    ],
)
def test_q32_a_zone_that_is_first_sent_after_a_hundred_events_loses_nothing(
    zone: str, sent: str, extended: bool
) -> None:
    sam = Player(ANYTHING)
    start = instant("2024-01-15T03:00")
    for number in range(101):  # through 2024-04-24, in UTC
        sam.sends_at(start + number * 86_400_000, fields=UserFields())
    assert (sam.length, sam.state.profile.tz) == (101, None)
    outcome = sam.sends_at(instant(sent), fields=UserFields(tz=zone))
    assert (outcome.streak_extended, sam.length) == (extended, 101 + extended)
    assert sam.view.started_day == day("2024-01-15")
    assert [period.length for period in sam.history(101)][-5:] == list(range(sam.length - 4, sam.length + 1))


@pytest.mark.parametrize(
    ("zones", "length"),
    [
        (("Pacific/Apia", "Pacific/Pago_Pago"), 5),  # a day apart: one day twice, and the next one not at all
        (("Asia/Kolkata", "Asia/Kathmandu"), 10),
        (("Australia/Lord_Howe", "America/Los_Angeles"), 5),
    ],
)
def test_q32_who_travels_every_day_never_loses_a_streak_and_no_day_counts_twice(
    zones: tuple[str, str], length: int
) -> None:
    sam = Player(ANYTHING, zones[0])
    start = instant("2024-03-28T20:00")  # through the end of summer time on Lord Howe
    for number in range(10):
        sam.sends_at(start + number * 86_400_000, fields=UserFields(tz=zones[number % 2]))
        assert sam.length > 0
    assert sam.view.started_day == day("2024-03-29")
    history = sam.history(10)
    assert [period.length for period in history] == sorted(period.length for period in history)
    assert sam.length == length


def test_q32_across_the_date_line_and_back_in_a_week_and_a_month() -> None:
    sam = Player(compiled(document(streak=StreakEntry("weekly"))), HONOLULU).counts_on("2024-03-23", "2024-03-29")
    sam.sends("2024-03-31T10:00", zone=KIRITIMATI)  # a Sunday there, and the 30th in Honolulu
    assert (sam.length, sam.story(3)) == (3, "1 2 3")
    assert not sam.sends("2024-03-30T12:00", zone=HONOLULU).streak_extended
    assert sam.state.day == day("2024-03-31")
    sam.adopts(StreakEntry("monthly"))
    assert sam.length == 1
    assert sam.sends("2024-04-01T10:00", zone=KIRITIMATI).streak_extended
    assert (sam.length, sam.story(2)) == (2, "1 2")
