"""From the catalog to what events look things up in."""

from collections import Counter
from collections.abc import Iterable, Iterator
from math import inf

from plaudit.engine.amounts import UNIT, to_amount
from plaudit.engine.catalog import (
    Accumulator,
    Achievement,
    AchievementTrigger,
    Catalog,
    Filter,
    Leaderboard,
    Metric,
    PointsBoost,
    PointsSystem,
    PointsTrigger,
    StreakSettings,
)
from plaudit.engine.compiled import (
    CompiledAchievement,
    CompiledAchievements,
    CompiledBoard,
    CompiledBoards,
    CompiledBoost,
    CompiledCatalog,
    CompiledMetric,
    CompiledStreaks,
    CompiledSystem,
    CompiledTriggers,
    Ladder,
    Matcher,
    Steps,
    StreakRules,
    Trigger,
)
from plaudit.engine.runs import is_short

POINTS_MAX = 10**15
"""What a user can have in a system without a maximum of its own."""

KEPT_RUNS = 2
KEPT_RUNS_SHORT = 3
"""A run is final 26 hours at most after it has ended for a user. Of runs of a day or two, a third may have begun."""

_ORDER = {"user_creation": 0, "metric": 1, "streak": 2, "achievement": 3, "time": 4}


def compile_catalog(catalog: Catalog) -> CompiledCatalog:
    """The catalog indexed for `process`. O(size of the catalog); done once per version."""
    return _Compiler(catalog).compile()


def metric_value_amount(achievement: Achievement) -> int:
    """The total at which a metric achievement completes, as an amount."""
    assert achievement.metric_value is not None
    return to_amount(achievement.metric_value)


class _Compiler:
    """Compiles one catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._metrics = {metric.key: metric for metric in catalog.metrics if not metric.archived}
        self._accumulators = {(a.metric, a.event_attributes): a.number for a in catalog.accumulators}
        self._by_metric: dict[str, list[Accumulator]] = {}
        """All of them count, also while nothing goes by them: it may come back."""
        for accumulator in catalog.accumulators:
            self._by_metric.setdefault(accumulator.metric, []).append(accumulator)
        self._numbers = {achievement.key: achievement.number for achievement in catalog.achievements}
        live = [a for a in catalog.achievements if not a.archived and a.status != "inactive" and self._has_metric(a)]
        self._shown = {achievement.key: achievement for achievement in live}
        self._active = {a.number: self._compile_achievement(a) for a in live if a.status == "active"}
        self._systems = {s.key: _compile_system(s) for s in catalog.points_systems if not s.archived}
        self._triggers = sorted(self._compile_triggers(), key=lambda trigger: trigger.order)

    def compile(self) -> CompiledCatalog:
        """The compiled catalog."""
        catalog = self._catalog
        by_metric = self._group_by_metric()
        metrics = {
            metric.key: self._compile_metric(metric, *by_metric.get(metric.key, ([], [])))
            for metric in self._metrics.values()
        }
        return CompiledCatalog(
            catalog=catalog,
            metrics=metrics,
            user_attributes=frozenset(a.key for a in catalog.attributes if a.type == "user" and not a.archived),
            event_attributes=frozenset(a.key for a in catalog.attributes if a.type == "event" and not a.archived),
            streaks=_compile_streaks(catalog.streaks, metrics),
            achievements=self._compile_achievements(),
            systems=self._systems,
            systems_by_number={system.definition.number: system for system in self._systems.values()},
            triggers=self._group_triggers(),
            matchers={
                matcher.accumulator: matcher
                for metric in metrics.values()
                for group in metric.matchers.values()
                for matcher in group
            },
            accumulated=frozenset(metric.number for metric in catalog.metrics if metric.key in self._by_metric),
            boards=self._compile_boards(),
        )

    def _compile_boards(self) -> CompiledBoards:
        live = {
            board.key: CompiledBoard(
                definition=board,
                source=source,
                unit=UNIT if board.rank_by == "metric" else 1,
                kept=KEPT_RUNS_SHORT if is_short(board) else KEPT_RUNS,
            )
            for board in self._catalog.leaderboards
            if board.status == "active" and not board.archived and (source := self._find_source(board)) is not None
        }
        by_metric: dict[int, list[CompiledBoard]] = {}
        by_system: dict[int, list[CompiledBoard]] = {}
        for board in live.values():
            if board.definition.rank_by != "streak":
                groups = by_metric if board.definition.rank_by == "metric" else by_system
                groups.setdefault(board.source, []).append(board)
        return CompiledBoards(
            by_key=live,
            by_number={board.definition.number: board for board in live.values()},
            by_metric={number: tuple(group) for number, group in by_metric.items()},
            by_system={number: tuple(group) for number, group in by_system.items()},
            streaks=tuple(board for board in live.values() if board.definition.rank_by == "streak"),
            filling=max((board.definition.filling for board in live.values()), default=0),
        )

    def _find_source(self, board: Leaderboard) -> int | None:
        """The number of what a board ranks by, 0 for the streak; None if that has been archived."""
        if board.rank_by == "streak":
            return 0
        if board.rank_by == "metric":
            metric = self._metrics.get(board.metric or "")
            return None if metric is None else metric.number
        system = self._systems.get(board.points_system or "")
        return None if system is None else system.definition.number

    def _has_metric(self, achievement: Achievement) -> bool:
        return achievement.trigger != "metric" or achievement.metric in self._metrics

    def _compile_achievement(self, achievement: Achievement) -> CompiledAchievement:
        source = threshold = 0
        if achievement.trigger == "metric":
            metric, threshold = achievement.metric or "", metric_value_amount(achievement)
            filtered = achievement.event_attributes
            source = self._accumulator(metric, filtered) if filtered else self._metrics[metric].number
        elif achievement.trigger == "streak":
            threshold = achievement.streak_length or 0
        elif achievement.trigger == "anniversary":
            threshold = achievement.anniversary_years or 0
        return CompiledAchievement(
            definition=achievement,
            source=source,
            threshold=threshold,
            prerequisites=frozenset(self._numbers[key] for key in achievement.achievements),
        )

    def _accumulator(self, metric: str, wanted: Filter) -> int:
        return self._accumulators[metric, sort_filter(wanted)]

    def _compile_triggers(self) -> Iterator[Trigger]:
        for system in self._systems.values():
            for definition in system.definition.triggers:
                if definition.status == "active" and not definition.archived and self._is_possible(definition):
                    position = _ORDER[definition.type] << 40 | system.definition.number << 20 | definition.number
                    yield Trigger(system, definition, _step(definition), position)

    def _is_possible(self, trigger: PointsTrigger) -> bool:
        if trigger.type == "metric":
            return trigger.metric in self._metrics
        return trigger.type != "achievement" or trigger.achievement in self._numbers

    def _group_triggers(self) -> CompiledTriggers:
        by_achievement: dict[int, list[Trigger]] = {}
        for trigger in self._triggers:
            if trigger.definition.achievement is not None and trigger.definition.type == "achievement":
                by_achievement.setdefault(self._numbers[trigger.definition.achievement], []).append(trigger)
        times = [trigger for trigger in self._triggers if trigger.definition.type == "time"]
        return CompiledTriggers(
            streaks=_steps(t for t in self._triggers if t.definition.type == "streak"),
            achievements={number: tuple(triggers) for number, triggers in by_achievement.items()},
            creations=tuple(t for t in self._triggers if t.definition.type == "user_creation"),
            hours=tuple(t for t in times if t.definition.time_unit == "hours"),
            days=tuple(t for t in times if t.definition.time_unit == "days"),
        )

    def _group_by_metric(self) -> dict[str, tuple[list[Achievement], list[Trigger]]]:
        """Achievements and triggers by the key of the metric that feeds them."""
        groups: dict[str, tuple[list[Achievement], list[Trigger]]] = {}
        for achievement in self._shown.values():
            if achievement.trigger == "metric":
                groups.setdefault(achievement.metric or "", ([], []))[0].append(achievement)
        for trigger in self._triggers:
            if trigger.definition.type == "metric":
                groups.setdefault(trigger.definition.metric or "", ([], []))[1].append(trigger)
        return groups

    def _compile_metric(
        self, metric: Metric, achievements: list[Achievement], triggers: list[Trigger]
    ) -> CompiledMetric:
        groups: dict[Filter, tuple[list[Achievement], list[Trigger]]] = {(): ([], [])}
        for accumulator in self._by_metric.get(metric.key, ()):
            groups[accumulator.event_attributes] = ([], [])
        for achievement in achievements:
            groups.setdefault(sort_filter(achievement.event_attributes), ([], []))[0].append(achievement)
        for trigger in triggers:
            groups.setdefault(sort_filter(trigger.definition.event_attributes), ([], []))[1].append(trigger)
        plain_achievements, plain_triggers = groups.pop(())
        frequency = Counter(part for wanted in groups for part in wanted)
        matchers: dict[tuple[str, str], list[Matcher]] = {}
        for wanted, (filtered, fed) in groups.items():
            number = self._accumulator(metric.key, wanted)
            rarest = min(wanted, key=lambda part: frequency[part])
            group = matchers.setdefault((rarest.key, rarest.value), [])
            group.append(Matcher(number, wanted, self._ladder(filtered), _steps(fed)))
        return CompiledMetric(
            definition=metric,
            ladder=self._ladder(plain_achievements),
            triggers=_steps(plain_triggers),
            matchers={rarest: tuple(group) for rarest, group in matchers.items()},
            shown=tuple(sorted(achievements, key=metric_value_amount)),
        )

    def _ladder(self, achievements: Iterable[Achievement]) -> Ladder:
        """The active ones of these, by threshold."""
        active = [self._active[a.number] for a in achievements if a.number in self._active]
        active.sort(key=lambda achievement: achievement.threshold)
        return Ladder(tuple(a.threshold for a in active), tuple(a.definition for a in active))

    def _compile_achievements(self) -> CompiledAchievements:
        composites = tuple(a for a in self._active.values() if a.definition.trigger == "achievement")
        dependents: dict[int, list[CompiledAchievement]] = {}
        for composite in composites:
            for number in composite.prerequisites:
                dependents.setdefault(number, []).append(composite)
        conditional: dict[tuple[str, str], list[CompiledAchievement]] = {}
        for active in self._active.values():
            for part in active.definition.user_attributes:
                conditional.setdefault((part.key, part.value), []).append(active)
        return CompiledAchievements(
            by_key=self._shown,
            active=self._active,
            streaks=self._ladder(self._of("streak")),
            anniversaries=self._ladder(self._of("anniversary")),
            composites=composites,
            dependents={number: tuple(group) for number, group in dependents.items()},
            conditional={part: tuple(group) for part, group in conditional.items()},
        )

    def _of(self, trigger: AchievementTrigger) -> Iterator[Achievement]:
        return (achievement for achievement in self._shown.values() if achievement.trigger == trigger)


def sort_filter(wanted: Filter) -> Filter:
    """The same filter in the order that all have."""
    return tuple(sorted(wanted, key=lambda part: (part.key, part.value)))


def _steps(triggers: Iterable[Trigger]) -> Steps:
    in_order = tuple(sorted(triggers, key=lambda trigger: trigger.step))
    return Steps(in_order, tuple(trigger.step for trigger in in_order))


def _step(trigger: PointsTrigger) -> int:
    if trigger.type == "metric":
        return (trigger.metric_threshold or 0) * UNIT
    return (trigger.streak_length if trigger.type == "streak" else trigger.time_interval) or 0


def _compile_system(system: PointsSystem) -> CompiledSystem:
    levels = sorted((level for level in system.levels if not level.archived), key=lambda level: level.points)
    boosts = [boost for boost in system.boosts if not boost.archived]
    return CompiledSystem(
        definition=system,
        highest=POINTS_MAX if system.max_points is None else system.max_points,
        boosts=tuple(
            CompiledBoost(b, to_amount(b.multiplier)) for b in sorted(boosts, key=_end_of_boost, reverse=True)
        ),
        level_points=tuple(level.points for level in levels),
        levels=tuple(levels),
    )


def _end_of_boost(boost: PointsBoost) -> float:
    return inf if boost.end_day is None else boost.end_day


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
