"""Whether a change of the catalog gives something to users who do nothing more (reference: Achievements 9)."""

from plaudit.engine.catalog import Achievement, Catalog, PointsLevel


def gives_something(before: Catalog, after: Catalog) -> bool:
    """True if users from before the change have to be looked at.

    That is if what completes an active achievement is another than it was, or where levels begin. Never of the first
    version, before which there is nobody.
    """
    if before.version == 0:
        return False
    old, new = _conditions(before), _conditions(after)
    if any(old.get(id_) != conditions for id_, conditions in new.items()):
        return True
    has_streaks = any(a.trigger == "streak" for a in after.achievements if _is_active(a))
    if has_streaks and before.streaks.frequency != after.streaks.frequency:
        return True
    return _levels(before) != _levels(after)


def _conditions(catalog: Catalog) -> dict[str, tuple[object, ...]]:
    """What completes each achievement that something completes by itself, by id."""
    live = {metric.key for metric in catalog.metrics if not metric.archived}
    return {
        a.id: (
            a.trigger,
            a.metric,
            a.metric_value,
            a.streak_length,
            a.anniversary_years,
            a.achievements,
            a.user_attributes,
            a.event_attributes,
        )
        for a in catalog.achievements
        if _is_active(a) and a.trigger != "api" and (a.metric is None or a.metric in live)
    }


def _is_active(achievement: Achievement) -> bool:
    return achievement.status == "active" and not achievement.archived


def _levels(catalog: Catalog) -> dict[str, list[tuple[str, int]]]:
    """Where the levels of each system begin; of an archived system, nowhere."""
    return {
        system.id: levels
        for system in catalog.points_systems
        if not system.archived and (levels := [_begin(level) for level in system.levels if not level.archived])
    }


def _begin(level: PointsLevel) -> tuple[str, int]:
    return level.id, level.points
