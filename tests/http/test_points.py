"""Points systems over HTTP: totals, awards, levels, boosts and summaries."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from plaudit.catalog_file import load_document
from tests.http.conftest import CATALOG, Api, prepared

MORE = """
[[points]]
key = "stars"
name = "Stars"
max_points = 600

[[points.triggers]]
key = "each"
metric = "hours"
metric_threshold = 1
points = 1

[[points.triggers]]
key = "back"
metric = "pages"
metric_threshold = 1
points = -1
block_if_out_of_points = true

[[points.triggers]]
key = "asleep"
metric = "hours"
metric_threshold = 1
points = 100
status = "inactive"

[[points.boosts]]
key = "past"
name = "Past"
start = 2026-02-01
end = 2026-02-28
multiplier = 3

[[points.boosts]]
key = "pro"
name = "Pro"
start = 2026-03-01
multiplier = 1.5
rounding = "nearest"
user_attributes = { plan = "pro" }

[[points.boosts]]
key = "soon"
name = "Soon"
start = 2026-03-03
end = 2026-03-03
multiplier = 2

[[points.levels]]
key = "gold"
name = "Gold"
points = 100

[[points.levels]]
key = "new"
name = "New"
points = 0
"""


@pytest.fixture
async def stars() -> AsyncIterator[Api]:
    """A gateway with a points system that has everything."""
    async with prepared() as api:
        path = api.data / "more.toml"
        path.write_text(CATALOG + MORE, "utf-8")
        await api._catalog.apply(load_document(path))
        await api.open_shards()
        yield api


async def get(api: Api, path: str, **parameters: Any) -> Any:
    response = await api.client.get(f"/v1/{path}", params=parameters)
    assert response.status_code == 200, response.text
    return response.json()


async def give(api: Api, user: str, system: str = "stars", **item: Any) -> Any:
    [definition] = [each for each in api._catalog.catalog.points_systems if each.key == system]
    body = [{"userId": user, "name": "Own", "start": "2026-03-01", "multiplier": 2} | item]
    return await api.client.post(f"/admin/v1/points/{definition.id}/boosts", json=body)


async def test_a8_21_a_user_has_a_total_a_level_and_awards(stars: Api) -> None:
    for hours in (99, 2):
        await stars.send_ok("sam", hours, "hours")
    found = await get(stars, "users/sam/points/stars")
    assert (found["key"], found["total"], found["level"]["key"], found["maxPoints"]) == ("stars", 101, "gold", 600)
    assert [(award["awarded"], award["total"]) for award in found["awards"]] == [(2, 101), (99, 99)]
    assert len((await get(stars, "users/sam/points/stars", awards=1))["awards"]) == 1
    assert (await get(stars, "users/sam/points/xp"))["level"] is None


async def test_a8_21_an_event_shows_the_level_only_if_it_changed(stars: Api) -> None:
    first = (await stars.send_ok("sam", 50, "hours"))["points"]["stars"]
    second = (await stars.send_ok("sam", 50, "hours"))["points"]["stars"]
    third = (await stars.send_ok("sam", 1, "pages"))["points"]["stars"]
    assert ("level" in first, second["level"]["key"], third["level"]["key"]) == (False, "gold", "new")


async def test_q33_an_event_that_costs_too_much_is_refused(stars: Api) -> None:
    response = await stars.send("sam", 1, "pages")
    assert (response.status_code, "points.stars" in response.json()["error"]) == (422, True)
    assert (await stars.client.get("/v1/users/sam")).status_code == 404


async def test_q60_a_system_shows_its_active_triggers(stars: Api) -> None:
    found = await get(stars, "points/stars")
    assert [trigger["points"] for trigger in found["triggers"]] == [1, -1]
    assert found["triggers"][0]["metricName"] == "Hours"
    assert found["triggers"][0]["eventAttributes"] == []


async def test_a8_24_levels_are_by_points(stars: Api) -> None:
    assert [level["key"] for level in await get(stars, "points/stars/levels")] == ["new", "gold"]


async def test_a8_23_users_are_counted_by_level(stars: Api) -> None:
    for user, hours in (("a", 1), ("b", 100), ("c", 600), ("d", 3)):
        await stars.send_ok(user, hours, "hours")
    await stars.send_ok("e")
    found = await get(stars, "points/stars/level-summary")
    assert [(each["level"]["key"], each["users"]) for each in found] == [("new", 3), ("gold", 2)]
    assert (await stars.client.get("/v1/points/xp/level-summary")).status_code == 422


async def test_a8_26_users_are_counted_by_ranges(stars: Api) -> None:
    assert [(each["from"], each["to"], each["users"]) for each in await get(stars, "points/stars/summary")][::10] == [
        (0, 0, 0),
        (10, 10, 0),
    ]
    for user, hours in (("a", 1), ("b", 100), ("c", 101), ("d", 560)):
        await stars.send_ok({"id": user, "attributes": {"plan": "free" if hours > 1 else "pro"}}, hours, "hours")
    await stars.send_ok("e")
    found = await get(stars, "points/stars/summary")
    assert len(found) == 11
    assert [(each["from"], each["to"], each["users"]) for each in found if each["users"]] == [
        (0, 0, 1),
        (1, 100, 2),
        (101, 200, 1),
        (501, 600, 1),
    ]
    for _ in range(2):
        pro = await get(stars, "points/stars/summary", userAttributes="plan:pro")
        assert [(each["from"], each["to"], each["users"]) for each in pro if each["users"]] == [(2, 2, 1)]
        await stars.checkpoint()


async def test_a8_18_boosts_for_all_are_listed_without_past_ones(stars: Api) -> None:
    found = await get(stars, "points/stars/boosts")
    assert [(boost["name"], boost["status"]) for boost in found] == [("Pro", "active"), ("Soon", "scheduled")]
    found = await get(stars, "points/stars/boosts", includeFinished="true")
    assert (found[0]["name"], found[0]["status"], found[0]["end"]) == ("Past", "finished", "2026-02-28")


async def test_a8_18_a_user_has_those_that_are_on(stars: Api) -> None:
    await stars.send_ok({"id": "sam", "attributes": {"plan": "pro"}}, 1, "hours")
    response = await give(stars, "sam")
    assert response.status_code == 201
    [created] = response.json()["created"]
    assert created == {
        "id": created["id"],
        "name": "Own",
        "status": "active",
        "start": "2026-03-01",
        "end": None,
        "multiplier": 2,
        "rounding": "down",
        "userId": "sam",
    }
    assert [boost["name"] for boost in await get(stars, "users/sam/points/stars/boosts")] == ["Pro", "Own"]
    [award] = (await stars.send_ok("sam", 1, "hours"))["points"]["stars"]["awards"]
    assert (award["awarded"], [boost["id"] for boost in award["boosts"]][1]) == (3, created["id"])
    for _ in range(2):
        stored = (await get(stars, "users/sam/points/stars"))["awards"][0]
        assert stored == award
        await stars.checkpoint()


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"userId": "nobody"}, "User does not exist"),
        ({"userId": None}, "userId: expected"),
        ({"userAttributes": [{"attributeId": "a", "attributeValue": "b"}]}, "userAttributes: expected none"),
        ({"multiplier": 1}, "multiplier: expected"),
        ({"multiplier": 100}, "multiplier: expected"),
        ({"multiplier": "1.5"}, "multiplier: expected"),
        ({"multiplier": 1e-10}, "multiplier: expected"),
        ({"start": "tomorrow"}, "start: expected"),
        ({"end": "2026-02-28"}, "end: expected"),
        ({"name": ""}, "name: expected"),
        ({"rounding": "sideways"}, "rounding: "),
    ],
)
async def test_a12_1_a_boost_that_is_wrong_is_an_issue(stars: Api, item: dict[str, Any], expected: str) -> None:
    await stars.send_ok("sam")
    response = await give(stars, "sam", **item)
    assert response.status_code == 200
    body = response.json()
    assert body["created"] == []
    assert [issue["message"][: len(expected)] for issue in body["issues"]] == [expected]


async def test_boosts_of_an_unknown_system_are_refused(stars: Api) -> None:
    body = [{"userId": "sam", "name": "Own", "start": "2026-03-01", "multiplier": 2}]
    for system, status in (("stars", 422), ("018f2b6e-0000-7000-8000-000000000001", 404)):
        assert (await stars.client.post(f"/admin/v1/points/{system}/boosts", json=body)).status_code == status


@pytest.mark.parametrize("path", ["points/none", "points/none/boosts", "points/none/levels", "points/none/summary"])
async def test_q43_an_unknown_system_is_not_found(stars: Api, path: str) -> None:
    await stars.send_ok("sam")
    assert (await stars.client.get(f"/v1/{path}")).status_code == 404
    assert (await stars.client.get(f"/v1/users/sam/{path}")).status_code == 404


@pytest.mark.parametrize("awards", ["0", "101", "-1", "x", "1.5", ""])
async def test_q13_awards_out_of_range_are_refused(stars: Api, awards: str) -> None:
    response = await stars.client.get("/v1/users/sam/points/stars", params={"awards": awards})
    assert (response.status_code, "awards" in response.json()["error"]) == (422, True)
