import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.storage.board_pages import (
    PLACES_PER_PAGE,
    SEATS_PER_PAGE,
    Place,
    Standing,
    StandingsBySeat,
    decode_places,
    decode_standings,
    encode_places,
    encode_standings,
    find_standing,
    pack,
    page_of,
)
from plaudit.storage.errors import Corrupt
from tests.engine.builders import DETERMINISTIC

FILE = "boards.sqlite"
ROW = "snapshot page 1,2,3,4"
SHARD = 1 << 40
OFFSETS = st.lists(st.integers(0, SEATS_PER_PAGE - 1), min_size=1, max_size=60, unique=True)
VALUES = st.integers(1, 5) | st.integers(1, 10**15)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
PLACES = st.none() | st.builds(
    Place,
    st.integers(0, 2**48),
    TEXTS,
    st.none() | TEXTS,
    VALUES,
)


@st.composite
def pages(draw: st.DrawFn) -> tuple[int, list[Standing]]:
    page = draw(st.integers(0, 2**39))
    return page, [
        Standing(page * SEATS_PER_PAGE + offset, draw(st.integers(1, 2**40)), draw(VALUES), draw(st.integers(0, 3)))
        for offset in draw(OFFSETS)
    ]


@DETERMINISTIC
@given(pages())
def test_a_page_of_members_survives_the_round_trip(drawn: tuple[int, list[Standing]]) -> None:
    page, standings = drawn
    sealed = encode_standings(standings, ROW)
    decoded = decode_standings(page, sealed, ROW, FILE)
    assert sorted(decoded) == sorted(standings)
    assert decoded == sorted(standings, key=lambda one: (one.group, -one.value, one.rank))
    for standing in standings:
        assert find_standing(standing.seat, sealed, ROW, FILE) == standing
    empty = set(range(SEATS_PER_PAGE)) - {standing.seat % SEATS_PER_PAGE for standing in standings}
    assert find_standing(page * SEATS_PER_PAGE + min(empty), sealed, ROW, FILE) is None


@DETERMINISTIC
@given(st.lists(PLACES, min_size=1, max_size=10))
def test_a_page_of_places_survives_the_round_trip(places: list[Place | None]) -> None:
    assert decode_places(encode_places(places, ROW), ROW, FILE) == places


def test_a_full_page_takes_a_few_bytes_a_member() -> None:
    """Ranks of a million, values up to a million: 20 bits of each are noise, but for the order."""
    standings = [
        Standing(seat, 1 + seat * 7919 % 1_000_003, 1_000_003 - seat * 7919 % 1_000_003) for seat in range(512)
    ]
    sealed = encode_standings(standings, ROW)
    assert len(sealed) < 4 * SEATS_PER_PAGE
    assert decode_standings(0, sealed, ROW, FILE) == sorted(standings, key=lambda one: one.rank)


def test_what_belongs_to_other_pages_is_not_taken() -> None:
    for others in ([Standing(511, 1, 2), Standing(512, 2, 1)], [Standing(1, 1, 2), Standing(1, 2, 1)]):
        with pytest.raises(AssertionError):
            encode_standings(others, ROW)
    with pytest.raises(AssertionError):
        encode_places([None] * (PLACES_PER_PAGE + 1), ROW)


def test_a_page_is_of_one_shard() -> None:
    assert page_of(SHARD - 1) < page_of(SHARD) == page_of(SHARD + 511) < page_of(SHARD + 512)


def test_members_who_come_by_rank_go_by_pages() -> None:
    by_seat = StandingsBySeat()
    seats = [SHARD + 3, 700, 3, SHARD + 1, 512]
    for rank, seat in enumerate(seats, 1):
        by_seat.add(seat, rank, 10**15 - rank, rank % 2)
    assert list(by_seat.pages()) == [
        [Standing(3, 3, 10**15 - 3, 1)],
        [Standing(700, 2, 10**15 - 2, 0), Standing(512, 5, 10**15 - 5, 1)],
        [Standing(SHARD + 3, 1, 10**15 - 1, 1), Standing(SHARD + 1, 4, 10**15 - 4, 0)],
    ]
    assert list(StandingsBySeat().pages()) == []


def test_any_flipped_bit_is_noticed() -> None:
    for sealed, decode in (
        (
            encode_standings([Standing(1, 2, 3), Standing(2, 1, 9)], ROW),
            lambda bad: decode_standings(0, bad, ROW, FILE),
        ),
        (encode_places([Place(1, "sam", None, 3), None], ROW), lambda bad: decode_places(bad, ROW, FILE)),
    ):
        for bit in range(8 * len(sealed)):
            flipped = bytearray(sealed)
            flipped[bit // 8] ^= 1 << bit % 8
            with pytest.raises(Corrupt, match=f"^{FILE}: {ROW}: its checksum does not match"):
                decode(bytes(flipped))


@pytest.mark.parametrize(
    "content", [None, [1], [[1], [1], [1]], [[1], [1], [1, 2], []], [[1], [1], [1], [1, 2]], [["a"], [1], [1], []]]
)
def test_what_is_no_page_is_refused(content: object) -> None:
    for refused in (pack(content, ROW), None, b""):
        with pytest.raises(Corrupt, match=f"^{FILE}: {ROW}: "):
            decode_standings(0, refused, ROW, FILE)
        with pytest.raises(Corrupt, match=f"^{FILE}: {ROW}: "):
            find_standing(1, refused, ROW, FILE)


def test_a_page_under_another_name_is_refused() -> None:
    with pytest.raises(Corrupt, match=r"^boards\.sqlite: snapshot page 1,2,3,5: its checksum"):
        decode_standings(0, encode_standings([Standing(1, 1, 1)], ROW), "snapshot page 1,2,3,5", FILE)
