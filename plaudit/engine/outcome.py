"""What a command did."""

from msgspec import Struct

from plaudit.engine.catalog import Achievement, PointsSystem, PointsTrigger
from plaudit.engine.compiled import CompiledMetric
from plaudit.engine.user import User


class Award(Struct, frozen=True, gc=False):
    """Points that one trigger gave or took. `total` is what the user has after it."""

    id: bytes
    system: PointsSystem
    trigger: PointsTrigger
    awarded: int
    total: int


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
