"""From one version of the catalog to the next: what a document changes, and what keeps its identity."""

from collections.abc import Iterable
from typing import TypeVar
from uuid import UUID, uuid5

from msgspec.structs import replace

from plaudit.engine.catalog import (
    Achievement,
    Attribute,
    Catalog,
    Item,
    Metric,
    PointsSystem,
    PointsTrigger,
    StreakMetric,
    StreakSettings,
)
from plaudit.engine.document import (
    AchievementEntry,
    AttributeEntry,
    Document,
    MetricEntry,
    PointsEntry,
    StreakEntry,
    TriggerEntry,
)
from plaudit.engine.settings import make_freezes

NAMESPACE = UUID("6b3c1d4e-6a53-5a0e-9d4f-0d2f5a7c9e11")
"""Ids derive from it, so the same file gives the same ids on every installation."""

AnyItem = TypeVar("AnyItem", bound=Item)


def revise(catalog: Catalog, document: Document, now_ms: int) -> Catalog:
    """The catalog after `document` has been applied to it at `now_ms`; the same object if that changes nothing.

    Items that the document no longer has are archived; a key that comes back takes up its old identity. The document
    must have no problems (`find_problems`).
    """
    revised = Catalog(
        version=catalog.version,
        metrics=_merge(catalog.metrics, (_metric(entry, now_ms) for entry in document.metrics), now_ms),
        attributes=_merge(catalog.attributes, (_attribute(entry, now_ms) for entry in document.attributes), now_ms),
        achievements=_merge(
            catalog.achievements, (_achievement(entry, now_ms) for entry in document.achievements), now_ms
        ),
        points_systems=_points_systems(catalog.points_systems, document.points, now_ms),
        streaks=_streaks(catalog.streaks, document.streak, now_ms),
    )
    return catalog if revised == catalog else replace(revised, version=catalog.version + 1)


def _streaks(current: StreakSettings, entry: StreakEntry | None, now_ms: int) -> StreakSettings:
    if entry is None:
        return current
    return StreakSettings(
        frequency=entry.frequency,
        evaluation_mode=entry.evaluation_mode,
        customization_enabled=entry.customization_enabled,
        days_off=tuple(sorted(entry.days_off)),
        metrics=tuple(StreakMetric(key=m.key, threshold=m.threshold) for m in entry.metrics),
        freezes=None if entry.freezes is None else make_freezes(current.freezes, entry.freezes, now_ms),
    )


def _merge(current: tuple[AnyItem, ...], wanted: Iterable[AnyItem], now_ms: int) -> tuple[AnyItem, ...]:
    """`current` brought to what is `wanted`: in order of creation, identities kept, the unwanted archived."""
    wanted_by_id = {item.id: item for item in wanted}
    known = {item.id for item in current}
    number = max((item.number for item in current), default=0)
    kept = [_updated(item, wanted_by_id.get(item.id), now_ms) for item in current]
    created = [item for item in wanted_by_id.values() if item.id not in known]
    return (*kept, *(replace(item, number=number + n) for n, item in enumerate(created, 1)))


def _updated(item: AnyItem, wanted: AnyItem | None, now_ms: int) -> AnyItem:
    if wanted is None:
        return item if item.archived else replace(item, archived=True, updated_ms=now_ms)
    same = replace(wanted, number=item.number, created_ms=item.created_ms, updated_ms=item.updated_ms)
    return item if same == item else replace(same, updated_ms=now_ms)


def _points_systems(
    current: tuple[PointsSystem, ...], entries: tuple[PointsEntry, ...], now_ms: int
) -> tuple[PointsSystem, ...]:
    triggers = {system.id: system.triggers for system in current}
    wanted = []
    for entry in entries:
        system = _points_system(entry, now_ms)
        wanted.append(
            replace(
                system,
                triggers=_merge(
                    triggers.get(system.id, ()), (_trigger(entry, t, now_ms) for t in entry.triggers), now_ms
                ),
            )
        )
    return _merge(current, wanted, now_ms)


def _id(kind: str, key: str) -> str:
    return str(uuid5(NAMESPACE, f"{kind}:{key}"))


def _metric(entry: MetricEntry, now_ms: int) -> Metric:
    return Metric(
        number=0,
        id=_id("metric", entry.key),
        key=entry.key,
        name=entry.name,
        created_ms=now_ms,
        updated_ms=now_ms,
        unit_type=entry.unit_type,
        units=entry.units,
    )


def _attribute(entry: AttributeEntry, now_ms: int) -> Attribute:
    return Attribute(
        number=0,
        id=_id(f"{entry.type} attribute", entry.key),
        key=entry.key,
        name=entry.name,
        created_ms=now_ms,
        updated_ms=now_ms,
        type=entry.type,
    )


def _achievement(entry: AchievementEntry, now_ms: int) -> Achievement:
    return Achievement(
        number=0,
        id=_id("achievement", entry.key),
        key=entry.key,
        name=entry.name,
        created_ms=now_ms,
        updated_ms=now_ms,
        description=entry.description,
        badge_url=entry.badge_url,
        status=entry.status,
        trigger=entry.trigger,
        metric=entry.metric,
        metric_value=entry.metric_value,
    )


def _points_system(entry: PointsEntry, now_ms: int) -> PointsSystem:
    return PointsSystem(
        number=0,
        id=_id("points system", entry.key),
        key=entry.key,
        name=entry.name,
        created_ms=now_ms,
        updated_ms=now_ms,
        description=entry.description,
        badge_url=entry.badge_url,
        max_points=entry.max_points,
    )


def _trigger(system: PointsEntry, entry: TriggerEntry, now_ms: int) -> PointsTrigger:
    return PointsTrigger(
        number=0,
        id=_id("points trigger", f"{system.key}/{entry.key}"),
        key=entry.key,
        name=entry.key,
        created_ms=now_ms,
        updated_ms=now_ms,
        type=entry.type,
        status=entry.status,
        points=entry.points,
        metric=entry.metric,
        metric_threshold=entry.metric_threshold,
    )
