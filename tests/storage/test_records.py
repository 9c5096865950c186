from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from plaudit.engine.commands import RecordEvent, UserFields
from plaudit.storage.errors import Corrupt
from plaudit.storage.records import Body, CatalogChange, Entry, Events, Record, decode_body, digest, encode_body
from tests.catalogs import study_catalog
from tests.engine.builders import CREATED_MS, DETERMINISTIC, event_id
from tests.storage.builders import record

TEXTS = st.text(st.characters(codec="utf-8"), max_size=10)
OPTIONAL = st.none() | TEXTS | st.just(msgspec.UNSET)
FIELDS = st.builds(
    UserFields,
    email=OPTIONAL,
    tz=OPTIONAL,
    device_tokens=st.none() | st.just(msgspec.UNSET) | st.lists(TEXTS, max_size=2).map(tuple),
    subscribe_to_emails=st.none() | st.booleans() | st.just(msgspec.UNSET),
    attributes=st.just(msgspec.UNSET) | st.dictionaries(TEXTS, TEXTS, max_size=2),
)
COMMANDS = st.builds(
    RecordEvent,
    user_id=TEXTS,
    metric=TEXTS,
    value=st.integers(-(2**63), 2**63 - 1) | st.binary(min_size=16, max_size=16),
    event_id=st.binary(min_size=16, max_size=16),
    fields=FIELDS,
    attributes=st.dictionaries(TEXTS, TEXTS, max_size=2),
    idempotency_key=st.none() | TEXTS,
    tenant=TEXTS,
)
ENTRIES = st.builds(
    Entry,
    gateway=st.integers(0, 2**63 - 1),
    number=st.integers(1, 2**40),
    at_ms=st.integers(0, 2**42),
    positions=st.lists(st.integers(0, 255), max_size=3).map(tuple),
    commands=st.lists(COMMANDS, max_size=3).map(tuple),
    next_user=st.integers(0, 2**40),
)
OLD = Events(
    (
        Entry(
            7,
            3,
            CREATED_MS,
            (0, 2),
            (
                RecordEvent(
                    "sam", "words", 5, event_id(1), UserFields(tz=None, name="Sam"), {"a": "b"}, idempotency_key="key"
                ),
                RecordEvent("kim", "words", b"\1" * 16, event_id(2)),
            ),
        ),
    )
)
OLD_BODY = bytes.fromhex(
    "92a66576656e747391950703cf0000018bcfe568009200029299a56576656e74a373616da5776f726473"
    "05c410018f2b6e00007000800000000000000182a46e616d65a353616da2747ac081a161a162a36b6579a0"
    "99a56576656e74a36b696da5776f726473c41001010101010101010101010101010101c410018f2b6e00007000"
    "80000000000000028080c0a0"
)
"""As it was before entries said which number the next new user gets."""
TODAY = Events((replace(OLD.entries[0], next_user=300),))
BODY_OF_TODAY = bytes.fromhex(
    "92a66576656e747391960703cf0000018bcfe568009200029299a56576656e74a373616da5776f726473"
    "05c410018f2b6e00007000800000000000000182a46e616d65a353616da2747ac081a161a162a36b6579a0"
    "99a56576656e74a36b696da5776f726473c41001010101010101010101010101010101c410018f2b6e00007000"
    "80000000000000028080c0a0cd012c"
)


def with_body(body: bytes) -> Record:
    return replace(record(5), body=body)


@DETERMINISTIC
@given(st.lists(ENTRIES, max_size=3).map(tuple))
def test_events_survive_the_round_trip(entries: tuple[Entry, ...]) -> None:
    assert decode_body(with_body(encode_body(Events(entries)))) == Events(entries)


def test_a_change_of_the_catalog_survives_the_round_trip() -> None:
    change = CatalogChange(CREATED_MS, study_catalog())
    assert decode_body(with_body(encode_body(change))) == change


def test_a_body_of_today_is_read_tomorrow() -> None:
    assert decode_body(with_body(OLD_BODY)) == OLD
    assert decode_body(with_body(BODY_OF_TODAY)) == TODAY
    assert encode_body(TODAY) == BODY_OF_TODAY


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\xc0",
        b"\xc1",
        b"garbage",
        OLD_BODY[:-1],
        OLD_BODY + b"\x00",
        BODY_OF_TODAY[:-1],
        b"\xdd\xff\xff\xff\xff",
        msgspec.msgpack.encode(["events"]),
        msgspec.msgpack.encode(["unknown", []]),
        msgspec.msgpack.encode(["events", [[1, 2, 3, [0], [["event", "sam"]]]]]),
        msgspec.msgpack.encode(["events", [[1, 2, 3, [0], [["user", "sam"]]]]]),
        msgspec.msgpack.encode(["catalog", 1, {"version": "one"}]),
    ],
)
def test_what_is_no_body_is_refused_by_its_number(garbage: bytes) -> None:
    with pytest.raises(Corrupt, match=r"^/data/log-1: log record 5: "):
        decode_body(with_body(garbage), Path("/data/log-1"))


@DETERMINISTIC
@given(st.binary(max_size=60))
def test_random_bytes_are_a_body_or_corrupt(garbage: bytes) -> None:
    try:
        body: Body = decode_body(with_body(garbage))
    except Corrupt:
        return
    assert isinstance(body, Events | CatalogChange)


def test_the_last_command_is_counted_from_the_first() -> None:
    assert [record(5).last, record(5, 3).last] == [5, 7]


def test_the_checksum_covers_everything_that_matters() -> None:
    original = record(5, 2)
    changed = [
        replace(original, first=6),
        replace(original, count=3),
        replace(original, first=52, count=0),
        replace(original, rules="2/2025b"),
        replace(original, digests=original.digests[:-1] + b"\xff"),
        replace(original, body=original.body + b"\x00"),
    ]
    assert len({one.checksum() for one in (original, *changed)}) == 7
    assert replace(original, epoch=9).checksum() == original.checksum()  # a copy by the next owner is the same record


def test_a_digest_is_four_bytes_of_the_snapshot() -> None:
    assert digest(b"123456789") == bytes.fromhex("cbf43926")  # the check value of CRC-32
