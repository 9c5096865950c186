import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from plaudit.actors.committer import Committer
from plaudit.engine.catalog import Catalog
from plaudit.engine.rules import RULES_VERSION
from plaudit.storage.log import Log
from plaudit.storage.records import CatalogChange, Entry, Events, Record, decode_body
from tests.actors.shards import event
from tests.catalogs import study_catalog
from tests.engine.builders import CREATED_MS
from tests.storage.builders import copy_as_killed, read_log

CATALOG = study_catalog()


class GatedLog(Log):
    """A log whose appends wait for the gate, and fail if they are told to."""

    gate: asyncio.Event
    error: Exception | None = None
    begun = 0

    async def append(self, record: Record) -> None:
        self.begun += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        await super().append(record)


class Commits:
    """A committer over a real log, and what came of its work."""

    def __init__(self, directory: Path, log: GatedLog, applied: int) -> None:
        self.directory = directory
        self.log = log
        self.failures: list[BaseException] = []
        self.released: list[str] = []
        self.committer = Committer(log, 1, applied, Catalog(), self.failures.append)

    def add(self, name: str, commands: int = 1) -> None:
        """Log commands of a user of this name, and release the name."""
        if commands:
            self.committer.add_entry(entry(name, commands), [name.encode().ljust(4)] * commands)
        self.committer.release(lambda: self.released.append(name))

    async def bodies(self) -> list[str]:
        """What is in the log, as a kill at this moment would leave it: for each record its users."""
        copy = copy_as_killed(self.directory, self.directory.parent / f"copy-{len(self.released)}")
        return [users_of(record) for record in await read_log(copy)]


def entry(name: str, commands: int) -> Entry:
    return Entry(7, 1, CREATED_MS, tuple(range(commands)), tuple(event(name) for _ in range(commands)))


def users_of(record: Record) -> str:
    body = decode_body(record)
    if isinstance(body, CatalogChange):
        return "catalog"
    assert isinstance(body, Events)
    return " ".join(command.user_id for entry in body.entries for command in entry.commands)


@asynccontextmanager
async def commits(tmp_path: Path, *, is_open: bool = True, applied: int = 0) -> AsyncIterator[Commits]:
    directory = tmp_path / "log"
    directory.mkdir(exist_ok=True)
    log, _ = await GatedLog.open(directory, 1, applied)
    assert isinstance(log, GatedLog)
    log.gate = asyncio.Event()
    if is_open:
        log.gate.set()
    work = Commits(directory, log, applied)
    try:
        yield work
    finally:
        work.committer.cancel()
        await log.close()


async def turns() -> None:
    """Let everything that can go on go on."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_reply_leaves_after_its_commands_are_in_the_log(tmp_path: Path) -> None:
    async with commits(tmp_path, is_open=False) as work:
        work.add("ann")
        await turns()
        assert (work.log.begun, work.released, work.committer.committed) == (1, [], 0)
        copied: list[Path] = []
        work.committer.release(lambda: copied.append(copy_as_killed(work.directory, tmp_path / "killed")))
        work.log.gate.set()
        await work.committer.close()
        assert work.released == ["ann"]
    assert [users_of(record) for record in await read_log(copied[0])] == ["ann"]


async def test_work_that_arrives_during_a_commit_shares_the_next_one(tmp_path: Path) -> None:
    async with commits(tmp_path, is_open=False) as work:
        work.add("ann")
        await turns()
        for name in ("bob", "cid", "dee"):
            work.add(name, 2)
            await turns()
        assert work.log.begun == 1
        work.log.gate.set()
        await work.committer.close()
        assert work.released == ["ann", "bob", "cid", "dee"]
        assert await work.bodies() == ["ann", "bob bob cid cid dee dee"]


async def test_a_record_has_the_numbers_digests_and_rules_of_its_commands(tmp_path: Path) -> None:
    async with commits(tmp_path, applied=41) as work:
        entries = [entry("ann", 2), entry("bob", 1)]
        for number, (one, digests) in enumerate(zip(entries, ([b"1111", b"2222"], [b"3333"]), strict=True)):
            assert work.committer.next_number() == 42 + 2 * number
            work.committer.add_entry(one, digests)
        assert work.committer.next_number() == 45
        await work.committer.close()
        assert work.committer.committed == 44
    [record] = await read_log(work.directory, after=41)
    assert (record.first, record.count, record.epoch, record.rules) == (42, 3, 1, RULES_VERSION)
    assert record.digests == b"111122223333"
    assert decode_body(record) == Events(tuple(entries))


async def test_a_read_waits_for_what_it_could_have_seen(tmp_path: Path) -> None:
    async with commits(tmp_path, is_open=False) as work:
        work.add("ann")
        await turns()
        work.add("a read", commands=0)
        await turns()
        assert work.released == []
        work.log.gate.set()
        await work.committer.close()
        assert work.released == ["ann", "a read"]
        assert await work.bodies() == ["ann"]


async def test_a_read_of_what_is_durable_needs_no_commit(tmp_path: Path) -> None:
    async with commits(tmp_path, is_open=False) as work:
        work.add("a read", commands=0)
        await turns()
        assert (work.released, work.log.begun) == (["a read"], 0)


async def test_a_change_of_the_catalog_is_a_record_between_those_around_it(tmp_path: Path) -> None:
    async with commits(tmp_path, is_open=False) as work:
        work.add("ann")
        work.add("bob")
        work.committer.add_catalog(CatalogChange(CREATED_MS, CATALOG))
        work.add("cid")
        assert (work.committer.next_number(), work.committer.catalog) == (5, Catalog())
        work.log.gate.set()
        await work.committer.wait(3)
        assert work.committer.catalog == CATALOG
        await work.committer.close()
        assert await work.bodies() == ["ann bob", "catalog", "cid"]
        assert work.released == ["ann", "bob", "cid"]


async def test_waiting_ends_when_the_command_is_durable(tmp_path: Path) -> None:
    async with commits(tmp_path, is_open=False) as work:
        await work.committer.wait(0)
        work.add("ann", 2)
        waiting = asyncio.create_task(work.committer.wait(2))
        await turns()
        assert not waiting.done()
        work.log.gate.set()
        await waiting
        assert work.committer.committed == 2


@pytest.mark.parametrize("error", [sqlite3.OperationalError("disk I/O error"), RuntimeError("a bug")])
async def test_a_failed_commit_is_final(tmp_path: Path, error: Exception) -> None:
    async with commits(tmp_path) as work:
        work.add("ann")
        await work.committer.wait(1)
        work.log.error = error
        work.add("bob")
        work.add("a read", commands=0)
        waiting = asyncio.create_task(work.committer.wait(2))
        await turns()
        work.log.error = None
        work.add("cid")
        work.add("another read", commands=0)
        await turns()
        assert work.failures == [error]
        assert (work.released, work.log.begun, work.committer.committed) == (["ann"], 2, 1)
        with pytest.raises(type(error), match=str(error)):
            await waiting


async def test_closing_ends_when_a_commit_fails(tmp_path: Path) -> None:
    """What has not been committed never will be: a shard that waits for it cannot be shut down."""
    async with commits(tmp_path, is_open=False) as work:
        work.add("ann")
        work.log.error = sqlite3.OperationalError("disk I/O error")
        closing = asyncio.create_task(work.committer.close())
        await turns()
        work.log.gate.set()
        await turns()
        is_closed = closing.done()
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        assert is_closed
        assert (len(work.failures), work.released) == (1, [])


async def test_nothing_is_released_after_a_cancel(tmp_path: Path) -> None:
    async with commits(tmp_path, is_open=False) as work:
        work.add("ann")
        await turns()
        work.committer.cancel()
        work.log.gate.set()
        work.add("bob", commands=0)
        await turns()
        assert (work.released, work.failures) == ([], [])
