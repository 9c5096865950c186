"""Achievements and points through the official SDK, on examples/fitness.toml."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from trophy import TrophyApi, UpsertedUser  # type: ignore[import-untyped]
from trophy.errors import NotFoundError, UnprocessableEntityError  # type: ignore[import-untyped]
from trophy.types import CreatePointsBoostRequestItem  # type: ignore[import-untyped]

from tests.sdk.conftest import ADMIN_KEY, Deployment

CATALOG = Path(__file__).parents[2] / "examples" / "fitness.toml"
TODAY = date(2040, 1, 2)
"""After the boosts that end, and anything that the machine's clock may say."""


@pytest.fixture(scope="module")
def gym(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A server with the fitness catalog."""
    deployment = Deployment(tmp_path_factory.mktemp("sdk") / "data", "--test-clock", catalog=CATALOG)
    moved = httpx.put(
        f"{deployment.server.url}/admin/v1/clock", json={"now": f"{TODAY}T12:00:00Z"}, headers={"X-API-KEY": ADMIN_KEY}
    )
    assert moved.status_code == 200, moved.text
    yield deployment
    assert deployment.server.stop() == 0, deployment.server.errors


@pytest.fixture
def coach(gym: Deployment) -> Iterator[TrophyApi]:
    """The SDK's client, with the admin key."""
    with httpx.Client() as connections:
        yield TrophyApi(api_key=ADMIN_KEY, environment=gym.environment, httpx_client=connections)


def run(client: TrophyApi, user: str, km: float) -> Any:
    return client.metrics.event(key="km", user=UpsertedUser(id=user), value=km, attributes={"sport": "run"})


def test_an_event_and_what_is_read_of_it(coach: TrophyApi) -> None:
    first = coach.metrics.event(key="workouts", user=UpsertedUser(id="ada"), value=1)
    assert [each.key for each in first.achievements] == ["first-workout"]
    xp = first.points["xp"]
    assert (xp.total, xp.added, [award.trigger.type for award in xp.awards]) == (35, 35, ["metric", "user_creation"])
    half = run(coach, "ada", 21.0975)
    assert [each.name for each in half.achievements] == ["Half a marathon"]
    assert (half.points["xp"].total, half.points["xp"].level) == (195, None)
    points = coach.users.points("ada", "xp", awards=2)
    assert points.total == half.points["xp"].total
    assert [award.awarded for award in points.awards] == [100, 60]
    assert points.level.key == "beginner"
    assert run(coach, "ada", 5).points["xp"].level.key == "athlete"
    metric = coach.users.single_metric("ada", "km")
    assert (metric.current, [each.key for each in metric.achievements]) == (26.0975, ["trail-runner", "half-marathon"])


def test_an_achievement_on_demand(coach: TrophyApi) -> None:
    done = coach.achievements.complete("profile-complete", user=UpsertedUser(id="bob", name="Bob"))
    again = coach.achievements.complete("profile-complete", user=UpsertedUser(id="bob"))
    assert done.achievement.achieved_at == again.achievement.achieved_at
    assert (done.completion_id, again.points) == (again.completion_id, {})
    with pytest.raises(NotFoundError):
        coach.achievements.complete("first-workout", user=UpsertedUser(id="bob"))


def test_achievements_with_their_rarity(coach: TrophyApi) -> None:
    coach.metrics.event(key="workouts", user=UpsertedUser(id="cid", attributes={"plan": "pro"}), value=1)
    everything = {each.key: each for each in coach.achievements.all_()}
    assert everything["first-workout"].completions >= 1
    assert 0 < everything["first-workout"].rarity <= 100
    assert everything["all-rounder"].user_attributes[0].value == "pro"
    assert "all-rounder" not in {each.key for each in coach.achievements.all_(user_attributes="plan:free")}
    assert [each.key for each in coach.users.achievements("cid")] == ["first-workout"]
    assert len(coach.users.achievements("cid", include_incomplete="true")) == len(everything)


def test_points_systems_and_summaries(coach: TrophyApi) -> None:
    system = coach.points.system("xp")
    assert [trigger.type for trigger in system.triggers] == [
        "user_creation",
        "metric",
        "metric",
        "streak",
        "achievement",
    ]
    assert [level.key for level in coach.points.levels("xp")] == ["beginner", "athlete", "legend"]
    assert len(coach.points.summary("xp")) == 11
    assert sum(each.users for each in coach.points.level_summary("xp")) == sum(
        each.users for each in coach.points.summary("xp", user_attributes="")
    )
    assert {boost.rounding for boost in coach.points.boosts("xp", include_finished=True)} <= {"down", "up"}
    for ask in (coach.points.system, coach.points.boosts, coach.points.levels, coach.points.summary):
        with pytest.raises(NotFoundError):
            ask("nothing")


def test_summaries_of_a_user(coach: TrophyApi) -> None:
    run(coach, "dot", 5.5)
    between = {"start_date": str(TODAY - timedelta(1)), "end_date": str(TODAY + timedelta(1)), "aggregation": "daily"}
    rows = coach.users.metric_event_summary("dot", "km", **between)
    assert (rows[-1].total, sum(row.change for row in rows)) == (5.5, 5.5)
    rows = coach.users.points_event_summary("dot", "xp", **between)
    assert rows[-1].total == 40
    with pytest.raises(UnprocessableEntityError):
        coach.users.metric_event_summary("dot", "km", **between | {"end_date": between["start_date"]})


def test_a_boost_of_one_user(coach: TrophyApi) -> None:
    run(coach, "eve", 1)
    item = CreatePointsBoostRequestItem(
        name="Own", start=str(TODAY - timedelta(1)), multiplier=3, user_id="eve", rounding="up"
    )
    made = coach.admin.points.boosts.create(coach.points.system("xp").id, request=[item])
    assert (made.issues, made.created[0].user_id) == ([], "eve")
    assert "Own" in [boost.name for boost in coach.users.points_boosts("eve", "xp")]
    assert run(coach, "eve", 4).points["xp"].added >= 45
