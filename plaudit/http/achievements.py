"""Achievements: completing one on demand, and reading them with how many users have completed each."""

import asyncio
from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct
from starlette.types import Receive, Scope

from plaudit.actors.messages import Reply
from plaudit.actors.router import Router
from plaudit.actors.wire import AchievementStatsPart, UserAchievementsPart
from plaudit.engine.commands import CompleteAchievement, ReadAchievements, ReadAchievementStats
from plaudit.http.bodies import UserBody, explain, read_body
from plaudit.http.endpoints import segment_of, user_id_of
from plaudit.http.gathering import GatheringEndpoint
from plaudit.http.queries import Parameters
from plaudit.http.texts import parse_user_attributes

RARITY_PLACES = 2


class CompletionBody(Struct, frozen=True):
    """The body of a completion."""

    user: UserBody


class Stats(Struct, frozen=True):
    """How many users have completed an achievement, and how many per cent of all that is."""

    completions: int
    rarity: float


_completion_decoder: msgspec.json.Decoder[CompletionBody] = msgspec.json.Decoder(CompletionBody)
_part_decoder: msgspec.json.Decoder[UserAchievementsPart] = msgspec.json.Decoder(UserAchievementsPart)
_stats_decoder: msgspec.json.Decoder[AchievementStatsPart] = msgspec.json.Decoder(AchievementStatsPart)
_encoder = msgspec.json.Encoder()


async def complete_achievement(scope: Scope, receive: Receive) -> CompleteAchievement:
    """`POST /v1/achievements/{key}/complete`: 201, or 202 if the user has completed it before."""
    try:
        body = _completion_decoder.decode(await read_body(receive))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise explain(error) from None
    return CompleteAchievement(body.user.id, segment_of(scope, "key"), body.user.fields())


def _ask_all(scope: Scope, router: Router) -> "list[asyncio.Future[Reply]]":
    attributes = parse_user_attributes(Parameters(scope["query_string"]))
    return router.call_all(ReadAchievementStats(attributes))


def _ask_of_user(scope: Scope, router: Router) -> "list[asyncio.Future[Reply]]":
    """The user's first, then every shard's."""
    with_incomplete = Parameters(scope["query_string"]).text("includeIncomplete") == "true"
    user = router.call(ReadAchievements(user_id_of(scope), with_incomplete))
    return [user, *router.call_all(ReadAchievementStats())]


def _merge_all(replies: list[Reply]) -> bytes:
    parts = [_stats_decoder.decode(reply.body) for reply in replies]
    stats = add_stats(parts)
    listed = [achievement for achievement in parts[0].achievements if achievement.listed]
    return _encoder.encode([with_stats(achievement.body, stats[achievement.id]) for achievement in listed])


def _merge_of_user(replies: list[Reply]) -> bytes:
    stats = add_stats([_stats_decoder.decode(reply.body) for reply in replies[1:]])
    achievements = _part_decoder.decode(replies[0].body).achievements
    nobody = Stats(0, 0.0)  # of what has just come, and not to every shard yet
    return _encoder.encode([with_stats(each.body, stats.get(each.id, nobody)) for each in achievements])


def add_stats(parts: Sequence[AchievementStatsPart]) -> dict[str, Stats]:
    """What all shards have counted together, by the achievements' ids."""
    users = sum(part.users for part in parts)
    completions: dict[str, int] = {}
    for part in parts:
        for achievement in part.achievements:
            completions[achievement.id] = completions.get(achievement.id, 0) + achievement.completions
    return {id_: Stats(number, _rarity(number, users)) for id_, number in completions.items()}


def with_stats(body: Raw | bytes, stats: Stats) -> Raw:
    """The JSON of an achievement, with two fields more."""
    return Raw(bytes(body)[:-1] + b"," + _encoder.encode(stats)[1:])


def _rarity(completions: int, users: int) -> float:
    return round(100 * completions / users, RARITY_PLACES) if users else 0.0


read_achievements = GatheringEndpoint(_ask_all, _merge_all)
"""`GET /v1/achievements`: those that there are, or that there are for users with certain attributes."""
read_user_achievements = GatheringEndpoint(_ask_of_user, _merge_of_user)
"""`GET /v1/users/{id}/achievements`: those that the user has completed; all, with `includeIncomplete=true`."""
