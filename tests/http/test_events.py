import asyncio
from typing import Any

import pytest

from plaudit.actors.router import shard_of
from tests.http.conftest import SHARDS, Api
from tests.http.matching import A_UUID

AT = "2026-03-02T10:00:00.250Z"
"""When tests start, as a response writes it."""
FIRST = {
    "id": A_UUID,
    "key": "first",
    "name": "First steps",
    "trigger": "metric",
    "description": "Finish a lesson.",
    "badgeUrl": "https://example.org/first.png",
    "userAttributes": [],
    "metricId": A_UUID,
    "metricValue": 1,
    "metricName": "Lessons",
    "eventAttributes": [],
    "achievedAt": AT,
}
TRIGGER_EACH = {
    "id": A_UUID,
    "type": "metric",
    "points": 10,
    "status": "active",
    "userAttributes": [],
    "eventAttributes": [],
    "created": AT,
    "updated": AT,
    "metricId": A_UUID,
    "metricName": "Lessons",
    "metricThreshold": 1,
}
XP = {
    "id": A_UUID,
    "key": "xp",
    "name": "Experience",
    "description": "All your work.",
    "badgeUrl": None,
    "maxPoints": None,
    "total": 10,
    "added": 10,
    "awards": [{"id": A_UUID, "awarded": 10, "date": AT, "total": 10, "trigger": TRIGGER_EACH, "boosts": []}],
}
STREAK = {
    "length": 1,
    "frequency": "daily",
    "started": "2026-03-02",
    "periodStart": "2026-03-02",
    "periodEnd": "2026-03-02",
    "expires": "2026-03-03",
    "extended": True,
}


async def test_a3_the_whole_response_of_an_event(api: Api) -> None:
    response = await api.send("sam")
    assert response.status_code == 201
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "eventId": A_UUID,
        "metricId": A_UUID,
        "total": 1,
        "achievements": [FIRST],
        "currentStreak": STREAK,
        "points": {"xp": XP},
        "leaderboards": {},
    }
    assert ".0" not in response.text, "whole numbers are written as such"


async def test_ids_name_the_same_thing_everywhere(api: Api) -> None:
    first, other = await api.send_ok("sam"), await api.send_ok("kim")
    metric = (await api.metrics("sam"))["lessons"]
    trigger = first["points"]["xp"]["awards"][0]["trigger"]
    assert first["metricId"] == first["achievements"][0]["metricId"] == trigger["metricId"] == metric["id"]
    assert first["achievements"][0]["id"] == metric["achievements"][0]["id"]
    assert first["eventId"] != other["eventId"]
    assert first["points"]["xp"]["id"] == other["points"]["xp"]["id"]
    assert first["points"]["xp"]["awards"][0]["id"] != other["points"]["xp"]["awards"][0]["id"]


async def test_q37_awards_come_newest_first(api: Api) -> None:
    await api.send_ok("sam")
    xp = (await api.send_ok("sam", 2))["points"]["xp"]
    awards = [(award["trigger"]["metricThreshold"], award["awarded"], award["total"]) for award in xp["awards"]]
    assert awards == [(3, 50, 80), (1, 20, 30)]
    assert (xp["added"], xp["total"]) == (70, 80)


async def test_a7_only_what_this_event_completes_is_there_and_nothing_that_is_locked(api: Api) -> None:
    completed = [[a["key"] for a in (await api.send_ok("sam"))["achievements"]] for _ in range(4)]
    assert completed == [["first"], [], ["third"], []]
    several = await api.send_ok("kim", 5)
    assert [achievement["key"] for achievement in several["achievements"]] == ["first", "third"]


async def test_q18_ten_tenths_are_exactly_one(api: Api) -> None:
    responses = [await api.send("sam", 0.1) for _ in range(10)]
    assert '"total":0.9,' in responses[8].text
    assert '"total":1,' in responses[9].text
    assert [len(response.json()["achievements"]) for response in responses] == [0] * 9 + [1]
    assert [response.json()["currentStreak"]["length"] for response in responses] == [0] * 9 + [1]
    assert responses[9].json()["points"]["xp"]["added"] == 10


@pytest.mark.parametrize(
    ("values", "total"),
    [
        (["0.1", "0.2"], "0.3"),
        (["2.50"], "2.5"),
        (["-3", "1.25"], "-1.75"),
        (["1e-9"], "0.000000001"),
        (["1E3"], "1000"),
        (["0.0000000005", "0.0000000015"], "0.000000002"),
        (["-0.0"], "0"),
        (["1000000000000", "0.000000001"], "1000000000000.000000001"),
        (["123456789012.123456789"], "123456789012.123456789"),
        (["-1000000000000"], "-1000000000000"),
    ],
)
async def test_a5_1_totals_are_exact(api: Api, values: list[str], total: str) -> None:
    for value in values:
        body = f'{{"user":{{"id":"sam"}},"value":{value}}}'
        response = await api.client.post("/v1/metrics/hours/event", content=body)
    assert f'"total":{total},' in response.text
    assert f'"current":{total},' in (await api.client.get("/v1/users/sam/metrics")).text


async def test_a_negative_event_takes_nothing_back_but_the_total(api: Api) -> None:
    await api.send_ok("sam", 3)
    back = await api.send_ok("sam", -2.5)
    assert (back["total"], back["achievements"], back["points"]) == (0.5, [], {})
    assert back["currentStreak"] == STREAK | {"extended": False}
    achieved = {a["key"]: a["achievedAt"] for a in (await api.metrics("sam"))["lessons"]["achievements"]}
    assert achieved == {"first": AT, "third": AT}


async def test_q16_an_event_of_zero_makes_the_user_and_changes_nothing_else(api: Api) -> None:
    body = await api.send_ok("sam", 0)
    assert (body["total"], body["achievements"], body["points"]) == (0, [], {})
    assert (body["currentStreak"]["length"], body["currentStreak"]["extended"]) == (0, False)
    assert (await api.user("sam"))["id"] == "sam"


async def test_a5_3_only_affected_points_systems_are_there(api: Api) -> None:
    nothing_yet = await api.send_ok("sam", 19, "pages")
    crossing = await api.send_ok("sam", 1, "pages")
    capped = await api.send_ok("sam", 40, "pages")
    full = await api.send_ok("sam", 20, "pages")
    assert (nothing_yet["points"], full["points"]) == ({}, {})
    assert list(crossing["points"]) == list(capped["points"]) == ["coins"]
    changes = [(body["points"]["coins"]["added"], body["points"]["coins"]["total"]) for body in (crossing, capped)]
    assert changes == [(6, 6), (9, 15)]
    assert capped["points"]["coins"]["awards"][0]["awarded"] == 9
    assert capped["points"]["coins"]["maxPoints"] == 15
    assert capped["points"]["coins"]["badgeUrl"] == "https://example.org/coin.png"


@pytest.mark.parametrize("attributes", [{"subject": "maths"}, {"subject": ""}, {}, None])
async def test_a5_4_event_attributes_of_the_catalog_are_accepted(api: Api, attributes: dict[str, str] | None) -> None:
    body: dict[str, Any] = {"user": {"id": "sam"}, "value": 1, "attributes": attributes, "unheardOf": [1, None]}
    response = await api.client.post("/v1/metrics/lessons/event", json=body)
    assert response.status_code == 201


async def test_a5_5_events_at_the_same_time_all_count_on_every_shard(api: Api) -> None:
    users = [f"user-{number}" for number in range(8)]
    assert {shard_of(("", user), SHARDS) for user in users} == set(range(SHARDS))
    responses = await asyncio.gather(*(api.send(user, 0.5) for user in users * 20))
    assert {response.status_code for response in responses} == {201}
    assert len({response.json()["eventId"] for response in responses}) == 160
    totals = [response.json()["total"] for response in responses[:: len(users)]]
    assert totals == [number / 2 for number in range(1, 21)], "one user's events are answered in their order"
    assert [(await api.totals(user))["lessons"] for user in users] == [10] * 8
