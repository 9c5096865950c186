"""Which changes of the catalog give something to those who do nothing more."""

from typing import Any

import pytest
from msgspec.structs import replace

from plaudit.engine.backdating import gives_something
from plaudit.engine.catalog import Achievement, Catalog, PointsSystem, StreakSettings
from tests.engine.catalogs import (
    after_all,
    after_years,
    at_length,
    at_value,
    catalog,
    level,
    on_demand,
    per_total,
    points,
)

ONE = at_value("one", "1")
ANY = on_demand("any")
LEVELS = points(levels=(level(5, "a"), level(9, "b")))


def gives(before: tuple[Any, ...], after: tuple[Any, ...], **more: Any) -> bool:
    """True if a catalog of some items gives something after one of others."""
    old = catalog(*before)
    return gives_something(old.catalog, catalog(*after, before=old, **more).catalog)


def test_the_first_version_has_nobody_to_give_anything_to() -> None:
    assert not gives_something(Catalog(), catalog(ONE, LEVELS).catalog)


@pytest.mark.parametrize(
    "new", [ONE, at_length("two", 2), after_years("year", 1), after_all("all", "any")], ids=lambda new: str(new.trigger)
)
def test_a7_9_a_new_achievement_does_and_so_does_one_that_becomes_active_or_comes_back(new: Achievement) -> None:
    assert gives((ANY,), (ANY, new))
    assert gives((ANY, replace(new, status="inactive")), (ANY, new))
    assert gives((ANY, replace(new, status="locked")), (ANY, new))
    assert gives((ANY, replace(new, archived=True)), (ANY, new))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (at_value("a", "2"), at_value("a", "1")),
        (at_value("a", "1"), at_value("a", "1", "pages")),
        (at_value("a", "1"), at_value("a", "1", user_attributes={"plan": "pro"})),
        (at_value("a", "1", event_attributes={"mood": "good"}), at_value("a", "1")),
        (at_length("a", 2), at_length("a", 1)),
        (after_years("a", 2), after_years("a", 1)),
        (after_all("a", "any", "one"), after_all("a", "any")),
        (on_demand("a"), at_value("a", "1")),
    ],
)
def test_a7_9_one_that_is_completed_by_something_else_does(before: Achievement, after: Achievement) -> None:
    assert gives((ANY, ONE, before), (ANY, ONE, after))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((ONE,), (replace(ONE, name="First", description="x", badge_url="https://x"),)),
        ((ONE, at_value("two", "2")), (ONE,)),
        ((ONE,), (replace(ONE, status="locked"),)),
        ((ONE,), (replace(ONE, status="inactive"),)),
        ((ONE,), (ONE, at_value("two", "2", status="locked"))),
        ((ONE,), (ONE, ANY)),
        ((replace(ANY, status="inactive"),), (ANY,)),
        ((ANY,), (replace(ANY, user_attributes=()),)),
        ((at_value("ten", "10"),), (at_value("ten", "10.0"),)),
        ((), (points(per_total(1, 1)),)),
    ],
)
def test_a7_9_what_takes_away_or_renames_or_has_to_be_asked_for_does_not(
    before: tuple[Any, ...], after: tuple[Any, ...]
) -> None:
    assert not gives(before, after)


def test_a7_9_a_metric_that_comes_back_brings_its_achievements_back() -> None:
    achievements = (ONE, at_value("five", "5", "pages"))
    without = catalog(*achievements, before=catalog(*achievements), metrics=("words",))
    assert not gives_something(catalog(*achievements).catalog, without.catalog)
    assert gives_something(without.catalog, catalog(*achievements, before=without).catalog)


@pytest.mark.parametrize(("items", "expected"), [((at_length("two", 2),), True), ((ONE,), False)])
def test_a7_9_another_frequency_does_where_there_are_achievements_for_streaks(
    items: tuple[Achievement, ...], expected: bool
) -> None:
    assert gives(items, items, streak=StreakSettings(frequency="weekly")) is expected
    assert not gives(items, items, streak=StreakSettings(evaluation_mode="AND"))


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ((points(levels=(level(5, "a"), level(8, "b"))),), True),
        ((points(levels=(level(5, "a"),)),), True),
        ((points(levels=(level(5, "a"), level(9, "b"), level(0, "c"))),), True),
        ((points(per_total(1, 1), levels=(level(5, "a"), level(9, "b")), max_points=7),), False),
        ((LEVELS, points(key="gems")), False),
        ((LEVELS, points(key="gems", levels=(level(0),))), True),
    ],
)
def test_a8_20_levels_that_begin_elsewhere_move_everybody(after: tuple[PointsSystem, ...], expected: bool) -> None:
    assert gives((LEVELS,), after) is expected
    assert gives((), (LEVELS,))
    assert not gives((), (points(),))


def test_q43_a_system_that_comes_back_puts_those_at_its_levels_who_came_meanwhile() -> None:
    without = catalog(before=catalog(LEVELS))
    assert gives_something(without.catalog, catalog(LEVELS, before=without).catalog)
