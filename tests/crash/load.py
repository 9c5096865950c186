"""Concurrent events, each with an idempotency key of its own, and the account of what was acknowledged."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

ADMIN_KEY = "testkey1.0123456789abcdef0123456789abcdef"
CLIENTS = 16


@dataclass
class Account:
    """What clients know. An event that nobody answered may count or not: its key decides when it is sent again."""

    acknowledged: Counter[str] = field(default_factory=Counter)
    unanswered: list[tuple[str, str]] = field(default_factory=list)
    """(user, idempotency key)."""
    totals: set[tuple[str, int]] = field(default_factory=set)
    """(user, total) of every answer: the same one twice would be an event that was lost."""
    unexpected: list[str] = field(default_factory=list)

    def acknowledge(self, user: str, total: int) -> None:
        """An event of the user has been answered for the first time, with this total."""
        if (user, total) in self.totals:
            self.unexpected.append(f"two events of {user} made {total}")
        self.totals.add((user, total))
        self.acknowledged[user] += 1

    @property
    def answered(self) -> int:
        """How many events have been acknowledged."""
        return self.acknowledged.total()


@asynccontextmanager
async def client_of(url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the admin key."""
    limits = httpx.Limits(max_connections=CLIENTS)
    async with httpx.AsyncClient(base_url=url, headers={"X-API-KEY": ADMIN_KEY}, limits=limits, timeout=60) as client:
        yield client


async def send(client: httpx.AsyncClient, user: str, key: str) -> httpx.Response:
    """One event of value 1."""
    body = {"user": {"id": user, "tz": "Europe/Paris"}, "value": 1}
    return await client.post("/v1/metrics/lessons/event", json=body, headers={"Idempotency-Key": key})


async def run_load(
    url: str, account: Account, seed: int, events: int, at: dict[int, Callable[[], object]], breaks_max: int = 0
) -> None:
    """Send `events` events from CLIENTS concurrent clients; call `at[n]` when n of them have been acknowledged.

    A client goes on with another event after so many broken connections, and then stops.
    """
    choices = random.Random(seed)
    keys = iter([(f"user-{choices.randrange(40)}", f"{seed}-{n}") for n in range(events)])
    started = account.answered

    async def one_client(client: httpx.AsyncClient) -> None:
        breaks = 0
        for user, key in keys:
            try:
                response = await send(client, user, key)
            except httpx.TransportError:
                account.unanswered.append((user, key))
                breaks += 1
                if breaks > breaks_max:
                    return
                continue
            if response.status_code != 201:
                account.unexpected.append(f"{response.status_code} {response.text}")
                return
            account.acknowledge(user, response.json()["total"])
            if act := at.pop(account.answered - started, None):
                act()

    async with client_of(url) as client:
        await asyncio.gather(*(one_client(client) for _ in range(CLIENTS)))


async def read_totals(url: str, users: list[str]) -> Counter[str]:
    """What the server says; 0 for a user that it does not know."""
    totals: Counter[str] = Counter()
    async with client_of(url) as client:
        for user in users:
            response = await client.get(f"/v1/users/{user}/metrics")
            assert response.status_code in {200, 404}, response.text
            if response.status_code == 200:
                totals[user] = next(metric["current"] for metric in response.json() if metric["key"] == "lessons")
    return totals


async def settle(url: str, account: Account) -> None:
    """Send what nobody answered again, with the same keys: it must count once, whether it had counted or not."""
    async with client_of(url) as client:
        for user, key in account.unanswered:
            response = await send(client, user, key)
            assert response.status_code in {201, 202}, response.text
            if response.status_code == 201:
                account.acknowledge(user, response.json()["total"])
            else:
                account.acknowledged[user] += 1
    account.unanswered.clear()


async def check(url: str, account: Account) -> None:
    """Every acknowledged event is there, exactly once; of the unanswered ones, each is there once or not at all."""
    assert account.unexpected == []
    users = [f"user-{n}" for n in range(40)]
    totals = await read_totals(url, users)
    unanswered = Counter(user for user, _ in account.unanswered)
    for user in users:
        least = account.acknowledged[user]
        assert least <= totals[user] <= least + unanswered[user], user
    await settle(url, account)
    assert account.unexpected == []
    assert await read_totals(url, users) == account.acknowledged
