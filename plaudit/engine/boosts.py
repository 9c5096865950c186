"""Boosts, which multiply what users earn (reference: Points 12-16; Q-36c to Q-36e)."""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from plaudit.engine.amounts import UNIT
from plaudit.engine.catalog import PointsBoost, Rounding
from plaudit.engine.commands import CreateBoost
from plaudit.engine.compiled import CompiledCatalog, CompiledSystem
from plaudit.engine.errors import Invalid, NotFound
from plaudit.engine.filters import matches
from plaudit.engine.user import User, UserBoost

ZONES_DAYS = 2
"""How far apart the dates of two places can be: a boost that has ended here may go on where the user moves to."""
USER_BOOSTS_MAX = 100
"""How many boosts of their own a user can have that have not finished, over all systems."""


def active_boosts(user: User, system: CompiledSystem, day: int) -> Iterator[tuple[PointsBoost | UserBoost, int]]:
    """What multiplies the user's points on a day of theirs: boosts, each with its multiplier as an amount.

    First the catalog's, then the user's own, each in order of creation.
    """
    on = []
    for compiled in system.boosts:
        boost = compiled.definition
        if boost.end_day is not None and boost.end_day < day:
            break
        if is_on(boost, day) and matches(user.profile.attributes, boost.user_attributes):
            on.append(compiled)
    for compiled in sorted(on, key=lambda each: each.definition.number):
        yield compiled.definition, compiled.multiplier
    for own in user.boosts:
        if own.system == system.definition.number and is_on(own, day):
            yield own, own.multiplier


def is_on(boost: PointsBoost | UserBoost, day: int) -> bool:
    """True if the boost's dates include a day."""
    return boost.start_day <= day and (boost.end_day is None or day <= boost.end_day)


def multiply(points: int, boosts: Iterable[tuple[PointsBoost | UserBoost, int]]) -> int:
    """Positive points times all multipliers, rounded once: down if any boost says so, else up if any does (Q-36d)."""
    unit, roundings = 1, set[Rounding]()
    for boost, multiplier in boosts:
        points *= multiplier
        unit *= UNIT
        roundings.add(boost.rounding)
    if "down" in roundings:
        return points // unit
    if "up" in roundings:
        return -(-points // unit)
    return (2 * points + unit) // (2 * unit)


def find_system_by_id(catalog: CompiledCatalog, id_: str) -> CompiledSystem:
    """A live points system by its id (a UUID). Raises NotFound."""
    for system in catalog.systems.values():
        if system.definition.id == id_:
            return system
    raise NotFound("Points system not found")


def create_boost(user: User, command: CreateBoost, catalog: CompiledCatalog) -> User:
    """The user with one boost more; those that have finished are let go. Raises NotFound, or Invalid if too many."""
    system = find_system_by_id(catalog, command.system)
    kept = tuple(boost for boost in user.boosts if boost.end_day is None or boost.end_day >= user.day - ZONES_DAYS)
    if len(kept) >= USER_BOOSTS_MAX:
        raise Invalid(f"userId: expected a user with fewer than {USER_BOOSTS_MAX} boosts that have not finished")
    boost = UserBoost(
        command.boost_id,
        system.definition.number,
        command.name,
        command.start_day,
        command.end_day,
        command.multiplier,
        command.rounding,
    )
    return replace(user, boosts=(*kept, boost))
