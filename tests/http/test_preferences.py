"""`/v1/users/{id}/preferences`."""

import json
from typing import Any

import pytest

from tests.http.conftest import Api
from tests.http.refusal import assert_error

PATH = "/v1/users/sam/preferences"
ALL = {
    "achievement_completed": ["email", "push"],
    "recap": ["email"],
    "reactivation": ["push", "email"],
    "streak_reminder": [],
}


async def update(api: Api, **preferences: Any) -> Any:
    """Update preferences; returns what GET says afterwards, which is what the update has answered."""
    response = await api.client.patch(PATH, json=preferences)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    assert (await api.client.get(PATH)).json() == response.json()
    return response.json()


@pytest.fixture
async def sam(api: Api) -> Api:
    """With sam, who has not set anything, and customization of streaks."""
    await api.change_streaks(customizationEnabled=True)
    await api.send_ok("sam")
    return api


async def test_a4_3_what_was_never_set_is_not_there(sam: Api) -> None:
    assert (await sam.client.get(PATH)).json() == {"notifications": {}}


async def test_a4_2_the_types_given_are_replaced_and_the_others_stay(sam: Api) -> None:
    assert await update(sam, notifications=ALL) == {"notifications": ALL}
    changed = {"recap": [], "streak_reminder": ["push"]}
    assert await update(sam, notifications=changed) == {"notifications": ALL | changed}
    assert await update(sam) == {"notifications": ALL | changed}


async def test_null_forgets_a_type_and_unknown_keys_are_ignored(sam: Api) -> None:
    await update(sam, notifications=ALL)
    await update(sam, notifications={"recap": None, "more": ["email"]}, more=1)
    left = {type_: channels for type_, channels in ALL.items() if type_ != "recap"}
    assert await update(sam, notifications=None, streak=None) == {"notifications": left}


async def test_a4_7_streak_preferences_are_there_once_they_are_set(sam: Api) -> None:
    streak = {"evaluationMode": "AND", "metrics": [{"key": "pages", "threshold": 20.5}], "daysOff": [0, 6]}
    assert await update(sam, streak=streak) == {"notifications": {}, "streak": streak}
    assert await update(sam, streak={"enabled": False}) == {"notifications": {}, "streak": {"enabled": False} | streak}
    assert (await update(sam, streak={"metrics": None, "enabled": None}))["streak"] == {
        "evaluationMode": "AND",
        "daysOff": [0, 6],
    }
    assert await update(sam, streak={"evaluationMode": None, "daysOff": None}) == {"notifications": {}}


@pytest.mark.parametrize("threshold", ["0.000000001", "1000000000000", "500", "0.1"])
async def test_thresholds_are_exact(sam: Api, threshold: str) -> None:
    body = f'{{"streak": {{"metrics": [{{"key": "pages", "threshold": {threshold}}}]}}}}'
    response = await sam.client.patch(PATH, content=body)
    assert f'"threshold":{threshold}}}' in response.text


async def test_a9_2_the_users_own_condition_counts(sam: Api) -> None:
    await update(sam, streak={"metrics": [{"key": "pages", "threshold": 2}]})
    sam.clock.move_to("2026-03-03T10:00:00+00:00")
    assert (await sam.send_ok("sam"))["currentStreak"]["length"] == 1
    assert (await sam.send_ok("sam", 2, "pages"))["currentStreak"]["length"] == 2


async def test_a4_6_on_a_day_off_nothing_is_lost(sam: Api) -> None:
    await update(sam, streak={"daysOff": [2, 3]})
    assert (await sam.streak())["expires"] == "2026-03-05"
    sam.clock.move_to("2026-03-05T10:00:00+00:00")
    assert (await sam.streak())["length"] == 1
    sam.clock.move_to("2026-03-06T10:00:00+00:00")
    assert (await sam.streak())["length"] == 0


async def test_a4_5_who_wants_no_streak_has_none(sam: Api) -> None:
    assert (await sam.streak())["length"] == 1
    await update(sam, streak={"enabled": False})
    streak = await sam.streak()
    assert (streak["length"], streak["started"], streak["extended"], streak["expires"]) == (0, None, None, None)
    assert {period["length"] for period in streak["streakHistory"]} == {0}
    assert (await sam.client.get("/v1/streaks?userIds=sam")).json() == [
        {"userId": "sam", "streakLength": 0, "extended": None}
    ]
    sam.clock.move_to("2026-03-03T10:00:00+00:00")
    event = (await sam.send_ok("sam"))["currentStreak"]
    assert (event["length"], event["extended"]) == (0, False)


async def test_a4_4_without_customization_only_enabled_may_be_set(api: Api) -> None:
    await api.send_ok("sam")
    assert (await update(api, streak={"enabled": False}))["streak"] == {"enabled": False}
    metrics = [{"key": "pages", "threshold": 1}]
    preferences: list[dict[str, Any]] = [{"evaluationMode": "OR"}, {"metrics": metrics}, {"daysOff": []}]
    for preference in preferences:
        response = await api.client.patch(PATH, json={"notifications": ALL, "streak": preference})
        assert_error(response, 403, "streak customization is not enabled")
    assert (await api.client.get(PATH)).json() == {"notifications": {}, "streak": {"enabled": False}}


async def test_an_unknown_user_is_not_found_and_not_made(api: Api) -> None:
    assert_error(await api.client.get(PATH), 404, "User not found")
    assert_error(await api.client.patch(PATH, json={"notifications": ALL}), 404, "User not found")
    assert_error(await api.client.get("/v1/users/sam"), 404)
    assert_error(await api.client.put(PATH, json={}), 405)


async def test_preferences_are_there_after_a_restart(sam: Api) -> None:
    streak = {"metrics": [{"key": "hours", "threshold": 0.25}], "daysOff": []}
    before = await update(sam, notifications=ALL, streak=streak)
    sam.kill_shards()
    await sam.open_shards()
    assert (await sam.client.get(PATH)).json() == before
    await sam.close_shards()
    await sam.open_shards()
    assert (await sam.client.get(PATH)).json() == before


THRESHOLDS: list[Any] = [0, -1, "1", None, True, 1e13, 1e-10, []]
INVALID: list[tuple[str, dict[str, Any]]] = [
    ("notifications", {"notifications": []}),
    ("notifications.recap", {"notifications": {"recap": "email"}}),
    ("notifications.recap[1]", {"notifications": {"recap": ["email", "sms"]}}),
    ("notifications.recap", {"notifications": {"recap": ["email", "email"]}}),
    ("notifications.streak_reminder[0]", {"notifications": {"streak_reminder": [None]}}),
    ("streak", {"streak": "off"}),
    ("streak.enabled", {"streak": {"enabled": "false"}}),
    ("streak.evaluationMode", {"streak": {"evaluationMode": "ALL"}}),
    ("streak.metrics", {"streak": {"metrics": {}}}),
    ("streak.metrics[0].threshold", {"streak": {"metrics": [{"key": "pages"}]}}),
    ("streak.metrics[0].key", {"streak": {"metrics": [{"threshold": 1}]}}),
    ("streak.metrics[0].key", {"streak": {"metrics": [{"key": "unknown", "threshold": 1}]}}),
    (
        "streak.metrics[1].key",
        {"streak": {"metrics": [{"key": "pages", "threshold": 1}, {"key": "pages", "threshold": 2}]}},
    ),
    ("streak.metrics", {"streak": {"metrics": [{"key": f"m{n}", "threshold": 1} for n in range(101)]}}),
    ("streak.daysOff", {"streak": {"daysOff": 0}}),
    ("streak.daysOff[0]", {"streak": {"daysOff": [7]}}),
    ("streak.daysOff[1]", {"streak": {"daysOff": [0, -1]}}),
    ("streak.daysOff[0]", {"streak": {"daysOff": [0.5]}}),
    ("streak.daysOff", {"streak": {"daysOff": [1, 1]}}),
    ("streak.daysOff", {"streak": {"daysOff": [0, 1, 2, 3, 4, 5, 6]}}),
    *(
        ("streak.metrics[0].threshold", {"streak": {"metrics": [{"key": "pages", "threshold": threshold}]}})
        for threshold in THRESHOLDS
    ),
]


@pytest.mark.parametrize(("field", "body"), INVALID, ids=[f"{field} {str(body)[-24:]}" for field, body in INVALID])
async def test_what_makes_no_sense_is_refused_by_name(sam: Api, field: str, body: dict[str, Any]) -> None:
    before = await update(sam, notifications=ALL)
    response = await sam.client.patch(PATH, json={"notifications": {"recap": ["push"]}, **body})
    assert_error(response, 422, f"{field}: ")
    assert (await sam.client.get(PATH)).json() == before


NO_TEXT = b'{"streak": {"metrics": [{"key": "\xff", "threshold": 1}]}}'


@pytest.mark.parametrize("content", ["", "[]", "null", "{", json.dumps(ALL) + "x", NO_TEXT])
async def test_q02_what_is_no_json_object_is_400(sam: Api, content: str | bytes) -> None:
    assert_error(await sam.client.patch(PATH, content=content), 400, "body: ")
