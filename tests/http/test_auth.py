from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from plaudit.actors.router import Router
from plaudit.gateway import ControlledServer
from plaudit.http.app import create_app
from plaudit.http.keys import KeyRing, hash_key, is_key, make_key
from tests.http.conftest import ADMIN_KEY, Api

PREFIX, BODY = ADMIN_KEY.split(".")


@pytest.fixture
async def closed() -> AsyncIterator[httpx.AsyncClient]:
    """A gateway whose shards do not exist: who passes its door waits for ever."""
    keys = KeyRing([hash_key(ADMIN_KEY), hash_key(make_key())])
    app = create_app(Router(["/nowhere"], 1), keys, ControlledServer(Path("/nowhere")))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://plaudit.test") as client:
        yield client


@pytest.mark.parametrize(
    "key",
    [
        PREFIX,
        f"{PREFIX}.",
        BODY,
        f".{BODY}",
        f"{PREFIX}.{BODY[:-1]}",
        f"{PREFIX}.{BODY}x",
        f"{PREFIX}.{BODY.upper()}",
        f"testkey2.{BODY}",
        f"{PREFIX.upper()}.{BODY}",
        f"{PREFIX}{BODY}",
        f"Bearer {ADMIN_KEY}",
        ".",
        "é",
    ],
)
async def test_a1_1_only_the_whole_key_is_valid(closed: httpx.AsyncClient, key: str) -> None:
    response = await closed.get("/v1/users/sam", headers=[(b"X-API-KEY", key.encode())])
    assert (response.status_code, response.json()) == (401, {"error": "X-API-KEY: invalid"})


@pytest.mark.parametrize("headers", [{}, {"X-API-KEY": ""}, {"Authorization": f"Bearer {ADMIN_KEY}"}])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/metrics/lessons/event"),
        ("GET", "/v1/users/sam"),
        ("GET", "/v1/users/a%2Fb"),
        ("GET", "/v1/users/sam/metrics"),
        ("DELETE", "/v1/users/sam"),
        ("GET", "/v1/nothing"),
        ("GET", "/admin/v1/metrics"),
    ],
)
async def test_a1_1_every_path_of_an_api_wants_a_key(
    closed: httpx.AsyncClient, method: str, path: str, headers: dict[str, str]
) -> None:
    response = await closed.request(method, path, headers=headers)
    assert (response.status_code, response.json()) == (401, {"error": "X-API-KEY: missing"})
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "path", ["/%761/users/sam", "/v%31/users/sam", "//v1/users/sam", "/V1/users/sam", "/x/../v1/users/sam"]
)
async def test_no_other_spelling_of_a_path_leads_past_the_door(closed: httpx.AsyncClient, path: str) -> None:
    response = await closed.get(httpx.URL("http://plaudit.test", raw_path=path.encode()))
    assert response.status_code in {401, 404}


async def test_a_key_is_valid_whatever_the_case_of_the_headers_name(api: Api) -> None:
    await api.send_ok("sam")
    for name in ("X-API-KEY", "X-Api-Key", "x-api-key"):
        response = await api.client.get("/v1/users/sam", headers={name: ADMIN_KEY})
        assert response.status_code == 200


async def test_health_and_readiness_need_no_key(unopened: Api) -> None:
    del unopened.client.headers["X-API-KEY"]
    health = await unopened.client.get("/healthz")
    assert (health.status_code, health.json()["status"]) == (200, "ok")
    assert (await unopened.client.get("/readyz")).status_code == 503
    await unopened.open_shards()
    ready = await unopened.client.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})


async def test_a1_3_only_the_prefix_of_a_key_is_stored_in_clear(api: Api) -> None:
    await api.send_ok("sam")
    await api.checkpoint()
    files = [path.read_bytes() for path in api.data.rglob("*") if path.is_file()]
    assert any(PREFIX.encode() in content for content in files), "the search finds what is there"
    assert not any(BODY.encode() in content for content in files)


def test_made_keys_are_different_and_of_the_form_that_is_accepted() -> None:
    keys = {make_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(is_key(key) and KeyRing([hash_key(key)]).admits(key) for key in keys)
