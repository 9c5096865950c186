"""Leaderboards: a shard of users says which run is meant, and the shard of that run who is where in it."""

import asyncio

import msgspec
from starlette.types import Receive, Scope, Send

from plaudit.actors.messages import Reply
from plaudit.actors.router import Router
from plaudit.actors.wire import LeaderboardPart
from plaudit.engine.commands import FindLeaderboard, FindParticipant, ReadLeaderboards, ReadPlace, ReadRankings
from plaudit.http.bodies import USER_ID_LENGTH_MAX
from plaudit.http.endpoints import segment_of, send_reply, user_id_of
from plaudit.http.errors import Invalid
from plaudit.http.gathering import GatheringEndpoint, take_only
from plaudit.http.queries import Parameters
from plaudit.http.texts import parse_date, parse_user_attributes

OK, NOT_FOUND = 200, 404
LIMIT_DEFAULT = 10
LIMIT_MAX = 1000
"""What a leaderboard shard answers in a millisecond, beside everything else that it has to do."""
OFFSET_MAX = 10**9
DAYS_DEFAULT = 10
DAYS_MAX = 100

_NO_RANKINGS = b"[]"
_NO_PLACE = b'{"rank":null,"value":null,"history":[]}'
_decoder: msgspec.json.Decoder[LeaderboardPart] = msgspec.json.Decoder(LeaderboardPart)


def _ask_all(scope: Scope, router: Router) -> "list[asyncio.Future[Reply]]":
    with_finished = Parameters(scope["query_string"]).flag("includeFinished")
    return [router.call_any(ReadLeaderboards(with_finished))]


class RankingsEndpoint:
    """`GET /v1/leaderboards/{key}`: a part of the ranking of a run, from the top or from where a user is."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises RequestError or NotSent."""
        await send_reply(await self._answer(scope, scope["app"].state.router), send)

    async def _answer(self, scope: Scope, router: Router) -> Reply:
        parameters = Parameters(scope["query_string"])
        user_id = _find_user(parameters)
        offset = parameters.whole("offset", 0, 0 if user_id is None else -OFFSET_MAX, OFFSET_MAX)
        limit = parameters.whole("limit", LIMIT_DEFAULT, 0, LIMIT_MAX)
        command = FindLeaderboard(
            segment_of(scope, "key"),
            _find_day(parameters),
            parse_user_attributes(parameters),
            0 if parameters.text("limit") is None else limit,
        )
        found: Reply = await router.call_any(command)
        if found.status != OK:
            return found
        part = _decoder.decode(found.body)
        seat = None
        if user_id is not None:
            participant: Reply = await router.call(FindParticipant(user_id, command.key, part.run))
            if participant.status not in {OK, NOT_FOUND}:
                return participant
            seat = _decoder.decode(participant.body).seat if participant.status == OK else None
        if not part.has_begun or (user_id is not None and seat is None):
            return _with_rankings(part, _NO_RANKINGS)
        wanted = ReadRankings(part.board, part.run, tuple(part.group), offset, limit, seat)
        rankings: Reply = await router.board_call(part.board, part.run, wanted)
        return _with_rankings(part, rankings.body) if rankings.status == OK else rankings


class PlaceEndpoint:
    """`GET /v1/users/{id}/leaderboards/{key}`: where a user is in a run, and was on the days before."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises RequestError or NotSent."""
        await send_reply(await self._answer(scope, scope["app"].state.router), send)

    async def _answer(self, scope: Scope, router: Router) -> Reply:
        parameters = Parameters(scope["query_string"])
        days = parameters.whole("numEvents", DAYS_DEFAULT, 0, DAYS_MAX)
        command = FindParticipant(user_id_of(scope), segment_of(scope, "key"), _find_day(parameters))
        found: Reply = await router.call(command)
        if found.status != OK:
            return found
        part = _decoder.decode(found.body)
        if part.seat is None or not part.has_begun:
            return _with_place(part, _NO_PLACE)
        place: Reply = await router.board_call(part.board, part.run, ReadPlace(part.board, part.run, part.seat, days))
        return _with_place(part, place.body) if place.status == OK else place


def _find_user(parameters: Parameters) -> str | None:
    """The user to begin at; None: at the top. Raises Invalid."""
    user_id = parameters.text("userId")
    if user_id is not None and len(user_id) > USER_ID_LENGTH_MAX:
        raise Invalid(f"userId: expected at most {USER_ID_LENGTH_MAX} characters")
    return user_id


def _find_day(parameters: Parameters) -> int | None:
    """A day of the run that is asked for, as an ordinal; None: the present one. Raises Invalid."""
    text = parameters.text("run")
    return None if text is None else parse_date("run", text)


def _with_rankings(part: LeaderboardPart, rankings: bytes) -> Reply:
    """A leaderboard's object with an array of `Ranking` objects."""
    return Reply(OK, b'%b,"rankings":%b}' % (bytes(part.body)[:-1], rankings))


def _with_place(part: LeaderboardPart, place: bytes) -> Reply:
    """A leaderboard's object with the fields of a `PlaceResponse`."""
    return Reply(OK, b"%b,%b" % (bytes(part.body)[:-1], place[1:]))


read_leaderboards = GatheringEndpoint(_ask_all, take_only)
"""`GET /v1/leaderboards`."""
