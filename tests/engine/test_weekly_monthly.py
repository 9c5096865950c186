"""Weekly and monthly streaks, and changes of the frequency (2024-01-14 is a Sunday)."""

from datetime import date

import pytest

from plaudit.engine.catalog import Frequency
from plaudit.engine.document import StreakEntry, StreakMetricEntry
from tests.engine.builders import Mode, Player, compiled, day, document, instant

FREQUENCIES: tuple[Frequency, ...] = ("daily", "weekly", "monthly")


def player(frequency: Frequency, mode: Mode = "OR", zone: str = "UTC", **thresholds: int) -> Player:
    metrics = tuple(StreakMetricEntry(key, threshold) for key, threshold in thresholds.items())
    return Player(compiled(document(streak=StreakEntry(frequency, mode, metrics=metrics))), zone)


def lengths(sam: Player) -> tuple[int, int, int]:
    """What the streak is under each frequency."""
    shown = [sam.adopts(StreakEntry(frequency)).length for frequency in FREQUENCIES]
    return shown[0], shown[1], shown[2]


def seen(sam: Player) -> list[str | None]:
    """Where the streak started, the ends of the period, and the day on which it expires."""
    view = sam.view
    days = (view.started_day, view.period_start_day, view.period_end_day, view.expires_day)
    return [None if at is None else date.fromordinal(at).isoformat() for at in days]


@pytest.mark.parametrize(
    ("dates", "length"),
    [
        (("2024-01-14",), 1),
        (("2024-01-14", "2024-01-20"), 1),  # Sunday and Saturday of a week
        (("2024-01-20", "2024-01-21"), 2),  # Saturday and Sunday
        (("2024-01-14", "2024-01-27"), 2),  # 13 days apart
        (("2024-01-20", "2024-01-28"), 1),  # 8 days apart, a week between
        (("2024-01-14", "2024-01-24", "2024-02-03"), 3),
        (("2023-12-31", "2024-01-06"), 1),  # one week of two years
        (("2023-12-30", "2024-01-06"), 2),
    ],
)
def test_a9_3_q27_a_weekly_streak_grows_once_in_each_week_from_sunday(dates: tuple[str, ...], length: int) -> None:
    sam = player("weekly").counts_on(*dates)
    assert (sam.length, sam.view.frequency) == (length, "weekly")


@pytest.mark.parametrize(
    ("dates", "length"),
    [
        (("2024-01-01", "2024-01-31"), 1),
        (("2024-01-31", "2024-02-01"), 2),
        (("2024-01-01", "2024-02-29"), 2),
        (("2023-11-01", "2023-12-31", "2024-01-01", "2024-02-15"), 4),
        (("2024-01-31", "2024-03-01"), 1),
    ],
)
def test_a9_3_a_monthly_streak_grows_once_in_each_month(dates: tuple[str, ...], length: int) -> None:
    sam = player("monthly").counts_on(*dates)
    assert (sam.length, sam.view.frequency) == (length, "monthly")


@pytest.mark.parametrize("frequency", FREQUENCIES)
def test_a9_3_extended_is_told_of_the_frequency_in_force(frequency: Frequency) -> None:
    sam = player(frequency)
    dates = ("2024-01-15", "2024-01-15", "2024-01-16", "2024-01-22", "2024-02-01")
    extended = [sam.sends(f"{at}T12:00").streak_extended for at in dates]
    assert (
        extended
        == {
            "daily": [True, False, True, True, True],
            "weekly": [True, False, False, True, True],
            "monthly": [True, False, False, False, True],
        }[frequency]
    )


def test_a9_8_a_week_that_was_missed_loses_the_streak_when_it_ends() -> None:
    sam = player("weekly").counts_on("2024-01-15")
    assert sam.waits("2024-01-27T23:59:59.999").length == 1
    assert sam.waits("2024-01-28T00:00").length == 0


def test_a9_8_a_month_that_was_missed_loses_the_streak_when_it_ends() -> None:
    sam = player("monthly").counts_on("2024-01-15")
    assert sam.waits("2024-02-29T23:59:59.999").length == 1
    assert sam.waits("2024-03-01T00:00").length == 0


def test_a9_1_weeks_and_months_end_at_midnight_in_the_users_zone() -> None:
    weekly = player("weekly", zone="Asia/Kathmandu").counts_on("2024-01-15")
    assert weekly.waits_until(instant("2024-01-27T18:14:59.999")).length == 1
    assert weekly.waits_until(instant("2024-01-27T18:15")).length == 0
    monthly = player("monthly", zone="America/St_Johns").counts_on("2024-01-15")
    assert monthly.waits_until(instant("2024-03-01T03:29:59.999")).length == 1
    assert monthly.waits_until(instant("2024-03-01T03:30")).length == 0


@pytest.mark.parametrize("zone", ["America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "America/Havana"])
@pytest.mark.parametrize("change", ["2024-03-10", "2024-04-07", "2024-04-26", "2024-10-06", "2024-11-03"])
def test_a9_1_a_week_in_which_clocks_change_ends_with_its_saturday(zone: str, change: str) -> None:
    sunday = day(change) - day(change) % 7
    saturday = date.fromordinal(sunday + 6).isoformat()
    sam = player("weekly", zone=zone).counts_on(date.fromordinal(sunday - 7).isoformat())
    assert sam.sends(f"{saturday}T23:59:59.999").streak_extended
    assert sam.sends(f"{date.fromordinal(sunday + 7).isoformat()}T00:00").streak_extended
    assert sam.length == 3


@pytest.mark.parametrize(
    ("frequency", "today", "expected"),
    [
        ("daily", "2024-01-16", ["2024-01-15", "2024-01-16", "2024-01-16", "2024-01-17"]),
        ("weekly", "2024-01-16", ["2024-01-15", "2024-01-14", "2024-01-20", "2024-01-27"]),
        ("monthly", "2024-01-16", ["2024-01-15", "2024-01-01", "2024-01-31", "2024-02-29"]),
    ],
)
def test_a9_5_q29_after_an_extension_a_streak_expires_with_the_next_period(
    frequency: Frequency, today: str, expected: list[str]
) -> None:
    assert seen(player(frequency).counts_on("2024-01-15", today)) == expected


@pytest.mark.parametrize(
    ("frequency", "today", "expected"),
    [
        ("daily", "2024-01-17", ["2024-01-15", "2024-01-17", "2024-01-17", "2024-01-17"]),
        ("weekly", "2024-01-21", ["2024-01-15", "2024-01-21", "2024-01-27", "2024-01-27"]),
        ("weekly", "2024-01-27", ["2024-01-15", "2024-01-21", "2024-01-27", "2024-01-27"]),
        ("monthly", "2024-02-01", ["2024-01-15", "2024-02-01", "2024-02-29", "2024-02-29"]),
    ],
)
def test_q29_before_an_extension_a_streak_expires_with_its_period(
    frequency: Frequency, today: str, expected: list[str]
) -> None:
    assert seen(player(frequency).counts_on("2024-01-15", "2024-01-16").waits(today)) == expected


@pytest.mark.parametrize(
    ("frequency", "expected"),
    [
        ("daily", [None, "2024-05-15", "2024-05-15", None]),
        ("weekly", [None, "2024-05-12", "2024-05-18", None]),
        ("monthly", [None, "2024-05-01", "2024-05-31", None]),
    ],
)
def test_q28_without_a_streak_there_is_only_the_current_period(
    frequency: Frequency, expected: list[str | None]
) -> None:
    sam = player(frequency).counts_on("2024-01-15").waits("2024-05-15")
    assert seen(sam) == expected
    assert (sam.length, sam.view.extended_ms) == (0, None)


def test_a9_7_extended_is_when_the_period_first_counted() -> None:
    sam = player("weekly").counts_on("2024-01-15", "2024-01-16", "2024-01-23", "2024-01-24")
    assert sam.view.extended_ms == instant("2024-01-23T12:00")
    assert sam.waits("2024-01-30").view.extended_ms == instant("2024-01-23T12:00")


def test_a9_6_started_is_the_day_on_which_the_first_period_counted() -> None:
    sam = player("monthly").counts_on("2024-01-15", "2024-01-20", "2024-02-03")
    assert sam.view.started_day == day("2024-01-15")
    assert sam.counts_on("2024-05-31").view.started_day == day("2024-05-31")


def test_a9_2_the_change_is_that_of_the_whole_period() -> None:
    weekly = player("weekly", words=10)
    for at in ("2024-01-14", "2024-01-15", "2024-01-20"):
        outcome = weekly.sends(f"{at}T12:00", "4")
    assert outcome.streak_extended
    monthly = player("monthly", words=10)
    assert not monthly.sends("2024-01-01T00:00", "9").streak_extended
    assert monthly.sends("2024-01-31T23:59", "1").streak_extended


def test_a9_2_changes_of_the_last_period_do_not_count() -> None:
    weekly = player("weekly", words=10)
    weekly.sends("2024-01-20T23:59", "9")
    assert not weekly.sends("2024-01-21T00:00", "9").streak_extended
    assert weekly.sends("2024-01-22T00:00", "1").streak_extended
    monthly = player("monthly", words=10)
    monthly.sends("2024-01-31T23:59", "9")
    assert not monthly.sends("2024-02-01T00:00", "9").streak_extended
    assert monthly.sends("2024-02-29T00:00", "1").streak_extended


def test_a9_2_and_is_met_on_different_days_of_a_week() -> None:
    sam = player("weekly", "AND", words=10, pages=2)
    assert not sam.sends("2024-01-15T10:00", "10", "words").streak_extended
    assert sam.sends("2024-01-18T10:00", "2", "pages").streak_extended
    assert not sam.sends("2024-01-22T10:00", "2", "pages").streak_extended


def test_q32_a_decrease_takes_from_the_week_and_the_month_until_they_have_counted() -> None:
    for frequency in FREQUENCIES[1:]:
        sam = player(frequency, words=10)
        sam.sends("2024-01-15T10:00", "9")
        sam.sends("2024-01-16T10:00", "-5")
        assert not sam.sends("2024-01-17T10:00", "5").streak_extended
        assert sam.sends("2024-01-18T10:00", "1").streak_extended
        assert sam.sends("2024-01-19T10:00", "-100").user.streaks.weekly.length == 1
        assert sam.length == 1


def test_a9_1_all_frequencies_are_kept_at_once() -> None:
    sam = player("daily").counts_on("2023-12-30", "2024-01-06", "2024-01-08", "2024-01-14", "2024-01-15")
    assert lengths(sam) == (2, 4, 2)
    assert lengths(sam.waits("2024-01-18")) == (0, 4, 2)
    assert lengths(sam.waits("2024-01-28")) == (0, 0, 2)
    assert lengths(sam.waits("2024-03-01")) == (0, 0, 0)


def test_a9_1_the_frequency_may_change_at_any_time_without_losing_history() -> None:
    sam = player("daily").counts_through("2024-01-01", "2024-01-16")
    assert (sam.length, sam.story(3)) == (16, "14 15 16")
    sam.adopts(StreakEntry("monthly"))
    assert (sam.length, sam.story(3)) == (1, "0 0 1")
    sam.counts_through("2024-01-17", "2024-02-02")
    assert (sam.length, sam.story(3)) == (2, "0 1 2")
    sam.adopts(StreakEntry("weekly"))
    assert (sam.length, sam.story(7)) == (5, "0 0 1 2 3 4 5")
    sam.adopts(StreakEntry("daily"))
    assert (sam.length, sam.story(3)) == (33, "31 32 33")


def test_a9_3_a_new_frequency_applies_to_the_period_that_is_under_way() -> None:
    sam = player("weekly").counts_on("2024-01-15")
    sam.adopts(StreakEntry("daily"))
    assert sam.view.expires_day == day("2024-01-16")
    assert sam.sends("2024-01-16T12:00").streak_extended
    assert sam.length == 2
    sam.adopts(StreakEntry("weekly"))
    assert not sam.sends("2024-01-17T12:00").streak_extended
    assert (sam.length, sam.view.expires_day) == (1, day("2024-01-27"))


def test_a9_1_all_frequencies_count_by_the_condition_that_was_in_force() -> None:
    sam = player("daily", words=10)
    sam.sends("2024-01-15T12:00", "6")
    sam.sends("2024-01-16T12:00", "6")
    assert lengths(sam) == (0, 1, 1)


def test_q32_a_user_who_moves_east_over_the_end_of_a_week_does_not_lose_it() -> None:
    sam = player("weekly", zone="America/Los_Angeles").counts_on("2024-01-10")
    sam.sends("2024-01-21T12:00", "0", zone="Asia/Tokyo")  # the 20th, a Saturday, in Los Angeles
    assert sam.length == 1
    assert sam.sends("2024-01-27T23:59").streak_extended
    assert sam.length == 2


def test_q32_a_user_who_moves_west_over_the_end_of_a_month_is_still_in_the_new_one() -> None:
    sam = player("monthly", zone="Asia/Tokyo").counts_on("2024-01-20")
    assert sam.sends("2024-02-01T08:00").streak_extended
    assert not sam.sends("2024-01-31T18:00", zone="America/Los_Angeles").streak_extended
    assert not sam.sends("2024-02-29T23:00").streak_extended
    assert sam.sends("2024-03-01T00:00").streak_extended
    assert sam.length == 3


def test_q32_a_week_that_began_elsewhere_keeps_its_changes() -> None:
    sam = player("weekly", zone="America/Los_Angeles", words=10)
    sam.sends("2024-01-15T12:00", "6")
    assert sam.sends("2024-01-18T12:00", "4", zone="Asia/Tokyo").streak_extended
