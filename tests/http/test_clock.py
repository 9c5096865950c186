"""`/admin/v1/clock`."""

from typing import Any

import httpx
import pytest

from tests.http.conftest import START, Api
from tests.http.refusal import assert_error

NOW = "2026-03-02T10:00:00.250Z"
"""`START`, as a response writes it."""


async def put(api: Api, now: object) -> httpx.Response:
    return await api.client.put("/admin/v1/clock", json={"now": now})


async def moved(api: Api, now: str) -> str:
    """The time after a move."""
    response = await put(api, now)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    assert list(response.json()) == ["now"]
    return str(response.json()["now"])


async def read(api: Api) -> Any:
    response = await api.client.get("/admin/v1/clock")
    assert response.status_code == 200, response.text
    return response.json()


async def last_event(api: Api) -> str:
    """When the newest event was."""
    response = await api.client.get("/admin/v1/events", params={"limit": 1})
    return str(response.json()["events"][0]["date"])


async def test_time_stands_still_until_it_is_moved(timed: Api) -> None:
    assert await read(timed) == {"now": NOW}
    await timed.send_ok()
    assert await last_event(timed) == NOW
    assert await moved(timed, "2026-03-02T10:00:00.251Z") == "2026-03-02T10:00:00.251Z"
    assert await read(timed) == {"now": "2026-03-02T10:00:00.251Z"}
    await timed.send_ok()
    assert await last_event(timed) == "2026-03-02T10:00:00.251Z"


@pytest.mark.parametrize(
    ("sent", "now"),
    [
        ("2027-03-14T12:00:00Z", "2027-03-14T12:00:00.000Z"),
        ("2027-03-14T12:00:00.123456+00:00", "2027-03-14T12:00:00.123Z"),
        ("2027-03-14T00:30:00.5+05:45", "2027-03-13T18:45:00.500Z"),
        ("2027-03-14T12:00:00-11:00", "2027-03-14T23:00:00.000Z"),
        ("2126-03-03T10:00:00.250Z", "2126-03-03T10:00:00.250Z"),
    ],
)
async def test_an_instant_is_taken_to_the_millisecond_in_any_offset(timed: Api, sent: str, now: str) -> None:
    assert await moved(timed, sent) == now


async def test_the_present_time_changes_nothing(timed: Api) -> None:
    assert await moved(timed, START) == NOW
    assert await moved(timed, "2026-03-02T11:00:00.250999+01:00") == NOW


async def test_time_does_not_go_back(timed: Api) -> None:
    for earlier in (
        "2026-03-02T10:00:00.249Z",
        "2026-03-02T12:00:00+02:30",
        "1970-01-01T00:00:00Z",
    ):
        assert_error(await put(timed, earlier), 422, "now: ", NOW)
    assert await read(timed) == {"now": NOW}


async def test_no_move_goes_farther_than_a_hundred_years(timed: Api) -> None:
    for far in ("2126-03-03T10:00:00.251Z", "9000-12-31T23:59:59.999Z"):
        assert_error(await put(timed, far), 422, "now: ", "100 years", NOW)
    assert await read(timed) == {"now": NOW}


@pytest.mark.parametrize(
    "now",
    [
        *("", "tomorrow", "2027-03-14", "2027-03-14T12:00:00", "2027-02-30T12:00:00Z", "12027-03-14T12:00:00Z"),
        *("1969-12-31T23:59:59Z", "1970-01-01T00:00:00+00:01", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59"),
        *("9001-01-01T00:00:00Z", "9000-12-31T23:59:59.999-00:01", "9999-12-31T23:59:59-23:59"),
        "2027-03-14T12:00:00Z" + "0" * 100,
        *(None, 1_800_000_000, True, ["2027-03-14T12:00:00Z"], {}),
    ],
)
async def test_what_is_no_instant_is_refused_by_name(timed: Api, now: object) -> None:
    assert_error(await put(timed, now), 422, "now: ")
    assert await read(timed) == {"now": NOW}


@pytest.mark.parametrize("body", [b"", b"now", b'"2027-03-14T12:00:00Z"', b"[]", b"{", b'{"now": "\xff"}', b"[" * 9999])
async def test_what_is_no_json_object_is_malformed(timed: Api, body: bytes) -> None:
    assert_error(await timed.client.put("/admin/v1/clock", content=body), 400, "body: ")


async def test_a_body_without_a_time_is_refused(timed: Api) -> None:
    response = await timed.client.put("/admin/v1/clock", json={"time": "2027-03-14T12:00:00Z"})
    assert_error(response, 422, "now: missing")


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_without_a_test_clock_the_route_is_as_unknown_as_any(api: Api, method: str) -> None:
    unknown = await api.client.request(method, "/admin/v1/clocks", json={"now": START})
    response = await api.client.request(method, "/admin/v1/clock", json={"now": START})
    assert (response.status_code, response.text) == (unknown.status_code, unknown.text)
    assert response.status_code == 404


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_the_clock_needs_a_key(timed: Api, method: str) -> None:
    timed.client.headers.pop("X-API-KEY")
    assert_error(await timed.client.request(method, "/admin/v1/clock", json={"now": START}), 401, "X-API-KEY")


async def test_what_is_due_has_happened_when_the_answer_comes(timed: Api) -> None:
    """Freezes are earned by nobody's request, and a streak ends by itself: on both shards."""
    await timed.change_streaks(
        freezes={"startCount": 0, "maxCount": 5, "autoEarnInterval": 2, "autoEarnAmount": 1}, customizationEnabled=False
    )
    users = [f"user-{n}" for n in range(8)]
    for user in users:
        await timed.send_ok({"id": user, "tz": "UTC"})
    assert await moved(timed, "2026-03-03T12:00:00Z")
    for user in users:
        await timed.send_ok(user)
        assert (await timed.streak(user))["length"] == 2
    assert await moved(timed, "2026-03-05T12:00:00Z")
    assert {(await timed.streak(user))["length"] for user in users} == {2}, "the freeze of the 4th"
    assert await moved(timed, "2026-03-20T12:00:00Z")
    assert {(await timed.streak(user))["length"] for user in users} == {0}
    assert timed.troubles == []


async def test_shards_that_are_killed_come_back_at_the_time_that_it_is(timed: Api) -> None:
    await timed.send_ok()
    await moved(timed, "2026-03-03T12:00:00Z")
    timed.kill_shards()
    await timed.open_shards()
    await timed.send_ok()
    assert await last_event(timed) == "2026-03-03T12:00:00.000Z"
    assert (await timed.streak())["length"] == 2
