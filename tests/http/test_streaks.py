"""`GET /v1/streaks`."""

from typing import Any

import pytest

from plaudit.actors.router import shard_of
from tests.http.conftest import SHARDS, Api
from tests.http.refusal import assert_error

PATH = "/v1/streaks"
USERS = [f"user-{number}" for number in range(6)]


async def read(api: Api, *users: str) -> Any:
    response = await api.client.get(PATH, params={"userIds": list(users)})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    return response.json()


async def send_some(api: Api) -> None:
    """Give the users streaks of 0, 1, 2, 0, 1, 2, by three days that end now."""
    assert {shard_of(("", user), SHARDS) for user in USERS} == set(range(SHARDS))
    for number in range(3):
        await api.move_to(f"2026-03-0{2 + number}T12:00:00Z")
        for position, user in enumerate(USERS):
            await api.send_ok(user, float(number + position % 3 >= 3))


async def test_a9_19_longest_first_and_equal_ones_in_the_order_asked(timed: Api) -> None:
    await send_some(timed)
    assert await read(timed, *USERS[:3]) == [
        {"userId": "user-2", "streakLength": 2, "extended": "2026-03-04T12:00:00.000Z"},
        {"userId": "user-1", "streakLength": 1, "extended": "2026-03-04T12:00:00.000Z"},
        {"userId": "user-0", "streakLength": 0, "extended": None},
    ]
    for users in (USERS, USERS[::-1], USERS[3:] + USERS[:3]):
        listed = [streak["userId"] for streak in await read(timed, *users)]
        assert listed == sorted(users, key=lambda user: -(int(user[-1]) % 3))


async def test_q32f_unknown_users_are_left_out_and_each_is_there_once(timed: Api) -> None:
    await send_some(timed)
    assert [streak["userId"] for streak in await read(timed, "user-1", "nobody", "user-1", "user-2")] == [
        "user-2",
        "user-1",
    ]
    assert await read(timed, "nobody") == []
    assert_error(await timed.client.get("/v1/users/nobody"), 404)


@pytest.mark.parametrize(
    "query", ["userIds=user-1&userIds=user-2", "userIds=user-1,user-2", "userIds=user-1%2Cuser-2,&userIds=,user-2"]
)
async def test_ids_may_be_repeated_or_listed(timed: Api, query: str) -> None:
    await send_some(timed)
    response = await timed.client.get(f"{PATH}?{query}")
    assert [streak["userId"] for streak in response.json()] == ["user-2", "user-1"]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "userIds=",
        "userIds=,",
        "userids=sam",
        "&".join(f"userIds=u{number}" for number in range(101)),
        "userIds=" + ",".join(["sam"] * 101),
        "userIds=" + "x" * 256,
    ],
    ids=["missing", "empty", "a comma", "misspelt", "101", "101 times the same", "too long"],
)
async def test_anything_but_1_to_100_ids_is_refused(api: Api, query: str) -> None:
    assert_error(await api.client.get(f"{PATH}?{query}"), 422, "userIds:")


async def test_a_hundred_users(api: Api) -> None:
    users = [f"u{number}" for number in range(100)]
    await api.send_ok("u7")
    await api.send_ok("u42")
    assert [streak["userId"] for streak in await read(api, *users)] == ["u7", "u42"]


@pytest.mark.parametrize("key", [None, "testkey1.another-body-of-a-key"])
async def test_nobody_reads_without_a_key(api: Api, key: str | None) -> None:
    del api.client.headers["X-API-KEY"]
    response = await api.client.get(f"{PATH}?userIds=sam", headers={} if key is None else {"X-API-KEY": key})
    assert_error(response, 401)
