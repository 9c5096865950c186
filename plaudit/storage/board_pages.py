"""What leaderboards' rows hold: members by their seats, or places by their ranks, a page of them in a sealed blob.

A page of members is in the order of their values, as differences from one to the next: 2 to 6 bytes a member, and some
0.1 ms to find one. Everything is MessagePack arrays, deflated.
"""

import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from plaudit.storage.errors import Corrupt
from plaudit.storage.seal import UNDECODABLE, seal, unseal

SEATS_PER_PAGE = 512
PLACES_PER_PAGE = 256
LEVEL = 1
"""Of deflating: more takes twice the time, and saves 1 or 2 % (most of it is noise)."""

Group = tuple[str, ...]
"""The values of the attributes that a board is broken down by."""
Row = TypeVar("Row")


class Standing(NamedTuple):
    """Where a member is. The group is a number among those of a final ranking; snapshots have none."""

    seat: int
    rank: int
    """From 1, within the group."""
    value: int
    """As it is shown."""
    group: int = 0


class Place(Struct, frozen=True, array_like=True):
    """A place of a final ranking; its rank is its position in the group."""

    seat: int
    user_id: str
    name: str | None
    value: int
    """As it is shown."""
    fraction: int = 0
    """What it exactly is beyond that, in billionths."""
    at_ms: int = 0
    number: int = 0
    """When it was reached: groups are merged in the order in which they were."""


class _Columns(Struct, frozen=True, array_like=True):
    """A page of members: each column but the first has the differences from one member to the next."""

    offsets: list[int]
    """Of the seats, within the page."""
    ranks: list[int]
    values: list[int]
    """Negated: in their order, highest first, the differences are not negative."""
    groups: list[int]
    """Empty if all are 0."""


_encoder = msgspec.msgpack.Encoder()
_columns_decoder = msgspec.msgpack.Decoder(_Columns)
_places_decoder = msgspec.msgpack.Decoder(list[Place | None])


def page_of(seat: int) -> int:
    """The page that a seat is on. Its members are of one user shard."""
    return seat // SEATS_PER_PAGE


class StandingsBySeat:
    """Standings that come in the order of their ranks, and go by pages. 32 bytes each, and some for each page."""

    def __init__(self) -> None:
        self._pages: dict[int, array[int]] = {}

    def add(self, seat: int, rank: int, value: int, group: int = 0) -> None:
        """Take one in. About 0.4 us."""
        page = self._pages.get(seat // SEATS_PER_PAGE)
        if page is None:
            page = self._pages[seat // SEATS_PER_PAGE] = array("q")
        page.extend((seat, rank, value, group))

    def pages(self) -> Iterator[list[Standing]]:
        """All of them, a page at a time, ascending."""
        for number in sorted(self._pages):
            numbers = iter(self._pages[number])
            yield [Standing(*one) for one in zip(numbers, numbers, numbers, numbers, strict=True)]


def encode_standings(standings: Sequence[Standing], row: str) -> bytes:
    """The members of one page, as the content of the row that is called so. About 0.5 ms."""
    first_seat = page_of(standings[0].seat) * SEATS_PER_PAGE
    ordered = sorted(standings, key=_in_order)
    offsets = [standing.seat - first_seat for standing in ordered]
    assert len(set(offsets)) == len(offsets), row
    assert all(0 <= offset < SEATS_PER_PAGE for offset in offsets), row
    columns = _Columns(
        offsets,
        _differences(standing.rank for standing in ordered),
        _differences(-standing.value for standing in ordered),
        _differences(standing.group for standing in ordered) if ordered[-1].group else [],
    )
    return pack(columns, row)


def decode_standings(page: int, sealed: bytes | None, row: str, file: str) -> list[Standing]:
    """What `encode_standings` took, in the order of groups and values. Raises Corrupt."""
    columns = _decode_columns(sealed, row, file)
    groups = accumulate(columns.groups or [0] * len(columns.offsets))
    lines = zip(columns.offsets, accumulate(columns.ranks), accumulate(columns.values), groups, strict=True)
    first_seat = page * SEATS_PER_PAGE
    return [Standing(first_seat + offset, rank, -value, group) for offset, rank, value, group in lines]


def find_standing(seat: int, sealed: bytes | None, row: str, file: str) -> Standing | None:
    """One member of a page; None if it is not on it. Some 0.1 ms. Raises Corrupt."""
    columns = _decode_columns(sealed, row, file)
    try:
        end = columns.offsets.index(seat % SEATS_PER_PAGE) + 1
    except ValueError:
        return None
    return Standing(seat, sum(columns.ranks[:end]), -sum(columns.values[:end]), sum(columns.groups[:end]))


def encode_places(places: Sequence[Place | None], row: str) -> bytes:
    """A page of places in the order of their ranks; None is the place of somebody who has been deleted. 0.3 ms."""
    assert 0 < len(places) <= PLACES_PER_PAGE, row
    return pack(places, row)


def decode_places(sealed: bytes | None, row: str, file: str) -> list[Place | None]:
    """What `encode_places` took. Raises Corrupt."""
    return unpack(_places_decoder, sealed, row, file)


def pack(content: object, row: str) -> bytes:
    """A row's content, deflated and sealed."""
    return seal(zlib.compress(_encoder.encode(content), LEVEL), row)


def unpack(decoder: msgspec.msgpack.Decoder[Row], sealed: bytes | None, row: str, file: str) -> Row:
    """What `pack` took. Raises Corrupt, which names the file and the row."""
    where = f"{file}: {row}"
    content = unseal(sealed, row, where)
    try:
        return decoder.decode(zlib.decompress(content))
    except (zlib.error, *UNDECODABLE) as error:
        raise Corrupt(f"{where}: {error}") from error


def _decode_columns(sealed: bytes | None, row: str, file: str) -> _Columns:
    columns = unpack(_columns_decoder, sealed, row, file)
    lengths = {len(columns.offsets), len(columns.ranks), len(columns.values), len(columns.groups or columns.offsets)}
    if len(lengths) != 1:
        raise Corrupt(f"{file}: {row}: its columns have different lengths")
    return columns


def _in_order(standing: Standing) -> tuple[int, int, int]:
    return standing.group, -standing.value, standing.rank


def _differences(numbers: Iterable[int]) -> list[int]:
    column = list(numbers)
    return [after - before for before, after in zip([0, *column[:-1]], column, strict=True)]
