"""Answers what it takes a look at one user's history to know: awards, and what periods came to."""

from collections.abc import Iterator

from plaudit.actors.formats import award_id
from plaudit.actors.messages import Reply
from plaudit.actors.points_replies import FoundAward
from plaudit.actors.replies import Renderer
from plaudit.actors.user_history import UserView, walk_back
from plaudit.engine import calendars
from plaudit.engine.amounts import unpack_amount
from plaudit.engine.commands import ReadPoints, Summarize
from plaudit.engine.compiled import CompiledMetric, CompiledSystem
from plaudit.engine.summaries import PeriodTotal, summarize
from plaudit.engine.timezones import local_day
from plaudit.storage.history import EVENT, EventEntry
from plaudit.storage.state import StateStore

STRAY_DAYS = 2
"""How far the days of a history can be out of order: its user may have travelled."""


async def find_awards(
    query: ReadPoints, system: CompiledSystem, view: UserView, state: StateStore, at_ms: int, renderer: Renderer
) -> Reply:
    """The user's points with their last awards. O(history back to the oldest of these)."""
    awards: list[FoundAward] = []
    number = system.definition.number
    if view.user.points.get(number) is not None:
        async for entry in walk_back(view, state):
            awards += _awards_of(entry, number)
            if len(awards) >= query.awards:
                break
    today = local_day(at_ms, view.user.profile.tz)
    return renderer.points(view.user, system, awards[: query.awards], today)


def _awards_of(entry: EventEntry, system: int) -> Iterator[FoundAward]:
    """Newest first."""
    for position in range(len(entry.awards) - 1, -1, -1):
        if entry.awards[position].system == system:
            yield FoundAward(award_id(entry.event_id, position), entry.at_ms, entry.awards[position])


async def summarize_metric(
    query: Summarize, metric: CompiledMetric, view: UserView, state: StateStore, at_ms: int, renderer: Renderer
) -> Reply:
    """What the metric's total came to in each period. O(history back to the first day)."""
    number = metric.definition.number
    changes: dict[int, int] = {}
    first_day = _first_day(query)
    async for entry in walk_back(view, state):
        if entry.day < first_day - STRAY_DAYS:
            break
        if entry.kind == EVENT and entry.metric == number:
            changes[entry.day] = changes.get(entry.day, 0) + unpack_amount(entry.value)
    return renderer.metric_summary(_summarize(query, view, view.user.totals.get(number, 0), changes, at_ms))


async def summarize_points(
    query: Summarize, system: CompiledSystem, view: UserView, state: StateStore, at_ms: int, renderer: Renderer
) -> Reply:
    """What the user's points came to in each period. O(history back to the first day)."""
    number = system.definition.number
    changes: dict[int, int] = {}
    first_day = _first_day(query)
    async for entry in walk_back(view, state):
        if entry.day < first_day - STRAY_DAYS:
            break
        for award in entry.awards:
            if award.system == number:
                changes[entry.day] = changes.get(entry.day, 0) + award.awarded
    return renderer.points_summary(_summarize(query, view, view.user.points.get(number, 0), changes, at_ms))


def _first_day(query: Summarize) -> int:
    return calendars.first_day(calendars.period_of(query.first_day, query.aggregation), query.aggregation)


def _summarize(query: Summarize, view: UserView, total: int, changes: dict[int, int], at_ms: int) -> list[PeriodTotal]:
    today = max(view.user.day, local_day(at_ms, view.user.profile.tz))
    return summarize(total, changes, query.aggregation, query.first_day, query.last_day, today)
