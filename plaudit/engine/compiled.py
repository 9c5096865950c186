"""The catalog made ready for events: an event costs what it touches, not what is configured."""

from bisect import bisect_right
from dataclasses import dataclass

from plaudit.engine.amounts import UNIT, to_amount
from plaudit.engine.catalog import Achievement, Catalog, Metric, PointsSystem, PointsTrigger, StreakSettings


@dataclass(frozen=True, slots=True)
class Trigger:
    """An active metric trigger, its system, and its threshold as an amount."""

    system: PointsSystem
    definition: PointsTrigger
    threshold: int


@dataclass(frozen=True, slots=True)
class CompiledMetric:
    """A metric with everything that an event on it can touch."""

    definition: Metric
    thresholds: tuple[int, ...]
    """Amounts at which `achievements` complete, ascending; the two run in parallel."""
    achievements: tuple[Achievement, ...]
    """Active ones, by ascending value."""
    shown: tuple[Achievement, ...]
    """Active and locked ones, by ascending value."""
    triggers: tuple[Trigger, ...]

    def reached(self, total: int) -> tuple[Achievement, ...]:
        """The active achievements that a total is enough for. O(log n) plus the result."""
        return self.achievements[: bisect_right(self.thresholds, total)]


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
class CompiledCatalog:
    """What the stages of `process` look things up in. Immutable; shared by all users of a shard."""

    catalog: Catalog
    metrics: dict[str, CompiledMetric]
    """Live metrics by key, in order of creation."""
    user_attributes: frozenset[str]
    event_attributes: frozenset[str]
    streaks: CompiledStreaks


def metric_value_amount(achievement: Achievement) -> int:
    """The total at which an achievement completes, as an amount."""
    return to_amount(achievement.metric_value)


def compile_catalog(catalog: Catalog) -> CompiledCatalog:
    """The catalog indexed for `process`. O(size of the catalog); done once per version."""
    metrics = {metric.key: _compile_metric(metric, catalog) for metric in catalog.metrics if not metric.archived}
    return CompiledCatalog(
        catalog=catalog,
        metrics=metrics,
        user_attributes=frozenset(a.key for a in catalog.attributes if a.type == "user" and not a.archived),
        event_attributes=frozenset(a.key for a in catalog.attributes if a.type == "event" and not a.archived),
        streaks=_compile_streaks(catalog.streaks, metrics),
    )


def _compile_streaks(settings: StreakSettings, metrics: dict[str, CompiledMetric]) -> CompiledStreaks:
    thresholds = (
        (metrics[metric.key].definition.number, metric.threshold * UNIT)
        for metric in settings.metrics
        if metric.key in metrics
    )
    return CompiledStreaks(
        settings=settings,
        rules=StreakRules(tuple(thresholds), settings.evaluation_mode == "AND", settings.days_off),
        metrics=frozenset(metric.definition.number for metric in metrics.values()),
    )


def _compile_metric(metric: Metric, catalog: Catalog) -> CompiledMetric:
    shown = sorted(
        (
            achievement
            for achievement in catalog.achievements
            if achievement.metric == metric.key and not achievement.archived and achievement.status != "inactive"
        ),
        key=metric_value_amount,
    )
    active = [achievement for achievement in shown if achievement.status == "active"]
    return CompiledMetric(
        definition=metric,
        thresholds=tuple(metric_value_amount(achievement) for achievement in active),
        achievements=tuple(active),
        shown=tuple(shown),
        triggers=tuple(
            Trigger(system, trigger, trigger.metric_threshold * UNIT)
            for system in catalog.points_systems
            if not system.archived
            for trigger in system.triggers
            if trigger.metric == metric.key and trigger.status == "active" and not trigger.archived
        ),
    )
