"""`process` against the oracle, over random histories of users who stay where they are."""

from datetime import date
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from plaudit.engine.commands import RecordEvent, UserFields
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.compiling import POINTS_MAX
from plaudit.engine.outcome import Outcome
from plaudit.engine.process import process
from plaudit.engine.snapshot import decode_user, encode_user
from plaudit.engine.user import NO_CHANGE, User
from tests.engine.builders import (
    DETERMINISTIC,
    Mode,
    achievement,
    compiled,
    document,
    event,
    instant,
    streak,
    system,
    trigger,
)
from tests.engine.oracle import Happened, History, Rules, Run, Trigger

METRICS = ("words", "pages", "steps")
ACHIEVEMENTS = (("words", "1"), ("words", "2.5"), ("pages", "3"), ("words", "40"), ("words", "2.5"), ("steps", "1e12"))
SYSTEMS = {"xp": None, "gems": 12}
TRIGGERS = (
    ("xp", 5, "words", 1),
    ("xp", -7, "words", 4),
    ("xp", 10**9, "pages", 2),
    ("gems", 3, "words", 2),
    ("gems", -1, "pages", 1),
    ("gems", 2, "steps", 1000),
)
MODES: list[Mode] = ["OR", "AND"]
CONDITIONS = st.tuples(
    st.sampled_from(MODES),
    st.just({}) | st.dictionaries(st.sampled_from(METRICS), st.integers(1, 4), min_size=1, max_size=3),
)
ZONES = st.sampled_from(
    ["UTC", "Asia/Kathmandu", "America/New_York", "Australia/Lord_Howe", "Pacific/Kiritimati", "Pacific/Pago_Pago"]
)
STARTS = st.sampled_from(["2024-01-15T10:00", "2024-03-07T22:15", "2024-04-04T03:30", "2024-10-31T12:45"]).map(instant)
HOUR_MS = 3_600_000
GAPS_MS = st.one_of(
    st.just(0), st.integers(1, 60_000), st.integers(0, 20).map(lambda n: n * HOUR_MS), st.integers(0, 60 * HOUR_MS)
)
SMALL = st.tuples(st.integers(-40, 60), st.sampled_from([0, 0, 1, 1])).map(lambda n: Decimal(n[0]).scaleb(-n[1]))
EXACT = st.integers(-5 * 10**9, 5 * 10**9).map(lambda n: Decimal(n).scaleb(-9))
GREAT = st.sampled_from(["1e12", "-1e12", "999999999999.999999999", "0"]).map(Decimal)
VALUES = st.one_of(SMALL, SMALL, EXACT, GREAT)
EVENTS = st.lists(
    st.tuples(GAPS_MS, st.sampled_from([*METRICS[:2], *METRICS]), VALUES.map(str)), min_size=1, max_size=20
)
Drawn = list[tuple[int, str, str]]
Condition = tuple[Mode, dict[str, int]]


def catalog_of(condition: Condition) -> CompiledCatalog:
    mode, thresholds = condition
    achievements = (achievement(value, metric, key=f"a{n}") for n, (metric, value) in enumerate(ACHIEVEMENTS))
    systems = (
        system(
            *(trigger(p, n, m, key=f"t{i}") for i, (s, p, m, n) in enumerate(TRIGGERS) if s == key),
            key=key,
            max_points=cap,
        )
        for key, cap in SYSTEMS.items()
    )
    return compiled(
        document(
            metrics=METRICS,
            achievements=tuple(achievements),
            points=tuple(systems),
            streak=streak(mode, **thresholds),
        )
    )


def rules_of(condition: Condition) -> Rules:
    return Rules(
        tuple((metric, Fraction(value)) for metric, value in ACHIEVEMENTS),
        tuple(Trigger(s, points, metric, every, SYSTEMS[s] or POINTS_MAX) for s, points, metric, every in TRIGGERS),
        *condition,
    )


def steps_of(zone: str, start: int, drawn: Drawn) -> list[tuple[int, RecordEvent]]:
    """The drawn events at their instants; the first one brings the zone."""
    steps, now = [], start
    for number, (gap, metric, value) in enumerate(drawn):
        now += gap
        fields = UserFields() if number else UserFields(tz=zone)
        steps.append((now, event(value, metric, number=number, fields=fields)))
    return steps


def run_of(user: User) -> Run | None:
    daily = user.streaks.daily
    assert not daily.is_set
    if not daily.length:
        assert not daily.counted
        return None
    first, last = date.fromordinal(daily.started_day), date.fromordinal(user.day - (not daily.counted))
    return Run(daily.length, first, last, daily.extended_ms)


def check(outcome: Outcome, history: History) -> None:
    """The outcome of the history's last event is what the oracle says."""
    user, latest = outcome.user, history.events[-1]
    index = len(history.events) - 1
    today = history.day_of(latest)

    assert Fraction(outcome.total, 10**9) == history.total(latest.metric)
    for number, metric in enumerate(METRICS, 1):
        assert Fraction(user.totals.get(number, 0), 10**9) == history.total(metric)
        change, *_ = user.streaks.changes.get(number, NO_CHANGE)
        assert Fraction(change, 10**9) == history.change(metric, today)

    assert user.day == today.toordinal()
    assert run_of(user) == history.streak()
    earlier = History(history.rules, history.zone, history.events[:-1])
    assert outcome.streak_extended == (len(history.counted_days()) > len(earlier.counted_days()))

    completed = {n: at for n in range(len(ACHIEVEMENTS)) if (at := history.completed_at(n)) is not None}
    assert user.completions == {n + 1: history.events[at].at_ms for n, at in completed.items()}
    new = sorted((n for n, at in completed.items() if at == index), key=lambda n: history.rules.achievements[n][1])
    assert [a.key for a in outcome.completed] == [f"a{n}" for n in new]

    awards = list(history.awards())
    assert [(a.system.key, a.awarded, a.total) for a in outcome.awards] == [a[1:] for a in awards if a[0] == index]
    for number, key in enumerate(SYSTEMS, 1):
        assert user.points.get(number, 0) == sum(gave for _, system, gave, _ in awards if system == key)


@DETERMINISTIC
@given(CONDITIONS, ZONES, STARTS, EVENTS)
def test_every_outcome_is_what_the_whole_history_says(
    condition: Condition, zone: str, start: int, drawn: Drawn
) -> None:
    catalog, rules = catalog_of(condition), rules_of(condition)
    user: User | None = None
    happened: tuple[Happened, ...] = ()
    for (now, sent), (_, metric, value) in zip(steps_of(zone, start, drawn), drawn, strict=True):
        outcome = process(user, sent, catalog, now)
        happened += (Happened(now, metric, Fraction(value)),)
        check(outcome, History(rules, zone, happened))
        user = outcome.user


@DETERMINISTIC
@given(CONDITIONS, ZONES, STARTS, EVENTS)
def test_an_event_never_changes_the_user_that_it_is_given(
    condition: Condition, zone: str, start: int, drawn: Drawn
) -> None:
    catalog = catalog_of(condition)
    steps = steps_of(zone, start, drawn)
    user = process(None, steps[0][1], catalog, steps[0][0]).user
    for now, sent in steps[1:]:
        before = encode_user(user)
        after = process(user, sent, catalog, now).user
        assert encode_user(user) == before
        user = after


@DETERMINISTIC
@given(CONDITIONS, ZONES, STARTS, EVENTS)
def test_a_replay_gives_the_same_outcomes_and_the_same_bytes_with_or_without_snapshots_between(
    condition: Condition, zone: str, start: int, drawn: Drawn
) -> None:
    straight: User | None = None
    stored: bytes | None = None
    for now, sent in steps_of(zone, start, drawn):
        first = process(straight, sent, catalog_of(condition), now)
        again = process(decode_user(stored) if stored else None, sent, catalog_of(condition), now)
        assert (first.completed, first.awards) == (again.completed, again.awards)
        straight, stored = first.user, encode_user(again.user)
        assert encode_user(straight) == stored
