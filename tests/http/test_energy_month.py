"""A month of one user of examples/energy.toml, by the test clock, against an hour glass."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from plaudit.catalog_file import load_document
from tests.http.conftest import Api, prepared

CATALOG = Path(__file__).parents[2] / "examples" / "energy.toml"
ZONE = ZoneInfo("America/New_York")
FIRST = datetime(2027, 3, 1, tzinfo=ZONE)
DAYS = 31
FULL = 30


@pytest.fixture
async def energy() -> AsyncIterator[Api]:
    """A server with the catalog, at the beginning of the month in New York."""
    async with prepared(has_test_clock=True) as api:
        await api._catalog.apply(load_document(CATALOG))
        await api.open_shards()
        await api.move_to(FIRST.isoformat())
        yield api


class Glass:
    """What the user should have, hour by hour."""

    def __init__(self, now: datetime) -> None:
        self.now = now.astimezone(UTC)
        self.energy = FULL
        self.plays = 0
        self.streak = 0
        self.played_on: set[object] = set()

    def wait(self, until: datetime) -> None:
        """Every hour gives one, every midnight in New York ten more."""
        while (hour := self.now.replace(minute=0, second=0) + timedelta(hours=1)) <= until:
            self.now = hour
            self.energy = min(FULL, self.energy + 1)
            if self.now.astimezone(ZONE).hour == 0:
                self.energy = min(FULL, self.energy + 10)
        self.now = until.astimezone(UTC)

    def play(self, *, is_ranked: bool) -> bool:
        """False without the energy for it."""
        cost = 7 if is_ranked else 5
        if self.energy < cost:
            return False
        self.energy -= cost
        self.plays += 1
        today = self.now.astimezone(ZONE).date()
        if today not in self.played_on:
            self.streak = self.streak + 1 if today - timedelta(days=1) in self.played_on else 1
            self.played_on.add(today)
            if self.streak % 3 == 0:
                self.energy = min(FULL, self.energy + 15)
        return True


async def energy_of(api: Api) -> Any:
    response = await api.client.get("/v1/users/sam/points/energy")
    assert response.status_code == 200, response.text
    return response.json()["total"]


async def test_a_month_of_energy_is_what_the_hours_say(energy: Api) -> None:
    user = {"id": "sam", "tz": "America/New_York", "attributes": {"plan": "gold"}}
    glass: Glass | None = None
    refused = 0
    for day in range(DAYS):
        if day % 9 == 8:
            continue  # a day without a game ends the streak
        for at, games in ((8.25, 4), (13.5, 2 + day % 4), (23.75, 8)):
            hours, minutes = int(at), round(at % 1 * 60)
            now = (FIRST + timedelta(days=day)).replace(hour=hours, minute=minutes)
            await energy.move_to(now.isoformat())
            if glass is None:
                glass = Glass(now)
            glass.wait(now)
            if day or at > 9:
                assert await energy_of(energy) == glass.energy
            for game in range(games):
                is_ranked = game % 3 == 1
                mode = {"mode": "ranked" if is_ranked else "casual"}
                response = await energy.send(user, 1, "plays", attributes=mode)
                assert response.status_code == (201 if glass.play(is_ranked=is_ranked) else 422), response.text
                refused += response.status_code == 422
                assert await energy_of(energy) == glass.energy
    assert glass is not None
    assert refused > 50
    assert (await energy.totals())["plays"] == glass.plays
    gained = await energy.send_ok("sam", 2, "gems")
    assert gained["points"]["energy"]["added"] == min(20, FULL - glass.energy)


async def test_a_game_that_is_refused_leaves_nothing(energy: Api) -> None:
    for _ in range(6):
        await energy.send_ok("sam", 1, "plays")
    response = await energy.send({"id": "sam", "name": "Sam"}, 1, "plays", key="again")
    assert response.status_code == 422
    assert "points.energy" in response.json()["error"]
    assert (await energy.user())["name"] is None
    assert (await energy.totals())["plays"] == 6
    await energy.send_ok("sam", 1, "gems")
    response = await energy.send("sam", 1, "plays", key="again")
    assert (response.status_code, response.json()["idempotentReplayed"]) == (201, False)
