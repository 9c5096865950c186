"""Days off (2024-01-15 is a Monday, 2024-01-20 a Saturday)."""

import pytest
from msgspec.structs import replace

from plaudit.engine.catalog import Frequency
from plaudit.engine.commands import StreakPreferenceFields, UpdatePreferences
from plaudit.engine.document import StreakEntry
from tests.engine.builders import Player, compiled, day, document, frozen, instant

WEEKEND = (0, 6)


def player(*days_off: int, zone: str = "UTC", customization: bool = False) -> Player:
    return Player(compiled(document(streak=entry(*days_off, customization=customization))), zone)


def entry(*days_off: int, customization: bool = False) -> StreakEntry:
    return StreakEntry(days_off=days_off, customization_enabled=customization)


def wants(sam: Player, local: str, *days_off: int) -> Player:
    return sam.asks(local, UpdatePreferences("sam", streak=StreakPreferenceFields(days_off=days_off)))


@pytest.mark.parametrize(
    ("weekday", "at"),
    [
        (0, "2024-01-21"),
        (1, "2024-01-22"),
        (2, "2024-01-23"),
        (3, "2024-01-24"),
        (4, "2024-01-25"),
        (5, "2024-01-26"),
        (6, "2024-01-27"),
    ],
)
def test_a9_17_days_of_the_week_are_numbered_from_sunday(weekday: int, at: str) -> None:
    missed = day(at)
    sam = player(weekday)
    sam.sends_at((missed - 1 - day("1970-01-01")) * 86_400_000)
    assert sam.waits_until(sam.now_ms + 2 * 86_400_000).length == 1
    assert sam.waits_until(sam.now_ms + 86_400_000).length == 0


def test_a9_17_a_day_off_is_not_missed_and_repeats_the_length() -> None:
    sam = player(*WEEKEND).counts_through("2024-01-17", "2024-01-19")
    assert sam.waits("2024-01-22").story(6) == "1 2 3 3 3 3"
    assert sam.waits("2024-01-23").length == 0


def test_a9_17_a_streak_can_be_increased_on_a_day_off() -> None:
    sam = player(*WEEKEND).counts_through("2024-01-18", "2024-01-19")
    assert sam.sends("2024-01-20T12:00").streak_extended
    assert sam.waits("2024-01-22").story(5) == "1 2 3 3 3"


def test_a9_17_a_streak_can_begin_on_a_day_off() -> None:
    sam = player(*WEEKEND).counts_on("2024-01-20")
    assert sam.waits("2024-01-22").length == 1


def test_a9_17_a_day_off_starts_nothing_and_brings_nothing_back() -> None:
    sam = player(*WEEKEND).counts_on("2024-01-15").waits("2024-01-22")
    assert sam.story(4) == "0 0 0 0"


def test_a9_17_a_day_off_is_one_in_the_users_zone() -> None:
    sam = player(*WEEKEND, zone="Asia/Kathmandu").counts_on("2024-01-19")
    assert sam.waits_until(instant("2024-01-22T18:14:59.999")).length == 1  # Monday until then
    assert sam.waits_until(instant("2024-01-22T18:15")).length == 0


@pytest.mark.parametrize(
    ("days_off", "today", "expires"),
    [
        (WEEKEND, "2024-01-18", "2024-01-19"),
        (WEEKEND, "2024-01-19", "2024-01-22"),
        (WEEKEND, "2024-01-20", "2024-01-22"),
        ((1, 2, 3, 4, 5, 6), "2024-01-14", "2024-01-21"),
    ],
)
def test_q29_days_off_push_the_day_of_expiry_to_the_next_one_that_counts(
    days_off: tuple[int, ...], today: str, expires: str
) -> None:
    assert player(*days_off).counts_on(today).view.expires_day == day(expires)


def test_q29_days_off_and_pauses_push_it_together() -> None:
    sam = player(*WEEKEND).counts_on("2024-01-19").pauses("2024-01-19T13:00", "2024-01-22", "2024-01-26")
    assert sam.view.expires_day == day("2024-01-29")
    assert sam.waits("2024-01-29T23:59:59.999").length == 1
    assert sam.waits("2024-01-30").length == 0


def test_q29_on_a_day_off_that_has_not_counted_the_next_counted_day_is_the_last() -> None:
    sam = player(*WEEKEND).counts_on("2024-01-19").waits("2024-01-20")
    assert sam.view.expires_day == day("2024-01-22")


def test_a9_17_without_days_off_no_day_is_off() -> None:
    assert player().counts_on("2024-01-19").waits("2024-01-21").length == 0


@pytest.mark.parametrize("frequency", ["weekly", "monthly"])
def test_a4_6_days_off_of_a_user_have_no_effect_unless_the_frequency_is_daily(frequency: Frequency) -> None:
    sam = wants(player(customization=True).counts_on("2024-01-15"), "2024-01-15T13:00", 0, 1, 2, 3, 4, 5)
    sam.adopts(StreakEntry(frequency, customization_enabled=True))
    assert sam.waits("2024-03-01").length == 0
    assert sam.view.expires_day is None


def test_a9_17_days_off_of_the_settings_are_those_in_force_when_the_day_ends() -> None:
    sam = player(*WEEKEND).counts_on("2024-01-19").waits("2024-01-20T12:00")
    sam.adopts(entry(6))
    assert sam.waits("2024-01-22").length == 0
    sam = player().counts_on("2024-01-19").adopts(entry(*WEEKEND)).waits("2024-01-22")
    assert sam.length == 1


def test_a4_4_days_off_of_a_user_replace_those_of_the_settings() -> None:
    sam = wants(player(*WEEKEND, customization=True).counts_on("2024-01-19"), "2024-01-19T13:00", 6)
    assert sam.view.expires_day == day("2024-01-21")
    assert sam.waits("2024-01-22").length == 0


def test_a4_4_a_user_may_want_no_days_off() -> None:
    sam = wants(player(*WEEKEND, customization=True).counts_on("2024-01-19"), "2024-01-19T13:00")
    assert sam.waits("2024-01-21").length == 0


def test_a4_4_days_off_of_a_user_have_no_effect_once_customization_is_off() -> None:
    sam = wants(player(*WEEKEND, customization=True).counts_on("2024-01-19"), "2024-01-19T13:00", 6)
    sam.adopts(entry(*WEEKEND))
    assert sam.waits("2024-01-22").length == 1


def test_a4_6_a_day_off_leaves_a_freeze_for_the_day_that_needs_it() -> None:
    sam = Player(compiled(document(streak=replace(frozen(1, 1), days_off=WEEKEND)))).counts_on("2024-01-19")
    assert sam.waits("2024-01-23").story(5) == "1 1 1 1f 1"


def test_a9_17_a_pause_of_a_day_off_is_seen_as_a_pause() -> None:
    sam = player(*WEEKEND).counts_on("2024-01-19").pauses("2024-01-19T13:00", "2024-01-20", "2024-01-20")
    assert sam.waits("2024-01-22").story(4) == "1 1p 1 1"
