"""Reads how runs have ended: one group as it was written down, or several merged (reference: Q-50)."""

import heapq
from collections.abc import AsyncIterator

from plaudit.actors.run_ranking import Group, GroupFilter, Ranked
from plaudit.engine.commands import ReadRankings
from plaudit.storage.board_pages import PLACES_PER_PAGE, Place
from plaudit.storage.board_snapshots import RunKey
from plaudit.storage.board_store import BoardStore

Line = tuple[int, Place]
"""A rank within a group, and who has it."""
_Head = tuple[tuple[int, int, int, int, int], int, Place]
"""The next place of a group, by its order among all and the number of the group."""
SizedGroup = tuple[Group, int]
"""With the number of its places."""


class FinalRankings:
    """The rankings of runs that are over. Users who have been deleted since are not there.

    In one group the others keep their ranks; several groups are ranked anew, as they were while the run went on.
    """

    def __init__(self, store: BoardStore) -> None:
        self._store = store

    async def read(self, command: ReadRankings, maximum: int | None) -> list[Ranked]:
        """The lines that are asked for, of a run that is final; `maximum` bounds what is merged. Raises StorageError.

        O(limit); of several groups, O(offset) as well.
        """
        key, wanted = (command.board, command.run), command.group
        final = await self._store.load_final(*key)
        groups = [group for group in final.groups if _matches(group[0], wanted)] if final else []
        if len(groups) == 1:
            return await self._read_group(key, groups[0][0], command)
        return await self._read_merged(key, groups, command, maximum)

    async def _read_group(self, key: RunKey, group: Group, command: ReadRankings) -> list[Ranked]:
        start = command.offset
        if command.seat is not None:
            place = await self._store.find_final(*key, command.seat)
            if place is None or place.group != group:
                return []
            start += place.rank - 1
        start = max(0, start)
        lines = await self._store.read_final(*key, group, start, start + command.limit)
        return [Ranked(place.user_id, place.name, rank, place.value) for rank, place in lines]

    async def _read_merged(
        self, key: RunKey, groups: list[SizedGroup], command: ReadRankings, maximum: int | None
    ) -> list[Ranked]:
        start = command.offset if command.seat is None else await self._find(key, groups, command, maximum)
        if start is None:
            return []
        start = max(0, start)
        stop = start + command.limit if maximum is None else min(start + command.limit, maximum)
        lines: list[Ranked] = []
        position = 0
        async for place in self._merge(key, groups):
            if position >= stop:
                break
            position += 1
            if position > start:
                lines.append(Ranked(place.user_id, place.name, position, place.value))
        return lines

    async def _find(
        self, key: RunKey, groups: list[SizedGroup], command: ReadRankings, maximum: int | None
    ) -> int | None:
        """Where to start for a seat; None if it is on none of the merged places."""
        found = await self._store.find_final(*key, command.seat or 0)
        if found is None or found.group not in dict(groups):
            return None
        position = 0
        async for place in self._merge(key, groups):
            if maximum is not None and position >= maximum:
                break
            if place.seat == command.seat:
                return position + command.offset
            position += 1
        return None

    async def _merge(self, key: RunKey, groups: list[SizedGroup]) -> AsyncIterator[Place]:
        """The places of all groups, the best first; a page of each is in memory."""
        sources = [self._lines(key, *group) for group in groups]
        heads: list[_Head] = []
        for number, lines in enumerate(sources):
            await _push(heads, number, lines)
        while heads:
            _, number, place = heapq.heappop(heads)
            yield place
            await _push(heads, number, sources[number])

    async def _lines(self, key: RunKey, group: Group, size: int) -> AsyncIterator[Line]:
        for start in range(0, size, PLACES_PER_PAGE):
            for line in await self._store.read_final(*key, group, start, start + PLACES_PER_PAGE):
                yield line


async def _push(heads: list[_Head], number: int, lines: AsyncIterator[Line]) -> None:
    line = await anext(lines, None)
    if line is not None:
        _, place = line
        order = (-place.value, -place.fraction, place.at_ms, place.number, place.seat)
        heapq.heappush(heads, (order, number, place))


def _matches(group: Group, wanted: GroupFilter) -> bool:
    return len(group) == len(wanted) and all(
        value is None or value == own for own, value in zip(group, wanted, strict=True)
    )
