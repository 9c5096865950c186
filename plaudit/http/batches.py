"""Batches of the Admin API: every item stands for itself (reference: Admin batch semantics).

One that is wrong becomes an issue in the answer, and the others are applied.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from plaudit.actors.errors import NotSent
from plaudit.actors.messages import Reply
from plaudit.actors.router import Router
from plaudit.actors.wire import ErrorResponse, Issue
from plaudit.engine.commands import Administer, CreateBoost, EndPause
from plaudit.engine.errors import Rejected
from plaudit.engine.ids import format_id
from plaudit.http.bodies import explain
from plaudit.http.errors import Invalid, Malformed

ITEMS_MAX = 100
NO_USER = "User does not exist"
NO_PAUSE = "Streak pause not found by ID"
NO_SYSTEM = "Points system not found"
"""As the shards say it."""
APPLIED = {200, 201}
NOT_FOUND, NEEDLESS = 404, 409

Items = Annotated[tuple[Raw, ...], Meta(min_length=1, max_length=ITEMS_MAX)]
"""The items of a body, each to be decoded by itself."""
Applied = list[tuple[Administer, Reply]]

T = TypeVar("T")


class _Subject(Struct, frozen=True, rename="camel"):
    """What an item may still say if the rest of it cannot be decoded."""

    user_id: str | None = None
    id: str | None = None


_subject_decoder: msgspec.json.Decoder[_Subject] = msgspec.json.Decoder(_Subject)
_array_decoder: msgspec.json.Decoder[Items] = msgspec.json.Decoder(Items)
_error_decoder: msgspec.json.Decoder[ErrorResponse] = msgspec.json.Decoder(ErrorResponse)


def decode_batch(decoder: "msgspec.json.Decoder[T]", body: bytes) -> T:
    """A body whose items are not decoded yet. Raises Malformed or Invalid."""
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise explain(error) from None


def decode_array(body: bytes) -> Items:
    """The items of a body that is nothing but these. Raises Malformed or Invalid."""
    try:
        return _array_decoder.decode(body)
    except msgspec.ValidationError:
        raise Invalid(f"body: expected an array of 1 to {ITEMS_MAX} items") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"body: expected a JSON array ({error})") from None


def decode_items(
    items: Iterable[Raw], decoder: "msgspec.json.Decoder[T]", make_command: Callable[[T], Administer]
) -> list[Administer | Issue]:
    """What each item asks for, or what is wrong with it. Raises Malformed for what is no JSON at all."""
    try:
        return [_decode_item(item, index, decoder, make_command) for index, item in enumerate(items)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise explain(error) from None


async def apply_batch(router: Router, items: Sequence[Administer | Issue]) -> tuple[Applied, list[Issue]]:
    """Send the commands in their order; returns those that were applied, and all issues, in the order of the items.

    Raises NotSent if nothing could be sent; otherwise a command that could not is an issue.
    """
    commands = [item for item in items if not isinstance(item, Issue)]
    outcomes = [await _outcome(each) for each in [_send(router, command) for command in commands]]
    refused = [outcome for outcome in outcomes if isinstance(outcome, NotSent)]
    if refused and len(refused) == len(commands):
        raise refused[0]
    applied: Applied = []
    issues: list[Issue] = []
    following = iter(outcomes)
    for item in items:
        if isinstance(item, Issue):
            issues.append(item)
        elif isinstance(outcome := next(following), NotSent):
            issues.append(_issue_of_command(item, str(outcome)))
        elif outcome.status in APPLIED:
            applied.append((item, outcome))
        else:
            issues.append(_issue_of_reply(item, outcome))
    return applied, issues


def error_issue(message: str, *, id_: str | None = None, user_id: str | None = None, index: int | None = None) -> Issue:
    """An item that was not applied because something is wrong with it."""
    return Issue("error", message, "error", message, id_, user_id, index)


def _send(router: Router, command: Administer) -> "asyncio.Future[Reply] | NotSent":
    try:
        return router.call(command)
    except NotSent as error:
        return error


async def _outcome(sent: "asyncio.Future[Reply] | NotSent") -> Reply | NotSent:
    """The reply; or why there is none, also of a command that has waited for its shard in vain."""
    try:
        return sent if isinstance(sent, NotSent) else await sent
    except NotSent as error:
        return error


def _decode_item(
    item: Raw, index: int, decoder: "msgspec.json.Decoder[T]", make_command: Callable[[T], Administer]
) -> Administer | Issue:
    try:
        return make_command(decoder.decode(item))
    except (Invalid, Rejected) as error:
        message = str(error)
    except msgspec.ValidationError as error:
        message = str(explain(error)).removeprefix("body: ")
    try:
        subject = _subject_decoder.decode(item)
    except msgspec.ValidationError:
        subject = _Subject()
    user_id = subject.id if subject.user_id is None else subject.user_id
    return error_issue(message, user_id=user_id, index=index if user_id is None else None)


def _issue_of_command(command: Administer, message: str) -> Issue:
    if isinstance(command, EndPause):
        return error_issue(message, id_=format_id(command.pause_id))
    return error_issue(message, user_id=command.user_id)


def _issue_of_reply(command: Administer, reply: Reply) -> Issue:
    message = _error_decoder.decode(reply.body).error
    if reply.status == NOT_FOUND:
        message = _explain_not_found(command, message)
    issue = _issue_of_command(command, message)
    if reply.status == NEEDLESS:
        return msgspec.structs.replace(issue, severity="warning", level="warning")
    return issue


def _explain_not_found(command: Administer, message: str) -> str:
    if isinstance(command, EndPause):
        return NO_PAUSE
    return message if isinstance(command, CreateBoost) and message == NO_SYSTEM else NO_USER
