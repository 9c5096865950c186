from decimal import localcontext

import pytest

from plaudit.engine.catalog import Achievement, Catalog
from plaudit.engine.compiling import compile_catalog, metric_value_amount
from plaudit.engine.revision import revise
from tests.engine.builders import CREATED_MS, Mode, achievement, amount, compiled, document, streak, system, trigger


def at(value: str) -> Achievement:
    """An achievement of the catalog at a value."""
    return revise(Catalog(), document(achievements=(achievement(value),)), CREATED_MS).achievements[0]


def keys(achievements: tuple[Achievement, ...]) -> list[str]:
    return [achievement.key for achievement in achievements]


def test_metrics_are_found_by_key_in_order_of_creation() -> None:
    catalog = compiled(document(metrics=("z", "a")))
    assert list(catalog.metrics) == ["z", "a"]
    assert catalog.metrics["z"].definition.number == 1


def test_a5_10_an_archived_metric_is_not_found_and_numbers_stay() -> None:
    before = revise(Catalog(), document(metrics=("a", "b"), streak=streak(a=1, b=2)), 1000)
    catalog = compile_catalog(revise(before, document(metrics=("b",), streak=streak(b=2)), 2000))
    assert list(catalog.metrics) == ["b"]
    assert catalog.streaks.rules.thresholds == ((2, amount("2")),)


def test_a7_2_locked_achievements_are_shown_but_cannot_be_reached_and_inactive_ones_are_neither() -> None:
    entries = (achievement("30"), achievement("20", status="locked"), achievement("10", status="inactive"))
    metric = compiled(document(achievements=entries)).metrics["words"]
    assert keys(metric.shown) == ["20", "30"]
    assert keys(metric.ladder.achievements) == keys(metric.ladder.reached(amount("100"))) == ["30"]


def test_archived_achievements_are_left_out() -> None:
    before = revise(Catalog(), document(achievements=(achievement("1"), achievement("2"))), 1000)
    catalog = compile_catalog(revise(before, document(achievements=(achievement("2"),)), 2000))
    assert keys(catalog.metrics["words"].shown) == ["2"]


def test_q66_achievements_are_in_order_of_value_and_then_of_creation() -> None:
    entries = (achievement("100"), achievement("9.5"), achievement("20", key="b"), achievement("20", key="a"))
    metric = compiled(document(achievements=entries)).metrics["words"]
    assert keys(metric.ladder.achievements) == ["9_5", "b", "a", "100"]
    assert metric.ladder.thresholds == (amount("9.5"), amount("20"), amount("20"), amount("100"))


def test_an_achievement_belongs_to_its_metric_alone() -> None:
    metrics = compiled(document(achievements=(achievement("1", "pages"),))).metrics
    assert keys(metrics["pages"].ladder.achievements) == ["1"]
    assert keys(metrics["words"].ladder.achievements) == []


@pytest.mark.parametrize(
    ("total", "reached"),
    [
        ("-1", []),
        ("0.999999999", []),
        ("1", ["1"]),
        ("2.499999999", ["1"]),
        ("2.5", ["1", "2_5"]),
        ("1e9", ["1", "2_5"]),
    ],
)
def test_a7_3_reached_is_at_or_above_the_value(total: str, reached: list[str]) -> None:
    metric = compiled(document(achievements=(achievement("1"), achievement("2.5")))).metrics["words"]
    assert keys(metric.ladder.reached(amount(total))) == reached


@pytest.mark.parametrize("value", ["1", "1.000000001", "1000000000000000", "999999999999999.999999999"])
def test_a_metric_value_of_up_to_nine_places_is_exact(value: str) -> None:
    assert metric_value_amount(at(value)) == amount(value)


def test_a_metric_value_is_rounded_once_as_the_values_of_events_are() -> None:
    assert metric_value_amount(at("1.000000001499999999999999999999999999")) == amount("1.000000001")


def test_a_metric_value_does_not_depend_on_the_decimal_context() -> None:
    expected = amount("12345")
    with localcontext(prec=3):
        assert metric_value_amount(at("12345")) == expected


def test_active_triggers_come_in_order_of_system_and_then_of_trigger() -> None:
    points = (
        system(trigger(1, 5, key="a"), trigger(2, 6, key="off", status="inactive"), trigger(3, 7, key="c")),
        system(trigger(4, 8, key="d"), trigger(5, 9, "pages", key="e"), key="gems"),
    )
    triggers = compiled(document(points=points)).metrics["words"].triggers.triggers
    assert [(t.system.definition.key, t.definition.key, t.step) for t in triggers] == [
        ("xp", "a", amount("5")),
        ("xp", "c", amount("7")),
        ("gems", "d", amount("8")),
    ]


def test_triggers_that_are_archived_or_whose_system_is_are_left_out() -> None:
    old = (system(trigger(1, 1, key="a"), trigger(2, 2, key="b")), system(trigger(3, 3), key="gems"))
    before = revise(Catalog(), document(points=old), 1000)
    catalog = compile_catalog(revise(before, document(points=(system(trigger(2, 2, key="b")),)), 2000))
    assert [t.definition.key for t in catalog.metrics["words"].triggers.triggers] == ["b"]


def test_attributes_are_kept_apart_by_type_and_without_archived_ones() -> None:
    before = revise(Catalog(), document(user_attributes=("plan", "old"), event_attributes=("device",)), 1000)
    catalog = compile_catalog(revise(before, document(user_attributes=("plan",), event_attributes=("device",)), 2000))
    assert catalog.user_attributes == frozenset({"plan"})
    assert catalog.event_attributes == frozenset({"device"})


@pytest.mark.parametrize(("mode", "every"), [("OR", False), ("AND", True)])
def test_a9_2_the_streak_condition_is_by_number_and_amount(mode: Mode, every: bool) -> None:
    rules = compiled(document(streak=streak(mode, steps=10, words=2))).streaks.rules
    assert rules.thresholds == ((3, amount("10")), (1, amount("2")))
    assert rules.every is every
