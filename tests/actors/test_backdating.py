"""What a changed catalog gives to users who are there already: whoever they are, and whatever happens meanwhile."""

import asyncio
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from plaudit.actors import checkpoint as checkpoints
from plaudit.actors import filling, schedule, timers, user_history
from plaudit.actors.checkpoint import Checkpointer
from plaudit.actors.user_shard import ShardSettings
from plaudit.engine.amounts import UNIT
from plaudit.engine.catalog import Catalog
from plaudit.engine.commands import ReadAchievementStats, ReadPoints, RecordEvent, UserFields
from plaudit.engine.compiling import compile_catalog
from plaudit.engine.document import AchievementEntry, Document, LevelEntry
from plaudit.engine.revision import revise
from tests.actors.shards import CATALOG, killed_now, statuses
from tests.actors.timed_shard import HOUR_MS, NOON_MS, TimedShard, timed
from tests.catalogs import STUDY
from tests.engine.builders import event_id

USERS = 12
SUBJECTS = ("maths", "latin")


@pytest.fixture(autouse=True)
def few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two users are many; checkpoints are when a test says."""
    monkeypatch.setattr(schedule, "ENTRIES_MAX", 4)
    monkeypatch.setattr(timers, "ENTRIES_MAX", 4)
    monkeypatch.setattr(timers, "WAKE_USERS", 2)
    monkeypatch.setattr(timers, "SWEEP_USERS", 2)
    monkeypatch.setattr(checkpoints, "SLICE_USERS", 2)
    monkeypatch.setattr(filling, "CHAIN_CHUNKS", 1)
    monkeypatch.setattr(user_history, "CHAIN_CHUNKS", 1)
    monkeypatch.setattr(Checkpointer, "_run", lambda _: asyncio.Event().wait())


def changed(at_ms: int = NOON_MS) -> Catalog:
    """The catalog of the tests with more to achieve: 3 lessons, 2 of maths, both; and with levels."""
    three = AchievementEntry("three", "Three", "lessons", Decimal(3))
    maths = AchievementEntry("maths", "Maths", "lessons", Decimal(2), event_attributes={"subject": "maths"})
    both = AchievementEntry("both", "Both", trigger="achievement", achievements=("three", "maths"))
    [system] = STUDY.points
    levels = (LevelEntry("novice", "Novice", 0), LevelEntry("adept", "Adept", 40))
    document: Document = replace(
        STUDY, achievements=(*STUDY.achievements, three, maths, both), points=(replace(system, levels=levels),)
    )
    return revise(CATALOG, document, at_ms)


def lesson(user: int, number: int, subject: str) -> RecordEvent:
    attributes = {"subject": subject}
    return RecordEvent(f"user-{user}", "lessons", UNIT, event_id(number), UserFields(tz="UTC"), attributes)


async def fill(shard: TimedShard) -> None:
    """User n has n lessons, in turns of maths and Latin; some of it saved, in pieces."""
    number = 0
    for round_ in range(USERS):
        for user in range(round_ + 1, USERS):
            number += 1
            [reply] = await shard.call(lesson(user, number, SUBJECTS[round_ % 2]))
            assert reply.status == 201
        if round_ in {1, 3, 5}:
            await shard.checkpoint()


def expected(user: int) -> set[str]:
    """What user n has completed after all."""
    maths = (user + 1) // 2
    found = {key for key, value in (("first", 1), ("tenth", 10), ("three", 3)) if user >= value}
    found |= {"maths"} if maths >= 2 else set()
    return found | ({"both"} if {"three", "maths"} <= found else set())


async def check(shard: TimedShard, at_ms: int = NOON_MS) -> None:
    """Everybody has what they deserve, and it is counted."""
    keys = {achievement.number: achievement.key for achievement in shard.catalog.achievements}
    for (_, name), known in (await shard.known()).items():
        user = int(name.removeprefix("user-"))
        assert {keys[number] for number in known.user.completions} == expected(user), name
        assert known.user.matched.get(1, 0) == (user + 1) // 2 * UNIT
        assert all(at == at_ms for number, at in known.user.completions.items() if keys[number] in {"maths", "both"})
        assert known.user.levels == {1: 2 if user >= 4 else 1}
        assert known.user.points == {1: 10 * user}
    counters = shard.shard._residents.counters
    counted = {keys[number]: n for (kind, number), n in counters.items() if kind == "completions"}
    everybody = [key for user in range(1, USERS) for key in expected(user)]
    assert counted == {key: everybody.count(key) for key in set(everybody)}


async def test_a7_9_everybody_gets_what_they_deserve_silently(settings: ShardSettings) -> None:
    async with timed(settings) as shard:
        await fill(shard)
        await shard.adopt(changed())
        await check(shard)
        await shard.checkpoint()
        await check(shard)
        [reply] = await shard.call(ReadPoints("user-11", "xp", 100))
        assert len(msgspec.json.decode(reply.body)["awards"]) == 11


async def test_a7_9_a_kill_at_any_step_of_it_changes_nothing(
    settings: ShardSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[ShardSettings] = []
    async with timed(settings) as shard:
        await fill(shard)

        def stepped(method: Any) -> Any:
            async def step(*args: Any, **kwargs: Any) -> Any:
                result = await method(*args, **kwargs)
                killed.append(killed_now(settings, str(len(killed))))
                return result

            return step

        with monkeypatch.context() as patch:
            patch.setattr(shard.shard._state, "_write", stepped(shard.shard._state._write))
            patch.setattr(shard.shard._log, "append", stepped(shard.shard._log.append))
            saving = asyncio.create_task(shard.checkpoint())
            await shard.adopt(changed())
            await saving
            await shard.checkpoint()
    assert len(killed) > 12
    for copy in killed:
        again = TimedShard(copy, changed())
        await again.open()
        await check(again)
        await again.host.close()


async def test_a7_9_an_event_that_comes_first_is_told_only_what_it_has_done(settings: ShardSettings) -> None:
    async with timed(settings) as shard:
        await fill(shard)
        shard.shard._change_catalog(changed(), compile_catalog(changed()))  # nobody has been looked at yet
        replies = await shard.call(lesson(2, 500, "latin"), lesson(9, 501, "maths"))
        told = [[each["key"] for each in msgspec.json.decode(reply.body)["achievements"]] for reply in replies]
        assert told == [["three"], ["tenth"]]
        assert statuses(replies) == [201, 201]
        await shard.move(NOON_MS + HOUR_MS)
        known = await shard.known()
        keys = {achievement.number: achievement.key for achievement in changed().achievements}
        assert {keys[n] for n in known["", "user-9"].user.completions} == {"first", "three", "tenth", "maths", "both"}
        assert known["", "user-9"].user.matched == {1: 6 * UNIT}


async def test_a7_10_what_is_counted_is_there_at_once(settings: ShardSettings) -> None:
    async with timed(settings) as shard:
        await fill(shard)
        await shard.adopt(changed())
        [reply] = await shard.call(ReadAchievementStats())
        found = msgspec.json.decode(reply.body)
        assert found["users"] == USERS - 1
        assert [each["completions"] for each in found["achievements"]] == [11, 2, 9, 9, 9]
