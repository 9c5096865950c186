"""From one version of the catalog to the next: what a document changes, and what keeps its identity."""

from collections.abc import Iterable
from typing import TypeVar

from msgspec.structs import replace

from plaudit.engine.backdating import gives_something
from plaudit.engine.catalog import (
    Accumulator,
    Achievement,
    Catalog,
    Item,
    Leaderboard,
    PointsSystem,
    PointsTrigger,
    StreakMetric,
    StreakSettings,
)
from plaudit.engine.compiling import sort_filter
from plaudit.engine.document import Document, LeaderboardEntry, PointsEntry, StreakEntry
from plaudit.engine.items import (
    to_achievement,
    to_attribute,
    to_boost,
    to_leaderboard,
    to_level,
    to_metric,
    to_points_system,
    to_trigger,
)
from plaudit.engine.runs import utc_day
from plaudit.engine.settings import make_freezes

AnyItem = TypeVar("AnyItem", bound=Item)


def revise(catalog: Catalog, document: Document, now_ms: int) -> Catalog:
    """The catalog after `document` has been applied to it at `now_ms`; the same object if that changes nothing.

    Items that the document no longer has are archived; a key that comes back takes up its old identity. The document
    must have no problems (`find_problems`).
    """
    revised = Catalog(
        version=catalog.version,
        metrics=_merge(catalog.metrics, (to_metric(entry, now_ms) for entry in document.metrics), now_ms),
        attributes=_merge(catalog.attributes, (to_attribute(entry, now_ms) for entry in document.attributes), now_ms),
        achievements=_merge(
            catalog.achievements, (to_achievement(entry, now_ms) for entry in document.achievements), now_ms
        ),
        points_systems=_points_systems(catalog.points_systems, document.points, now_ms),
        leaderboards=_leaderboards(catalog.leaderboards, document.leaderboards, now_ms),
        streaks=_streaks(catalog.streaks, document.streak, now_ms),
    )
    return next_version(catalog, revised, now_ms)


def next_version(current: Catalog, changed: Catalog, now_ms: int) -> Catalog:
    """The version after `current` that has what is in `changed`; `current` itself if that is the same.

    Says what has to be done about users who are there already: see `Catalog`.
    """
    changed = replace(
        changed,
        version=current.version,
        accumulators=_accumulators(current.accumulators, changed),
        filling=current.filling,
        backdating=current.backdating,
        backdating_ms=current.backdating_ms,
    )
    if changed == current:
        return current
    version = current.version + 1
    if len(changed.accumulators) > len(current.accumulators):
        changed = replace(changed, filling=version)
    boards = _start_boards(current, changed, version, now_ms)
    if boards != changed.leaderboards:
        changed = replace(changed, leaderboards=boards, filling=version)
    if gives_something(current, changed):
        changed = replace(changed, backdating=version, backdating_ms=now_ms)
    return replace(changed, version=version)


def _accumulators(current: tuple[Accumulator, ...], catalog: Catalog) -> tuple[Accumulator, ...]:
    """Those that there are, and those that achievements and triggers need in addition."""
    filtered: list[Achievement | PointsTrigger] = [a for a in catalog.achievements if not a.archived]
    filtered += (t for system in catalog.points_systems for t in system.triggers if not t.archived)
    wanted = [(each.metric or "", sort_filter(each.event_attributes)) for each in filtered if each.event_attributes]
    known = {(accumulator.metric, accumulator.event_attributes) for accumulator in current}
    new = [each for each in dict.fromkeys(wanted) if each not in known]
    return (
        *current,
        *(
            Accumulator(number=number, metric=metric, event_attributes=values)
            for number, (metric, values) in enumerate(new, len(current) + 1)
        ),
    )


def _streaks(current: StreakSettings, entry: StreakEntry | None, now_ms: int) -> StreakSettings:
    if entry is None:
        return current
    return StreakSettings(
        frequency=entry.frequency,
        evaluation_mode=entry.evaluation_mode,
        customization_enabled=entry.customization_enabled,
        days_off=tuple(sorted(entry.days_off)),
        metrics=tuple(StreakMetric(key=m.key, threshold=m.threshold) for m in entry.metrics),
        freezes=None if entry.freezes is None else make_freezes(current.freezes, entry.freezes, now_ms),
    )


def _merge(current: tuple[AnyItem, ...], wanted: Iterable[AnyItem], now_ms: int) -> tuple[AnyItem, ...]:
    """`current` brought to what is `wanted`: in order of creation, identities kept, the unwanted archived."""
    wanted_by_id = {item.id: item for item in wanted}
    known = {item.id for item in current}
    number = max((item.number for item in current), default=0)
    kept = [_updated(item, wanted_by_id.get(item.id), now_ms) for item in current]
    created = [item for item in wanted_by_id.values() if item.id not in known]
    return (*kept, *(replace(item, number=number + n) for n, item in enumerate(created, 1)))


def _updated(item: AnyItem, wanted: AnyItem | None, now_ms: int) -> AnyItem:
    if wanted is None:
        return item if item.archived else replace(item, archived=True, updated_ms=now_ms)
    same = replace(wanted, number=item.number, created_ms=item.created_ms, updated_ms=item.updated_ms)
    if isinstance(item, PointsTrigger) and isinstance(same, PointsTrigger):
        same = replace(same, activated_ms=item.activated_ms)
    if isinstance(item, Leaderboard) and isinstance(same, Leaderboard):
        same = replace(same, is_all_time=item.is_all_time, filling=item.filling, counting_ms=item.counting_ms)
    return item if same == item else replace(same, updated_ms=now_ms)


def _leaderboards(
    current: tuple[Leaderboard, ...], entries: tuple[LeaderboardEntry, ...], now_ms: int
) -> tuple[Leaderboard, ...]:
    """A board whose document does not say when it begins goes on as it began; one that becomes active begins then."""
    live = {board.id: board for board in current if not board.archived}
    wanted = []
    for entry in entries:
        board = to_leaderboard(entry, now_ms)
        known = live.get(board.id)
        if entry.start is None and known is not None and (known.status, board.status) != ("inactive", "active"):
            start_day = known.start_day if board.end_day is None else min(known.start_day, board.end_day)
            board = replace(board, start_day=start_day)
        wanted.append(board)
    return _merge(current, wanted, now_ms)


def _start_boards(current: Catalog, changed: Catalog, version: int, now_ms: int) -> tuple[Leaderboard, ...]:
    """The boards; those that have become active, or rank by something else than before, begin with this version."""
    counting = {board.id: _scoring(current, board) for board in current.leaderboards}
    return tuple(
        board
        if (scoring := _scoring(changed, board)) is None or counting.get(board.id) == scoring
        else replace(board, filling=version, counting_ms=now_ms, is_all_time=_is_all_time(board, now_ms))
        for board in changed.leaderboards
    )


def _is_all_time(board: Leaderboard, now_ms: int) -> bool:
    """A board that neither ends nor begins anew counts what was done before it, unless it begins later (Q-52)."""
    is_bounded = board.end_day is not None or board.run_unit is not None
    has_times = board.start_time_s is not None or board.end_time_s is not None
    return not is_bounded and not has_times and board.start_day <= utc_day(now_ms)


def _scoring(catalog: Catalog, board: Leaderboard) -> tuple[object, ...] | None:
    """What decides how users stand on a board; None if it is not active, or what it ranks by is not there."""
    metrics = {metric.key for metric in catalog.metrics if not metric.archived}
    systems = {system.key for system in catalog.points_systems if not system.archived}
    if board.archived or board.status != "active":
        return None
    if (board.metric is not None and board.metric not in metrics) or (
        board.points_system is not None and board.points_system not in systems
    ):
        return None
    return (
        board.rank_by,
        board.metric,
        board.points_system,
        board.start_day,
        board.end_day,
        board.start_time_s,
        board.end_time_s,
        board.run_unit,
        board.run_interval,
        board.breakdown_attributes,
        sort_filter(board.user_attributes),
        catalog.streaks.frequency if board.rank_by == "streak" else None,
    )


def _points_systems(
    current: tuple[PointsSystem, ...], entries: tuple[PointsEntry, ...], now_ms: int
) -> tuple[PointsSystem, ...]:
    systems = {system.id: system for system in current}
    wanted = []
    for entry in entries:
        system = to_points_system(entry, now_ms)
        old = systems.get(system.id, system)
        triggers = _merge(old.triggers, (to_trigger(entry, t, now_ms) for t in entry.triggers), now_ms)
        wanted.append(
            replace(
                system,
                triggers=_activated(() if old.archived else old.triggers, triggers, now_ms),
                boosts=_merge(old.boosts, (to_boost(entry, b, now_ms) for b in entry.boosts), now_ms),
                levels=_merge(old.levels, (to_level(entry, level, now_ms) for level in entry.levels), now_ms),
            )
        )
    return _merge(current, wanted, now_ms)


def _activated(
    old: tuple[PointsTrigger, ...], new: tuple[PointsTrigger, ...], now_ms: int
) -> tuple[PointsTrigger, ...]:
    """The new triggers; those that have become active, or are for other intervals or users, count time from now on."""
    known = {trigger.id: trigger for trigger in old}
    return tuple(
        trigger if _has_counted(known.get(trigger.id), trigger) else replace(trigger, activated_ms=now_ms)
        for trigger in new
    )


def _has_counted(before: PointsTrigger | None, trigger: PointsTrigger) -> bool:
    if trigger.archived or trigger.status == "inactive":
        return True
    return (
        before is not None and not before.archived and before.status == "active" and _timing(before) == _timing(trigger)
    )


def _timing(trigger: PointsTrigger) -> tuple[object, ...]:
    return trigger.time_unit, trigger.time_interval, sort_filter(trigger.user_attributes)
