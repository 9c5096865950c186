"""A month of one user of examples/fitness.toml, by the test clock, against a calculation on paper."""

from collections.abc import AsyncIterator
from datetime import date, timedelta
from fractions import Fraction
from math import ceil, floor
from pathlib import Path
from typing import Any

import pytest

from plaudit.catalog_file import load_document
from tests.http.conftest import Api, prepared

CATALOG = Path(__file__).parents[2] / "examples" / "fitness.toml"
FIRST = date(2027, 3, 1)
RESTED = 10
"""The day of the month without a workout: a freeze is spent on it."""
SUBSCRIBED = 12
"""The day from which on the plan is pro."""
FOUND = 16
"""The day on which the profile is complete."""
RUN = "1.1"


@pytest.fixture
async def fitness() -> AsyncIterator[Api]:
    """A server with the catalog, at the beginning of the month in Paris."""
    async with prepared(has_test_clock=True) as api:
        await api._catalog.apply(load_document(CATALOG))
        await api.open_shards()
        await api.move_to("2027-03-01T00:00:00+01:00")
        yield api


def boosted(day: int, points: int) -> int:
    """What points that are earned on a day come to."""
    spring, pro = day in {20, 21}, day >= SUBSCRIBED
    product = points * (2 if spring else Fraction(1)) * (Fraction(5, 4) if pro else Fraction(1))
    return ceil(product) if pro and not spring else floor(product)


def on_paper() -> dict[int, int]:
    """The points that each day brings."""
    earned, km, length = {}, Fraction(0), 0
    for day in range(1, 32):
        points = boosted(day, 25) if day == 1 else 0
        if day != RESTED:
            before, km, length = km, km + Fraction(RUN), length + 1
            points += boosted(day, 10)
            points += boosted(day, 50) if length % 7 == 0 else 0
            points += boosted(day, 15 * (km // 5 - before // 5))
            points += boosted(day, 100) if before < Fraction("21.0975") <= km else 0
        earned[day] = points
    return earned


async def get(api: Api, path: str, **parameters: Any) -> Any:
    response = await api.client.get(f"/v1/{path}", params=parameters)
    assert response.status_code == 200, response.text
    return response.json()


async def play(api: Api) -> dict[str, list[str]]:
    """The month; returns what was completed on each day, as its responses tell."""
    completed: dict[str, list[str]] = {}
    for day in range(1, 32):
        today = FIRST + timedelta(days=day - 1)
        await api.move_to(f"{today}T18:30:00+0{2 if today >= date(2027, 3, 28) else 1}:00")
        user: dict[str, Any] = {"id": "ida", "tz": "Europe/Paris"}
        if day == 1:
            user["signUpDate"] = "2026-03-15"
        if day == SUBSCRIBED:
            user["attributes"] = {"plan": "pro"}
        if day == FOUND:
            response = await api.client.post("/v1/achievements/profile-complete/complete", json={"user": user})
            assert response.status_code == 201
        if day != RESTED:
            for metric, value, attributes in (("workouts", 1, None), ("km", float(RUN), {"sport": "run"})):
                body = await api.send_ok(user, value, metric, attributes=attributes)
                for achievement in body["achievements"]:
                    completed.setdefault(str(today), []).append(achievement["key"])
    return completed


async def test_a_month_of_fitness_is_what_it_is_on_paper(fitness: Api) -> None:
    assert await play(fitness) == {
        "2027-03-01": ["first-workout"],
        "2027-03-07": ["one-week"],
        "2027-03-21": ["twenty-workouts", "half-marathon", "all-rounder"],
    }
    earned = on_paper()
    points = await get(fitness, "users/ida/points/xp", awards=100)
    assert points["total"] == sum(earned.values())
    assert points["level"]["key"] == ("legend" if points["total"] >= 1000 else "athlete")
    levels = await get(fitness, "points/xp/level-summary")
    assert [(each["level"]["key"], each["users"]) for each in levels if each["users"]] == [(points["level"]["key"], 1)]
    assert sum(award["awarded"] for award in points["awards"]) == points["total"]
    await check_summaries(fitness, earned)
    streak = await fitness.streak("ida", 31)
    assert streak["length"] == 30
    assert [period["periodStart"] for period in streak["streakHistory"] if period["usedFreeze"]] == ["2027-03-10"]
    achieved = {each["key"]: each for each in await get(fitness, "users/ida/achievements")}
    assert achieved["one-year"]["achievedAt"] == "2027-03-14T23:00:00.000Z"
    assert {each["rarity"] for each in achieved.values()} == {100}
    missing = await get(fitness, "users/ida/achievements", includeIncomplete="true")
    assert [each["key"] for each in missing if each["achievedAt"] is None] == ["trail-runner"]


async def check_summaries(api: Api, earned: dict[int, int]) -> None:
    """Day by day, from the point of view of the next month."""
    days = {"startDate": "2027-03-01", "endDate": "2027-03-31", "aggregation": "daily"}
    rows = await get(api, "users/ida/points/xp/event-summary", **days)
    assert [row["change"] for row in rows] == list(earned.values())
    assert rows[-1]["total"] == sum(earned.values())
    rows = await get(api, "users/ida/metrics/km/event-summary", **days)
    assert [row["change"] for row in rows] == [0 if day == RESTED else float(RUN) for day in earned]
    assert rows[-1] == {"date": "2027-03-31", "total": 33, "change": 1.1}
    weeks = await get(api, "users/ida/metrics/workouts/event-summary", **days | {"aggregation": "weekly"})
    assert [(row["date"], row["change"]) for row in weeks] == [
        ("2027-02-28", 6),
        ("2027-03-07", 6),
        ("2027-03-14", 7),
        ("2027-03-21", 7),
        ("2027-03-28", 4),
    ]


async def test_boosts_are_those_of_the_day_where_the_user_is(fitness: Api) -> None:
    await fitness.move_to("2027-03-19T22:59:00Z")
    await fitness.send_ok({"id": "ida", "tz": "Europe/Paris", "attributes": {"plan": "pro"}}, 1, "workouts")
    assert [boost["name"] for boost in await get(fitness, "users/ida/points/xp/boosts")] == ["Pro bonus"]
    await fitness.move_to("2027-03-19T23:00:00Z")
    assert [boost["name"] for boost in await get(fitness, "users/ida/points/xp/boosts")] == [
        "Spring weekend",
        "Pro bonus",
    ]
    [award] = (await fitness.send_ok("ida", 1, "workouts"))["points"]["xp"]["awards"]
    assert (award["awarded"], [boost["multiplier"] for boost in award["boosts"]]) == (25, [2, 1.25])
