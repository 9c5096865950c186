"""The catalog made ready for events: an event costs what it touches, not what is configured."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from plaudit.engine.catalog import (
    Achievement,
    Catalog,
    Filter,
    Leaderboard,
    Metric,
    PointsBoost,
    PointsLevel,
    PointsSystem,
    PointsTrigger,
    StreakSettings,
)
from plaudit.engine.runs import Run, run_on

KNOWN_DAYS_MAX = 1024


@dataclass(frozen=True, slots=True)
class Ladder:
    """Active achievements that one growing number completes, by what it takes."""

    thresholds: tuple[int, ...] = ()
    """Ascending; the two run in parallel."""
    achievements: tuple[Achievement, ...] = ()

    def reached(self, value: int) -> tuple[Achievement, ...]:
        """Those that a value is enough for. O(log n) plus the result."""
        return self.achievements[: bisect_right(self.thresholds, value)]

    def passed(self, before: int, after: int) -> tuple[Achievement, ...]:
        """Those that a value is enough for after a change, and was not before. O(log n) plus the result."""
        if after <= before:
            return ()
        thresholds = self.thresholds
        return self.achievements[bisect_right(thresholds, before) : bisect_right(thresholds, after)]


@dataclass(frozen=True, slots=True)
class CompiledBoost:
    """A boost of the catalog, with its multiplier as an amount."""

    definition: PointsBoost
    multiplier: int


@dataclass(frozen=True, slots=True)
class CompiledSystem:
    """A points system with what its totals go by."""

    definition: PointsSystem
    highest: int
    """What nothing is awarded beyond."""
    boosts: tuple[CompiledBoost, ...]
    """Those that end last first: so those that have ended need not be looked at."""
    level_points: tuple[int, ...]
    """Where `levels` begin, ascending; the two run in parallel."""
    levels: tuple[PointsLevel, ...]

    def find_level(self, total: int) -> PointsLevel | None:
        """The level of a total; None below the first (reference: Points 20). O(log n)."""
        position = bisect_right(self.level_points, total)
        return self.levels[position - 1] if position else None


@dataclass(frozen=True, slots=True)
class Trigger:
    """An active trigger and its system."""

    system: CompiledSystem
    definition: PointsTrigger
    step: int
    """What counts once: an amount of a metric, a length of a streak, a number of hours or days; else 0."""
    order: int
    """Triggers of one deed fire by it."""


@dataclass(frozen=True, slots=True)
class Steps:
    """Triggers that fire with every so much of one number."""

    triggers: tuple[Trigger, ...] = ()
    """By step, ascending."""
    steps: tuple[int, ...] = ()
    """Theirs; the two run in parallel."""

    def passed(self, before: int, after: int) -> Iterator[tuple[Trigger, int]]:
        """How often a number passed a multiple of each trigger's step on its way up (Q-35).

        O(log n) plus those whose steps are no longer than the way from zero.
        """
        if after <= before:
            return
        for trigger in self.triggers if before < 0 else self.up_to(after):
            times = after // trigger.step - before // trigger.step
            if times > 0:
                yield trigger, times

    def up_to(self, value: int) -> tuple[Trigger, ...]:
        """Those with steps up to a value. O(log n) plus the result."""
        return self.triggers[: bisect_right(self.steps, value)]


@dataclass(frozen=True, slots=True)
class Matcher:
    """What a metric's events feed that match a filter."""

    accumulator: int
    wanted: Filter
    ladder: Ladder
    triggers: Steps


@dataclass(frozen=True, slots=True)
class CompiledMetric:
    """A metric with everything that an event on it can touch."""

    definition: Metric
    ladder: Ladder
    triggers: Steps
    matchers: dict[tuple[str, str], tuple[Matcher, ...]]
    """By the part of their filters that fewest have: an event has but a few attributes."""
    shown: tuple[Achievement, ...]
    """Active and locked ones, by ascending value."""


@dataclass(frozen=True, slots=True)
class CompiledAchievement:
    """An active achievement, and what completes it."""

    definition: Achievement
    source: int
    """The number of the metric, or of the accumulator if it has a filter; else 0."""
    threshold: int
    """An amount, a length or years; else 0."""
    prerequisites: frozenset[int]
    """Numbers of achievements."""


@dataclass(frozen=True, slots=True)
class StreakRules:
    """What decides whether a period counts, and whether it has to; for all users, or for one."""

    thresholds: tuple[tuple[int, int], ...]
    """Amounts by metric number; empty means any positive change of any metric."""
    every: bool
    """True if every threshold is needed (AND), False if one is enough (OR)."""
    days_off: tuple[int, ...]
    """Days of the week; 0 is Sunday."""


@dataclass(frozen=True, slots=True)
class CompiledStreaks:
    """The streak settings."""

    settings: StreakSettings
    rules: StreakRules
    """Of users who want nothing else."""
    metrics: frozenset[int]
    """The numbers of all live metrics."""


@dataclass(frozen=True, slots=True)
class CompiledAchievements:
    """The achievements that are not archived, but for the ladders of metrics."""

    by_key: dict[str, Achievement]
    """Active and locked ones, in order of creation."""
    active: dict[int, CompiledAchievement]
    """By number, in order of creation."""
    streaks: Ladder
    anniversaries: Ladder
    composites: tuple[CompiledAchievement, ...]
    dependents: dict[int, tuple[CompiledAchievement, ...]]
    """The composites that need one, by its number."""
    conditional: dict[tuple[str, str], tuple[CompiledAchievement, ...]]
    """Those with a filter of user attributes, by each of its parts."""


@dataclass(frozen=True, slots=True)
class CompiledTriggers:
    """The active triggers, but for those of metrics."""

    streaks: Steps
    achievements: dict[int, tuple[Trigger, ...]]
    """By the number of the achievement."""
    creations: tuple[Trigger, ...]
    hours: tuple[Trigger, ...]
    days: tuple[Trigger, ...]


@dataclass(frozen=True, slots=True)
class CompiledBoard:
    """A live leaderboard."""

    definition: Leaderboard
    source: int
    """The number of the metric or of the points system; 0 for streaks."""
    unit: int
    """What scores are divided by to be shown: UNIT for those of metrics, else 1."""
    kept: int
    """The scores of how many runs are kept, so that one is there until its run is final."""
    known_runs: dict[int, Run | None] = field(default_factory=dict, compare=False)
    """By day: what has been worked out once."""

    def run_on(self, day: int) -> Run | None:
        """The run for which a day counts; None if it counts for none. O(1), a lookup for most days."""
        if self.definition.is_all_time:
            return Run(self.definition.start_day, None)
        known = self.known_runs
        if day not in known:
            if len(known) >= KNOWN_DAYS_MAX:
                known.clear()
            known[day] = run_on(self.definition, day)
        return known[day]


@dataclass(frozen=True, slots=True)
class CompiledBoards:
    """The leaderboards that are active, and whose metric or points system is there."""

    by_key: dict[str, CompiledBoard]
    """In order of creation."""
    by_number: dict[int, CompiledBoard]
    by_metric: dict[int, tuple[CompiledBoard, ...]]
    by_system: dict[int, tuple[CompiledBoard, ...]]
    streaks: tuple[CompiledBoard, ...]
    filling: int
    """The newest of theirs."""


@dataclass(frozen=True, slots=True)
class CompiledCatalog:
    """What the stages of `process` look things up in. Immutable; shared by all users of a shard."""

    catalog: Catalog
    metrics: dict[str, CompiledMetric]
    """Live metrics by key, in order of creation."""
    user_attributes: frozenset[str]
    event_attributes: frozenset[str]
    streaks: CompiledStreaks
    achievements: CompiledAchievements
    systems: dict[str, CompiledSystem]
    """Live points systems by key, in order of creation."""
    systems_by_number: dict[int, CompiledSystem]
    triggers: CompiledTriggers
    matchers: dict[int, Matcher]
    """Those of live metrics, by accumulator."""
    accumulated: frozenset[int]
    """The numbers of the metrics that have accumulators, live or not."""
    boards: CompiledBoards
