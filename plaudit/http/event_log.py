"""`GET /admin/v1/events`: what was recorded, newest first, merged from all shards."""

import asyncio
import binascii
import heapq
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice

import msgspec
from msgspec import Raw
from starlette.types import Receive, Scope, Send

from plaudit.actors.messages import Reply
from plaudit.actors.router import Router
from plaudit.actors.wire import EventLogResponse, EventPage
from plaudit.engine.commands import Position, ReadEvents
from plaudit.http.bodies import USER_ID_LENGTH_MAX
from plaudit.http.endpoints import send_reply
from plaudit.http.errors import Invalid
from plaudit.http.queries import ECHO_LENGTH_MAX, Parameters

LIMIT_DEFAULT = 50
LIMIT_MAX = 200
POSITION_MAX = 2**53
"""Of each part: there is nothing beyond, and SQLite could not compare it."""
OK = 200


class EventLogEndpoint:
    """Answers one page of the event log."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises RequestError or NotSent."""
        query = parse_query(scope["query_string"])
        router: Router = scope["app"].state.router
        replies: list[Reply] = await asyncio.gather(*router.query(query))
        failed = [reply for reply in replies if reply.status != OK]
        if failed:
            await send_reply(failed[0], send)
            return
        pages = [msgspec.json.decode(reply.body, type=EventPage) for reply in replies]
        await send_reply(Reply(200, msgspec.json.encode(merge(pages, query.limit))), send)


def merge(pages: Iterable[EventPage], limit: int) -> EventLogResponse:
    """The newest events of all pages, as far back as every shard has looked."""
    pages = list(pages)
    found = heapq.merge(*(zip(page.positions, page.events, strict=True) for page in pages), key=_position, reverse=True)
    unknown = [page.more_before for page in pages if page.more_before is not None]
    known_to = max(unknown, default=None)
    known = [event for event in found if known_to is None or event[0] >= known_to]
    if len(known) > limit:
        known_to = known[limit - 1][0]
    return EventLogResponse(
        [event for _, event in islice(known, limit)], None if known_to is None else encode_cursor(known_to)
    )


def parse_query(query_string: bytes) -> ReadEvents:
    """The query of a request. Raises Invalid, naming the parameter."""
    parameters = Parameters(query_string)
    user_id = parameters.text("userId")
    if user_id is not None and not 1 <= len(user_id) <= USER_ID_LENGTH_MAX:
        raise Invalid(f"userId: expected 1 to {USER_ID_LENGTH_MAX} characters")
    cursor = parameters.text("cursor")
    return ReadEvents(
        user_id=user_id,
        metric=parameters.text("metric"),
        from_ms=_parse_instant("from", parameters.text("from")),
        to_ms=_parse_instant("to", parameters.text("to")),
        limit=parameters.whole("limit", LIMIT_DEFAULT, 1, LIMIT_MAX),
        before=None if cursor is None else decode_cursor(cursor),
    )


def encode_cursor(position: Position) -> str:
    """A position as clients carry it."""
    return urlsafe_b64encode(msgspec.msgpack.encode(position)).rstrip(b"=").decode()


def decode_cursor(cursor: str) -> Position:
    """The position of a cursor. Raises Invalid."""
    refusal = Invalid("cursor: expected nextCursor of an earlier answer")
    try:
        position = msgspec.msgpack.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=Position)
    except (binascii.Error, ValueError):
        raise refusal from None
    if not all(0 <= part <= POSITION_MAX for part in msgspec.structs.astuple(position)):
        raise refusal
    return position


def _parse_instant(name: str, text: str | None) -> int | None:
    """An ISO 8601 instant or date in Unix milliseconds; without an offset it is UTC."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
        at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        return int(at.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise Invalid(
            f"{name}: expected an ISO 8601 date or date-time such as 2026-11-23T08:00:00Z, "
            f"got {text[:ECHO_LENGTH_MAX]!r}"
        ) from None


def _position(event: tuple[Position, Raw]) -> Position:
    return event[0]
