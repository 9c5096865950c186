"""The catalog: everything that is configured, as plain data.

Every item has an `id` (a UUID, on the wire) and a `number` (a small integer, never used again for another item of its
kind; triggers are numbered within their system), by which users' state refers to it. An item that is removed is
archived, never deleted: state and history still name it, and the same key brings it back. Instants are Unix
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


class Achievement(Item, frozen=True, kw_only=True):
    """Completed when the total of `metric` (a key) reaches `metric_value`."""

    description: str | None = None
    badge_url: str | None = None
    status: Literal["active", "inactive", "locked"] = "active"
    trigger: Literal["metric"] = "metric"
    metric: str
    metric_value: Decimal


class PointsTrigger(Item, frozen=True, kw_only=True):
    """Awards `points` each time the total of `metric` (a key) grows by `metric_threshold`."""

    type: Literal["metric"] = "metric"
    status: Literal["active", "inactive"] = "active"
    points: int
    metric: str
    metric_threshold: int


class PointsSystem(Item, frozen=True, kw_only=True):
    """A currency of points. `max_points` caps what a user can have; None is no cap."""

    description: str | None = None
    badge_url: str | None = None
    max_points: int | None = None
    triggers: tuple[PointsTrigger, ...] = ()


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
    streaks: StreakSettings = StreakSettings()
