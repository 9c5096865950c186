"""What every refusal has in common."""

from collections.abc import AsyncIterator

import httpx

from tests.http.conftest import Api

EVENT_PATH = "/v1/metrics/lessons/event"


def assert_error(response: httpx.Response, status: int, *words: str) -> None:
    """Assert that a response is an error, in JSON and short, which has all of `words`."""
    assert response.status_code == status, response.text[:200]
    assert response.headers["content-type"] == "application/json"
    assert list(response.json()) == ["error"]
    assert isinstance(response.json()["error"], str)
    assert len(response.text) < 500
    for word in words:
        assert word in response.json()["error"]


async def everything(api: Api) -> list[tuple[int, str]]:
    """What is known of sam, who never is, and of kim."""
    paths = [f"/v1/users/{user}{tail}" for user in ("sam", "kim") for tail in ("", "/metrics")]
    responses = [await api.client.get(path) for path in paths]
    return [(response.status_code, response.text) for response in responses]


async def assert_refused(
    api: Api, status: int, field: str, *contents: str | bytes | AsyncIterator[bytes], path: str = EVENT_PATH
) -> None:
    """Assert that events are refused with the field in front, that they make no user and change none."""
    await api.send_ok({"id": "kim", "name": "Kim", "tz": "Europe/Rome"}, 2)
    before = await everything(api)
    api.clock.move_to("2026-03-02T12:00+00:00")
    for content in contents:
        assert_error(await api.client.post(path, content=content), status, f"{field}:")
    assert await everything(api) == before
    assert [code for code, _ in before] == [404, 404, 200, 200]
