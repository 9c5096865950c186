"""A streak's past as it is seen (2024-01-14 is a Sunday)."""

from datetime import date

import pytest

from plaudit.engine.catalog import Frequency
from plaudit.engine.document import StreakEntry
from plaudit.engine.streak_history import PERIODS_MAX, PeriodView
from plaudit.engine.trail import BYTES_MAX
from tests.engine.builders import Player, compiled, day, document, frozen

DAY_MS = 86_400_000


def player(frequency: Frequency = "daily", zone: str = "UTC") -> Player:
    return Player(compiled(document(streak=StreakEntry(frequency))), zone)


def ends(sam: Player, periods: int) -> list[tuple[str, str]]:
    return [
        (date.fromordinal(period.period_start_day).isoformat(), date.fromordinal(period.period_end_day).isoformat())
        for period in sam.history(periods)
    ]


def test_a9_20_the_history_is_ascending_and_ends_with_the_current_period() -> None:
    sam = player().counts_on("2024-01-13", "2024-01-14", "2024-01-15")
    assert ends(sam, 3) == [("2024-01-13",) * 2, ("2024-01-14",) * 2, ("2024-01-15",) * 2]
    weekly = player("weekly").counts_on("2024-01-15")
    assert ends(weekly, 3) == [
        ("2023-12-31", "2024-01-06"),
        ("2024-01-07", "2024-01-13"),
        ("2024-01-14", "2024-01-20"),
    ]
    monthly = player("monthly").counts_on("2024-03-15")
    assert ends(monthly, 4) == [
        ("2023-12-01", "2023-12-31"),
        ("2024-01-01", "2024-01-31"),
        ("2024-02-01", "2024-02-29"),
        ("2024-03-01", "2024-03-31"),
    ]


@pytest.mark.parametrize("periods", [0, 1, 7, PERIODS_MAX])
def test_a9_20_it_is_as_long_as_it_is_asked_for(periods: int) -> None:
    for frequency in ("daily", "weekly", "monthly"):
        assert len(player(frequency).counts_on("2024-01-15").history(periods)) == periods


def test_a9_20_lengths_are_those_of_the_periods_and_0_for_missed_ones() -> None:
    sam = player().counts_on("2024-01-10", "2024-01-11", "2024-01-14", "2024-01-15").waits("2024-01-16")
    assert sam.story(9) == "0 0 1 2 0 0 1 2 2"
    assert sam.waits("2024-01-17").story(4) == "1 2 0 0"


def test_a9_20_before_the_user_there_was_nothing() -> None:
    assert player().counts_on("2024-01-15").story(5) == "0 0 0 0 1"


def test_a9_20_a_current_period_that_has_not_counted_has_the_length_of_the_last() -> None:
    sam = player().counts_on("2024-01-14", "2024-01-15").waits("2024-01-16")
    assert sam.history(1) == [PeriodView(day("2024-01-16"), day("2024-01-16"), 2, False, False, None)]


def test_a9_9_a9_13_a9_16_how_a_period_ended_is_seen() -> None:
    sam = Player(compiled(document(streak=frozen(1, 5)))).counts_on("2024-01-15")
    sam.pauses("2024-01-15T13:00", "2024-01-17", "2024-01-17").waits("2024-01-18")
    assert [(p.used_freeze, p.used_pause) for p in sam.history(4)] == [
        (False, False),
        (True, False),
        (False, True),
        (False, False),
    ]


@pytest.mark.parametrize("frequency", ["daily", "weekly", "monthly"])
def test_q30_the_history_is_in_whichever_frequency_is_in_force(frequency: Frequency) -> None:
    sam = player().counts_through("2023-12-30", "2024-01-16").adopts(StreakEntry(frequency))
    assert sam.story(3) == {"daily": "16 17 18", "weekly": "2 3 4", "monthly": "0 1 2"}[frequency]


def test_a9_20_a_year_of_a_streak_is_seen_to_its_first_day() -> None:
    sam = player()
    noon = (day("2023-01-01") - day("1970-01-01")) * DAY_MS + DAY_MS // 2
    for at in range(400):
        sam.sends_at(noon + at * DAY_MS)
    assert [period.length for period in sam.history(PERIODS_MAX)] == list(range(36, 401))


def test_a9_20_a_year_of_ups_and_downs_is_seen_to_its_first_day() -> None:
    sam = Player(compiled(document(streak=frozen(100, 100, 1, 10))))
    noon = (day("2024-01-01") - day("1970-01-01")) * DAY_MS + DAY_MS // 2
    days = 2 * BYTES_MAX + 1
    for at in range(0, days, 2):  # every other day a freeze is used
        sam.sends_at(noon + at * DAY_MS)
    history = sam.history(PERIODS_MAX)
    length = (days + 1) // 2
    assert [period.length for period in history[::-1]] == [length - (at + 1) // 2 for at in range(PERIODS_MAX)]
    assert [period.used_freeze for period in history[::-1]] == [at % 2 == 1 for at in range(PERIODS_MAX)]
    assert sam.view.started_day == day("2024-01-01")


def test_q32_a_day_that_a_move_skips_repeats_the_length() -> None:
    sam = player(zone="Pacific/Honolulu").counts_on("2024-03-10", "2024-03-11")
    sam.sends("2024-03-13T10:00", zone="Pacific/Kiritimati")
    assert sam.story(4) == "1 2 2 3"


def test_q32_a_day_that_is_lived_twice_is_one_period() -> None:
    sam = player(zone="Pacific/Kiritimati").counts_on("2024-03-12")
    sam.sends("2024-03-11T13:00", zone="Pacific/Honolulu")
    assert sam.story(3) == "0 0 1"
    assert sam.history(1)[0].period_start_day == day("2024-03-12")


def test_a9_20_after_a_long_absence_there_is_nothing_to_see() -> None:
    sam = player().counts_through("2024-01-10", "2024-01-15").waits("2034-01-15")
    assert {period.length for period in sam.history(PERIODS_MAX)} == {0}
    assert sam.counts_on("2034-01-15").story(2) == "0 1"
