"""Leaderboards over HTTP: lists, rankings, places, groups, runs, and the entries of events."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import httpx
import pytest

from plaudit.actors.messages import Reply
from plaudit.catalog_file import load_document
from plaudit.engine.commands import BoardRead
from tests.http.conftest import CATALOG, Api, prepared

MORE = """
[[leaderboards]]
key = "week"
name = "This week"
rank_by = "metric"
metric = "lessons"
start = 2026-03-02
run_unit = "day"
run_interval = 7

[[leaderboards]]
key = "few"
name = "The first three"
rank_by = "metric"
metric = "hours"
start = 2026-03-02
run_unit = "month"
max_participants = 3

[[leaderboards]]
key = "xp"
name = "Experience"
rank_by = "points"
points = "xp"
start = 2026-03-01

[[leaderboards]]
key = "streaks"
name = "Streaks"
rank_by = "streak"
start = 2026-03-01

[[leaderboards]]
key = "cities"
name = "Cities"
rank_by = "metric"
metric = "pages"
start = 2026-03-01
breakdown_attributes = ["city"]

[[leaderboards]]
key = "both"
name = "Plans and cities"
rank_by = "metric"
metric = "pages"
start = 2026-03-01
breakdown_attributes = ["plan", "city"]

[[leaderboards]]
key = "pro"
name = "Subscribers"
rank_by = "metric"
metric = "lessons"
start = 2026-03-01
user_attributes = { plan = "pro" }

[[leaderboards]]
key = "morning"
name = "Mornings"
rank_by = "metric"
metric = "lessons"
start = 2026-03-02
run_unit = "year"
start_time = "06:00"
end_time = "12:00"

[[leaderboards]]
key = "past"
name = "February"
rank_by = "metric"
metric = "lessons"
start = 2026-02-01
end = 2026-02-28

[[leaderboards]]
key = "soon"
name = "Easter"
rank_by = "metric"
metric = "lessons"
start = 2026-04-03
end = 2026-04-06

[[leaderboards]]
key = "off"
name = "Not yet"
rank_by = "streak"
status = "inactive"
"""


async def serve(api: Api) -> Api:
    path = api.data / "more.toml"
    path.write_text(CATALOG + MORE, "utf-8")
    await api._catalog.apply(load_document(path))
    await api.open_shards()
    return api


@pytest.fixture
async def boards() -> AsyncIterator[Api]:
    """A gateway with leaderboards of all kinds."""
    async with prepared() as api:
        yield await serve(api)


@pytest.fixture
async def timed_boards() -> AsyncIterator[Api]:
    """The same, with the server's test clock."""
    async with prepared(has_test_clock=True) as api:
        yield await serve(api)


async def ask(api: Api, path: str, **parameters: Any) -> httpx.Response:
    return await api.client.get(f"/v1/{path}", params=parameters)


async def get(api: Api, path: str, **parameters: Any) -> Any:
    response = await ask(api, path, **parameters)
    assert response.status_code == 200, response.text
    return response.json()


async def ranked(api: Api, key: str, **parameters: Any) -> list[tuple[int, str, int]]:
    """Rank, user and value of each ranking."""
    found = (await get(api, f"leaderboards/{key}", **parameters))["rankings"]
    return [(each["rank"], each["userId"], each["value"]) for each in found]


async def study(api: Api, metric: str = "lessons", /, **values: float) -> None:
    """An event of each user, in this order."""
    for user, value in values.items():
        await api.send_ok(user, value, metric)


def person(user_id: str, **attributes: str) -> dict[str, Any]:
    return {"id": user_id, "attributes": attributes}


# The list


async def test_a10_11_leaderboards_are_listed_in_order_of_creation(boards: Api) -> None:
    listed = await get(boards, "leaderboards")
    assert {board["key"]: board["status"] for board in listed} == {
        "week": "active",
        "few": "active",
        "xp": "active",
        "streaks": "active",
        "cities": "active",
        "both": "active",
        "pro": "active",
        "morning": "active",
        "soon": "scheduled",
    }
    assert [board["key"] for board in listed][:2] == ["week", "few"]
    everything = await get(boards, "leaderboards", includeFinished="true")
    assert [board["key"] for board in everything if board["status"] == "finished"] == ["past"]
    assert (await ask(boards, "leaderboards", includeFinished="yes")).status_code == 422


# Rankings


async def test_a10_12_a_leaderboard_with_its_rankings(boards: Api) -> None:
    await boards.send_ok({"id": "sam", "name": "Sam"}, 2)
    await study(boards, kim=5)
    found = await get(boards, "leaderboards/week")
    [definition] = [board for board in boards._catalog.catalog.leaderboards if board.key == "week"]
    assert found == {
        "id": definition.id,
        "name": "This week",
        "key": "week",
        "rankBy": "metric",
        "breakdownAttribute": None,
        "breakdownAttributes": [],
        "userAttributes": [],
        "description": None,
        "start": "2026-03-02",
        "end": None,
        "startTime": None,
        "endTime": None,
        "maxParticipants": None,
        "runUnit": "day",
        "runInterval": 7,
        "metricKey": "lessons",
        "metricName": "Lessons",
        "endsAt": "2026-03-09T00:00:00.000Z",
        "status": "active",
        "rankings": [
            {"userId": "kim", "userName": None, "rank": 1, "value": 5},
            {"userId": "sam", "userName": "Sam", "rank": 2, "value": 2},
        ],
    }


async def test_q45_who_was_first_is_ahead(boards: Api) -> None:
    await study(boards, sam=2, kim=1)
    await study(boards, kim=1)
    assert await ranked(boards, "week") == [(1, "sam", 2), (2, "kim", 2)]
    await study(boards, sam=-1)
    await study(boards, sam=1)
    assert await ranked(boards, "week") == [(1, "kim", 2), (2, "sam", 2)]


async def test_q46_only_who_has_something_is_on_the_board(boards: Api) -> None:
    await study(boards, sam=2, kim=0, ida=-3)
    assert await ranked(boards, "week") == [(1, "sam", 2)]
    await study(boards, sam=-2)
    assert await ranked(boards, "week") == []


async def test_q44_decimals_are_rounded_down_and_ranked_exactly(boards: Api) -> None:
    await study(boards, "hours", sam=2.25, kim=2.75)
    assert await ranked(boards, "few") == [(1, "kim", 2), (2, "sam", 2)]


async def test_a10_1_points_and_streaks_are_ranked(boards: Api) -> None:
    await study(boards, sam=1, kim=3)
    assert await ranked(boards, "xp") == [(1, "kim", 80), (2, "sam", 10)]
    assert await ranked(boards, "streaks") == [(1, "sam", 1), (2, "kim", 1)]


async def test_a10_10_only_users_who_match_take_part(boards: Api) -> None:
    await boards.send_ok(person("sam", plan="free"), 5)
    await boards.send_ok(person("kim", plan="pro"), 2)
    assert await ranked(boards, "pro") == [(1, "kim", 2)]
    await boards.send_ok(person("sam", plan="pro"), 1)
    await boards.send_ok(person("kim", plan="free"), 1)
    assert await ranked(boards, "pro") == [(1, "sam", 6)]


async def test_a10_7_only_what_happens_in_the_window_counts(timed_boards: Api) -> None:
    for at, value in (("10:30:00", 1), ("11:59:59", 2), ("12:00:00", 4)):
        await timed_boards.move_to(f"2026-03-02T{at}Z")
        await study(timed_boards, sam=value)
    await timed_boards.move_to("2026-03-03T05:59:59Z")
    await study(timed_boards, sam=8)
    await timed_boards.move_to("2026-03-03T06:00:00Z")
    await study(timed_boards, sam=16)
    assert await ranked(timed_boards, "morning") == [(1, "sam", 19)]


async def test_a10_12_pages_by_offset_and_limit(boards: Api) -> None:
    for value in range(1, 13):
        await boards.send_ok(f"u{value:02}", value)
    assert [rank for rank, _, _ in await ranked(boards, "week")] == list(range(1, 11))
    assert await ranked(boards, "week", offset=10) == [(11, "u02", 2), (12, "u01", 1)]
    assert await ranked(boards, "week", offset=3, limit=2) == [(4, "u09", 9), (5, "u08", 8)]
    assert await ranked(boards, "week", limit=0) == []
    assert await ranked(boards, "week", offset=12) == []
    assert len(await ranked(boards, "week", limit=1000)) == 12


async def test_a10_12_with_a_user_the_offset_is_from_their_position(boards: Api) -> None:
    for value in range(1, 8):
        await boards.send_ok(f"u{value}", value)
    assert await ranked(boards, "week", userId="u4", limit=2) == [(4, "u4", 4), (5, "u3", 3)]
    assert await ranked(boards, "week", userId="u4", offset=1, limit=2) == [(5, "u3", 3), (6, "u2", 2)]
    assert await ranked(boards, "week", userId="u4", offset=-1, limit=3) == [(3, "u5", 5), (4, "u4", 4), (5, "u3", 3)]
    assert await ranked(boards, "week", userId="u6", offset=-5, limit=2) == [(1, "u7", 7), (2, "u6", 6)]


async def test_a10_12_a_user_who_is_not_ranked_has_no_rankings(boards: Api) -> None:
    await study(boards, sam=2)
    await study(boards, "pages", kim=2)
    for user in ("nobody", "kim"):
        assert await ranked(boards, "week", userId=user) == []
    assert await ranked(boards, "soon", userId="sam") == []


@pytest.mark.parametrize(
    ("key", "parameters", "field"),
    [
        ("week", {"offset": -1}, "offset"),
        ("week", {"offset": "x"}, "offset"),
        ("week", {"offset": 10**9 + 1}, "offset"),
        ("week", {"limit": -1}, "limit"),
        ("week", {"limit": 1001}, "limit"),
        ("week", {"limit": "1.5"}, "limit"),
        ("few", {"limit": 4}, "limit"),
        ("week", {"run": "2026-3-2"}, "run"),
        ("week", {"run": "2026-02-30"}, "run"),
        ("week", {"userId": "x" * 300}, "userId"),
        ("week", {"userAttributes": "city:Oslo"}, "userAttributes"),
        ("cities", {}, "userAttributes"),
        ("cities", {"userAttributes": "plan:pro"}, "userAttributes"),
        ("cities", {"userAttributes": "city"}, "userAttributes"),
        ("cities", {"userAttributes": "city:Oslo,mood:good"}, "userAttributes"),
    ],
)
async def test_q13_q48_q50_what_makes_no_sense_is_refused(
    boards: Api, key: str, parameters: dict[str, Any], field: str
) -> None:
    response = await ask(boards, f"leaderboards/{key}", **parameters)
    assert (response.status_code, response.json()["error"].partition(":")[0]) == (422, field)


@pytest.mark.parametrize("key", ["none", "off"])
async def test_a10_3_unknown_and_inactive_ones_are_not_found(boards: Api, key: str) -> None:
    await study(boards, sam=1)
    for path in (f"leaderboards/{key}", f"users/sam/leaderboards/{key}"):
        response = await ask(boards, path)
        assert (response.status_code, response.json()) == (404, {"error": "Leaderboard not found"})


@pytest.mark.parametrize("run", ["2026-03-01", "2026-03-09", "2027-01-01"])
async def test_q49_a_run_that_is_not_there_is_not_found(boards: Api, run: str) -> None:
    await study(boards, sam=1)
    for path in ("leaderboards/week", "users/sam/leaderboards/week"):
        assert (await ask(boards, path, run=run)).status_code == 404


@pytest.mark.parametrize("path", ["leaderboards/week", "users/sam/leaderboards/week"])
async def test_what_the_leaderboards_shard_cannot_say_is_passed_on(
    boards: Api, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    await study(boards, sam=1)
    asked: list[BoardRead] = []

    def refuse(board: int, run: int, command: BoardRead) -> asyncio.Future[Reply]:
        assert (board, run) == (command.board, command.run)
        asked.append(command)
        reply = asyncio.get_running_loop().create_future()
        reply.set_result(Reply(503, b'{"error":"not yet"}'))
        return reply

    monkeypatch.setattr(boards.router, "board_call", refuse)
    response = await ask(boards, path, run="2026-03-05")
    assert (response.status_code, response.json()) == (503, {"error": "not yet"})
    assert [command.run for command in asked] == [date(2026, 3, 2).toordinal()]


# Groups


async def test_a10_9_groups_are_ranked_among_themselves(boards: Api) -> None:
    for user, city, pages in (("a", "Oslo", 3), ("b", "Oslo", 5), ("c", "Rome", 4)):
        await boards.send_ok(person(user, city=city), pages, "pages")
    await study(boards, "pages", nowhere=9)
    assert await ranked(boards, "cities", userAttributes="city:Oslo") == [(1, "b", 5), (2, "a", 3)]
    assert await ranked(boards, "cities", userAttributes="city:Rome") == [(1, "c", 4)]
    assert await ranked(boards, "cities", userAttributes="city:Paris") == []
    assert await ranked(boards, "cities", userAttributes="city:Oslo", userId="a") == [(2, "a", 3)]
    assert await ranked(boards, "cities", userAttributes="city:Rome", userId="a") == []
    assert await ranked(boards, "cities", userAttributes="city:Rome", userId="nowhere") == []


async def test_a10_9_who_moves_is_in_the_other_group(boards: Api) -> None:
    await boards.send_ok(person("a", city="Oslo"), 3, "pages")
    body = await boards.send_ok(person("a", city="Rome"), 1, "pages")
    assert body["leaderboards"]["cities"]["breakdownAttributeValue"] == "Rome"
    assert await ranked(boards, "cities", userAttributes="city:Oslo") == []
    assert await ranked(boards, "cities", userAttributes="city:Rome") == [(1, "a", 4)]


async def test_q50_what_a_filter_leaves_open_is_merged(boards: Api) -> None:
    for user, plan, city, pages in (("a", "pro", "Oslo", 3), ("b", "free", "Oslo", 5), ("c", "pro", "Rome", 4)):
        await boards.send_ok(person(user, plan=plan, city=city), pages, "pages")
    assert await ranked(boards, "both", userAttributes="city:Oslo") == [(1, "b", 5), (2, "a", 3)]
    assert await ranked(boards, "both", userAttributes="plan:pro") == [(1, "c", 4), (2, "a", 3)]
    assert await ranked(boards, "both", userAttributes="plan:pro,city:Oslo") == [(1, "a", 3)]


# Events


async def test_a10_13_an_event_says_where_it_has_taken_the_user(boards: Api) -> None:
    await study(boards, kim=5, ida=1)
    body = await boards.send_ok("sam", 2)
    week = body["leaderboards"]["week"]
    assert (week["start"], week["end"], week["status"]) == ("2026-03-02", "2026-03-08", "active")
    assert (week["rank"], week["previousRank"], week["threshold"]) == (2, None, 1)
    week = (await boards.send_ok("sam", 4))["leaderboards"]["week"]
    assert (week["rank"], week["previousRank"]) == (1, 2)


async def test_q55_an_event_has_all_boards_that_it_feeds(boards: Api) -> None:
    body = await boards.send_ok(person("sam", plan="pro", city="Oslo"), 1)
    assert set(body["leaderboards"]) == {"week", "xp", "streaks", "pro", "morning"}
    body = await boards.send_ok("sam", 1, "pages")
    assert set(body["leaderboards"]) >= {"cities", "both"}
    assert body["leaderboards"]["both"]["breakdownAttributeValues"] == [
        {"key": "plan", "value": "pro"},
        {"key": "city", "value": "Oslo"},
    ]


async def test_a10_8_q47_who_is_late_has_to_have_more(boards: Api) -> None:
    await study(boards, "hours", a=5, b=4, c=3)
    few = (await boards.send_ok("d", 3, "hours"))["leaderboards"]["few"]
    assert (few["rank"], few["previousRank"], few["threshold"]) == (None, None, 4)
    few = (await boards.send_ok("d", 1, "hours"))["leaderboards"]["few"]
    assert (few["rank"], few["previousRank"], few["threshold"]) == (3, None, 5)
    assert await ranked(boards, "few") == [(1, "a", 5), (2, "b", 4), (3, "d", 4)]
    place = await get(boards, "users/c/leaderboards/few")
    assert (place["rank"], place["value"]) == (None, None)


# Places


async def test_a10_14_a_user_has_a_place_and_a_history(timed_boards: Api) -> None:
    await study(timed_boards, sam=3)
    await timed_boards.move_to("2026-03-03T10:00:00Z")
    await study(timed_boards, kim=5)
    found = await get(timed_boards, "users/sam/leaderboards/week")
    assert (found["key"], found["status"], found["endsAt"]) == ("week", "active", "2026-03-09T00:00:00.000Z")
    assert (found["rank"], found["value"]) == (2, 3)
    assert found["history"] == [
        {
            "date": "2026-03-02",
            "timestamp": "2026-03-02T00:00:00.000Z",
            "previousRank": None,
            "rank": 1,
            "previousValue": None,
            "value": 3,
        },
        {
            "date": "2026-03-03",
            "timestamp": "2026-03-03T00:00:00.000Z",
            "previousRank": 1,
            "rank": 2,
            "previousValue": 3,
            "value": 3,
        },
    ]
    assert (await get(timed_boards, "users/sam/leaderboards/week", numEvents=1))["history"] == found["history"][1:]
    assert (await get(timed_boards, "users/sam/leaderboards/week", numEvents=0))["history"] == []


async def test_a10_14_who_is_not_on_the_board_has_neither_rank_nor_value(boards: Api) -> None:
    await study(boards, "pages", sam=1)
    for key in ("week", "cities", "soon", "past"):
        found = await get(boards, f"users/sam/leaderboards/{key}", numEvents=0)
        assert (found["key"], found["rank"], found["value"], found["history"]) == (key, None, None, [])


async def test_a_place_of_an_unknown_user_is_not_found(boards: Api) -> None:
    response = await ask(boards, "users/nobody/leaderboards/week")
    assert (response.status_code, response.json()) == (404, {"error": "User not found"})


@pytest.mark.parametrize("days", ["-1", "101", "x", "1.5", ""])
async def test_a10_14_the_number_of_days_is_from_0_to_100(boards: Api, days: str) -> None:
    response = await ask(boards, "users/sam/leaderboards/week", numEvents=days)
    assert (response.status_code, "numEvents" in response.json()["error"]) == (422, True)


# Runs


async def test_a10_2_a_run_begins_with_nothing_and_the_one_before_can_be_read(timed_boards: Api) -> None:
    await study(timed_boards, sam=3)
    await timed_boards.move_to("2026-03-09T10:00:00Z")
    assert await ranked(timed_boards, "week") == []
    await study(timed_boards, kim=1)
    assert await ranked(timed_boards, "week") == [(1, "kim", 1)]
    assert await ranked(timed_boards, "week", run="2026-03-08") == [(1, "sam", 3)]
    place = await get(timed_boards, "users/sam/leaderboards/week", run="2026-03-02", numEvents=0)
    assert (place["rank"], place["value"], place["endsAt"]) == (1, 3, "2026-03-09T00:00:00.000Z")


async def test_a10_6_days_are_those_of_each_user_until_the_run_is_final(timed_boards: Api) -> None:
    east, west = {"id": "east", "tz": "Pacific/Kiritimati"}, {"id": "west", "tz": "Etc/GMT+12"}
    await timed_boards.move_to("2026-03-08T10:00:00Z")
    await timed_boards.send_ok(east, 1)
    await timed_boards.move_to("2026-03-09T11:59:00Z")
    await timed_boards.send_ok(west, 2)
    assert await ranked(timed_boards, "week") == [(1, "east", 1)]
    assert await ranked(timed_boards, "week", run="2026-03-02") == [(1, "west", 2)]
    place = await get(timed_boards, "users/west/leaderboards/week", numEvents=0)
    assert (place["rank"], place["endsAt"]) == (1, "2026-03-09T00:00:00.000Z")
    await timed_boards.move_to("2026-03-09T12:00:00Z")
    assert await ranked(timed_boards, "week", run="2026-03-02") == [(1, "west", 2)]


async def test_a10_3_one_that_has_finished_can_still_be_read(timed_boards: Api) -> None:
    await timed_boards.move_to("2026-04-03T10:00:00Z")
    await study(timed_boards, sam=3)
    await timed_boards.move_to("2026-04-07T12:00:00Z")
    found = await get(timed_boards, "leaderboards/soon")
    assert (found["status"], [each["userId"] for each in found["rankings"]]) == ("finished", ["sam"])
    assert "soon" not in [board["key"] for board in await get(timed_boards, "leaderboards")]
    assert "soon" not in (await timed_boards.send_ok("sam"))["leaderboards"]


async def test_a_user_who_is_deleted_is_on_no_board(boards: Api) -> None:
    await study(boards, sam=3, kim=1)
    assert (await boards.client.delete("/admin/v1/users/sam")).status_code == 204
    assert await ranked(boards, "week") == [(1, "kim", 1)]
