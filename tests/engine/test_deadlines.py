"""When time does something, against what time does."""

from dataclasses import replace as with_fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from plaudit.engine import rules
from plaudit.engine.catalog import Frequency
from plaudit.engine.commands import (
    Administer,
    GrantFreeze,
    PauseStreak,
    ResetStreak,
    RestoreStreak,
    StreakPreferenceFields,
    UpdatePreferences,
    UserFields,
)
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.deadlines import has_same_deadline, next_deadline, timing_key
from plaudit.engine.document import StreakEntry
from plaudit.engine.elapse import elapse
from plaudit.engine.errors import Rejected
from plaudit.engine.streak_history import view_history
from plaudit.engine.streaks import view_streak
from plaudit.engine.user import User
from tests.engine.builders import (
    DETERMINISTIC,
    Player,
    compiled,
    day,
    document,
    event_id,
    frozen,
    instant,
)

HOUR_MS, DAY_MS = 3_600_000, 86_400_000


def player(entry: StreakEntry, zone: str = "UTC") -> Player:
    return Player(compiled(document(streak=entry)), zone)


def deadline(sam: Player) -> int | None:
    return next_deadline(sam.state, sam.catalog)


# Examples


def test_without_a_streak_and_freezes_to_earn_there_is_none() -> None:
    sam = player(StreakEntry())
    sam.sends("2024-01-15T12:00", "0")
    assert deadline(sam) is None
    assert deadline(sam.counts_on("2024-01-15").waits("2024-03-15")) is None


def test_a_day_that_has_counted_ends_without_consequence() -> None:
    sam = player(StreakEntry()).counts_on("2024-01-15")
    assert deadline(sam) == instant("2024-01-17")
    assert deadline(sam.waits("2024-01-16")) == instant("2024-01-17")
    assert deadline(sam.waits("2024-01-17")) == instant("2024-01-28")  # the week after
    assert deadline(sam.waits("2024-01-28")) == instant("2024-03-01")
    assert deadline(sam.waits("2024-03-01")) is None


@pytest.mark.parametrize("frequency", ["daily", "weekly", "monthly"])
def test_deadlines_are_those_of_all_frequencies_whichever_is_in_force(frequency: Frequency) -> None:
    sam = player(StreakEntry(frequency)).counts_on("2024-01-15").waits("2024-01-17")
    assert deadline(sam) == instant("2024-01-28")


@pytest.mark.parametrize(
    ("zone", "today", "expected"),
    [
        ("Asia/Kathmandu", "2024-01-15", "2024-01-16T18:15"),
        ("Asia/Kolkata", "2024-01-15", "2024-01-16T18:30"),
        ("Australia/Lord_Howe", "2024-04-06", "2024-04-07T13:30"),  # clocks went back by half an hour on the 7th
        ("Australia/Lord_Howe", "2024-04-05", "2024-04-06T13:00"),
        ("America/New_York", "2024-03-09", "2024-03-11T04:00"),
        ("America/New_York", "2024-11-02", "2024-11-04T05:00"),
        ("Africa/Cairo", "2024-04-24", "2024-04-25T22:00"),  # the 26th begins at 01:00
        ("America/Sao_Paulo", "2018-11-02", "2018-11-04T03:00"),  # the 4th begins at 01:00
        ("America/Sao_Paulo", "2018-02-16", "2018-02-18T03:00"),  # the last hour of the 17th comes twice
        ("America/Havana", "2024-11-01", "2024-11-03T04:00"),  # the first hour of the 3rd comes twice
        ("America/Havana", "2024-03-08", "2024-03-10T05:00"),  # the 10th begins at 01:00
        ("America/St_Johns", "2010-11-05", "2010-11-07T02:30"),  # a minute of the 7th, and then 59 of the 6th again
        ("America/St_Johns", "2010-03-12", "2010-03-14T03:30"),
        ("Pacific/Apia", "2011-12-28", "2011-12-30T10:00"),  # there was no 30th
        ("Pacific/Kiritimati", "1994-12-29", "1994-12-31T10:00"),  # nor a 31st
    ],
)
def test_a9_1_a_day_ends_at_the_first_instant_of_the_next(zone: str, today: str, expected: str) -> None:
    sam = player(StreakEntry(), zone).counts_on(today)
    due = deadline(sam)
    assert due == instant(expected)
    assert sam.waits_until(due - 1).length == 1
    after = sam.waits_until(due)
    assert after.state.day > day(today) + 1
    later = deadline(after)
    assert later is not None
    assert later > due


def test_a_day_that_a_zone_has_skipped_is_not_missed() -> None:
    sam = player(StreakEntry(), "Pacific/Apia").counts_on("2011-12-28", "2011-12-29")
    assert deadline(sam) == instant("2011-12-30T10:00")  # when a 30th would have ended
    assert sam.waits_until(instant("2011-12-30T10:00")).length == 2
    assert sam.story(4) == "1 2 2 2"
    assert sam.waits("2011-12-31T23:59:59.999").length == 2
    assert sam.counts_on("2011-12-31").length == 3


def test_a9_10_a_freeze_is_due_when_the_interval_ends() -> None:
    sam = player(frozen(0, 5, 7, 1))
    sam.sends("2024-01-15T12:00", "0")
    assert deadline(sam) == instant("2024-01-22")
    assert deadline(sam.waits("2024-01-22")) == instant("2024-01-29")


def test_a9_10_at_the_maximum_nothing_is_due() -> None:
    sam = player(frozen(1, 1, 7, 1))
    sam.sends("2024-01-15T12:00", "0")
    assert deadline(sam) is None


def test_a9_8_what_a_frozen_day_leaves_is_due_with_the_next() -> None:
    sam = player(frozen(2, 5)).counts_on("2024-01-15")
    dues = []
    for _ in range(3):
        due = deadline(sam)
        assert due is not None
        dues.append(due)
        sam.waits_until(due)
    assert dues == [instant("2024-01-17"), instant("2024-01-18"), instant("2024-01-19")]
    assert sam.length == 0


def test_q26_a_restored_streak_is_due_with_the_next_period() -> None:
    sam = player(StreakEntry()).counts_on("2024-01-10").asks("2024-03-20", RestoreStreak("sam"))
    assert deadline(sam) == instant("2024-03-22")


def test_q32_a_user_who_moved_west_has_the_rest_of_the_day_that_had_begun() -> None:
    sam = player(StreakEntry(), "Pacific/Kiritimati").counts_on("2024-03-11", "2024-03-12")
    sam.sends("2024-03-11T13:00", "0", zone="Pacific/Honolulu")
    assert deadline(sam) == instant("2024-03-14", "Pacific/Honolulu")


def test_a_user_who_moved_has_a_deadline_there() -> None:
    sam = player(StreakEntry(), "Asia/Tokyo").counts_on("2024-03-12")
    sam.sends("2024-03-12T22:00", "0", zone="America/New_York")  # the 13th in Tokyo
    assert deadline(sam) == instant("2024-03-14", "America/New_York")


# Properties

SETTINGS = {
    "daily": StreakEntry(),
    "weekly": StreakEntry("weekly"),
    "monthly": StreakEntry("monthly"),
    "daily, freezes": frozen(2, 3),
    "daily, earning": frozen(1, 2, 3, 1),
    "weekly, earning": frozen(1, 2, 10, 1, "weekly"),
    "monthly, earning": frozen(0, 3, 20, 2, "monthly"),
    "days off": replace(frozen(1, 3, 4, 1), days_off=(0, 3, 6)),
}
CATALOGS = {name: compiled(document(streak=entry)) for name, entry in SETTINGS.items()}
ZONES = [
    None,
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/New_York",
    "Pacific/Apia",
    "America/Havana",
    "America/St_Johns",
]
STARTS = st.sampled_from(
    ["2010-11-05T03:00", "2011-12-27T20:00", "2024-02-27T10:00", "2024-03-08T12:00", "2024-10-30T15:00"]
).map(instant)
COMMANDS: list[Administer] = [
    GrantFreeze("sam"),
    RestoreStreak("sam"),
    ResetStreak("sam"),
    UpdatePreferences("sam", streak=StreakPreferenceFields(enabled=False)),
]
ACTS = st.lists(
    st.tuples(
        st.integers(0, 60).map(lambda hours: hours * HOUR_MS) | st.integers(0, 40).map(lambda days: days * DAY_MS),
        st.one_of(
            st.sampled_from(ZONES),
            st.sampled_from(COMMANDS),
            st.tuples(st.integers(0, 10), st.integers(0, 20)),
        ),
    ),
    max_size=8,
)


def lived(catalog: CompiledCatalog, start: int, acts: list[tuple[int, Any]]) -> Player:
    """A user after some events, each in a zone, with commands and pauses between them."""
    sam = Player(catalog)
    sam.sends_at(start)
    for number, (gap, act) in enumerate(acts):
        now = sam.now_ms + gap
        sam.waits_until(now)
        try:
            if isinstance(act, tuple):
                first = sam.state.day + act[0]
                sam.asks_at(now, PauseStreak("sam", event_id(number), first, first + act[1]))
            elif act is None or isinstance(act, str):
                sam.sends_at(now, fields=UserFields(tz=act))
            else:
                sam.asks_at(now, act)
        except Rejected:
            continue
    return sam


def seen(user: User, catalog: CompiledCatalog) -> object:
    """What is seen of a user in every frequency, apart from where the current period is."""
    shown: list[object] = [user.streaks.freezes]
    for frequency in ("daily", "weekly", "monthly"):
        settings = replace(catalog.streaks.settings, frequency=frequency)
        other = with_fields(catalog, streaks=with_fields(catalog.streaks, settings=settings))
        view = view_streak(user, other)
        shown += [
            view.length,
            view.started_day,
            view.extended_ms,
            view.expires_day,
            [(period.length, period.used_freeze) for period in view_history(user, other, 3)[-1:]],
        ]
    return shown


@DETERMINISTIC
@given(st.sampled_from(sorted(CATALOGS)), STARTS, ACTS)
def test_a_deadline_is_in_the_future_and_once_it_has_come_the_next_one_is_later(
    name: str, start: int, acts: list[tuple[int, Any]]
) -> None:
    catalog = CATALOGS[name]
    sam = lived(catalog, start, acts)
    user, now = sam.state, sam.now_ms
    for _ in range(12):
        due = next_deadline(user, catalog)
        if due is None:
            break
        assert due > now
        user, now = elapse(user, catalog, due).user, due


@DETERMINISTIC
@given(st.sampled_from(sorted(CATALOGS)), STARTS, ACTS, st.floats(0, 1, exclude_max=True))
def test_before_the_deadline_time_changes_nothing_that_is_seen(
    name: str, start: int, acts: list[tuple[int, Any]], part: float
) -> None:
    catalog = CATALOGS[name]
    sam = lived(catalog, start, acts)
    for _ in range(4):
        due = next_deadline(sam.state, catalog)
        until = sam.now_ms + 400 * DAY_MS if due is None else due
        before = seen(sam.state, catalog)
        for now in (sam.now_ms + int((until - sam.now_ms) * part), until - 1):
            assert seen(elapse(sam.state, catalog, now).user, catalog) == before
        sam.waits_until(until)


@DETERMINISTIC
@given(st.sampled_from(sorted(CATALOGS)), STARTS, ACTS, st.floats(0, 1, exclude_max=True))
def test_looking_before_the_deadline_does_not_move_it(
    name: str, start: int, acts: list[tuple[int, Any]], part: float
) -> None:
    catalog = CATALOGS[name]
    sam = lived(catalog, start, acts)
    due = next_deadline(sam.state, catalog)
    if due is not None:
        now = sam.now_ms + int((due - sam.now_ms) * part)
        assert next_deadline(elapse(sam.state, catalog, now).user, catalog) == due


@DETERMINISTIC
@given(st.sampled_from(sorted(CATALOGS)), STARTS, ACTS, st.integers(0, 60 * DAY_MS), st.sampled_from(ZONES))
def test_users_who_are_said_to_have_the_same_deadline_have(
    name: str, start: int, acts: list[tuple[int, Any]], wait: int, zone: str | None
) -> None:
    catalog = CATALOGS[name]
    sam = lived(catalog, start, acts)
    before = sam.state
    sam.sends_at(sam.now_ms + wait, fields=UserFields(tz=zone))
    if has_same_deadline(before, sam.state):
        assert next_deadline(before, catalog) == next_deadline(sam.state, catalog)


def test_an_event_on_a_day_that_has_counted_leaves_the_deadline() -> None:
    sam = player(StreakEntry()).counts_on("2024-01-15")
    before = sam.state
    assert has_same_deadline(before, sam.counts_on("2024-01-15").state)
    assert not has_same_deadline(before, sam.counts_on("2024-01-16").state)


# Which settings deadlines depend on


def key(entry: StreakEntry, local: str = "2024-01-15") -> str:
    return timing_key(Player(compiled(document())).adopts(entry, local).catalog)


def test_the_key_of_deadlines_is_the_same_for_settings_they_do_not_depend_on() -> None:
    assert key(StreakEntry()) == key(StreakEntry("weekly")) == key(StreakEntry(days_off=(0,))) == key(frozen(2, 5))
    assert key(frozen(0, 5, 7, 1)) == key(frozen(0, 5, 7, 1, "monthly"))


def test_the_key_of_deadlines_is_another_for_settings_they_depend_on() -> None:
    keys = [
        key(StreakEntry()),
        key(frozen(0, 5, 7, 1)),
        key(frozen(0, 6, 7, 1)),
        key(frozen(0, 5, 8, 1)),
        key(frozen(0, 5, 7, 1), "2024-01-16"),
    ]
    assert len(set(keys)) == len(keys)


def test_the_key_of_deadlines_is_another_under_other_rules_or_time_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key(StreakEntry()), key(frozen(0, 5, 7, 1))
    monkeypatch.setattr("plaudit.engine.deadlines.RULES_VERSION", rules.RULES_VERSION + "+")
    assert key(StreakEntry()) != before[0]
    assert key(frozen(0, 5, 7, 1)) != before[1]


@DETERMINISTIC
@given(st.sampled_from(sorted(CATALOGS)), st.sampled_from(sorted(CATALOGS)), STARTS, ACTS)
def test_a_stored_deadline_is_never_too_late_under_settings_of_the_same_key(
    name: str, other: str, start: int, acts: list[tuple[int, Any]]
) -> None:
    if timing_key(CATALOGS[name]) == timing_key(CATALOGS[other]):
        user = lived(CATALOGS[name], start, acts).state
        assert next_deadline(user, CATALOGS[name]) == next_deadline(user, CATALOGS[other])
