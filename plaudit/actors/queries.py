"""Answers queries: what may take a while, and so goes beside the commands."""

import logging
from collections.abc import Callable, Coroutine
from functools import partial

from plaudit.actors.event_log import EventLog, View
from plaudit.actors.messages import Reply
from plaudit.actors.replies import INTERNAL_ERROR, Renderer, reject
from plaudit.actors.residents import Residents
from plaudit.engine.catalog import Metric
from plaudit.engine.commands import FindOwners, Query, ReadEvents, UserKey
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.errors import Invalid, Rejected
from plaudit.storage.errors import Corrupt
from plaudit.storage.state import StateStore

LOG = logging.getLogger(__name__)

Answering = Callable[[], Coroutine[None, None, Reply]]
"""What answers a query, once it is begun: a shard that stops before never begins it."""


class Queries:
    """A query sees what has happened before it, and nothing that comes after."""

    def __init__(self, shard: int, residents: Residents, state: StateStore) -> None:
        self._residents = residents
        self._state = state
        self._event_log = EventLog(shard, residents, state)
        self._renderer: Renderer
        self._metrics: dict[str, Metric] = {}
        """All metrics by key, archived ones too."""

    def adopt(self, compiled: CompiledCatalog, renderer: Renderer) -> None:
        """Answer what follows under this catalog."""
        self._renderer = renderer
        self._metrics = {metric.key: metric for metric in compiled.catalog.metrics}

    def take(self, query: Query) -> Answering:
        """The reply to come; what it is about is what has happened until now."""
        if isinstance(query, FindOwners):
            unsaved = dict(self._residents.find_unsaved_owners(frozenset(query.ids)))
            return partial(
                self._answer, query, partial(self._find_owners, query, unsaved, self._residents.deleted_ids())
            )
        metric = None if query.metric is None else self._metrics.get(query.metric)
        view: View | Rejected | Corrupt
        try:
            if query.metric is not None and metric is None:
                raise Invalid(f"metric: expected the key of a metric, got {query.metric!r}")
            view = self._event_log.take_view(query, None if metric is None else metric.number)
        except (Rejected, Corrupt) as error:
            view = error
        return partial(self._answer, query, partial(self._find_events, query, metric, view))

    async def _answer(self, query: Query, find: Answering) -> Reply:
        try:
            return await find()
        except Rejected as error:
            return reject(error)
        except Exception:  # a bug, or a history that cannot be read: nothing else is concerned
            LOG.exception("a query of %s about user %r failed", type(query).__name__, query.user_id)
            return INTERNAL_ERROR

    async def _find_events(self, query: ReadEvents, metric: Metric | None, view: View | Rejected | Corrupt) -> Reply:
        if isinstance(view, Rejected | Corrupt):
            raise view
        page = await self._event_log.find(query, None if metric is None else metric.number, view)
        return self._renderer.events(page)

    async def _find_owners(self, query: FindOwners, unsaved: dict[bytes, UserKey], deleted: frozenset[int]) -> Reply:
        """What is saved of users who have changed since is still theirs: an id has one owner for ever."""
        saved = await self._state.find_owners(query.ids)
        owners = {id_: key for id_, (user, key) in saved.items() if user not in deleted} | unsaved
        return self._renderer.owners({id_: key[1] for id_, key in owners.items() if key[0] == query.tenant})
