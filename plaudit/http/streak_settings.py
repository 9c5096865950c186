"""`/admin/v1/streaks/settings`: when a period counts, and what makes up for one that did not."""

from typing import Annotated, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.types import Receive

from plaudit.engine.catalog import EvaluationMode, Frequency, StreakMetric, StreakSettings
from plaudit.engine.document import FREEZES_MAX, KEY_LENGTH_MAX, StreakThreshold
from plaudit.engine.settings import FreezePatch, StreakSettingsPatch
from plaudit.http.administration import Administration
from plaudit.http.bodies import explain, read_body

METRICS_MAX = 1000

DayOff = Annotated[int, Meta(ge=0, le=6)]
Value = TypeVar("Value")


class MetricBody(Struct, frozen=True):
    """A metric, and how much of it a period needs."""

    key: Annotated[str, Meta(max_length=KEY_LENGTH_MAX)]
    threshold: StreakThreshold


class FreezesBody(Struct, frozen=True, rename="camel"):
    """All of the freeze settings."""

    start_count: Annotated[int, Meta(ge=0, le=FREEZES_MAX)]
    max_count: Annotated[int, Meta(ge=1, le=FREEZES_MAX)]
    auto_earn_interval: Annotated[int, Meta(ge=1, le=365)] | None = None
    auto_earn_amount: Annotated[int, Meta(ge=1, le=10)] | None = None


class PatchBody(Struct, frozen=True, rename="camel"):
    """The settings to change. Unknown keys are ignored, and so is null, except as the end of freezes."""

    frequency: Frequency | UnsetType | None = UNSET
    evaluation_mode: EvaluationMode | UnsetType | None = UNSET
    customization_enabled: bool | UnsetType | None = UNSET
    days_off: Annotated[tuple[DayOff, ...], Meta(max_length=6)] | UnsetType | None = UNSET
    metrics: Annotated[tuple[MetricBody, ...], Meta(min_length=1, max_length=METRICS_MAX)] | UnsetType | None = UNSET
    freezes: FreezesBody | UnsetType | None = UNSET


class SettingsResponse(Struct, frozen=True, rename="camel"):
    """`StreakSettings`."""

    frequency: Frequency
    evaluation_mode: EvaluationMode
    customization_enabled: bool
    days_off: tuple[int, ...]
    metrics: tuple[MetricBody, ...]
    freezes: FreezesBody | None


_decoder: msgspec.json.Decoder[PatchBody] = msgspec.json.Decoder(PatchBody)


async def read_streak_settings(administration: Administration, _: Receive) -> bytes:
    """`GET /admin/v1/streaks/settings`."""
    return _answer(await administration.read_streak_settings())


async def change_streak_settings(administration: Administration, receive: Receive) -> bytes:
    """`PATCH /admin/v1/streaks/settings`: answers when no event meets the old ones any more."""
    patch = decode_patch(await read_body(receive))
    return _answer(await administration.change_streak_settings(patch))


def decode_patch(body: bytes) -> StreakSettingsPatch:
    """What a body changes. Raises Malformed or Invalid; what names mean is not checked here."""
    try:
        patch = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise explain(error) from None
    metrics: tuple[StreakMetric, ...] | UnsetType = UNSET
    if patch.metrics:
        metrics = tuple(StreakMetric(key=metric.key, threshold=metric.threshold) for metric in patch.metrics)
    freezes: FreezePatch | UnsetType | None = UNSET
    if not isinstance(patch.freezes, UnsetType):
        freezes = None if patch.freezes is None else FreezePatch(**msgspec.structs.asdict(patch.freezes))
    return StreakSettingsPatch(
        frequency=_keep_null(patch.frequency),
        evaluation_mode=_keep_null(patch.evaluation_mode),
        customization_enabled=_keep_null(patch.customization_enabled),
        days_off=_keep_null(patch.days_off),
        metrics=metrics,
        freezes=freezes,
    )


def _keep_null(value: Value | None) -> Value | UnsetType:
    """An SDK may send null for what its caller has not set."""
    return UNSET if value is None else value


def _answer(settings: StreakSettings) -> bytes:
    return msgspec.json.encode(msgspec.convert(settings, SettingsResponse, from_attributes=True))
