"""Points: what triggers give and take (reference: Points 1-10; Q-31, Q-33 to Q-36e, Q-39)."""

from collections.abc import Iterator

from msgspec.structs import replace

from plaudit.engine.boosts import active_boosts, multiply
from plaudit.engine.catalog import Achievement, PointsBoost
from plaudit.engine.compiled import CompiledCatalog, CompiledSystem, Trigger
from plaudit.engine.deed import Deed
from plaudit.engine.errors import Invalid
from plaudit.engine.filters import matches
from plaudit.engine.outcome import Award
from plaudit.engine.timezones import local_day
from plaudit.engine.user import User, UserBoost

Firing = tuple[Trigger, int]
"""A trigger, and how many times it fires at once."""


def award_points(
    user: User, deed: Deed, completed: tuple[Achievement, ...], catalog: CompiledCatalog, now_ms: int
) -> tuple[User, tuple[Award, ...]]:
    """The user with the points that a deed earns and costs, and the awards made, in order (Q-39).

    Raises Invalid if the deed is an event and costs more than there is, where a trigger says that this blocks it.
    """
    firings = list(_find_firings(deed, completed, catalog))
    if not firings:
        return user, ()
    if len(firings) > 1:
        firings.sort(key=lambda firing: firing[0].order)
    return fire(user, firings, local_day(now_ms, user.profile.tz), blocks=deed.metric is not None)


def fire(user: User, firings: list[Firing], day: int, *, blocks: bool = False) -> tuple[User, tuple[Award, ...]]:
    """The user after these triggers have fired on a day of theirs, one after the other, and the awards made.

    A total stays between 0 and the system's maximum; an award that this leaves nothing of is not made. With `blocks`,
    raises Invalid for one that would take more than there is, if its trigger says so.
    """
    points, levels = user.points, user.levels
    awards: list[Award] = []
    for trigger, times in firings:
        definition, system = trigger.definition, trigger.system
        if not matches(user.profile.attributes, definition.user_attributes):
            continue
        number = system.definition.number
        old = points.get(number, 0)
        change, boosts = _boosted(user, trigger, times * definition.points, day)
        if blocks and definition.block_if_out_of_points and old + change < 0:
            key = system.definition.key
            raise Invalid(f"points.{key}: expected at least {-change} points for this event, the user has {old}")
        total = clamp(old + change, old, system)
        if total != old:
            points = {**points, number: total}
            levels = _at_level(levels, system, total)
            awards.append(Award(system.definition, definition, total - old, total, boosts))
    return (replace(user, points=points, levels=levels) if awards else user), tuple(awards)


def clamp(total: int, old: int, system: CompiledSystem) -> int:
    """A total within bounds. A maximum that was lowered below what a user has takes nothing away."""
    return max(0, min(total, max(system.highest, old)))


def set_levels(user: User, catalog: CompiledCatalog) -> User:
    """The user at the levels that the catalog gives their totals."""
    levels = user.levels
    for system in catalog.systems.values():
        number = system.definition.number
        levels = _at_level(levels, system, user.points.get(number, 0))
    return user if levels is user.levels else replace(user, levels=levels)


def _at_level(levels: dict[int, int], system: CompiledSystem, total: int) -> dict[int, int]:
    level, number = system.find_level(total), system.definition.number
    wanted = None if level is None else level.number
    if levels.get(number) == wanted:
        return levels
    if wanted is None:
        return {other: at for other, at in levels.items() if other != number}
    return {**levels, number: wanted}


def _boosted(user: User, trigger: Trigger, points: int, day: int) -> tuple[int, tuple[PointsBoost | UserBoost, ...]]:
    """Points with the boosts of a day, and which these were. What is taken is not boosted (Q-36c)."""
    if points <= 0 or not (trigger.system.boosts or user.boosts):
        return points, ()
    boosts = list(active_boosts(user, trigger.system, day))
    return (multiply(points, boosts), tuple(boost for boost, _ in boosts)) if boosts else (points, ())


def _find_firings(deed: Deed, completed: tuple[Achievement, ...], catalog: CompiledCatalog) -> Iterator[Firing]:
    """What a deed sets off, whomever it may be for."""
    triggers = catalog.triggers
    if deed.is_new:
        for trigger in triggers.creations:
            yield trigger, 1
    metric = deed.metric
    if metric is not None:
        yield from metric.triggers.passed(deed.before, deed.after)
        for matcher, before, after in deed.matched:
            yield from matcher.triggers.passed(before, after)
    if deed.streak_length:
        for trigger in triggers.streaks.up_to(deed.streak_length):
            if deed.streak_length % trigger.step == 0:
                yield trigger, 1
    if triggers.achievements:
        for achievement in completed:
            for trigger in triggers.achievements.get(achievement.number, ()):
                yield trigger, 1
