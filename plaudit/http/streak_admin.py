"""`/admin/v1/streaks`: freezes, pauses, restoring and resetting, for up to 100 users at a time."""

import asyncio
from collections.abc import Callable
from functools import partial

import msgspec
from msgspec import Raw, Struct
from starlette.types import Receive, Scope, Send

from plaudit.actors.messages import Reply
from plaudit.actors.router import Router
from plaudit.actors.wire import (
    DeletedItem,
    DeletedResponse,
    FreezesResponse,
    Issue,
    Owners,
    PausesResponse,
    ResetResponse,
    RestoredResponse,
)
from plaudit.engine.commands import (
    Administer,
    EndPause,
    FindOwners,
    GrantFreeze,
    PauseStreak,
    ResetStreak,
    RestoreStreak,
)
from plaudit.engine.ids import format_id
from plaudit.http.batches import (
    ITEMS_MAX,
    NO_PAUSE,
    Applied,
    Items,
    apply_batch,
    decode_batch,
    decode_items,
    error_issue,
)
from plaudit.http.bodies import Id, read_body
from plaudit.http.endpoints import send_reply
from plaudit.http.errors import Invalid
from plaudit.http.event_ids import EventIds
from plaudit.http.queries import Parameters
from plaudit.http.texts import parse_date, parse_uuid

OK, CREATED = 200, 201

_pause_ids = EventIds()
_encoder = msgspec.json.Encoder()


class FreezesBody(Struct, frozen=True):
    """The body of `POST /admin/v1/streaks/freezes`."""

    freezes: Items


class PausesBody(Struct, frozen=True):
    """The body of `POST /admin/v1/streaks/pauses`."""

    pauses: Items


class UsersBody(Struct, frozen=True):
    """The body of `POST /admin/v1/streaks/restore` and `.../reset`."""

    users: Items


class FreezeItem(Struct, frozen=True, rename="camel"):
    """Who gets a freeze."""

    user_id: Id


class PauseItem(Struct, frozen=True, rename="camel"):
    """Whose streak is paused, from which date to which."""

    user_id: Id
    start: str
    end: str


class UserItem(Struct, frozen=True):
    """Whose streak is restored or reset."""

    id: Id


_freezes_decoder: msgspec.json.Decoder[FreezesBody] = msgspec.json.Decoder(FreezesBody)
_pauses_decoder: msgspec.json.Decoder[PausesBody] = msgspec.json.Decoder(PausesBody)
_users_decoder: msgspec.json.Decoder[UsersBody] = msgspec.json.Decoder(UsersBody)
_freeze_decoder: msgspec.json.Decoder[FreezeItem] = msgspec.json.Decoder(FreezeItem)
_pause_decoder: msgspec.json.Decoder[PauseItem] = msgspec.json.Decoder(PauseItem)
_user_decoder: msgspec.json.Decoder[UserItem] = msgspec.json.Decoder(UserItem)

Parse = Callable[[bytes], list[Administer | Issue]]
Respond = Callable[[Applied, list[Issue]], Reply]


class BatchEndpoint:
    """Answers a batch: `parse` takes commands from the body, `respond` makes the answer of what became of them."""

    def __init__(self, parse: Parse, respond: Respond) -> None:
        self._parse = parse
        self._respond = respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises RequestError or NotSent."""
        items = self._parse(await read_body(receive))
        router: Router = scope["app"].state.router
        await send_reply(self._respond(*await apply_batch(router, items)), send)


class DeletePausesEndpoint:
    """`DELETE /admin/v1/streaks/pauses?ids=`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises RequestError or NotSent."""
        ids = Parameters(scope["query_string"]).listed("ids", ITEMS_MAX)
        router: Router = scope["app"].state.router
        found = [parse_uuid(text) for text in ids]
        known = {id_ for id_ in found if id_ is not None}
        replies: list[Reply] = await asyncio.gather(*router.query(FindOwners(tuple(known)))) if known else []
        failed = [reply for reply in replies if reply.status != OK]
        if failed:
            await send_reply(failed[0], send)
            return
        owners: dict[str, str] = {}
        for reply in replies:
            owners |= msgspec.json.decode(reply.body, type=Owners).owners
        items = [_end_pause(text, id_, owners) for text, id_ in zip(ids, found, strict=True)]
        await send_reply(_respond_deleted(*await apply_batch(router, items)), send)


def _parse_freezes(body: bytes) -> list[Administer | Issue]:
    return decode_items(decode_batch(_freezes_decoder, body).freezes, _freeze_decoder, _grant_freeze)


def _parse_pauses(body: bytes) -> list[Administer | Issue]:
    return decode_items(decode_batch(_pauses_decoder, body).pauses, _pause_decoder, _pause_streak)


def _parse_users(make_command: Callable[[UserItem], Administer], body: bytes) -> list[Administer | Issue]:
    return decode_items(decode_batch(_users_decoder, body).users, _user_decoder, make_command)


def _grant_freeze(item: FreezeItem) -> GrantFreeze:
    return GrantFreeze(item.user_id)


def _pause_streak(item: PauseItem) -> PauseStreak:
    first, last = parse_date("start", item.start), parse_date("end", item.end)
    if last < first:
        raise Invalid("end: expected a date that is not before start")
    return PauseStreak(item.user_id, _pause_ids.make(), first, last)


def _end_pause(text: str, pause_id: bytes | None, owners: dict[str, str]) -> EndPause | Issue:
    if pause_id is None:
        return error_issue("id must be a valid UUID", id_=text)
    owner = owners.get(format_id(pause_id))
    return error_issue(NO_PAUSE, id_=text) if owner is None else EndPause(owner, pause_id)


def _restore_streak(item: UserItem) -> RestoreStreak:
    return RestoreStreak(item.id)


def _reset_streak(item: UserItem) -> ResetStreak:
    return ResetStreak(item.id)


def _respond_freezes(applied: Applied, issues: list[Issue]) -> Reply:
    return Reply(CREATED if applied else OK, _encoder.encode(FreezesResponse(issues)))


def _respond_pauses(applied: Applied, issues: list[Issue]) -> Reply:
    response = PausesResponse([Raw(reply.body) for _, reply in applied], issues)
    return Reply(CREATED if applied else OK, _encoder.encode(response))


def _respond_restored(applied: Applied, issues: list[Issue]) -> Reply:
    response = RestoredResponse([command.user_id for command, _ in applied], issues)
    return Reply(CREATED if applied else OK, _encoder.encode(response))


def _respond_reset(applied: Applied, issues: list[Issue]) -> Reply:
    return Reply(OK, _encoder.encode(ResetResponse([command.user_id for command, _ in applied], issues)))


def _respond_deleted(applied: Applied, issues: list[Issue]) -> Reply:
    deleted = [DeletedItem(format_id(command.pause_id)) for command, _ in applied if isinstance(command, EndPause)]
    return Reply(OK, _encoder.encode(DeletedResponse(deleted, issues)))


create_freezes = BatchEndpoint(_parse_freezes, _respond_freezes)
create_pauses = BatchEndpoint(_parse_pauses, _respond_pauses)
restore_streaks = BatchEndpoint(partial(_parse_users, _restore_streak), _respond_restored)
reset_streaks = BatchEndpoint(partial(_parse_users, _reset_streak), _respond_reset)
delete_pauses = DeletePausesEndpoint()
