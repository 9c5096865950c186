from typing import Any

import httpx
import pytest

from plaudit.http.app import create_app
from plaudit.http.keys import KeyRing, hash_key, make_key
from tests.http.conftest import ADMIN_KEY, Api

PREFIX, BODY = ADMIN_KEY.split(".")


@pytest.mark.parametrize(
    "key",
    [
        "",
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
        "é",
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/metrics/lessons/event"),
        ("GET", "/v1/users/sam"),
        ("GET", "/v1/users/sam/metrics"),
        ("GET", "/v1/nothing"),
        ("GET", "/admin/v1/metrics"),
    ],
)
async def test_a_request_without_the_whole_key_is_refused(closed: Any, method: str, path: str, key: str) -> None:
    response = await closed.request(method, path, headers={"X-API-KEY": key.encode()})
    assert response.status_code == 401
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {"error": "X-API-KEY: invalid" if key else "X-API-KEY: missing"}
