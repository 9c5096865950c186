"""Catalogs made of their items, numbered as they come; a changed one keeps the numbers of the one before it."""

from decimal import Decimal
from typing import Any, TypeVar

from msgspec.structs import replace

from plaudit.engine.amounts import to_amount
from plaudit.engine.catalog import (
    Accumulator,
    Achievement,
    Attribute,
    AttributeValue,
    Catalog,
    Filter,
    Item,
    Metric,
    PointsBoost,
    PointsLevel,
    PointsSystem,
    PointsTrigger,
    Rounding,
    StreakSettings,
)
from plaudit.engine.commands import CreateBoost
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.compiling import compile_catalog, sort_filter
from plaudit.engine.outcome import Award
from tests.engine.builders import CREATED_MS, day, event_id

METRICS = ("words", "pages", "steps")
AnyItem = TypeVar("AnyItem", bound=Item)


def wanted(parts: dict[str, str] | None) -> Filter:
    """A filter of these attributes."""
    return tuple(AttributeValue(key, value) for key, value in (parts or {}).items())


def _item(key: str) -> dict[str, Any]:
    return {"number": 0, "id": f"id of {key}", "key": key, "name": key, "created_ms": CREATED_MS, "updated_ms": 0}


def _filters(more: dict[str, Any]) -> dict[str, Any]:
    """What is passed on to an item; attributes may be given as a dict."""
    return {name: wanted(value) if name.endswith("_attributes") else value for name, value in more.items()}


# Achievements


def at_value(key: str, value: str, metric: str = "words", **more: Any) -> Achievement:
    return Achievement(**_item(key), metric=metric, metric_value=Decimal(value), **_filters(more))


def at_length(key: str, length: int, **more: Any) -> Achievement:
    return Achievement(**_item(key), trigger="streak", streak_length=length, **_filters(more))


def after_years(key: str, years: int, **more: Any) -> Achievement:
    return Achievement(**_item(key), trigger="anniversary", anniversary_years=years, **_filters(more))


def on_demand(key: str, **more: Any) -> Achievement:
    return Achievement(**_item(key), trigger="api", **_filters(more))


def after_all(key: str, *achievements: str, **more: Any) -> Achievement:
    return Achievement(**_item(key), trigger="achievement", achievements=achievements, **_filters(more))


# Points


def per_total(points: int, every: int, metric: str = "words", key: str = "", **more: Any) -> PointsTrigger:
    kind: dict[str, Any] = {"type": "metric", "metric": metric, "metric_threshold": every}
    return _trigger(points, key, kind, more)


def per_length(points: int, length: int, key: str = "", **more: Any) -> PointsTrigger:
    return _trigger(points, key, {"type": "streak", "streak_length": length}, more)


def per_completion(points: int, achievement: str, key: str = "", **more: Any) -> PointsTrigger:
    return _trigger(points, key, {"type": "achievement", "achievement": achievement}, more)


def per_hours(points: int, hours: int, key: str = "", **more: Any) -> PointsTrigger:
    return _trigger(points, key, {"type": "time", "time_unit": "hours", "time_interval": hours}, more)


def per_days(points: int, days: int, key: str = "", **more: Any) -> PointsTrigger:
    return _trigger(points, key, {"type": "time", "time_unit": "days", "time_interval": days}, more)


def at_creation(points: int, key: str = "", **more: Any) -> PointsTrigger:
    return _trigger(points, key, {"type": "user_creation"}, more)


def _trigger(points: int, key: str, kind: dict[str, Any], more: dict[str, Any]) -> PointsTrigger:
    return PointsTrigger(**(_item(key or f"{kind['type']} {points}") | kind | _filters(more)), points=points)


def boost(
    multiplier: str, first: str = "2024-01-01", last: str | None = None, rounding: Rounding = "down", **more: Any
) -> PointsBoost:
    """A boost from one date to another; its key is its multiplier."""
    return PointsBoost(
        **_item(more.pop("key", multiplier)),
        start_day=day(first),
        end_day=None if last is None else day(last),
        multiplier=Decimal(multiplier),
        rounding=rounding,
        **_filters(more),
    )


def own_boost(
    multiplier: str,
    first: str = "2024-01-01",
    last: str | None = None,
    rounding: Rounding = "down",
    *,
    system: str = "xp",
    number: int = 1,
) -> CreateBoost:
    """The command that gives sam a boost of their own, named after its multiplier."""
    end = None if last is None else day(last)
    amount = to_amount(Decimal(multiplier))
    return CreateBoost("sam", f"id of {system}", event_id(number), multiplier, day(first), end, amount, rounding)


def level(points: int, key: str = "") -> PointsLevel:
    return PointsLevel(**_item(key or str(points)), points=points)


def points(
    *triggers: PointsTrigger,
    key: str = "xp",
    max_points: int | None = None,
    boosts: tuple[PointsBoost, ...] = (),
    levels: tuple[PointsLevel, ...] = (),
) -> PointsSystem:
    return PointsSystem(**_item(key), triggers=triggers, boosts=boosts, levels=levels, max_points=max_points)


# Catalogs


def catalog(
    *items: Achievement | PointsSystem,
    streak: StreakSettings = StreakSettings(),  # noqa: B008 (frozen)
    before: CompiledCatalog | None = None,
    at_ms: int = CREATED_MS,
    metrics: tuple[str, ...] = METRICS,
) -> CompiledCatalog:
    """A catalog of these items, that came at an instant; of what was `before`, it archives what it does not have."""
    old = before.catalog if before is not None else Catalog()
    version = old.version + 1
    achievements = [item for item in items if isinstance(item, Achievement)]
    systems = [_system(item, old) for item in items if isinstance(item, PointsSystem)]
    accumulators = _accumulators(old.accumulators, items)
    attributes = [
        *(Attribute(**_item(key), type="user") for key in ("plan", "team")),
        *(Attribute(**_item(key), type="event") for key in ("device", "mood")),
    ]
    return compile_catalog(
        Catalog(
            version=version,
            metrics=_numbered(old.metrics, [Metric(**_item(key)) for key in metrics]),
            attributes=_numbered((), attributes),
            achievements=_numbered(old.achievements, [_dated(a, old, at_ms) for a in achievements]),
            points_systems=_numbered(old.points_systems, systems),
            streaks=streak,
            accumulators=accumulators,
            filling=version if accumulators != old.accumulators else old.filling,
            backdating=version,
            backdating_ms=at_ms,
        )
    )


def _numbered(old: tuple[AnyItem, ...], new: list[AnyItem]) -> tuple[AnyItem, ...]:
    by_key = {item.key: item for item in new}
    assert len(by_key) == len(new)
    known = {item.key for item in old}
    kept = [replace(by_key.get(item.key, replace(item, archived=True)), number=item.number) for item in old]
    added = [item for item in new if item.key not in known]
    return (*kept, *(replace(item, number=number) for number, item in enumerate(added, len(old) + 1)))


def _dated(achievement: Achievement, catalog: Catalog, at_ms: int) -> Achievement:
    """As of when it became what it is."""
    old = next((other for other in catalog.achievements if other.key == achievement.key), None)
    if old is not None and replace(achievement, number=old.number, updated_ms=old.updated_ms) == old:
        return replace(achievement, updated_ms=old.updated_ms)
    return replace(achievement, updated_ms=at_ms)


def _system(system: PointsSystem, catalog: Catalog) -> PointsSystem:
    old = next((other for other in catalog.points_systems if other.key == system.key), PointsSystem(**_item("")))
    return replace(
        system,
        triggers=_numbered(old.triggers, list(system.triggers)),
        boosts=_numbered(old.boosts, list(system.boosts)),
        levels=_numbered(old.levels, list(system.levels)),
    )


def _accumulators(
    old: tuple[Accumulator, ...], items: tuple[Achievement | PointsSystem, ...]
) -> tuple[Accumulator, ...]:
    feeding: list[Achievement | PointsTrigger] = []
    for item in items:
        feeding += item.triggers if isinstance(item, PointsSystem) else [item]
    found = dict.fromkeys((a.metric, a.event_attributes) for a in old)
    found |= dict.fromkeys((i.metric or "", sort_filter(i.event_attributes)) for i in feeding if i.event_attributes)
    return tuple(
        Accumulator(number=number, metric=metric, event_attributes=parts)
        for number, (metric, parts) in enumerate(found, 1)
    )


# What came of it


def given(awards: tuple[Award, ...]) -> list[tuple[str, int, int]]:
    """The trigger of each award, what it gave, and the total after it."""
    return [(award.trigger.key, award.awarded, award.total) for award in awards]


def keys(items: tuple[Item, ...]) -> list[str]:
    return [item.key for item in items]
