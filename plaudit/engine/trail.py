"""What became of a streak's closed periods, in a byte or so for each run of equal ones.

A byte is a kind (the high three bits) and how many periods it holds for, less one (the low five bits). After SET come
six bytes more for that one period: the length of the streak at its end, and its age. A trail begins with the first
period that was not missed.
"""

from collections.abc import Iterator
from enum import IntEnum
from itertools import groupby

from msgspec import Struct


class Kind(IntEnum):
    """How a period ended. COUNTED adds one to the length, MISSED makes it 0, SET says it, the others keep it."""

    MISSED = 0
    COUNTED = 1
    FROZEN = 2
    """Missed, and a freeze was spent on it."""
    PAUSED = 3
    HELD = 4
    """A day off, or one that the user's time zone has skipped."""
    SET = 5
    """The length was restored, or reset, in it."""
    MOVED = 6
    """It ended sooner because the user moved."""


class Closed(Struct, frozen=True):
    """A closed period: how it ended, and the length of the streak then."""

    kind: Kind
    length: int
    age: int = 0
    """How many periods earlier the first one of the streak was."""


PERIODS_MAX = 366
"""How many periods are kept at least; no more can be asked for."""
BYTES_MAX = 512
"""How long a trail gets before it is cut to PERIODS_MAX periods."""

_COUNT_BITS = 5
_RUN_MAX = 1 << _COUNT_BITS
_NUMBER_BYTES = 3
_SET_BYTES = 2 * _NUMBER_BYTES
_SET_BYTE = bytes((Kind.SET << _COUNT_BITS,))


def append(trail: bytes, kind: Kind, count: int = 1) -> bytes:
    """The trail after `count` more periods that ended alike; the same bytes as after one at a time."""
    while count and (trail or kind is not Kind.MISSED):
        room = _find_room(trail, kind)
        if room:
            merged = min(count, room)
            trail = trail[:-1] + bytes((trail[-1] + merged,))
        else:
            merged = 1
            trail = _cut_if_long(trail + bytes((_run(kind, 1),)))
        count -= merged
    return trail


def append_set(trail: bytes, length: int, age: int) -> bytes:
    """The trail after a period in which the length was set, and which ended with `length`."""
    return _cut_if_long(trail + _set(length, age))


def expand(trail: bytes) -> list[Closed]:
    """The periods of a trail, oldest first; the last one is the one before the current. O(periods)."""
    length = age = 0
    periods: list[Closed] = []
    for kind, count, set_to in _runs(trail):
        for _ in range(count):
            age = age + 1 if length else 0
            if kind is Kind.COUNTED:
                length += 1
            elif kind is Kind.MISSED:
                length = age = 0
            elif kind is Kind.SET:
                length, age = set_to
            periods.append(Closed(kind, length, age))
    return periods


def has_moved(trail: bytes) -> bool:
    """True if a move has kept the streak since its length was last counted or set."""
    moved = False
    for kind, _, _ in _runs(trail):
        moved = kind is Kind.MOVED or (moved and kind not in (Kind.COUNTED, Kind.SET))
    return moved


def _run(kind: Kind, count: int) -> int:
    return kind << _COUNT_BITS | count - 1


def _runs(trail: bytes) -> Iterator[tuple[Kind, int, tuple[int, int]]]:
    """Kind, count, and for SET the length and the age."""
    at = 0
    while at < len(trail):
        kind, count = Kind(trail[at] >> _COUNT_BITS), (trail[at] & (_RUN_MAX - 1)) + 1
        at += 1
        length = age = 0
        if kind is Kind.SET:
            length = int.from_bytes(trail[at : at + _NUMBER_BYTES], "big")
            age = int.from_bytes(trail[at + _NUMBER_BYTES : at + _SET_BYTES], "big")
            at += _SET_BYTES
        yield kind, count, (length, age)


def _set(length: int, age: int) -> bytes:
    return _SET_BYTE + length.to_bytes(_NUMBER_BYTES, "big") + age.to_bytes(_NUMBER_BYTES, "big")


def _find_room(trail: bytes, kind: Kind) -> int:
    """How many periods of a kind the last run has room for."""
    if not trail or trail[-1] >> _COUNT_BITS != kind or _ends_with_set(trail):
        return 0
    return _RUN_MAX - 1 - (trail[-1] & (_RUN_MAX - 1))


def _ends_with_set(trail: bytes) -> bool:
    """True if the last bytes are a length and an age.

    Where they might be, the trail is read from the front, since any byte may be part of one.
    """
    if trail[-1 - _SET_BYTES : -_SET_BYTES] != _SET_BYTE:
        return False
    *_, (kind, _, _) = _runs(trail)
    return kind is Kind.SET


def _cut_if_long(trail: bytes) -> bytes:
    """The last PERIODS_MAX periods of a trail that has got long; the first of them says what the length was."""
    if len(trail) <= BYTES_MAX:
        return trail
    closed = expand(trail)
    if len(closed) <= PERIODS_MAX:
        return trail
    first, *rest = closed[-PERIODS_MAX:]
    cut = bytearray(_set(first.length, first.age) if first.length else b"")
    for kind, run in groupby(rest, key=lambda period: period.kind):
        alike = list(run)
        if kind is Kind.SET:
            cut += b"".join(_set(period.length, period.age) for period in alike)
        elif cut or kind is not Kind.MISSED:
            full, left = divmod(len(alike), _RUN_MAX)
            cut += bytes((_run(kind, _RUN_MAX),)) * full + (bytes((_run(kind, left),)) if left else b"")
    return bytes(cut)
