"""What a command did."""

from msgspec import Struct

from plaudit.engine.catalog import Achievement, PointsBoost, PointsSystem, PointsTrigger
from plaudit.engine.compiled import CompiledMetric
from plaudit.engine.user import User, UserBoost

Boost = PointsBoost | UserBoost


class Award(Struct, frozen=True, gc=False):
    """Points that one trigger gave or took. `total` is what the user has after it."""

    system: PointsSystem
    trigger: PointsTrigger
    awarded: int
    total: int
    boosts: tuple[Boost, ...] = ()
    """Those that multiplied it: the catalog's, then the user's own."""


class Happening(Struct, frozen=True, gc=False):
    """What time alone brought at an instant (Unix ms), on a day of the user's."""

    at_ms: int
    day: int
    completed: tuple[Achievement, ...]
    awards: tuple[Award, ...]


class Elapsed(Struct, frozen=True, gc=False):
    """A user brought to now, and what happened on the way, oldest first."""

    user: User
    happenings: tuple[Happening, ...] = ()


class Gains(Struct, frozen=True, gc=False):
    """What somebody got by one deed, in the order in which they got it."""

    completed: tuple[Achievement, ...] = ()
    awards: tuple[Award, ...] = ()


class Outcome(Struct, frozen=True, gc=False):
    """An event's whole effect on its user; `user` is the new state, to be installed."""

    user: User
    metric: CompiledMetric
    total: int
    """An amount."""
    completed: tuple[Achievement, ...]
    streak_extended: bool
    awards: tuple[Award, ...]
    """In the order in which they were made."""
    happenings: tuple[Happening, ...] = ()
    """What time had done before."""


class Completion(Struct, frozen=True, gc=False):
    """What it did to complete an achievement; `user` is the new state."""

    user: User
    achievement: Achievement
    """The one that was asked for; `completed` has those that it completed as well."""
    completed: tuple[Achievement, ...]
    awards: tuple[Award, ...]
    happenings: tuple[Happening, ...] = ()
