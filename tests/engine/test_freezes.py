"""Freezes: spent, earned and given (2024-01-15 is a Monday; catalogs are of 2023-11-14)."""

import pytest
from msgspec.structs import replace

from plaudit.engine.catalog import Frequency
from plaudit.engine.commands import GrantFreeze, StreakPreferenceFields, UpdatePreferences
from plaudit.engine.document import StreakEntry
from plaudit.engine.errors import Needless
from tests.engine.builders import Player, compiled, day, document, frozen, instant

GRANT = GrantFreeze("sam")


def player(entry: StreakEntry, zone: str = "UTC") -> Player:
    return Player(compiled(document(streak=entry)), zone)


def freezes(sam: Player) -> int:
    return sam.state.streaks.freezes


def test_a3_10_a_new_user_has_as_many_as_the_settings_say() -> None:
    assert freezes(player(frozen(3, 5)).counts_on("2024-01-15")) == 3


def test_a3_10_without_freezes_a_new_user_has_none() -> None:
    assert freezes(player(StreakEntry()).counts_on("2024-01-15")) == 0


def test_a9_8_a_missed_day_spends_one_freeze() -> None:
    sam = player(frozen(2, 5)).counts_on("2024-01-15").waits("2024-01-17")
    assert (sam.length, freezes(sam)) == (1, 1)
    assert sam.waits("2024-01-18").length == 1
    assert freezes(sam) == 0
    assert sam.waits("2024-01-19").length == 0
    assert freezes(sam) == 0


def test_a9_8_a_freeze_is_spent_at_midnight_in_the_users_zone() -> None:
    sam = player(frozen(1, 5), "Asia/Kathmandu").counts_on("2024-01-15")
    assert freezes(sam.waits_until(instant("2024-01-16T18:14:59.999"))) == 1
    assert freezes(sam.waits_until(instant("2024-01-16T18:15"))) == 0


def test_a9_8_one_freeze_for_each_missed_period_and_none_for_the_rest() -> None:
    sam = player(frozen(3, 5)).counts_on("2024-01-15", "2024-01-18", "2024-01-20")
    assert (sam.length, freezes(sam)) == (3, 0)
    assert sam.story(6) == "1 1f 1f 2 2f 3"


@pytest.mark.parametrize(
    ("frequency", "missed", "story"),
    [("weekly", "2024-01-28", "1 1f 1"), ("monthly", "2024-03-01", "1 1f 1")],
)
def test_q30_weekly_and_monthly_streaks_spend_one_freeze_for_a_missed_period(
    frequency: Frequency, missed: str, story: str
) -> None:
    sam = player(frozen(1, 5, frequency=frequency)).counts_on("2024-01-15")
    assert freezes(sam.waits(missed)) == 0
    assert (sam.length, sam.story(3)) == (1, story)


def test_a9_8_freezes_that_do_not_last_are_spent_all_the_same() -> None:
    sam = player(frozen(2, 5)).counts_on("2024-01-15").waits("2024-02-15")
    assert (sam.length, freezes(sam)) == (0, 0)
    assert [sam.history(31)[n].used_freeze for n in (0, 1, 2)] == [True, True, False]


def test_a9_9_a_freeze_is_no_extension() -> None:
    sam = player(frozen(1, 5)).counts_on("2024-01-15").waits("2024-01-17")
    assert sam.view.extended_ms == instant("2024-01-15T12:00")
    assert sam.sends("2024-01-17T10:00").streak_extended
    assert sam.length == 2
    assert sam.view.started_day == day("2024-01-15")


def test_q30_a_frozen_period_repeats_the_length() -> None:
    sam = player(frozen(2, 5)).counts_on("2024-01-13", "2024-01-14").waits("2024-01-17")
    assert sam.story(5) == "1 2 2f 2f 2"


def test_q29_freezes_do_not_move_the_day_on_which_a_streak_expires() -> None:
    sam = player(frozen(2, 5)).counts_on("2024-01-15")
    assert sam.view.expires_day == day("2024-01-16")
    assert sam.waits("2024-01-17").view.expires_day == day("2024-01-17")


def test_a_streak_of_nothing_spends_nothing() -> None:
    sam = player(frozen(2, 5))
    sam.sends("2024-01-15T12:00", "0")
    assert freezes(sam.waits("2024-02-15")) == 2


def test_a_lost_streak_spends_nothing_more() -> None:
    sam = player(frozen(0, 5)).counts_on("2024-01-15").waits("2024-01-20").asks("2024-01-20", GRANT)
    assert freezes(sam.waits("2024-02-15")) == 1


@pytest.mark.parametrize(("frequency", "left"), [("daily", 9), ("weekly", 19), ("monthly", 20)])
def test_freezes_are_for_the_frequency_in_force_only(frequency: Frequency, left: int) -> None:
    sam = player(frozen(20, 20, frequency=frequency)).counts_on("2024-01-15", "2024-01-20").waits("2024-01-28")
    assert freezes(sam) == left  # 4 days, and then 7, which are a week
    assert sam.adopts(frozen(20, 20)).length == (2 if frequency == "daily" else 0)
    assert sam.adopts(frozen(20, 20, frequency="weekly")).length == (1 if frequency == "weekly" else 0)


def test_a9_1_a_new_frequency_spends_freezes_from_then_on() -> None:
    sam = player(frozen(2, 5)).counts_on("2024-01-15").waits("2024-01-17")
    sam.adopts(frozen(2, 5, frequency="weekly"), "2024-01-17T00:00").waits("2024-01-28")
    assert (sam.length, freezes(sam), sam.story(3)) == (1, 0, "1 1f 1")
    assert sam.adopts(frozen(2, 5)).length == 0


def test_a4_5_a_user_without_streaks_spends_no_freezes() -> None:
    sam = player(frozen(2, 5)).counts_on("2024-01-15")
    sam.asks("2024-01-15T13:00", UpdatePreferences("sam", streak=StreakPreferenceFields(enabled=False)))
    assert freezes(sam.waits("2024-01-20")) == 2


def test_a9_17_a_day_off_spends_no_freeze() -> None:
    sam = player(replace(frozen(2, 5), days_off=(0, 6))).counts_on("2024-01-19").waits("2024-01-22")
    assert (sam.length, freezes(sam)) == (1, 2)
    assert freezes(sam.waits("2024-01-23")) == 1


def test_a9_13_a_paused_day_spends_no_freeze() -> None:
    sam = player(frozen(2, 5)).counts_on("2024-01-15").pauses("2024-01-15T13:00", "2024-01-16", "2024-01-18")
    assert freezes(sam.waits("2024-01-19")) == 2
    assert freezes(sam.waits("2024-01-20")) == 1


def test_q32_a_day_that_a_move_skips_spends_no_freeze() -> None:
    sam = player(frozen(2, 5), "Pacific/Honolulu").counts_on("2024-03-11")
    sam.sends("2024-03-13T10:00", zone="Pacific/Kiritimati")
    assert (sam.length, freezes(sam)) == (2, 2)


# Earning


def earned_on(sam: Player, *dates: str) -> list[int]:
    return [freezes(sam.waits(at)) for at in dates]


def test_a9_10_the_amount_is_earned_every_interval_from_creation() -> None:
    sam = player(frozen(0, 10, 7, 2)).counts_on("2024-01-15")
    dates = ("2024-01-21T23:59:59.999", "2024-01-22T00:00", "2024-01-28T23:59", "2024-01-29T00:00", "2024-02-05")
    assert earned_on(sam, *dates) == [0, 2, 2, 4, 6]


def test_a9_10_freezes_are_earned_at_midnight_in_the_users_zone() -> None:
    sam = player(frozen(0, 10, 1, 1), "Asia/Kolkata").counts_on("2024-01-15")
    assert freezes(sam.waits_until(instant("2024-01-15T18:29:59.999"))) == 0
    assert freezes(sam.waits_until(instant("2024-01-15T18:30"))) == 1


def test_a9_10_nothing_is_earned_beyond_the_maximum() -> None:
    sam = player(frozen(2, 3, 7, 2)).counts_on("2024-01-15")
    assert earned_on(sam, "2024-01-18", "2024-01-22", "2024-01-29", "2024-06-15") == [0, 2, 3, 3]
    idle = player(frozen(2, 3, 7, 2))
    idle.sends("2024-01-15T12:00", "0")
    assert earned_on(idle, "2024-01-22", "2024-01-29", "2024-06-15") == [3, 3, 3]


def test_q32c_the_grid_goes_on_at_the_maximum_and_nothing_is_made_up_for() -> None:
    sam = player(frozen(1, 1, 7, 1)).counts_through("2024-01-15", "2024-02-01").waits("2024-02-03")
    assert freezes(sam) == 0  # the 2nd is missed; the grid is on the 22nd, the 29th, the 5th
    assert freezes(sam.counts_on("2024-02-03", "2024-02-04")) == 0
    assert earned_on(sam, "2024-02-04T23:59:59.999", "2024-02-05T00:00") == [0, 1]


def test_q32c_enabling_freezes_later_gives_existing_users_nothing_at_the_start() -> None:
    sam = player(StreakEntry()).counts_on("2024-01-15")
    sam.adopts(frozen(3, 5, 7, 1), "2024-01-18T12:00")
    assert earned_on(sam, "2024-01-18T13:00", "2024-01-24T23:59:59.999", "2024-01-25T00:00") == [0, 0, 1]


def test_q32c_what_is_earned_begins_anew_when_the_settings_change() -> None:
    sam = player(frozen(0, 10, 7, 1)).counts_on("2024-01-15").waits("2024-01-20")
    sam.adopts(frozen(0, 10, 3, 2), "2024-01-20T12:00")
    assert earned_on(sam, "2024-01-22", "2024-01-23", "2024-01-26") == [0, 2, 4]


def test_q32c_a_setting_that_is_not_of_freezes_leaves_the_grid_as_it_is() -> None:
    sam = player(frozen(0, 10, 7, 1)).counts_on("2024-01-15").waits("2024-01-20")
    sam.adopts(frozen(0, 10, 7, 1, "weekly"), "2024-01-20T12:00")
    assert earned_on(sam, "2024-01-21", "2024-01-22") == [0, 1]


def test_a9_10_a_freeze_that_is_earned_on_a_midnight_comes_after_the_one_that_is_missing_there() -> None:
    sam = player(frozen(0, 10, 2, 1)).counts_on("2024-01-15").waits("2024-01-17")
    assert (sam.length, freezes(sam)) == (0, 1)  # the 16th was missed before anything was earned


def test_a9_10_a_freeze_that_is_earned_on_a_day_makes_up_for_that_day() -> None:
    sam = player(frozen(0, 10, 1, 1)).counts_on("2024-01-15").waits("2024-01-17")
    assert (sam.length, freezes(sam)) == (1, 1)  # earned on the 16th and spent on it, and earned on the 17th
    assert sam.waits("2024-03-15").length == 1


def test_a9_10_what_is_earned_and_what_is_missed_take_turns() -> None:
    sam = player(frozen(1, 1, 2, 1)).counts_on("2024-01-14").waits("2024-01-31")
    assert sam.story(6) == "0 0 0 0 0 0"
    assert [period.length for period in sam.history(18)][:5] == [1, 1, 1, 0, 0]
    assert [period.used_freeze for period in sam.history(18)][:5] == [False, True, True, False, False]


def test_a9_10_freezes_are_earned_in_every_frequency_and_without_a_streak() -> None:
    for frequency in ("weekly", "monthly"):
        sam = player(frozen(0, 5, 7, 1, frequency))
        sam.sends("2024-01-15T12:00", "0")
        assert earned_on(sam, "2024-01-22", "2024-01-29") == [1, 2]


def test_a9_10_an_event_earns_what_is_due() -> None:
    sam = player(frozen(0, 5, 7, 1)).counts_on("2024-01-15", "2024-01-30")
    assert freezes(sam) == 2


def test_q32c_moving_changes_neither_the_grid_nor_the_freezes() -> None:
    sam = player(frozen(0, 5, 7, 1), "Asia/Tokyo").counts_on("2024-01-15")
    sam.sends("2024-01-21T18:00", "0", zone="America/Los_Angeles")  # the 22nd in Tokyo
    assert freezes(sam) == 0
    assert earned_on(sam, "2024-01-21T23:59:59.999", "2024-01-22T00:00") == [0, 1]
    assert sam.sends("2024-01-24T12:00", "0", zone="Asia/Tokyo").user.streaks.freezes == 1
    assert earned_on(sam, "2024-01-28", "2024-01-29") == [1, 2]


# Giving


def test_a9_12_a_freeze_is_given_up_to_the_maximum() -> None:
    sam = player(frozen(0, 2)).counts_on("2024-01-15").asks("2024-01-15T13:00", GRANT).asks("2024-01-15T13:00", GRANT)
    assert freezes(sam) == 2
    with pytest.raises(Needless, match=r"^Would exceed maximum freeze limit$"):
        sam.asks("2024-01-15T13:00", GRANT)
    assert freezes(sam) == 2


def test_a9_12_without_freezes_none_can_be_given() -> None:
    sam = player(StreakEntry()).counts_on("2024-01-15")
    with pytest.raises(Needless, match=r"^Would exceed maximum freeze limit$"):
        sam.asks("2024-01-15T13:00", GRANT)


def test_a9_12_a_freeze_is_given_after_what_time_has_done() -> None:
    sam = player(frozen(1, 1)).counts_on("2024-01-15").asks("2024-01-17", GRANT)
    assert (sam.length, freezes(sam)) == (1, 1)
    assert sam.waits("2024-01-18").length == 1
    assert sam.waits("2024-01-19").length == 0


def test_a9_12_a_freeze_that_is_given_too_late_brings_nothing_back() -> None:
    sam = player(frozen(0, 1)).counts_on("2024-01-15").asks("2024-01-17", GRANT)
    assert (sam.length, freezes(sam)) == (0, 1)


# What is seen


def test_a9_11_freezes_are_seen_where_there_are_any() -> None:
    view = player(frozen(2, 5)).counts_on("2024-01-15").view
    assert (view.freezes, view.max_freezes, view.auto_earn_interval, view.auto_earn_amount) == (2, 5, None, None)


def test_a9_11_what_is_earned_is_seen_where_anything_is() -> None:
    view = player(frozen(2, 5, 7, 1)).counts_on("2024-01-15").view
    assert (view.freezes, view.max_freezes, view.auto_earn_interval, view.auto_earn_amount) == (2, 5, 7, 1)


def test_a9_11_nothing_is_seen_of_freezes_where_there_are_none() -> None:
    sam = player(frozen(2, 5, 7, 1)).counts_on("2024-01-15").adopts(StreakEntry())
    view = sam.view
    assert (view.freezes, view.max_freezes, view.auto_earn_interval, view.auto_earn_amount) == (None,) * 4


def test_a9_11_freezes_are_kept_while_they_are_disabled_but_not_spent() -> None:
    sam = player(frozen(2, 5)).counts_on("2024-01-15").adopts(StreakEntry()).waits("2024-01-17")
    assert sam.length == 0
    assert sam.adopts(frozen(2, 5)).view.freezes == 2


def test_a9_10_a_lower_maximum_takes_nothing_away() -> None:
    sam = player(frozen(4, 5, 7, 1)).counts_on("2024-01-15").adopts(frozen(1, 2, 7, 1), "2024-01-15T13:00")
    idle = sam.counts_through("2024-01-16", "2024-01-25")
    assert freezes(idle) == 4
    with pytest.raises(Needless):
        sam.asks("2024-01-25T13:00", GRANT)
