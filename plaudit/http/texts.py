"""What requests write as text: dates, ids, and attributes with their values."""

import re
from datetime import date

from plaudit.http.bodies import ATTRIBUTE_KEY_LENGTH_MAX, ATTRIBUTES_MAX
from plaudit.http.errors import Invalid
from plaudit.http.queries import ECHO_LENGTH_MAX, Parameters

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def parse_uuid(text: str) -> bytes | None:
    """The 16 bytes of a UUID in its usual form; None for anything else."""
    return bytes.fromhex(text.replace("-", "")) if _UUID.fullmatch(text) else None


def parse_date(field: str, text: str) -> int:
    """A date as an ordinal. Raises Invalid, naming the field."""
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text).toordinal()
    except ValueError:
        pass  # such as 2026-02-30
    raise Invalid(f"{field}: expected a date such as 2026-11-23, got {text[:ECHO_LENGTH_MAX]!r}")


def parse_user_attributes(parameters: Parameters) -> tuple[tuple[str, str], ...]:
    """`userAttributes=plan:pro,city:Oslo` as (key, value) pairs; none if there is nothing in it. Raises Invalid.

    Which keys there are is not known here.
    """
    pairs: dict[str, str] = {}
    for part in parameters.parts("userAttributes"):
        key, _, value = part.partition(":")
        if not key or not value or len(key) > ATTRIBUTE_KEY_LENGTH_MAX:
            raise Invalid(f"userAttributes: expected key:value,key:value, got {part[:ECHO_LENGTH_MAX]!r}")
        if key in pairs:
            raise Invalid(f"userAttributes: expected each key once, got {key!r} again")
        pairs[key] = value
    if len(pairs) > ATTRIBUTES_MAX:
        raise Invalid(f"userAttributes: expected at most {ATTRIBUTES_MAX} attributes, got {len(pairs)}")
    return tuple(pairs.items())
