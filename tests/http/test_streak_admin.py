"""`/admin/v1/streaks`: freezes, restoring and resetting; and what all batches have in common."""

from typing import Any

import httpx
import pytest

from plaudit.actors.router import shard_of
from tests.http.conftest import SHARDS, Api
from tests.http.refusal import assert_error

PATH = "/admin/v1/streaks"
FREEZES = {"startCount": 0, "maxCount": 2}
NAMES = {"freezes": "freezes", "pauses": "pauses", "restore": "users", "reset": "users"}


def issue(severity: str, message: str, **subject: Any) -> dict[str, Any]:
    """An issue, also as old SDKs expect it."""
    return {"severity": severity, "message": message, "level": severity, "reason": message, **subject}


def unknown(user_id: str) -> dict[str, Any]:
    return issue("error", "User does not exist", userId=user_id)


async def post(api: Api, action: str, *items: Any) -> httpx.Response:
    """Send a batch, which must be accepted."""
    response = await api.client.post(f"{PATH}/{action}", json={NAMES[action]: list(items)})
    assert response.status_code in {200, 201}, response.text
    assert response.headers["content-type"] == "application/json"
    return response


async def freeze(api: Api, *users: str) -> tuple[int, Any]:
    """Grant freezes; returns the status and the issues."""
    response = await post(api, "freezes", *({"userId": user} for user in users))
    assert list(response.json()) == ["issues"]
    return response.status_code, response.json()["issues"]


async def set_streaks(api: Api, action: str, *users: str) -> tuple[int, Any, Any]:
    """Restore or reset streaks; returns the status, for whom it was done, and the issues."""
    response = await post(api, action, *({"id": user} for user in users))
    name = {"restore": "restoredUsers", "reset": "resetUsers"}[action]
    assert list(response.json()) == [name, "issues"]
    return response.status_code, response.json()[name], response.json()["issues"]


async def test_b10_a_freeze_for_each_entry_up_to_the_maximum(timed: Api) -> None:
    await timed.change_streaks(freezes=FREEZES)
    await timed.send_ok("sam")
    await timed.send_ok("kim")
    assert {shard_of(("", user), SHARDS) for user in ("sam", "kim", "nobody")} == set(range(SHARDS))
    over = issue("warning", "Would exceed maximum freeze limit", userId="sam")
    assert await freeze(timed, "sam", "kim", "sam") == (201, [])
    assert [(await timed.streak(user))["freezes"] for user in ("sam", "kim")] == [2, 1]
    assert await freeze(timed, "sam", "nobody", "kim") == (201, [over, unknown("nobody")])
    assert await freeze(timed, "nobody", "sam") == (200, [unknown("nobody"), over])
    assert [(await timed.streak(user))["freezes"] for user in ("sam", "kim")] == [2, 2]


async def test_a_freeze_that_was_granted_is_spent(timed: Api) -> None:
    await timed.change_streaks(freezes=FREEZES)
    await timed.send_ok("sam")
    await freeze(timed, "sam")
    await timed.move_to("2026-03-04T09:00:00Z")
    streak = await timed.streak(periods=2)
    assert (streak["length"], streak["freezes"]) == (1, 0)
    assert [period["usedFreeze"] for period in streak["streakHistory"]] == [True, False]


async def test_without_freezes_none_can_be_granted(api: Api) -> None:
    await api.send_ok("sam")
    assert await freeze(api, "sam") == (200, [issue("warning", "Would exceed maximum freeze limit", userId="sam")])


async def test_b13_the_longest_streak_of_late_is_restored(timed: Api) -> None:
    for day in (2, 3, 4):
        await timed.move_to(f"2026-03-0{day}T12:00:00Z")
        await timed.send_ok("sam")
    await timed.send_ok("kim", 0)
    nothing = issue("warning", "No streak to restore", userId="kim")
    await timed.move_to("2026-03-08T12:00:00Z")
    assert (await timed.streak())["length"] == 0
    assert await set_streaks(timed, "restore", "sam", "kim", "nobody") == (201, ["sam"], [nothing, unknown("nobody")])
    streak = await timed.streak(periods=2)
    assert (streak["length"], [period["length"] for period in streak["streakHistory"]]) == (3, [0, 3])
    assert await set_streaks(timed, "restore", "kim", "sam") == (
        200,
        [],
        [nothing, issue("warning", "No streak to restore", userId="sam")],
    )
    await timed.move_to("2026-03-09T12:00:00Z")
    assert (await timed.send_ok("sam"))["currentStreak"]["length"] == 4


async def test_b14_a_streak_is_reset_to_zero(timed: Api) -> None:
    await timed.send_ok("sam")
    await timed.send_ok("kim", 0)
    await timed.move_to("2026-03-03T12:00:00Z")
    await timed.send_ok("sam")
    nothing = issue("warning", "No streak to reset", userId="kim")
    assert await set_streaks(timed, "reset", "sam", "kim", "nobody") == (200, ["sam"], [nothing, unknown("nobody")])
    assert await set_streaks(timed, "reset", "kim") == (200, [], [nothing])
    streak = await timed.streak(periods=2)
    assert (streak["length"], streak["started"], streak["extended"]) == (0, None, None)
    yesterday, today = streak["streakHistory"]
    assert (yesterday["length"], "resetAt" in yesterday) == (1, False)
    assert (today["length"], today["resetAt"]) == (0, "2026-03-03T12:00:00.000Z")
    assert (await timed.send_ok("sam"))["currentStreak"]["length"] == 1


async def test_what_was_done_is_there_after_a_restart(timed: Api) -> None:
    await timed.change_streaks(freezes=FREEZES)
    for user in ("sam", "kim"):
        await timed.send_ok(user)
    await freeze(timed, "sam", "kim")
    await set_streaks(timed, "reset", "kim")
    before = [await timed.streak(user) for user in ("sam", "kim")]
    timed.kill_shards()
    await timed.open_shards()
    assert [await timed.streak(user) for user in ("sam", "kim")] == before
    await timed.close_shards()
    await timed.open_shards()
    assert [await timed.streak(user) for user in ("sam", "kim")] == before


BAD_ITEMS: list[tuple[Any, str, dict[str, Any]]] = [
    ({}, "{id}: missing", {"index": 1}),
    ({"{id}": None}, "{id}: expected str, got null", {"index": 1}),
    ({"{id}": 7}, "{id}: expected str, got int", {"index": 1}),
    ({"{id}": ""}, "{id}: expected str of length >= 1", {"userId": ""}),
    ({"{id}": "x" * 256}, "{id}: expected str of length <= 255", {"userId": "x" * 256}),
    (None, "expected object, got null", {"index": 1}),
    ("sam", "expected object, got str", {"index": 1}),
    ([], "expected object, got array", {"index": 1}),
]


@pytest.mark.parametrize("action", ["freezes", "restore", "reset"])
@pytest.mark.parametrize(("item", "message", "subject"), BAD_ITEMS, ids=[message for _, message, _ in BAD_ITEMS])
async def test_a12_one_bad_item_never_fails_the_request(
    api: Api, action: str, item: Any, message: str, subject: dict[str, Any]
) -> None:
    name = "userId" if action == "freezes" else "id"
    if isinstance(item, dict):
        item = {key.format(id=name): value for key, value in item.items()}
    response = await post(api, action, {name: "a"}, item, {name: "b", "more": 1})
    assert (response.status_code, response.json()["issues"]) == (
        200,
        [unknown("a"), issue("error", message.format(id=name), **subject), unknown("b")],
    )


@pytest.mark.parametrize("action", NAMES)
@pytest.mark.parametrize("items", [None, {}, "sam", 1, [], [{"userId": "sam", "id": "sam"}] * 101])
async def test_a12_4_anything_but_1_to_100_items_is_refused(api: Api, action: str, items: Any) -> None:
    name = NAMES[action]
    await api.send_ok("sam")
    assert_error(await api.client.post(f"{PATH}/{action}", json={name: items}), 422, f"{name}: ")
    assert_error(await api.client.post(f"{PATH}/{action}", json={"other": []}), 422, f"{name}: missing")
    assert (await api.streak())["length"] == 1


@pytest.mark.parametrize("action", NAMES)
@pytest.mark.parametrize("content", ["", "[]", "null", "{", '{"%s": [{"id": ]}', b'{"%s": [{"id": "\xff"}]}'])
async def test_q02_what_is_no_json_object_is_400(api: Api, action: str, content: str | bytes) -> None:
    raw = content if isinstance(content, bytes) else content.encode()
    response = await api.client.post(f"{PATH}/{action}", content=raw.replace(b"%s", NAMES[action].encode()))
    assert_error(response, 400, "body: ")


@pytest.mark.parametrize("action", NAMES)
async def test_a_hundred_items(api: Api, action: str) -> None:
    item = {"start": "2026-03-02", "end": "2026-03-02"}
    users = [f"user-{number}" for number in range(100)]
    response = await post(api, action, *({"userId": user, "id": user, **item} for user in users))
    assert response.status_code == 200
    assert response.json()["issues"] == [unknown(user) for user in users]


@pytest.mark.parametrize("action", NAMES)
async def test_nobody_may_without_a_key(api: Api, action: str) -> None:
    assert_error(await api.client.get(f"{PATH}/{action}"), 405)
    del api.client.headers["X-API-KEY"]
    assert_error(await api.client.post(f"{PATH}/{action}", json={}), 401)
