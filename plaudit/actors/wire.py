"""The wire's response objects: camelCase JSON, field for field what the official SDKs parse.

UNSET fields are left out, None is written as null. `Raw` is JSON that is already encoded.
"""

from typing import Literal

from msgspec import UNSET, Raw, Struct, UnsetType

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


class AchievementBase(Struct, frozen=True, rename="camel"):
    """`Achievement` with a metric trigger."""

    id: str
    key: str
    name: str
    trigger: Literal["metric"]
    description: str | None
    badge_url: str | None
    user_attributes: tuple[()]
    metric_id: str
    metric_value: Raw
    metric_name: str
    event_attributes: tuple[()]


class MetricResponse(Struct, frozen=True, rename="camel"):
    """`MetricResponse`; old SDKs need `status`."""

    id: str
    key: str
    name: str
    status: Literal["active"]
    current: Raw
    achievements: list[Raw]


class EventStreak(Struct, frozen=True, rename="camel"):
    """`EventStreak`. Dates are null where there is no streak."""

    length: int
    frequency: Literal["daily"]
    started: str | None
    period_start: str
    period_end: str
    expires: str | None
    extended: bool


class TriggerResponse(Struct, frozen=True, rename="camel"):
    """`PointsTrigger` of type metric."""

    id: str
    type: Literal["metric"]
    points: int
    status: Literal["active", "inactive", "archived"]
    user_attributes: tuple[()]
    event_attributes: tuple[()]
    created: str
    updated: str
    metric_id: str
    metric_name: str
    metric_threshold: int


class PointsBase(Struct, frozen=True, rename="camel"):
    """`PointsBase`: what `EventPoints` says of its system."""

    id: str
    key: str
    name: str
    description: str | None
    badge_url: str | None
    max_points: int | None


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


class ErrorResponse(Struct, frozen=True):
    """Every error: `{"error": ...}`, naming the field."""

    error: str
