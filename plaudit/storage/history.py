"""A user's history: append-only chunks, each linked to the one before it.

A checkpoint writes one chunk per user that it saves, so an event costs a share of one row. What a day or an award came
to is read from the events: they carry the totals after them and the day in the user's zone. MessagePack arrays: fields
are only ever added at the end, with a default.
"""

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from plaudit.engine.amounts import PackedAmount, unpack_amount
from plaudit.engine.catalog import Rounding
from plaudit.storage.errors import Corrupt
from plaudit.storage.seal import UNDECODABLE, seal, unseal


class LoggedBoost(Struct, frozen=True, array_like=True):
    """A user's own boost as it was: days are ordinals, the multiplier is in units of 10^-9."""

    id: bytes
    name: str
    start_day: int
    end_day: int | None
    multiplier: int
    rounding: Rounding


class AwardEntry(Struct, frozen=True, array_like=True):
    """Points from one trigger: the numbers of system and trigger, what was awarded and the total after it."""

    system: int
    trigger: int
    awarded: int
    total: int
    boosts: tuple[int | LoggedBoost, ...] = ()
    """Those that multiplied it: numbers of the catalog's, or the user's own."""


EVENT, COMPLETION, TIME = 0, 1, 2
"""Kinds of entries: an event, an achievement that was completed on demand, or what time alone has brought."""


class EventEntry(Struct, frozen=True, array_like=True):
    """One event, or something else that has given something, and what it did.

    Metrics and achievements go by their numbers in the catalog.
    """

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
    number: int = 0
    """Of the command, in the order of its shard; in histories of schema 1 a lower one, in the same order."""
    day: int = 0
    """In the user's time zone then, as a proleptic ordinal."""
    kind: int = EVENT
    """What is no event has no metric (0) and changes no total of one."""


class Chunk(Struct, frozen=True):
    """A piece of a user's history, oldest event first."""

    id: int
    user: int
    previous: int | None
    entries: tuple[EventEntry, ...]


class DayTotal(Struct, frozen=True):
    """What one metric did on one day, over all events or over those with one attribute. Amounts."""

    day: int
    change: int
    total: int
    """The metric's total, over all its events, after the last of the day's events that count here."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[EventEntry, ...])


def encode_chunk(chunk: Chunk) -> bytes:
    """The bytes of a chunk's events. About 1 us an event."""
    return seal(_encoder.encode(chunk.entries), f"{chunk.id},{chunk.user},{chunk.previous}")


def decode_chunk(row: tuple[int, int, int | None, bytes | None], place: str) -> Chunk:
    """A chunk from its row (id, user, previous, entries); `place` is the file. Raises Corrupt."""
    id_, user, previous, sealed = row
    where = f"{place}: history {id_}"
    if previous is not None and previous >= id_:
        raise Corrupt(f"{where}: follows {previous}, which is not older")
    content = unseal(sealed, f"{id_},{user},{previous}", where)
    try:
        return Chunk(id_, user, previous, _decoder.decode(content))
    except UNDECODABLE as error:
        raise Corrupt(f"{where}: {error}") from error


def total_days(
    entries: Iterable[EventEntry], metric: int, attribute: tuple[str, str] | None = None
) -> dict[int, DayTotal]:
    """A metric's totals by day, from events in their order; with `attribute` (key, value), over those that have it.

    O(events).
    """
    days: dict[int, DayTotal] = {}
    for entry in entries:
        if (
            entry.metric == metric
            and entry.kind == EVENT
            and (attribute is None or entry.attributes.get(attribute[0]) == attribute[1])
        ):
            before = days[entry.day].change if entry.day in days else 0
            days[entry.day] = DayTotal(entry.day, before + unpack_amount(entry.value), unpack_amount(entry.total))
    return days
