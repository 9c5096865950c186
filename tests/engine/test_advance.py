import pytest

from plaudit.engine.advance import advance
from plaudit.engine.user import Period, Profile, Streak, User
from tests.engine.builders import CREATED_MS, day, instant

TODAY = day("2024-01-15")
COUNTED = Streak(4, TODAY - 3, TODAY, 77)
CHANGES = {1: 5, 2: -3}


def user(streak: Streak = COUNTED, tz: str | None = None) -> User:
    return User(Profile(CREATED_MS, CREATED_MS, tz=tz), {1: 50}, {1: 9}, {1: 3}, streak, Period(TODAY, CHANGES))


@pytest.mark.parametrize("local", ["2024-01-15T00:00", "2024-01-15T23:59:59.999"])
def test_within_the_day_nothing_changes(local: str) -> None:
    before = user()
    assert advance(before, instant(local)) is before


@pytest.mark.parametrize("local", ["2024-01-14T23:59:59", "2023-06-01T00:00"])
def test_a_day_never_goes_backwards(local: str) -> None:
    before = user()
    assert advance(before, instant(local)) is before


def test_a9_8_the_next_day_is_a_new_period_and_keeps_the_streak() -> None:
    after = advance(user(), instant("2024-01-16T00:00"))
    assert (after.period, after.streak) == (Period(TODAY + 1), COUNTED)


@pytest.mark.parametrize("local", ["2024-01-17T00:00", "2024-03-01T12:00"])
def test_a9_8_a_streak_that_missed_a_day_is_lost(local: str) -> None:
    after = advance(user(), instant(local))
    assert after.streak == Streak()
    assert after.period == Period(day(local[:10]))


def test_a9_8_a_day_that_was_not_counted_is_missed_when_it_ends() -> None:
    pending = Streak(4, TODAY - 4, TODAY - 1, 77)
    assert advance(user(pending), instant("2024-01-15T23:59:59.999")).streak == pending
    assert advance(user(pending), instant("2024-01-16T00:00")).streak == Streak()


def test_a9_1_days_end_at_midnight_in_the_users_zone() -> None:
    before = user(tz="Asia/Kathmandu")
    assert advance(before, instant("2024-01-15T23:59:59.999", "Asia/Kathmandu")) is before
    assert advance(before, instant("2024-01-16T00:00", "Asia/Kathmandu")).period.day == TODAY + 1


def test_time_alone_touches_the_day_and_the_streak_only() -> None:
    before = user()
    after = advance(before, instant("2024-01-20T00:00"))
    assert (after.profile, after.totals, after.completions, after.points) == (before.profile, {1: 50}, {1: 9}, {1: 3})
    assert before == user()
