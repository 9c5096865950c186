"""What a user wants other than the settings (reference: Preferences 1-9)."""

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from plaudit.engine.amounts import unpack_amount
from plaudit.engine.commands import StreakMetricFields, StreakPreferenceFields, UpdatePreferences
from plaudit.engine.compiled import CompiledCatalog, CompiledStreaks, StreakRules
from plaudit.engine.errors import Forbidden, Invalid
from plaudit.engine.user import Preferences, StreakPreferences, User


def has_streaks(user: User) -> bool:
    """False for a user who wants none: the streak is kept, but shown as 0, and nothing is spent on it."""
    preferences = user.preferences
    return preferences is None or preferences.streak is None or preferences.streak.enabled is not False


def rules_of(user: User, streaks: CompiledStreaks) -> StreakRules:
    """What decides whether this user's periods count: the settings, or what the user has set where that is allowed."""
    if user.preferences is None or user.preferences.streak is None or not streaks.settings.customization_enabled:
        return streaks.rules
    wanted, rules = user.preferences.streak, streaks.rules
    thresholds = tuple(
        (metric, unpack_amount(threshold)) for metric, threshold in wanted.metrics or () if metric in streaks.metrics
    )
    return StreakRules(
        thresholds=thresholds or rules.thresholds,
        every=rules.every if wanted.evaluation_mode is None else wanted.evaluation_mode == "AND",
        days_off=rules.days_off if wanted.days_off is None else wanted.days_off,
    )


def update_preferences(user: User, command: UpdatePreferences, catalog: CompiledCatalog) -> User:
    """The user with the passed preferences set. Raises Forbidden, or Invalid for a metric that does not exist."""
    old = user.preferences or Preferences()
    notifications = {
        type_: channels
        for type_, channels in (old.notifications | command.notifications).items()
        if channels is not None
    }
    streak = _update_streak(old.streak, command.streak, catalog)
    return replace(user, preferences=Preferences(notifications, streak))


def _update_streak(
    old: StreakPreferences | None, fields: StreakPreferenceFields, catalog: CompiledCatalog
) -> StreakPreferences | None:
    if fields == StreakPreferenceFields():
        return old
    old = old or StreakPreferences()
    own_rules = (fields.evaluation_mode, fields.metrics, fields.days_off)
    if not catalog.catalog.streaks.customization_enabled and any(field is not UNSET for field in own_rules):
        raise Forbidden("streak: expected only `enabled`, since streak customization is not enabled")
    return StreakPreferences(
        enabled=old.enabled if isinstance(fields.enabled, UnsetType) else fields.enabled,
        evaluation_mode=(
            old.evaluation_mode if isinstance(fields.evaluation_mode, UnsetType) else fields.evaluation_mode
        ),
        metrics=old.metrics if isinstance(fields.metrics, UnsetType) else _metrics(fields.metrics, catalog),
        days_off=old.days_off if isinstance(fields.days_off, UnsetType) else _days_off(fields.days_off),
    )


def _metrics(
    fields: tuple[StreakMetricFields, ...] | None, catalog: CompiledCatalog
) -> tuple[tuple[int, int | bytes], ...] | None:
    if fields is None:
        return None
    for position, metric in enumerate(fields):
        if metric.key not in catalog.metrics:
            raise Invalid(f"streak.metrics[{position}].key: expected the key of a metric, got {metric.key!r}")
        if any(metric.key == other.key for other in fields[:position]):
            raise Invalid(f"streak.metrics[{position}].key: expected each metric once, got {metric.key!r} again")
    return tuple((catalog.metrics[metric.key].definition.number, metric.threshold) for metric in fields)


def _days_off(days: tuple[int, ...] | None) -> tuple[int, ...] | None:
    return None if days is None else tuple(sorted(set(days)))
