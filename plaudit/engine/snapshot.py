"""A user's state as bytes, and back.

The fast way encodes the struct as it is; only a user with an amount beyond 64 bits takes the slow one. Encoding is
deterministic: equal histories give equal bytes, which is what digests rest on.
"""

from functools import lru_cache
from sys import intern

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from plaudit.engine import calendars
from plaudit.engine.amounts import PackedAmount, pack_amount, unpack_amount
from plaudit.engine.catalog import Frequency
from plaudit.engine.trail import Kind, append
from plaudit.engine.user import (
    Change,
    Earlier,
    PackedStanding,
    Pause,
    Preferences,
    Profile,
    Reset,
    Standing,
    Streak,
    Streaks,
    User,
    UserBoost,
)

_PackedChange = tuple[PackedAmount, PackedAmount, PackedAmount]


class _PackedStreaks(Struct, array_like=True):
    """Field for field as `Streaks`."""

    daily: Streak
    weekly: Streak
    monthly: Streak
    changes: dict[int, _PackedChange]
    freezes: int
    earned_day: int
    pauses: tuple[Pause, ...]
    resets: tuple[Reset, ...]


class _PackedEarlier(Struct, array_like=True):
    """Field for field as `Earlier`."""

    day: int
    streaks: _PackedStreaks


class _PackedUser(Struct, array_like=True):
    """Field for field as `User`, with amounts packed."""

    profile: Profile
    totals: dict[int, PackedAmount]
    completions: dict[int, int]
    points: dict[int, int]
    day: int
    streaks: _PackedStreaks
    preferences: Preferences | None
    earlier: tuple[_PackedEarlier, ...] = ()
    matched: dict[int, PackedAmount] = {}
    levels: dict[int, int] = {}
    boosts: tuple[UserBoost, ...] = ()
    caught_up: int = 0
    filled: int = 0
    paid_hour: int = 0
    paid_day: int = 0
    first_day: int = 0
    standings: dict[int, tuple[PackedStanding, ...]] = {}


class Glance(Struct, array_like=True):
    """The first fields of `User`, which every layout has: cheaper than all of it."""

    profile: Profile
    totals: msgspec.Raw
    completions: msgspec.Raw
    points: dict[int, int]


class _Glimpse(Struct, array_like=True):
    """What of `User` leaderboards go by; the rest is passed over."""

    profile: Profile
    totals: msgspec.Raw
    completions: msgspec.Raw
    points: msgspec.Raw
    day: msgspec.Raw
    streaks: msgspec.Raw
    preferences: msgspec.Raw
    earlier: msgspec.Raw = msgspec.Raw()
    matched: msgspec.Raw = msgspec.Raw()
    levels: msgspec.Raw = msgspec.Raw()
    boosts: msgspec.Raw = msgspec.Raw()
    caught_up: msgspec.Raw = msgspec.Raw()
    filled: int = 0
    paid_hour: msgspec.Raw = msgspec.Raw()
    paid_day: msgspec.Raw = msgspec.Raw()
    first_day: msgspec.Raw = msgspec.Raw()
    standings: dict[int, tuple[PackedStanding, ...]] = {}


class _FirstStreak(Struct, array_like=True):
    length: int
    started_day: int
    last_day: int
    extended_ms: int


class _FirstPeriod(Struct, array_like=True):
    day: int
    changes: dict[int, PackedAmount]


class _FirstUser(Struct, array_like=True):
    """A user before there were weekly and monthly streaks."""

    profile: Profile
    totals: dict[int, PackedAmount]
    completions: dict[int, int]
    points: dict[int, int]
    streak: _FirstStreak
    period: _FirstPeriod


_FIRST_LAYOUT = 0x96
"""The first byte of such a user's snapshot: an array of six."""

_NOTHING: dict[int, int] = {}
_NO_STANDINGS: dict[int, tuple[Standing, ...]] = {}
_NO_ATTRIBUTES: dict[str, str] = {}
"""Shared by all users who have none: containers are never changed in place."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_PackedUser)
_glance_decoder = msgspec.msgpack.Decoder(Glance)
_glimpse_decoder = msgspec.msgpack.Decoder(_Glimpse)
_first_decoder = msgspec.msgpack.Decoder(_FirstUser)


def glance_at_user(snapshot: bytes) -> Glance:
    """A part of the user of a snapshot. About 1 us. Raises msgspec.DecodeError if it is none."""
    return _glance_decoder.decode(snapshot)


def glimpse_at_standings(snapshot: bytes) -> User:
    """The user of a snapshot with nothing but the profile, `filled` and the standings. A fifth of what all costs.

    Raises msgspec.DecodeError if it is none, or too old to have standings.
    """
    found = _glimpse_decoder.decode(snapshot)
    return User(found.profile, filled=found.filled, standings=unpack_standings(found.standings))


def encode_user(user: User) -> bytes:
    """The snapshot of a user. About 2 us."""
    try:
        return _encoder.encode(user)
    except OverflowError:
        return _encoder.encode(
            _PackedUser(
                user.profile,
                {number: pack_amount(amount) for number, amount in user.totals.items()},
                user.completions,
                user.points,
                user.day,
                _pack_streaks(user.streaks),
                user.preferences,
                tuple(_PackedEarlier(each.day, _pack_streaks(each.streaks)) for each in user.earlier),
                {number: pack_amount(amount) for number, amount in user.matched.items()},
                user.levels,
                user.boosts,
                user.caught_up,
                user.filled,
                user.paid_hour,
                user.paid_day,
                user.first_day,
                pack_standings(user.standings),
            )
        )


def decode_user(snapshot: bytes) -> User:
    """The user of a snapshot. Raises msgspec.DecodeError if it is none."""
    if snapshot[:1] == bytes((_FIRST_LAYOUT,)):
        return _from_first(_first_decoder.decode(snapshot))
    packed = _decoder.decode(snapshot)
    return User(
        _shared(packed.profile),
        {number: unpack_amount(amount) for number, amount in packed.totals.items()},
        packed.completions or _NOTHING,
        packed.points or _NOTHING,
        packed.day,
        _unpack_streaks(packed.streaks),
        packed.preferences,
        tuple(Earlier(each.day, _unpack_streaks(each.streaks)) for each in packed.earlier),
        {number: unpack_amount(amount) for number, amount in packed.matched.items()} or _NOTHING,
        _share_levels(packed.levels),
        packed.boosts,
        packed.caught_up,
        packed.filled,
        packed.paid_hour,
        packed.paid_day,
        packed.first_day,
        unpack_standings(packed.standings) if packed.standings else _NO_STANDINGS,
    )


def pack_standings(standings: dict[int, tuple[Standing, ...]]) -> dict[int, tuple[PackedStanding, ...]]:
    """Standings as MessagePack can carry them."""
    return {
        board: tuple(PackedStanding(s.run, pack_amount(s.value), s.at_ms, s.number) for s in group)
        for board, group in standings.items()
    }


def unpack_standings(packed: dict[int, tuple[PackedStanding, ...]]) -> dict[int, tuple[Standing, ...]]:
    """What `pack_standings` packed."""
    return {
        board: tuple(Standing(s.run, unpack_amount(s.value), s.at_ms, s.number) for s in group)
        for board, group in packed.items()
    }


@lru_cache(maxsize=4096)
def _levels(items: tuple[tuple[int, int], ...]) -> dict[int, int]:
    return dict(items)


def _share_levels(levels: dict[int, int]) -> dict[int, int]:
    """The same levels as one object for all users who are at them."""
    return _levels(tuple(levels.items())) if levels else _NOTHING


def _shared(profile: Profile) -> Profile:
    """A profile whose zone, and whose attributes if it has none, are the same objects as those of others: 130 bytes."""
    tz = None if profile.tz is None else intern(profile.tz)
    return replace(profile, tz=tz, attributes=profile.attributes or _NO_ATTRIBUTES)


def _pack_streaks(streaks: Streaks) -> _PackedStreaks:
    return _PackedStreaks(
        streaks.daily,
        streaks.weekly,
        streaks.monthly,
        {number: _pack(change) for number, change in streaks.changes.items()},
        streaks.freezes,
        streaks.earned_day,
        streaks.pauses,
        streaks.resets,
    )


def _unpack_streaks(packed: _PackedStreaks) -> Streaks:
    return Streaks(
        packed.daily,
        packed.weekly,
        packed.monthly,
        {number: _unpack(change) for number, change in packed.changes.items()},
        packed.freezes,
        packed.earned_day,
        packed.pauses,
        packed.resets,
    )


def _pack(change: Change) -> _PackedChange:
    day, week, month = change
    return pack_amount(day), pack_amount(week), pack_amount(month)


def _unpack(change: _PackedChange) -> Change:
    day, week, month = change
    return unpack_amount(day), unpack_amount(week), unpack_amount(month)


def _from_first(first: _FirstUser) -> User:
    """Weekly and monthly streaks begin with what the daily one shows: no less, though it may have been more."""
    day, changes = first.period.day, first.period.changes
    amounts = {number: unpack_amount(amount) for number, amount in changes.items()}
    streaks = Streaks(
        daily=_streak_from_first(first.streak, day, "daily"),
        weekly=_streak_from_first(first.streak, day, "weekly"),
        monthly=_streak_from_first(first.streak, day, "monthly"),
        changes={number: (amount, amount, amount) for number, amount in amounts.items() if amount},
        earned_day=day,
    )
    totals = {number: unpack_amount(amount) for number, amount in first.totals.items()}
    return User(first.profile, totals, first.completions, first.points, day, streaks)


def _streak_from_first(streak: _FirstStreak, day: int, frequency: Frequency) -> Streak:
    if not streak.length:
        return Streak()
    last = calendars.period_of(streak.last_day, frequency)
    first = calendars.period_of(streak.last_day - streak.length + 1, frequency)
    counted = last >= calendars.period_of(day, frequency)
    length = last - first + 1
    closed = append(b"", Kind.COUNTED, length - counted)
    return Streak(length, streak.started_day, streak.extended_ms, counted, trail=closed)
