"""A log that was written under several catalogs gives the same points whenever it is replayed."""

import asyncio
import random
from datetime import date
from decimal import Decimal

import msgspec
import pytest
from msgspec.structs import replace

from plaudit.actors.checkpoint import Checkpointer
from plaudit.actors.user_shard import ShardSettings
from plaudit.engine.amounts import UNIT
from plaudit.engine.catalog import Catalog
from plaudit.engine.commands import Command, CompleteAchievement, CreateBoost, ReadPoints, RecordEvent, UserFields
from plaudit.engine.document import AchievementEntry, BoostEntry, Document, LevelEntry, TriggerEntry
from plaudit.engine.revision import revise
from tests.actors.shards import CATALOG, killed_now
from tests.actors.timed_shard import HOUR_MS, NOON_MS, TimedShard, timed
from tests.catalogs import STUDY
from tests.engine.builders import event_id

USERS = [f"user-{n}" for n in range(6)]


@pytest.fixture(autouse=True)
def checkpoints_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Checkpointer, "_run", lambda _: asyncio.Event().wait())


def documents() -> list[Document]:
    """One catalog after the other: other points for the same deeds, and other deeds."""
    [system] = STUDY.points
    call = AchievementEntry("call", "Call", trigger="api")
    maths = AchievementEntry("maths", "Maths", "lessons", Decimal(3), event_attributes={"subject": "maths"})
    dear = (
        TriggerEntry("per-lesson", "lessons", 1, 7),
        TriggerEntry("welcome", points=30, type="user_creation"),
        TriggerEntry("call", points=11, type="achievement", achievement="call"),
        TriggerEntry("maths", "lessons", 2, 5, event_attributes={"subject": "maths"}),
    )
    costly = (
        TriggerEntry("per-lesson", "lessons", 1, -9, block_if_out_of_points=True),
        TriggerEntry("hourly", points=4, type="time", time_unit="hours", time_interval=2),
    )
    boost = BoostEntry("all", "All", date(2099, 3, 2), Decimal("1.5"), rounding="nearest")
    levels = (LevelEntry("one", "One", 20), LevelEntry("two", "Two", 60))
    return [
        replace(
            STUDY,
            achievements=(*STUDY.achievements, call, maths),
            points=(replace(system, triggers=dear, levels=levels),),
        ),
        replace(STUDY, achievements=(call,), points=(replace(system, triggers=costly, boosts=(boost,)),)),
        replace(
            STUDY, points=(replace(system, triggers=dear[:2], boosts=(boost,), max_points=90),), achievements=(call,)
        ),
    ]


def command(chance: random.Random, number: int) -> Command:
    user = chance.choice(USERS)
    if number % 11 == 5:
        return CompleteAchievement(user, "call", UserFields(name=user))
    if number % 17 == 8:
        first = date(2099, 3, 2).toordinal()
        system = CATALOG.points_systems[0].id
        return CreateBoost(user, system, event_id(number), "Own", first, first + 1, 2 * UNIT, "up")
    attributes = {"subject": chance.choice(["maths", "latin"])}
    value = chance.choice([1, 1, 2, -1]) * UNIT
    return RecordEvent(user, "lessons", value, event_id(number), UserFields(tz="Asia/Kathmandu"), attributes)


async def points_of(shard: TimedShard) -> dict[str, object]:
    replies = await shard.call(*(ReadPoints(user, "xp", 100) for user in USERS))
    return {user: msgspec.json.decode(reply.body) for user, reply in zip(USERS, replies, strict=True)}


@pytest.mark.parametrize("seed", range(4))
async def test_a_log_is_replayed_to_the_same_points_whatever_catalogs_came_in_between(
    settings: ShardSettings, seed: int
) -> None:
    chance = random.Random(seed)
    catalog: Catalog = CATALOG
    copies: list[tuple[ShardSettings, Catalog, int, dict[tuple[str, str], bytes], dict[str, object]]] = []
    async with timed(settings) as shard:
        for number in range(1, 161):
            await shard.call(command(chance, number))
            if number % 23 == 0:
                await shard.move(NOON_MS + number * HOUR_MS // 8)
            if number % 40 == 0 and number < 160:
                catalog = revise(catalog, documents()[number // 40 - 1], shard.now_ms)
                await shard.adopt(catalog)
            if number % 60 == 30 and seed % 2:
                await shard.checkpoint()
            if number % 35 == 0:
                copy = killed_now(settings, str(number))
                copies.append((copy, catalog, shard.now_ms, await shard.snapshots(), await points_of(shard)))
        assert len({str(each) for each in (await points_of(shard)).values()}) == len(USERS)
    for copy, then, now_ms, snapshots, points in copies:
        async with timed(copy, then) as again:
            again.now_ms = now_ms
            assert await again.move(now_ms) is not None
            assert await again.snapshots() == snapshots
            assert await points_of(again) == points
