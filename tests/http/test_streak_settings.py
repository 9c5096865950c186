"""`/admin/v1/streaks/settings`."""

import asyncio
from typing import Any

import httpx
import pytest

from plaudit.actors.user_shard import UserShard
from tests.http.conftest import Api
from tests.http.refusal import assert_error

PATH = "/admin/v1/streaks/settings"
AT_FIRST = {
    "frequency": "daily",
    "evaluationMode": "OR",
    "customizationEnabled": False,
    "daysOff": [],
    "metrics": [{"key": "lessons", "threshold": 1}, {"key": "hours", "threshold": 2}],
    "freezes": None,
}
FREEZES = {"startCount": 1, "maxCount": 2, "autoEarnInterval": 7, "autoEarnAmount": 1}


async def patch(api: Api, **settings: Any) -> httpx.Response:
    return await api.client.patch(PATH, json=settings)


async def read(api: Api) -> Any:
    response = await api.client.get(PATH)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    return response.json()


async def test_b15_the_settings_are_those_of_the_catalog_file(api: Api) -> None:
    assert await read(api) == AT_FIRST


@pytest.mark.parametrize(
    ("sent", "changed"),
    [
        ({"frequency": "weekly"}, {}),
        ({"frequency": "monthly"}, {}),
        ({"evaluationMode": "AND"}, {}),
        ({"customizationEnabled": True}, {}),
        ({"daysOff": [6, 0]}, {"daysOff": [0, 6]}),
        ({"daysOff": [0, 1, 2, 3, 4, 5]}, {}),
        ({"metrics": [{"key": "pages", "threshold": 10_000}]}, {}),
        (
            {"metrics": [{"key": "pages", "threshold": 1, "name": "ignored"}]},
            {"metrics": [{"key": "pages", "threshold": 1}]},
        ),
        ({"freezes": FREEZES}, {}),
        (
            {"freezes": {"startCount": 0, "maxCount": 1}},
            {"freezes": {"startCount": 0, "maxCount": 1, "autoEarnInterval": None, "autoEarnAmount": None}},
        ),
        ({"freezes": {"startCount": 100, "maxCount": 100, "autoEarnInterval": 365, "autoEarnAmount": 10}}, {}),
        ({"freezes": None}, {}),
        ({"unknown": 1}, {"unknown": None}),
        (
            {"frequency": None, "evaluationMode": None, "customizationEnabled": None, "daysOff": None, "metrics": None},
            AT_FIRST,
        ),
        ({}, {}),
    ],
)
async def test_b16_what_is_sent_is_changed_and_the_rest_is_kept(
    api: Api, sent: dict[str, Any], changed: dict[str, Any]
) -> None:
    expected = {key: value for key, value in (AT_FIRST | sent | changed).items() if key in AT_FIRST}
    response = await patch(api, **sent)
    assert (response.status_code, response.json()) == (200, expected)
    assert await read(api) == expected


async def test_one_change_after_the_other_is_kept(api: Api) -> None:
    await api.change_streaks(freezes=FREEZES, daysOff=[3])
    await api.change_streaks(evaluationMode="AND")
    assert await read(api) == AT_FIRST | {"freezes": FREEZES, "daysOff": [3], "evaluationMode": "AND"}
    await api.change_streaks(freezes=None, daysOff=[])
    assert await read(api) == AT_FIRST | {"evaluationMode": "AND"}


@pytest.mark.parametrize(
    ("field", "sent"),
    [
        ("frequency", {"frequency": "yearly"}),
        ("frequency", {"frequency": 7}),
        ("evaluationMode", {"evaluationMode": "or"}),
        ("customizationEnabled", {"customizationEnabled": "yes"}),
        ("daysOff", {"daysOff": 0}),
        ("daysOff[1]", {"daysOff": [0, 7]}),
        ("daysOff[0]", {"daysOff": [-1]}),
        ("daysOff[0]", {"daysOff": [1.5]}),
        ("daysOff", {"daysOff": [1, 1]}),
        ("daysOff", {"daysOff": list(range(7))}),
        ("daysOff", {"frequency": "weekly", "daysOff": [1]}),
        ("metrics", {"metrics": []}),
        ("metrics[0].key", {"metrics": [{"threshold": 1}]}),
        ("metrics[0].key", {"metrics": [{"key": "steps", "threshold": 1}]}),
        ("metrics[1].key", {"metrics": [{"key": "pages", "threshold": 1}] * 2}),
        ("metrics[0].threshold", {"metrics": [{"key": "pages"}]}),
        ("metrics[0].threshold", {"metrics": [{"key": "pages", "threshold": 0}]}),
        ("metrics[0].threshold", {"metrics": [{"key": "pages", "threshold": 10_001}]}),
        ("metrics[0].threshold", {"metrics": [{"key": "pages", "threshold": 0.5}]}),
        ("freezes", {"freezes": True}),
        ("freezes.startCount", {"freezes": {"maxCount": 2}}),
        ("freezes.startCount", {"freezes": {"startCount": -1, "maxCount": 2}}),
        ("freezes.maxCount", {"freezes": {"startCount": 1}}),
        ("freezes.maxCount", {"freezes": {"startCount": 0, "maxCount": 0}}),
        ("freezes.maxCount", {"freezes": {"startCount": 1, "maxCount": 101}}),
        ("freezes.maxCount", {"freezes": {"startCount": 3, "maxCount": 2}}),
        ("freezes.autoEarnInterval", {"freezes": FREEZES | {"autoEarnInterval": 0}}),
        ("freezes.autoEarnInterval", {"freezes": FREEZES | {"autoEarnInterval": 366}}),
        ("freezes.autoEarnAmount", {"freezes": FREEZES | {"autoEarnAmount": 11}}),
        ("freezes.autoEarnAmount", {"freezes": FREEZES | {"autoEarnAmount": None}}),
    ],
)
async def test_what_breaks_a_rule_is_refused_as_a_whole_by_field(api: Api, field: str, sent: dict[str, Any]) -> None:
    assert_error(await patch(api, **{"evaluationMode": "AND", **sent}), 422, f"{field}: ")
    assert await read(api) == AT_FIRST


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b'{"frequency": "daily"', b"\xff", b"[" * 9999])
async def test_what_is_no_json_object_is_malformed(api: Api, body: bytes) -> None:
    assert_error(await api.client.patch(PATH, content=body), 400, "body: ")


async def test_a_body_over_the_limit_is_refused(api: Api) -> None:
    assert_error(await api.client.patch(PATH, content=b" " * 200_000), 413, "body: ")


async def test_the_settings_need_a_key(api: Api) -> None:
    api.client.headers.pop("X-API-KEY")
    assert_error(await api.client.get(PATH), 401, "X-API-KEY")
    assert_error(await patch(api), 401, "X-API-KEY")


async def test_the_next_event_of_every_user_meets_the_new_settings(api: Api) -> None:
    users = [f"user-{n}" for n in range(16)]
    for user in users:
        assert (await api.send_ok(user, metric="pages"))["currentStreak"]["length"] == 0
    await api.change_streaks(metrics=[{"key": "pages", "threshold": 2}], frequency="weekly")
    for user in users:
        streak = (await api.send_ok(user, metric="pages"))["currentStreak"]
        assert (streak["length"], streak["frequency"]) == (1, "weekly")


async def test_shards_that_were_killed_have_the_newest_settings(api: Api) -> None:
    await api.change_streaks(frequency="weekly")
    api.kill_shards()
    assert (await api.change_streaks(frequency="monthly"))["frequency"] == "monthly"
    await api.open_shards()
    assert (await api.send_ok())["currentStreak"]["frequency"] == "monthly"


async def test_settings_outlive_the_shards(api: Api) -> None:
    await api.change_streaks(frequency="weekly")
    await api.send_ok()
    await api.close_shards()
    await api.open_shards()
    assert (await api.send_ok())["currentStreak"]["frequency"] == "weekly"
    assert (await read(api))["frequency"] == "weekly"


async def test_changes_at_the_same_time_all_count(api: Api) -> None:
    changes: list[dict[str, Any]] = [
        {"evaluationMode": "AND"},
        {"daysOff": [1]},
        {"freezes": FREEZES},
        {"customizationEnabled": True},
    ]
    responses = await asyncio.gather(*(patch(api, **change) for change in changes), *(api.send() for _ in range(20)))
    assert {response.status_code for response in responses} == {200, 201}
    expected = dict(AT_FIRST)
    for change in changes:
        expected |= change
    assert await read(api) == expected


async def test_a_change_of_nothing_is_no_new_version(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    adopted: list[int] = []

    async def adopt(self: UserShard, catalog: Any) -> None:
        adopted.append(catalog.version)

    monkeypatch.setattr(UserShard, "adopt", adopt)
    await api.change_streaks(frequency="daily")
    await api.change_streaks(frequency="weekly")
    await api.change_streaks(frequency="weekly")
    assert adopted == sorted(adopted)
    assert len(set(adopted)) == 2
