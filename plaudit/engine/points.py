"""Points from metric triggers (reference: Points 2, 8; Q-34, Q-35, Q-36b)."""

from msgspec.structs import replace

from plaudit.engine.catalog import PointsSystem
from plaudit.engine.compiled import CompiledMetric, Trigger
from plaudit.engine.ids import derive_id
from plaudit.engine.outcome import Award
from plaudit.engine.user import User

POINTS_MAX = 10**15
"""What a user can have in a system without a maximum of its own."""


def award_points(
    user: User, metric: CompiledMetric, before: int, after: int, event_id: bytes
) -> tuple[User, tuple[Award, ...]]:
    """The user with the points that a total's way from `before` to `after` (amounts) earns, and the awards made.

    A total stays between 0 and the system's maximum; an award that this leaves nothing of is not made.
    """
    awards: list[Award] = []
    points = user.points
    for trigger in metric.triggers:
        crossed = _crossed(trigger, before, after)
        if not crossed:
            continue
        number = trigger.system.number
        old = points.get(number, 0)
        total = _clamp(old + crossed * trigger.definition.points, old, trigger.system)
        if total != old:
            points = {**points, number: total}
            award_id = derive_id(event_id, "award", len(awards))
            awards.append(Award(award_id, trigger.system, trigger.definition, total - old, total))
    return (replace(user, points=points) if awards else user), tuple(awards)


def _crossed(trigger: Trigger, before: int, after: int) -> int:
    """How many times the total passed a multiple of the threshold on its way up."""
    return max(0, after // trigger.threshold - before // trigger.threshold)


def _clamp(total: int, old: int, system: PointsSystem) -> int:
    """A total within bounds. A maximum that was lowered below what a user has takes nothing away."""
    highest = system.max_points if system.max_points is not None else POINTS_MAX
    return max(0, min(total, max(highest, old)))
