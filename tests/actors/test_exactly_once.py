"""Batches that are sent again, whatever was lost since; commits that fail; commands that must not be run."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest

from plaudit.actors import applier
from plaudit.actors.executor import Executor, Work
from plaudit.actors.messages import Reply
from plaudit.actors.replies import INTERNAL_ERROR, REFUSED
from plaudit.actors.runtime import InlineHost
from plaudit.actors.shard_client import ShardClient
from plaudit.actors.user_shard import ShardSettings, UserShard
from plaudit.engine.amounts import UNIT
from plaudit.engine.commands import Command, DeleteUser, ReadEvents, RecordEvent
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.ids import format_id
from plaudit.engine.outcome import Outcome
from plaudit.engine.process import process
from plaudit.engine.user import User
from plaudit.storage.errors import Unusable
from plaudit.storage.records import Record
from plaudit.storage.segment import Segment
from tests.actors.gateways import connected
from tests.actors.shards import event
from tests.catalogs import study_catalog

CATALOG = study_catalog()
BAD = -UNIT
"""The value of an event that must not be run."""


class Supervised:
    """A shard that is opened again as soon as it is lost."""

    def __init__(self, settings: ShardSettings) -> None:
        self.settings = settings
        self.failures: list[str] = []
        self._is_lost = asyncio.Event()
        self._host = InlineHost(settings, self._lose)
        self._watch: asyncio.Task[None]

    @property
    def shard(self) -> UserShard:
        assert isinstance(self._host._shard, UserShard)
        return self._host._shard

    @asynccontextmanager
    async def opened(self) -> AsyncIterator["Supervised"]:
        await self._host.open(CATALOG)
        self._watch = asyncio.create_task(self._keep_open())
        try:
            yield self
        finally:
            self._watch.cancel()
            await self._host.close()

    async def _keep_open(self) -> None:
        while True:
            await self._is_lost.wait()
            self._is_lost.clear()
            await self._host.open(CATALOG)

    def _lose(self, reason: str) -> None:
        self.failures.append(reason)
        self._is_lost.set()

    def kill(self) -> None:
        self._host.kill()

    async def kill_and_open(self) -> None:
        self._host.kill()
        await self._host.open(CATALOG)

    async def close_and_open(self) -> None:
        await self._host.close()
        await self._host.open(CATALOG)

    async def checkpoint(self) -> None:
        await self.shard._checkpointer.run_once()

    async def checkpoint_and_cut(self) -> None:
        """The log keeps nothing of what has happened until now."""
        files = self.shard._log.paths()
        await self.shard._log.start_segment()
        await self.checkpoint()
        assert not any(path.exists() for path in files)

    async def events(self) -> list[str]:
        """The ids of all events that count, oldest first."""
        async with connected(self.settings.address, 999) as (gateway,):
            [reply] = await gateway.ask(1, ReadEvents(None, limit=200))
        return [logged["id"] for logged in reversed(msgspec.json.decode(reply.body)["events"])]


@asynccontextmanager
async def client_of(supervised: Supervised) -> AsyncIterator[ShardClient]:
    client = ShardClient(supervised.settings.address, 1)
    client.start()
    await client.wait_connected()
    try:
        yield client
    finally:
        await client.close()


Loss = Callable[[Supervised], Awaitable[None]]
LOSSES: dict[str, tuple[Loss, ...]] = {
    "a kill": (Supervised.kill_and_open,),
    "a checkpoint, a kill": (Supervised.checkpoint, Supervised.kill_and_open),
    "a cut log, a kill": (Supervised.checkpoint_and_cut, Supervised.kill_and_open),
    "a close": (Supervised.close_and_open,),
    "two kills": (Supervised.kill_and_open, Supervised.kill_and_open),
    "a kill, a cut log, a kill": (
        Supervised.kill_and_open,
        Supervised.checkpoint_and_cut,
        Supervised.kill_and_open,
    ),
    "a cut log, a kill, a close": (
        Supervised.checkpoint_and_cut,
        Supervised.kill_and_open,
        Supervised.close_and_open,
    ),
}


def ids_of(*commands: Command) -> list[str]:
    return [format_id(command.event_id) for command in commands if isinstance(command, RecordEvent)]


@pytest.mark.parametrize("losses", LOSSES.values(), ids=LOSSES.keys())
async def test_a_batch_that_is_sent_again_has_the_replies_that_it_had(
    settings: ShardSettings, losses: tuple[Loss, ...]
) -> None:
    batches = [
        (event("ada", 3), event("bob", key="k"), event("bob", key="k"), event("gone"), DeleteUser("gone")),
        (event("ada", 4), event("cid")),
    ]
    async with Supervised(settings).opened() as supervised:
        async with connected(settings.address, 7) as (gateway,):
            replies = [await gateway.ask(number, *batch) for number, batch in enumerate(batches, 1)]
        for lose in losses:
            await lose(supervised)
        async with connected(settings.address, 7) as (gateway,):
            assert [await gateway.ask(number, *batch) for number, batch in enumerate(batches, 1)] == replies
        assert await supervised.events() == ids_of(*batches[0][:2], *batches[1])
        async with connected(settings.address, 7) as (gateway,):
            [reply] = await gateway.ask(3, event("ada"))
            assert msgspec.json.decode(reply.body)["total"] == 8


@pytest.mark.parametrize("losses", LOSSES.values(), ids=LOSSES.keys())
async def test_halves_of_a_batch_are_answered_from_what_the_whole_did(
    settings: ShardSettings, losses: tuple[Loss, ...]
) -> None:
    batch = [event("ada"), event("bob"), event("ada"), event("cid")]
    async with Supervised(settings).opened() as supervised:
        async with connected(settings.address, 7) as (gateway,):
            replies = await gateway.ask(1, *batch[:3])
        for lose in losses:
            await lose(supervised)
        async with connected(settings.address, 7) as (gateway,):
            gateway.send(1, *batch[2:], first=2, known_only=True)
            assert await gateway.answer(1) == (replies[2], REFUSED)
        assert await supervised.events() == ids_of(*batch[:3])


@pytest.mark.parametrize("is_there", [False, True], ids=["and left nothing", "and left its row"])
@pytest.mark.parametrize("failures", [1, 2])
async def test_a_commit_that_failed_counts_once(
    settings: ShardSettings, monkeypatch: pytest.MonkeyPatch, is_there: bool, failures: int
) -> None:
    append = Segment.append
    left = failures

    async def fail(segment: Segment, record: Record) -> None:
        nonlocal left
        if is_there or not left:
            await append(segment, record)
        if left:
            left -= 1
            raise Unusable("disk I/O error")

    commands = [event("ada"), event("ada", key="k"), event("bob")]
    async with Supervised(settings).opened() as supervised, client_of(supervised) as client:
        monkeypatch.setattr(Segment, "append", fail)
        replies = await asyncio.gather(*map(client.call, commands))
        assert [(reply.status, total(reply)) for reply in replies] == [(201, 1), (201, 2), (201, 1)]
        assert await supervised.events() == ids_of(*commands)
    lost = 1 if is_there else failures
    assert supervised.failures == ["shard 0 stops and will recover: Unusable: disk I/O error"] * lost


def total(reply: Reply) -> object:
    return msgspec.json.decode(reply.body)["total"]


async def test_a_command_that_raises_fails_alone(settings: ShardSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    def raise_or_process(user: User | None, command: RecordEvent, catalog: CompiledCatalog, now_ms: int) -> Outcome:
        if command.value == BAD:
            raise RuntimeError("a bug")
        return process(user, command, catalog, now_ms)

    commands = [event("ada"), event("ada", -1, key="k"), event("bob"), event("ada", key="k"), event("new", -1)]
    async with Supervised(settings).opened() as supervised, client_of(supervised) as client:
        monkeypatch.setattr(applier, "process", raise_or_process)
        replies = await asyncio.gather(*map(client.call, commands))
        assert [reply.status for reply in replies] == [201, 500, 201, 201, 500]
        assert (replies[1], replies[4], total(replies[3])) == (INTERNAL_ERROR, INTERNAL_ERROR, 2)
        monkeypatch.setattr(applier, "process", process)
        await supervised.kill_and_open()
        assert await supervised.events() == ids_of(commands[0], *commands[2:4])
        assert (await client.call(event("new"))).status == 201


@pytest.mark.parametrize("culprit", range(5))
async def test_a_command_that_ends_its_shard_is_refused_and_its_neighbours_count_once(
    settings: ShardSettings, monkeypatch: pytest.MonkeyPatch, culprit: int
) -> None:
    commands = [event("ada", -1 if n == culprit else 1) for n in range(5)]
    async with Supervised(settings).opened() as supervised, client_of(supervised) as client:

        def kill_or_process(user: User | None, command: RecordEvent, catalog: CompiledCatalog, now_ms: int) -> Outcome:
            if command.value == BAD:
                supervised.kill()
            return process(user, command, catalog, now_ms)

        monkeypatch.setattr(applier, "process", kill_or_process)
        replies = await asyncio.gather(*map(client.call, commands))
        assert replies.pop(culprit) == REFUSED
        assert sorted((reply.status, total(reply)) for reply in replies) == [(201, n) for n in range(1, 5)]
        monkeypatch.setattr(applier, "process", process)
        await supervised.kill_and_open()
        del commands[culprit]
        assert sorted(await supervised.events()) == sorted(ids_of(*commands))
        assert len(supervised.failures) >= 3


async def test_commands_that_count_and_then_end_their_shard_are_answered(
    settings: ShardSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it is in the replies that ends it: what is known of them is asked for in smaller and smaller parts."""
    commands = [event(user) for user in ("ada", "bob", "cid", "dee")]
    async with Supervised(settings).opened() as supervised, client_of(supervised) as client:
        respond = Executor._respond

        def kill_or_respond(self: Executor, work: Work, replies: dict[int, Reply]) -> None:
            if len(work.batch.commands) > 1:
                supervised.kill()
            else:
                respond(self, work, replies)

        monkeypatch.setattr(Executor, "_respond", kill_or_respond)
        replies = await asyncio.gather(*map(client.call, commands))
        assert [(reply.status, total(reply)) for reply in replies] == [(201, 1)] * 4
        monkeypatch.setattr(Executor, "_respond", respond)
        await supervised.kill_and_open()
        assert await supervised.events() == ids_of(*commands)
