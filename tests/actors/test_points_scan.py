"""Counts over all users who have certain attributes: one at a time, not too many, and none forgotten."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from plaudit.actors import points_scan
from plaudit.actors.checkpoint import Checkpointer
from plaudit.actors.messages import Reply
from plaudit.actors.points_scan import PointsScan
from plaudit.actors.shard_client import ShardClient
from plaudit.actors.user_shard import ShardSettings
from plaudit.engine.amounts import UNIT
from plaudit.engine.commands import CountPoints, DeleteUser, RecordEvent, UserFields
from tests.actors.shards import event, statuses
from tests.actors.timed_shard import TimedShard, timed
from tests.engine.builders import event_id

KEPT_MAX = 3


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of two users, few counts; checkpoints are when a test says."""
    monkeypatch.setattr(points_scan, "PAGE_USERS", 2)
    monkeypatch.setattr(points_scan, "PAUSE_RATIO", 0.0)
    monkeypatch.setattr(points_scan, "KEPT_MAX", KEPT_MAX)
    monkeypatch.setattr(Checkpointer, "_run", lambda _: asyncio.Event().wait())


class Gate:
    """Stands before each page of a count: notes who comes, and lets nobody pass until it is open."""

    def __init__(self, shard: TimedShard, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = asyncio.Event()
        self.waiting = self.most = self.pages = 0
        scan = shard.shard._state.scan_points

        async def scan_later(*args: Any) -> Any:
            self.waiting += 1
            self.pages += 1
            self.most = max(self.most, self.waiting)
            try:
                await self.open.wait()
                return await scan(*args)
            finally:
                self.waiting -= 1

        monkeypatch.setattr(shard.shard._state, "scan_points", scan_later)


def scan_of(shard: TimedShard) -> PointsScan:
    return shard.shard._executor._queries._scan


def of_plan(plan: str) -> CountPoints:
    return CountPoints("xp", "range", (("plan", plan),))


def lesson(user: int) -> RecordEvent:
    """A lesson of a user whose plan is the number's last digit."""
    fields = UserFields(tz="UTC", attributes={"plan": str(user % 10)})
    return RecordEvent(f"user-{user}", "lessons", UNIT, event_id(user), fields)


def users_in(reply: Reply) -> int:
    assert reply.status == 200, reply
    users: int = msgspec.json.decode(reply.body)["users"]
    return users


@asynccontextmanager
async def asking(shard: TimedShard, *plans: str) -> AsyncIterator[list[asyncio.Future[Reply]]]:
    """The answers to come to as many gateways, which ask one after the other."""
    clients = [ShardClient(shard.settings.address, 1000 + n) for n in range(len(plans))]
    answers = []
    for client, plan in zip(clients, plans, strict=True):
        client.start()
        await client.wait_connected()
        answers.append(client.call(of_plan(plan)))
    try:
        yield answers
    finally:
        for client in clients:
            await client.close()
        await asyncio.gather(*answers, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0)


async def test_a8_26_one_is_counted_at_a_time_and_whoever_asks_for_the_same_gets_the_same(
    settings: ShardSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with timed(settings) as shard:
        await shard.call(*map(lesson, range(20)))
        await shard.checkpoint()
        gate = Gate(shard, monkeypatch)
        async with asking(shard, "1", "2", "1", "x") as answers:
            await until(lambda: len(scan_of(shard)._counts) == 3)
            assert statuses(await shard.call(event("somebody"))) == [201]
            assert gate.waiting == 1
            gate.open.set()
            assert [users_in(reply) for reply in await asyncio.gather(*answers)] == [2, 2, 2, 0]
        assert gate.most == 1
        assert gate.pages == 3 * (10 + 1)


async def test_a8_26_more_than_may_wait_are_refused_with_503_and_the_others_are_answered(
    settings: ShardSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with timed(settings) as shard:
        await shard.call(*map(lesson, range(10)))
        await shard.checkpoint()
        gate = Gate(shard, monkeypatch)
        async with asking(shard, *"01234") as answers:
            await until(lambda: sum(answer.done() for answer in answers) == 2)
            refused = [answer.result() for answer in answers if answer.done()]
            assert statuses(refused) == [503, 503]
            assert [list(msgspec.json.decode(reply.body)) for reply in refused] == [["error"], ["error"]]
            gate.open.set()
            replies = await asyncio.gather(*answers)
            assert [users_in(reply) for reply in replies if reply not in refused] == [1] * KEPT_MAX
        [later] = await shard.call(of_plan("4"))  # there is room again
        assert users_in(later) == 1
        assert len(scan_of(shard)._counts) <= KEPT_MAX


async def test_a_shard_that_is_closed_does_not_wait_for_counts(
    settings: ShardSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with timed(settings) as shard:
        await shard.call(*map(lesson, range(10)))
        await shard.checkpoint()
        gate = Gate(shard, monkeypatch)
        async with asking(shard, "0", "1"):
            await until(lambda: len(scan_of(shard)._counts) == 2 and gate.waiting > 0)
            async with asyncio.timeout(30):
                await shard.host.close()
            assert gate.waiting == 0
            assert gate.pages == 1


@pytest.mark.parametrize("is_saved", [False, True])
async def test_a8_26_a_user_deleted_and_made_anew_is_counted_whatever_is_saved(
    settings: ShardSettings, monkeypatch: pytest.MonkeyPatch, *, is_saved: bool
) -> None:
    """Somebody with a later id is saved in a checkpoint that begins before the new user can be."""
    async with timed(settings) as shard:
        await shard.call(event("a"), event("b"))
        await shard.checkpoint()
        await shard.call(event("c"))
        sent = [asyncio.ensure_future(shard.client.call(each)) for each in (DeleteUser("a"), event("a"), event("d"))]
        residents = shard.shard._residents
        await until(lambda: bool(residents._deleted))
        await shard.checkpoint()
        await asyncio.gather(*sent)
        if is_saved:
            await shard.checkpoint()
        counters = await scan_of(shard).count(1, ())
        assert counters["users", 0] == residents.counters["users", 0] == 4
        assert {c: n for c, n in counters.items() if c[0] == "points"} == {
            c: n for c, n in residents.counters.items() if c[0] == "points"
        }


async def test_a8_26_every_user_is_counted_once_whatever_is_saved_meanwhile(
    settings: ShardSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with timed(settings) as shard:
        await shard.call(*map(lesson, range(8)))
        await shard.checkpoint()
        scan, pages = shard.shard._state.scan_points, 0

        async def save_meanwhile(*args: Any) -> Any:
            nonlocal pages
            pages += 1
            await shard.call(event(f"user-{pages}"), event(f"new-{pages}"))
            if pages % 2:
                await shard.checkpoint()
            return await scan(*args)

        with monkeypatch.context() as patch:
            patch.setattr(shard.shard._state, "scan_points", save_meanwhile)
            patch.setattr(points_scan, "PAGE_USERS", 3)
            found = await scan_of(shard).count(1, ())
        assert pages < 20
        users = found["users", 0]
        assert 8 <= users <= shard.shard._residents.counters["users", 0]
        assert sum(n for (kind, _), n in found.items() if kind == "points") == users
