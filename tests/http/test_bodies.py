from collections.abc import AsyncIterator

import pytest

from plaudit.http.bodies import BODY_SIZE_MAX
from tests.http.conftest import Api
from tests.http.refusal import EVENT_PATH, assert_refused

NAME = '"x"'


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
    "too many tokens": (sam(f'"deviceTokens": [{", ".join([NAME] * 51)}]'), "user.deviceTokens"),
    "subscribe a string": (sam('"subscribeToEmails": "true"'), "user.subscribeToEmails"),
    "subscribe without email": (sam('"subscribeToEmails": true'), "user.subscribeToEmails"),
    "attributes a list": (sam('"attributes": []'), "user.attributes"),
    "attribute a number": (sam('"attributes": {"plan": 1}'), "user.attributes[...]"),
    "attribute null": (sam('"attributes": {"plan": null}'), "user.attributes[...]"),
    "attribute unknown": (sam('"attributes": {"pln": "pro", "plan": "pro"}'), "user.attributes"),
    "attribute of events": (sam('"attributes": {"subject": "maths"}'), "user.attributes"),
    "attribute too long": (sam(f'"attributes": {{"plan": "{"x" * 1001}"}}'), "user.attributes[...]"),
    "event attributes a string": (body(more=', "attributes": "maths"'), "attributes"),
    "event attribute a number": (body(more=', "attributes": {"subject": 1}'), "attributes[...]"),
    "event attribute unknown": (body(more=', "attributes": {"device": "x"}'), "attributes"),
    "event attribute of users": (body(more=', "attributes": {"plan": "pro"}'), "attributes"),
}


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED.keys())
async def test_q02_what_is_no_json_object_is_400(api: Api, content: str | bytes) -> None:
    await assert_refused(api, 400, "body", content)


@pytest.mark.parametrize(("content", "field"), INVALID.values(), ids=INVALID.keys())
async def test_q02_an_object_of_the_wrong_shape_is_422(api: Api, content: str, field: str) -> None:
    await assert_refused(api, 422, field, content, content.replace('"sam"', '"kim"'))


@pytest.mark.parametrize("value", ["-1e-99999999999999999999", "0e99999999999999999999"])
async def test_an_exponent_that_makes_nothing_of_a_number_is_a_zero(api: Api, value: str) -> None:
    response = await api.client.post(EVENT_PATH, content=body(value))
    assert (response.status_code, response.json().get("total")) == (201, 0)


async def test_of_a_body_that_is_too_large_only_a_little_is_read(api: Api) -> None:
    taken = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(5 * 2**20 // 2**14):
            taken += 2**14
            yield b" " * 2**14

    await assert_refused(api, 413, "body", chunks())
    assert BODY_SIZE_MAX < taken <= BODY_SIZE_MAX + 2 * 2**14


async def test_a_body_of_the_greatest_size_is_accepted_and_one_byte_more_is_not(api: Api) -> None:
    content = body().ljust(BODY_SIZE_MAX)
    await assert_refused(api, 413, "body", content + " ")
    assert (await api.client.post(EVENT_PATH, content=content)).status_code == 201
