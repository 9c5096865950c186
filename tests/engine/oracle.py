"""What the rules say of a whole history, worked out from scratch and without the engine.

Slow on purpose: fractions for amounts, dates for days, and every answer recomputed from the list of all events.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from math import floor
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class Happened:
    """An event of the history."""

    at_ms: int
    metric: str
    value: Fraction


@dataclass(frozen=True)
class Trigger:
    """A points trigger, with the cap of its system."""

    system: str
    points: int
    metric: str
    every: int
    cap: int


@dataclass(frozen=True)
class Rules:
    """What is configured: achievements by (metric, value), a streak condition by metric."""

    achievements: tuple[tuple[str, Fraction], ...]
    triggers: tuple[Trigger, ...]
    mode: str
    thresholds: dict[str, int]


@dataclass(frozen=True)
class Run:
    """A streak: its days, and when the last of them counted."""

    length: int
    first: date
    last: date
    extended_ms: int


@dataclass(frozen=True)
class History:
    """All events of one user, who never moves, and what the rules make of them."""

    rules: Rules
    zone: str
    events: tuple[Happened, ...]

    def day_of(self, event: Happened) -> date:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=event.at_ms)
        return moment.astimezone(ZoneInfo(self.zone)).date()

    def total(self, metric: str, count: int | None = None) -> Fraction:
        """The total after the first `count` events, or all."""
        return sum((e.value for e in self.events[:count] if e.metric == metric), Fraction())

    def change(self, metric: str, day: date) -> Fraction:
        return sum((e.value for e in self.events if e.metric == metric and self.day_of(e) == day), Fraction())

    def counted_days(self) -> dict[date, int]:
        """The days on which the condition was met after some event, and when it first was."""
        counted: dict[date, int] = {}
        for number, event in enumerate(self.events, 1):
            day = self.day_of(event)
            so_far = History(self.rules, self.zone, self.events[:number])
            if day not in counted and so_far.is_met_on(day):
                counted[day] = event.at_ms
        return counted

    def is_met_on(self, day: date) -> bool:
        if not self.rules.thresholds:
            return any(self.change(metric, day) > 0 for metric in {e.metric for e in self.events})
        met = [self.change(metric, day) >= threshold for metric, threshold in self.rules.thresholds.items()]
        return all(met) if self.rules.mode == "AND" else any(met)

    def streak(self) -> Run | None:
        """The run of counted days that ends today or yesterday."""
        counted = self.counted_days()
        today = self.day_of(self.events[-1])
        last = today if today in counted else today - timedelta(days=1)
        if last not in counted:
            return None
        first = last
        while first - timedelta(days=1) in counted:
            first -= timedelta(days=1)
        return Run((last - first).days + 1, first, last, counted[last])

    def completed_at(self, number: int) -> int | None:
        """The index of the event after which the total first reached the value of achievement `number` (from 0)."""
        metric, value = self.rules.achievements[number]
        for index, event in enumerate(self.events):
            if event.metric == metric and self.total(metric, index + 1) >= value:
                return index
        return None

    def awards(self) -> Iterable[tuple[int, str, int, int]]:
        """Every award: the index of its event, the system, what it gave, and the total after it."""
        points: dict[str, int] = {}
        for index, event in enumerate(self.events):
            old, new = self.total(event.metric, index), self.total(event.metric, index + 1)
            for trigger in self.rules.triggers:
                if trigger.metric == event.metric:
                    times = max(floor(new / trigger.every) - floor(old / trigger.every), 0)
                    before = points.get(trigger.system, 0)
                    after = min(max(before + times * trigger.points, 0), trigger.cap)
                    points[trigger.system] = after
                    if after != before:
                        yield index, trigger.system, after - before, after
