"""Points systems, and what users have in them."""

import asyncio
from functools import partial
from typing import Literal

import msgspec
from msgspec import Raw, Struct
from starlette.types import Receive, Scope

from plaudit.actors.messages import Reply
from plaudit.actors.router import Router
from plaudit.actors.wire import LevelCountsPart, PointCountsPart
from plaudit.engine.commands import CountPoints, ReadBoosts, ReadPoints, ReadPointsSystem
from plaudit.engine.tally import Counter, add_up, spread
from plaudit.http.endpoints import segment_of, user_id_of
from plaudit.http.gathering import GatheringEndpoint, take_only
from plaudit.http.queries import Parameters
from plaudit.http.texts import parse_user_attributes

AWARDS_DEFAULT = 10
AWARDS_MAX = 100
SYSTEM = 0
"""What stands for the one system whose points are added up: its own number is not said."""


class PointsRangeResponse(Struct, frozen=True, rename={"first": "from", "last": "to"}):
    """`PointsRange`."""

    first: int
    last: int
    users: int


class LevelUsersResponse(Struct, frozen=True):
    """A level, and how many users are at it."""

    level: Raw
    users: int


_points_decoder: msgspec.json.Decoder[PointCountsPart] = msgspec.json.Decoder(PointCountsPart)
_levels_decoder: msgspec.json.Decoder[LevelCountsPart] = msgspec.json.Decoder(LevelCountsPart)
_encoder = msgspec.json.Encoder()


async def read_boosts(scope: Scope, _: Receive) -> ReadBoosts:
    """`GET /v1/users/{id}/points/{key}/boosts`: what multiplies the user's points today."""
    return ReadBoosts(user_id_of(scope), segment_of(scope, "key"))


def _ask_user(scope: Scope, router: Router) -> "list[asyncio.Future[Reply]]":
    awards = Parameters(scope["query_string"]).whole("awards", AWARDS_DEFAULT, 1, AWARDS_MAX)
    return router.query(ReadPoints(user_id_of(scope), segment_of(scope, "key"), awards))


def _ask_system(part: Literal["system", "levels"], scope: Scope, router: Router) -> "list[asyncio.Future[Reply]]":
    return [router.call_any(ReadPointsSystem(segment_of(scope, "key"), part))]


def _ask_boosts(scope: Scope, router: Router) -> "list[asyncio.Future[Reply]]":
    with_finished = Parameters(scope["query_string"]).flag("includeFinished")
    return [router.call_any(ReadPointsSystem(segment_of(scope, "key"), "boosts", with_finished))]


def _ask_ranges(scope: Scope, router: Router) -> "list[asyncio.Future[Reply]]":
    attributes = parse_user_attributes(Parameters(scope["query_string"]))
    return router.query(CountPoints(segment_of(scope, "key"), "range", attributes))


def _ask_levels(scope: Scope, router: Router) -> "list[asyncio.Future[Reply]]":
    return router.query(CountPoints(segment_of(scope, "key"), "level"))


def _merge_ranges(replies: list[Reply]) -> bytes:
    counters: dict[Counter, int] = {}
    for reply in replies:
        part = _points_decoder.decode(reply.body)
        add_up(counters, {("users", 0): part.users})
        add_up(counters, {("points", bucket): users for bucket, users in part.buckets.items()})
    ranges = spread(counters, SYSTEM)
    return _encoder.encode([PointsRangeResponse(each.first, each.last, each.users) for each in ranges])


def _merge_levels(replies: list[Reply]) -> bytes:
    parts = [_levels_decoder.decode(reply.body) for reply in replies]
    users: dict[str, int] = {}
    for part in parts:
        for level in part.levels:
            users[level.id] = users.get(level.id, 0) + level.users
    return _encoder.encode([LevelUsersResponse(level.body, users[level.id]) for level in parts[0].levels])


read_user_points = GatheringEndpoint(_ask_user, take_only)
"""`GET /v1/users/{id}/points/{key}`: the total, the level and the last awards."""
read_system = GatheringEndpoint(partial(_ask_system, "system"), take_only)
"""`GET /v1/points/{key}`."""
read_levels = GatheringEndpoint(partial(_ask_system, "levels"), take_only)
"""`GET /v1/points/{key}/levels`."""
read_system_boosts = GatheringEndpoint(_ask_boosts, take_only)
"""`GET /v1/points/{key}/boosts`: those of all users."""
count_points = GatheringEndpoint(_ask_ranges, _merge_ranges)
"""`GET /v1/points/{key}/summary`: how many users have how many points, in 11 ranges."""
count_levels = GatheringEndpoint(_ask_levels, _merge_levels)
"""`GET /v1/points/{key}/level-summary`: how many users are at each level."""
