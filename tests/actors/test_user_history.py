"""One user's history, read backwards from what is saved in pieces."""

import asyncio
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from plaudit.actors import user_history
from plaudit.actors.checkpoint import Checkpointer
from plaudit.actors.messages import Reply
from plaudit.actors.user_shard import ShardSettings
from plaudit.engine.commands import ReadAchievementStats, ReadPoints, StreakPreferenceFields, UpdatePreferences
from plaudit.engine.document import AchievementEntry, Document, TriggerEntry
from plaudit.engine.revision import revise
from tests.actors.shards import CATALOG, event, killed_now
from tests.actors.timed_shard import DAY_MS, NOON_MS, TimedShard, timed
from tests.catalogs import STUDY

PIECES = 20


def totals(reply: Reply) -> list[int]:
    """The totals after the awards of a response."""
    assert reply.status == 200, reply
    return [award["total"] for award in msgspec.json.decode(reply.body)["awards"]]


def watch(shard: TimedShard, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pieces are asked for, each time."""
    load, asked = shard.shard._state.load_chain, list[int]()

    async def noted(chunk: int | None, limit: int) -> Any:
        asked.append(limit)
        return await load(chunk, limit)

    monkeypatch.setattr(shard.shard._state, "load_chain", noted)
    return asked


@pytest.mark.parametrize(
    ("awards", "limits"),
    [(1, []), (2, [1]), (3, [1]), (4, [1, 2]), (7, [1, 2]), (8, [1, 2, 4]), (100, [1, 2, 4, 8, 8])],
)
async def test_it_is_read_from_one_piece_on_and_more_at_a_time_as_it_goes(
    settings: ShardSettings, monkeypatch: pytest.MonkeyPatch, awards: int, limits: list[int]
) -> None:
    """Two lessons in each piece, and one that is not saved."""
    monkeypatch.setattr(Checkpointer, "_run", lambda _: asyncio.Event().wait())
    monkeypatch.setattr(user_history, "CHAIN_CHUNKS", 8)
    async with timed(settings) as shard:
        for _ in range(PIECES):
            await shard.call(event("a"), event("a"))
            await shard.checkpoint()
        await shard.call(event("a"))
        asked = watch(shard, monkeypatch)
        [reply] = await shard.call(ReadPoints("a", "xp", awards))
        assert totals(reply) == [10 * n for n in range(2 * PIECES + 1, 0, -1)][:awards]
        assert asked == limits


async def test_a7_4_a8_4_what_a_preference_makes_visible_is_in_it_and_counted(settings: ShardSettings) -> None:
    [system] = STUDY.points
    two = AchievementEntry("two", "Two", trigger="streak", streak_length=2)
    trigger = TriggerEntry("for-two", points=100, type="achievement", achievement="two")
    document: Document = replace(
        STUDY,
        achievements=(*STUDY.achievements, two),
        points=(replace(system, triggers=(*system.triggers, trigger)),),
    )
    async with timed(settings, revise(CATALOG, document, NOON_MS)) as shard:
        for is_on in (False, True):
            await shard.call(event("a"), UpdatePreferences("a", streak=StreakPreferenceFields(enabled=is_on)))
            await shard.move(shard.now_ms + DAY_MS)
        [points, stats] = await shard.call(ReadPoints("a", "xp"), ReadAchievementStats())
        assert totals(points) == [120, 20, 10]
        [*_, counted] = msgspec.json.decode(stats.body)["achievements"]
        assert counted["completions"] == 1
        copy = killed_now(settings, "copy")
        expected = await shard.snapshots()
    again = TimedShard(copy, shard.catalog)
    again.now_ms = shard.now_ms
    await again.open()
    assert await again.snapshots() == expected
    await again.host.close()
