"""Leaderboards through the official SDK, on examples/fitness.toml."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from trophy import TrophyApi, UpsertedUser  # type: ignore[import-untyped]
from trophy.errors import NotFoundError, UnprocessableEntityError  # type: ignore[import-untyped]

from tests.sdk.conftest import ADMIN_KEY, Deployment

CATALOG = Path(__file__).parents[2] / "examples" / "fitness.toml"
TODAY = date(2040, 1, 2)
"""After anything that the machine's clock may say."""


@pytest.fixture(scope="module")
def league(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A server with the fitness catalog, and three who have run: ada and bob are subscribers, cyd is not."""
    deployment = Deployment(tmp_path_factory.mktemp("sdk") / "data", "--test-clock", catalog=CATALOG)
    moved = httpx.put(
        f"{deployment.server.url}/admin/v1/clock", json={"now": f"{TODAY}T12:00:00Z"}, headers={"X-API-KEY": ADMIN_KEY}
    )
    assert moved.status_code == 200, moved.text
    with httpx.Client() as connections:
        client = TrophyApi(api_key=ADMIN_KEY, environment=deployment.environment, httpx_client=connections)
        for user, plan, km in (("ada", "pro", 10.5), ("bob", "pro", 12), ("cyd", "free", 11)):
            run(client, user, km, plan)
            client.metrics.event(key="workouts", user=UpsertedUser(id=user), value=1)
    yield deployment
    assert deployment.server.stop() == 0, deployment.server.errors


@pytest.fixture
def coach(league: Deployment) -> Iterator[TrophyApi]:
    """The SDK's client, with the admin key."""
    with httpx.Client() as connections:
        yield TrophyApi(api_key=ADMIN_KEY, environment=league.environment, httpx_client=connections)


def run(client: TrophyApi, user: str, km: float, plan: str) -> Any:
    who = UpsertedUser(id=user, name=user.title(), attributes={"plan": plan})
    return client.metrics.event(key="km", user=who, value=km, attributes={"sport": "run"})


def test_all_leaderboards(coach: TrophyApi) -> None:
    boards = coach.leaderboards.all_(include_finished=True)
    assert [(board.key, board.rank_by, board.status) for board in boards] == [
        ("xp-this-month", "points", "active"),
        ("streaks", "streak", "active"),
        ("km-by-plan", "metric", "active"),
    ]
    xp, streaks, km = boards
    assert (xp.points_system_key, xp.points_system_name, xp.run_unit, xp.run_interval) == (
        "xp",
        "Experience",
        "month",
        1,
    )
    assert (xp.max_participants, streaks.max_participants, streaks.run_unit) == (100, None, None)
    assert (km.metric_key, km.metric_name, km.breakdown_attributes) == ("km", "Distance", ["plan"])
    assert (km.start, km.end, km.user_attributes) == ("2026-01-01", None, [])


def test_one_leaderboard_with_its_rankings(coach: TrophyApi) -> None:
    board = coach.leaderboards.get("km-by-plan", user_attributes="plan:pro")
    assert [(each.rank, each.user_id, each.user_name, each.value) for each in board.rankings] == [
        (1, "bob", "Bob", 12),
        (2, "ada", "Ada", 10),
    ]
    assert [each.user_id for each in coach.leaderboards.get("km-by-plan", user_attributes="plan:free").rankings] == [
        "cyd"
    ]
    assert {each.user_id for each in coach.leaderboards.get("streaks").rankings} >= {"ada", "bob", "cyd"}
    points = coach.leaderboards.get("xp-this-month", limit=2, offset=1, run=str(TODAY))
    assert [each.rank for each in points.rankings] == [2, 3]
    mine = coach.leaderboards.get("km-by-plan", user_attributes="plan:pro", user_id="ada", limit=1)
    assert [each.user_id for each in mine.rankings] == ["ada"]


def test_what_is_not_there_and_what_makes_no_sense(coach: TrophyApi) -> None:
    for ask in (coach.leaderboards.get, lambda key: coach.users.leaderboard("ada", key)):
        with pytest.raises(NotFoundError):
            ask("nothing")
    with pytest.raises(NotFoundError):
        coach.leaderboards.get("xp-this-month", run="2025-12-31")
    for wrong in ({"limit": 101}, {"offset": -1}, {"user_attributes": "plan:pro"}, {"run": "today"}):
        with pytest.raises(UnprocessableEntityError):
            coach.leaderboards.get("xp-this-month", **wrong)


def test_the_place_of_a_user(coach: TrophyApi) -> None:
    place = coach.users.leaderboard("ada", "km-by-plan", num_events=1)
    assert (place.key, place.rank, place.value) == ("km-by-plan", 2, 10)
    [today] = place.history
    assert (str(today.date), today.rank, today.value) == (str(TODAY), 2, 10)
    assert (today.previous_rank, today.previous_value) == (None, None)
    assert coach.users.leaderboard("ada", "streaks", num_events=0).history == []
    with pytest.raises(UnprocessableEntityError):
        coach.users.leaderboard("ada", "streaks", num_events=101)


def test_an_event_says_what_it_did_to_the_ranks(coach: TrophyApi) -> None:
    response = run(coach, "eve", 11, "basic")
    km = response.leaderboards["km-by-plan"]
    assert (km.rank, km.previous_rank, km.threshold) == (1, None, 1)
    assert km.breakdown_attribute_value == "basic"
    assert [(each.key, each.value) for each in km.breakdown_attribute_values] == [("plan", "basic")]
    xp = response.leaderboards["xp-this-month"]
    assert (xp.start, xp.end, xp.rank, xp.previous_rank) == ("2040-01-01", "2040-01-31", 4, None)
    xp = run(coach, "eve", 20, "basic").leaderboards["xp-this-month"]
    assert (xp.rank, xp.previous_rank) == (1, 4)
