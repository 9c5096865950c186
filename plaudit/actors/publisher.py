"""Says to the leaderboard shards what committed commands have changed, and takes back the places."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from plaudit.actors.board_client import BoardClient, Pages
from plaudit.actors.board_messages import Place, Score
from plaudit.actors.board_routing import board_shard_of

PLACE_WAIT_S = 0.25
"""How long the answer to an event waits for its places."""
KNOWN_OWNERS_MAX = 4096

OnPlaces = Callable[[list[Place | None]], None]


class _Waiting:
    """Somebody who waits for places, for so long."""

    def __init__(self, count: int, on_places: OnPlaces) -> None:
        self._places: list[Place | None] = [None] * count
        self._left = count
        self._on_places: OnPlaces | None = on_places
        self._timer = asyncio.get_running_loop().call_later(PLACE_WAIT_S, self._end)

    def take(self, position: int, place: Place | None) -> None:
        """One place is known, or never will be."""
        self._places[position] = place
        self._left -= 1
        if not self._left:
            self._end()

    def _end(self) -> None:
        on_places, self._on_places = self._on_places, None
        if on_places is not None:
            self._timer.cancel()
            on_places(self._places)


class Publisher:
    """A shard's connections to all leaderboard shards. What is published must be committed."""

    def __init__(self, shard: int, addresses: Sequence[str], covers_from: int, pages: Callable[[int], Pages]) -> None:
        self._clients = [
            BoardClient(address, shard, covers_from, pages(n), self._note_forgotten)
            for n, address in enumerate(addresses)
        ]
        self._forgetting: dict[int, int] = {}
        """Deleted users, and how many leaderboard shards have still to forget them."""
        self._forgotten: list[int] = []
        self._owners: dict[tuple[int, int], int] = {}

    def start(self) -> None:
        """Begin to connect."""
        for client in self._clients:
            client.start()

    def publish(self, scores: Iterable[Score], through: int) -> None:
        """Say scores, with which all commands up to number `through` have been said."""
        if self._clients:
            self._expect(through)
            for score in scores:
                self._client_of(score).add(score)
            self._note(through)

    def ask(self, scores: Sequence[Score], asked: Sequence[int], through: int, on_places: OnPlaces) -> None:
        """The same; `on_places` is called with the places of those at the positions `asked`, in their order.

        Soon: after PLACE_WAIT_S at most, and with None for each that is not known by then.
        """
        if not self._clients:
            return on_places([None] * len(asked))
        self._expect(through)
        waiting = _Waiting(len(asked), on_places)
        positions = {position: n for n, position in enumerate(asked)}
        for position, score in enumerate(scores):
            n = positions.get(position)
            self._client_of(score).add(score, None if n is None else partial(waiting.take, n))
        return self._note(through)

    def forget(self, member: int) -> None:
        """See that nothing that is written down is left of a user who has been deleted."""
        if self._clients:
            self._forgetting[member] = len(self._clients)
        for client in self._clients:
            client.forget(member)

    def is_forgetting(self, member: int) -> bool:
        """True if a leaderboard shard has still to forget a user."""
        return member in self._forgetting

    def take_forgotten(self) -> list[int]:
        """The deleted users whom all leaderboard shards have forgotten since the last call."""
        forgotten, self._forgotten = self._forgotten, []
        return forgotten

    async def flush(self) -> None:
        """Return when all leaderboard shards that are there know everything that has been published."""
        for client in self._clients:
            await client.flush()

    def close(self) -> None:
        """Disconnect."""
        for client in self._clients:
            client.close()

    def _note_forgotten(self, member: int) -> None:
        self._forgetting[member] -= 1
        if not self._forgetting[member]:
            del self._forgetting[member]
            self._forgotten.append(member)

    def _expect(self, through: int) -> None:
        for client in self._clients:
            client.expect(through)

    def _note(self, through: int) -> None:
        for client in self._clients:
            client.note(through)

    def _client_of(self, score: Score) -> BoardClient:
        run = (score.board, score.run)
        owner = self._owners.get(run)
        if owner is None:
            if len(self._owners) >= KNOWN_OWNERS_MAX:
                self._owners.clear()
            owner = self._owners[run] = board_shard_of(*run, len(self._clients))
        return self._clients[owner]
