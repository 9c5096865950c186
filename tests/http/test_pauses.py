"""`/admin/v1/streaks/pauses`."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from plaudit.actors.router import shard_of
from tests.http.conftest import SHARDS, Api
from tests.http.matching import A_UUID
from tests.http.refusal import assert_error
from tests.http.test_streak_admin import issue, post, unknown

PATH = "/admin/v1/streaks/pauses"


def pause(start: str | int, end: str | int, user: str = "sam") -> dict[str, Any]:
    """A pause's item; days are those of March 2026, or dates."""
    first, last = (f"2026-03-{day:02}" if isinstance(day, int) else day for day in (start, end))
    return {"userId": user, "start": first, "end": last}


async def create(api: Api, *items: Any) -> tuple[int, Any, Any]:
    """Create pauses; returns the status, what was created, and the issues."""
    response = await post(api, "pauses", *items)
    body = response.json()
    assert list(body) == ["created", "issues"]
    return response.status_code, body["created"], body["issues"]


async def create_ok(api: Api, *items: Any) -> list[str]:
    """Create pauses; returns their ids."""
    status, created, issues = await create(api, *items)
    assert (status, issues) == (201, [])
    return [each["id"] for each in created]


async def delete(api: Api, *ids: str) -> tuple[list[str], Any]:
    """Delete pauses; returns the ids of those that were, and the issues."""
    response = await api.client.delete(PATH, params={"ids": list(ids)})
    assert response.status_code == 200, response.text
    body = response.json()
    assert list(body) == ["deleted", "issues"]
    assert all(list(each) == ["id"] for each in body["deleted"])
    return [each["id"] for each in body["deleted"]], body["issues"]


def missing(id_: str) -> dict[str, Any]:
    return issue("error", "Streak pause not found by ID", id=id_)


async def test_b11_pauses_of_several_users(timed: Api) -> None:
    assert {shard_of(("", user), SHARDS) for user in ("sam", "ann")} == set(range(SHARDS))
    for user in ("sam", "ann"):
        await timed.send_ok(user)
    status, created, issues = await create(timed, pause(4, 6), pause(2, 2, "nobody"), pause(10, 10, "ann"))
    assert (status, issues) == (201, [unknown("nobody")])
    assert created == [
        {"id": A_UUID, "userId": "sam", "start": "2026-03-04", "end": "2026-03-06", "status": "active"},
        {"id": A_UUID, "userId": "ann", "start": "2026-03-10", "end": "2026-03-10", "status": "active"},
    ]
    assert created[0]["id"] != created[1]["id"]
    for each in created:
        shown = (await timed.streak(each["userId"]))["pauses"]
        assert shown == [{"id": each["id"], "start": each["start"], "end": each["end"]}]
    assert await create(timed, pause(2, 2, "nobody")) == (200, [], [unknown("nobody")])


async def test_a9_13_the_streak_stays_as_long_as_it_is(timed: Api) -> None:
    await timed.send_ok("sam")
    await create_ok(timed, pause(3, 5))
    assert (await timed.streak())["expires"] == "2026-03-06"
    await timed.move_to("2026-03-06T12:00:00Z")
    streak = await timed.streak(periods=5)
    assert (streak["length"], streak["expires"], streak["pauses"]) == (1, "2026-03-06", [])
    history = [(period["length"], period["usedPause"]) for period in streak["streakHistory"]]
    assert history == [(1, False), (1, True), (1, True), (1, True), (1, False)]
    await timed.move_to("2026-03-07T00:00:00Z")
    assert (await timed.streak())["length"] == 0


async def test_a_day_of_a_pause_may_count_all_the_same(timed: Api) -> None:
    await timed.send_ok("sam")
    await create_ok(timed, pause(3, 5))
    await timed.move_to("2026-03-04T12:00:00Z")
    assert (await timed.send_ok("sam"))["currentStreak"]["length"] == 2
    history = (await timed.streak(periods=3))["streakHistory"]
    assert [(period["length"], period["usedPause"]) for period in history] == [(1, False), (1, True), (2, False)]


async def test_today_is_the_users_own(timed: Api) -> None:
    await timed.send_ok({"id": "sam", "tz": "Pacific/Kiritimati"})
    await timed.send_ok({"id": "ann", "tz": "Pacific/Honolulu"})
    await timed.move_to("2026-03-03T10:30:00Z")
    [refused] = (await create(timed, pause(3, 3)))[2]
    assert (refused["userId"], refused["severity"], refused["message"][:7]) == ("sam", "error", "start: ")
    await create_ok(timed, pause(4, 4), pause(3, 3, "ann"))


BAD: list[tuple[Any, str, dict[str, Any]]] = [
    (pause(1, 4), "start: expected a date that is not before today in the user's time zone", {"userId": "sam"}),
    (pause(5, 4), "end: expected a date that is not before start", {"userId": "sam"}),
    (pause("2026-02-30", 4), "start: expected a date such as 2026-11-23, got '2026-02-30'", {"userId": "sam"}),
    (pause(4, "2026-3-5"), "end: expected a date such as 2026-11-23, got '2026-3-5'", {"userId": "sam"}),
    (pause("20260304", 5), "start: expected a date such as 2026-11-23, got '20260304'", {"userId": "sam"}),
    (pause("2026-W10-3", 5), "start: expected a date such as 2026-11-23, got '2026-W10-3'", {"userId": "sam"}),
    (pause("٢026-03-04", 5), "start: expected a date such as 2026-11-23, got '٢026-03-04'", {"userId": "sam"}),
    (pause("0000-01-01", 5), "start: expected a date such as 2026-11-23, got '0000-01-01'", {"userId": "sam"}),
    (pause(4, ""), "end: expected a date such as 2026-11-23, got ''", {"userId": "sam"}),
    (pause(4, "9999-12-31"), "end: expected a date before the year 9001", {"userId": "sam"}),
    (pause(4, "2026-03-05T00:00:00Z"), "end: expected a date such as", {"userId": "sam"}),
    (pause(4, "x" * 5000), "end: expected a date such as", {"userId": "sam"}),
    ({"userId": "sam", "start": "2026-03-04"}, "end: missing", {"userId": "sam"}),
    ({"userId": "sam", "start": 4, "end": 5}, "start: expected str, got int", {"userId": "sam"}),
    ({"start": "2026-03-04", "end": "2026-03-05"}, "userId: missing", {"index": 1}),
    (7, "expected object, got int", {"index": 1}),
]


@pytest.mark.parametrize(("item", "message", "subject"), BAD, ids=[str(item)[:60] for item, _, _ in BAD])
async def test_a12_one_bad_item_never_fails_the_request(
    api: Api, item: Any, message: str, subject: dict[str, Any]
) -> None:
    await api.send_ok("sam")
    status, created, issues = await create(api, pause(10, 11), item, pause(12, 12))
    assert (status, [each["start"] for each in created]) == (201, ["2026-03-10", "2026-03-12"])
    [found] = issues
    assert found["message"].startswith(message)
    assert found == issue("error", found["message"], **subject)
    assert len(found["message"]) < 200


async def test_q32e_pauses_do_not_overlap(timed: Api) -> None:
    await timed.send_ok("sam")
    await timed.send_ok("ann")
    status, created, issues = await create(
        timed, pause(4, 6), pause(4, 6), pause(6, 9), pause(2, 4), pause(7, 8), pause(4, 6, "ann")
    )
    assert (status, [each["start"][-2:] for each in created]) == (201, ["04", "07", "04"])
    assert [(each["userId"], each["severity"]) for each in issues] == [("sam", "error")] * 3
    assert [each["start"][-2:] for each in (await timed.streak())["pauses"]] == ["04", "07"]


async def test_b12_deleted_pauses_do_nothing(timed: Api) -> None:
    for user in ("sam", "ann"):
        await timed.send_ok(user)
    ids = await create_ok(timed, pause(3, 5), pause(8, 9), pause(3, 5, "ann"))
    assert await delete(timed, ids[2], ids[0]) == ([ids[2], ids[0]], [])
    assert [each["id"] for each in (await timed.streak())["pauses"]] == [ids[1]]
    assert (await timed.streak("ann"))["pauses"] == []
    await timed.move_to("2026-03-04T00:00:00Z")
    assert [(await timed.streak(user))["length"] for user in ("sam", "ann")] == [0, 0]


async def test_q32e_a_pause_under_way_ends_with_yesterday(timed: Api) -> None:
    await timed.send_ok("sam")
    [id_] = await create_ok(timed, pause(3, 9))
    await timed.move_to("2026-03-05T12:00:00Z")
    assert await delete(timed, id_) == ([id_], [])
    streak = await timed.streak(periods=4)
    assert (streak["length"], streak["expires"], streak["pauses"]) == (1, "2026-03-05", [])
    assert [period["usedPause"] for period in streak["streakHistory"]] == [False, True, True, False]
    await timed.move_to("2026-03-06T00:00:00Z")
    assert (await timed.streak())["length"] == 0


async def test_b12_what_cannot_be_deleted(timed: Api) -> None:
    await timed.send_ok("sam")
    over, later = await create_ok(timed, pause(2, 2), pause(8, 9))
    await timed.move_to("2026-03-03T12:00:00Z")
    unknown_id = str(uuid4())
    deleted, issues = await delete(timed, "not-a-uuid", unknown_id, over, later, later.upper())
    assert deleted == [later]
    assert issues == [
        issue("error", "id must be a valid UUID", id="not-a-uuid"),
        missing(unknown_id),
        missing(over),
        missing(later),
    ]
    assert await delete(timed, later) == ([], [missing(later)])
    assert await delete(timed, "x") == ([], [issue("error", "id must be a valid UUID", id="x")])


async def test_ids_may_be_repeated_or_listed(timed: Api) -> None:
    await timed.send_ok("sam")
    ids = await create_ok(timed, pause(3, 3), pause(4, 4), pause(5, 5))
    response = await timed.client.delete(f"{PATH}?ids={ids[0]},{ids[1]}&ids={ids[2].upper()}")
    assert response.json() == {"deleted": [{"id": each} for each in ids], "issues": []}


@pytest.mark.parametrize("query", ["", "ids=", "id=x", "ids=" + ",".join(["x"] * 101)])
async def test_anything_but_1_to_100_ids_is_refused(api: Api, query: str) -> None:
    assert_error(await api.client.delete(f"{PATH}?{query}"), 422, "ids: ")


async def test_pauses_are_found_after_a_restart(timed: Api) -> None:
    """Whether they are in the log or in the state of their shards."""
    for user in ("sam", "ann"):
        await timed.send_ok(user)
    ids = await create_ok(timed, pause(4, 5), pause(4, 5, "ann"), pause(7, 8), pause(7, 8, "ann"))
    before = [await timed.streak(user) for user in ("sam", "ann")]
    timed.kill_shards()
    await timed.open_shards()
    assert [await timed.streak(user) for user in ("sam", "ann")] == before
    assert (await delete(timed, *ids[:2])) == (ids[:2], [])
    await timed.close_shards()
    await timed.open_shards()
    assert (await delete(timed, *ids)) == (ids[2:], [missing(each) for each in ids[:2]])
    assert [(await timed.streak(user))["pauses"] for user in ("sam", "ann")] == [[], []]


async def test_the_pauses_of_a_deleted_user_are_gone(timed: Api) -> None:
    await timed.send_ok("sam")
    await timed.send_ok("ann")
    ids = await create_ok(timed, pause(4, 5), pause(4, 5, "ann"))
    await timed.checkpoint()
    response: httpx.Response = await timed.client.delete("/admin/v1/users/sam")
    assert response.status_code == 204
    assert await delete(timed, *ids) == ([ids[1]], [missing(ids[0])])
