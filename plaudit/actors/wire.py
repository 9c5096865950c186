"""The wire's response objects: camelCase JSON, field for field what the official SDKs parse.

UNSET fields are left out, None is written as null, unless the field has it as its default. `Raw` is JSON that is
already encoded.
"""

from typing import Literal

from msgspec import UNSET, Raw, Struct, UnsetType

from plaudit.engine.catalog import (
    AchievementTrigger,
    EvaluationMode,
    Frequency,
    RankBy,
    Rounding,
    RunUnit,
    TriggerType,
)
from plaudit.engine.commands import Position


class UserResponse(Struct, frozen=True, rename="camel"):
    """`User`."""

    id: str
    email: str | None
    name: str | None
    tz: str | None
    sign_up_date: str | None
    device_tokens: tuple[str, ...] | None
    subscribe_to_emails: bool
    attributes: dict[str, str]
    control: bool
    created: str
    updated: str


class KeyValue(Struct, frozen=True):
    """`KV`: an attribute and its value."""

    key: str
    value: str


class AchievementBase(Struct, frozen=True, rename="camel"):
    """`Achievement`. What belongs to another trigger is UNSET; `event_attribute` is for old SDKs."""

    id: str
    key: str
    name: str
    trigger: AchievementTrigger
    description: str | None
    badge_url: str | None
    user_attributes: list[KeyValue]
    metric_id: str | UnsetType = UNSET
    metric_value: Raw | UnsetType = UNSET
    metric_name: str | UnsetType = UNSET
    event_attributes: list[KeyValue] | UnsetType = UNSET
    event_attribute: KeyValue | UnsetType = UNSET
    streak_length: int | UnsetType = UNSET
    anniversary_years: int | UnsetType = UNSET
    achievement_ids: list[str] | UnsetType = UNSET


class AchievementPart(Struct, frozen=True):
    """A `UserAchievement` by its id, without what has to be asked of all shards."""

    id: str
    body: Raw


class UserAchievementsPart(Struct, frozen=True):
    """A shard's part of a user's achievements, for the gateway to complete."""

    achievements: list[AchievementPart]


class CountedAchievement(Struct, frozen=True):
    """An `Achievement` and how many of a shard's users have completed it. Those that are not listed are for users."""

    id: str
    completions: int
    listed: bool
    body: Raw


class AchievementStatsPart(Struct, frozen=True):
    """A shard's part of all achievements, for the gateway to merge."""

    users: int
    achievements: list[CountedAchievement]


class AchievementCompletion(Struct, frozen=True, rename="camel"):
    """`AchievementCompletion`; `achievements` has what was completed with it."""

    completion_id: str
    achievement: Raw
    points: dict[str, Raw]
    achievements: list[Raw]


class MetricResponse(Struct, frozen=True, rename="camel"):
    """`MetricResponse`; old SDKs need `status`."""

    id: str
    key: str
    name: str
    status: Literal["active"]
    current: Raw
    achievements: list[Raw]


class EventStreak(Struct, frozen=True, rename="camel", omit_defaults=True):
    """`EventStreak`. Dates are null where there is no streak; the last four are there if freezes, or earning, are."""

    length: int
    frequency: Frequency
    started: str | None
    period_start: str
    period_end: str
    expires: str | None
    extended: bool
    freezes: int | None = None
    max_freezes: int | None = None
    freeze_auto_earn_interval: int | None = None
    freeze_auto_earn_amount: int | None = None


class StreakPeriodResponse(Struct, frozen=True, rename="camel", omit_defaults=True):
    """`StreakPeriod`. `used_freeze` is there if freezes are, `reset_at` if the streak was reset in this period."""

    period_start: str
    period_end: str
    length: int
    used_pause: bool
    used_freeze: bool | None = None
    reset_at: str | None = None


class StreakPauseResponse(Struct, frozen=True, rename="camel"):
    """A pause in a `StreakResponse`."""

    id: str
    start: str
    end: str


class StreakResponse(Struct, frozen=True, rename="camel", omit_defaults=True):
    """`StreakResponse`: as `EventStreak`, but `extended` says when."""

    length: int
    frequency: Frequency
    started: str | None
    period_start: str
    period_end: str
    expires: str | None
    extended: str | None
    streak_history: list[StreakPeriodResponse]
    pauses: list[StreakPauseResponse]
    freezes: int | None = None
    max_freezes: int | None = None
    freeze_auto_earn_interval: int | None = None
    freeze_auto_earn_amount: int | None = None


class BulkStreak(Struct, frozen=True, rename="camel"):
    """`BulkStreakItem`."""

    user_id: str
    streak_length: int
    extended: str | None


class StreakMetricResponse(Struct, frozen=True):
    """A metric of a user's streak."""

    key: str
    threshold: Raw


class StreakPreferencesResponse(Struct, frozen=True, rename="camel", omit_defaults=True):
    """`StreakPreferences`: what the user has set."""

    enabled: bool | None = None
    evaluation_mode: EvaluationMode | None = None
    metrics: list[StreakMetricResponse] | None = None
    days_off: tuple[int, ...] | None = None


class UserPreferencesResponse(Struct, frozen=True):
    """`UserPreferences`. `streak` is there once something of it has been set."""

    notifications: dict[str, tuple[str, ...]]
    streak: StreakPreferencesResponse | UnsetType


class AdminStreakPause(Struct, frozen=True, rename="camel"):
    """`AdminStreakPause`."""

    id: str
    user_id: str
    start: str
    end: str
    status: Literal["active", "archived"]


class Owners(Struct, frozen=True):
    """A shard's part of an answer: users by the ids (UUIDs) of what they own."""

    owners: dict[str, str]


class TriggerResponse(Struct, frozen=True, rename="camel"):
    """`PointsTrigger`. What belongs to another type is UNSET; `event_attribute` is for old SDKs."""

    id: str
    type: TriggerType
    points: int
    status: Literal["active", "inactive", "archived"]
    user_attributes: list[KeyValue]
    created: str
    updated: str
    metric_id: str | UnsetType = UNSET
    metric_name: str | UnsetType = UNSET
    metric_threshold: int | UnsetType = UNSET
    event_attributes: list[KeyValue] | UnsetType = UNSET
    event_attribute: KeyValue | UnsetType = UNSET
    achievement_id: str | UnsetType = UNSET
    achievement_name: str | UnsetType = UNSET
    streak_length_threshold: int | UnsetType = UNSET
    time_unit: Literal["hour", "day"] | UnsetType = UNSET
    time_interval: int | UnsetType = UNSET


BoostStatus = Literal["active", "scheduled", "finished"]


class BoostResponse(Struct, frozen=True, rename="camel"):
    """`PointsBoost`."""

    id: str
    name: str
    status: BoostStatus
    start: str
    end: str | None
    multiplier: Raw
    rounding: Rounding


class AdminPointsBoost(Struct, frozen=True, rename="camel"):
    """`AdminPointsBoost` of one user."""

    id: str
    name: str
    status: BoostStatus
    start: str
    end: str | None
    multiplier: Raw
    rounding: Rounding
    user_id: str


class LevelResponse(Struct, frozen=True, rename="camel"):
    """`PointsLevel`."""

    id: str
    key: str
    name: str
    description: str
    badge_url: str | None
    points: int


class CountedLevel(Struct, frozen=True):
    """A `PointsLevel` and how many of a shard's users are at it."""

    id: str
    users: int
    body: Raw


class LevelCountsPart(Struct, frozen=True):
    """A shard's part of a level summary, for the gateway to merge."""

    levels: list[CountedLevel]


class PointCountsPart(Struct, frozen=True):
    """A shard's part of a points summary, for the gateway to merge: how many users there are, and in which bucket."""

    users: int
    buckets: dict[int, int]


class SummaryRow(Struct, frozen=True):
    """A period of an event summary, by its first day."""

    date: str
    total: Raw
    change: Raw


class AwardResponse(Struct, frozen=True):
    """`PointsAward`."""

    id: str
    awarded: int
    date: str
    total: int
    trigger: Raw
    boosts: list[Raw]


class PointsBase(Struct, frozen=True, rename="camel"):
    """`PointsBase`: what `EventPoints` says of its system."""

    id: str
    key: str
    name: str
    description: str | None
    badge_url: str | None
    max_points: int | None


class UserPoints(Struct, frozen=True, rename="camel"):
    """`GetUserPoints`."""

    id: str
    key: str
    name: str
    description: str | None
    badge_url: str | None
    max_points: int | None
    total: int
    level: Raw
    awards: list[AwardResponse]


class PointsSystemResponse(Struct, frozen=True, rename="camel"):
    """`PointsSystem`: with its active triggers."""

    id: str
    key: str
    name: str
    description: str | None
    badge_url: str | None
    max_points: int | None
    triggers: list[Raw]


class EventResponse(Struct, frozen=True, rename="camel"):
    """`EventResponse`. The last two are there only if the request had an idempotency key."""

    event_id: str
    metric_id: str
    total: Raw
    achievements: list[Raw]
    current_streak: EventStreak
    points: dict[str, Raw]
    leaderboards: dict[str, Raw]
    idempotency_key: str | UnsetType = UNSET
    idempotent_replayed: bool | UnsetType = UNSET


class LoggedAward(Struct, frozen=True, rename="camel"):
    """Points that an event awarded: the keys of system and trigger, and the user's total after it."""

    system: str
    trigger_id: str
    awarded: int
    total: int


class LoggedEvent(Struct, frozen=True, rename="camel"):
    """An event as it was recorded, and what it did. Metric, achievements and systems by their keys."""

    id: str
    date: str
    user_id: str
    metric: str
    value: Raw
    total: Raw
    attributes: dict[str, str]
    achievements: list[str]
    points: list[LoggedAward]
    streak_extended: bool
    idempotency_key: str | None


class EventPage(Struct, frozen=True):
    """A shard's part of an event log: events, newest first, and where each stands among those of all shards."""

    events: list[Raw]
    positions: list[Position]
    more_before: Position | None
    """There may be more before this; None if that was all."""


class EventLogResponse(Struct, frozen=True, rename="camel"):
    """The event log. `next_cursor` is null at the end; a page before it may be short, or empty."""

    events: list[Raw]
    next_cursor: str | None


class Issue(Struct, frozen=True, rename="camel", omit_defaults=True):
    """`Issue` with an item of an admin batch, named by one of the last three. Old SDKs need `level` and `reason`."""

    severity: Literal["error", "warning"]
    message: str
    level: Literal["error", "warning"]
    reason: str
    id: str | None = None
    user_id: str | None = None
    index: int | None = None


class DeletedItem(Struct, frozen=True):
    """What is deleted."""

    id: str


class FreezesResponse(Struct, frozen=True):
    """The answer to `POST /streaks/freezes`."""

    issues: list[Issue]


class PausesResponse(Struct, frozen=True):
    """The answer to `POST /streaks/pauses`: `AdminStreakPause` objects."""

    created: list[Raw]
    issues: list[Issue]


class BoostsResponse(Struct, frozen=True):
    """The answer to `POST /points/{systemId}/boosts`: `AdminPointsBoost` objects."""

    created: list[Raw]
    issues: list[Issue]


class DeletedResponse(Struct, frozen=True):
    """The answer to a deletion of many."""

    deleted: list[DeletedItem]
    issues: list[Issue]


class RestoredResponse(Struct, frozen=True, rename="camel"):
    """The answer to `POST /streaks/restore`."""

    restored_users: list[str]
    issues: list[Issue]


class ResetResponse(Struct, frozen=True, rename="camel"):
    """The answer to `POST /streaks/reset`."""

    reset_users: list[str]
    issues: list[Issue]


class ErrorResponse(Struct, frozen=True):
    """Every error: `{"error": ...}`, naming the field."""

    error: str


class LeaderboardBase(Struct, frozen=True, rename="camel"):
    """`Leaderboard`, without its status and the end of its run. `breakdown_attribute` is for old SDKs.

    What does not belong to what it ranks by is UNSET.
    """

    id: str
    name: str
    key: str
    rank_by: RankBy
    breakdown_attribute: str | None
    breakdown_attributes: tuple[str, ...]
    user_attributes: list[KeyValue]
    description: str | None
    start: str
    end: str | None
    start_time: str | None
    end_time: str | None
    max_participants: int | None
    run_unit: RunUnit | None
    run_interval: int | None
    metric_key: str | UnsetType = UNSET
    metric_name: str | UnsetType = UNSET
    points_system_key: str | UnsetType = UNSET
    points_system_name: str | UnsetType = UNSET


class LeaderboardPart(Struct, frozen=True):
    """A leaderboard and one of its runs, for the gateway to ask the leaderboard shard; `body` is the base object."""

    board: int
    run: int
    """The run's first day, as an ordinal."""
    group: list[str | None]
    """The values that groups must have; None: any."""
    body: Raw
    has_begun: bool
    """False: nobody is ranked in it yet."""
    seat: int | None = None
    """Of the participant who was asked for."""


class Ranking(Struct, frozen=True, rename="camel"):
    """An item of `rankings`."""

    user_id: str
    user_name: str | None
    rank: int
    value: int


class LeaderboardDay(Struct, frozen=True, rename="camel"):
    """`LeaderboardEvent`: how a day ended, and the day before it that is known."""

    date: str
    timestamp: str
    previous_rank: int | None
    rank: int | None
    previous_value: int | None
    value: int | None


class PlaceResponse(Struct, frozen=True):
    """A participant's place, for the gateway to complete."""

    rank: int | None
    value: int | None
    history: list[LeaderboardDay]
