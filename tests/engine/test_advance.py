"""Time alone: periods end, and what follows does not depend on how often somebody looked."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from plaudit.engine import trail
from plaudit.engine.advance import advance
from plaudit.engine.commands import PauseStreak, UserFields
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.document import StreakEntry
from plaudit.engine.snapshot import encode_user
from plaudit.engine.trail import Kind
from plaudit.engine.user import Profile, Streak, Streaks, User
from tests.engine.builders import (
    CREATED_MS,
    DETERMINISTIC,
    Player,
    compiled,
    day,
    document,
    event_id,
    frozen,
    instant,
)

PLAIN = compiled(document())
TODAY = day("2024-01-15")  # a Monday
DAYS = trail.append(b"", Kind.COUNTED, 3)
COUNTED = Streak(4, TODAY - 3, 77, counted=True, trail=DAYS)
PENDING = Streak(3, TODAY - 3, 77, trail=DAYS)
DAY_MS = 86_400_000


def user(daily: Streak = COUNTED, tz: str | None = None) -> User:
    streaks = Streaks(daily, changes={1: (5, 6, 7), 2: (-3, 0, 0)}, earned_day=TODAY)
    return User(Profile(CREATED_MS, CREATED_MS, tz=tz), {1: 50}, {1: 9}, {1: 3}, TODAY, streaks)


@pytest.mark.parametrize("local", ["2024-01-15T00:00", "2024-01-15T23:59:59.999"])
def test_within_the_day_nothing_changes(local: str) -> None:
    before = user()
    assert advance(before, PLAIN, instant(local)) is before


@pytest.mark.parametrize("local", ["2024-01-14T23:59:59", "2023-06-01T00:00"])
def test_a_day_never_goes_backwards(local: str) -> None:
    before = user()
    assert advance(before, PLAIN, instant(local)) is before


def test_a9_8_the_next_day_is_a_new_period_and_keeps_the_streak() -> None:
    after = advance(user(), PLAIN, instant("2024-01-16T00:00"))
    assert after.day == TODAY + 1
    assert after.streaks.daily == Streak(4, TODAY - 3, 77, trail=trail.append(DAYS, Kind.COUNTED))


@pytest.mark.parametrize(("local", "missed"), [("2024-01-17T00:00", 1), ("2024-03-01T12:00", 45)])
def test_a9_8_a_streak_that_missed_a_day_is_lost(local: str, missed: int) -> None:
    after = advance(user(), PLAIN, instant(local))
    assert after.day == day(local[:10])
    assert after.streaks.daily.length == 0
    ends = [(period.kind, period.length) for period in trail.expand(after.streaks.daily.trail)]
    assert ends == [(Kind.COUNTED, n) for n in (1, 2, 3, 4)] + [(Kind.MISSED, 0)] * missed


def test_a9_8_a_day_that_was_not_counted_is_missed_when_it_ends() -> None:
    pending = user(PENDING)
    assert advance(pending, PLAIN, instant("2024-01-15T23:59:59.999")).streaks.daily == PENDING
    assert advance(pending, PLAIN, instant("2024-01-16T00:00")).streaks.daily.length == 0


def test_a9_1_days_end_at_midnight_in_the_users_zone() -> None:
    before = user(tz="Asia/Kathmandu")
    assert advance(before, PLAIN, instant("2024-01-15T23:59:59.999", "Asia/Kathmandu")) is before
    assert advance(before, PLAIN, instant("2024-01-16T00:00", "Asia/Kathmandu")).day == TODAY + 1


@pytest.mark.parametrize(
    ("local", "changes"),
    [
        ("2024-01-16T00:00", {1: (0, 6, 7)}),
        ("2024-01-20T23:59", {1: (0, 6, 7)}),
        ("2024-01-21T00:00", {1: (0, 0, 7)}),
        ("2024-01-31T23:59", {1: (0, 0, 7)}),
        ("2024-02-01T00:00", {}),
    ],
)
def test_a9_2_changes_end_with_their_day_week_and_month(local: str, changes: dict[int, tuple[int, int, int]]) -> None:
    assert advance(user(), PLAIN, instant(local)).streaks.changes == changes


def test_a9_2_a_week_ends_within_a_month_and_a_month_within_a_week() -> None:
    wednesday = replace(user(), day=day("2024-01-31"))
    after = advance(wednesday, PLAIN, instant("2024-02-01T00:00"))
    assert after.streaks.changes == {1: (0, 6, 0)}


def test_time_alone_touches_the_day_and_the_streaks_only() -> None:
    before = user()
    after = advance(before, PLAIN, instant("2024-01-20T00:00"))
    assert (after.profile, after.totals, after.completions, after.points) == (before.profile, {1: 50}, {1: 9}, {1: 3})
    assert before == user()


@pytest.mark.parametrize(
    ("local", "tz", "days"),
    [
        ("2024-01-16T00:00", None, ["2024-01-15"]),
        ("2024-01-16T11:59:59.999", None, ["2024-01-15"]),
        ("2024-01-16T12:00", None, []),
        ("2024-01-16T00:00", "Pacific/Kiritimati", ["2024-01-15"]),
        ("2024-01-17T00:00", "Pacific/Kiritimati", ["2024-01-15", "2024-01-16"]),
        ("2024-01-17T01:59", "Pacific/Kiritimati", ["2024-01-15", "2024-01-16"]),
        ("2024-01-17T02:00", "Pacific/Kiritimati", ["2024-01-16"]),
        ("2024-02-17T01:59", "Pacific/Kiritimati", ["2024-02-15", "2024-02-16"]),
        ("2024-01-16T00:00", "Etc/GMT+12", []),
    ],
)
def test_q32_a_day_is_kept_as_it_was_while_it_goes_on_anywhere(local: str, tz: str | None, days: list[str]) -> None:
    after = advance(user(tz=tz), PLAIN, instant(local, tz or "UTC"))
    assert [each.day for each in after.earlier] == [day(each) for each in days]


def test_q32_a_day_that_is_over_everywhere_is_forgotten() -> None:
    after = advance(user(PENDING), PLAIN, instant("2024-01-16T00:00"))
    assert after.earlier[0].streaks == user(PENDING).streaks
    assert advance(after, PLAIN, instant("2024-01-16T11:59:59.999")) is after
    assert not advance(after, PLAIN, instant("2024-01-16T12:00")).earlier


SETTINGS = {
    "daily": StreakEntry(),
    "weekly": StreakEntry("weekly"),
    "daily, freezes": frozen(2, 3),
    "daily, earning": frozen(1, 2, 3, 1),
    "daily, earning more than the maximum": frozen(0, 2, 5, 10),
    "weekly, earning": frozen(1, 2, 10, 1, "weekly"),
    "monthly, earning": frozen(1, 3, 20, 2, "monthly"),
    "daily, days off and freezes": replace(frozen(1, 3, 4, 1), days_off=(0, 6)),
}
CATALOGS = {name: compiled(document(streak=entry)) for name, entry in SETTINGS.items()}
ZONES = ["UTC", "Asia/Kathmandu", "Australia/Lord_Howe", "America/New_York", "Pacific/Apia", "America/Havana"]
STEPS_MS = st.lists(
    st.one_of(st.integers(0, DAY_MS), st.integers(0, 40 * DAY_MS), st.just(DAY_MS)), min_size=1, max_size=30
)
COUNTS = st.lists(st.integers(1, 3), max_size=12)
PAUSES = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 12)), max_size=4)
STARTS = st.sampled_from(["2024-02-27T10:00", "2024-10-25T23:30", "2011-12-20T12:00", "2023-12-29T09:00"]).map(instant)


def active(catalog: CompiledCatalog, zone: str, start: int, gaps: list[int], pauses: list[tuple[int, int]]) -> Player:
    """Somebody who has been active every so many days, and who has pauses ahead."""
    sam = Player(catalog, zone)
    sam.sends_at(start)
    for days in gaps:
        start += days * DAY_MS
        sam.sends_at(start)
    first = sam.state.day
    for number, (ahead, days) in enumerate(pauses):
        command = PauseStreak("sam", event_id(number), first + ahead, first + ahead + days)
        if all(p.last_day < command.first_day or p.first_day > command.last_day for p in sam.state.streaks.pauses):
            sam.asks_at(start, command)
    sam.now_ms = start
    return sam


@DETERMINISTIC
@given(st.sampled_from(sorted(CATALOGS)), st.sampled_from(ZONES), STARTS, COUNTS, PAUSES, STEPS_MS)
@example("daily, earning", "UTC", instant("2024-02-27T10:00"), [1] * 12, [], [DAY_MS] * 30)
@example("daily, freezes", "Pacific/Apia", instant("2011-12-20T12:00"), [1] * 9, [(1, 3)], [DAY_MS] * 10)
def test_in_one_go_or_in_many_it_is_the_same(
    name: str, zone: str, start: int, gaps: list[int], pauses: list[tuple[int, int]], steps: list[int]
) -> None:
    catalog = CATALOGS[name]
    sam = active(catalog, zone, start, gaps, pauses)
    now, slowly = sam.now_ms, sam.state
    for step in steps:
        now += step
        slowly = advance(slowly, catalog, now)
    at_once = advance(sam.state, catalog, now)
    assert slowly == at_once
    assert encode_user(slowly) == encode_user(at_once)


@DETERMINISTIC
@given(st.sampled_from(sorted(CATALOGS)), st.sampled_from(ZONES), STARTS, COUNTS, PAUSES, STEPS_MS)
def test_an_event_finds_the_user_as_the_timer_would_have_left_them(
    name: str, zone: str, start: int, gaps: list[int], pauses: list[tuple[int, int]], steps: list[int]
) -> None:
    catalog = CATALOGS[name]
    sam, alex = (active(catalog, zone, start, gaps, pauses) for _ in range(2))
    now = sam.now_ms
    for step in steps:
        now += step
        sam.user = advance(sam.state, catalog, now)
    assert sam.sends_at(now, fields=UserFields()) == alex.sends_at(now, fields=UserFields())


@DETERMINISTIC
@given(st.sampled_from(sorted(CATALOGS)), st.sampled_from(ZONES), STARTS, COUNTS, PAUSES, st.integers(0, 90 * DAY_MS))
def test_a_user_is_never_changed_in_place(
    name: str, zone: str, start: int, gaps: list[int], pauses: list[tuple[int, int]], wait: int
) -> None:
    sam = active(CATALOGS[name], zone, start, gaps, pauses)
    before = encode_user(sam.state)
    advance(sam.state, CATALOGS[name], sam.now_ms + wait)
    assert encode_user(sam.state) == before
