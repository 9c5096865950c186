"""`/admin/v1/clock`: the time of a server with a test clock."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from starlette.types import Receive

from plaudit.actors.formats import format_instant
from plaudit.http.administration import Administration
from plaudit.http.bodies import explain, read_body
from plaudit.http.errors import Invalid

YEAR_MIN, YEAR_MAX = 1970, 9000
"""Beyond the last, dates of what is yet to come would not be dates any more."""
TEXT_LENGTH_MAX = 64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BEGINNING, _END = datetime(YEAR_MIN, 1, 1, tzinfo=UTC), datetime(YEAR_MAX + 1, 1, 1, tzinfo=UTC)
_Instant = Annotated[datetime, Meta(tz=True)]


class ClockBody(Struct, frozen=True):
    """The time to move to, and the time that it is."""

    now: Annotated[str, Meta(max_length=TEXT_LENGTH_MAX)]


async def read_clock(administration: Administration, _: Receive) -> bytes:
    """`GET /admin/v1/clock`."""
    return _answer(await administration.read_clock())


async def move_clock(administration: Administration, receive: Receive) -> bytes:
    """`PUT /admin/v1/clock`: answers when all that was due until then has happened."""
    now_ms = decode_clock(await read_body(receive))
    return _answer(await administration.move_clock(now_ms))


def decode_clock(body: bytes) -> int:
    """The time in a body, in Unix milliseconds. Raises Malformed or Invalid."""
    try:
        text = msgspec.json.decode(body, type=ClockBody).now
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise explain(error) from None
    try:
        at = msgspec.convert(text, _Instant)
    except msgspec.ValidationError:
        raise Invalid(
            f"now: expected a date-time with its offset from UTC such as 2027-03-14T12:00:00Z, got {text!r}"
        ) from None
    if not _BEGINNING <= at < _END:
        raise Invalid(f"now: expected a time in the years {YEAR_MIN} to {YEAR_MAX} in UTC, got {text!r}")
    return (at - _EPOCH) // timedelta(milliseconds=1)


def _answer(now_ms: int) -> bytes:
    return msgspec.json.encode(ClockBody(format_instant(now_ms)))
