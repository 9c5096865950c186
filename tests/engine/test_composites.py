"""Achievements that need others: in any order, at any depth, and never in a circle."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import ClassVar

import pytest
from hypothesis import given as each_of
from hypothesis import settings
from hypothesis import strategies as st

from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.composites import find_cycle
from plaudit.engine.document import AchievementEntry, Document
from plaudit.engine.problems import find_problems
from tests.engine.builders import DETERMINISTIC, Player, achievement, document, instant
from tests.engine.catalogs import after_all, after_years, at_length, at_value, catalog, keys, on_demand

NOON = "2024-01-15T12:00"


def completed(sam: Player) -> set[str]:
    by_number = {a.number: a.key for a in sam.catalog.catalog.achievements}
    return {by_number[number] for number in sam.state.completions}


# Completing them


@pytest.mark.parametrize("order", [("a", "b", "c"), ("c", "b", "a"), ("b", "c", "a")])
def test_a7_6_it_completes_with_the_last_of_those_it_needs_whichever_that_is(order: tuple[str, ...]) -> None:
    sam = Player(catalog(after_all("all", "a", "b", "c"), *map(on_demand, "abc")))
    told = [keys(sam.completes(NOON, key).completed) for key in order]
    assert told == [[order[0]], [order[1]], [order[2], "all"]]


def test_a7_6_whatever_completes_the_last_one() -> None:
    made = catalog(
        after_all("all", "value", "days", "year", "asked"),
        at_value("value", "10"),
        at_length("days", 2),
        after_years("year", 1),
        on_demand("asked"),
    )
    sam = Player(made)
    assert keys(sam.sends("2024-01-10T12:00", "10", signed_up="2023-01-20").completed) == ["value"]
    assert keys(sam.sends("2024-01-11T12:00").completed) == ["days"]
    assert keys(sam.completes("2024-01-11T13:00", "asked").completed) == ["asked"]
    sam.waits("2024-01-21")
    assert [(h.at_ms, keys(h.completed)) for h in sam.happenings] == [(instant("2024-01-20"), ["year", "all"])]


def test_a7_6_one_that_needs_a_single_other_comes_right_after_it() -> None:
    sam = Player(catalog(after_all("then", "one"), at_value("one", "1")))
    outcome = sam.sends(NOON)
    assert keys(outcome.completed) == ["one", "then"]
    assert set(sam.state.completions.values()) == {instant(NOON)}


def test_a7_6_a_chain_of_any_depth_completes_at_once() -> None:
    links = [after_all(f"link {n}", f"link {n + 1}") for n in range(300)]
    sam = Player(catalog(*links, at_value("link 300", "1")))
    assert keys(sam.sends(NOON).completed) == [f"link {n}" for n in range(300, -1, -1)]


def test_a7_6_what_several_need_completes_all_of_them_once() -> None:
    made = catalog(
        after_all("top", "left", "right", "base"),
        after_all("left", "base"),
        after_all("right", "base"),
        at_value("base", "1"),
    )
    outcome = Player(made).sends(NOON)
    assert keys(outcome.completed) == ["base", "left", "right", "top"]


@pytest.mark.parametrize("status", ["locked", "inactive"])
def test_a7_2_a_chain_ends_at_one_that_is_not_active(status: str) -> None:
    made = catalog(after_all("top", "middle"), after_all("middle", "base", status=status), at_value("base", "1"))
    assert keys(Player(made).sends(NOON).completed) == ["base"]


def test_a7_6_what_a_user_has_counts_though_it_is_archived_since() -> None:
    top = after_all("top", "old", "new")
    sam = Player(catalog(top, on_demand("old"), on_demand("new")))
    sam.completes(NOON, "old")
    sam.catalog = catalog(top, on_demand("new"), before=sam.catalog)
    assert keys(sam.completes(NOON, "new").completed) == ["new", "top"]


def test_a7_8_a_filter_in_the_middle_of_a_chain_holds_up_what_comes_after_it() -> None:
    made = catalog(
        after_all("top", "middle"),
        after_all("middle", "base", user_attributes={"plan": "pro"}),
        at_value("base", "1"),
    )
    sam = Player(made)
    assert keys(sam.sends(NOON, being={"plan": "free"}).completed) == ["base"]
    assert keys(sam.sends(NOON, "0", being={"team": "red"}).completed) == []
    assert keys(sam.sends(NOON, "0", being={"plan": "pro"}).completed) == ["middle", "top"]


def test_a7_8_the_event_that_brings_the_attribute_may_bring_the_last_one_too() -> None:
    made = catalog(after_all("top", "base", user_attributes={"plan": "pro"}), at_value("base", "5"))
    sam = Player(made)
    assert keys(sam.sends(NOON, "4", being={"plan": "pro"}).completed) == []
    assert keys(sam.sends(NOON, "1").completed) == ["base", "top"]


class Watched(frozenset[int]):
    """Prerequisites that count how many of them have been looked at."""

    seen: ClassVar[list[int]] = []

    def __iter__(self) -> Iterator[int]:
        self.seen.append(len(self))
        return super().__iter__()

    def __le__(self, other: AbstractSet[object]) -> bool:
        self.seen.append(len(self))
        return super().__le__(other)


def watched(made: CompiledCatalog) -> CompiledCatalog:
    """The catalog with composites whose prerequisites are counted."""
    found = made.achievements
    new = {c.definition.number: replace(c, prerequisites=Watched(c.prerequisites)) for c in found.composites}
    dependents = {n: tuple(new[c.definition.number] for c in group) for n, group in found.dependents.items()}
    Watched.seen.clear()
    return replace(made, achievements=replace(found, composites=tuple(new.values()), dependents=dependents))


def test_a7_6_many_that_complete_at_once_are_looked_at_once() -> None:
    count = 5000
    needed = [at_value(f"a{n}", str(n + 1)) for n in range(count)]
    names = [each.key for each in needed]
    composites = [
        after_all("never", "missing", *names),
        after_all("all", *names),
        after_all("both", "all", names[0]),
    ]
    sam = Player(watched(catalog(*composites, *needed, on_demand("missing"))))
    assert keys(sam.sends(NOON, str(count)).completed) == [*names, "all", "both"]
    assert sum(Watched.seen) <= 4 * count
    assert keys(sam.completes(NOON, "missing").completed) == ["missing", "never"]
    assert sum(Watched.seen) <= 6 * count


def test_a7_6_what_is_completed_one_by_one_is_completed_in_the_end() -> None:
    names = [f"a{n}" for n in range(30)]
    sam = Player(catalog(after_all("top", "all", names[3]), after_all("all", *names), *map(on_demand, names)))
    told = [keys(sam.completes(NOON, name).completed) for name in reversed(names)]
    assert told == [*([name] for name in reversed(names[1:])), [names[0], "all", "top"]]


NEEDS = st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True), min_size=1, max_size=7)


@settings(DETERMINISTIC, max_examples=100)
@each_of(NEEDS, st.sets(st.integers(0, 9)), st.permutations(range(4)), st.randoms(use_true_random=False))
def test_a7_6_is_what_looking_again_until_nothing_changes_says(
    drawn: list[list[int]], for_pros: set[int], order: list[int], random: Random
) -> None:
    """0 to 3 are asked for; each further one needs some of those before it."""
    needs = {n: {each % n for each in needed} for n, needed in enumerate(drawn, 4)}
    filters = {n: {"plan": "pro"} if n in for_pros else {} for n in needs}
    items = [on_demand(str(n)) for n in range(4)]
    items += [after_all(str(n), *map(str, needed), user_attributes=filters[n]) for n, needed in needs.items()]
    random.shuffle(items)
    sam = Player(catalog(*items))
    expected: set[int] = set()
    for step, asked in enumerate(order):
        plan = "pro" if step >= 2 else "free"
        sam.completes(NOON, str(asked), being={"plan": plan})
        expected.add(asked)
        for _ in needs:
            for n, needed in needs.items():
                if needed <= expected and (plan == "pro" or not filters[n]):
                    expected.add(n)
        assert completed(sam) == set(map(str, expected))


# Circles


def needing(**needs: str) -> Document:
    """A document of composites, each with the keys (of one letter) that it needs; `x` is an ordinary one."""
    composites = (
        AchievementEntry(key, key, trigger="achievement", achievements=tuple(needed)) for key, needed in needs.items()
    )
    return document(achievements=(*composites, achievement("1", key="x")))


@pytest.mark.parametrize(
    ("broken", "path"),
    [
        (needing(a="a"), "a -> a"),
        (needing(a="xa"), "a -> a"),
        (needing(a="b", b="a"), "a -> b -> a"),
        (needing(a="b", b="xc", c="d", d="xb"), "b -> c -> d -> b"),
        (needing(a="x", b="a", c="xc"), "c -> c"),
    ],
)
def test_q70_a_circle_is_refused_and_shown(broken: Document, path: str) -> None:
    (found,) = find_problems(broken)
    assert str(found) == f'[[achievements]] "{path[0]}" achievements: expected no cycle, got {path}'


def test_q70_what_is_needed_by_several_or_in_a_long_chain_is_no_circle() -> None:
    assert find_problems(needing(a="bcx", b="cdx", c="dx", d="x")) == []


@DETERMINISTIC
@each_of(st.dictionaries(st.integers(0, 6), st.lists(st.integers(0, 7), max_size=3), max_size=7))
def test_q70_a_circle_is_found_if_and_only_if_something_needs_itself_in_the_end(drawn: dict[int, list[int]]) -> None:
    needed = {str(n): [str(each) for each in others] for n, others in drawn.items()}
    reached = {key: set(others) for key, others in needed.items()}
    for _ in needed:
        for others in reached.values():
            others |= {further for other in others for further in reached.get(other, ())}
    cycle = find_cycle(needed)
    assert bool(cycle) == any(key in others for key, others in reached.items())
    assert all(after in needed[before] for before, after in pairwise(cycle))
    assert not cycle or (len(cycle) > 1 and cycle[0] == cycle[-1] and len(set(cycle)) == len(cycle) - 1)


def test_q70_a_circle_of_any_length_is_found() -> None:
    count = 20_000
    chain = {str(n): [str(n + 1)] for n in range(count)}
    assert find_cycle(chain) == []
    assert len(find_cycle(chain | {str(count): ["0"]})) == count + 2
