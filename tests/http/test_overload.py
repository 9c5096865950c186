import asyncio

import httpx
import pytest

from plaudit.actors import shard_client
from tests.http.conftest import Api


def assert_may_be_sent_again(response: httpx.Response) -> None:
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) >= 1
    assert list(response.json()) == ["error"]


async def test_more_requests_than_may_wait_are_refused_and_the_others_are_answered(
    unopened: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_client, "QUEUE_COMMANDS_MAX", 3)
    completed = asyncio.as_completed([asyncio.create_task(unopened.send("sam")) for _ in range(5)])
    for _ in range(2):
        assert_may_be_sent_again(await next(completed))
    await unopened.open_shards()
    answered = [await response for response in completed]
    assert [response.status_code for response in answered] == [201, 201, 201]
    assert (await unopened.totals("sam"))["lessons"] == 3


async def test_a_full_queue_is_its_own_shards_alone(unopened: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_client, "QUEUE_COMMANDS_MAX", 1)
    waiting = [asyncio.create_task(unopened.send(f"user-{number}")) for number in range(12)]
    await unopened.open_shards()
    responses = await asyncio.gather(*waiting)
    assert sorted(response.status_code for response in responses) == [201] * 2 + [503] * 10


@pytest.mark.parametrize("path", ["/v1/users/sam", "/v1/users/sam/metrics"])
async def test_reads_are_refused_like_events(unopened: Api, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(shard_client, "QUEUE_COMMANDS_MAX", 0)
    assert_may_be_sent_again(await unopened.client.get(path))
    monkeypatch.undo()
    await unopened.open_shards()
    assert (await unopened.client.get(path)).status_code == 404


async def test_a_shard_that_has_been_away_for_long_refuses_at_once(
    unopened: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_client, "UNAVAILABLE_AFTER_S", -1)
    assert_may_be_sent_again(await unopened.send("sam"))
    await unopened.open_shards()
    assert (await unopened.send("sam")).status_code == 201


async def test_a_shard_that_goes_away_makes_the_gateway_unready_until_it_is_back(api: Api) -> None:
    await api.send_ok("sam")
    api.kill_shards()
    sent = asyncio.create_task(api.send("sam"))
    while (await api.client.get("/readyz")).status_code != 503:
        await asyncio.sleep(0)
    await api.open_shards()
    assert (await sent).json()["total"] == 2
    assert (await api.client.get("/readyz")).status_code == 200
    assert len(api.troubles) == 2
