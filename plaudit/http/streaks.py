"""Reading streaks: one user's with its history, and those of many."""

import asyncio

import msgspec
from msgspec import Struct
from starlette.types import Receive, Scope, Send

from plaudit.actors.messages import Reply
from plaudit.actors.router import Router
from plaudit.actors.wire import BulkStreak
from plaudit.engine.commands import ReadStreak
from plaudit.http.bodies import USER_ID_LENGTH_MAX
from plaudit.http.endpoints import send_reply, user_id_of
from plaudit.http.errors import Invalid
from plaudit.http.queries import Parameters

PERIODS_DEFAULT = 7
PERIODS_MAX = 365
USERS_MAX = 100
OK, NOT_FOUND = 200, 404


class _Length(Struct, frozen=True):
    """What a list of streaks takes from each."""

    length: int
    extended: str | None


_decoder: msgspec.json.Decoder[_Length] = msgspec.json.Decoder(_Length)


async def read_streak(scope: Scope, _: Receive) -> ReadStreak:
    """`GET /v1/users/{id}/streak`."""
    periods = Parameters(scope["query_string"]).whole("historyPeriods", PERIODS_DEFAULT, 0, PERIODS_MAX)
    return ReadStreak(user_id_of(scope), periods)


class StreaksEndpoint:
    """`GET /v1/streaks`: the streaks of up to 100 users, longest first; of those who exist (Q-32f)."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises RequestError or NotSent."""
        users = parse_users(scope["query_string"])
        router: Router = scope["app"].state.router
        replies = await asyncio.gather(*[router.call(ReadStreak(user, history_periods=0)) for user in users])
        failed = [reply for reply in replies if reply.status not in {OK, NOT_FOUND}]
        if failed:
            await send_reply(failed[0], send)
            return
        lengths = [
            (user, _decoder.decode(reply.body))
            for user, reply in zip(users, replies, strict=True)
            if reply.status == OK
        ]
        lengths.sort(key=lambda item: item[1].length, reverse=True)
        streaks = [BulkStreak(user, length.length, length.extended) for user, length in lengths]
        await send_reply(Reply(OK, msgspec.json.encode(streaks)), send)


def parse_users(query_string: bytes) -> list[str]:
    """The users that are asked for, each once. Raises Invalid."""
    users = list(dict.fromkeys(Parameters(query_string).listed("userIds", USERS_MAX)))
    if any(len(user) > USER_ID_LENGTH_MAX for user in users):
        raise Invalid(f"userIds: expected at most {USER_ID_LENGTH_MAX} characters each")
    return users
