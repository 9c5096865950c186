"""The catalog: everything that is configured, as plain data.

Every item has an `id` (a UUID, on the wire) and a `number` (a small integer, never used again for another item of its
kind; triggers, boosts and levels are numbered within their system), by which users' state refers to it. An item that is
removed is archived, never deleted: state and history still name it, and the same key brings it back. Instants are Unix
milliseconds. Decimals are exact.
"""

from decimal import Decimal
from typing import Literal

from msgspec import Struct


class Item(Struct, frozen=True, kw_only=True):
    """What every item of the catalog has."""

    number: int
    id: str
    key: str
    name: str
    archived: bool = False
    created_ms: int
    updated_ms: int


class Metric(Item, frozen=True, kw_only=True):
    """Something that users do, counted in a total per user."""

    unit_type: Literal["number", "currency"] = "number"
    units: str = ""


class Attribute(Item, frozen=True, kw_only=True):
    """A key that users or events may carry a value for."""

    type: Literal["user", "event"]


class AttributeValue(Struct, frozen=True):
    """A part of a filter: the attribute with this key must have this value."""

    key: str
    value: str


Filter = tuple[AttributeValue, ...]
"""All of it must match; an empty one matches everything."""

AchievementTrigger = Literal["metric", "streak", "api", "achievement", "anniversary"]
Status = Literal["active", "inactive", "locked"]


class Achievement(Item, frozen=True, kw_only=True):
    """Completed once per user, when what `trigger` says happens. What belongs to another trigger is None, or empty."""

    description: str | None = None
    badge_url: str | None = None
    status: Status = "active"
    """Inactive: not there. Locked: nobody new can complete it."""
    trigger: AchievementTrigger = "metric"
    metric: str | None = None
    """The key of the metric whose total has to reach `metric_value`."""
    metric_value: Decimal | None = None
    streak_length: int | None = None
    """The length that the streak has to reach."""
    anniversary_years: int | None = None
    """How many years have to pass since the user signed up."""
    achievements: tuple[str, ...] = ()
    """The keys of those that all have to be completed."""
    user_attributes: Filter = ()
    event_attributes: Filter = ()
    """With any, the total is that of the matching events alone."""


TriggerType = Literal["metric", "achievement", "streak", "time", "user_creation"]
TimeUnit = Literal["hours", "days"]


class PointsTrigger(Item, frozen=True, kw_only=True):
    """Awards `points`, or takes them, when what `type` says happens. What belongs to another type is None, or empty."""

    type: TriggerType = "metric"
    status: Literal["active", "inactive"] = "active"
    points: int
    metric: str | None = None
    """The key of the metric of whose total every further `metric_threshold` counts."""
    metric_threshold: int | None = None
    achievement: str | None = None
    """The key of the achievement whose completion counts."""
    streak_length: int | None = None
    """Every multiple of it counts that the streak reaches."""
    time_unit: TimeUnit | None = None
    time_interval: int | None = None
    user_attributes: Filter = ()
    event_attributes: Filter = ()
    """With any, the total is that of the matching events alone."""
    block_if_out_of_points: bool = False
    """An event that would take more than there is has no effect at all."""
    activated_ms: int | None = None
    """Since when time counts for it; None: since it was created."""


Rounding = Literal["down", "up", "nearest"]


class PointsBoost(Item, frozen=True, kw_only=True):
    """Multiplies what users earn on certain days (ordinals, in their own zones, both included). Known by its name."""

    start_day: int
    end_day: int | None = None
    """None: it never ends."""
    multiplier: Decimal
    rounding: Rounding = "down"
    user_attributes: Filter = ()


class PointsLevel(Item, frozen=True, kw_only=True):
    """What users are at who have at least `points`, and not enough for a higher one."""

    points: int
    description: str = ""
    badge_url: str | None = None


class PointsSystem(Item, frozen=True, kw_only=True):
    """A currency of points. `max_points` caps what a user can have; None is no cap."""

    description: str | None = None
    badge_url: str | None = None
    max_points: int | None = None
    triggers: tuple[PointsTrigger, ...] = ()
    boosts: tuple[PointsBoost, ...] = ()
    levels: tuple[PointsLevel, ...] = ()


RankBy = Literal["metric", "points", "streak"]
RunUnit = Literal["day", "month", "year"]


class Leaderboard(Item, frozen=True, kw_only=True):
    """Ranks users by a metric, by points or by the length of their streaks. Days are ordinals, where each user is."""

    description: str | None = None
    status: Literal["active", "inactive"] = "active"
    """Active ones begin and end by their days; inactive ones are nowhere to be seen."""
    rank_by: RankBy
    metric: str | None = None
    """The key of the metric; None if it ranks by something else."""
    points_system: str | None = None
    """The key of the points system; None if it ranks by something else."""
    max_participants: int | None = None
    """How many places there are, in each group; None: as many as there are users."""
    start_day: int
    end_day: int | None = None
    """The last day; None: it does not end."""
    start_time_s: int | None = None
    """Only what happens at or after this time of day counts: seconds after midnight, where the user is."""
    end_time_s: int | None = None
    """And only what happens before this one."""
    run_unit: RunUnit | None = None
    """With `run_interval` of these it begins anew; None: it does not."""
    run_interval: int = 1
    breakdown_attributes: tuple[str, ...] = ()
    """Keys of user attributes: users with the same values are ranked among themselves."""
    user_attributes: Filter = ()
    """Only users who match take part."""
    is_all_time: bool = False
    """What users did before it began counts as well."""
    filling: int = 0
    """The version since which it counts: what users did before that is in their history."""
    counting_ms: int = 0
    """When that came: runs that were over by then have no ranking."""


class Accumulator(Struct, frozen=True, kw_only=True):
    """A total of each user, over the events of a metric (a key) that match a filter. Never removed."""

    number: int
    metric: str
    event_attributes: Filter
    """By key."""


Frequency = Literal["daily", "weekly", "monthly"]
EvaluationMode = Literal["OR", "AND"]


class StreakMetric(Struct, frozen=True, kw_only=True):
    """A metric (by key) and how much of it a period needs."""

    key: str
    threshold: int


class FreezeSettings(Struct, frozen=True, kw_only=True):
    """How many missed periods a user can make up for."""

    start_count: int
    """What a new user has."""
    max_count: int
    """What nothing goes beyond, and above which nothing is earned."""
    auto_earn_interval: int | None = None
    """Days; None: nothing is earned. Set if and only if the amount is."""
    auto_earn_amount: int | None = None
    since_ms: int
    """When these settings took effect: every user's interval begins anew then, or with the user."""


class StreakSettings(Struct, frozen=True, kw_only=True):
    """When a period counts. Without metrics, any positive change of any metric counts."""

    frequency: Frequency = "daily"
    evaluation_mode: EvaluationMode = "OR"
    customization_enabled: bool = False
    """Users may have metrics, a mode and days off of their own."""
    days_off: tuple[int, ...] = ()
    """Days of the week on which a daily streak need not be extended, ascending; 0 is Sunday."""
    metrics: tuple[StreakMetric, ...] = ()
    freezes: FreezeSettings | None = None
    """None: there are no freezes."""


class Catalog(Struct, frozen=True, kw_only=True):
    """One version of the configuration: immutable, archived items included, in order of creation."""

    version: int = 0
    metrics: tuple[Metric, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    achievements: tuple[Achievement, ...] = ()
    points_systems: tuple[PointsSystem, ...] = ()
    leaderboards: tuple[Leaderboard, ...] = ()
    streaks: StreakSettings = StreakSettings()
    accumulators: tuple[Accumulator, ...] = ()
    filling: int = 0
    """The version that brought the newest of them, or of the leaderboards that count: the history of users from before
    has to be looked through."""
    backdating: int = 0
    """The version for which users from before have to be looked at: they may deserve something without doing more."""
    backdating_ms: int = 0
    """When it came; what they deserve they have had since then."""
