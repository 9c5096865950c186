"""Who is ahead of whom: an ordered set of keys, each of which is a member's standing as one integer.

A key is `-value << 144 | at_ms << 96 | number << 48 | seat`, so ascending keys are descending values and, among equal
ones, whoever got there first. That the value is negated, rather than taken from a power of two, keeps the keys of small
values small: they take less memory, and an index of them is built sooner (`python -m benchmarks.rank_index`).
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain
from typing import NamedTuple, Protocol, Self

from sortedcontainers import SortedList

_SEAT_BITS = 48
_NUMBER_BITS = 48
_AT_BITS = 48
_NUMBER_SHIFT = _SEAT_BITS
_AT_SHIFT = _NUMBER_SHIFT + _NUMBER_BITS
_VALUE_SHIFT = _AT_SHIFT + _AT_BITS
_SEAT_MASK = (1 << _SEAT_BITS) - 1
_NUMBER_MASK = (1 << _NUMBER_BITS) - 1
_AT_MASK = (1 << _AT_BITS) - 1

MEMBER_BITS = 40
SHARD_MAX = (1 << _SEAT_BITS - MEMBER_BITS) - 1
MEMBER_MAX = (1 << MEMBER_BITS) - 1
AT_MS_MAX = _AT_MASK
NUMBER_MAX = _NUMBER_MASK


class Standing(NamedTuple):
    """What a key says. Ordered by value descending, then by the rest ascending."""

    value: int
    at_ms: int
    """When the value was reached, and by which command of the user's shard."""
    number: int
    seat: int


def pack_seat(shard: int, member: int) -> int:
    """A member of all shards as one number: the user's shard, and the user's number in it."""
    assert 0 <= shard <= SHARD_MAX
    assert 0 <= member <= MEMBER_MAX
    return shard << MEMBER_BITS | member


def unpack_seat(seat: int) -> tuple[int, int]:
    """The shard and the member that `pack_seat` packed."""
    return seat >> MEMBER_BITS, seat & MEMBER_MAX


def pack(value: int, at_ms: int, number: int, seat: int) -> int:
    """The key of a standing: below zero, and below those of all who are behind. `value` is above zero."""
    assert value > 0
    assert 0 <= at_ms <= AT_MS_MAX
    assert 0 <= number <= NUMBER_MAX
    assert 0 <= seat <= _SEAT_MASK
    return -value << _VALUE_SHIFT | at_ms << _AT_SHIFT | number << _NUMBER_SHIFT | seat


def unpack(key: int) -> Standing:
    """The standing that `pack` packed."""
    return Standing(value_of(key), key >> _AT_SHIFT & _AT_MASK, key >> _NUMBER_SHIFT & _NUMBER_MASK, key & _SEAT_MASK)


def value_of(key: int) -> int:
    """The value in a key."""
    return -(key >> _VALUE_SHIFT)


def seat_of(key: int) -> int:
    """The seat in a key."""
    return key & _SEAT_MASK


class RankIndex(Protocol):
    """A set of keys in ascending order. Positions begin at 0. Each operation is O(log n) if nothing else is said."""

    @classmethod
    def from_keys(cls, keys: Iterable[int]) -> Self:
        """All of them at once, in any order, each once. O(n log n), and O(n) if they are in order already."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[int]: ...

    def add(self, key: int) -> None:
        """Put in a key that is not there."""

    def remove(self, key: int) -> None:
        """Take out a key. Raises ValueError if it is not there."""

    def rank(self, key: int) -> int:
        """The position of a key. Raises ValueError if it is not there."""

    def count_above(self, key: int) -> int:
        """How many keys are ahead of this one, which need not be there."""

    def at(self, position: int) -> int:
        """The key at a position. Raises IndexError below 0 and from the end on."""

    def slice(self, start: int, stop: int | None) -> list[int]:
        """The keys from one position (0 or more) up to another, as far as there are any; None: all from there on.

        O(log n) and the length of the answer.
        """


class SortedIndex:
    """A `RankIndex` in lists of some thousand keys, from sortedcontainers."""

    def __init__(self) -> None:
        self._keys: SortedList[int] = SortedList()

    @classmethod
    def from_keys(cls, keys: Iterable[int]) -> Self:
        """See `RankIndex`."""
        index = cls()
        index._keys.update(keys)  # sorts them in one go
        return index

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[int]:
        return iter(self._keys)

    def add(self, key: int) -> None:
        """See `RankIndex`."""
        self._keys.add(key)

    def remove(self, key: int) -> None:
        """See `RankIndex`."""
        self._keys.remove(key)

    def rank(self, key: int) -> int:
        """See `RankIndex`."""
        return self._keys.index(key)

    def count_above(self, key: int) -> int:
        """See `RankIndex`."""
        return self._keys.bisect_left(key)

    def at(self, position: int) -> int:
        """See `RankIndex`."""
        if position < 0:
            raise IndexError(position)
        return self._keys[position]

    def slice(self, start: int, stop: int | None) -> list[int]:
        """See `RankIndex`."""
        return self._keys[start:stop]


def merge(indexes: Sequence[RankIndex], start: int, stop: int) -> list[int]:
    """The keys from one position (0 or more) up to another of all the indexes together, as far as there are any.

    No key may be in two of them. What comes before costs nothing: see `leaders`; and the length of the answer.
    """
    if stop <= start:
        return []
    spans = zip(indexes, leaders(indexes, start), leaders(indexes, stop), strict=True)
    parts = [index.slice(first, end) for index, first, end in spans]
    return parts[0] if len(parts) == 1 else sorted(chain.from_iterable(parts))


def leaders(indexes: Sequence[RankIndex], count: int) -> list[int]:
    """How many keys of each index are among the first `count` of all together. O(g log^2 n) for g indexes."""
    lows, highs = [0] * len(indexes), [len(index) for index in indexes]
    if count >= sum(highs):
        return highs
    if len(indexes) == 1:
        return [count]
    while sum(lows) < count:
        pivot, owner = _middle(indexes, lows, highs)
        ahead = [index.count_above(pivot) for index in indexes]
        if sum(ahead) >= count:
            highs = ahead
        else:
            lows = ahead
            lows[owner] += 1
    return lows


def _middle(indexes: Sequence[RankIndex], lows: list[int], highs: list[int]) -> tuple[int, int]:
    """A key, and whose it is, with a quarter or so of what is between `lows` and `highs` on each side of it.

    It is the weighted median of the medians.
    """
    medians = sorted(
        (index.at((low + high) // 2), number, high - low)
        for number, (index, low, high) in enumerate(zip(indexes, lows, highs, strict=True))
        if low < high
    )
    passed = list(accumulate(weight for _, _, weight in medians))
    key, owner, _ = medians[bisect_left(passed, passed[-1] / 2)]
    return key, owner
