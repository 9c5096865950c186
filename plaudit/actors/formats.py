"""How values look in JSON."""

from datetime import UTC, date, datetime
from functools import lru_cache

from msgspec import Raw

from plaudit.engine.amounts import format_amount
from plaudit.engine.ids import derive_id


def raw_amount(amount: int) -> Raw:
    """An amount as the shortest JSON number that is exactly it."""
    return Raw(format_amount(amount).encode())


@lru_cache(maxsize=4096)
def format_day(day: int) -> str:
    """An ordinal as `YYYY-MM-DD`."""
    return date.fromordinal(day).isoformat()


@lru_cache(maxsize=4096)
def format_instant(at_ms: int) -> str:
    """Unix milliseconds as `YYYY-MM-DDTHH:mm:ss.sssZ`."""
    seconds, ms = divmod(at_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ms:03d}Z"


def award_id(entry_id: bytes, position: int) -> bytes:
    """The id (16 bytes) of an award by the id of its entry in the history and its place among the entry's awards."""
    return derive_id(entry_id, "award", position)
