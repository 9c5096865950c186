from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from plaudit.http.bodies import BODY_SIZE_MAX
from tests.http.conftest import Api

EVENT_PATH = "/v1/metrics/lessons/event"


def body(value: str = "1", user: str = '"id": "sam"', more: str = "") -> str:
    """An event's body as text; `user` and `more` are members of their objects."""
    return f'{{"user": {{{user}}}, "value": {value}{more}}}'


def sam(field: str) -> str:
    """An event of sam with one field of the profile more."""
    return body(user=f'"id": "sam", {field}')


MALFORMED: dict[str, str | bytes] = {
    "empty": "",
    "cut short": '{"user": {"id": "sam"}, "value": 1',
    "more after it": body() + "x",
    "single quotes": "{'user': {'id': 'sam'}, 'value': 1}",
    "a list": f"[{body()}]",
    "null": "null",
    "a number": "1",
    "a string": '"event"',
    "NaN": body("NaN"),
    "Infinity": body("-Infinity"),
    "leading zero": body("01"),
    "plus sign": body("+1"),
    "no digits": body("-"),
    "not UTF-8": body(user='"id": "\xff"').encode("latin-1"),
    "UTF-16": body().encode("utf-16"),
    "half a surrogate pair": body(user=r'"id": "\ud83d"'),
    "other half": body(user=r'"id": "\udc00"'),
    "deep in value": body("[" * 100_000),
    "deep in a field that is ignored": body(more=', "more": ' + '{"a":' * 20_000),
}
INVALID: dict[str, tuple[str, str]] = {
    "no user": ('{"value": 1}', "user"),
    "user null": ('{"user": null, "value": 1}', "user"),
    "user a string": ('{"user": "sam", "value": 1}', "user"),
    "no id": ('{"user": {"name": "Sam"}, "value": 1}', "user.id"),
    "id a number": (body(user='"id": 18'), "user.id"),
    "id null": (body(user='"id": null'), "user.id"),
    "id empty": (body(user='"id": ""'), "user.id"),
    "id of 256": (body(user=f'"id": "{"x" * 256}"'), "user.id"),
    "no value": ('{"user": {"id": "sam"}}', "value"),
    "value null": (body("null"), "value"),
    "value a string": (body('"1"'), "value"),
    "value true": (body("true"), "value"),
    "value a list": (body("[1]"), "value"),
    "value deep": (body("[" * 400 + "]" * 400), "value"),
    "value above 10^12": (body("1000000000000.1"), "value"),
    "value below -10^12": (body("-1000000000001"), "value"),
    "value 1e300": (body("1e300"), "value"),
    "value 1e999999999": (body("1e999999999"), "value"),
    "value -1E+999999999": (body("-1E+999999999"), "value"),
    "value of a huge exponent": (body("1e99999999999999999999"), "value"),
    "value of 100,000 digits": (body("9" * 100_000), "value"),
    "email a number": (sam('"email": 1'), "user.email"),
    "email too long": (sam(f'"email": "{"x" * 321}"'), "user.email"),
    "name a list": (sam('"name": []'), "user.name"),
    "name too long": (sam(f'"name": "{"x" * 256}"'), "user.name"),
    "unknown time zone": (sam('"tz": "Mars/Olympus"'), "user.tz"),
    "time zone a path": (sam('"tz": "../../etc/passwd"'), "user.tz"),
    "time zone absolute": (sam('"tz": "/etc/localtime"'), "user.tz"),
    "time zone an offset": (sam('"tz": "+01:00"'), "user.tz"),
    "time zone empty": (sam('"tz": ""'), "user.tz"),
    "time zone too long": (sam(f'"tz": "{"x" * 65}"'), "user.tz"),
    "date impossible": (sam('"signUpDate": "2025-02-29"'), "user.signUpDate"),
    "date no date": (sam('"signUpDate": "yesterday"'), "user.signUpDate"),
    "date empty": (sam('"signUpDate": ""'), "user.signUpDate"),
    "date tomorrow": (sam('"signUpDate": "2026-03-03"'), "user.signUpDate"),
    "date beyond the calendar": (sam('"signUpDate": "9999-12-31T23:59:59-12:00"'), "user.signUpDate"),
    "tokens a string": (sam('"deviceTokens": "one"'), "user.deviceTokens"),
    "tokens numbers": (sam('"deviceTokens": ["one", 2]'), "user.deviceTokens[1]"),
    "too many tokens": (sam(f'"deviceTokens": [{", ".join(["1"] * 0 + [chr(34) * 2] * 51)}]'), "user.deviceTokens"),
    "subscribe a string": (sam('"subscribeToEmails": "true"'), "user.subscribeToEmails"),
    "subscribe without email": (sam('"subscribeToEmails": true'), "user.subscribeToEmails"),
    "attributes a list": (sam('"attributes": []'), "user.attributes"),
    "attribute a number": (sam('"attributes": {"plan": 1}'), "user.attributes"),
    "attribute null": (sam('"attributes": {"plan": null}'), "user.attributes"),
    "attribute unknown": (sam('"attributes": {"pln": "pro", "plan": "pro"}'), "user.attributes"),
    "attribute of events": (sam('"attributes": {"subject": "maths"}'), "user.attributes"),
    "attribute too long": (sam(f'"attributes": {{"plan": "{"x" * 1001}"}}'), "user.attributes"),
    "event attributes a string": (body(more=', "attributes": "maths"'), "attributes"),
    "event attribute a number": (body(more=', "attributes": {"subject": 1}'), "attributes"),
    "event attribute unknown": (body(more=', "attributes": {"device": "x"}'), "attributes"),
    "event attribute of users": (body(more=', "attributes": {"plan": "pro"}'), "attributes"),
}


async def everything(api: Api) -> list[tuple[int, str]]:
    """What is known of sam and of kim."""
    paths = [f"/v1/users/{user}{tail}" for user in ("sam", "kim") for tail in ("", "/metrics")]
    responses = [await api.client.get(path) for path in paths]
    return [(response.status_code, response.text) for response in responses]


async def assert_refused(api: Api, status: int, field: str, path: str = EVENT_PATH, **request: Any) -> str:
    """Assert that a request is refused with the field in front, and changes neither a user nor makes one."""
    await api.send_ok({"id": "kim", "name": "Kim", "email": "kim@example.org"}, 2)
    before = await everything(api)
    api.clock.move_to("2026-03-02T12:00+00:00")
    response = await api.client.post(path, **request)
    assert response.status_code == status, response.text[:200]
    assert response.headers["content-type"] == "application/json"
    assert list(response.json()) == ["error"]
    error = response.json()["error"]
    assert isinstance(error, str)
    assert len(error) < 500
    assert f"{field}:" in error, error
    assert await everything(api) == before
    assert [code for code, _ in before] == [404, 404, 200, 200]
    return error


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED.keys())
async def test_q02_what_is_no_json_object_is_400(api: Api, content: str | bytes) -> None:
    await assert_refused(api, 400, "body", content=content)


@pytest.mark.parametrize(("content", "field"), INVALID.values(), ids=INVALID.keys())
async def test_q02_an_object_of_the_wrong_shape_is_422_and_names_the_field(api: Api, content: str, field: str) -> None:
    await assert_refused(api, 422, field, content=content)
    for_kim = content.replace('"sam"', '"kim"')
    await assert_refused(api, 422, field, content=for_kim)
