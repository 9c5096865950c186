"""Trails against plain lists of all periods."""

from dataclasses import dataclass

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from plaudit.engine.trail import BYTES_MAX, PERIODS_MAX, Closed, Kind, append, append_set, expand, has_moved
from tests.engine.builders import DETERMINISTIC


@dataclass(frozen=True)
class Ends:
    """So many periods that ended alike; for SET, the length that one ended with, and the age."""

    kind: Kind
    count: int = 1
    length: int = 0
    age: int = 0


def added(trail: bytes, ends: Ends) -> bytes:
    if ends.kind is Kind.SET:
        return append_set(trail, ends.length, ends.age)
    return append(trail, ends.kind, ends.count)


def listed(steps: list[Ends]) -> list[Closed]:
    """Every period, from the first that was not missed."""
    periods: list[Closed] = []
    for ends in steps:
        for _ in range(ends.count):
            length = periods[-1].length if periods else 0
            age = periods[-1].age + 1 if length else 0
            if ends.kind is Kind.COUNTED:
                length += 1
            elif ends.kind is Kind.MISSED:
                length = age = 0
            elif ends.kind is Kind.SET:
                length, age = ends.length, ends.age
            if periods or ends.kind is not Kind.MISSED:
                periods.append(Closed(ends.kind, length, age))
    return periods


WITHOUT_SET = [kind for kind in Kind if kind is not Kind.SET]
RUNS = st.builds(Ends, st.sampled_from(WITHOUT_SET), st.integers(1, 40))
NUMBERS = st.integers(0, 2**24 - 1) | st.integers(0, 300)
SETS = st.builds(Ends, st.just(Kind.SET), st.just(1), NUMBERS, NUMBERS)
STEPS = st.lists(RUNS | SETS, max_size=30)
GROWING = st.integers(0, 2**23) | st.integers(0, 300)
ANYTHING = st.builds(Ends, st.sampled_from([*WITHOUT_SET, *Kind]), st.just(1), GROWING, GROWING)


def trail_of(steps: list[Ends]) -> bytes:
    trail = b""
    for ends in steps:
        trail = added(trail, ends)
    return trail


@DETERMINISTIC
@given(STEPS)
@example([Ends(Kind.COUNTED, 32), Ends(Kind.COUNTED)])
@example([Ends(Kind.COUNTED, 31), Ends(Kind.COUNTED, 2)])
@example([Ends(Kind.COUNTED, 1), Ends(Kind.COUNTED, 96)])
@example([Ends(Kind.SET, 1, 5), Ends(Kind.SET, 1, 0), Ends(Kind.SET, 1, 0x202020, 0xA02020)])
@example([Ends(Kind.SET, 1, 7, 0x20), Ends(Kind.COUNTED), Ends(Kind.COUNTED)])  # the last byte looks like COUNTED
@example([Ends(Kind.SET, 1, 0xA0, 0xA0), Ends(Kind.MISSED), Ends(Kind.PAUSED)])
def test_a_trail_is_the_list_of_its_periods(steps: list[Ends]) -> None:
    assert expand(trail_of(steps)) == listed(steps)


@DETERMINISTIC
@given(STEPS)
def test_one_by_one_or_many_at_once_the_bytes_are_the_same(steps: list[Ends]) -> None:
    one_by_one = [Ends(ends.kind, 1, ends.length, ends.age) for ends in steps for _ in range(ends.count)]
    assert trail_of(one_by_one) == trail_of(steps)


@DETERMINISTIC
@given(STEPS)
def test_a_move_is_remembered_until_the_length_is_counted_or_set(steps: list[Ends]) -> None:
    since = [ends.kind for ends in steps]
    while set(since) & {Kind.COUNTED, Kind.SET}:
        since.pop(0)
    since = since[since.index(Kind.MOVED) :] if Kind.MOVED in since else []
    assert has_moved(trail_of(steps)) == bool(since)


@pytest.mark.parametrize("count", [1, 31, 32, 33, 64, 365, 16_384])
def test_equal_periods_take_a_byte_for_thirty_two(count: int) -> None:
    assert len(append(b"", Kind.COUNTED, count)) == -(-count // 32)


def test_a_trail_begins_with_a_period_that_was_not_missed() -> None:
    assert append(b"", Kind.MISSED, 1000) == b""
    assert expand(append(append(b"", Kind.MISSED, 9), Kind.PAUSED)) == [Closed(Kind.PAUSED, 0)]


def last_shown(periods: list[Closed]) -> list[Closed]:
    """As many as can be asked for; what was before a trail was missed."""
    shown = PERIODS_MAX - 1
    return [Closed(Kind.MISSED, 0)] * (shown - len(periods)) + periods[-shown:]


@settings(DETERMINISTIC, max_examples=15)
@given(st.lists(ANYTHING, min_size=10, max_size=60))
def test_a_trail_that_gets_long_keeps_the_periods_that_can_be_asked_for(steps: list[Ends]) -> None:
    steps = steps * (BYTES_MAX // len(steps) + 1)
    assert last_shown(expand(trail_of(steps))) == last_shown(listed(steps))


@settings(DETERMINISTIC, max_examples=30)
@given(st.lists(st.sampled_from(WITHOUT_SET), min_size=10, max_size=60))
def test_a_trail_is_cut_at_its_limit(kinds: list[Kind]) -> None:
    trail = b""
    kinds = [Kind.COUNTED, *kinds] * (3 * BYTES_MAX // len(kinds))
    for kind in kinds:
        trail = append(trail, kind)
        assert len(trail) <= BYTES_MAX
    plain = listed([Ends(kind) for kind in kinds])
    kept = expand(trail)
    assert PERIODS_MAX - 1 <= len(kept) <= len(plain)
    assert kept[1:] == plain[1 - len(kept) :]
    assert (kept[0].length, kept[0].age) == (plain[-len(kept)].length, plain[-len(kept)].age)


def test_a_cut_in_the_middle_of_a_streak_keeps_its_length() -> None:
    kinds = [Kind.COUNTED, Kind.FROZEN]
    trail = trail_of([Ends(kinds[n % 2]) for n in range(BYTES_MAX + 1)])
    kept = expand(trail)
    assert (len(kept), kept[0].length, kept[-1].length) == (PERIODS_MAX, 74, 257)


def test_a_trail_of_lengths_that_were_set_is_cut_to_its_periods() -> None:
    steps = [Ends(Kind.SET, 1, n, n // 2) for n in range(1, 1000)]
    trail = trail_of(steps)
    assert len(trail) == 7 * PERIODS_MAX
    assert expand(trail) == listed(steps)[-PERIODS_MAX:]


def test_a_long_absence_leaves_nothing_that_can_be_asked_for() -> None:
    trail = append(append(b"", Kind.COUNTED, 20), Kind.MISSED, BYTES_MAX * 32)
    assert trail == b""


def test_a_long_absence_before_the_cut_is_forgotten() -> None:
    trail = append(trail_of([Ends(Kind.COUNTED, 20), Ends(Kind.MISSED, 366 - 7)]), Kind.PAUSED)
    for _ in range(BYTES_MAX):
        trail = append(append(trail, Kind.MISSED), Kind.PAUSED)
    assert {period.length for period in expand(trail)} == {0}
