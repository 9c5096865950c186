"""`GET /admin/v1/events`."""

from itertools import product
from typing import Any

import pytest

from plaudit.actors.router import shard_of
from plaudit.engine.commands import Position
from plaudit.http.event_log import encode_cursor
from tests.http.conftest import SHARDS, Api
from tests.http.refusal import assert_error

PATH = "/admin/v1/events"
USERS = ["sam", "kim", "ann", "bea"]


async def read(api: Api, **parameters: str | int) -> Any:
    """A page that must be there."""
    response = await api.client.get(PATH, params=parameters)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    return response.json()


async def read_all(api: Api, **parameters: str | int) -> list[Any]:
    """The events of all pages."""
    events: list[Any] = []
    for _ in range(100):
        page = await read(api, **parameters)
        events += page["events"]
        if page["nextCursor"] is None:
            return events
        parameters["cursor"] = page["nextCursor"]
    raise AssertionError("no end")


async def send_some(api: Api) -> list[str]:
    """Send events of users on both shards, some in the same millisecond; returns their ids, newest first."""
    assert {shard_of(("", user), SHARDS) for user in USERS} == set(range(SHARDS))
    ids = []
    for day, user in product((2, 3, 4), USERS):
        api.clock.move_to(f"2026-03-0{day}T10:00:00.{USERS.index(user) // 2}+00:00")
        ids.append((await api.send_ok(user, metric="pages" if user == "kim" else "lessons"))["eventId"])
        if (day, user) in {(3, "sam"), (4, "sam")}:
            await api.checkpoint()
    return ids[::-1]


async def test_an_event_is_shown_with_all_that_it_did(api: Api) -> None:
    body = {"id": "sam", "tz": "Europe/Paris"}
    first = await api.send_ok(body, 1, attributes={"subject": "maths"}, key="order-4711")
    api.clock.move_to("2026-03-02T10:00:01.5+00:00")
    second = await api.send_ok("sam", 2.5)
    points = first["points"]["xp"]["awards"]
    for _ in range(2):
        assert await read(api) == {
            "events": [
                {
                    "id": second["eventId"],
                    "date": "2026-03-02T10:00:01.500Z",
                    "userId": "sam",
                    "metric": "lessons",
                    "value": 2.5,
                    "total": 3.5,
                    "attributes": {},
                    "achievements": ["third"],
                    "points": [
                        {
                            "system": "xp",
                            "triggerId": award["trigger"]["id"],
                            "awarded": award["awarded"],
                            "total": award["total"],
                        }
                        for award in reversed(second["points"]["xp"]["awards"])
                    ],
                    "streakExtended": False,
                    "idempotencyKey": None,
                },
                {
                    "id": first["eventId"],
                    "date": "2026-03-02T10:00:00.250Z",
                    "userId": "sam",
                    "metric": "lessons",
                    "value": 1,
                    "total": 1,
                    "attributes": {"subject": "maths"},
                    "achievements": ["first"],
                    "points": [{"system": "xp", "triggerId": points[0]["trigger"]["id"], "awarded": 10, "total": 10}],
                    "streakExtended": True,
                    "idempotencyKey": "order-4711",
                },
            ],
            "nextCursor": None,
        }
        await api.checkpoint()


async def test_nothing_has_happened(api: Api) -> None:
    assert await read(api) == {"events": [], "nextCursor": None}


async def test_what_was_refused_or_repeated_is_not_there(api: Api) -> None:
    await api.send("sam", 1, attributes={"unknown": "x"})
    await api.send_ok("sam", 1, key="k")
    await api.send("sam", 1, key="k")
    assert len((await read(api))["events"]) == 1


@pytest.mark.parametrize("limit", [1, 2, 5, 12, 13])
async def test_pages_of_all_shards_put_together_are_everything_newest_first(api: Api, limit: int) -> None:
    ids = await send_some(api)
    events = await read_all(api, limit=limit)
    assert sorted(event["id"] for event in events) == sorted(ids)
    dates = [event["date"] for event in events]
    assert dates == sorted(dates, reverse=True)
    for user in USERS:
        own = [event["id"] for event in events if event["userId"] == user]
        assert own == [event["id"] for event in await read_all(api, userId=user, limit=limit)]
        assert own == [id_ for id_ in ids if id_ in own]
    assert len((await read(api, limit=limit))["events"]) == min(limit, len(ids))


async def test_filters_can_be_combined(api: Api) -> None:
    await send_some(api)
    everything = (await read(api))["events"]
    bounds = [None, "2026-03-03T10:00:00Z", "2026-03-03T10:00:00.100Z", "2026-03-04"]
    for user, metric, start, end in product([None, "sam", "kim"], [None, "lessons", "pages"], bounds, bounds):
        named = {"userId": user, "metric": metric, "from": start, "to": end}
        expected = [
            event
            for event in everything
            if user in {None, event["userId"]}
            and metric in {None, event["metric"]}
            and (start is None or event["date"] >= full(start))
            and (end is None or event["date"] < full(end))
        ]
        parameters: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
        assert await read_all(api, **parameters) == expected, parameters


def full(moment: str) -> str:
    """An instant as events have it, which sorts as text."""
    return {10: f"{moment}T00:00:00.000Z", 20: f"{moment[:19]}.000Z", 24: moment}[len(moment)]


async def test_the_date_of_an_event_is_the_first_time_from_which_it_is_found(api: Api) -> None:
    """Every millisecond of it, in any time zone."""
    for ms in (0, 1, 9, 123, 509, 999):
        api.clock.move_to(f"2026-03-05T11:00:00.{ms:03}+01:00")
        sent = await api.send_ok("sam")
        date = f"2026-03-05T10:00:00.{ms:03}Z"
        [event] = (await read(api, **{"from": date}))["events"]
        assert (event["id"], event["date"]) == (sent["eventId"], date)
        assert event in (await read(api, **{"from": f"2026-03-05T11:00:00.{ms:03}+01:00"}))["events"]
        assert event not in (await read(api, to=date))["events"]


async def test_fifty_events_are_a_page(api: Api) -> None:
    for _ in range(51):
        await api.send_ok("sam")
    page = await read(api)
    assert len(page["events"]) == 50
    assert len((await read(api, cursor=page["nextCursor"]))["events"]) == 1
    assert len((await read(api, limit=200))["events"]) == 51


async def test_what_happens_between_pages_is_in_none_of_them(api: Api) -> None:
    await api.send_ok("sam")
    await api.send_ok("sam")
    page = await read(api, limit=1)
    await api.send_ok("sam")
    await api.checkpoint()
    [rest] = (await read(api, limit=5, cursor=page["nextCursor"]))["events"]
    assert rest["total"] == 1


REFUSED = [
    ("limit", "0"),
    ("limit", "201"),
    ("limit", "-1"),
    ("limit", "ten"),
    ("limit", ""),
    ("limit", "1e2"),
    ("limit", "٣"),
    ("limit", "9" * 5000),
    ("from", "yesterday"),
    ("from", ""),
    ("to", "2026-13-01"),
    ("to", "2" * 5000),
    ("to", "2026-03-02T25:00:00Z"),
    ("cursor", ""),
    ("cursor", "garbage"),
    ("cursor", "ключ"),
    ("cursor", encode_cursor(Position(1, 2, 3))[:-2]),
    ("cursor", encode_cursor(Position(2**63, 0, 0))),
    ("cursor", encode_cursor(Position(0, 0, 2**64 - 1))),
    ("cursor", encode_cursor(Position(-(2**63), 0, 0))),
    ("userId", ""),
    ("userId", "u" * 256),
    ("metric", "unknown"),
    ("metric", ""),
]


@pytest.mark.parametrize(("name", "value"), REFUSED, ids=[f"{name}={value[:20]}" for name, value in REFUSED])
async def test_what_makes_no_sense_is_refused_by_name(api: Api, name: str, value: str) -> None:
    await api.send_ok("sam")
    for user in ({}, {"userId": "sam"}):
        response = await api.client.get(PATH, params=user | {name: value})
        assert_error(response, 422, f"{name}:")


@pytest.mark.parametrize("query", ["userId=%ff", "%ff=1", "userId=sam&metric=%C3"])
async def test_a_query_that_is_no_text_is_refused(api: Api, query: str) -> None:
    assert_error(await api.client.get(f"{PATH}?{query}"), 422, "query:")


async def test_an_unknown_user_is_not_found(api: Api) -> None:
    await api.send_ok("sam")
    assert_error(await api.client.get(PATH, params={"userId": "kim"}), 404)
    assert_error(await api.client.get(PATH, params={"userId": "Sam"}), 404)
    assert (await read(api, userId="sam"))["events"] != []


@pytest.mark.parametrize("key", [None, "", "testkey1.another-body-of-a-key"])
async def test_nobody_reads_without_a_key(api: Api, key: str | None) -> None:
    del api.client.headers["X-API-KEY"]
    response = await api.client.get(PATH, headers={} if key is None else {"X-API-KEY": key})
    assert_error(response, 401)


async def test_it_can_only_be_read(api: Api) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert_error(await api.client.request(method, PATH), 405)
