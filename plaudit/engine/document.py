"""The catalog as its author writes it: no ids, no numbers, no dates of its own. See `problems` for what it must say."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta, Struct

from plaudit.engine.catalog import (
    AchievementTrigger,
    EvaluationMode,
    Frequency,
    RankBy,
    Rounding,
    RunUnit,
    Status,
    TimeUnit,
    TriggerType,
)

KEY_PATTERN = r"^[A-Za-z0-9_-]+\Z"
KEY_LENGTH_MAX = 100
NAME_LENGTH_MAX = 255
TEXT_LENGTH_MAX = 2000

Key = Annotated[str, Meta(pattern=KEY_PATTERN, max_length=KEY_LENGTH_MAX)]
Name = Annotated[str, Meta(min_length=1, max_length=NAME_LENGTH_MAX)]
Text = Annotated[str, Meta(max_length=TEXT_LENGTH_MAX)]
Threshold = Annotated[int, Meta(ge=1, le=10**12)]
StreakThreshold = Annotated[int, Meta(ge=1, le=10_000)]
Points = Annotated[int, Meta(ge=-(10**12), le=10**12)]
LevelPoints = Annotated[int, Meta(ge=0, le=10**15)]
StreakLength = Annotated[int, Meta(ge=1, le=100_000)]
Years = Annotated[int, Meta(ge=1, le=1000)]
Interval = Annotated[int, Meta(ge=1, le=100_000)]
Places = Annotated[int, Meta(ge=1, le=10**12)]
"""More than there are people."""
Attributes = dict[str, Annotated[str, Meta(max_length=TEXT_LENGTH_MAX)]]
"""A filter: values by the keys of attributes."""
METRIC_VALUE_MAX = 10**15
MULTIPLIER_MAX = 100
FREEZES_MAX = 100


class MetricEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A `[[metrics]]` table."""

    key: Key
    name: Name
    unit_type: Literal["number", "currency"] = "number"
    units: Text = ""


class AttributeEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """An `[[attributes]]` table: a key that users or events may carry."""

    key: Key
    name: Name
    type: Literal["user", "event"]


class AchievementEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """An `[[achievements]]` table. What it needs beside key and name depends on its trigger."""

    key: Key
    name: Name
    metric: str | None = None
    metric_value: Decimal | None = None
    trigger: AchievementTrigger = "metric"
    status: Status = "active"
    description: Text | None = None
    badge_url: Text | None = None
    streak_length: StreakLength | None = None
    anniversary_years: Years | None = None
    achievements: tuple[str, ...] | None = None
    user_attributes: Attributes = {}
    event_attributes: Attributes = {}


class TriggerEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A `[[points.triggers]]` table. What it needs beside key and points depends on its type."""

    key: Key
    metric: str | None = None
    metric_threshold: Threshold | None = None
    points: Points | None = None
    type: TriggerType = "metric"
    status: Literal["active", "inactive"] = "active"
    achievement: str | None = None
    streak_length: StreakLength | None = None
    time_unit: TimeUnit | None = None
    time_interval: Interval | None = None
    user_attributes: Attributes = {}
    event_attributes: Attributes = {}
    block_if_out_of_points: bool = False


class BoostEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A `[[points.boosts]]` table."""

    key: Key
    name: Name
    start: date
    multiplier: Decimal
    end: date | None = None
    rounding: Rounding = "down"
    user_attributes: Attributes = {}


class LevelEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A `[[points.levels]]` table."""

    key: Key
    name: Name
    points: LevelPoints
    description: Text = ""
    badge_url: Text | None = None


class PointsEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A `[[points]]` table: one points system."""

    key: Key
    name: Name
    description: Text | None = None
    badge_url: Text | None = None
    max_points: Threshold | None = None
    triggers: tuple[TriggerEntry, ...] = ()
    boosts: tuple[BoostEntry, ...] = ()
    levels: tuple[LevelEntry, ...] = ()


class StreakMetricEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A `[[streak.metrics]]` table."""

    key: str
    threshold: StreakThreshold


class FreezesEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """The `[streak.freezes]` table."""

    start_count: Annotated[int, Meta(ge=0, le=FREEZES_MAX)]
    max_count: Annotated[int, Meta(ge=1, le=FREEZES_MAX)]
    auto_earn_interval: Annotated[int, Meta(ge=1, le=365)] | None = None
    auto_earn_amount: Annotated[int, Meta(ge=1, le=10)] | None = None


class StreakEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """The `[streak]` table."""

    frequency: Frequency = "daily"
    evaluation_mode: EvaluationMode = "OR"
    customization_enabled: bool = False
    days_off: Annotated[tuple[Annotated[int, Meta(ge=0, le=6)], ...], Meta(max_length=6)] = ()
    metrics: tuple[StreakMetricEntry, ...] = ()
    freezes: FreezesEntry | None = None


class LeaderboardEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A `[[leaderboards]]` table. What it needs beside key and name depends on what it ranks by."""

    key: Key
    name: Name
    rank_by: RankBy
    metric: str | None = None
    points: str | None = None
    description: Text | None = None
    status: Literal["active", "inactive"] = "active"
    max_participants: Places | None = None
    start: date | None = None
    """None: the day on which it becomes active, in UTC."""
    end: date | None = None
    start_time: str | None = None
    end_time: str | None = None
    """`HH:MM` or `HH:MM:SS`."""
    run_unit: RunUnit | None = None
    run_interval: Interval | None = None
    breakdown_attributes: tuple[str, ...] = ()
    user_attributes: Attributes = {}


class Document(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole catalog file."""

    metrics: tuple[MetricEntry, ...] = ()
    attributes: tuple[AttributeEntry, ...] = ()
    achievements: tuple[AchievementEntry, ...] = ()
    points: tuple[PointsEntry, ...] = ()
    streak: StreakEntry | None = None
    """None: the streak settings stay as they are."""
    leaderboards: tuple[LeaderboardEntry, ...] = ()
