"""The Application API's endpoints. They check shapes; what a name means is decided where the user lives.

They are ASGI applications: on the path of an event, Starlette's request and response objects would be a tenth of the
gateway's work.
"""

from collections.abc import Awaitable, Callable
from urllib.parse import unquote

from msgspec import UNSET
from starlette.types import Receive, Scope, Send

from plaudit.actors.messages import Reply
from plaudit.actors.router import Router
from plaudit.engine.amounts import pack_amount
from plaudit.engine.commands import DeleteUser, Read, ReadMetric, ReadMetrics, ReadUser, RecordEvent, Write
from plaudit.http.bodies import USER_ID_LENGTH_MAX, decode_event, parse_value, read_body
from plaudit.http.errors import Invalid
from plaudit.http.event_ids import EventIds

IDEMPOTENCY_KEY_LENGTH_MAX = 255
NO_CONTENT = 204

_event_ids = EventIds()


class Endpoint:
    """Turns a request into a command, and the user's reply into the response."""

    def __init__(self, make_command: Callable[[Scope, Receive], Awaitable[Write | Read]]) -> None:
        self._make_command = make_command

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises RequestError or NotSent."""
        command = await self._make_command(scope, receive)
        router: Router = scope["app"].state.router
        reply: Reply = await router.call(command)
        await send_reply(reply, send)


async def send_reply(reply: Reply, send: Send) -> None:
    """Send a reply as the response."""
    headers = [(b"content-length", b"%d" % len(reply.body)), (b"content-type", b"application/json")]
    if reply.status == NO_CONTENT:
        headers = []
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


async def record_event(scope: Scope, receive: Receive) -> RecordEvent:
    """`POST /v1/metrics/{key}/event`: 201, or 202 if the `Idempotency-Key` has been used before."""
    body = decode_event(await read_body(receive))
    idempotency_key = find_header(scope, b"idempotency-key") or None
    if idempotency_key is not None and len(idempotency_key) > IDEMPOTENCY_KEY_LENGTH_MAX:
        raise Invalid(f"Idempotency-Key: expected at most {IDEMPOTENCY_KEY_LENGTH_MAX} characters")
    return RecordEvent(
        user_id=body.user.id,
        metric=segment_of(scope, "key"),
        value=pack_amount(parse_value(body.value)),
        event_id=_event_ids.make(),
        fields=body.user.fields(),
        attributes={} if body.attributes is UNSET or body.attributes is None else body.attributes,
        idempotency_key=idempotency_key,
    )


async def read_user(scope: Scope, _: Receive) -> ReadUser:
    """`GET /v1/users/{id}`."""
    return ReadUser(user_id_of(scope))


async def read_metric(scope: Scope, _: Receive) -> ReadMetric:
    """`GET /v1/users/{id}/metrics/{key}`: one metric of a user."""
    return ReadMetric(user_id_of(scope), segment_of(scope, "key"))


async def read_metrics(scope: Scope, _: Receive) -> ReadMetrics:
    """`GET /v1/users/{id}/metrics`."""
    return ReadMetrics(user_id_of(scope))


async def delete_user(scope: Scope, _: Receive) -> DeleteUser:
    """`DELETE /admin/v1/users/{id}`: 204, and the user is forgotten for good."""
    return DeleteUser(user_id_of(scope))


def find_header(scope: Scope, name: bytes) -> str:
    """A header of the request by its lower-case name; empty if there is none."""
    for header, value in scope["headers"]:
        if header == name:
            text: str = value.decode("latin-1")
            return text
    return ""


def user_id_of(scope: Scope) -> str:
    """The user of a path. Raises Invalid."""
    user_id = segment_of(scope, "id")
    if len(user_id) > USER_ID_LENGTH_MAX:
        raise Invalid(f"id: expected at most {USER_ID_LENGTH_MAX} characters")
    return user_id


def segment_of(scope: Scope, name: str) -> str:
    """A part of the path, decoded. Raises Invalid."""
    text: str = scope["path_params"][name]
    try:
        return unquote(text, errors="strict") if "%" in text else text
    except UnicodeDecodeError:
        raise Invalid(f"{name}: expected UTF-8 in the path") from None
