"""`/v1/users/{id}/preferences`: what a user wants to be told, and how the streak is kept."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType
from starlette.types import Receive, Scope

from plaudit.engine.amounts import pack_amount
from plaudit.engine.catalog import EvaluationMode
from plaudit.engine.commands import ReadPreferences, StreakMetricFields, StreakPreferenceFields, UpdatePreferences
from plaudit.http.bodies import explain, parse_value, read_body
from plaudit.http.endpoints import user_id_of
from plaudit.http.errors import Invalid

METRIC_KEY_LENGTH_MAX = 255
METRICS_MAX = 100

Channels = tuple[Literal["email", "push"], ...]
MetricKey = Annotated[str, Meta(max_length=METRIC_KEY_LENGTH_MAX)]
Weekday = Annotated[int, Meta(ge=0, le=6)]
DaysOff = Annotated[tuple[Weekday, ...], Meta(max_length=6)]


class NotificationsBody(Struct, frozen=True):
    """`NotificationPreferences`."""

    achievement_completed: Channels | UnsetType | None = UNSET
    recap: Channels | UnsetType | None = UNSET
    reactivation: Channels | UnsetType | None = UNSET
    streak_reminder: Channels | UnsetType | None = UNSET

    def fields(self) -> dict[str, tuple[str, ...] | None]:
        """What the request passes. Raises Invalid."""
        fields: dict[str, tuple[str, ...] | None] = {}
        for type_, channels in msgspec.structs.asdict(self).items():
            if channels is UNSET:
                continue
            if channels is not None and len(set(channels)) < len(channels):
                raise Invalid(f"notifications.{type_}: expected each channel once")
            fields[type_] = channels
        return fields


class StreakMetricBody(Struct, frozen=True):
    """A metric, and the change that a period needs of it."""

    key: MetricKey
    threshold: Raw


Metrics = Annotated[tuple[StreakMetricBody, ...], Meta(max_length=METRICS_MAX)]


class StreakBody(Struct, frozen=True, rename="camel"):
    """`StreakPreferences`."""

    enabled: bool | UnsetType | None = UNSET
    evaluation_mode: EvaluationMode | UnsetType | None = UNSET
    metrics: Metrics | UnsetType | None = UNSET
    days_off: DaysOff | UnsetType | None = UNSET

    def fields(self) -> StreakPreferenceFields:
        """What the request passes. Raises Invalid."""
        if self.days_off and len(set(self.days_off)) < len(self.days_off):
            raise Invalid("streak.daysOff: expected each day once")
        return StreakPreferenceFields(
            self.enabled,
            self.evaluation_mode,
            tuple(_metric(metric, position) for position, metric in enumerate(self.metrics))
            if isinstance(self.metrics, tuple)
            else self.metrics,
            self.days_off,
        )


class PreferencesBody(Struct, frozen=True):
    """The body of an update. What is left out, or null as a whole, stays as it is."""

    notifications: NotificationsBody | None = None
    streak: StreakBody | None = None


_decoder: msgspec.json.Decoder[PreferencesBody] = msgspec.json.Decoder(PreferencesBody)


async def read_preferences(scope: Scope, _: Receive) -> ReadPreferences:
    """`GET /v1/users/{id}/preferences`."""
    return ReadPreferences(user_id_of(scope))


async def update_preferences(scope: Scope, receive: Receive) -> UpdatePreferences:
    """`PATCH /v1/users/{id}/preferences`."""
    body = decode_preferences(await read_body(receive))
    return UpdatePreferences(
        user_id=user_id_of(scope),
        notifications={} if body.notifications is None else body.notifications.fields(),
        streak=StreakPreferenceFields() if body.streak is None else body.streak.fields(),
    )


def decode_preferences(body: bytes) -> PreferencesBody:
    """The body of an update. Raises Malformed or Invalid."""
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise explain(error) from None


def _metric(metric: StreakMetricBody, position: int) -> StreakMetricFields:
    field = f"streak.metrics[{position}].threshold"
    threshold = parse_value(metric.threshold, field)
    if threshold <= 0:
        raise Invalid(f"{field}: expected a number greater than 0")
    return StreakMetricFields(metric.key, pack_amount(threshold))
