"""From the tables of a document to items of the catalog."""

from uuid import UUID, uuid5

from plaudit.engine.catalog import (
    Achievement,
    Attribute,
    AttributeValue,
    Filter,
    Leaderboard,
    Metric,
    PointsBoost,
    PointsLevel,
    PointsSystem,
    PointsTrigger,
)
from plaudit.engine.compiling import sort_filter
from plaudit.engine.document import (
    AchievementEntry,
    AttributeEntry,
    Attributes,
    BoostEntry,
    LeaderboardEntry,
    LevelEntry,
    MetricEntry,
    PointsEntry,
    TriggerEntry,
)
from plaudit.engine.runs import utc_day
from plaudit.engine.times import parse_time

NAMESPACE = UUID("6b3c1d4e-6a53-5a0e-9d4f-0d2f5a7c9e11")
"""Ids derive from it, so the same file gives the same ids on every installation."""


def _id(kind: str, key: str) -> str:
    return str(uuid5(NAMESPACE, f"{kind}:{key}"))


def to_metric(entry: MetricEntry, now_ms: int) -> Metric:
    """A metric, not numbered yet, created at `now_ms`."""
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


def to_attribute(entry: AttributeEntry, now_ms: int) -> Attribute:
    """The same for an attribute."""
    return Attribute(
        number=0,
        id=_id(f"{entry.type} attribute", entry.key),
        key=entry.key,
        name=entry.name,
        created_ms=now_ms,
        updated_ms=now_ms,
        type=entry.type,
    )


def to_achievement(entry: AchievementEntry, now_ms: int) -> Achievement:
    """The same for an achievement."""
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
        streak_length=entry.streak_length,
        anniversary_years=entry.anniversary_years,
        achievements=entry.achievements or (),
        user_attributes=_filter(entry.user_attributes),
        event_attributes=_filter(entry.event_attributes),
    )


def to_points_system(entry: PointsEntry, now_ms: int) -> PointsSystem:
    """The same for a points system, without what is in it."""
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


def to_trigger(system: PointsEntry, entry: TriggerEntry, now_ms: int) -> PointsTrigger:
    """The same for a trigger of a points system; time does not count for it yet."""
    return PointsTrigger(
        number=0,
        id=_id("points trigger", f"{system.key}/{entry.key}"),
        key=entry.key,
        name=entry.key,
        created_ms=now_ms,
        updated_ms=now_ms,
        type=entry.type,
        status=entry.status,
        points=entry.points or 0,
        metric=entry.metric,
        metric_threshold=entry.metric_threshold,
        achievement=entry.achievement,
        streak_length=entry.streak_length,
        time_unit=entry.time_unit,
        time_interval=entry.time_interval,
        user_attributes=_filter(entry.user_attributes),
        event_attributes=_filter(entry.event_attributes),
        block_if_out_of_points=entry.block_if_out_of_points,
    )


def to_boost(system: PointsEntry, entry: BoostEntry, now_ms: int) -> PointsBoost:
    """The same for a boost of a points system."""
    return PointsBoost(
        number=0,
        id=_id("points boost", f"{system.key}/{entry.key}"),
        key=entry.key,
        name=entry.name,
        created_ms=now_ms,
        updated_ms=now_ms,
        start_day=entry.start.toordinal(),
        end_day=None if entry.end is None else entry.end.toordinal(),
        multiplier=entry.multiplier,
        rounding=entry.rounding,
        user_attributes=_filter(entry.user_attributes),
    )


def to_level(system: PointsEntry, entry: LevelEntry, now_ms: int) -> PointsLevel:
    """The same for a level of a points system."""
    return PointsLevel(
        number=0,
        id=_id("points level", f"{system.key}/{entry.key}"),
        key=entry.key,
        name=entry.name,
        created_ms=now_ms,
        updated_ms=now_ms,
        points=entry.points,
        description=entry.description,
        badge_url=entry.badge_url,
    )


def to_leaderboard(entry: LeaderboardEntry, now_ms: int) -> Leaderboard:
    """The same for a leaderboard; one without a start begins today in UTC, or on its last day if that has passed."""
    end_day = None if entry.end is None else entry.end.toordinal()
    today = utc_day(now_ms)
    if entry.start is not None:
        start_day = entry.start.toordinal()
    else:
        start_day = today if end_day is None else min(today, end_day)
    return Leaderboard(
        number=0,
        id=_id("leaderboard", entry.key),
        key=entry.key,
        name=entry.name,
        created_ms=now_ms,
        updated_ms=now_ms,
        description=entry.description,
        status=entry.status,
        rank_by=entry.rank_by,
        metric=entry.metric,
        points_system=entry.points,
        max_participants=entry.max_participants,
        start_day=start_day,
        end_day=end_day,
        start_time_s=None if entry.start_time is None else parse_time(entry.start_time),
        end_time_s=None if entry.end_time is None else parse_time(entry.end_time),
        run_unit=entry.run_unit,
        run_interval=entry.run_interval or 1,
        breakdown_attributes=entry.breakdown_attributes,
        user_attributes=_filter(entry.user_attributes),
    )


def _filter(attributes: Attributes) -> Filter:
    return sort_filter(tuple(AttributeValue(key, value) for key, value in attributes.items()))
