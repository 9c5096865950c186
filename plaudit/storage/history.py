"""A user's history: append-only chunks, each linked to the one before it.

A checkpoint writes one chunk per user that it saves, so an event costs a share of one row. MessagePack arrays: fields
are only ever added at the end, with a default.
"""

import msgspec
from msgspec import Struct

from plaudit.engine.amounts import PackedAmount


class AwardEntry(Struct, frozen=True, array_like=True):
    """Points from one trigger: the numbers of system and trigger, what was awarded and the total after it."""

    system: int
    trigger: int
    awarded: int
    total: int


class EventEntry(Struct, frozen=True, array_like=True):
    """One event and what it did. Metrics and achievements go by their numbers in the catalog."""

    event_id: bytes
    at_ms: int
    metric: int
    value: PackedAmount
    total: PackedAmount
    attributes: dict[str, str] = {}
    completed: tuple[int, ...] = ()
    awards: tuple[AwardEntry, ...] = ()
    streak_extended: bool = False
    idempotency_key: str | None = None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[EventEntry, ...])


def encode_chunk(entries: list[EventEntry]) -> bytes:
    """The bytes of one chunk, oldest event first."""
    return _encoder.encode(entries)


def decode_chunk(chunk: bytes) -> tuple[EventEntry, ...]:
    """The events of one chunk, oldest first. Raises msgspec.DecodeError."""
    return _decoder.decode(chunk)
