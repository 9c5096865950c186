"""A user's state as bytes, and back.

The fast way encodes the struct as it is; only a user with an amount beyond 64 bits takes the slow one. Encoding is
deterministic: equal histories give equal bytes, which is what digests rest on.
"""

import msgspec

from plaudit.engine.amounts import PackedAmount, pack_amount, unpack_amount
from plaudit.engine.user import Period, Profile, Streak, User


class _PackedPeriod(msgspec.Struct, array_like=True):
    day: int
    changes: dict[int, PackedAmount]


class _PackedUser(msgspec.Struct, array_like=True):
    """Field for field as `User`, with amounts packed."""

    profile: Profile
    totals: dict[int, PackedAmount]
    completions: dict[int, int]
    points: dict[int, int]
    streak: Streak
    period: _PackedPeriod


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_PackedUser)


def encode_user(user: User) -> bytes:
    """The snapshot of a user. About 2 us."""
    try:
        return _encoder.encode(user)
    except OverflowError:
        return _encoder.encode(
            _PackedUser(
                user.profile,
                _pack(user.totals),
                user.completions,
                user.points,
                user.streak,
                _PackedPeriod(user.period.day, _pack(user.period.changes)),
            )
        )


def decode_user(snapshot: bytes) -> User:
    """The user of a snapshot. Raises msgspec.DecodeError if it is none."""
    packed = _decoder.decode(snapshot)
    return User(
        packed.profile,
        _unpack(packed.totals),
        packed.completions,
        packed.points,
        packed.streak,
        Period(packed.period.day, _unpack(packed.period.changes)),
    )


def _pack(amounts: dict[int, int]) -> dict[int, PackedAmount]:
    return {number: pack_amount(amount) for number, amount in amounts.items()}


def _unpack(amounts: dict[int, PackedAmount]) -> dict[int, int]:
    return {number: unpack_amount(amount) for number, amount in amounts.items()}
