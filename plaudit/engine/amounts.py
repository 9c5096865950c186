"""Exact decimals: an amount is an integer count of 10^-9.

So ten events of 0.1 make exactly 1, and no total ever drifts.
"""

from decimal import ROUND_HALF_EVEN, Context, Decimal

from plaudit.engine.errors import Invalid

PLACES = 9
UNIT: int = 10**PLACES
"""One, as an amount."""
VALUE_MAX = 10**12 * UNIT
"""The greatest |value| of one event."""
TOTAL_MAX = 10**15 * UNIT
"""The greatest |total| of a metric."""

PackedAmount = int | bytes
"""An amount as MessagePack can carry it: its integers end at 64 bits, larger ones travel as signed big-endian bytes."""

_QUANTUM = Decimal(1).scaleb(-PLACES)
_CONTEXT = Context(prec=40)
_DIGITS_MAX = 14  # of the integer part, checked before any big number is built: 1e999999999 is three cheap bytes
_INT64_MAX = 2**63 - 1


def to_amount(value: Decimal) -> int:
    """The amount nearest to a number of at most 10^15, rounded once, half to even, at nine places."""
    return int(value.quantize(_QUANTUM, ROUND_HALF_EVEN, _CONTEXT).scaleb(PLACES, _CONTEXT))


def parse_amount(value: Decimal, field: str) -> int:
    """The amount of an event's value. Raises Invalid, naming `field`, unless it is a number up to 10^12 either way."""
    if not value:
        return 0
    if (
        not value.is_finite()
        or value.adjusted() >= _DIGITS_MAX
        or not -VALUE_MAX <= (amount := to_amount(value)) <= VALUE_MAX
    ):
        raise Invalid(f"{field}: expected a number between -10^12 and 10^12")
    return amount


def format_amount(amount: int) -> str:
    """The shortest JSON number that is exactly this amount: `5`, `-0.25`."""
    whole, fraction = divmod(abs(amount), UNIT)
    sign = "-" if amount < 0 else ""
    if not fraction:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{fraction:09d}".rstrip("0")


def pack_amount(amount: int) -> PackedAmount:
    """The amount in a form that MessagePack can carry."""
    if -_INT64_MAX <= amount <= _INT64_MAX:
        return amount
    return amount.to_bytes(16, "big", signed=True)


def unpack_amount(packed: PackedAmount) -> int:
    """The amount that `pack_amount` packed."""
    return packed if isinstance(packed, int) else int.from_bytes(packed, "big", signed=True)
