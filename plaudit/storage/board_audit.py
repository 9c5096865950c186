"""Checks what boards.sqlite says against itself: every row, and whether rows say the same. For `plaudit doctor`."""

from collections import Counter as Tally
from collections.abc import AsyncIterator

from plaudit.storage import board_finals, board_snapshots
from plaudit.storage.audit import Problem
from plaudit.storage.board_finals import Final, seat_page_name
from plaudit.storage.board_pages import PLACES_PER_PAGE, decode_standings
from plaudit.storage.board_snapshots import RunKey, page_name
from plaudit.storage.board_store import BoardStore
from plaudit.storage.errors import Corrupt

SCAN_ROWS = 128


class BoardAudit:
    """Walks all rows of a store that nobody changes. O(rows), some 0.3 ms each; remembers counts only."""

    def __init__(self, store: BoardStore) -> None:
        self._store = store
        self._file = str(store.path)
        self.snapshots = 0
        self.finals = 0

    async def run(self) -> AsyncIterator[Problem]:
        """Every problem, as it is found."""
        async for problem in self._check_snapshots():
            yield Problem(self._file, problem)
        for run in await self._store.query(board_finals.final_runs):
            async for problem in self._check_final(run):
                yield Problem(self._file, problem)

    async def _check_snapshots(self) -> AsyncIterator[str]:
        counts: Tally[tuple[int, int, int]] = Tally()
        after = (-1, 0, 0, 0)
        while pages := await self._store.query(board_snapshots.scan_pages, after, SCAN_ROWS):
            for board, run, page, day, body in pages:
                try:
                    counts[board, run, day] += len(
                        decode_standings(page, body, page_name(board, run, page, day), self._file)
                    )
                except Corrupt as error:
                    yield str(error)
            after = pages[-1][:4]
        leftovers = set(await self._store.query(board_snapshots.list_leftovers))
        for board, run, day in await self._store.query(board_snapshots.list_snapshots):
            self.snapshots += 1
            found = counts.pop((board, run, day), 0)
            try:
                members = await self._store.query(board_snapshots.load_members, (board, run), day, self._file)
            except Corrupt as error:
                yield str(error)
                continue
            if found != members:
                yield f"snapshot {board},{run},{day}: has {members} members, and its pages have {found}"
        for board, run, day in counts.keys() - leftovers:
            yield f"snapshot {board},{run},{day}: is missing, and has pages"

    async def _check_final(self, run: RunKey) -> AsyncIterator[str]:
        self.finals += 1
        try:
            final = await self._store.query(board_finals.load_final, run, self._file)
            assert final is not None, run
            by_rank = await self._sum_places(run, final)
            by_seat = await self._sum_seats(run)
        except Corrupt as error:
            yield str(error)
            return
        if by_rank != by_seat:
            yield (
                f"final {run[0]},{run[1]}: its {by_rank[0]} places are not those of its {by_seat[0]} members"
                f" in {len(final.groups)} groups"
            )

    async def _sum_places(self, run: RunKey, final: Final) -> tuple[int, int]:
        """How many places have somebody on them, and a sum over them in which the order does not matter."""
        count = total = 0
        for number, (_, size) in enumerate(final.groups):
            for first in range(0, size, PLACES_PER_PAGE):
                page = first // PLACES_PER_PAGE
                places = await self._store.query(board_finals.load_places, run, number, page, self._file)
                if len(places) != min(size - first, PLACES_PER_PAGE):
                    name = board_finals.place_page_name(run, number, page)
                    raise Corrupt(f"{self._file}: {name}: has {len(places)} places")
                for rank, place in enumerate(places, first + 1):
                    if place is not None:
                        count += 1
                        total += hash((place.seat, rank, place.value, number))
        return count, total

    async def _sum_seats(self, run: RunKey) -> tuple[int, int]:
        count, total, after = 0, 0, -1
        while rows := await self._store.query(board_finals.scan_seats, run, after, SCAN_ROWS):
            for page, body in rows:
                for standing in decode_standings(page, body, seat_page_name(run, page), self._file):
                    count += 1
                    total += hash(tuple(standing))
            after = rows[-1][0]
        return count, total
