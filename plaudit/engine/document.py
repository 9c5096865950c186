"""The catalog as its author writes it: no ids, no numbers, no dates. Validated as a whole before anything changes."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta, Struct

from plaudit.engine.catalog import EvaluationMode, Frequency

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
METRIC_VALUE_MAX = 10**15
FREEZES_MAX = 100
_CURRENCY = re.compile(r"[A-Z]{3}")


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
    """An `[[achievements]]` table with a metric trigger."""

    key: Key
    name: Name
    metric: str
    metric_value: Decimal
    trigger: Literal["metric"] = "metric"
    status: Literal["active", "inactive", "locked"] = "active"
    description: Text | None = None
    badge_url: Text | None = None


class TriggerEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A `[[points.triggers]]` table with a metric trigger."""

    key: Key
    metric: str
    metric_threshold: Threshold
    points: Points
    type: Literal["metric"] = "metric"
    status: Literal["active", "inactive"] = "active"


class PointsEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A `[[points]]` table: one points system."""

    key: Key
    name: Name
    description: Text | None = None
    badge_url: Text | None = None
    max_points: Threshold | None = None
    triggers: tuple[TriggerEntry, ...] = ()


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


class Document(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole catalog file."""

    metrics: tuple[MetricEntry, ...] = ()
    attributes: tuple[AttributeEntry, ...] = ()
    achievements: tuple[AchievementEntry, ...] = ()
    points: tuple[PointsEntry, ...] = ()
    streak: StreakEntry | None = None
    """None: the streak settings stay as they are."""


class Problem(Struct, frozen=True):
    """Something wrong with a document: where, and what was expected."""

    table: str
    key: str
    expected: str

    def __str__(self) -> str:
        return f"{self.table} {self.key}: {self.expected}"


def find_problems(document: Document) -> list[Problem]:
    """Everything that the tables' own types cannot say: duplicates, unknown references, numbers that mean nothing."""
    metrics = {metric.key for metric in document.metrics}
    return [
        *_duplicates("[[metrics]]", (metric.key for metric in document.metrics)),
        *_currency_problems(document),
        *_attribute_duplicates(document),
        *_duplicates("[[achievements]]", (achievement.key for achievement in document.achievements)),
        *_duplicates("[[points]]", (points.key for points in document.points)),
        *_achievement_problems(document, metrics),
        *_points_problems(document, metrics),
        *_streak_problems(document, metrics),
    ]


def _duplicates(table: str, keys: Iterable[str]) -> Iterator[Problem]:
    for key, count in Counter(keys).items():
        if count > 1:
            yield Problem(f'{table} "{key}"', "key", f"expected a key of its own, got one that is used {count} times")


def _currency_problems(document: Document) -> Iterator[Problem]:
    for metric in document.metrics:
        if metric.unit_type == "currency" and not _CURRENCY.fullmatch(metric.units):
            expected = f"expected the code of a currency such as USD, got {metric.units!r}"
            yield Problem(f'[[metrics]] "{metric.key}"', "units", expected)


def _attribute_duplicates(document: Document) -> Iterator[Problem]:
    for kind in ("user", "event"):
        keys = (attribute.key for attribute in document.attributes if attribute.type == kind)
        yield from _duplicates(f"[[attributes]] of type {kind}", keys)


def _achievement_problems(document: Document, metrics: set[str]) -> Iterator[Problem]:
    for achievement in document.achievements:
        table = f'[[achievements]] "{achievement.key}"'
        yield from _unknown_metric(table, "metric", achievement.metric, metrics)
        value = achievement.metric_value
        if not value.is_finite() or not 1 <= value <= METRIC_VALUE_MAX:
            expected = f"expected a number from 1 to 10^15, got {value}"
            yield Problem(table, "metric_value", expected)


def _points_problems(document: Document, metrics: set[str]) -> Iterator[Problem]:
    for points in document.points:
        table = f'[[points]] "{points.key}"'
        yield from _duplicates(f"{table} [[points.triggers]]", (trigger.key for trigger in points.triggers))
        for trigger in points.triggers:
            place = f'{table} [[points.triggers]] "{trigger.key}"'
            yield from _unknown_metric(place, "metric", trigger.metric, metrics)
            if trigger.points == 0:
                yield Problem(place, "points", "expected a whole number other than 0, got 0")


def _streak_problems(document: Document, metrics: set[str]) -> Iterator[Problem]:
    streak = document.streak
    if streak is None:
        return
    yield from _duplicates("[[streak.metrics]]", (metric.key for metric in streak.metrics))
    for metric in streak.metrics:
        yield from _unknown_metric(f'[[streak.metrics]] "{metric.key}"', "key", metric.key, metrics)
    if len(set(streak.days_off)) < len(streak.days_off):
        yield Problem("[streak]", "days_off", "expected each day of the week at most once")
    if streak.days_off and streak.frequency != "daily":
        yield Problem("[streak]", "days_off", f"expected none, since the frequency is {streak.frequency}")
    freezes = streak.freezes
    if freezes is not None and freezes.max_count < freezes.start_count:
        yield Problem("[streak.freezes]", "max_count", f"expected at least start_count ({freezes.start_count})")
    if freezes is not None and (freezes.auto_earn_interval is None) != (freezes.auto_earn_amount is None):
        yield Problem("[streak.freezes]", "auto_earn_amount", "expected with auto_earn_interval, or neither of them")


def _unknown_metric(table: str, key: str, metric: str, metrics: set[str]) -> Iterator[Problem]:
    if metric not in metrics:
        known = ", ".join(sorted(metrics)) or "none yet"
        yield Problem(table, key, f'expected the key of a metric ({known}), got "{metric}"')
