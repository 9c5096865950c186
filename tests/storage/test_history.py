import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.storage.history import AwardEntry, EventEntry, decode_chunk, encode_chunk
from tests.engine.builders import CREATED_MS, DETERMINISTIC, event_id
from tests.storage.builders import entry

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
)
OLD = [
    EventEntry(event_id(1), CREATED_MS, 1, -5, 2**63 - 1),
    EventEntry(
        event_id(2), CREATED_MS + 1, 2, b"\1" * 16, 6, {"a": "b"}, (3,), (AwardEntry(1, 2, 10, 20),), True, "key"
    ),
]
OLD_CHUNK = bytes.fromhex(
    "929ac410018f2b6e000070008000000000000001cf0000018bcfe5680001fbcf7fffffffffffffff809090c2c0"
    "9ac410018f2b6e000070008000000000000002cf0000018bcfe5680102c4100101010101010101010101010101"
    "010106"
    "81a161a1629103919401020a14c3a36b6579"
)


@DETERMINISTIC
@given(st.lists(ENTRIES, max_size=5))
def test_a_chunk_survives_the_round_trip_in_order(entries: list[EventEntry]) -> None:
    assert decode_chunk(encode_chunk(entries)) == tuple(entries)


def test_a_chunk_of_today_is_read_tomorrow() -> None:
    assert decode_chunk(OLD_CHUNK) == tuple(OLD)
    assert encode_chunk(OLD) == OLD_CHUNK


def test_an_entry_of_before_a_field_was_added_has_its_default() -> None:
    first_fields = msgspec.msgpack.encode([[event_id(1), CREATED_MS, 1, 10, 100]])
    assert decode_chunk(first_fields) == (EventEntry(event_id(1), CREATED_MS, 1, 10, 100, {}, (), (), False, None),)


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\xc0",
        b"garbage",
        OLD_CHUNK[:-1],
        OLD_CHUNK + b"\x00",
        b"\xdd\xff\xff\xff\xff",
        msgspec.msgpack.encode([[event_id(1), CREATED_MS, 1, 10]]),
        msgspec.msgpack.encode([[event_id(1), CREATED_MS, 1, 0.5, 100]]),
        encode_chunk([entry(1)]) + encode_chunk([entry(2)]),
    ],
)
def test_what_is_no_chunk_is_refused(garbage: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_chunk(garbage)


@DETERMINISTIC
@given(st.binary(max_size=60))
def test_random_bytes_are_a_chunk_or_refused(garbage: bytes) -> None:
    try:
        entries = decode_chunk(garbage)
    except msgspec.DecodeError:
        return
    assert all(isinstance(one, EventEntry) for one in entries)
