"""Looks through the history of users for what a new accumulator, or a new leaderboard, would have counted."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from plaudit.actors.entries import activity_of
from plaudit.actors.residents import Resident, Residents, Woken
from plaudit.engine.amounts import PackedAmount, pack_amount, unpack_amount
from plaudit.engine.catalog import Filter
from plaudit.engine.catching_up import boards_to_fill, needs_history
from plaudit.engine.commands import Backdate
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.filters import matches
from plaudit.engine.snapshot import pack_standings
from plaudit.engine.standings import Activity, stand_anew
from plaudit.engine.user import Standing
from plaudit.storage.errors import Corrupt
from plaudit.storage.history import EVENT, Chunk, EventEntry
from plaudit.storage.state import StateStore

CHAIN_CHUNKS = 16

LOG = logging.getLogger(__name__)


class Found(Struct, frozen=True):
    """The totals of accumulators over a user's saved history up to a piece of it, under one `filling`."""

    chunk: int | None
    filling: int
    sums: dict[int, int] | None
    """None: it cannot be read, and will not be."""
    activities: tuple[Activity, ...] = ()
    """What matters to leaderboards, newest first."""


class Filling:
    """Reads what is saved beside the commands, and adds what is not in their order: so nothing is left out."""

    def __init__(self, residents: Residents, state: StateStore) -> None:
        self._residents = residents
        self._state = state
        self._compiled: CompiledCatalog
        self._wanted: dict[int, list[tuple[int, Filter]]] = {}
        """Accumulators, with their filters, by the number of the metric."""

    def adopt(self, compiled: CompiledCatalog) -> None:
        """Look for what this catalog accumulates."""
        self._compiled = compiled
        numbers = {metric.key: metric.number for metric in compiled.catalog.metrics}
        self._wanted = {}
        for accumulator in compiled.catalog.accumulators:
            group = self._wanted.setdefault(numbers[accumulator.metric], [])
            group.append((accumulator.number, accumulator.event_attributes))

    async def read_woken(self, ids: Sequence[int], woken: Woken) -> dict[int, Found]:
        """What is saved of those of the users (by id) who need it. O(their history). Raises StorageError."""
        peeked = ((id_, self._residents.peek(id_, woken)) for id_ in ids)
        users = [(id_, found) for id_, found in peeked if found is not None]
        return await self._read_all({id_: chunk for id_, (user, chunk) in users if needs_history(user, self._compiled)})

    async def read(self, residents: Iterable[Resident]) -> dict[int, Found]:
        """The same for users in memory."""
        return await self._read_all({r.id: r.chunk for r in residents if needs_history(r.user, self._compiled)})

    async def _read_all(self, newest: Mapping[int, int | None]) -> dict[int, Found]:
        found = {}
        for id_, chunk in newest.items():
            try:
                found[id_] = await self._read(chunk)
            except Corrupt:  # damage to one user stays that user's
                LOG.exception("the history of user number %d cannot be read: what is new counts without it", id_)
                found[id_] = Found(chunk, self._compiled.catalog.filling, None)
        return found

    async def _read(self, newest: int | None) -> Found:
        filling, wanted = self._compiled.catalog.filling, self._wanted
        sums = {number: 0 for group in wanted.values() for number, _ in group}
        activities: list[Activity] = []
        chunk = newest
        while chunk is not None:
            chunks: list[Chunk] = await self._state.load_chain(chunk, CHAIN_CHUNKS)
            for piece in chunks:
                _add(sums, wanted, piece.entries)
                activities += self._find_activities(piece.entries)
                await asyncio.sleep(0)
            chunk = chunks[-1].previous
        return Found(newest, filling, sums, tuple(activities))

    def _find_activities(self, entries: Sequence[EventEntry]) -> list[Activity]:
        """Those of the entries that feed a leaderboard, newest first."""
        boards = self._compiled.boards
        if not boards.by_number:
            return []
        return [
            activity_of(entry)
            for entry in reversed(entries)
            if entry.metric in boards.by_metric or any(award.system in boards.by_system for award in entry.awards)
        ]

    def make_command(self, resident: Resident, found: Found | None) -> Backdate | None:
        """The command that fills in a user's totals, with what is not saved yet.

        None if something has been saved, or adopted, since: it has to be read again.
        """
        if found is None or found.chunk != resident.chunk or found.filling != self._compiled.catalog.filling:
            return None
        if found.sums is None:
            sums = resident.user.matched
        else:
            sums = dict(found.sums)
            _add(sums, self._wanted, resident.pending())
        packed: dict[int, PackedAmount] = {number: pack_amount(total) for number, total in sums.items() if total}
        tenant, user_id = resident.key
        standings = pack_standings(self._stand_anew(resident, found)) if found.sums is not None else {}
        return Backdate(user_id, found.filling, packed, tenant, standings)

    def _stand_anew(self, resident: Resident, found: Found) -> dict[int, tuple[Standing, ...]]:
        user = resident.user
        boards = list(boards_to_fill(user, self._compiled))
        activities = [*reversed(found.activities), *reversed(self._find_activities(resident.pending()))]
        return stand_anew(user, boards, activities, self._compiled) if boards else {}


def _add(sums: dict[int, int], wanted: dict[int, list[tuple[int, Filter]]], entries: Sequence[EventEntry]) -> None:
    for entry in entries:
        if entry.kind == EVENT:
            for number, values in wanted.get(entry.metric, ()):
                if matches(entry.attributes, values):
                    sums[number] += unpack_amount(entry.value)
