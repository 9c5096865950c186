"""Triggers, boosts, caps and blocking against the oracle, over random catalogs and random histories."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from itertools import accumulate, product
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, structs

from plaudit.engine.administer import administer
from plaudit.engine.catalog import Achievement, PointsBoost, PointsSystem, PointsTrigger
from plaudit.engine.commands import RecordEvent, UserFields
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.compiling import POINTS_MAX
from plaudit.engine.errors import Invalid
from plaudit.engine.outcome import Award
from plaudit.engine.process import process
from plaudit.engine.snapshot import encode_user
from plaudit.engine.user import Profile, User
from tests.engine import catalogs
from tests.engine import points_oracle as oracle
from tests.engine.builders import DETERMINISTIC, event, instant

SYSTEMS = ("xp", "gems")
FIRST_DAY = date(2024, 3, 9)
START_MS = instant("2024-03-09T22:15")
HOUR_MS = 3_600_000
FAR_APART = ("Pacific/Kiritimati", "Pacific/Pago_Pago")
ZONES = ("UTC", "Asia/Kathmandu", "America/New_York", *FAR_APART)

PRO, FREE, RED = ("plan", "pro"), ("plan", "free"), ("team", "red")
PHONE, GOOD = ("device", "phone"), ("mood", "good")
BEING: list[oracle.Attributes] = [(), (), (), (), (PRO,), (FREE,), (RED,), (PRO, RED)]
WANTED: list[oracle.Attributes] = [(), (), (), (PHONE,), (GOOD, PHONE)]
CARRYING: list[oracle.Attributes] = [(), (PHONE,), (PHONE, GOOD)]
METRICS = ["words", "pages"]
Made = TypeVar("Made")


def any_of(make: Callable[..., Made], *fields: Iterable[object]) -> st.SearchStrategy[Made]:
    """One of all that can be made of these fields. One choice is drawn faster, and more evenly, than one for each."""
    return st.sampled_from([make(*each) for each in product(*fields)])


def weighted(*parts: tuple[int, st.SearchStrategy[Made]]) -> st.SearchStrategy[Made]:
    """So many times one strategy as another; `one_of` drops those that it has already."""
    wheel = [part for weight, part in parts for _ in range(weight)]
    return st.sampled_from(range(len(wheel))).flatmap(lambda number: wheel[number])


# What is configured

AT_VALUE = any_of(partial(oracle.Achievement, ""), METRICS, ["1", "0.3", "2.5", "20"], [0], [()], WANTED, BEING)
AT_LENGTH = any_of(partial(oracle.Achievement, "", "", ""), [1, 2, 3], [()], [()], BEING)
AFTER_SINGLES = any_of(
    partial(oracle.Achievement, "", "", "", 0), [("a0",), ("a1",), ("a0", "a1"), ("a1", "a2")], [()], BEING
)
AFTER_COMPOSITE = any_of(partial(oracle.Achievement, "", "", "", 0), [("a3",), ("a2", "a3")], [()], BEING)

AMOUNTS = [3, -4, 10, -1, 1, -2, 7, -6, 5, -15, 2, 25, 6 * 10**14]
BLOCKS = [False, True]
PER_TOTAL = any_of(partial(oracle.Trigger, "metric"), AMOUNTS, METRICS, [1, 2, 3], [""], WANTED, BEING, BLOCKS)
PER_LENGTH = any_of(partial(oracle.Trigger, "streak"), AMOUNTS, [""], [1, 2, 3], [""], [()], BEING, BLOCKS)
PER_COMPLETION = any_of(
    partial(oracle.Trigger, "achievement"), AMOUNTS, [""], [0], ["a0", "a1", "a2", "a3", "a4"], [()], BEING, BLOCKS
)
AT_CREATION = any_of(partial(oracle.Trigger, "user_creation"), [10, 5, 1, 30, -4], [""], [0], [""], [()], BEING, BLOCKS)

MULTIPLIERS = ["0.5", "1.5", "2", "1.1", "0.1", "3.333333333"]
ROUNDINGS = ["up", "down", "nearest"]
DAYS = [FIRST_DAY + timedelta(days=n) for n in range(-1, 4)]
LASTING = [*[(DAYS[0], None)] * 3, *((first, last) for first, last in product(DAYS, DAYS) if first <= last)]


def lasting(
    system: str, multiplier: str, rounding: oracle.Rounding, days: tuple[date, date | None], *being: oracle.Attributes
) -> oracle.Boost:
    return oracle.Boost(system, "", multiplier, rounding, *days, *being)


BOOSTS = any_of(lasting, [""], MULTIPLIERS, ROUNDINGS, LASTING, BEING)
OWN_BOOSTS = any_of(lasting, SYSTEMS, MULTIPLIERS, ROUNDINGS, LASTING)
CAPS = [POINTS_MAX, POINTS_MAX, 3, 12, 40]
LEVELS = [(), (0,), (5, 1), (12, 0, 3), (1, 2, 30)]


@st.composite
def systems(draw: st.DrawFn, key: str, triggers: st.SearchStrategy[oracle.Trigger]) -> oracle.System:
    fired = draw(st.lists(triggers, min_size=2, max_size=6))
    on = draw(st.lists(BOOSTS, max_size=3))
    return oracle.System(
        key,
        draw(st.sampled_from(CAPS)),
        tuple(replace(trigger, key=f"t{n}") for n, trigger in enumerate(fired)),
        tuple(replace(boost, system=key, name=f"b{n}") for n, boost in enumerate(on)),
        draw(st.sampled_from(LEVELS)),
    )


@st.composite
def rules(draw: st.DrawFn, *, with_streaks: bool) -> oracle.Rules:
    single = AT_VALUE | AT_LENGTH if with_streaks else AT_VALUE
    triggers = weighted((5, PER_TOTAL), (2, PER_COMPLETION), (1, AT_CREATION), (2 * with_streaks, PER_LENGTH))
    achievements = [draw(single), draw(single), draw(single), draw(AFTER_SINGLES), draw(AFTER_COMPOSITE)]
    return oracle.Rules(
        tuple(draw(systems(key, triggers)) for key in SYSTEMS),
        tuple(replace(achievement, key=f"a{n}") for n, achievement in enumerate(achievements)),
    )


def catalog_of(drawn: oracle.Rules) -> CompiledCatalog:
    return catalogs.catalog(*map(achievement_of, drawn.achievements), *map(system_of, drawn.systems))


def achievement_of(drawn: oracle.Achievement) -> Achievement:
    being = dict(drawn.being)
    if drawn.needs:
        return catalogs.after_all(drawn.key, *drawn.needs, user_attributes=being)
    if drawn.length:
        return catalogs.at_length(drawn.key, drawn.length, user_attributes=being)
    carrying = dict(drawn.carrying)
    return catalogs.at_value(drawn.key, drawn.value, drawn.metric, user_attributes=being, event_attributes=carrying)


def system_of(drawn: oracle.System) -> PointsSystem:
    return catalogs.points(
        *map(trigger_of, drawn.triggers),
        key=drawn.key,
        max_points=None if drawn.cap == POINTS_MAX else drawn.cap,
        boosts=tuple(map(boost_of, drawn.boosts)),
        levels=tuple(map(catalogs.level, drawn.levels)),
    )


def trigger_of(drawn: oracle.Trigger) -> PointsTrigger:
    key, amount = drawn.key, drawn.points
    made = {
        "user_creation": lambda: catalogs.at_creation(amount, key),
        "metric": lambda: catalogs.per_total(amount, drawn.every, drawn.metric, key),
        "streak": lambda: catalogs.per_length(amount, drawn.every, key),
        "achievement": lambda: catalogs.per_completion(amount, drawn.achievement, key),
    }[drawn.kind]()
    return structs.replace(
        made,
        user_attributes=catalogs.wanted(dict(drawn.being)),
        event_attributes=catalogs.wanted(dict(drawn.carrying)),
        block_if_out_of_points=drawn.blocks,
    )


def boost_of(drawn: oracle.Boost) -> PointsBoost:
    first, last = days_of(drawn)
    being = dict(drawn.being)
    return catalogs.boost(drawn.multiplier, first, last, drawn.rounding, key=drawn.name, user_attributes=being)


def days_of(drawn: oracle.Boost) -> tuple[str, str | None]:
    return drawn.first.isoformat(), None if drawn.last is None else drawn.last.isoformat()


# What happens

Step = tuple[int, oracle.Event | oracle.Boost]
"""Something at an instant: an event, or a boost for the user."""

GAPS_MS = [0, 1, 60_000, *(n * HOUR_MS for n in range(1, 40, 2))]
VALUES = ["0.1", "0.1", "0.2", "0.7", "1", "1.9", "2", "3", "4", "7", "20", "-0.1", "-0.5", "-1", "-4", "0"]
STAYING = any_of(partial(oracle.Event, 0), METRICS, VALUES, CARRYING, [None], BEING)
MOVING = any_of(partial(oracle.Event, 0), METRICS, VALUES, CARRYING, [None, *ZONES, *FAR_APART, *FAR_APART], BEING)


@st.composite
def histories(draw: st.DrawFn, *, is_moving: bool) -> list[Step]:
    home = None if is_moving else draw(st.sampled_from(ZONES))
    events = MOVING if is_moving else STAYING.map(lambda event: replace(event, zone=home))
    step: st.SearchStrategy[oracle.Event | oracle.Boost] = weighted((6, events), (1, OWN_BOOSTS))
    gaps, drawn = zip(*draw(st.lists(st.tuples(st.sampled_from(GAPS_MS), step), min_size=6, max_size=16)), strict=True)
    return [
        (now, replace(each, at_ms=now) if isinstance(each, oracle.Event) else replace(each, name=f"own {n}"))
        for n, (now, each) in enumerate(zip(accumulate(gaps, initial=START_MS), drawn, strict=False))
    ]


class Subject:
    """The engine's user beside the oracle's history."""

    def __init__(self, drawn: oracle.Rules) -> None:
        self.catalog = catalog_of(drawn)
        self.history = oracle.History(drawn)
        self.own: tuple[oracle.Boost, ...] = ()
        self.user: User | None = None

    def gets(self, drawn: oracle.Boost, now_ms: int) -> None:
        """Give the user a boost, if there is a user yet."""
        if self.user is None:
            return
        first, last = days_of(drawn)
        command = catalogs.own_boost(drawn.multiplier, first, last, drawn.rounding, system=drawn.system)
        self.user = administer(self.user, structs.replace(command, name=drawn.name), self.catalog, now_ms).user
        self.own = (*self.own, drawn)

    def sends(self, drawn: oracle.Event) -> None:
        """Send an event; what comes of it is what the oracle says."""
        history, sent = self.history.after(drawn, self.own), recorded(drawn, len(self.history.events))
        if isinstance(history.result, oracle.Refusal):
            before = state_of(self.user)
            with pytest.raises(Invalid) as raised:
                process(self.user, sent, self.catalog, drawn.at_ms)
            assert str(raised.value) == str(history.result)
            assert state_of(self.user) == before
        else:
            outcome = process(self.user, sent, self.catalog, drawn.at_ms)
            assert [made(award) for award in outcome.awards] == list(history.result)
            self.user, self.history = outcome.user, history

    def check(self) -> None:
        """The user has completed, has and is at what the oracle says."""
        user, systems = self.user or User(Profile(0, 0)), self.catalog.systems.values()
        completed = {a.key for a in self.catalog.catalog.achievements if a.number in user.completions}
        assert completed == self.history.completed
        for drawn, system in zip(self.history.rules.systems, systems, strict=True):
            number, total = system.definition.number, self.history.points(drawn.key)
            assert user.points.get(number, 0) == total
            points = {level.number: level.points for level in system.levels}
            assert self.user is None or points.get(user.levels.get(number, 0)) == drawn.level(total)


def recorded(drawn: oracle.Event, number: int) -> RecordEvent:
    fields = UserFields(tz=drawn.zone or UNSET, attributes=dict(drawn.being) or UNSET)
    return event(drawn.value, drawn.metric, number=number, fields=fields, attributes=dict(drawn.carrying))


def made(award: Award) -> oracle.Award:
    names = tuple(boost.name for boost in award.boosts)
    return oracle.Award(award.system.key, award.trigger.key, award.awarded, award.total, names)


def state_of(user: User | None) -> bytes | None:
    return None if user is None else encode_user(user)


def live(drawn: oracle.Rules, steps: list[Step]) -> None:
    """Live through a history; after each step all is as the oracle says."""
    subject = Subject(drawn)
    for now_ms, step in steps:
        if isinstance(step, oracle.Boost):
            subject.gets(step, now_ms)
        else:
            subject.sends(step)
        subject.check()


@settings(DETERMINISTIC, max_examples=300)
@given(rules(with_streaks=True), histories(is_moving=False))
def test_a8_points_are_what_the_whole_history_says(drawn: oracle.Rules, steps: list[Step]) -> None:
    live(drawn, steps)


@DETERMINISTIC
@given(rules(with_streaks=False), histories(is_moving=True))
def test_a8_16_and_so_are_those_of_users_who_move(drawn: oracle.Rules, steps: list[Step]) -> None:
    live(drawn, steps)
