from abc import ABC, abstractmethod
from bisect import bisect_left, insort
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.actors.rank_index import (
    AT_MS_MAX,
    MEMBER_MAX,
    NUMBER_MAX,
    SHARD_MAX,
    RankIndex,
    SortedIndex,
    Standing,
    leaders,
    merge,
    pack,
    pack_seat,
    seat_of,
    unpack,
    unpack_seat,
    value_of,
)
from tests.engine.builders import DETERMINISTIC

VALUE_MAX = 10**24
YEAR_9999_MS = 253_402_300_799_999
SEATS = st.builds(pack_seat, st.integers(0, SHARD_MAX), st.integers(0, MEMBER_MAX))
STANDINGS = st.builds(
    Standing,
    st.integers(1, 3) | st.integers(1, VALUE_MAX),
    st.integers(0, 2) | st.integers(0, AT_MS_MAX),
    st.integers(0, 2) | st.integers(0, NUMBER_MAX),
    st.integers(0, 2) | SEATS,
)
LARGEST = Standing(VALUE_MAX, AT_MS_MAX, NUMBER_MAX, pack_seat(SHARD_MAX, MEMBER_MAX))
KEYS = st.integers(-60, -1) | STANDINGS.map(lambda standing: pack(*standing))
MANY = 5_000


@DETERMINISTIC
@given(STANDINGS)
def test_a_key_says_what_went_into_it(standing: Standing) -> None:
    key = pack(*standing)
    assert unpack(key) == standing
    assert (value_of(key), seat_of(key)) == (standing.value, standing.seat)
    assert key < 0


@DETERMINISTIC
@given(STANDINGS, STANDINGS)
def test_keys_are_in_the_order_of_value_descending_then_time_number_and_seat(one: Standing, other: Standing) -> None:
    def order(standing: Standing) -> tuple[int, ...]:
        return (-standing.value, *standing[1:])

    assert (pack(*one) < pack(*other)) == (order(one) < order(other))
    assert (pack(*one) == pack(*other)) == (one == other)


def test_the_largest_of_everything_fits() -> None:
    assert unpack(pack(*LARGEST)) == LARGEST
    assert AT_MS_MAX >= YEAR_9999_MS


@pytest.mark.parametrize("field", ["at_ms", "number", "seat"])
@pytest.mark.parametrize("beyond", [-1, 2**48])
def test_what_would_run_into_the_next_part_of_a_key_is_an_error(field: str, beyond: int) -> None:
    with pytest.raises(AssertionError):
        pack(*LARGEST._replace(**{field: beyond}))


@pytest.mark.parametrize("value", [0, -1])
def test_a_value_is_above_zero(value: int) -> None:
    with pytest.raises(AssertionError):
        pack(value, 0, 0, 0)


@DETERMINISTIC
@given(st.integers(0, SHARD_MAX), st.integers(0, MEMBER_MAX))
def test_a_seat_says_who_sits_there(shard: int, member: int) -> None:
    assert unpack_seat(pack_seat(shard, member)) == (shard, member)


@pytest.mark.parametrize(("shard", "member"), [(-1, 0), (SHARD_MAX + 1, 0), (0, -1), (0, MEMBER_MAX + 1)])
def test_a_seat_beyond_the_last_is_an_error(shard: int, member: int) -> None:
    with pytest.raises(AssertionError):
        pack_seat(shard, member)


class RankIndexContract(ABC):
    """What every implementation has to do, against a sorted list."""

    @abstractmethod
    def make(self, keys: Iterable[int]) -> RankIndex: ...

    @DETERMINISTIC
    @given(st.data(), st.lists(KEYS, unique=True, max_size=20), st.lists(KEYS, max_size=20))
    def test_it_is_a_sorted_list(self, data: st.DataObject, first: list[int], later: list[int]) -> None:
        index, expected = self.make(first), sorted(first)
        for key in later:
            if key not in expected:
                index.add(key)
                insort(expected, key)
            leaves: bool = data.draw(st.booleans())
            if leaves and expected:
                leaver = data.draw(st.sampled_from(expected))
                index.remove(leaver)
                expected.remove(leaver)
            self.check(index, expected, probe=key)

    def check(self, index: RankIndex, expected: list[int], probe: int) -> None:
        assert list(index) == expected
        assert len(index) == len(expected)
        assert [index.rank(key) for key in expected] == list(range(len(expected)))
        assert [index.at(position) for position in range(len(expected))] == expected
        assert [index.count_above(probe + step) for step in (-1, 0, 1)] == [
            bisect_left(expected, probe + step) for step in (-1, 0, 1)
        ]

    @DETERMINISTIC
    @given(st.lists(KEYS, unique=True, max_size=20), st.integers(0, 20), st.none() | st.integers(0, 20))
    def test_a_slice_is_what_there_is_of_it(self, keys: list[int], start: int, stop: int | None) -> None:
        assert self.make(keys).slice(start, stop) == sorted(keys)[start:stop]

    def test_what_is_not_there_is_an_error(self) -> None:
        index = self.make([-3, -1])
        for missing in (index.rank, index.remove):
            with pytest.raises(ValueError):
                missing(-2)
        for position in (-1, 2):
            with pytest.raises(IndexError):
                index.at(position)
        assert list(index) == [-3, -1]

    def test_many_keys_come_and_go(self) -> None:
        keys = [-(n * 7_919 % MANY) - 1 for n in range(MANY)]
        index = self.make(keys[: MANY // 2])
        for key in keys[MANY // 2 :]:
            index.add(key)
        assert [index.rank(key) for key in keys] == [key + MANY for key in keys]
        for key in keys[::2]:
            index.remove(key)
        left = sorted(keys[1::2])
        assert list(index) == left
        assert [index.count_above(key) for key in keys] == [bisect_left(left, key) for key in keys]
        assert index.slice(MANY // 4, MANY // 4 + 3) == left[MANY // 4 : MANY // 4 + 3]


class TestSortedIndex(RankIndexContract):
    def make(self, keys: Iterable[int]) -> RankIndex:
        return SortedIndex.from_keys(keys)


@DETERMINISTIC
@given(st.lists(st.sets(st.integers(-200, -1)), max_size=6), st.integers(0, 60), st.integers(0, 60))
def test_indexes_merge_as_if_they_were_one(sets: list[set[int]], start: int, stop: int) -> None:
    groups = [sorted({key * len(sets) + number for key in keys}) for number, keys in enumerate(sets)]
    together = sorted(key for group in groups for key in group)
    indexes = [SortedIndex.from_keys(group) for group in groups]
    assert merge(indexes, start, stop) == together[start:stop]
    first = set(together[:start])
    assert leaders(indexes, start) == [len(first.intersection(group)) for group in groups]


class CountingIndex(SortedIndex):
    """Counts how often it is asked."""

    asked = 0

    def count_above(self, key: int) -> int:
        CountingIndex.asked += 1
        return super().count_above(key)


@pytest.mark.parametrize("sizes", [(40_000, 40_000), (79_000, *[10] * 100), (2_000,) * 40, (65_536, 8_192, 1_024, 1)])
@pytest.mark.parametrize("interleaved", [True, False])
def test_the_middle_of_merged_indexes_is_found_without_what_comes_before(
    sizes: tuple[int, ...], interleaved: bool
) -> None:
    total, start, indexes = sum(sizes), 0, []
    for number, size in enumerate(sizes):
        step, first = (len(sizes) * (total // size), number) if interleaved else (1, start)
        indexes.append(CountingIndex.from_keys(range(first, first + size * step, step)))
        start += size
    CountingIndex.asked = 0
    counts = leaders(indexes, total // 2)
    assert sum(counts) == total // 2
    assert CountingIndex.asked <= len(indexes) * 3 * total.bit_length()
