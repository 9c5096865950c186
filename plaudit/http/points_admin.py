"""`/admin/v1/points/{systemId}/boosts`: boosts of single users, for up to 100 items at a time."""

from decimal import Decimal
from functools import partial

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
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
from plaudit.http.batches import Items, apply_batch, decode_batch, decode_items
from plaudit.http.bodies import Id, parse_value, read_body
from plaudit.http.endpoints import segment_of, send_reply
from plaudit.http.errors import Invalid
from plaudit.http.event_ids import EventIds
from plaudit.http.texts import parse_date, parse_uuid

OK, CREATED = 200, 201

_boost_ids = EventIds()
_encoder = msgspec.json.Encoder()


class BoostItem(Struct, frozen=True, rename="camel"):
    """A boost of one user. `null` is as good as nothing."""

    name: Name
    start: str
    multiplier: Raw
    end: str | None = None
    rounding: Rounding | None = None
    user_id: Id | None = None
    user_attributes: Raw | UnsetType = UNSET


_items_decoder: msgspec.json.Decoder[Items] = msgspec.json.Decoder(Items)
_item_decoder: msgspec.json.Decoder[BoostItem] = msgspec.json.Decoder(BoostItem)


class CreateBoostsEndpoint:
    """`POST /admin/v1/points/{systemId}/boosts`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises RequestError or NotSent."""
        system = parse_uuid(segment_of(scope, "systemId"))
        if system is None:
            raise Invalid("systemId: expected a UUID")
        system_id = format_id(system)
        bodies: tuple[Raw, ...] = decode_batch(_items_decoder, await read_body(receive))
        items = decode_items(bodies, _item_decoder, partial(_create_boost, system_id))
        router: Router = scope["app"].state.router
        found: Reply = await router.call_any(ReadPointsSystem(system_id, "identity"))
        await send_reply(await _create(router, items) if found.status == OK else found, send)


async def _create(router: Router, items: list[Administer | Issue]) -> Reply:
    applied, issues = await apply_batch(router, items)
    response = BoostsResponse([Raw(reply.body) for _, reply in applied], issues)
    return Reply(CREATED if applied else OK, _encoder.encode(response))


def _create_boost(system: str, item: BoostItem) -> CreateBoost:
    if item.user_id is None:
        raise Invalid("userId: expected the id of a user; boosts for all users are in the catalog file")
    if item.user_attributes is not UNSET and bytes(item.user_attributes) != b"null":
        raise Invalid("userAttributes: expected none with a userId")
    first = parse_date("start", item.start)
    last = None if item.end is None else parse_date("end", item.end)
    if last is not None and last < first:
        raise Invalid("end: expected a date that is not before start")
    multiplier = parse_value(item.multiplier, "multiplier")
    expected = check_multiplier(Decimal(multiplier).scaleb(-PLACES))
    if expected is not None:
        raise Invalid(f"multiplier: {expected}")
    return CreateBoost(
        user_id=item.user_id,
        system=system,
        boost_id=_boost_ids.make(),
        name=item.name,
        start_day=first,
        end_day=last,
        multiplier=multiplier,
        rounding=item.rounding or "down",
    )


create_boosts = CreateBoostsEndpoint()
