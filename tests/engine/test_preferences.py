"""What users want other than the settings."""

from typing import Any

import pytest
from msgspec import UNSET

from plaudit.engine.commands import StreakMetricFields, StreakPreferenceFields, UpdatePreferences
from plaudit.engine.compiling import compile_catalog
from plaudit.engine.document import StreakEntry, StreakMetricEntry
from plaudit.engine.errors import Forbidden, Invalid
from plaudit.engine.preferences import has_streaks, rules_of
from plaudit.engine.revision import revise
from plaudit.engine.snapshot import encode_user
from plaudit.engine.user import Preferences, StreakPreferences
from tests.engine.builders import Player, amount, compiled, day, document, frozen

TEN_WORDS = (StreakMetricEntry("words", 10),)
CUSTOM = StreakEntry(customization_enabled=True, metrics=TEN_WORDS)
FIXED = StreakEntry(metrics=TEN_WORDS)


def player(entry: StreakEntry = CUSTOM) -> Player:
    sam = Player(compiled(document(streak=entry)))
    sam.sends("2024-01-15T10:00", "0")
    return sam


def wants(sam: Player, local: str = "2024-01-15T11:00", **fields: Any) -> Player:
    return sam.asks(local, UpdatePreferences("sam", streak=StreakPreferenceFields(**fields)))


def is_notified(sam: Player, notifications: dict[str, tuple[str, ...] | None]) -> Player:
    return sam.asks("2024-01-15T11:00", UpdatePreferences("sam", notifications))


def metrics(**thresholds: str) -> tuple[StreakMetricFields, ...]:
    return tuple(StreakMetricFields(key, amount(threshold)) for key, threshold in thresholds.items())


def preferences(sam: Player) -> Preferences:
    found = sam.state.preferences
    assert found is not None
    return found


# Notifications


def test_a4_3_a_type_that_was_never_set_is_not_there() -> None:
    sam = player()
    assert sam.state.preferences is None
    assert preferences(is_notified(sam, {"recap": ("email",)})).notifications == {"recap": ("email",)}


def test_a4_2_the_types_that_are_passed_are_replaced_and_the_others_stay() -> None:
    sam = is_notified(player(), {"recap": ("email",), "streak_reminder": ("email", "push")})
    is_notified(sam, {"recap": ("push",), "reactivation": ()})
    assert preferences(sam).notifications == {
        "recap": ("push",),
        "streak_reminder": ("email", "push"),
        "reactivation": (),
    }


def test_a4_1_an_empty_list_is_not_the_same_as_never_set() -> None:
    sam = is_notified(player(), {"recap": ()})
    assert preferences(sam).notifications == {"recap": ()}
    assert preferences(is_notified(sam, {"recap": None})).notifications == {}


def test_a4_2_notifications_leave_the_streak_as_it_is_and_the_streak_leaves_them() -> None:
    sam = is_notified(wants(player(), enabled=False), {"recap": ("email",)})
    assert preferences(sam) == Preferences({"recap": ("email",)}, StreakPreferences(enabled=False))
    assert preferences(wants(sam, enabled=True)) == Preferences({"recap": ("email",)}, StreakPreferences(enabled=True))


def test_a4_7_without_a_streak_preference_there_is_none() -> None:
    assert preferences(is_notified(player(), {"recap": ("email",)})).streak is None
    assert preferences(wants(player())).streak is None


# What may be set


@pytest.mark.parametrize(
    "fields",
    [
        {"evaluation_mode": "AND"},
        {"metrics": metrics(words="5")},
        {"days_off": (0,)},
        {"days_off": None},
        {"enabled": False, "evaluation_mode": "OR"},
    ],
)
def test_a4_4_without_customization_everything_but_enabled_is_forbidden(fields: dict[str, Any]) -> None:
    sam = player(FIXED)
    before = encode_user(sam.state)
    with pytest.raises(Forbidden, match=r"^streak: expected only `enabled`"):
        wants(sam, **fields)
    assert encode_user(sam.state) == before


def test_a4_4_without_customization_enabled_may_be_set() -> None:
    assert preferences(wants(player(FIXED), enabled=False)).streak == StreakPreferences(enabled=False)


def test_a4_2_what_is_not_passed_stays_and_null_is_as_the_settings_say() -> None:
    sam = wants(player(), evaluation_mode="AND", days_off=(6, 0, 6), metrics=metrics(words="5", pages="0.5"))
    assert preferences(sam).streak == StreakPreferences(None, "AND", ((1, amount("5")), (2, amount("0.5"))), (0, 6))
    wants(sam, evaluation_mode=None, metrics=metrics(steps="7"))
    assert preferences(sam).streak == StreakPreferences(None, None, ((3, amount("7")),), (0, 6))
    wants(sam, metrics=None, days_off=None, enabled=True)
    assert preferences(sam).streak == StreakPreferences(enabled=True)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (metrics(words="1", wrds="1"), r"^streak\.metrics\[1\]\.key: expected the key of a metric, got 'wrds'$"),
        (metrics(words="1") * 2, r"^streak\.metrics\[1\]\.key: expected each metric once, got 'words' again$"),
    ],
)
def test_a4_4_metrics_exist_and_are_listed_once(wanted: tuple[StreakMetricFields, ...], message: str) -> None:
    sam = player()
    with pytest.raises(Invalid, match=message):
        wants(sam, enabled=False, metrics=wanted)
    assert sam.state.preferences is None


# What follows


def test_a4_5_the_streak_of_who_wants_none_is_always_0() -> None:
    sam = player(StreakEntry()).counts_on("2024-01-15")
    wants(sam, "2024-01-15T13:00", enabled=False)
    view = sam.view
    assert (view.length, view.started_day, view.expires_day, view.extended_ms) == (0, None, None, None)
    assert (sam.story(3), has_streaks(sam.state)) == ("0 0 0", False)
    assert not sam.sends("2024-01-16T12:00").streak_extended
    assert sam.length == 0


def test_a4_5_who_wants_a_streak_again_has_the_one_that_was_kept_alive() -> None:
    sam = wants(player(StreakEntry()), enabled=False).counts_through("2024-01-15", "2024-01-18")
    assert wants(sam, "2024-01-18T13:00", enabled=True).length == 4
    assert sam.story(4) == "1 2 3 4"


def test_a4_5_who_wants_a_streak_again_too_late_has_none() -> None:
    sam = wants(player(frozen(5, 5)), enabled=False).counts_on("2024-01-15")
    assert wants(sam, "2024-01-17", enabled=True).length == 0


def test_a4_5_a_streak_is_wanted_unless_it_is_said_otherwise() -> None:
    sam = player(StreakEntry()).counts_on("2024-01-15")
    assert wants(sam, "2024-01-15T13:00", enabled=True).length == 1
    assert wants(sam, "2024-01-15T13:00", enabled=False).length == 0
    assert wants(sam, "2024-01-15T13:00", enabled=None).length == 1


def test_a4_9_a_user_counts_by_their_own_metrics_and_thresholds() -> None:
    sam = wants(player(), metrics=metrics(pages="2.5"))
    assert not sam.sends("2024-01-15T12:00", "10", "words").streak_extended
    assert not sam.sends("2024-01-15T12:00", "2.4", "pages").streak_extended
    assert sam.sends("2024-01-15T12:00", "0.1", "pages").streak_extended


def test_a4_8_a_user_may_need_all_of_the_metrics_of_the_settings() -> None:
    both = (*TEN_WORDS, StreakMetricEntry("pages", 2))
    sam = wants(player(StreakEntry(customization_enabled=True, metrics=both)), evaluation_mode="AND")
    assert not sam.sends("2024-01-15T12:00", "10", "words").streak_extended
    assert sam.sends("2024-01-15T12:00", "2", "pages").streak_extended


def test_a4_8_a_user_may_need_one_of_the_metrics_where_the_settings_want_all() -> None:
    both = (*TEN_WORDS, StreakMetricEntry("pages", 2))
    sam = player(StreakEntry(evaluation_mode="AND", customization_enabled=True, metrics=both))
    wants(sam, evaluation_mode="OR")
    assert sam.sends("2024-01-15T12:00", "2", "pages").streak_extended


def test_a4_4_own_rules_count_for_nothing_while_customization_is_off_and_are_kept() -> None:
    sam = wants(player(), metrics=metrics(words="3"))
    sam.adopts(FIXED)
    assert not sam.sends("2024-01-15T12:00", "5").streak_extended
    sam.adopts(CUSTOM)
    assert sam.sends("2024-01-15T13:00", "0").streak_extended


def test_a4_5_enabled_counts_without_customization() -> None:
    sam = wants(player(), enabled=False).adopts(StreakEntry())
    assert sam.counts_on("2024-01-15").length == 0


def test_a4_9_a_threshold_is_of_the_period_whatever_its_length() -> None:
    entry = StreakEntry("weekly", customization_enabled=True, metrics=TEN_WORDS)
    sam = wants(player(entry), metrics=metrics(words="6"))
    assert not sam.sends("2024-01-16T12:00", "3").streak_extended
    assert sam.sends("2024-01-18T12:00", "3").streak_extended


def test_a4_9_metrics_that_are_archived_do_not_count_and_without_others_the_settings_do() -> None:
    sam = wants(player(), metrics=metrics(words="1", pages="2"))
    without = compile_catalog(revise(sam.catalog.catalog, document(metrics=("words", "steps"), streak=CUSTOM), 1))
    assert rules_of(sam.state, without.streaks).thresholds == ((1, amount("1")),)
    wants(sam, metrics=metrics(pages="2"))
    assert rules_of(sam.state, without.streaks).thresholds == ((1, amount("10")),)


def test_new_preferences_apply_from_the_next_event() -> None:
    sam = player()
    sam.sends("2024-01-15T12:00", "5")
    assert wants(sam, "2024-01-15T13:00", metrics=metrics(words="5")).length == 0
    assert sam.sends("2024-01-15T14:00", "0").streak_extended


def test_preferences_are_set_after_what_time_has_done() -> None:
    sam = player(StreakEntry(customization_enabled=True)).counts_on("2024-01-19")
    wants(sam, "2024-01-21T12:00", days_off=(0, 6))
    assert sam.length == 0  # Saturday was missed before
    assert sam.state.day == day("2024-01-21")


def test_a_period_that_has_counted_stays_counted_under_other_preferences() -> None:
    sam = player()
    sam.sends("2024-01-15T12:00", "10")
    assert wants(sam, "2024-01-15T13:00", metrics=metrics(words="1000")).length == 1


def test_nothing_passed_is_nothing_changed() -> None:
    assert StreakPreferenceFields() == StreakPreferenceFields(UNSET, UNSET, UNSET, UNSET)
    sam = wants(player(), enabled=False)
    before = preferences(sam)
    assert preferences(sam.asks("2024-01-15T12:00", UpdatePreferences("sam"))) == before
