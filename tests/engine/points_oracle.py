"""What the rules say of points after a whole history, worked out from scratch and without the engine.

Slow on purpose: fractions for amounts, dates for days, and every answer recomputed from the list of all events
(reference: Points 1-20; Q-31, Q-33 to Q-36e, Q-39).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import cached_property
from math import ceil, floor
from typing import Literal
from zoneinfo import ZoneInfo

KINDS = ("user_creation", "metric", "streak", "achievement")
"""In the order in which triggers fire."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
A_DAY = timedelta(days=1)

Attributes = tuple[tuple[str, str], ...]
Rounding = Literal["down", "up", "nearest"]


@dataclass(frozen=True)
class Trigger:
    """What does not belong to its kind is empty."""

    kind: str
    points: int
    metric: str = ""
    every: int = 0
    """So much of the metric, or that long a streak."""
    achievement: str = ""
    carrying: Attributes = ()
    being: Attributes = ()
    blocks: bool = False
    key: str = ""


@dataclass(frozen=True)
class Boost:
    """Of everybody who is what it says, or of one user; the last day is None if it has no end."""

    system: str
    name: str
    multiplier: str
    rounding: Rounding
    first: date
    last: date | None
    being: Attributes = ()


@dataclass(frozen=True)
class System:
    """Triggers, boosts and levels as they are numbered."""

    key: str
    cap: int
    triggers: tuple[Trigger, ...]
    boosts: tuple[Boost, ...]
    levels: tuple[int, ...]

    def level(self, total: int) -> int | None:
        """The points of the level of a total."""
        return max((points for points in self.levels if points <= total), default=None)


@dataclass(frozen=True)
class Achievement:
    """Completed by a metric's total, by the length of the streak, or by other achievements."""

    key: str
    metric: str = ""
    value: str = ""
    length: int = 0
    needs: tuple[str, ...] = ()
    carrying: Attributes = ()
    being: Attributes = ()


@dataclass(frozen=True)
class Rules:
    """What is configured."""

    systems: tuple[System, ...]
    achievements: tuple[Achievement, ...]


@dataclass(frozen=True)
class Event:
    """What was sent: also where the user is from then on, if anything, and what they have become."""

    at_ms: int
    metric: str
    value: str
    carrying: Attributes
    zone: str | None
    being: Attributes


@dataclass(frozen=True)
class Award:
    """Points that a trigger gave or took, the total after it, and the names of the boosts that applied."""

    system: str
    trigger: str
    awarded: int
    total: int
    boosts: tuple[str, ...]


@dataclass(frozen=True)
class Refusal:
    """An event costs more than the user had of a system when it was to be paid."""

    system: str
    cost: int
    had: int

    def __str__(self) -> str:
        return f"points.{self.system}: expected at least {self.cost} points for this event, the user has {self.had}"


@dataclass(frozen=True)
class History:
    """The events of one user, all of them accepted but maybe the last.

    A user who moves has streaks that this knows nothing of.
    """

    rules: Rules
    events: tuple[Event, ...] = ()
    own: tuple[Boost, ...] = ()
    """Those that the user had been given before the last event."""
    earlier: "History | None" = None
    """Before the last event."""

    def after(self, event: Event, own: tuple[Boost, ...]) -> "History":
        """One event later, when the user has these boosts of their own."""
        return History(self.rules, (*self.events, event), own, self)

    # Who, where and when

    @property
    def attributes(self) -> dict[str, str]:
        return dict(part for event in self.events for part in event.being)

    def day(self, index: int) -> date:
        """The date of an event where the user was."""
        zone = "UTC"
        for event in self.events[: index + 1]:
            zone = event.zone or zone
        return (EPOCH + timedelta(milliseconds=self.events[index].at_ms)).astimezone(ZoneInfo(zone)).date()

    def total(self, metric: str, carrying: Attributes = ()) -> Fraction:
        """The sum of all events of a metric that carry these attributes."""
        matching = (e for e in self.events if e.metric == metric and set(carrying) <= set(e.carrying))
        return sum((Fraction(event.value) for event in matching), Fraction())

    @cached_property
    def counted(self) -> frozenset[date]:
        """The days on which, after some event, some metric had grown."""
        changes: dict[tuple[date, str], Fraction] = {}
        counted = set()
        for index, event in enumerate(self.events):
            day = self.day(index)
            change = changes[day, event.metric] = changes.get((day, event.metric), Fraction()) + Fraction(event.value)
            if change > 0:
                counted.add(day)
        return frozenset(counted)

    def streak(self) -> int:
        """How many counted days in a row there are, up to today or yesterday."""
        last = self.day(-1 + len(self.events))
        last -= A_DAY if last not in self.counted else timedelta()
        length = 0
        while last - length * A_DAY in self.counted:
            length += 1
        return length

    # Achievements

    @cached_property
    def completed(self) -> frozenset[str]:
        """The keys of all achievements that the last event completed, or one before it."""
        done: frozenset[str] = self.earlier.completed if self.earlier else frozenset()
        if not self.events:
            return done
        while new := {each.key for each in self.rules.achievements if self._is_met(each, done)} - done:
            done |= new
        return done

    def _is_met(self, achievement: Achievement, done: frozenset[str]) -> bool:
        if not _is_in(achievement.being, self.attributes):
            return False
        if achievement.needs:
            return done.issuperset(achievement.needs)
        if achievement.length:
            return self.streak() >= achievement.length
        return self.total(achievement.metric, achievement.carrying) >= Fraction(achievement.value)

    # Points

    def points(self, system: str) -> int:
        """What the user has: all that was ever awarded."""
        if self.earlier is None:
            return 0
        assert not isinstance(self.result, Refusal)
        return self.earlier.points(system) + sum(a.awarded for a in self.result if a.system == system)

    @cached_property
    def result(self) -> tuple[Award, ...] | Refusal:
        """What comes of the last event."""
        assert self.earlier is not None
        points = {system.key: self.earlier.points(system.key) for system in self.rules.systems}
        awards = []
        for system, trigger, times in self._firings():
            had, change, boosts = points[system.key], times * trigger.points, list[Boost]()
            if change < 0:
                if trigger.blocks and had < -change:
                    return Refusal(system.key, -change, had)
                total = max(had + change, 0)
            else:
                boosts = self._boosts(system)
                total = min(had + multiplied(change, boosts), system.cap)
            if total != had:
                names = tuple(boost.name for boost in boosts)
                awards.append(Award(system.key, trigger.key, total - had, total, names))
                points[system.key] = total
        return tuple(awards)

    def _firings(self) -> Iterator[tuple[System, Trigger, int]]:
        """The triggers that the last event sets off, in order, each with how many times."""
        for kind in KINDS:
            for system in self.rules.systems:
                for trigger in system.triggers:
                    if trigger.kind == kind and _is_in(trigger.being, self.attributes):
                        times = self._times(trigger)
                        if times > 0:
                            yield system, trigger, times

    def _times(self, trigger: Trigger) -> int:
        before, event = self.earlier, self.events[-1]
        assert before is not None
        if trigger.kind == "user_creation":
            return len(self.events) == 1
        if trigger.kind == "achievement":
            return trigger.achievement in self.completed - before.completed
        if trigger.kind == "streak":
            return len(self.counted) > len(before.counted) and self.streak() % trigger.every == 0
        if event.metric != trigger.metric or not _is_in(trigger.carrying, dict(event.carrying)):
            return 0
        new, old = (history.total(trigger.metric, trigger.carrying) for history in (self, before))
        return floor(new / trigger.every) - floor(old / trigger.every)

    def _boosts(self, system: System) -> list[Boost]:
        """Those of today: everybody's, then the user's own."""
        today = self.day(len(self.events) - 1)
        own = [boost for boost in self.own if boost.system == system.key]
        return [
            boost
            for boost in (*system.boosts, *own)
            if boost.first <= today <= (boost.last or date.max) and _is_in(boost.being, self.attributes)
        ]


def multiplied(points: int, boosts: Iterable[Boost]) -> int:
    """Points times all multipliers, rounded once."""
    exact, roundings = Fraction(points), set[Rounding]()
    for boost in boosts:
        exact *= Fraction(boost.multiplier)
        roundings.add(boost.rounding)
    if "down" in roundings:
        return floor(exact)
    return ceil(exact) if "up" in roundings else floor(exact + Fraction(1, 2))


def _is_in(wanted: Attributes, attributes: dict[str, str]) -> bool:
    return all(attributes.get(key) == value for key, value in wanted)
