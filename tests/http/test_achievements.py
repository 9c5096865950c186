"""Achievements: completing one on demand, and who has completed what."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from plaudit.catalog_file import load_document
from tests.http.conftest import CATALOG, Api, prepared

MORE = """
[[achievements]]
key = "hello"
name = "Hello"
trigger = "api"

[[achievements]]
key = "vip"
name = "VIP"
trigger = "api"
user_attributes = { plan = "pro" }

[[achievements]]
key = "shut"
name = "Shut"
trigger = "api"
status = "locked"

[[achievements]]
key = "hidden"
name = "Hidden"
trigger = "api"
status = "inactive"

[[achievements]]
key = "both"
name = "Both"
trigger = "achievement"
achievements = ["hello", "first"]

[[achievements]]
key = "maths"
name = "Mathematician"
metric = "lessons"
metric_value = 2
event_attributes = { subject = "maths" }

[[points]]
key = "gems"
name = "Gems"
triggers = [
    { key = "hello", type = "achievement", achievement = "hello", points = 5 },
    { key = "both", type = "achievement", achievement = "both", points = 7 },
]
"""
API_BASE = {"description", "badgeUrl", "userAttributes", "id", "key", "name", "trigger"}


@pytest.fixture
async def more() -> AsyncIterator[Api]:
    """A gateway with achievements of several kinds."""
    async with prepared() as api:
        path = api.data / "more.toml"
        path.write_text(CATALOG + MORE, "utf-8")
        await api._catalog.apply(load_document(path))
        await api.open_shards()
        yield api


async def complete(api: Api, key: str, user: str | dict[str, Any] = "sam") -> tuple[int, Any]:
    body = {"user": {"id": user} if isinstance(user, str) else user}
    response = await api.client.post(f"/v1/achievements/{key}/complete", json=body)
    return response.status_code, response.json()


async def listed(api: Api, path: str = "/v1/achievements", **parameters: str) -> dict[str, Any]:
    response = await api.client.get(path, params=parameters)
    assert response.status_code == 200, response.text
    return {achievement["key"]: achievement for achievement in response.json()}


async def test_a7_5_an_achievement_is_completed_once(more: Api) -> None:
    status, first = await complete(more, "hello", {"id": "sam", "name": "Sam"})
    assert status == 201
    assert first["achievement"].keys() == API_BASE | {"achievedAt"}
    assert first["achievement"]["achievedAt"] == "2026-03-02T10:00:00.250Z"
    gems = first["points"]["gems"]
    assert (gems["total"], gems["added"], [award["trigger"]["type"] for award in gems["awards"]]) == (
        5,
        5,
        ["achievement"],
    )
    more.clock.move_to("2026-03-03T10:00:00+00:00")
    status, again = await complete(more, "hello", {"id": "sam", "name": "Other"})
    assert status == 202
    assert again == first | {"points": {}}
    assert (await more.user())["name"] == "Sam"


@pytest.mark.parametrize("key", ["nothing", "first", "shut", "hidden"])
async def test_q40_what_cannot_be_completed_on_demand_is_not_found(more: Api, key: str) -> None:
    status, body = await complete(more, key)
    assert (status, "key" in body["error"]) == (404, True)
    assert (await more.client.get("/v1/users/sam")).status_code == 404


async def test_a7_8_it_is_for_users_with_the_attributes(more: Api) -> None:
    status, body = await complete(more, "vip")
    assert (status, "user.attributes" in body["error"]) == (422, True)
    assert (await complete(more, "vip", {"id": "sam", "attributes": {"plan": "pro"}}))[0] == 201


async def test_a7_6_a_composite_comes_with_the_last_that_it_needs(more: Api) -> None:
    await more.send_ok()
    _, body = await complete(more, "hello")
    assert [achievement["key"] for achievement in body["achievements"]] == ["both"]
    awards = body["points"]["gems"]["awards"]
    assert [(award["awarded"], award["total"]) for award in awards] == [(7, 12), (5, 5)]
    assert len({award["id"] for award in awards}) == 2


@pytest.mark.parametrize("body", [{}, {"user": {}}, {"user": {"id": ""}}, {"user": {"id": 5}}, []])
async def test_a_completion_without_a_user_is_refused(more: Api, body: Any) -> None:
    response = await more.client.post("/v1/achievements/hello/complete", json=body)
    assert response.status_code in {400, 422}
    assert response.json().keys() == {"error"}


async def test_a7_10_completions_and_rarity_are_those_of_all_shards(more: Api) -> None:
    for number in range(8):
        await more.send_ok(f"user-{number}", 3 if number < 2 else 1)
    await complete(more, "hello", "user-9")
    found = await listed(more)
    assert [(each["completions"], each["rarity"]) for each in found.values()][:2] == [(8, 88.89), (2, 22.22)]
    assert (found["hello"]["completions"], found["both"]["rarity"]) == (1, 0)
    assert list(found) == ["first", "third", "deep", "hello", "vip", "both", "maths"]


async def test_a7_10_nobody_is_rare_where_nobody_is(more: Api) -> None:
    assert {each["rarity"] for each in (await listed(more)).values()} == {0}


async def test_a7_11_those_for_users_with_certain_attributes(more: Api) -> None:
    assert "vip" not in await listed(more, userAttributes="plan:free")
    assert "vip" in await listed(more, userAttributes="plan:pro,city:Oslo")


@pytest.mark.parametrize(("text", "expected"), [("plan", "userAttributes"), ("pln:pro", "Invalid attribute keys: pln")])
async def test_q15_malformed_or_unknown_attributes_are_refused(more: Api, text: str, expected: str) -> None:
    response = await more.client.get("/v1/achievements", params={"userAttributes": text})
    assert (response.status_code, expected in response.json()["error"]) == (422, True)


async def test_a7_12_a_user_has_those_that_are_completed_or_all(more: Api) -> None:
    await more.send_ok("sam", 1, attributes={"subject": "maths"})
    completed = await listed(more, "/v1/users/sam/achievements")
    assert list(completed) == ["first"]
    assert completed["first"]["achievedAt"] is not None
    everything = await listed(more, "/v1/users/sam/achievements", includeIncomplete="true")
    assert list(everything) == ["first", "third", "deep", "hello", "both", "maths"]
    assert everything["maths"]["eventAttributes"] == [{"key": "subject", "value": "maths"}]
    assert everything["maths"]["eventAttribute"] == {"key": "subject", "value": "maths"}
    assert everything["third"]["achievedAt"] is None
    assert list(await listed(more, "/v1/users/sam/achievements", includeIncomplete="yes")) == ["first"]
    assert (await more.client.get("/v1/users/nobody/achievements")).status_code == 404


async def test_a7_8_events_that_match_have_a_total_of_their_own(more: Api) -> None:
    for subject, expected in (("maths", ["first"]), ("latin", []), ("maths", ["third", "maths"])):
        body = await more.send_ok("sam", 1, attributes={"subject": subject})
        assert [achievement["key"] for achievement in body["achievements"]] == expected


async def test_a_completion_survives_a_kill(more: Api) -> None:
    _, first = await complete(more, "hello")
    more.kill_shards()
    await more.open_shards()
    status, again = await complete(more, "hello")
    assert (status, again["completionId"]) == (202, first["completionId"])
    assert (await listed(more))["hello"]["completions"] == 1
