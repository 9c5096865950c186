"""Local dates in IANA time zones, from the tzdata package and never from the machine.

The zones are part of the rules: a replay must see the same midnights, so the version of tzdata is recorded with every
log record (`plaudit.engine.rules`).
"""

from datetime import UTC, date, datetime
from functools import lru_cache
from importlib import resources
from zoneinfo import ZoneInfo

UTC_KEY = "UTC"
DAY_MS = 86_400_000
WESTERNMOST_MS = 12 * 3_600_000
"""How far local time is behind UTC where days end last."""
_EPOCH_DAY = date(1970, 1, 1).toordinal()
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


def local_seconds(at_ms: int, tz: str | None) -> int:
    """The time of day of an instant (Unix ms) in a zone, in seconds as clocks show it; None is UTC."""
    zone = find_zone(tz) if tz is not None else None
    at = datetime.fromtimestamp(at_ms / 1000, zone or UTC)
    return 3600 * at.hour + 60 * at.minute + at.second


def first_open_day(now_ms: int) -> int:
    """The earliest calendar date that any place on earth has at an instant (Unix ms)."""
    return (now_ms - WESTERNMOST_MS) // DAY_MS + _EPOCH_DAY


@lru_cache(maxsize=8192)
def midnight_ms(day: int, tz: str | None) -> int:
    """The first instant (Unix ms) of a day (an ordinal) in a zone; None is UTC.

    Where clocks skip midnight, the instant of the skip; where they skip the whole day, that of the next one.
    """
    zone = find_zone(tz) if tz is not None else None
    at = date.fromordinal(day)
    return int(datetime(at.year, at.month, at.day, tzinfo=zone or UTC).timestamp()) * 1000


def exists(day: int, tz: str | None) -> bool:
    """False for a day that a zone has skipped, by moving across the date line."""
    return midnight_ms(day, tz) < midnight_ms(day + 1, tz)
