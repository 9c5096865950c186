import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.engine.amounts import UNIT, pack_amount
from plaudit.storage.errors import Corrupt
from plaudit.storage.history import (
    AwardEntry,
    Chunk,
    DayTotal,
    EventEntry,
    decode_chunk,
    encode_chunk,
    total_days,
)
from plaudit.storage.seal import seal
from tests.engine.builders import CREATED_MS, DETERMINISTIC, event_id
from tests.storage.builders import chunk

PLACE = "state.sqlite"
TEXTS = st.text(st.characters(codec="utf-8"), max_size=10)
NUMBERS = st.integers(0, 2**31)
AMOUNTS = st.integers(-(2**63), 2**63 - 1) | st.binary(min_size=16, max_size=16)
AWARDS = st.builds(AwardEntry, NUMBERS, NUMBERS, NUMBERS, st.integers(0, 2**62))
ENTRIES = st.builds(
    EventEntry,
    event_id=st.binary(min_size=16, max_size=16),
    at_ms=st.integers(0, 2**42),
    metric=NUMBERS,
    value=AMOUNTS,
    total=AMOUNTS,
    attributes=st.dictionaries(TEXTS, TEXTS, max_size=3),
    completed=st.lists(NUMBERS, max_size=3).map(tuple),
    awards=st.lists(AWARDS, max_size=3).map(tuple),
    streak_extended=st.booleans(),
    idempotency_key=st.none() | TEXTS,
    number=st.integers(0, 2**62),
    day=st.integers(1, 4_000_000),
)
CHUNKS = st.builds(
    Chunk,
    id=st.integers(2**32, 2**62),
    user=st.integers(1, 2**62),
    previous=st.none() | st.integers(1, 2**32 - 1),
    entries=st.lists(ENTRIES, max_size=5).map(tuple),
)
OLD = Chunk(
    9,
    3,
    4,
    (
        EventEntry(event_id(1), CREATED_MS, 1, -5, 2**63 - 1),
        EventEntry(
            event_id(2),
            CREATED_MS + 1,
            2,
            b"\1" * 16,
            6,
            {"a": "b"},
            (3,),
            (AwardEntry(1, 2, 10, 20),),
            True,
            "key",
            77,
            738_000,
        ),
    ),
)
OLD_BYTES = bytes.fromhex(
    "cf416cf3929dc410018f2b6e000070008000000000000001cf0000018bcfe5680001fbcf7fffffffffffffff809090c2c000"
    "00009dc410018f2b6e000070008000000000000002cf0000018bcfe5680102c4100101010101010101010101010101010106"
    "81a161a1629103919501020a1490c3a36b65794dce000b42d000"
)
BYTES_OF_SCHEMA_3 = bytes.fromhex(
    "a9338fdc929cc410018f2b6e000070008000000000000001cf0000018bcfe5680001fbcf7fffffffffffffff809090c2c000"
    "009cc410018f2b6e000070008000000000000002cf0000018bcfe5680102c410010101010101010101010101010101010681"
    "a161a1629103919401020a14c3a36b65794dce000b42d0"
)
"""The same, from before entries had kinds and awards had boosts."""


def row(sealed: bytes, of: Chunk = OLD) -> tuple[int, int, int | None, bytes]:
    """How a chunk is stored, with other bytes."""
    return of.id, of.user, of.previous, sealed


def stored(content: bytes) -> tuple[int, int, int | None, bytes]:
    """A row that was written with this content."""
    return row(seal(content, f"{OLD.id},{OLD.user},{OLD.previous}"))


@DETERMINISTIC
@given(CHUNKS)
def test_a_chunk_survives_the_round_trip_in_order(one: Chunk) -> None:
    assert decode_chunk(row(encode_chunk(one), one), PLACE) == one


def test_a_chunk_of_today_is_read_tomorrow() -> None:
    assert encode_chunk(OLD).hex() == OLD_BYTES.hex()
    assert decode_chunk(row(OLD_BYTES), PLACE) == decode_chunk(row(BYTES_OF_SCHEMA_3), PLACE) == OLD


def test_an_entry_of_before_a_field_was_added_has_its_default() -> None:
    first_fields = msgspec.msgpack.encode([[event_id(1), CREATED_MS, 1, 10, 100]])
    assert decode_chunk(stored(first_fields), PLACE).entries == (
        EventEntry(event_id(1), CREATED_MS, 1, 10, 100, {}, (), (), False, None, 0, 0),
    )


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\xc0",
        b"garbage",
        OLD_BYTES[4:-1],
        OLD_BYTES[4:] + b"\x00",
        b"\xdd\xff\xff\xff\xff",
        b"\x91" * 100_000,
        msgspec.msgpack.encode([[event_id(1), CREATED_MS, 1, 10]]),
        msgspec.msgpack.encode([[event_id(1), CREATED_MS, 1, 0.5, 100]]),
        OLD_BYTES[4:] * 2,
    ],
)
def test_what_is_no_chunk_is_refused(garbage: bytes) -> None:
    for refused in (stored(garbage), row(garbage)):
        with pytest.raises(Corrupt, match=r"^state\.sqlite: history 9: "):
            decode_chunk(refused, PLACE)


@DETERMINISTIC
@given(st.binary(max_size=60))
def test_random_bytes_are_a_chunk_or_refused(garbage: bytes) -> None:
    try:
        decoded = decode_chunk(stored(garbage), PLACE)
    except Corrupt:
        return
    assert all(isinstance(one, EventEntry) for one in decoded.entries)


def test_a_chunk_under_the_name_of_another_is_refused() -> None:
    sealed = encode_chunk(OLD)
    for other in ((10, 3, 4), (9, 2, 4), (9, 3, 5), (9, 3, None)):
        with pytest.raises(Corrupt, match=f"^state.sqlite: history {other[0]}: its checksum does not match"):
            decode_chunk((*other, sealed), PLACE)


@pytest.mark.parametrize("previous", [9, 10])
def test_a_chunk_follows_an_older_one(previous: int) -> None:
    one = chunk(9, 1, previous=previous)
    with pytest.raises(Corrupt, match=f"^state.sqlite: history 9: follows {previous}, which is not older"):
        decode_chunk(row(encode_chunk(one), one), PLACE)


def test_any_flipped_bit_of_a_chunk_is_noticed() -> None:
    for bit in range(8 * len(OLD_BYTES)):
        flipped = bytearray(OLD_BYTES)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Corrupt, match="history 9: its checksum does not match"):
            decode_chunk(row(bytes(flipped)), PLACE)


EVENTS = st.lists(
    st.tuples(
        st.integers(1, 2),
        st.integers(738_000, 738_003),
        st.integers(-3, 3) | st.integers(-(10**12), 10**12),
        st.dictionaries(st.sampled_from(["plan", "city"]), st.sampled_from(["a", "b"])),
    ),
    max_size=15,
)


@DETERMINISTIC
@given(EVENTS, st.none() | st.tuples(st.sampled_from(["plan", "city"]), st.sampled_from(["a", "b"])))
def test_days_are_totalled_as_a_naive_sum_would(
    events: list[tuple[int, int, int, dict[str, str]]], attribute: tuple[str, str] | None
) -> None:
    total, entries = {1: 0, 2: 0}, []
    for metric, day, value, attributes in sorted(events, key=lambda event: event[1]):
        total[metric] += value
        amounts = pack_amount(value * UNIT), pack_amount(total[metric] * UNIT)
        entries.append(EventEntry(b"", 0, metric, *amounts, attributes=attributes, day=day))
    for metric in (1, 2):
        wanted = [
            (index, event)
            for index, event in enumerate(sorted(events, key=lambda event: event[1]))
            if event[0] == metric and (attribute is None or attribute in event[3].items())
        ]
        expected = {}
        for day in {event[1] for _, event in wanted}:
            last = max(index for index, event in wanted if event[1] == day)
            so_far = sum(e[2] for e in sorted(events, key=lambda event: event[1])[: last + 1] if e[0] == metric)
            change = sum(event[2] for _, event in wanted if event[1] == day)
            expected[day] = DayTotal(day, change * UNIT, so_far * UNIT)
        assert total_days(entries, metric, attribute) == expected
