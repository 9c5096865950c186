"""Answers queries: what may take a while, and so goes beside the commands."""

import logging
from collections.abc import Callable, Coroutine
from functools import partial

import msgspec

from plaudit.actors.applier import Applier
from plaudit.actors.entries import time_entries
from plaudit.actors.errors import Overloaded
from plaudit.actors.event_log import EventLog, View
from plaudit.actors.histories import find_awards, summarize_metric, summarize_points
from plaudit.actors.messages import Reply
from plaudit.actors.points_scan import PointsScan
from plaudit.actors.reads import find_live_metric, find_system
from plaudit.actors.replies import INTERNAL_ERROR, Renderer, level_counts, point_counts, reject
from plaudit.actors.residents import Residents
from plaudit.actors.user_history import UserView
from plaudit.actors.wire import ErrorResponse
from plaudit.engine.catalog import Metric
from plaudit.engine.commands import CountPoints, FindOwners, Query, ReadEvents, ReadPoints, Summarize, UserKey
from plaudit.engine.compiled import CompiledCatalog, CompiledSystem
from plaudit.engine.elapse import elapse
from plaudit.engine.errors import Invalid, Rejected
from plaudit.engine.identify import check_attribute_keys
from plaudit.storage.state import StateStore

OVERLOADED = 503

LOG = logging.getLogger(__name__)

Answering = Callable[[], Coroutine[None, None, Reply]]
"""What answers a query, once it is begun: a shard that stops before never begins it."""


class Queries:
    """A query sees what has happened before it, and nothing that comes after.

    Only what is counted over all users with certain attributes may be some seconds old.
    """

    def __init__(self, shard: int, applier: Applier, residents: Residents, state: StateStore) -> None:
        self._applier = applier
        self._residents = residents
        self._state = state
        self._event_log = EventLog(shard, residents, state)
        self._scan = PointsScan(residents, state)
        self._metrics: dict[str, Metric] = {}
        """All metrics by key, archived ones too."""

    def adopt(self, compiled: CompiledCatalog) -> None:
        """Answer what follows under this catalog."""
        self._metrics = {metric.key: metric for metric in compiled.catalog.metrics}

    def take(self, query: Query, at_ms: int) -> Answering:
        """The reply to come; what it is about is what has happened until now."""
        try:
            return partial(self._answer, query, self._begin(query, at_ms))
        except Exception as error:  # noqa: BLE001  # whatever it is, it is answered like what shows later
            return partial(self._answer, query, partial(_fail, error))

    def cancel(self) -> None:
        """Give up what looks at all users."""
        self._scan.cancel()

    def _begin(self, query: Query, at_ms: int) -> Answering:
        if isinstance(query, FindOwners):
            unsaved = dict(self._residents.find_unsaved_owners(frozenset(query.ids)))
            return partial(self._find_owners, query, unsaved, self._residents.deleted_ids())
        compiled, renderer = self._applier.compiled, self._applier.renderer
        if isinstance(query, ReadPoints):
            system = find_system(compiled, query.system)
            return partial(find_awards, query, system, self._take_view(query, at_ms), self._state, at_ms, renderer)
        if isinstance(query, Summarize):
            return self._begin_summary(query, at_ms)
        if isinstance(query, CountPoints):
            return self._begin_count(query)
        metric = None if query.metric is None else self._metrics.get(query.metric)
        if query.metric is not None and metric is None:
            raise Invalid(f"metric: expected the key of a metric, got {query.metric!r}")
        number = None if metric is None else metric.number
        return partial(self._find_events, query, number, self._event_log.take_view(query, number), renderer)

    def _begin_summary(self, query: Summarize, at_ms: int) -> Answering:
        compiled, renderer = self._applier.compiled, self._applier.renderer
        if query.kind == "points":
            system, view = find_system(compiled, query.key), self._take_view(query, at_ms)
            return partial(summarize_points, query, system, view, self._state, at_ms, renderer)
        metric = find_live_metric(compiled, query.key)
        return partial(summarize_metric, query, metric, self._take_view(query, at_ms), self._state, at_ms, renderer)

    def _begin_count(self, query: CountPoints) -> Answering:
        compiled = self._applier.compiled
        system = find_system(compiled, query.system)
        check_attribute_keys(dict(query.user_attributes), compiled.user_attributes, "user")
        if query.by == "range" and query.user_attributes:
            return partial(self._count, query, system)
        render = level_counts if query.by == "level" else point_counts
        return partial(_reply, render(system, self._residents.counters))

    async def _count(self, query: CountPoints, system: CompiledSystem) -> Reply:
        counters = await self._scan.count(system.definition.number, query.user_attributes)
        return point_counts(system, counters)

    def _take_view(self, query: ReadPoints | Summarize, at_ms: int) -> UserView:
        resident = self._applier.get(query)
        elapsed = elapse(resident.user, self._applier.compiled, at_ms)
        unlogged = time_entries(resident.key, elapsed.user, elapsed.happenings, 0)
        return UserView(elapsed.user, resident, resident.chunk, [*resident.pending(), *unlogged])

    async def _answer(self, query: Query, find: Answering) -> Reply:
        try:
            return await find()
        except Rejected as error:
            return reject(error)
        except Overloaded as error:
            return Reply(OVERLOADED, msgspec.json.encode(ErrorResponse(str(error))))
        except Exception:  # a bug, or a history that cannot be read: nothing else is concerned
            LOG.exception("a query of %s about user %r failed", type(query).__name__, query.user_id)
            return INTERNAL_ERROR

    async def _find_events(self, query: ReadEvents, metric: int | None, view: View, renderer: Renderer) -> Reply:
        return renderer.events(await self._event_log.find(query, metric, view))

    async def _find_owners(self, query: FindOwners, unsaved: dict[bytes, UserKey], deleted: frozenset[int]) -> Reply:
        """What is saved of users who have changed since is still theirs: an id has one owner for ever."""
        saved = await self._state.find_owners(query.ids)
        owners = {id_: key for id_, (user, key) in saved.items() if user not in deleted} | unsaved
        return self._applier.renderer.owners({id_: key[1] for id_, key in owners.items() if key[0] == query.tenant})


async def _reply(reply: Reply) -> Reply:
    return reply


async def _fail(error: Exception) -> Reply:
    raise error
