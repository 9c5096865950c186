from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.http.conftest import Api
from tests.http.matching import A_UUID

CREATED = "2026-03-02T10:00:00.250Z"
LATER = "2026-03-02T11:30:00.000Z"
NEW: dict[str, Any] = {
    "id": "sam",
    "email": None,
    "name": None,
    "tz": None,
    "signUpDate": None,
    "deviceTokens": None,
    "subscribeToEmails": False,
    "attributes": {},
    "control": False,
    "created": CREATED,
    "updated": CREATED,
}
PROFILE: dict[str, Any] = {
    "email": "sam@example.org",
    "name": "Sam",
    "tz": "Europe/Paris",
    "signUpDate": "2025-12-31",
    "deviceTokens": ["one", "two"],
    "attributes": {"plan": "pro"},
}
STORED = NEW | PROFILE | {"subscribeToEmails": True}


async def test_a5_a_user_of_whom_only_the_id_is_known(api: Api) -> None:
    await api.send_ok("sam")
    response = await api.client.get("/v1/users/sam")
    assert response.headers["content-type"] == "application/json"
    assert response.json() == NEW


async def test_a5_a_whole_profile(api: Api) -> None:
    await api.send_ok({"id": "sam", **PROFILE})
    assert await api.user("sam") == STORED


async def test_a10_every_metric_with_its_achievements(api: Api) -> None:
    await api.send_ok("sam", 2.5)
    metrics = (await api.client.get("/v1/users/sam/metrics")).json()
    assert [(m["key"], m["name"], m["current"]) for m in metrics] == [
        ("lessons", "Lessons", 2.5),
        ("pages", "Pages", 0),
        ("hours", "Hours", 0),
    ]
    third = {
        "id": A_UUID,
        "key": "third",
        "name": "Third time",
        "trigger": "metric",
        "description": None,
        "badgeUrl": None,
        "userAttributes": [],
        "metricId": metrics[0]["id"],
        "metricValue": 3,
        "metricName": "Lessons",
        "eventAttributes": [],
        "achievedAt": None,
    }
    first = {"key": "first", "name": "First steps", "description": "Finish a lesson.", "metricValue": 1}
    first |= {"badgeUrl": "https://example.org/first.png", "achievedAt": CREATED}
    assert metrics[0] == {
        "id": A_UUID,
        "key": "lessons",
        "name": "Lessons",
        "status": "active",
        "current": 2.5,
        "achievements": [third | first, third],
    }
    assert [achievement["metricValue"] for achievement in metrics[2]["achievements"]] == [2.5]


@pytest.mark.parametrize("path", ["/v1/users/nobody", "/v1/users/nobody/metrics"])
async def test_q04_an_unknown_user_is_404_and_is_not_made_by_asking(api: Api, path: str) -> None:
    await api.send_ok("sam")
    for _ in range(2):
        response = await api.client.get(path)
        assert (response.status_code, response.json()) == (404, {"error": "User not found"})


@pytest.mark.parametrize(
    ("passed", "changed"),
    [
        ({}, {}),
        ({"name": "Samira"}, {"name": "Samira"}),
        ({"attributes": {"city": "Rome"}}, {"attributes": {"plan": "pro", "city": "Rome"}}),
        ({"attributes": {"plan": ""}}, {"attributes": {"plan": ""}}),
        ({"attributes": {}}, {}),
        ({"attributes": None}, {}),
        ({"name": None}, {"name": None}),
        ({"tz": None}, {"tz": None}),
        ({"email": None}, {"email": None, "subscribeToEmails": False}),
        ({"deviceTokens": None}, {"deviceTokens": None}),
        ({"deviceTokens": []}, {"deviceTokens": []}),
        ({"signUpDate": None}, {"signUpDate": None}),
        ({"signUpDate": "2026-01-01T23:30:00-05:00"}, {"signUpDate": "2026-01-02"}),
        ({"signUpDate": "2026-03-02"}, {"signUpDate": "2026-03-02"}),
        ({"subscribeToEmails": None}, {}),
        ({"subscribeToEmails": True}, {}),
        ({"subscribeToEmails": False}, {"email": None, "subscribeToEmails": False}),
        ({"subscribeToEmails": False, "email": "a@b.c"}, {"email": None, "subscribeToEmails": False}),
        ({"subscribedToEmails": False, "control": True, "created": "x"}, {}),
        ({"name": "Sam", "tz": "Europe/Paris"}, {}),
    ],
)
async def test_a3_2_an_event_updates_what_it_passes(api: Api, passed: dict[str, Any], changed: dict[str, Any]) -> None:
    await api.send_ok({"id": "sam", **PROFILE})
    api.clock.move_to(LATER)
    await api.send_ok({"id": "sam", **passed})
    assert await api.user("sam") == STORED | changed | {"updated": LATER if changed else CREATED}


async def test_q06_a_subscription_needs_an_address(api: Api) -> None:
    await api.send_ok({"id": "sam", "name": "Sam"})
    refused = await api.send({"id": "sam", "subscribeToEmails": True})
    assert (refused.status_code, "user.subscribeToEmails" in refused.json()["error"]) == (422, True)
    await api.send_ok({"id": "sam", "subscribeToEmails": True, "email": "sam@example.org"})
    assert (await api.user("sam"))["subscribeToEmails"] is True


async def test_q07_who_has_opted_out_stays_so_until_they_opt_in(api: Api) -> None:
    await api.send_ok({"id": "sam", "subscribeToEmails": False})
    await api.send_ok({"id": "sam", "email": "sam@example.org"})
    assert (await api.user("sam"))["email"] is None
    await api.send_ok({"id": "sam", "email": "sam@example.org", "subscribeToEmails": True})
    assert (await api.user("sam"))["email"] == "sam@example.org"


@pytest.mark.parametrize(
    "user_id",
    [
        "two words",
        "a/b",
        "/",
        "100%",
        "%2F",
        "a%20b",
        "a+b&c=d",
        "a?b#c",
        "Zoë 李 🎉",
        "metrics",
        "a/metrics",
        '"\\\n\x00',
        "x" * 255,
        "é" * 255,
    ],
)
async def test_an_id_may_be_any_string(api: Api, user_id: str) -> None:
    await api.send_ok({"id": user_id, "name": "the one"})
    path = f"/v1/users/{quote(user_id, safe='')}"
    user = await api.client.get(httpx.URL("http://plaudit.test", raw_path=path.encode()))
    assert (user.status_code, user.json()["id"], user.json()["name"]) == (200, user_id, "the one")
    metrics = await api.client.get(httpx.URL("http://plaudit.test", raw_path=f"{path}/metrics".encode()))
    assert (metrics.status_code, metrics.json()[0]["current"]) == (200, 1)


async def test_ids_are_compared_as_they_are_and_paths_decoded_once(api: Api) -> None:
    await api.send_ok("Sam")
    assert (await api.client.get("/v1/users/Sam%20")).status_code == 404
    assert (await api.client.get("/v1/users/sam")).status_code == 404
    assert (await api.client.get("/v1/users/%53am")).status_code == 200


async def test_users_are_all_there_after_a_restart(api: Api) -> None:
    await api.send_ok({"id": "sam", **PROFILE}, 3)
    await api.send_ok("kim", 0.25, "hours")
    before = [await api.user("sam"), await api.metrics("sam"), await api.user("kim"), await api.metrics("kim")]
    await api.close_shards()
    await api.open_shards()
    assert [await api.user("sam"), await api.metrics("sam"), await api.user("kim"), await api.metrics("kim")] == before
