"""Changes to the streak settings (reference: Streaks 17, 18)."""

from typing import Protocol

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from plaudit.engine.catalog import (
    Catalog,
    EvaluationMode,
    FreezeSettings,
    Frequency,
    StreakMetric,
    StreakSettings,
)
from plaudit.engine.errors import Invalid


class FreezeFields(Protocol):
    """What a request or a catalog file says of freezes."""

    @property
    def start_count(self) -> int:
        """See `FreezeSettings`."""

    @property
    def max_count(self) -> int:
        """See `FreezeSettings`."""

    @property
    def auto_earn_interval(self) -> int | None:
        """See `FreezeSettings`."""

    @property
    def auto_earn_amount(self) -> int | None:
        """See `FreezeSettings`."""


class FreezePatch(Struct, frozen=True, kw_only=True):
    """All of the freeze settings; they are set as a whole (`FreezeFields`)."""

    start_count: int
    max_count: int
    auto_earn_interval: int | None = None
    auto_earn_amount: int | None = None


class StreakSettingsPatch(Struct, frozen=True, kw_only=True):
    """The streak settings that a request passes. UNSET: keep. `freezes` None: none any more."""

    frequency: Frequency | UnsetType = UNSET
    evaluation_mode: EvaluationMode | UnsetType = UNSET
    customization_enabled: bool | UnsetType = UNSET
    days_off: tuple[int, ...] | UnsetType = UNSET
    metrics: tuple[StreakMetric, ...] | UnsetType = UNSET
    freezes: FreezePatch | UnsetType | None = UNSET


def change_streaks(catalog: Catalog, patch: StreakSettingsPatch, now_ms: int) -> StreakSettings:
    """The settings after a patch at `now_ms`; equal to the present ones if it changes nothing.

    Raises Invalid, naming the field.
    """
    settings = catalog.streaks
    if not isinstance(patch.evaluation_mode, UnsetType):
        settings = replace(settings, evaluation_mode=patch.evaluation_mode)
    if not isinstance(patch.customization_enabled, UnsetType):
        settings = replace(settings, customization_enabled=patch.customization_enabled)
    if not isinstance(patch.metrics, UnsetType):
        settings = replace(settings, metrics=_metrics(catalog, patch.metrics))
    if not isinstance(patch.freezes, UnsetType):
        settings = replace(settings, freezes=_freezes(settings, patch.freezes, now_ms))
    return _days(settings, patch)


def make_freezes(current: FreezeSettings | None, wanted: FreezeFields, now_ms: int) -> FreezeSettings:
    """What is wanted, in force since `now_ms`; the present settings if they are the same."""
    same_since = now_ms if current is None else current.since_ms
    made = FreezeSettings(
        start_count=wanted.start_count,
        max_count=wanted.max_count,
        auto_earn_interval=wanted.auto_earn_interval,
        auto_earn_amount=wanted.auto_earn_amount,
        since_ms=same_since,
    )
    return made if made == current else replace(made, since_ms=now_ms)


def _days(settings: StreakSettings, patch: StreakSettingsPatch) -> StreakSettings:
    """The frequency, and the days off, which only a daily one has."""
    frequency = settings.frequency if isinstance(patch.frequency, UnsetType) else patch.frequency
    if isinstance(patch.days_off, UnsetType):
        days_off = settings.days_off if frequency == "daily" else ()
    else:
        days_off = tuple(sorted(patch.days_off))
    if len(set(days_off)) < len(days_off):
        raise Invalid("daysOff: expected each day of the week at most once")
    if days_off and frequency != "daily":
        raise Invalid(f"daysOff: expected none, since the frequency is {frequency}")
    return replace(settings, frequency=frequency, days_off=days_off)


def _metrics(catalog: Catalog, metrics: tuple[StreakMetric, ...]) -> tuple[StreakMetric, ...]:
    live = {metric.key for metric in catalog.metrics if not metric.archived}
    if not metrics:
        raise Invalid("metrics: expected at least one")
    for position, metric in enumerate(metrics):
        if metric.key not in live:
            raise Invalid(f"metrics[{position}].key: expected the key of a metric, got {metric.key!r}")
        if any(metric.key == other.key for other in metrics[:position]):
            raise Invalid(f"metrics[{position}].key: expected each metric once, got {metric.key!r} again")
    return metrics


def _freezes(settings: StreakSettings, freezes: FreezePatch | None, now_ms: int) -> FreezeSettings | None:
    if freezes is None:
        return None
    if freezes.max_count < freezes.start_count:
        raise Invalid(f"freezes.maxCount: expected at least startCount ({freezes.start_count})")
    if (freezes.auto_earn_interval is None) != (freezes.auto_earn_amount is None):
        raise Invalid("freezes.autoEarnAmount: expected together with autoEarnInterval, or neither of them")
    return make_freezes(settings.freezes, freezes, now_ms)
