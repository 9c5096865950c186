"""Reads the recorded events of a shard, newest first: what is saved, and what is not saved yet."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from itertools import islice

from plaudit.actors.residents import Resident, Residents
from plaudit.engine.commands import Position, ReadEvents, UserKey
from plaudit.engine.errors import NotFound
from plaudit.storage.errors import Corrupt
from plaudit.storage.history import EVENT, Chunk, EventEntry
from plaudit.storage.state import Span, StateStore

CHAIN_CHUNKS = 64
SCAN_CHUNKS = 256
SCAN_CHUNKS_MAX = 20_000
"""Chunks (or groups of chunks that cannot match) that one query looks through; what it has found until then
is its answer, with a place to go on from.

A query that goes on from a place has to get past it: it looks through the chunks before as well."""


@dataclass(frozen=True, slots=True)
class FoundEvent:
    """An event, whose it is, and where in the order of all events."""

    entry: EventEntry
    user: UserKey
    position: Position


@dataclass(frozen=True, slots=True)
class Page:
    """Events, newest first, and the position before which there may be more; None if that was all."""

    events: list[FoundEvent]
    more_before: Position | None


@dataclass(frozen=True, slots=True)
class View:
    """What had happened when a query was taken: the events that are not in state.sqlite, and where it ended."""

    pending: list[FoundEvent]
    resident: Resident | None
    chunk: int | None
    """The newest saved chunk of the user, or of the shard."""
    hidden: frozenset[int] = frozenset()
    """Deleted users whose history is still there."""


class EventLog:
    """The recorded events of one shard.

    A query sees everything before it, once, however the checkpoint goes on meanwhile: `take_view` is taken in the order
    of commands, and `find` adds what was saved by then.
    """

    def __init__(self, shard: int, residents: Residents, state: StateStore) -> None:
        self._shard = shard
        self._residents = residents
        self._state = state

    def take_view(self, query: ReadEvents, metric: int | None) -> View:
        """What a query sees and that is not saved yet, as much as fits its answer. Raises NotFound.

        O(limit + unsaved events that are newer and do not match).
        """
        if query.user_id is None:
            unsaved = (
                found
                for key, entry in self._residents.unsaved_events()
                for found in self._matching(query, metric, key, (entry,))
            )
            return View(
                list(islice(unsaved, query.limit + 1)),
                None,
                self._residents.newest_saved_chunk,
                self._residents.deleted_ids(),
            )
        resident = self._residents.get((query.tenant, query.user_id))
        if resident is None:
            raise NotFound("User not found")
        pending = self._matching(query, metric, resident.key, resident.pending())
        return View(list(pending), resident, resident.chunk)

    async def find(self, query: ReadEvents, metric: int | None, view: View) -> Page:
        """The newest matching events. O(limit) for one user and for all; O(what does not match) otherwise, bounded."""
        found = sorted(view.pending, key=lambda event: event.position, reverse=True)[: query.limit + 1]
        looked_at = 0
        async for chunks, older in self._walk(query, view):
            users = {chunk.user for chunk in chunks} - view.hidden
            names = await self._state.load_names(users) if users else {}
            for chunk in chunks:
                if chunk.user in names:
                    found += self._matching(query, metric, names[chunk.user], chunk.entries)
            found.sort(key=lambda event: event.position, reverse=True)
            del found[query.limit + 1 :]
            looked_at += max(1, len(chunks))
            if older is None or (len(found) > query.limit and found[-1].position >= older):
                break
            if query.from_ms is not None and older.at_ms < query.from_ms:
                break
            if looked_at >= SCAN_CHUNKS_MAX and (query.before is None or older < query.before):
                return Page([event for event in found if event.position >= older][: query.limit], older)
        if len(found) <= query.limit:
            return Page(found, None)
        return Page(found[: query.limit], found[query.limit - 1].position)

    async def _walk(self, query: ReadEvents, view: View) -> AsyncIterator[tuple[list[Chunk], Position | None]]:
        """Saved chunks from the newest back, each time with a position that nothing older than them is after."""
        if query.user_id is None:
            async for step in self._walk_spans(query, view.chunk or 0):
                yield step
            return
        chunk = view.chunk
        while chunk is not None:
            try:
                chunks = await self._state.load_chain(chunk, CHAIN_CHUNKS)
            except Corrupt:
                if view.resident is None or await self._state.load_names([view.resident.id]):
                    raise
                return  # the user has been deleted, and is being erased
            chunk = chunks[-1].previous
            oldest = chunks[-1].entries[0]
            yield chunks, None if chunk is None else Position(oldest.at_ms, self._shard, oldest.number)

    async def _walk_spans(self, query: ReadEvents, newest: int) -> AsyncIterator[tuple[list[Chunk], Position | None]]:
        before = newest + 1
        limits = [at_ms for at_ms in (query.to_ms, query.before.at_ms if query.before else None) if at_ms is not None]
        if limits:
            before = min(before, await self._state.find_end(min(limits)) or before)
        spans = await self._state.load_spans(before)
        while spans:
            span = spans.pop(0)
            before = span.first
            if not spans:
                spans = await self._state.load_spans(before)
            if _is_wanted(span, query):
                for last in range(span.last, span.first - 1, -SCAN_CHUNKS):
                    chunks = await self._state.load_chunks(max(span.first, last - SCAN_CHUNKS + 1), last)
                    is_whole = last - SCAN_CHUNKS < span.first
                    yield chunks, self._after(spans[0] if spans else None) if is_whole else self._after(span)
            elif query.from_ms is not None and span.until_ms < query.from_ms:
                return
            else:
                yield [], self._after(spans[0] if spans else None)

    def _after(self, span: Span | None) -> Position | None:
        """A position that everything in a span is at or before."""
        return None if span is None else Position(span.until_ms + 1, self._shard, 0)

    def _matching(
        self, query: ReadEvents, metric: int | None, user: UserKey, entries: Iterable[EventEntry]
    ) -> Iterable[FoundEvent]:
        for entry in entries:
            position = Position(entry.at_ms, self._shard, entry.number)
            if (
                entry.kind == EVENT
                and (metric is None or entry.metric == metric)
                and (query.from_ms is None or entry.at_ms >= query.from_ms)
                and (query.to_ms is None or entry.at_ms < query.to_ms)
                and (query.before is None or position < query.before)
                and user[0] == query.tenant
            ):
                yield FoundEvent(entry, user, position)


def _is_wanted(span: Span, query: ReadEvents) -> bool:
    """False if nothing in a span can match."""
    return (
        (query.from_ms is None or span.until_ms >= query.from_ms)
        and (query.to_ms is None or span.from_ms < query.to_ms)
        and (query.before is None or span.from_ms <= query.before.at_ms)
    )
