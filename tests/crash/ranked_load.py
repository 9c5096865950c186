"""Concurrent events of users whose totals only grow and are never the same, and what leaderboards may say of them."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from plaudit.actors.board_routing import board_shard_of
from tests.crash.load import client_of

CLIENTS = 8
USERS = 40
START = "2026-01-01"
START_DAY = 739_617
BOARDS = ("one", "two", "three", "four")
CATALOG = """
[[metrics]]
key = "lessons"
name = "Lessons"
""" + "".join(
    f"""
[[leaderboards]]
key = "{key}"
name = "{key}"
rank_by = "metric"
metric = "lessons"
start = {START}
"""
    for key in BOARDS
)


def boards_of(shard: int) -> set[str]:
    """The leaderboards in one of two shards."""
    return {key for number, key in enumerate(BOARDS, 1) if board_shard_of(number, START_DAY, 2) == shard}


@dataclass
class Sent:
    """An event, and the total that it makes."""

    user: str
    value: int
    total: int
    key: str


@dataclass
class Ranked:
    """What the clients know."""

    totals: dict[str, int] = field(default_factory=dict)
    """Of all that has been answered, by user."""
    sent: dict[str, int] = field(default_factory=dict)
    """The same of all that has been sent."""
    placed: dict[str, dict[str, int]] = field(default_factory=lambda: {key: {} for key in BOARDS})
    """Of all that has been answered with a place on a board, by board and user."""
    unanswered: list[Sent] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    absent: list[tuple[set[str], float]] = field(default_factory=list)
    """For each answer that left boards out: which, and how many seconds it took."""
    answered: int = 0

    def next(self, number: int) -> Sent:
        """The next event. A user's first one brings them to a total that nobody else will have."""
        index = number * 7 % USERS
        user, step = f"user-{index}", (1 + number * 31 % 17) * 100
        value = step if user in self.sent else step + index
        total = self.sent[user] = self.sent.get(user, 0) + value
        return Sent(user, value, total, f"event-{number}")

    def check(self, sent: Sent, places: dict[str, Any], before: dict[str, dict[str, int]]) -> None:
        """See that the places are possible; `before` is what had been placed when the event was sent."""
        for key, place in places.items():
            rank, previous = place["rank"], place["previousRank"]
            least = 1 + sum(total > sent.total for user, total in before[key].items() if user != sent.user)
            most = 1 + sum(total > sent.total for user, total in self.sent.items() if user != sent.user)
            if rank is None or not least <= rank <= most:
                self.unexpected.append(f"rank {rank} of {sent} on {key}, expected {least} to {most}")
            elif sent.user in before[key] and (previous is None or previous < rank):
                self.unexpected.append(f"previous rank {previous}, now {rank}, of {sent} on {key}")
            self.placed[key][sent.user] = sent.total


async def _send(client: httpx.AsyncClient, sent: Sent) -> httpx.Response:
    body = {"user": {"id": sent.user}, "value": sent.value}
    return await client.post("/v1/metrics/lessons/event", json=body, headers={"Idempotency-Key": sent.key})


async def run_load(url: str, ranked: Ranked, numbers: Iterator[int], at: dict[int, Callable[[], object]]) -> None:
    """Send the events with these numbers; call `at[n]` when n have been answered. A user has one at a time.

    A client stops at the first broken connection.
    """
    locks = {f"user-{index}": asyncio.Lock() for index in range(USERS)}
    started = ranked.answered

    async def one_client(client: httpx.AsyncClient) -> None:
        for number in numbers:
            async with locks[f"user-{number * 7 % USERS}"]:
                if not await _play(client, ranked, ranked.next(number)):
                    return
            if act := at.pop(ranked.answered - started, None):
                act()

    async with client_of(url) as client:
        await asyncio.gather(*(one_client(client) for _ in range(CLIENTS)))


async def _play(client: httpx.AsyncClient, ranked: Ranked, sent: Sent) -> bool:
    """Send an event, and take its answer; False if there is none."""
    before = {key: dict(placed) for key, placed in ranked.placed.items()}
    began = time.monotonic()
    try:
        response = await _send(client, sent)
    except httpx.TransportError:
        ranked.unanswered.append(sent)
        return False
    if response.status_code != 201 or response.json()["total"] != sent.total:
        ranked.unexpected.append(f"{sent}: {response.status_code} {response.text}")
        return True
    ranked.answered += 1
    ranked.totals[sent.user] = sent.total
    places = response.json()["leaderboards"]
    ranked.check(sent, places, before)
    if absent := set(BOARDS) - places.keys():
        ranked.absent.append((absent, time.monotonic() - began))
    return True


async def settle(url: str, ranked: Ranked) -> None:
    """Send again what nobody has answered, with the same keys: it counts once, whether it had counted or not."""
    async with client_of(url) as client:
        for sent in ranked.unanswered:
            response = await _send(client, sent)
            assert response.status_code in {201, 202}, response.text
            assert response.json()["total"] == sent.total
            ranked.totals[sent.user] = sent.total
    ranked.unanswered.clear()


async def check_rankings(url: str, ranked: Ranked, within_s: float) -> None:
    """Every leaderboard is what the answered events come to, within some seconds: nothing must be under way."""
    assert ranked.unexpected == []
    assert ranked.unanswered == []
    order = sorted(ranked.totals.items(), key=lambda each: -each[1])
    expected = [(rank, user, total) for rank, (user, total) in enumerate(order, 1)]
    deadline = time.monotonic() + within_s
    async with client_of(url) as client:
        for key in BOARDS:
            while (found := await _read(client, key)) != expected and time.monotonic() < deadline:
                pass
            assert found == expected, key


async def _read(client: httpx.AsyncClient, key: str) -> list[tuple[int, str, int]] | None:
    """A whole ranking; None if it cannot be told now."""
    response = await client.get(f"/v1/leaderboards/{key}", params={"limit": 1000})
    if response.status_code == 503:
        return None
    assert response.status_code == 200, response.text
    return [(line["rank"], line["userId"], line["value"]) for line in response.json()["rankings"]]
