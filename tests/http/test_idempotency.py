import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from plaudit.actors.router import shard_of
from tests.http.conftest import SHARDS, Api


async def nothing(_: Api) -> None:
    """The key is in memory."""


async def checkpoint(api: Api) -> None:
    """The key is in the state alone."""
    await api.checkpoint()


async def close_and_open(api: Api) -> None:
    """The key is in the state, and nothing is in memory."""
    await api.close_shards()
    await api.open_shards()


async def kill_and_open(api: Api) -> None:
    """The key is in the log, and nothing is in memory."""
    api.kill_shards()
    await api.open_shards()


async def checkpoint_and_kill(api: Api) -> None:
    """The key is in the state of a shard that never closed it."""
    await api.checkpoint()
    await kill_and_open(api)


@pytest.mark.parametrize("between", [nothing, checkpoint, close_and_open, kill_and_open, checkpoint_and_kill])
async def test_a6_2_a_key_that_was_used_changes_nothing(api: Api, between: Callable[[Api], Awaitable[None]]) -> None:
    first = await api.send("sam", 3, key="k1")
    await between(api)
    before = await api.user("sam"), await api.metrics("sam")
    for _ in range(2):
        again = await api.send("sam", 3, key="k1")
        assert (first.status_code, again.status_code) == (201, 202)
        assert again.json() == first.json() | {
            "achievements": [],
            "points": {},
            "currentStreak": first.json()["currentStreak"] | {"extended": False},
            "idempotentReplayed": True,
        }
    assert (await api.user("sam"), await api.metrics("sam")) == before
    assert (await api.send_ok("sam", 1, key="k2"))["points"]["xp"]["total"] == 90


async def test_a6_3_the_key_is_in_the_response_if_one_was_sent(api: Api) -> None:
    with_key, without = await api.send_ok("sam", key="k 1"), await api.send_ok("sam")
    assert (with_key["idempotencyKey"], with_key["idempotentReplayed"]) == ("k 1", False)
    assert set(with_key) - set(without) == {"idempotencyKey", "idempotentReplayed"}


async def test_q21_an_empty_key_is_none(api: Api) -> None:
    first, second = await api.send("sam", key=""), await api.send("sam", key="")
    assert (first.status_code, second.status_code) == (201, 201)
    assert "idempotencyKey" not in second.json()
    assert second.json()["total"] == 2


async def test_a6_1_a_key_is_one_users_for_one_metric(api: Api) -> None:
    assert (await api.send("sam", key="k")).status_code == 201
    assert (await api.send("sam", metric="pages", key="k")).status_code == 201
    assert (await api.send("kim", key="k")).status_code == 201
    assert (await api.send("sam", key="K")).status_code == 201
    for user, metric in [("sam", "lessons"), ("sam", "pages"), ("kim", "lessons")]:
        assert (await api.send(user, metric=metric, key="k")).status_code == 202


async def test_users_and_keys_do_not_run_into_each_other(api: Api) -> None:
    one, other = ("ann", "lessonsk"), ("annlessons", "k")
    assert shard_of(("", one[0]), SHARDS) == shard_of(("", other[0]), SHARDS)
    for user, key in (one, other):
        await api.send_ok(user)
        assert (await api.send(user, key=key)).status_code == 201


async def test_a6_2_a_replay_shows_how_things_stand_now(api: Api) -> None:
    first = await api.send_ok("sam", key="k")
    await api.send_ok("sam", 4)
    api.clock.move_to("2026-03-03T10:00+00:00")
    await api.send_ok("sam", 1.5)
    api.clock.move_to("2026-03-04T10:00+00:00")
    alive = (await api.send("sam", key="k")).json()
    assert (alive["eventId"], alive["total"]) == (first["eventId"], 6.5)
    assert alive["currentStreak"] == first["currentStreak"] | {
        "length": 2,
        "periodStart": "2026-03-04",
        "periodEnd": "2026-03-04",
        "expires": "2026-03-04",
        "extended": False,
    }


async def test_a_replay_shows_a_streak_that_was_lost_in_between(api: Api) -> None:
    await api.send_ok("sam", key="k")
    api.clock.move_to("2026-03-04T10:00+00:00")
    replayed = (await api.send("sam", key="k")).json()
    assert (replayed["currentStreak"]["length"], replayed["currentStreak"]["started"]) == (0, None)


@pytest.mark.parametrize(
    ("user", "event"),
    [
        ({"name": "Someone Else", "attributes": {"plan": "pro"}}, {}),
        ({}, {"value": 100}),
        ({"tz": "Not/AZone"}, {}),
        ({"attributes": {"unknown": "x"}}, {}),
        ({}, {"attributes": {"unknown": "x"}}),
        ({"subscribeToEmails": True}, {}),
    ],
)
async def test_q20_another_payload_is_still_a_replay_and_updates_nobody(
    api: Api, user: dict[str, Any], event: dict[str, Any]
) -> None:
    await api.send_ok({"id": "sam", "name": "Sam"}, key="k")
    before = await api.user("sam"), await api.metrics("sam")
    api.clock.move_to("2026-03-02T11:00+00:00")
    assert (await api.send({"id": "sam"} | user, key="k", **event)).status_code == 202
    assert (await api.user("sam"), await api.metrics("sam")) == before


async def test_a_rejected_event_does_not_use_its_key_up(api: Api) -> None:
    assert (await api.send({"id": "sam", "tz": "Not/AZone"}, key="k")).status_code == 422
    assert (await api.send("sam", key="k")).status_code == 201


async def test_of_equal_requests_at_the_same_time_one_counts(api: Api) -> None:
    responses = await asyncio.gather(*(api.send("sam", key="k") for _ in range(20)))
    assert sorted(response.status_code for response in responses) == [201] + [202] * 19
    assert len({response.json()["eventId"] for response in responses}) == 1
    assert (await api.totals("sam"))["lessons"] == 1


@pytest.mark.parametrize(("length", "status"), [(255, 201), (256, 422)])
async def test_a_key_has_at_most_255_characters(api: Api, length: int, status: int) -> None:
    response = await api.send("sam", key="k" * length)
    assert response.status_code == status
    assert status == 201 or "Idempotency-Key" in response.json()["error"]
