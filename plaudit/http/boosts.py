"""`POST /admin/v1/points/{systemId}/boosts`: boosts of users' own."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace
from starlette.types import Receive, Scope, Send

from plaudit.actors.messages import Reply
from plaudit.actors.router import Router
from plaudit.actors.wire import BoostsResponse, Issue
from plaudit.engine.amounts import PLACES
from plaudit.engine.catalog import Rounding
from plaudit.engine.commands import Administer, CreateBoost, ReadPointsSystem
from plaudit.engine.document import Name
from plaudit.engine.ids import format_id
from plaudit.engine.problems import check_multiplier
from plaudit.http.batches import Applied, apply_batch, decode_array, decode_items
from plaudit.http.bodies import Id, parse_value, read_body
from plaudit.http.endpoints import segment_of, send_reply
from plaudit.http.errors import Invalid
from plaudit.http.event_ids import EventIds
from plaudit.http.texts import parse_date, parse_uuid

OK, CREATED = 200, 201

_boost_ids = EventIds()


class BoostItem(Struct, frozen=True, rename="camel"):
    """A boost to create. `multiplier` stays as it was written, so that no digit is lost."""

    name: Name
    start: str
    multiplier: Raw
    end: str | None = None
    rounding: Rounding | None = None
    user_id: Id | None = None
    user_attributes: tuple[Raw, ...] | None = None


_item_decoder: msgspec.json.Decoder[BoostItem] = msgspec.json.Decoder(BoostItem)


class CreateBoostsEndpoint:
    """Creates those boosts of a body that can be; the issues with the others name them by their positions."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises RequestError or NotSent."""
        system = parse_uuid(segment_of(scope, "systemId"))
        if system is None:
            raise Invalid("systemId: expected a UUID")
        items = parse_boosts(format_id(system), await read_body(receive))
        router: Router = scope["app"].state.router
        found: Reply = await router.call_any(ReadPointsSystem(format_id(system), "identity"))
        await send_reply(await _create(router, items) if found.status == OK else found, send)


def parse_boosts(system: str, body: bytes) -> list[Administer | Issue]:
    """What each item of a body asks for in a points system (by id), or what is wrong with it.

    Raises Malformed or Invalid.
    """
    make_command: Callable[[BoostItem], Administer] = partial(_create_boost, system)
    return decode_items(decode_array(body), _item_decoder, make_command)


async def _create(router: Router, items: list[Administer | Issue]) -> Reply:
    applied, issues = await apply_batch(router, items)
    created = [Raw(reply.body) for _, reply in applied]
    response = BoostsResponse(created, number_issues(items, applied, issues))
    return Reply(CREATED if applied else OK, msgspec.json.encode(response))


def number_issues(items: Sequence[Administer | Issue], applied: Applied, issues: list[Issue]) -> list[Issue]:
    """The same issues, each with the position of its item, and with nothing else that names it."""
    done = {id(command) for command, _ in applied}
    failed = [position for position, item in enumerate(items) if id(item) not in done]
    return [replace(each, index=n, id=None, user_id=None) for n, each in zip(failed, issues, strict=True)]


def _create_boost(system: str, item: BoostItem) -> CreateBoost:
    if item.user_attributes and item.user_id is not None:
        raise Invalid("userAttributes: expected none, since there is a userId")
    if item.user_attributes:
        raise Invalid("userAttributes: boosts for users with certain attributes are in the catalog file for now")
    if item.user_id is None:
        raise Invalid("userId: expected a user; boosts for all users are in the catalog file for now")
    start = parse_date("start", item.start)
    end = None if item.end is None else parse_date("end", item.end)
    if end is not None and end < start:
        raise Invalid("end: expected a date that is not before start")
    return CreateBoost(
        user_id=item.user_id,
        system=system,
        boost_id=_boost_ids.make(),
        name=item.name,
        start_day=start,
        end_day=end,
        multiplier=_parse_multiplier(item.multiplier),
        rounding=item.rounding or "down",
    )


def _parse_multiplier(raw: Raw) -> int:
    multiplier = parse_value(raw, "multiplier")
    if (expected := check_multiplier(Decimal(multiplier).scaleb(-PLACES))) is not None:
        raise Invalid(f"multiplier: {expected}")
    return multiplier


create_boosts = CreateBoostsEndpoint()
