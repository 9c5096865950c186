"""What a changed catalog gives to users who are there already: whoever they are, and whatever happens meanwhile."""

import asyncio
import logging
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from plaudit.actors import checkpoint as checkpoints
from plaudit.actors import filling, schedule, timers, user_history
from plaudit.actors.checkpoint import Checkpointer
from plaudit.actors.messages import Reply
from plaudit.actors.runtime import InlineHost
from plaudit.actors.shard_client import ShardClient
from plaudit.actors.user_shard import ShardSettings
from plaudit.engine.amounts import UNIT
from plaudit.engine.catalog import Catalog
from plaudit.engine.commands import CompleteAchievement, ReadAchievementStats, ReadPoints, RecordEvent, UserFields
from plaudit.engine.compiling import compile_catalog
from plaudit.engine.document import AchievementEntry, Document, LevelEntry, TriggerEntry
from plaudit.engine.revision import revise
from tests.actors.shards import CATALOG, call, checkpoint, edit, killed_now, opened, statuses
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


# Events of those whose history has not been looked at


def with_points(at_ms: int = NOON_MS) -> Catalog:
    """The catalog of the tests with points for every 2 lessons of maths, and for what needs them."""
    [system] = STUDY.points
    asked = AchievementEntry("asked", "Asked", trigger="api")
    maths = AchievementEntry("maths", "Maths", "lessons", Decimal(2), event_attributes={"subject": "maths"})
    two = AchievementEntry("two", "Two", trigger="achievement", achievements=("asked", "maths"))
    triggers = (
        *system.triggers,
        TriggerEntry("maths", "lessons", 2, 7, event_attributes={"subject": "maths"}),
        TriggerEntry("for-maths", points=100, type="achievement", achievement="maths"),
        TriggerEntry("for-two", points=1000, type="achievement", achievement="two"),
    )
    document: Document = replace(
        STUDY, achievements=(*STUDY.achievements, asked, maths, two), points=(replace(system, triggers=triggers),)
    )
    return revise(CATALOG, document, at_ms)


def adopt_unseen(shard: TimedShard, catalog: Catalog) -> None:
    """A catalog is in force from now on, and nobody has been looked at."""
    shard.catalog = catalog
    shard.shard._change_catalog(catalog, compile_catalog(catalog))


def told(reply: Reply) -> list[str]:
    """What an event is told that it has completed."""
    return [each["key"] for each in msgspec.json.decode(reply.body)["achievements"]]


def awarded(reply: Reply, catalog: Catalog) -> dict[str, int]:
    """What an event is told that it has earned, by the trigger's key."""
    awards = msgspec.json.decode(reply.body)["points"]["xp"]["awards"]
    keys = {each.id: each.key for each in catalog.points_systems[0].triggers}
    return {keys[each["trigger"]["id"]]: each["awarded"] for each in awards}


async def test_q40_an_event_that_comes_before_its_user_s_history_is_told_what_it_completes_with_it(
    settings: ShardSettings,
) -> None:
    """Users 1 and 2 have had one lesson of maths each, user 3 two, and user 12 none."""
    async with timed(settings) as shard:
        await fill(shard)
        adopt_unseen(shard, with_points())
        replies = await shard.call(*(lesson(user, 500 + user, "maths") for user in (1, 2, 3, 12)))
        both = {"per-lesson": 10, "maths": 7, "for-maths": 100}
        assert [told(reply) for reply in replies] == [["maths"], ["maths"], [], ["first"]]
        assert [awarded(reply, shard.catalog) for reply in replies] == [both, both, *[{"per-lesson": 10}] * 2]
        await shard.move(NOON_MS + HOUR_MS)
        known = await shard.known()
        users = [known["", f"user-{user}"].user for user in (1, 2, 3, 5, 12)]
        assert [user.points[1] for user in users] == [127, 137, 40, 50, 10]
        assert [user.matched[1] // UNIT for user in users] == [2, 2, 3, 3, 1]


async def test_q40_so_is_a_completion_that_is_asked_for(settings: ShardSettings) -> None:
    users = (1, 3, 7)
    async with timed(settings) as shard:
        await fill(shard)
        adopt_unseen(shard, with_points())
        await shard.call(*(CompleteAchievement(f"user-{user}", "asked") for user in users))
        for now_ms in (NOON_MS, NOON_MS + HOUR_MS):
            known = await shard.known()
            assert [known["", f"user-{user}"].user.points[1] for user in users] == [10, 1030, 1070]
            await shard.move(now_ms)


async def test_q40_many_events_at_once_are_told_so_while_everything_is_saved(settings: ShardSettings) -> None:
    async with timed(settings) as shard:
        await fill(shard)
        adopt_unseen(shard, with_points())
        turns = [(user, turn) for turn in range(3) for user in range(1, USERS)]
        saving = asyncio.create_task(shard.checkpoint())
        sent = [shard.client.call(lesson(user, 500 + 20 * turn + user, "maths")) for user, turn in turns]
        replies = await asyncio.gather(*sent)
        await saving
        for (user, turn), reply in zip(turns, replies, strict=True):
            before = (user + 1) // 2 + turn
            assert ("maths" in told(reply)) == (before == 1), user
            assert ("maths" in awarded(reply, shard.catalog)) == (before % 2 == 1), user
        copy, expected = killed_now(settings, "copy"), await shard.snapshots()
    again = TimedShard(copy, shard.catalog)
    await again.open()
    assert await again.snapshots() == expected
    await again.host.close()


@pytest.mark.parametrize("is_first", [True, False])
async def test_a7_9_matching_events_that_come_to_nothing_count_as_nothing(
    settings: ShardSettings, *, is_first: bool
) -> None:
    """What was taken away before the catalog is given back after it, before or after anybody looks at the history."""
    async with timed(settings) as shard:
        await shard.call(replace(lesson(1, 1, "maths"), value=-2 * UNIT))
        await shard.checkpoint()
        adopt_unseen(shard, with_points())
        if not is_first:
            await shard.move(NOON_MS + HOUR_MS)
        replies = await shard.call(replace(lesson(1, 2, "maths"), value=2 * UNIT))
        await shard.move(NOON_MS + 2 * HOUR_MS)
        replies += await shard.call(lesson(1, 3, "maths"), lesson(1, 4, "maths"))
        assert [told(reply) for reply in replies] == [[], ["first"], ["maths"]]
        assert (await shard.known())["", "user-1"].user.matched == {1: 2 * UNIT}


# Damage


async def test_damage_to_the_history_of_one_user_stays_theirs_when_filters_are_added(
    settings: ShardSettings, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(settings) as (host, client):
        await call(client, *(lesson(user, user, "maths") for user in range(5)))
        await checkpoint(host)
    edit(settings, "UPDATE history SET entries = zeroblob(20) WHERE id = (SELECT min(id) FROM history)")
    reasons: list[str] = []
    host = InlineHost(settings, reasons.append)
    await host.open(CATALOG)
    client = ShardClient(settings.address, 99)
    client.start()
    try:
        async with asyncio.timeout(30):
            with caplog.at_level(logging.CRITICAL, "plaudit.actors.filling"):
                await host.adopt(with_points())
                replies = await call(client, *(lesson(user, 10 + user, "maths") for user in range(5)))
            assert statuses(replies) == [201] * 5
            assert sorted(map(told, replies)) == [[], *[["maths"]] * 4]
            replies = await call(client, *(lesson(user, 20 + user, "maths") for user in range(5)))
            assert sorted(map(told, replies)) == [*[[]] * 4, ["maths"]]  # whose lesson before is not known any more
        assert reasons == []
    finally:
        await client.close()
        await host.close()
