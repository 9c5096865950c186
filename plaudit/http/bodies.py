"""The shapes of request bodies, and how to say what is wrong with one."""

from decimal import Context, Decimal, InvalidOperation
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType
from starlette.types import Receive

from plaudit.engine.amounts import UNIT, parse_amount
from plaudit.engine.commands import UserFields
from plaudit.http.errors import Invalid, Malformed, TooLarge

BODY_SIZE_MAX = 128 * 1024
"""Bytes. A frame of the longest batch of the largest bodies stays far below what the transport allows."""
USER_ID_LENGTH_MAX = 255
ATTRIBUTE_KEY_LENGTH_MAX = 100
ATTRIBUTES_MAX = 100
SHORT_INTEGER_DIGITS = 12

Id = Annotated[str, Meta(min_length=1, max_length=USER_ID_LENGTH_MAX)]
Email = Annotated[str, Meta(max_length=320)]
Name = Annotated[str, Meta(max_length=255)]
ZoneKey = Annotated[str, Meta(max_length=64)]
DayText = Annotated[str, Meta(max_length=40)]
Token = Annotated[str, Meta(max_length=1024)]
Tokens = Annotated[tuple[Token, ...], Meta(max_length=50)]
AttributeKey = Annotated[str, Meta(max_length=ATTRIBUTE_KEY_LENGTH_MAX)]
AttributeValue = Annotated[str, Meta(max_length=1000)]
Attributes = Annotated[dict[AttributeKey, AttributeValue], Meta(max_length=ATTRIBUTES_MAX)]


class UserBody(Struct, frozen=True, rename="camel"):
    """`UpsertedUser`. Unknown keys are ignored."""

    id: Id
    email: Email | UnsetType | None = UNSET
    name: Name | UnsetType | None = UNSET
    tz: ZoneKey | UnsetType | None = UNSET
    sign_up_date: DayText | UnsetType | None = UNSET
    device_tokens: Tokens | UnsetType | None = UNSET
    subscribe_to_emails: bool | UnsetType | None = UNSET
    attributes: Attributes | UnsetType | None = UNSET

    def fields(self) -> UserFields:
        """What of the profile the request passes."""
        return UserFields(
            self.email,
            self.name,
            self.tz,
            self.sign_up_date,
            self.device_tokens,
            self.subscribe_to_emails,
            self.attributes,
        )


class EventBody(Struct, frozen=True, rename="camel"):
    """The body of a metric event. `value` stays as it was written, so that no digit is lost."""

    user: UserBody
    value: Raw
    attributes: Attributes | UnsetType | None = UNSET


_event_decoder: msgspec.json.Decoder[EventBody] = msgspec.json.Decoder(EventBody)


def decode_event(body: bytes) -> EventBody:
    """The body of a metric event. Raises Malformed or Invalid."""
    try:
        return _event_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise explain(error) from None


def explain(error: Exception) -> Malformed | Invalid:
    """A decoder's complaint, with the field first."""
    if not isinstance(error, msgspec.ValidationError):
        return Malformed(f"body: expected a JSON object ({error})")
    message, _, path = str(error).replace("`", "").partition(" - at ")
    field = path.removeprefix("$").removeprefix(".")
    if message.startswith("Object missing required field "):
        missing = message.removeprefix("Object missing required field ")
        return Invalid(f"{field}.{missing}: missing" if field else f"{missing}: missing")
    complaint = message[:1].lower() + message[1:]
    return Invalid(f"{field}: {complaint}") if field else Malformed(f"body: {complaint}")


def parse_value(raw: Raw, field: str = "value") -> int:
    """A JSON number as an amount. Raises Invalid (ours or the engine's), naming `field`, for anything else."""
    text = bytes(raw)
    if len(text) <= SHORT_INTEGER_DIGITS and text.isdigit():
        return int(text) * UNIT
    if text[:1] not in b"-0123456789":
        raise Invalid(f"{field}: expected a number, got {text[:40].decode(errors='replace')}")
    return parse_amount(_to_decimal(text.decode()), field)


def _to_decimal(number: str) -> Decimal:
    """A JSON number exactly; one whose exponent has more digits than Decimal can hold is 0 or infinite."""
    try:
        return Decimal(number)
    except InvalidOperation:
        return Context(traps=[]).create_decimal(number)


async def read_body(receive: Receive) -> bytes:
    """The whole body. Raises TooLarge without reading further than the limit."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Malformed("body: the client went away")
        body += message.get("body", b"")
        if len(body) > BODY_SIZE_MAX:
            raise TooLarge(f"body: expected at most {BODY_SIZE_MAX} bytes")
        if not message.get("more_body", False):
            return bytes(body)
