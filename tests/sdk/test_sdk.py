"""The official SDK against a server as an operator starts it: everything here has been through the SDK's models."""

from datetime import UTC, datetime

import httpx
import pytest
from trophy import AsyncTrophyApi, TrophyApi, UpsertedUser  # type: ignore[import-untyped]
from trophy.core.api_error import ApiError  # type: ignore[import-untyped]
from trophy.errors import NotFoundError, UnauthorizedError, UnprocessableEntityError  # type: ignore[import-untyped]

from tests.sdk.conftest import ADMIN_KEY, Deployment


def test_a3_an_event_and_all_it_did(client: TrophyApi) -> None:
    response = client.metrics.event(
        "lessons", user=UpsertedUser(id="ada", tz="Europe/London"), value=10, attributes={"subject": "maths"}
    )
    assert response.total == 10
    assert [achievement.name for achievement in response.achievements] == ["First steps", "Getting into it"]
    assert response.achievements[1].metric_value == 10
    assert (response.current_streak.length, response.current_streak.extended) == (1, True)
    xp = response.points["xp"]
    assert (xp.total, xp.added) == (150, 150)
    assert [(award.awarded, award.total, award.trigger.metric_threshold) for award in xp.awards] == [
        (50, 150, 10),
        (100, 100, 1),
    ]
    assert response.leaderboards.keys() <= {"lessons-this-week"}  # not before all users are in
    assert (response.idempotency_key, response.idempotent_replayed) == (None, None)


def test_a6_an_event_with_an_idempotency_key(client: TrophyApi) -> None:
    user = UpsertedUser(id="grace")
    raw = client.metrics.with_raw_response
    responses = [raw.event("pages", user=user, value=20, idempotency_key="once") for _ in range(2)]
    assert [response.status_code for response in responses] == [201, 202]
    first, again = (response.data for response in responses)
    assert (first.idempotency_key, first.idempotent_replayed, first.points["xp"].added) == ("once", False, 5)
    assert (again.idempotency_key, again.idempotent_replayed, again.points) == ("once", True, {})
    assert (again.event_id, again.total) == (first.event_id, 20)


def test_a5_a_user(client: TrophyApi) -> None:
    sent = UpsertedUser(
        id="two words",
        email="user@example.org",
        name="Zoë",
        tz="America/New_York",
        sign_up_date="2020-02-29",
        device_tokens=["token"],
        subscribe_to_emails=True,
        attributes={"plan": "pro"},
    )
    client.metrics.event("lessons", user=sent, value=1)
    user = client.users.get("two words")
    for field in ("id", "email", "name", "tz", "sign_up_date", "device_tokens", "subscribe_to_emails", "attributes"):
        assert getattr(user, field) == getattr(sent, field)
    assert user.control is False
    assert user.created == user.updated
    assert abs((datetime.now(UTC) - user.created).total_seconds()) < 60


def test_a5_a_user_of_whom_only_the_id_is_known(client: TrophyApi) -> None:
    client.metrics.event("lessons", user=UpsertedUser(id="nameless", name=None, attributes=None), value=0.5)
    user = client.users.get("nameless")
    assert (user.name, user.email, user.tz, user.device_tokens, user.sign_up_date) == (None,) * 5
    assert (user.attributes, user.subscribe_to_emails) == ({}, False)


def test_a10_all_metrics(client: TrophyApi) -> None:
    for _ in range(3):
        client.metrics.event("study-hours", user=UpsertedUser(id="alan"), value=0.1)
    metrics = {metric.key: metric for metric in client.users.all_metrics("alan")}
    assert list(metrics) == ["lessons", "pages", "study-hours"]
    assert [metric.current for metric in metrics.values()] == [0, 0, 0.3]
    deep = metrics["study-hours"].achievements[0]
    assert (deep.name, deep.metric_value, deep.achieved_at) == ("Deep work", 25.5, None)


def test_errors_have_the_types_that_the_sdk_has_for_them(client: TrophyApi, deployment: Deployment) -> None:
    user = UpsertedUser(id="nobody")
    with pytest.raises(UnprocessableEntityError) as invalid:
        client.metrics.event("no-such-metric", user=user, value=1)
    assert "no-such-metric" in invalid.value.body["error"]
    with pytest.raises(UnprocessableEntityError, match="Invalid attribute keys: pln"):
        client.metrics.event("lessons", user=user, value=1, attributes={"pln": "x"})
    with pytest.raises(NotFoundError) as missing:
        client.users.all_metrics("nobody")
    assert missing.value.body == {"error": "User not found"}
    with pytest.raises(ApiError) as untyped:
        client.users.get("nobody")
    assert untyped.value.status_code == 404
    with httpx.Client() as connections:
        stranger = TrophyApi(api_key="wrong", environment=deployment.environment, httpx_client=connections)
        with pytest.raises(UnauthorizedError):
            stranger.metrics.event("lessons", user=user, value=1)
        with pytest.raises(UnauthorizedError):
            stranger.users.all_metrics("ada")


async def test_the_asynchronous_client(deployment: Deployment) -> None:
    async with httpx.AsyncClient() as connections:
        client = AsyncTrophyApi(api_key=ADMIN_KEY, environment=deployment.environment, httpx_client=connections)
        response = await client.metrics.event("lessons", user=UpsertedUser(id="edsger"), value=1, idempotency_key="k")
        assert (response.total, response.idempotent_replayed) == (1, False)
        assert (await client.users.get("edsger")).id == "edsger"
        assert (await client.users.all_metrics("edsger"))[0].current == 1
        with pytest.raises(NotFoundError):
            await client.users.all_metrics("nobody")
        with pytest.raises(UnprocessableEntityError):
            await client.metrics.event("no-such-metric", user=UpsertedUser(id="edsger"), value=1)


def test_everything_is_there_after_a_restart(client: TrophyApi, deployment: Deployment) -> None:
    users = [f"user-{number}" for number in range(6)]
    sent = [
        client.metrics.event("lessons", user=UpsertedUser(id=user, name=user), value=2, idempotency_key="k")
        for user in users
    ]
    before = [(client.users.get(user), client.users.all_metrics(user)) for user in users]
    deployment.restart()
    with httpx.Client() as connections:
        again = TrophyApi(api_key=ADMIN_KEY, environment=deployment.environment, httpx_client=connections)
        assert [(again.users.get(user), again.users.all_metrics(user)) for user in users] == before
        for user, first in zip(users, sent, strict=True):
            replayed = again.metrics.event("lessons", user=UpsertedUser(id=user), value=2, idempotency_key="k")
            assert (replayed.event_id, replayed.idempotent_replayed, replayed.total) == (first.event_id, True, 2)
            assert again.metrics.event("lessons", user=UpsertedUser(id=user), value=1).points["xp"].total == 30
