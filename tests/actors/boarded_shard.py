"""A user shard whose time stands still, with leaderboards and a scripted leaderboard shard."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

import msgspec
from msgspec.structs import replace

from plaudit.actors.board_messages import Place, Score
from plaudit.actors.board_scores import make_score
from plaudit.actors.messages import Reply
from plaudit.actors.user_shard import ShardSettings
from plaudit.engine.amounts import UNIT
from plaudit.engine.catalog import Catalog
from plaudit.engine.commands import RecordEvent, UserFields
from plaudit.engine.document import LeaderboardEntry
from plaudit.engine.revision import revise
from plaudit.engine.snapshot import decode_user
from plaudit.engine.standings import all_scores
from plaudit.storage.errors import Corrupt
from tests.actors.scripted_board import ScriptedBoard, scripted_board
from tests.actors.timed_shard import NOON_MS, TimedShard, timed
from tests.catalogs import STUDY
from tests.engine.builders import event_id

MONDAY = date(2099, 3, 2)
"""That of NOON_MS."""
WEEKLY: dict[str, Any] = {"start": MONDAY, "run_unit": "day", "run_interval": 7}
FIRST = Place(1, None, 1)


def ranking(key: str, **more: Any) -> LeaderboardEntry:
    """A leaderboard of lessons, unless something else is said."""
    fields: dict[str, Any] = {"rank_by": "metric"} | more
    if fields["rank_by"] == "metric":
        fields.setdefault("metric", "lessons")
    return LeaderboardEntry(key, key, **fields)


ALL = (
    ranking("all", start=MONDAY),
    ranking("weekly", **WEEKLY),
    ranking("morning", start=MONDAY, start_time="06:00", end_time="13:00"),
    ranking("xp", rank_by="points", points="xp", start=MONDAY, run_unit="day"),
    ranking("streak", rank_by="streak", start=MONDAY),
    ranking("plan", breakdown_attributes=("plan",), **WEEKLY),
    ranking("pro", user_attributes={"plan": "pro"}, **WEEKLY),
)
"""Numbered from 1."""


def with_rankings(*boards: LeaderboardEntry, before: Catalog | None = None, at_ms: int = NOON_MS) -> Catalog:
    """The catalog of the tests with these leaderboards."""
    return revise(before or Catalog(), replace(STUDY, leaderboards=boards), at_ms)


def lesson(user: str, number: int, value: int = 1, *, metric: str = "lessons", **fields: Any) -> RecordEvent:
    """An event of a user; the number is that of the event."""
    return RecordEvent(user, metric, value * UNIT, event_id(number), UserFields(**({"tz": "UTC"} | fields)))


def boards_in(reply: Reply) -> dict[str, Any]:
    """The leaderboards of an event's response."""
    assert reply.status == 201, reply
    found: dict[str, Any] = msgspec.json.decode(reply.body)["leaderboards"]
    return found


async def committed(shard: TimedShard) -> dict[tuple[int, int, int], Score]:
    """How everybody stands who has a value, from the state of the shard itself."""
    compiled, found = shard.shard._executor.compiled, {}
    residents = shard.shard._residents
    users = {r.id: (r.key, r.user, r.applied) for r in residents.unsaved()}
    for id_, stored in await shard.shard._state.scan_users(limit=100_000):
        assert not isinstance(stored, Corrupt)
        if id_ not in users and id_ not in residents.deleted_ids():
            users[id_] = (stored.key, decode_user(stored.snapshot), stored.applied)
    for id_, (key, user, applied) in users.items():
        for each in all_scores(user, compiled):
            if each.value is not None:
                found[each.board.definition.number, each.run, id_] = make_score(each, key, id_, user, applied)
    return found


def by_member(scores: list[Score]) -> dict[tuple[int, int, int], Score]:
    """Scores by board, run and member: each is said once."""
    found = {(score.board, score.run, score.member): score for score in scores}
    assert len(found) == len(scores)
    return found


def unversioned(scores: dict[tuple[int, int, int], Score]) -> dict[tuple[int, int, int], Score]:
    """Without the versions, which differ if something else has happened to a user since."""
    return {key: replace(score, version=0) for key, score in scores.items()}


async def until_welcome(shard: TimedShard) -> None:
    """Return when the leaderboard shard is there and knows everything."""
    async with asyncio.timeout(5):
        while not all(client._is_welcome for client in shard.shard._publisher._clients):
            await asyncio.sleep(0)
        await shard.shard._publisher.flush()


@asynccontextmanager
async def boarded(
    settings: ShardSettings, catalog: Catalog, place: Callable[[Score], Place | None] | None = lambda _: FIRST
) -> AsyncIterator[tuple[TimedShard, ScriptedBoard]]:
    """An open shard, and the leaderboard shard that has welcomed it."""
    address = f"{settings.address}-board"
    async with (
        scripted_board(address, place) as peer,
        timed(replace(settings, boards=(address,)), catalog) as shard,
    ):
        await until_welcome(shard)
        yield shard, peer
