"""How values look in JSON."""

from datetime import UTC, date, datetime
from functools import lru_cache

from msgspec import Raw

from plaudit.engine.amounts import format_amount


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
