import pytest

from plaudit.engine.document import StreakEntry
from plaudit.engine.process import process
from plaudit.engine.streaks import StreakView
from plaudit.engine.user import Streak
from tests.engine.builders import Player, compiled, day, document, event, instant, streak


def player(condition: StreakEntry | None = None, zone: str = "UTC") -> Player:
    """A user under a streak condition; any positive change by default."""
    return Player(compiled(document(streak=condition or StreakEntry())), zone)


def view(length: int, started: str | None, today: str, expires: str | None, extended: str | None) -> StreakView:
    """What is seen of a daily streak without freezes; dates and a time."""
    return StreakView(
        length,
        "daily",
        None if started is None else day(started),
        day(today),
        day(today),
        None if expires is None else day(expires),
        None if extended is None else instant(extended),
        None,
        None,
        None,
        None,
    )


def nothing_on(today: str) -> StreakView:
    return view(0, None, today, None, None)


def test_a9_3_the_first_day_starts_a_streak_of_one() -> None:
    outcome = player().sends("2024-01-15T09:30")
    today = day("2024-01-15")
    assert outcome.streak_extended
    assert outcome.user.streaks.daily == Streak(1, today, instant("2024-01-15T09:30"), counted=True)


def test_a9_3_each_day_after_makes_it_one_longer() -> None:
    sam = player()
    for date in range(15, 31):
        outcome = sam.sends(f"2024-01-{date}T09:30")
        assert outcome.streak_extended
        assert outcome.user.streaks.daily.length == date - 14
    assert outcome.user.streaks.daily.started_day == day("2024-01-15")


def test_a9_3_a_day_counts_once() -> None:
    sam = player()
    first = sam.sends("2024-01-15T00:00")
    for local in ("2024-01-15T00:00", "2024-01-15T12:00", "2024-01-15T23:59:59.999"):
        again = sam.sends(local)
        assert not again.streak_extended
        assert again.user.streaks.daily == first.user.streaks.daily
    assert sam.sends("2024-01-16T00:00").streak_extended


def test_a9_8_a_missed_day_loses_the_streak_and_the_next_event_starts_another() -> None:
    sam = player()
    assert sam.streak_after("2024-01-15T12:00", "2024-01-16T12:00", "2024-01-18T00:00") == 1
    assert sam.view.started_day == day("2024-01-18")


def test_a9_8_two_days_apart_by_the_clock_need_not_be_a_missed_day() -> None:
    assert player().streak_after("2024-01-15T00:00", "2024-01-16T23:59:59.999") == 2


def test_a9_8_an_event_that_does_not_count_shows_that_the_streak_is_lost() -> None:
    sam = player()
    sam.sends("2024-01-15T12:00")
    lost = sam.sends("2024-01-17T12:00", "0").user.streaks.daily
    assert (lost.length, lost.counted) == (0, False)
    assert sam.view == nothing_on("2024-01-17")


@pytest.mark.parametrize("value", ["0", "-1", "-0.000000001"])
def test_q16_q32_nothing_or_less_does_not_count(value: str) -> None:
    outcome = player().sends("2024-01-15T12:00", value)
    assert not outcome.streak_extended
    assert outcome.user.streaks.daily == outcome.user.streaks.weekly == outcome.user.streaks.monthly == Streak()


def test_q32b_without_settings_any_positive_change_of_any_metric_counts() -> None:
    sam = player()
    assert sam.sends("2024-01-15T12:00", "0.000000001", "pages").streak_extended
    assert sam.sends("2024-01-16T12:00", "5", "steps").user.streaks.daily.length == 2


def test_q32_the_change_within_the_day_is_net() -> None:
    sam = player()
    sam.sends("2024-01-15T10:00", "-5")
    assert not sam.sends("2024-01-15T11:00", "5").streak_extended
    assert sam.sends("2024-01-15T12:00", "0.5").streak_extended


def test_q32_a_decrease_of_one_metric_does_not_cancel_another() -> None:
    sam = player()
    sam.sends("2024-01-15T10:00", "-5", "words")
    assert sam.sends("2024-01-15T11:00", "1", "pages").streak_extended


def test_q32_a_day_that_has_counted_stays_counted() -> None:
    sam = player()
    sam.sends("2024-01-15T10:00", "5")
    assert sam.sends("2024-01-15T11:00", "-50").user.streaks.daily.length == 1
    assert not sam.sends("2024-01-15T12:00", "100").streak_extended
    assert sam.sends("2024-01-16T10:00", "1").user.streaks.daily.length == 2


def test_q32_changes_of_yesterday_do_not_count_today() -> None:
    sam = player(streak(words=10))
    sam.sends("2024-01-15T23:59", "9")
    assert not sam.sends("2024-01-16T00:00", "9").streak_extended
    assert sam.sends("2024-01-16T00:01", "1").streak_extended


def test_a9_2_the_change_must_reach_the_threshold() -> None:
    sam = player(streak(words=10))
    assert not sam.sends("2024-01-15T10:00", "9.999999999").streak_extended
    assert sam.sends("2024-01-15T11:00", "0.000000001").streak_extended


def test_a9_2_metrics_that_are_not_configured_do_not_count() -> None:
    sam = player(streak(words=10))
    assert not sam.sends("2024-01-15T10:00", "1000", "steps").streak_extended


@pytest.mark.parametrize("metric", ["words", "pages"])
def test_a9_2_or_needs_one_of_the_metrics(metric: str) -> None:
    assert player(streak("OR", words=10, pages=10)).sends("2024-01-15T10:00", "10", metric).streak_extended


def test_a9_2_and_needs_all_of_the_metrics_on_the_same_day() -> None:
    sam = player(streak("AND", words=10, pages=2))
    assert not sam.sends("2024-01-15T10:00", "10", "words").streak_extended
    assert not sam.sends("2024-01-16T10:00", "2", "pages").streak_extended
    assert sam.sends("2024-01-16T11:00", "10", "words").streak_extended


def test_a9_2_and_is_not_met_once_one_metric_has_gone_back() -> None:
    sam = player(streak("AND", words=10, pages=2))
    sam.sends("2024-01-15T10:00", "10", "words")
    sam.sends("2024-01-15T11:00", "-1", "words")
    assert not sam.sends("2024-01-15T12:00", "2", "pages").streak_extended


def test_a_new_condition_applies_from_the_next_event() -> None:
    sam = player(streak(words=10))
    before = sam.sends("2024-01-15T10:00", "5").user
    eased = compiled(document(streak=streak(words=5)))
    assert process(before, event("0"), eased, instant("2024-01-15T11:00")).streak_extended


def test_q28_without_a_streak_there_is_only_the_current_day() -> None:
    sam = player()
    sam.sends("2024-01-15T10:00", "0")
    assert sam.view == nothing_on("2024-01-15")


def test_a9_5_q29_a_streak_extended_today_expires_at_the_end_of_tomorrow() -> None:
    sam = player()
    sam.sends("2024-01-15T10:00")
    assert sam.view == view(1, "2024-01-15", "2024-01-15", "2024-01-16", "2024-01-15T10:00")


def test_q29_a_streak_not_yet_extended_today_expires_at_the_end_of_today() -> None:
    sam = player()
    sam.sends("2024-01-15T10:00")
    sam.sends("2024-01-16T10:00", "0")
    assert sam.view == view(1, "2024-01-15", "2024-01-16", "2024-01-16", "2024-01-15T10:00")
