"""Points that time brings: every so many hours or days."""

import pytest
from hypothesis import given as each_of
from hypothesis import strategies as st

from plaudit.engine import elapse as elapse_module
from plaudit.engine.catalog import PointsTrigger
from plaudit.engine.commands import UserFields
from plaudit.engine.deadlines import next_deadline, timing_key
from plaudit.engine.elapse import elapse
from plaudit.engine.snapshot import encode_user
from plaudit.engine.timezones import local_day
from tests.engine.builders import DETERMINISTIC, Player, instant
from tests.engine.catalogs import (
    after_years,
    catalog,
    given,
    per_completion,
    per_days,
    per_hours,
    per_total,
    points,
)

HOUR_MS, DAY_MS = 3_600_000, 86_400_000


def player(*triggers: PointsTrigger, at: str = "2024-01-15T12:34", zone: str = "UTC", **being: str) -> Player:
    """A user created at a local time."""
    sam = Player(catalog(points(*triggers)), zone)
    sam.sends(at, "0", being=being)
    return sam


def paid(sam: Player, zone: str = "UTC") -> list[int]:
    """When time has brought anything."""
    return [happening.at_ms for happening in sam.happenings]


def times(zone: str, *locals_: str) -> list[int]:
    return [instant(local, zone) for local in locals_]


# When


def test_q41_hours_are_those_of_utc_and_begin_with_the_one_in_which_the_user_was_created() -> None:
    sam = player(per_hours(5, 6), zone="Asia/Kathmandu", at="2024-01-15T12:34")  # 06:49 in UTC
    sam.waits("2024-01-16T12:00")
    assert paid(sam) == times("UTC", "2024-01-15T12:00", "2024-01-15T18:00", "2024-01-16T00:00", "2024-01-16T06:00")
    assert sam.state.points == {1: 20}


def test_q41_days_are_due_at_the_user_s_midnight() -> None:
    sam = player(per_days(5, 2), zone="America/New_York").waits("2024-01-19T23:59:59.999")
    assert paid(sam) == times("America/New_York", "2024-01-17", "2024-01-19")
    assert [h.day for h in sam.happenings] == [738_902, 738_904]


@pytest.mark.parametrize(
    ("zone", "day", "expected"),
    [
        ("America/New_York", "2024-03-09", ["2024-03-10T05:00", "2024-03-11T04:00", "2024-03-12T04:00"]),
        ("America/New_York", "2024-11-02", ["2024-11-03T04:00", "2024-11-04T05:00", "2024-11-05T05:00"]),
        ("Africa/Cairo", "2024-04-25", ["2024-04-25T22:00", "2024-04-26T21:00", "2024-04-27T21:00"]),
        ("America/Havana", "2024-11-02", ["2024-11-03T04:00", "2024-11-04T05:00", "2024-11-05T05:00"]),
        ("America/St_Johns", "2010-11-06", ["2010-11-07T02:30", "2010-11-08T03:30", "2010-11-09T03:30"]),
    ],
)
def test_q41_midnights_are_where_clocks_put_them_and_each_pays_once(zone: str, day: str, expected: list[str]) -> None:
    sam = player(per_days(1, 1, activated_ms=0), at=f"{day}T12:00", zone=zone)
    end = instant(expected[-1])
    for now in range(sam.now_ms, end + 1, 600_000):
        sam.waits_until(now)
    assert paid(sam) == [instant(at) for at in expected]


def test_q41_an_hour_that_clocks_repeat_or_skip_makes_no_difference_to_hours() -> None:
    for at, until in (("2024-03-09T22:00", "2024-03-10T22:00"), ("2024-11-02T22:00", "2024-11-03T22:00")):
        sam = player(per_hours(1, 1), at=at, zone="America/New_York")
        hours = (instant(until, "America/New_York") - sam.now_ms) // HOUR_MS
        assert sam.waits(until).state.points == {1: hours}
        assert hours in {23, 25}


def test_q41_nothing_is_due_in_the_hour_and_on_the_day_of_the_creation() -> None:
    sam = player(per_hours(1, 1), per_days(1, 1, key="days"), at="2024-01-15T23:59:59.999")
    assert sam.happenings == []
    sam.waits("2024-01-16T00:00")
    assert [given(h.awards) for h in sam.happenings] == [[("time 1", 1, 1), ("days", 1, 2)]]


def test_q41_a_trigger_activated_later_counts_from_then() -> None:
    sam = player(per_hours(1, 6), at="2024-01-15T01:00")
    later = [
        per_hours(1, 6, activated_ms=instant("2024-01-15T15:30")),
        per_days(1, 3, key="d", activated_ms=instant("2024-01-15T15:30")),
    ]
    sam.waits("2024-01-15T15:30")
    assert paid(sam) == times("UTC", "2024-01-15T07:00", "2024-01-15T13:00")
    sam.catalog = catalog(points(*later), before=sam.catalog, at_ms=instant("2024-01-15T15:30"))
    sam.waits("2024-01-18T00:00")
    assert paid(sam)[2:] == [instant("2024-01-15T21:00") + n * 6 * HOUR_MS for n in range(9)] + [instant("2024-01-18")]


def test_q42_a_trigger_made_later_does_not_make_up_for_the_time_before() -> None:
    sam = player(per_total(1, 1), at="2020-01-15T01:00").waits("2024-01-15T10:00")
    late = per_days(1, 1, key="late", activated_ms=instant("2024-01-15T10:00"))
    sam.catalog = catalog(points(per_total(1, 1), late), before=sam.catalog)
    assert paid(sam.waits("2024-01-17T10:00")) == times("UTC", "2024-01-16", "2024-01-17")


def test_q41_a_trigger_that_sleeps_for_a_while_begins_anew() -> None:
    sam = player(per_hours(1, 5), at="2024-01-15T00:00").waits("2024-01-15T06:00")
    sam.catalog = catalog(points(per_hours(1, 5, status="inactive")), before=sam.catalog)
    sam.waits("2024-01-16T06:00")
    again = per_hours(1, 5, activated_ms=instant("2024-01-16T06:30"))
    sam.catalog = catalog(points(again), before=sam.catalog)
    sam.waits("2024-01-16T12:00")
    assert paid(sam) == times("UTC", "2024-01-15T05:00", "2024-01-16T11:00")


# For whom, and how much


def test_a8_7_a_filter_is_not_retroactive() -> None:
    sam = player(per_hours(1, 1, user_attributes={"plan": "pro"}), at="2024-01-15T00:00", plan="free")
    sam.sends("2024-01-15T10:30", "0", being={"plan": "pro"})
    sam.sends("2024-01-15T12:30", "0", being={"plan": "free"})
    sam.sends("2024-01-15T20:30", "0", being={"plan": "pro"})
    sam.waits("2024-01-15T21:30")
    assert paid(sam) == times("UTC", "2024-01-15T11:00", "2024-01-15T12:00", "2024-01-15T21:00")


def test_a8_7_what_is_for_others_costs_nothing_however_long_the_user_was_away(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def count(now_ms: int, tz: str | None) -> int:
        asked.append(now_ms)
        return local_day(now_ms, tz)

    monkeypatch.setattr(elapse_module, "local_day", count)
    pros = [per_hours(1, 1, key=str(n), user_attributes={"plan": "pro"}) for n in range(3)]
    sam = player(*pros, at="2014-01-15T12:34", plan="free")
    assert next_deadline(sam.state, sam.catalog) is None
    sam.sends("2024-01-15T12:34", "0")
    assert asked == []
    assert paid(sam) == []
    sam.sends("2024-01-15T12:35", "0", being={"plan": "pro"})
    sam.waits("2024-01-15T13:00")
    assert paid(sam) == times("UTC", "2024-01-15T13:00")
    assert asked == [sam.now_ms] * 3


def test_a8_5_q34_time_takes_points_too_down_to_nothing() -> None:
    sam = player(per_total(1, 1), per_days(-4, 1, key="rent"))
    sam.sends("2024-01-15T13:00", "10")
    sam.waits("2024-01-20")
    assert [given(h.awards) for h in sam.happenings] == [[("rent", -4, 6)], [("rent", -4, 2)], [("rent", -2, 0)]]


def test_q39_what_is_due_at_one_instant_comes_in_the_order_of_the_triggers() -> None:
    triggers = [
        per_days(-3, 1, key="days a"),
        per_hours(5, 24, key="hours"),
        per_completion(2, "year", key="second"),
        per_days(1, 1, key="days b"),
        per_completion(1, "years", key="third"),
    ]
    made = catalog(after_years("years", 1), after_years("year", 1), points(*triggers))
    sam = Player(made)
    sam.sends("2024-01-15T00:30", signed_up="2023-01-16")
    sam.waits("2024-01-16")
    assert [[a.trigger.key for a in h.awards] for h in sam.happenings] == [
        ["second", "third", "days a", "hours", "days b"]
    ]


def test_q41_what_was_missed_while_nobody_looked_is_made_up_for_with_its_own_dates() -> None:
    triggers = (per_hours(1, 7), per_days(10, 3), per_days(-9, 2, key="rent"))
    many, one = player(*triggers, zone="Asia/Tokyo"), player(*triggers, zone="Asia/Tokyo")
    for hour in range(1, 400):
        many.waits_until(many.now_ms + HOUR_MS)
        assert many.now_ms == instant("2024-01-15T12:34", "Asia/Tokyo") + hour * HOUR_MS
    one.waits_until(many.now_ms)
    assert one.happenings == many.happenings
    assert len(one.happenings) > 60
    assert one.state == many.state


# Those who move


def test_q41_a_day_is_never_paid_twice_by_moving() -> None:
    sam = player(per_days(1, 1), at="2024-01-15T23:30", zone="Pacific/Kiritimati")
    sam.waits("2024-01-16T00:30")
    sam.sends_at(sam.now_ms + HOUR_MS, "0", fields=UserFields(tz="Pacific/Honolulu"))  # where the 15th has begun
    sam.zone = "Pacific/Honolulu"
    sam.waits("2024-01-16T23:59")
    assert [h.day for h in sam.happenings] == [738_901]
    sam.waits("2024-01-17T00:00")
    assert [h.day for h in sam.happenings] == [738_901, 738_902]


def test_q41_days_that_a_move_jumps_over_are_paid() -> None:
    sam = player(per_days(1, 1), at="2024-01-12T12:00", zone="Pacific/Pago_Pago").waits("2024-01-15T23:30")
    assert [h.day for h in sam.happenings] == [738_898, 738_899, 738_900]
    sam.sends_at(sam.now_ms + 60_000, "0", fields=UserFields(tz="Pacific/Kiritimati"))  # the 17th there
    due = next_deadline(sam.state, sam.catalog)
    assert due is not None
    sam.waits_until(max(due, sam.now_ms))
    assert [h.day for h in sam.happenings[3:]] == [738_901, 738_902]


def test_q41_moving_there_and_back_pays_no_interval_twice_nor_sooner() -> None:
    """Every Monday, the sender is in Tokyo in the morning and back in the evening."""
    sam = player(per_days(10, 7), at="2024-01-01T20:00")
    totals = []
    for week in range(4):
        for at, zone in (("2024-01-08T01:00", "Asia/Tokyo"), ("2024-01-08T20:00", "UTC")):
            sam.sends_at(instant(at) + 7 * week * DAY_MS, "0", fields=UserFields(tz=zone))
            totals.append(sam.state.points[1])
    assert totals == [10, 10, 20, 20, 30, 30, 40, 40]
    assert [h.day for h in sam.happenings] == [738_893 + 7 * week for week in range(4)]


@pytest.mark.parametrize(("first", "then"), [("Pacific/Kiritimati", "Pacific/Honolulu"), ("UTC", "Pacific/Honolulu")])
def test_q41_whoever_moves_at_once_keeps_the_day_with_which_it_began(first: str, then: str) -> None:
    sam = Player(catalog(points(per_days(1, 2))), first)
    sam.sends_at(instant("2024-01-15T09:00"), "0")  # the 15th there, and the 14th where the user goes
    sam.sends_at(instant("2024-01-15T09:01"), "0", fields=UserFields(tz=then))
    sam.zone = then
    sam.waits("2024-01-19")
    assert paid(sam) == times(then, "2024-01-17", "2024-01-19")


def test_q41_a_first_interval_does_not_end_before_it_began() -> None:
    """The trigger is activated on the 15th of UTC, when the 16th has begun where the user is."""
    activated = instant("2024-01-15T12:00")
    daily, others = per_days(1, 1, activated_ms=activated), per_days(1, 2, key="others", activated_ms=activated)
    sam = player(at="2024-01-10T12:00", zone="Pacific/Kiritimati")
    sam.waits_until(activated)
    sam.catalog = catalog(points(daily, others), before=sam.catalog, at_ms=activated)
    sam.waits("2024-01-19")
    told = [(h.day, [award.trigger.key for award in h.awards]) for h in sam.happenings]
    assert told == [(738_902, ["time 1", "others"]), (738_903, ["time 1"]), (738_904, ["time 1", "others"])]


@DETERMINISTIC
@each_of(st.integers(1, 7), st.lists(st.tuples(st.integers(0, 40 * HOUR_MS), st.integers(0, 5)), max_size=14))
def test_q41_intervals_of_days_keep_their_length_wherever_the_user_goes(
    step: int, moves: list[tuple[int, int]]
) -> None:
    zones = ("UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "America/New_York", "Asia/Kathmandu", "Asia/Tokyo")
    sam = player(per_days(1, step), at="2024-03-08T23:30")
    for gap, zone in moves:
        sam.sends_at(sam.now_ms + gap, "0", fields=UserFields(tz=zones[zone]))
    sam.waits_until(sam.now_ms + 2 * (step + 1) * DAY_MS)
    days = [happening.day for happening in sam.happenings]
    assert days == list(range(days[0], days[-1] + 1, step))
    assert days[0] in {738_953 + step, 738_953 + 2 * step}
    assert all(at > instant("2024-03-08T23:30") for at in paid(sam))


ZONES = st.sampled_from([None, "Pacific/Kiritimati", "Pacific/Pago_Pago", "America/New_York", "Asia/Kathmandu"])


@DETERMINISTIC
@each_of(st.lists(st.tuples(st.integers(0, 40 * HOUR_MS), ZONES), max_size=12))
def test_q41_whoever_moves_is_paid_once_for_each_day(moves: list[tuple[int, str | None]]) -> None:
    sam = player(per_days(1, 1), at="2024-03-08T23:30")
    for gap, zone in moves:
        sam.sends_at(sam.now_ms + gap, "0", fields=UserFields(tz=zone))
    sam.waits_until(sam.now_ms + 3 * DAY_MS)
    days = [happening.day for happening in sam.happenings]
    assert days == list(range(days[0], days[-1] + 1))
    assert days[0] <= 738_954 + 1  # the day after the one on which the user was created, there or elsewhere


# Deadlines

TRIGGERS = [
    (per_hours(1, 1),),
    (per_days(1, 1),),
    (per_hours(1, 5), per_days(1, 2, key="b")),
    (per_hours(1, 30, user_attributes={"plan": "pro"}), per_days(-1, 3, key="b", user_attributes={"plan": "free"})),
    (per_days(2, 7, key="b", activated_ms=instant("2024-03-09T10:00")), per_hours(-1, 100)),
]
STEPS = st.lists(
    st.tuples(st.integers(0, 90 * HOUR_MS) | st.integers(0, 15 * DAY_MS), ZONES, st.sampled_from(["pro", "free"])),
    min_size=1,
    max_size=6,
)
CATALOGS = [catalog(after_years("one", 1), points(*each)) for each in TRIGGERS]


@DETERMINISTIC
@each_of(st.sampled_from(CATALOGS), STEPS, st.floats(0, 1, exclude_max=True))
def test_nothing_is_due_before_the_deadline_and_at_it_something_is(
    made: object, steps: list[tuple[int, str | None, str]], part: float
) -> None:
    sam = Player(made)  # type: ignore[arg-type]
    now = instant("2024-03-08T23:30")
    for gap, zone, plan in steps:
        now += gap
        sam.sends_at(now, "0", fields=UserFields(tz=zone, attributes={"plan": plan}, sign_up_date="2023-03-20"))
    for _ in range(4):
        due = next_deadline(sam.state, sam.catalog)
        if due is None:
            assert elapse(sam.state, sam.catalog, sam.now_ms + 400 * DAY_MS).happenings == ()
            break
        due = max(due, sam.now_ms)
        for at in (sam.now_ms + int((due - sam.now_ms) * part), due - 1):
            if sam.now_ms <= at < due:
                early = elapse(sam.state, sam.catalog, at)
                assert early.happenings == ()
                assert max(next_deadline(early.user, sam.catalog) or due, sam.now_ms) == due
        before = encode_user(sam.state)
        sam.waits_until(due)
        assert encode_user(sam.state) != before
        following = next_deadline(sam.state, sam.catalog)
        assert following is None or following > due


def test_the_key_of_deadlines_changes_with_what_time_brings() -> None:
    since = instant("2024-03-09T10:00")
    kinds = [
        points(per_hours(1, 1)),
        points(per_hours(1, 2)),
        points(per_days(1, 2)),
        points(per_days(1, 2, activated_ms=since)),
        points(per_days(1, 2, user_attributes={"plan": "pro"})),
        points(per_total(1, 1)),
    ]
    assert len({timing_key(catalog(each)) for each in kinds}) == len(kinds)
    assert timing_key(catalog(points(per_hours(1, 1)))) == timing_key(catalog(points(per_hours(99, 1))))
