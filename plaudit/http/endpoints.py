"""The Application API's endpoints. They check shapes; what a name means is decided where the user lives."""

from urllib.parse import unquote

from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response

from plaudit.actors.messages import Reply
from plaudit.actors.router import Router
from plaudit.engine.amounts import pack_amount
from plaudit.engine.commands import Command, ReadMetrics, ReadUser, RecordEvent
from plaudit.http.bodies import USER_ID_LENGTH_MAX, decode_event, parse_value, read_body
from plaudit.http.errors import Invalid
from plaudit.http.event_ids import EventIds

IDEMPOTENCY_KEY_LENGTH_MAX = 255

_event_ids = EventIds()


async def record_event(request: Request) -> Response:
    """`POST /v1/metrics/{key}/event`: 201, or 202 if the `Idempotency-Key` has been used before."""
    body = decode_event(await read_body(request))
    idempotency_key = request.headers.get("idempotency-key") or None
    if idempotency_key is not None and len(idempotency_key) > IDEMPOTENCY_KEY_LENGTH_MAX:
        raise Invalid(f"Idempotency-Key: expected at most {IDEMPOTENCY_KEY_LENGTH_MAX} characters")
    return await _ask(
        request,
        RecordEvent(
            user_id=body.user.id,
            metric=_segment(request, "key"),
            value=pack_amount(parse_value(body.value)),
            event_id=_event_ids.make(),
            fields=body.user.fields(),
            attributes={} if body.attributes is UNSET or body.attributes is None else body.attributes,
            idempotency_key=idempotency_key,
        ),
    )


async def read_user(request: Request) -> Response:
    """`GET /v1/users/{id}`."""
    return await _ask(request, ReadUser(_user_id(request)))


async def read_metrics(request: Request) -> Response:
    """`GET /v1/users/{id}/metrics`."""
    return await _ask(request, ReadMetrics(_user_id(request)))


async def _ask(request: Request, command: Command) -> Response:
    router: Router = request.app.state.router
    reply: Reply = await router.call(command)
    return Response(reply.body, reply.status, media_type="application/json")


def _user_id(request: Request) -> str:
    user_id = _segment(request, "id")
    if len(user_id) > USER_ID_LENGTH_MAX:
        raise Invalid(f"id: expected at most {USER_ID_LENGTH_MAX} characters")
    return user_id


def _segment(request: Request, name: str) -> str:
    text: str = request.path_params[name]
    return unquote(text) if "%" in text else text
