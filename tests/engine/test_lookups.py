"""Commands look at what they can touch, however much the catalog has beside it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given as each_of
from hypothesis import strategies as st

from plaudit.engine import achievements, boosts, metrics
from plaudit.engine.compiled import Steps
from tests.engine.builders import DETERMINISTIC, Player, amount
from tests.engine.catalogs import (
    at_value,
    boost,
    catalog,
    given,
    keys,
    on_demand,
    own_boost,
    per_length,
    per_total,
    points,
)

NOON = "2024-01-15T12:00"
MANY = 400


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str], list[object]]:
    """Notes the second argument of each call of a module's function."""

    def watch(module: Any, name: str) -> list[object]:
        function, calls = getattr(module, name), list[object]()

        def noted(first: Any, second: Any, *rest: Any) -> Any:
            calls.append(second)
            return function(first, second, *rest)

        monkeypatch.setattr(module, name, noted)
        return calls

    return watch


# Triggers


def steps(*lengths: int) -> Steps:
    """Triggers of a streak, made in this order, each named after its length."""
    triggers = (per_length(1, length, key=f"{n}: {length}") for n, length in enumerate(lengths))
    return catalog(points(*triggers)).triggers.streaks


def fired(passed: Iterator[Any]) -> list[tuple[str, int]]:
    return sorted((trigger.definition.key, times) for trigger, times in passed)


LENGTHS = st.lists(st.integers(1, 12), max_size=8)


@DETERMINISTIC
@each_of(LENGTHS, st.integers(-40, 40), st.integers(-40, 40))
def test_q35_what_a_number_passes_is_what_looking_at_every_trigger_says(
    lengths: list[int], before: int, after: int
) -> None:
    expected = []
    for n, length in enumerate(lengths):
        times = sum(value % length == 0 for value in range(before + 1, after + 1))
        expected += [(f"{n}: {length}", times)] if times else []
    assert fired(steps(*lengths).passed(before, after)) == sorted(expected)


@DETERMINISTIC
@each_of(LENGTHS, st.integers(-3, 15))
def test_only_steps_up_to_a_value_are_looked_at(lengths: list[int], value: int) -> None:
    found = [trigger.step for trigger in steps(*lengths).up_to(value)]
    assert found == sorted(length for length in lengths if length <= value)


def test_a8_2_q39_triggers_fire_in_the_order_of_the_catalog_and_not_of_their_steps() -> None:
    sam = Player(catalog(points(*(per_total(1, every, key=str(every)) for every in (5, 1, 3)))))
    assert given(sam.sends(NOON, "-1").awards) == []
    assert given(sam.sends(NOON, "6.5").awards) == [("5", 2, 2), ("1", 6, 8), ("3", 2, 10)]


# Filters of events


def test_a7_8_filters_are_found_by_the_part_that_fewest_have(counts: Callable[[Any, str], list[object]]) -> None:
    phone = {"device": "phone"}
    moods = [at_value(str(n), "1", event_attributes=phone | {"mood": str(n)}) for n in range(MANY)]
    sam = Player(catalog(*moods, at_value("any", "1", event_attributes=phone)))
    looked_at = counts(metrics, "matches")
    assert sorted(keys(sam.sends(NOON, carrying=phone | {"mood": "7"}).completed)) == ["7", "any"]
    assert len(looked_at) <= 2
    assert sorted(keys(sam.sends(NOON, carrying=phone).completed)) == []
    assert len(looked_at) <= 3
    assert {sam.catalog.matchers[number].wanted[-1].value for number in sam.state.matched} == {"7", "phone"}


def test_a7_8_every_filter_is_found_whatever_its_parts_share() -> None:
    filters = [{"device": d, "mood": m} for d in ("a", "b", "c") for m in ("a", "b")]
    filters += [{"device": "a"}, {"mood": "b"}, {"mood": "c", "device": "a"}]
    made = catalog(*(at_value(str(n), "1", event_attributes=parts) for n, parts in enumerate(filters)))
    for device in ("a", "b", "c", "d"):
        for mood in ("a", "b", "c", "d"):
            carried = {"mood": mood, "device": device}
            expected = [str(n) for n, parts in enumerate(filters) if parts.items() <= carried.items()]
            sam = Player(made)
            assert sorted(keys(sam.sends(NOON, carrying=carried).completed)) == expected
            assert set(sam.state.matched.values()) <= {amount("1")}


# Attributes of users


def test_a7_8_an_attribute_that_changes_is_looked_up_and_no_other(counts: Callable[[Any, str], list[object]]) -> None:
    plans = [at_value(f"plan {n}", "1", "pages", user_attributes={"plan": str(n)}) for n in range(MANY)]
    teams = [at_value(f"team {n}", "1", user_attributes={"team": str(n)}) for n in range(MANY)]
    both = at_value("both", "1", user_attributes={"plan": "8", "team": "7"})
    sam = Player(catalog(*plans, *teams, both))
    looked_at = counts(achievements, "is_met")
    sam.sends(NOON, "0", being={"plan": "7", "team": "x"})
    assert looked_at == []  # nothing can have been waiting for a new user
    sam.sends(NOON)
    assert keys(sam.sends(NOON, "0", being={"team": "7"}).completed) == ["team 7"]
    assert len(looked_at) <= 2
    assert keys(sam.sends(NOON, "0", being={"team": "7", "plan": "8"}).completed) == ["both"]
    assert len(looked_at) <= 4
    sam.sends(NOON, "0", being={"team": "7"})
    sam.sends(NOON, "0", zone="Asia/Tokyo")
    assert len(looked_at) <= 4


def test_a7_8_a_new_user_completes_what_is_for_them_by_what_they_do() -> None:
    pros = {"plan": "pro"}
    made = catalog(at_value("one", "1", user_attributes=pros), on_demand("asked", user_attributes=pros))
    assert keys(Player(made).sends(NOON, being=pros).completed) == ["one"]
    assert keys(Player(made).completes(NOON, "asked", being=pros).completed) == ["asked"]


# Boosts


def test_a8_12_boosts_that_have_ended_are_not_looked_at(counts: Callable[[Any, str], list[object]]) -> None:
    ended = [boost("9", "2020-01-01", "2024-01-14", key=f"ended {n}") for n in range(MANY)]
    lasting = [boost("2", key="lasting"), boost("1.5", "2024-01-01", "2024-01-15", key="today")]
    sam = Player(catalog(points(per_total(10, 1), boosts=(*ended, *lasting))))
    looked_at = counts(boosts, "is_on")
    assert given(sam.sends(NOON).awards) == [("metric 10", 30, 30)]
    assert len(looked_at) == 2
    assert given(sam.sends("2024-01-16T12:00").awards) == [("metric 10", 20, 50)]
    assert len(looked_at) == 3


def test_q36e_active_ones_come_in_order_of_creation_whenever_they_end() -> None:
    ends = {"a": "2024-01-20", "b": None, "c": "2024-01-01", "d": "2024-01-31", "e": None, "f": "2024-01-20"}
    made = catalog(points(per_total(1, 1), boosts=tuple(boost("2", last=ends[key], key=key) for key in ends)))
    sam = Player(made).counts_on("2024-01-02")
    sam.asks("2024-01-02T13:00", own_boost("3"))
    for at, expected in (("2024-01-15", "abdef"), ("2024-01-21", "bde"), ("2024-02-01", "be")):
        [award] = sam.sends(f"{at}T12:00").awards
        assert [each.name for each in award.boosts] == [*expected, "3"]
