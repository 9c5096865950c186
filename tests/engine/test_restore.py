"""Restores and resets (2024-01-14 is a Sunday)."""

import pytest

from plaudit.engine.catalog import Frequency
from plaudit.engine.commands import ResetStreak, RestoreStreak, StreakPreferenceFields, UpdatePreferences
from plaudit.engine.document import StreakEntry
from plaudit.engine.errors import Needless
from plaudit.engine.restore import RESETS_MAX
from plaudit.engine.snapshot import decode_user, encode_user
from tests.engine.builders import Player, compiled, day, document, frozen, instant

RESTORE, RESET = RestoreStreak("sam"), ResetStreak("sam")
DISABLE = UpdatePreferences("sam", streak=StreakPreferenceFields(enabled=False))
FREQUENCIES: tuple[Frequency, ...] = ("daily", "weekly", "monthly")


def player(frequency: Frequency = "daily", zone: str = "UTC") -> Player:
    return Player(compiled(document(streak=StreakEntry(frequency))), zone)


def refuses(sam: Player, local: str) -> None:
    """There is nothing to restore, and nothing changes."""
    before = encode_user(sam.waits(local).state)
    with pytest.raises(Needless, match=r"^No streak to restore$"):
        sam.asks(local, RESTORE)
    assert encode_user(sam.state) == before


def test_a9_15_a_lost_streak_comes_back_with_its_length_and_start() -> None:
    sam = player().counts_through("2024-01-10", "2024-01-14").asks("2024-01-20", RESTORE)
    assert (sam.length, sam.view.started_day) == (5, day("2024-01-10"))
    assert sam.view.extended_ms == instant("2024-01-14T12:00")


def test_q26_a_restored_streak_outlives_the_current_period_and_expires_with_the_next() -> None:
    sam = player().counts_through("2024-01-10", "2024-01-14").asks("2024-01-20T12:00", RESTORE)
    assert sam.view.expires_day == day("2024-01-21")
    assert sam.waits("2024-01-21").length == 5
    assert sam.view.expires_day == day("2024-01-21")
    assert sam.waits("2024-01-21T23:59:59.999").length == 5
    assert sam.waits("2024-01-22").length == 0


@pytest.mark.parametrize(
    ("frequency", "today", "expires"),
    [("daily", "2024-05-03", "2024-05-04"), ("weekly", "2024-05-03", "2024-05-11")],
)
def test_q26_it_is_so_in_every_frequency(frequency: Frequency, today: str, expires: str) -> None:
    sam = player(frequency).counts_through("2024-03-28", "2024-04-03")
    sam.asks(f"{today}T12:00", RESTORE)
    assert sam.view.expires_day == day(expires)
    assert sam.waits(f"{expires}T23:59:59.999").length > 0


def test_q26_a_restored_month() -> None:
    sam = player("monthly").counts_on("2024-01-15", "2024-02-15").asks("2024-05-03", RESTORE)
    assert (sam.length, sam.view.started_day, sam.view.expires_day) == (2, day("2024-01-01"), day("2024-06-30"))
    assert sam.waits("2024-07-01").length == 0


def test_q26_the_current_period_can_still_count_and_so_can_the_next() -> None:
    sam = player().counts_through("2024-01-10", "2024-01-14").asks("2024-01-20T10:00", RESTORE)
    assert sam.sends("2024-01-20T12:00").streak_extended
    assert sam.length == 6
    assert not sam.sends("2024-01-20T13:00").streak_extended
    assert sam.sends("2024-01-21T12:00").streak_extended
    assert sam.length == 7
    assert sam.view.started_day == day("2024-01-10")


def test_q26_a_period_that_has_counted_before_the_restore_does_not_count_again() -> None:
    sam = player().counts_through("2024-01-10", "2024-01-14").counts_on("2024-01-20").asks("2024-01-20T13:00", RESTORE)
    assert (sam.length, sam.view.expires_day) == (5, day("2024-01-21"))
    assert not sam.sends("2024-01-20T14:00").streak_extended
    assert sam.sends("2024-01-21T12:00").streak_extended
    assert sam.length == 6


def test_a9_15_a_restore_shows_in_the_history_from_the_current_period_on() -> None:
    sam = player().counts_through("2024-01-10", "2024-01-12").asks("2024-01-15", RESTORE).counts_on("2024-01-16")
    assert sam.story(8) == "0 1 2 3 0 0 3 4"


def test_a9_15_q25_the_longest_streak_of_the_window_comes_back_and_not_the_last() -> None:
    sam = player().counts_through("2024-01-01", "2024-01-08").counts_through("2024-01-11", "2024-01-13")
    sam.asks("2024-01-20", RESTORE)
    assert (sam.length, sam.view.started_day) == (8, day("2024-01-01"))


def test_a9_15_q25_of_a_streak_that_began_before_the_window_the_whole_length_comes_back() -> None:
    sam = player().counts_through("2023-10-01", "2024-01-08").asks("2024-03-30", RESTORE)
    assert (sam.length, sam.view.started_day) == (100, day("2023-10-01"))


@pytest.mark.parametrize(
    ("today", "length"),
    [
        ("2024-01-10", 3),  # the first day on which it is lost
        ("2024-04-05", 3),  # 90 days after the 6th
        ("2024-04-06", 3),  # 90 days after the 7th
        ("2024-04-07", None),
    ],
)
def test_a9_15_a_daily_streak_comes_back_from_the_last_90_days(today: str, length: int | None) -> None:
    sam = player().counts_through("2024-01-05", "2024-01-07")
    if length is None:
        refuses(sam, today)
    else:
        assert sam.asks(today, RESTORE).length == length


def test_a9_15_the_window_is_of_what_the_length_was_in_it() -> None:
    # of the longer streak, only a day is in the window, and that is its last
    sam = player().counts_through("2024-01-01", "2024-01-07").counts_on("2024-02-01", "2024-02-02")
    assert sam.asks("2024-04-06", RESTORE).length == 7
    sam = player().counts_through("2024-01-01", "2024-01-07").counts_on("2024-02-01", "2024-02-02")
    assert sam.asks("2024-04-07", RESTORE).length == 2


@pytest.mark.parametrize(
    ("counted", "today", "length"),
    [
        (("2024-01-01", "2024-01-10"), "2024-12-28", 2),  # within the year
        (("2023-12-24", "2023-12-31"), "2024-12-28", 2),  # the week of 2023-12-31 contains 2024-01-01
        (("2023-12-23", "2023-12-30"), "2024-12-28", None),
        (("2024-12-15", "2024-12-22"), "2025-01-12", None),  # of last year
        (("2024-12-25", "2024-12-31"), "2025-01-19", 2),  # the week of 2024-12-29 contains 2025-01-01
    ],
)
def test_a9_15_a_weekly_streak_comes_back_from_the_week_of_1_january_on(
    counted: tuple[str, ...], today: str, length: int | None
) -> None:
    sam = player("weekly").counts_on(*counted)
    if length is None:
        refuses(sam, today)
    else:
        assert sam.asks(today, RESTORE).length == length


@pytest.mark.parametrize(
    ("counted", "today", "length"),
    [
        (("2023-01-01",), "2024-12-31", 1),
        (("2022-12-31",), "2024-12-31", None),
        (("2022-12-31", "2023-01-31"), "2024-12-31", 2),
        (("2023-12-31", "2024-01-01"), "2025-01-01", 2),
        (("2023-12-31", "2024-01-01"), "2026-01-01", None),
    ],
)
def test_a9_15_a_monthly_streak_comes_back_from_the_start_of_last_year_on(
    counted: tuple[str, ...], today: str, length: int | None
) -> None:
    sam = player("monthly").counts_on(*counted)
    if length is None:
        refuses(sam, today)
    else:
        assert sam.asks(today, RESTORE).length == length


def test_a9_15_a_year_begins_where_the_user_is() -> None:
    old_year = player("weekly", "Pacific/Kiritimati").counts_on("2024-12-08", "2024-12-15")
    new_year = player("weekly", "Pacific/Kiritimati").counts_on("2024-12-08", "2024-12-15")
    assert old_year.asks_at(instant("2024-12-31T09:59:59.999"), RESTORE).length == 2
    with pytest.raises(Needless):
        new_year.asks_at(instant("2024-12-31T10:00"), RESTORE)


@pytest.mark.parametrize("length", [3, 4])
def test_q25_a_streak_that_is_as_long_as_the_longest_is_not_restored(length: int) -> None:
    sam = player().counts_through("2024-01-01", "2024-01-03")
    sam.counts_through("2024-01-10", f"2024-01-{9 + length}")
    refuses(sam, f"2024-01-{9 + length}T13:00")


def test_q25_a_shorter_streak_gives_way_to_the_longest() -> None:
    sam = player().counts_through("2024-01-01", "2024-01-03").counts_through("2024-01-10", "2024-01-11")
    assert sam.asks("2024-01-11T13:00", RESTORE).length == 3
    assert sam.sends("2024-01-12T12:00").user.streaks.daily.length == 4


def test_a9_15_there_is_nothing_to_restore_for_who_never_had_a_streak() -> None:
    sam = player()
    sam.sends("2024-01-15T12:00", "0")
    refuses(sam, "2024-02-15")
    refuses(player().counts_on("2024-01-15"), "2024-01-15T13:00")


def test_a9_15_the_frequency_in_force_is_restored() -> None:
    sam = player("weekly").counts_on("2024-01-08", "2024-01-15").asks("2024-02-15", RESTORE)
    assert sam.length == 2
    assert sam.adopts(StreakEntry("daily")).length == 0
    assert sam.adopts(StreakEntry("monthly")).length == 1


def test_a9_15_freezes_and_the_total_are_as_they_were() -> None:
    sam = Player(compiled(document(streak=frozen(2, 5)))).counts_on("2024-01-15", "2024-01-16")
    sam.waits("2024-01-25").asks("2024-01-25", RESTORE)
    assert (sam.length, sam.state.streaks.freezes, sam.state.totals) == (2, 0, {1: 2 * 10**9})


def test_a9_15_a_freeze_makes_up_for_the_period_after_a_restore() -> None:
    sam = Player(compiled(document(streak=frozen(0, 5, 7, 1)))).counts_on("2024-01-15").waits("2024-01-24")
    sam.asks("2024-01-24", RESTORE)  # one was earned on the 22nd
    assert sam.waits("2024-01-26").story(4) == "0 1 1f 1"
    assert sam.waits("2024-01-27").length == 0


def test_a4_5_who_wants_no_streaks_has_none_to_restore() -> None:
    sam = player().counts_on("2024-01-15", "2024-01-16").asks("2024-01-16T13:00", DISABLE)
    refuses(sam, "2024-01-20")


def test_a9_15_a_streak_can_be_restored_again_after_it_is_lost_again() -> None:
    sam = player().counts_through("2024-01-01", "2024-01-05").asks("2024-01-10", RESTORE).asks("2024-01-20", RESTORE)
    assert sam.length == 5
    refuses(sam, "2024-01-20")


def test_q30_periods_that_were_frozen_or_paused_are_within_a_streak_that_is_restored() -> None:
    sam = Player(compiled(document(streak=frozen(1, 5)))).counts_on("2024-01-01", "2024-01-02")
    sam.pauses("2024-01-02T13:00", "2024-01-03", "2024-01-05").counts_on("2024-01-07").waits("2024-01-20")
    assert sam.asks("2024-01-20", RESTORE).length == 3
    assert sam.view.started_day == day("2024-01-01")


# Reset


def test_a9_16_a_reset_sets_the_streak_to_zero_at_once() -> None:
    sam = player().counts_through("2024-01-10", "2024-01-14").asks("2024-01-14T13:00", RESET)
    view = sam.view
    assert (view.length, view.started_day, view.expires_day, view.extended_ms) == (0, None, None, None)
    assert view.period_start_day == view.period_end_day == day("2024-01-14")


def test_a9_16_a_reset_shows_in_the_history() -> None:
    sam = player().counts_through("2024-01-10", "2024-01-14").asks("2024-01-14T13:00", RESET)
    *before, current = sam.history(3)
    assert [period.reset_ms for period in before] == [None, None]
    assert (current.length, current.reset_ms) == (0, instant("2024-01-14T13:00"))
    *_, then, now = sam.waits("2024-01-15").history(3)
    assert (then.length, then.reset_ms, now.reset_ms) == (0, instant("2024-01-14T13:00"), None)
    assert sam.story(5) == "2 3 4 0 0"


def test_q32d_only_what_happens_after_a_reset_counts_in_the_same_period() -> None:
    sam = player().counts_through("2024-01-10", "2024-01-14").asks("2024-01-14T13:00", RESET)
    assert not sam.sends("2024-01-14T14:00", "0").streak_extended
    assert sam.sends("2024-01-14T15:00").streak_extended
    assert (sam.length, sam.view.started_day) == (1, day("2024-01-14"))
    assert sam.view.extended_ms == instant("2024-01-14T15:00")
    assert not sam.sends("2024-01-14T16:00").streak_extended
    assert sam.counts_on("2024-01-15").story(4) == "3 4 1 2"


def test_q32d_changes_from_before_a_reset_are_forgotten() -> None:
    sam = player()
    sam.sends("2024-01-14T12:00", "10")
    sam.asks("2024-01-14T13:00", RESET)
    assert sam.state.streaks.changes == {}
    assert not sam.sends("2024-01-14T14:00", "-1").streak_extended
    assert not sam.sends("2024-01-14T15:00", "1").streak_extended
    assert sam.sends("2024-01-14T16:00", "0.5").streak_extended
    assert sam.state.totals == {1: 10_500_000_000}


def test_q32d_a_day_that_was_reset_and_has_not_counted_is_as_good_as_missed() -> None:
    sam = player().counts_through("2024-01-10", "2024-01-14").asks("2024-01-14T13:00", RESET)
    assert sam.counts_on("2024-01-15").length == 1
    assert sam.view.started_day == day("2024-01-15")


@pytest.mark.parametrize("frequency", FREQUENCIES)
def test_q32d_a_reset_takes_every_frequency(frequency: Frequency) -> None:
    sam = player(frequency).counts_through("2024-01-10", "2024-01-14").asks("2024-01-14T13:00", RESET)
    for other in FREQUENCIES:
        sam.adopts(StreakEntry(other))
        assert sam.length == 0
        assert sam.history(1)[0].reset_ms == instant("2024-01-14T13:00")
    sam.sends("2024-01-14T15:00")
    assert {sam.adopts(StreakEntry(other)).length for other in FREQUENCIES} == {1}


def test_q32d_freezes_and_pauses_are_untouched() -> None:
    sam = Player(compiled(document(streak=frozen(2, 5)))).counts_on("2024-01-14")
    sam.pauses("2024-01-14T13:00", "2024-01-16", "2024-01-18").asks("2024-01-14T14:00", RESET)
    assert (sam.state.streaks.freezes, len(sam.state.streaks.pauses)) == (2, 1)
    assert sam.waits("2024-01-31").state.streaks.freezes == 2


def test_a9_16_there_is_nothing_to_reset_without_a_streak() -> None:
    sam = player()
    sam.sends("2024-01-14T12:00", "0")
    with pytest.raises(Needless, match=r"^No streak to reset$"):
        sam.asks("2024-01-14T13:00", RESET)
    lost = player().counts_on("2024-01-10")
    with pytest.raises(Needless, match=r"^No streak to reset$"):
        lost.asks("2024-01-14T13:00", RESET)
    twice = player().counts_on("2024-01-14").asks("2024-01-14T13:00", RESET)
    with pytest.raises(Needless, match=r"^No streak to reset$"):
        twice.asks("2024-01-14T13:00", RESET)


def test_a4_5_who_wants_no_streaks_has_none_to_reset() -> None:
    sam = player().counts_on("2024-01-14").asks("2024-01-14T13:00", DISABLE)
    with pytest.raises(Needless):
        sam.asks("2024-01-14T14:00", RESET)


def test_a9_15_a_streak_that_was_reset_can_be_restored() -> None:
    sam = player().counts_through("2024-01-10", "2024-01-14").asks("2024-01-15T13:00", RESET)
    sam.asks("2024-01-15T14:00", RESTORE)
    assert (sam.length, sam.view.started_day) == (5, day("2024-01-10"))
    assert sam.history(1)[0].reset_ms == instant("2024-01-15T13:00")
    assert sam.sends("2024-01-15T15:00").streak_extended
    assert sam.length == 6


def test_a9_16_a_streak_that_was_restored_can_be_reset() -> None:
    sam = player().counts_through("2024-01-10", "2024-01-14").asks("2024-01-20", RESTORE)
    assert sam.asks("2024-01-20T13:00", RESET).length == 0
    assert sam.waits("2024-01-22").story(4) == "0 0 0 0"


def test_a9_16_resets_are_remembered_up_to_a_limit() -> None:
    sam = player()
    for at in range(day("2024-01-01"), day("2024-01-01") + RESETS_MAX + 5):
        noon = (at - day("1970-01-01")) * 86_400_000 + 43_200_000
        sam.sends_at(noon)
        sam.asks_at(noon + 1, RESET)
    history = sam.history(RESETS_MAX + 5)
    assert [period.reset_ms is not None for period in history] == [False] * 5 + [True] * RESETS_MAX


def test_of_two_resets_of_a_period_the_last_one_shows() -> None:
    sam = player("weekly").counts_on("2024-01-15").asks("2024-01-15T13:00", RESET).counts_on("2024-01-16")
    sam.asks("2024-01-16T13:00", RESET)
    assert sam.history(1)[0].reset_ms == instant("2024-01-16T13:00")


def test_restores_and_resets_are_stored() -> None:
    sam = player().counts_through("2024-01-10", "2024-01-14").asks("2024-01-15T13:00", RESET)
    sam.asks("2024-01-15T14:00", RESTORE).waits("2024-01-16")
    assert decode_user(encode_user(sam.state)) == sam.state


def test_a9_15_what_began_with_a_reset_is_restored_from_there() -> None:
    sam = player().counts_through("2024-01-01", "2024-01-03").asks("2024-01-04", RESET)
    sam.counts_through("2024-01-04", "2024-01-08").asks("2024-01-12", RESTORE)
    assert (sam.length, sam.view.started_day) == (5, day("2024-01-04"))


def test_a9_15_what_was_restored_before_is_restored_from_where_it_began() -> None:
    sam = player().counts_through("2024-01-01", "2024-01-05").asks("2024-01-10", RESTORE)
    sam.counts_on("2024-01-11").asks("2024-01-20", RESTORE)
    assert (sam.length, sam.view.started_day) == (6, day("2024-01-01"))


def test_a9_15_a_reset_and_a_restore_of_one_period_keep_the_first_day() -> None:
    sam = player("weekly").counts_on("2024-01-02", "2024-01-09", "2024-01-16").asks("2024-01-17", RESET)
    sam.asks("2024-01-18", RESTORE).waits("2024-02-12").asks("2024-02-12", RESTORE)
    assert (sam.length, sam.view.started_day) == (2, day("2023-12-31"))
