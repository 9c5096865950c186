"""`DELETE /admin/v1/users/{id}`."""

from urllib.parse import quote

import pytest

from tests.http.conftest import Api
from tests.http.refusal import assert_error

PATH = "/admin/v1/users"


async def test_a_user_is_deleted_once(api: Api) -> None:
    await api.send_ok({"id": "sam", "email": "sam@mail.example"}, 3)
    await api.send_ok("kim", 2)
    response = await api.client.delete(f"{PATH}/sam")
    assert (response.status_code, response.content) == (204, b"")
    assert "content-type" not in response.headers
    assert "content-length" not in response.headers
    for path in ("/v1/users/sam", "/v1/users/sam/metrics", "/admin/v1/events?userId=sam"):
        assert_error(await api.client.get(path), 404, "User not found")
    assert_error(await api.client.delete(f"{PATH}/sam"), 404, "User not found")
    assert (await api.totals("kim"))["lessons"] == 2
    assert [event["userId"] for event in (await api.client.get("/admin/v1/events")).json()["events"]] == ["kim"]


async def test_a_user_who_was_never_there_cannot_be_deleted(api: Api) -> None:
    assert_error(await api.client.delete(f"{PATH}/sam"), 404, "User not found")
    assert_error(await api.client.delete(f"{PATH}/"), 404)
    assert_error(await api.client.delete(PATH), 404)


async def test_a_user_who_comes_back_begins_anew(api: Api) -> None:
    before = await api.send_ok({"id": "sam", "name": "Sam", "attributes": {"plan": "pro"}}, 3, key="k")
    api.clock.move_to("2026-03-03T10:00:00+00:00")
    assert (await api.client.delete(f"{PATH}/sam")).status_code == 204
    after = await api.send_ok({"id": "sam"}, 1, key="k")
    assert before["eventId"] != after["eventId"]
    assert (after["total"], after["idempotentReplayed"]) == (1, False)
    assert [achievement["key"] for achievement in after["achievements"]] == ["first"]
    user = await api.user("sam")
    assert (user["name"], user["attributes"], user["created"]) == (None, {}, "2026-03-03T10:00:00.000Z")


@pytest.mark.parametrize("user", ["a/b", "a b", "ä", "a%2Fb", "..", "a?b", "a#b", "日本", "u" * 255])
async def test_any_user_can_be_deleted(api: Api, user: str) -> None:
    await api.send_ok(user)
    await api.send_ok("a")
    path = f"{PATH}/{quote(user, safe='')}".replace("..", "%2E%2E")
    assert (await api.client.delete(path)).status_code == 204
    assert_error(await api.client.delete(path), 404, "User not found")
    assert (await api.totals("a"))["lessons"] == 1


@pytest.mark.parametrize(("path", "field"), [(f"{PATH}/{'u' * 256}", "id:"), (f"{PATH}/%ff", "id:")])
async def test_what_is_no_id_is_refused(api: Api, path: str, field: str) -> None:
    assert_error(await api.client.delete(path), 422, field)


@pytest.mark.parametrize("key", [None, "testkey1.another-body-of-a-key"])
async def test_nobody_deletes_without_a_key(api: Api, key: str | None) -> None:
    await api.send_ok("sam")
    valid = api.client.headers.pop("X-API-KEY")
    assert_error(await api.client.delete(f"{PATH}/sam", headers={} if key is None else {"X-API-KEY": key}), 401)
    api.client.headers["X-API-KEY"] = valid
    assert (await api.user("sam"))["id"] == "sam"


async def test_a_deletion_survives_the_shard(api: Api) -> None:
    await api.send_ok("sam")
    await api.send_ok("kim")
    await api.checkpoint()
    assert (await api.client.delete(f"{PATH}/sam")).status_code == 204
    api.kill_shards()
    await api.open_shards()
    assert (await api.client.get("/v1/users/sam")).status_code == 404
    await api.close_shards()
    await api.open_shards()
    assert (await api.client.get("/v1/users/sam")).status_code == 404
    assert (await api.totals("kim"))["lessons"] == 1
