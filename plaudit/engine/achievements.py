"""Metric achievements: complete when the total reaches their value (reference: Achievements 3, 14)."""

from msgspec.structs import replace

from plaudit.engine.catalog import Achievement
from plaudit.engine.compiled import CompiledMetric
from plaudit.engine.user import User


def complete_achievements(user: User, metric: CompiledMetric, now_ms: int) -> tuple[User, tuple[Achievement, ...]]:
    """The user with everything completed that the metric's total is enough for, and what was new, by value."""
    total = user.totals[metric.definition.number]
    completed = tuple(a for a in metric.reached(total) if a.number not in user.completions)
    if not completed:
        return user, ()
    return replace(user, completions=user.completions | {a.number: now_ms for a in completed}), completed
