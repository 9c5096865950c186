import pytest

from tests.http.conftest import Api
from tests.http.refusal import EVENT_PATH, assert_error, assert_refused


@pytest.mark.parametrize(
    "metric", ["nothing", "Lessons", "lessons%20", "less%6Fns%2F", "%00", "%FF", "x" * 300], ids=ascii
)
async def test_q03_an_unknown_metric_is_422(api: Api, metric: str) -> None:
    body = '{"user": {"id": "sam"}, "value": 1}'
    await assert_refused(api, 422, "key", body, path=f"/v1/metrics/{metric}/event")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/v1"),
        ("GET", "/v1/nothing"),
        ("GET", "/v1/users/"),
        ("GET", "/v1/users//metrics"),
        ("GET", "/v1/users/sam/nothing"),
        ("GET", "/v1/users/a/b/metrics"),
        ("POST", "/v1/metrics//event"),
        ("POST", "/v1/metrics/lessons"),
        ("GET", "/v2/users/sam"),
    ],
)
async def test_an_unknown_route_is_404(unopened: Api, method: str, path: str) -> None:
    assert_error(await unopened.client.request(method, path), 404, "Not Found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", EVENT_PATH, "POST"),
        ("PUT", EVENT_PATH, "POST"),
        ("DELETE", "/v1/users/sam", "GET"),
        ("POST", "/v1/users/sam/metrics", "GET"),
        ("POST", "/healthz", "GET"),
    ],
)
async def test_a_wrong_method_is_405_and_says_which_is_right(
    unopened: Api, method: str, path: str, allowed: str
) -> None:
    response = await unopened.client.request(method, path)
    assert_error(response, 405, "Method Not Allowed")
    assert allowed in response.headers["allow"].split(", ")


@pytest.mark.parametrize("tail", ["", "/metrics"])
async def test_an_id_in_a_path_has_at_most_255_characters(api: Api, tail: str) -> None:
    assert_error(await api.client.get(f"/v1/users/{'x' * 256}{tail}"), 422, "id:", "255")
    assert_error(await api.client.get(f"/v1/users/{'x' * 255}{tail}"), 404)


async def test_a_bug_is_500_in_json_and_says_nothing_of_itself(
    unopened: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def break_down(_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(unopened.router, "call", break_down)
    assert_error(await unopened.client.get("/v1/users/sam"), 500, "internal error")
    assert "secret" in caplog.text
