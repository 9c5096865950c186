"""Changes to the streak settings, and what they mean for users."""

from typing import Any

import pytest
from msgspec.structs import replace

from plaudit.engine.catalog import Catalog, FreezeSettings, Frequency, StreakMetric, StreakSettings
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.compiling import compile_catalog
from plaudit.engine.document import StreakEntry
from plaudit.engine.errors import Invalid
from plaudit.engine.revision import revise
from plaudit.engine.settings import FreezePatch, StreakSettingsPatch, change_streaks
from tests.engine.builders import CREATED_MS, Player, document, frozen

NOW = CREATED_MS + 1_000_000
FULL = StreakSettings(
    frequency="daily",
    evaluation_mode="AND",
    customization_enabled=True,
    days_off=(0, 6),
    metrics=(StreakMetric(key="words", threshold=5), StreakMetric(key="pages", threshold=1)),
    freezes=FreezeSettings(start_count=1, max_count=3, auto_earn_interval=7, auto_earn_amount=1, since_ms=CREATED_MS),
)


def catalog(streaks: StreakSettings = FULL) -> Catalog:
    return replace(revise(Catalog(), document(), CREATED_MS), streaks=streaks)


def changed(streaks: StreakSettings = FULL, **fields: Any) -> StreakSettings:
    return change_streaks(catalog(streaks), StreakSettingsPatch(**fields), NOW)


def metrics(*keys: str) -> tuple[StreakMetric, ...]:
    return tuple(StreakMetric(key=key, threshold=number) for number, key in enumerate(keys, 1))


def freezes(start: int, most: int, every: int | None = None, amount: int | None = None) -> FreezePatch:
    return FreezePatch(start_count=start, max_count=most, auto_earn_interval=every, auto_earn_amount=amount)


def test_q32b_at_first_a_streak_is_daily_on_anything() -> None:
    assert Catalog().streaks == StreakSettings(
        frequency="daily", evaluation_mode="OR", customization_enabled=False, days_off=(), metrics=(), freezes=None
    )


@pytest.mark.parametrize("streaks", [FULL, StreakSettings()])
def test_a9_18_what_is_omitted_is_unchanged(streaks: StreakSettings) -> None:
    assert changed(streaks) == streaks


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("evaluation_mode", "OR"),
        ("customization_enabled", False),
        ("days_off", (1, 2)),
        ("days_off", ()),
        ("metrics", metrics("steps")),
        ("freezes", None),
    ],
)
def test_a9_18_what_is_passed_is_replaced_and_the_rest_stays(field: str, value: Any) -> None:
    assert changed(**{field: value}) == replace(FULL, **{field: value})


@pytest.mark.parametrize("frequency", ["weekly", "monthly"])
def test_a9_17_a_frequency_other_than_daily_clears_the_days_off(frequency: Frequency) -> None:
    assert changed(frequency=frequency) == replace(FULL, frequency=frequency, days_off=())
    assert changed(frequency=frequency, days_off=()).days_off == ()


def test_a9_17_days_off_do_not_come_back_with_the_daily_frequency() -> None:
    assert changed(changed(frequency="weekly"), frequency="daily").days_off == ()
    assert changed(changed(frequency="weekly"), frequency="daily", days_off=(6, 0)).days_off == (0, 6)


@pytest.mark.parametrize(
    ("before", "fields"),
    [(FULL, {"frequency": "weekly"}), (replace(FULL, frequency="monthly", days_off=()), {})],
)
def test_a9_17_days_off_with_another_frequency_are_refused(before: StreakSettings, fields: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match=r"^daysOff: expected none, since the frequency is (weekly|monthly)$"):
        changed(before, days_off=(0,), **fields)


def test_a9_17_days_off_are_unique_and_in_order() -> None:
    assert changed(days_off=(6, 0, 3)).days_off == (0, 3, 6)
    with pytest.raises(Invalid, match=r"^daysOff: expected each day of the week at most once$"):
        changed(days_off=(1, 2, 1))


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ((), r"^metrics: expected at least one$"),
        (metrics("words", "wrds"), r"^metrics\[1\]\.key: expected the key of a metric, got 'wrds'$"),
        (metrics("words", "pages", "words"), r"^metrics\[2\]\.key: expected each metric once, got 'words' again$"),
    ],
)
def test_a9_18_metrics_are_at_least_one_unique_and_existing(wanted: tuple[StreakMetric, ...], message: str) -> None:
    with pytest.raises(Invalid, match=message):
        changed(metrics=wanted)


def test_a9_18_an_archived_metric_is_not_an_existing_one() -> None:
    without = revise(catalog(), document(metrics=("words",), streak=None), NOW)
    with pytest.raises(Invalid, match=r"^metrics\[0\]\.key: expected the key of a metric, got 'pages'$"):
        change_streaks(without, StreakSettingsPatch(metrics=metrics("pages")), NOW)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (freezes(3, 2), r"^freezes\.maxCount: expected at least startCount \(3\)$"),
        (freezes(0, 2, 7), r"^freezes\.autoEarnAmount: expected together with autoEarnInterval, or neither of them$"),
        (freezes(0, 2, None, 1), r"^freezes\.autoEarnAmount: "),
    ],
)
def test_a9_10_a9_18_freezes_that_make_no_sense_are_refused(wanted: FreezePatch, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        changed(freezes=wanted)


def test_a9_18_freezes_are_replaced_as_a_whole_and_in_force_from_now_on() -> None:
    assert changed(freezes=freezes(2, 2)).freezes == FreezeSettings(start_count=2, max_count=2, since_ms=NOW)
    assert changed(StreakSettings(), freezes=freezes(0, 5, 3, 2)).freezes == FreezeSettings(
        start_count=0, max_count=5, auto_earn_interval=3, auto_earn_amount=2, since_ms=NOW
    )


def test_a9_18_the_same_freezes_again_change_nothing() -> None:
    assert changed(freezes=freezes(1, 3, 7, 1)) == FULL


def test_a_refused_patch_changes_nothing_of_what_it_was_given() -> None:
    given = catalog()
    with pytest.raises(Invalid):
        change_streaks(given, StreakSettingsPatch(evaluation_mode="OR", metrics=()), NOW)
    assert given == catalog()


def test_a_catalog_file_without_streaks_leaves_the_settings_in_force() -> None:
    before = catalog()
    assert revise(before, document(streak=None), NOW) is before
    assert revise(before, document(metrics=("words", "pages"), streak=None), NOW).streaks == FULL


def test_a_catalog_file_with_streaks_replaces_the_settings() -> None:
    assert revise(catalog(), document(streak=StreakEntry()), NOW).streaks == StreakSettings()


def test_a_catalog_file_keeps_the_freezes_that_it_repeats_and_starts_the_others_anew() -> None:
    before = catalog(replace(StreakSettings(), freezes=FULL.freezes))
    assert revise(before, document(streak=frozen(1, 3, 7, 1)), NOW) is before
    other = revise(before, document(streak=frozen(1, 3, 8, 1)), NOW).streaks.freezes
    assert other is not None
    assert (other.auto_earn_interval, other.since_ms) == (8, NOW)


def test_days_off_of_a_catalog_file_are_kept_in_order() -> None:
    assert revise(catalog(), document(streak=StreakEntry(days_off=(6, 0))), NOW).streaks.days_off == (0, 6)


# What settings mean for users


def under(streaks: StreakSettings, metrics: tuple[str, ...] = ("words", "pages", "steps")) -> CompiledCatalog:
    """A catalog with these settings, of which the metrics that are not listed are archived."""
    return compile_catalog(revise(catalog(streaks), document(metrics=metrics, streak=None), NOW))


def test_new_thresholds_apply_from_the_next_event() -> None:
    sam = Player(under(StreakSettings()))
    sam.sends("2024-01-15T10:00", "0.5")
    sam.sends("2024-01-16T10:00", "0.5")
    sam.catalog = under(StreakSettings(metrics=metrics("words")))  # a whole word
    assert sam.length == 2
    assert not sam.sends("2024-01-17T10:00", "0.5").streak_extended
    assert sam.sends("2024-01-17T11:00", "0.5").streak_extended


def test_a9_2_an_archived_metric_is_no_longer_needed() -> None:
    both = StreakSettings(evaluation_mode="AND", metrics=metrics("words", "pages"))
    sam = Player(under(both))
    assert not sam.sends("2024-01-15T10:00", "1").streak_extended
    sam.catalog = under(both, ("words", "steps"))
    assert sam.sends("2024-01-15T11:00", "0").streak_extended


def test_q32b_where_only_archived_metrics_are_configured_any_counts() -> None:
    sam = Player(under(StreakSettings(metrics=metrics("words")), ("steps",)))
    assert sam.sends("2024-01-15T10:00", "0.5", "steps").streak_extended
