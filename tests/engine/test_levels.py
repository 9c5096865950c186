"""Levels: what a total is enough for, up and down."""

import pytest
from hypothesis import given as each_of
from hypothesis import strategies as st

from plaudit.engine.catalog import PointsSystem
from plaudit.engine.deadlines import AT_ONCE, next_deadline
from plaudit.engine.user import User
from tests.engine.builders import DETERMINISTIC, Player
from tests.engine.catalogs import at_creation, catalog, level, on_demand, per_completion, per_hours, per_total, points

NOON = "2024-01-15T12:00"


def key_of(user: User, system: PointsSystem) -> str | None:
    """The key of the user's level in the first system."""
    number = user.levels.get(1)
    return None if number is None else system.levels[number - 1].key


def test_a8_20_the_level_is_the_highest_whose_threshold_the_total_meets() -> None:
    system = points(per_total(1, 1), levels=(level(20), level(5), level(10)))
    sam = Player(catalog(system))
    seen = [key_of(sam.sends(NOON, value).user, system) for value in ("4", "1", "4", "1", "9", "1", "1000")]
    assert seen == [None, "5", "5", "10", "10", "20", "20"]


def test_a8_20_it_goes_down_as_well_and_to_none() -> None:
    system = points(
        per_total(1, 1),
        per_total(-9, 1, "pages", key="a"),
        per_total(-3, 1, "steps", key="b"),
        levels=(level(5), level(10)),
    )
    sam = Player(catalog(system))
    sent = [("12", "words"), ("1", "steps"), ("1", "steps"), ("1", "pages"), ("7", "words")]
    assert [key_of(sam.sends(NOON, *each).user, system) for each in sent] == ["10", "5", "5", None, "5"]


def test_a8_20_a_level_at_nothing_is_where_everybody_begins() -> None:
    system = points(per_total(1, 1), levels=(level(0, "start"), level(2)))
    sam = Player(catalog(system))
    outcome = sam.sends(NOON, "1", "pages")
    assert outcome.awards == ()
    assert outcome.user.points == {}
    assert key_of(outcome.user, system) == "start"
    assert key_of(sam.sends(NOON, "2").user, system) == "2"


def test_each_system_has_levels_of_its_own() -> None:
    made = catalog(
        points(per_total(1, 1), levels=(level(1), level(2))),
        points(per_total(1, 1), key="gems"),
        points(per_total(1, 1), key="ink", levels=(level(50), level(0))),
    )
    assert Player(made).sends(NOON, "2").user.levels == {1: 2, 3: 2}


def test_a8_20_all_awards_change_it() -> None:
    system = points(at_creation(1), per_completion(1, "helper"), per_hours(1, 1), levels=(level(1), level(2), level(3)))
    sam = Player(catalog(on_demand("helper"), system))
    seen = [key_of(sam.sends("2024-01-15T12:10").user, system)]
    seen.append(key_of(sam.completes("2024-01-15T12:20", "helper").user, system))
    seen.append(key_of(sam.waits("2024-01-15T13:00").state, system))
    assert seen == ["1", "2", "3"]


def test_a8_8_q36b_it_goes_by_what_a_maximum_leaves() -> None:
    system = points(per_total(1, 1), max_points=9, levels=(level(9), level(10)))
    assert key_of(Player(catalog(system)).sends(NOON, "50").user, system) == "9"


@pytest.mark.parametrize("is_asked", [True, False])
def test_a_changed_catalog_moves_everybody_to_the_levels_that_there_are(is_asked: bool) -> None:
    old = points(per_total(1, 1), levels=(level(5, "a"), level(10, "b")))
    sam = Player(catalog(old))
    sam.sends(NOON, "7")
    assert sam.state.levels == {1: 1}
    for levels, expected in (
        ((level(5, "a"), level(6, "b")), {1: 2}),
        ((level(5, "a"), level(8, "b")), {1: 1}),
        ((level(8, "b"),), {}),
        ((level(8, "b"), level(7, "c")), {1: 3}),
    ):
        sam.catalog = catalog(points(per_total(1, 1), levels=levels), before=sam.catalog)
        assert next_deadline(sam.state, sam.catalog) == AT_ONCE
        if is_asked:
            assert sam.sends(NOON, "0").user.levels == expected
        else:
            assert sam.waits(NOON).state.levels == expected
            assert next_deadline(sam.state, sam.catalog) != AT_ONCE


def test_a_new_system_with_a_level_at_nothing_has_everybody_at_it() -> None:
    sam = Player(catalog()).counts_on("2024-01-14")
    sam.catalog = catalog(points(levels=(level(0),)), before=sam.catalog)
    assert sam.waits(NOON).state.levels == {1: 1}


@DETERMINISTIC
@each_of(
    st.lists(st.integers(0, 60), max_size=6, unique=True),
    st.lists(st.integers(-20, 30).filter(bool), min_size=1, max_size=8),
)
def test_a8_20_is_what_looking_at_all_levels_says(thresholds: list[int], changes: list[int]) -> None:
    triggers = [per_total(sign, 1, metric, key=metric) for sign, metric in ((1, "words"), (-1, "pages"))]
    sam = Player(catalog(points(*triggers, levels=tuple(level(at) for at in thresholds), max_points=50)))
    for change in changes:
        user = sam.sends(NOON, str(abs(change)), "words" if change > 0 else "pages").user
        met = [at for at in thresholds if at <= user.points.get(1, 0)]
        assert user.levels == ({1: 1 + thresholds.index(max(met))} if met else {})
