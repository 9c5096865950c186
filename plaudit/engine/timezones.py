"""Local dates in IANA time zones, from the tzdata package and never from the machine.

The zones are part of the rules: a replay must see the same midnights, so the version of tzdata is recorded with every
log record (`plaudit.engine.rules`).
"""

from datetime import UTC, datetime
from functools import lru_cache
from importlib import resources
from zoneinfo import ZoneInfo

UTC_KEY = "UTC"
KEY_LENGTH_MAX = 64


@lru_cache(maxsize=1024)
def find_zone(key: str) -> ZoneInfo | None:
    """The zone of an IANA identifier such as `Europe/Paris`, or None if tzdata has none by that name."""
    parts = key.split("/")
    if len(key) > KEY_LENGTH_MAX or not all(part and not part.startswith(".") for part in parts):
        return None
    source = resources.files("tzdata").joinpath("zoneinfo", *parts)
    try:
        with source.open("rb") as file:
            return ZoneInfo.from_file(file, key)
    except (OSError, ValueError):  # not there, a folder, or not a zone file
        return None


def local_day(now_ms: int, tz: str | None) -> int:
    """The calendar date of an instant (Unix ms) in a zone, as a proleptic ordinal; None is UTC."""
    zone = find_zone(tz) if tz is not None else None
    return datetime.fromtimestamp(now_ms / 1000, zone or UTC).toordinal()
