"""An owner whose directory belongs to somebody else by now: it writes nothing, saves nothing and answers nothing."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from plaudit.actors import user_shard
from plaudit.actors.runtime import InlineHost
from plaudit.actors.transport import Connection, Receiver, listen
from plaudit.actors.user_shard import ShardSettings, UserShard
from plaudit.engine.commands import Command, DeleteUser, ReadEvents, ReadMetrics, ReadUser
from plaudit.storage.errors import Fenced, InUse
from plaudit.storage.files import LOCK_NAME
from plaudit.storage.state import Slice, StateStore
from tests.actors.gateways import Gate, Gateway, connected
from tests.actors.shards import event, total_in
from tests.catalogs import study_catalog
from tests.storage.builders import copy_as_killed

CATALOG = study_catalog()
READS: list[Command] = [ReadMetrics("ada"), ReadUser("nobody"), ReadEvents("ada"), ReadEvents(None)]
WRITES: list[Command] = [event("ada"), event("ada", key="used"), DeleteUser("ada")]
COMMANDS = pytest.mark.parametrize("command", [*WRITES, *READS], ids=lambda command: type(command).__name__)

Take = Callable[["Owner"], Awaitable[None]]


class Owner:
    """A shard in a host, and what it said at its end."""

    def __init__(self, settings: ShardSettings) -> None:
        self.settings = settings
        self.failures: list[str] = []
        self.host = InlineHost(settings, self.failures.append)

    @property
    def shard(self) -> UserShard:
        assert isinstance(self.host._shard, UserShard)
        return self.host._shard

    @property
    def directory(self) -> Path:
        return Path(self.settings.directory)

    @property
    def state(self) -> StateStore:
        return self.shard._state


@asynccontextmanager
async def opened(settings: ShardSettings) -> AsyncIterator[tuple[Owner, Gateway]]:
    """An owner, and a gateway whose first batch has given `ada` an event and used a key of hers."""
    owner = Owner(settings)
    await owner.host.open(CATALOG)
    try:
        async with connected(settings.address, 1) as (gateway,):
            await gateway.ask(1, event("ada", key="used"))
            yield owner, gateway
    finally:
        await owner.host.close()


def successor_of(settings: ShardSettings) -> Owner:
    """Somebody else for the same directory, at another address: the gateways of the old owner stay with it."""
    return Owner(replace(settings, address=f"{settings.address}-2"))


async def lose_lock(owner: Owner) -> None:
    """Its lock is removed, by somebody who took the file for a leftover."""
    (owner.directory / LOCK_NAME).unlink()


async def lose_directory(owner: Owner) -> None:
    """Its directory is replaced by a copy, and a new owner takes that: then two live, and no lock knows of both."""
    moved = owner.directory.with_name("moved")
    copied = copy_as_killed(owner.directory, owner.directory.with_name("copied"))
    owner.directory.rename(moved)
    copied.rename(owner.directory)


async def lose_epoch(owner: Owner) -> None:
    """A new owner has raised the epoch of both files, and SQLite has let the old one see it."""
    await owner.state._connection.execute("UPDATE meta SET epoch = epoch + 1")
    await owner.shard._log._current._connection.execute("UPDATE meta SET epoch = epoch + 1")


async def ended(owner: Owner, gateway: Gateway) -> None:
    """The owner has ended as one that is fenced, and the gateway has heard no more of it."""
    await asyncio.wait_for(gateway.is_closed.wait(), 10)
    assert list(gateway.answers) == [1]
    [failure] = owner.failures
    assert failure.startswith("shard 0 stops and will recover: Fenced: ")


@COMMANDS
@pytest.mark.parametrize("lose", [lose_lock, lose_directory])
async def test_an_owner_without_its_lock_answers_nothing(settings: ShardSettings, lose: Take, command: Command) -> None:
    async with opened(settings) as (owner, gateway):
        await lose(owner)
        gateway.send(2, command)
        await ended(owner, gateway)


@pytest.mark.parametrize("command", WRITES[:1] + WRITES[2:], ids=lambda command: type(command).__name__)
async def test_an_owner_whose_epoch_is_over_commits_nothing(settings: ShardSettings, command: Command) -> None:
    async with opened(settings) as (owner, gateway):
        await lose_epoch(owner)
        gateway.send(2, command)
        await ended(owner, gateway)
        await owner.host.open(CATALOG)
        async with connected(settings.address, 2) as (late,):
            assert [total_in(reply) for reply in await late.ask(1, event("ada"))] == [2]


@pytest.mark.parametrize("lose", [lose_lock, lose_directory])
async def test_an_owner_that_loses_its_lock_during_a_commit_does_not_answer(
    settings: ShardSettings, lose: Take
) -> None:
    """What it has committed counts or not; nobody has been told."""
    async with opened(settings) as (owner, gateway):
        gate = Gate(owner.shard)
        gateway.send(2, event("ada"))
        gateway.send(3, ReadMetrics("ada"))
        await gate.settle(gateway)
        await lose(owner)
        gate.open()
        await ended(owner, gateway)


@pytest.mark.parametrize("lose", [lose_lock, lose_directory, lose_epoch])
async def test_a_checkpoint_of_an_owner_that_has_been_replaced_writes_nothing(
    settings: ShardSettings, lose: Take
) -> None:
    async with opened(settings) as (owner, gateway):
        await lose(owner)
        before = await contents(owner.state)
        with pytest.raises(Fenced):
            await owner.shard._checkpointer.run_once()
        assert await contents(owner.state) == before
        gateway.close()
        owner.host.kill()


WORK: dict[str, Callable[[StateStore], Awaitable[None]]] = {
    "save": lambda state: state.save(Slice([], [], [], {("users", 0): 7})),
    "index": lambda state: state.index_keys([(7, 7)]),
    "finish": lambda state: state.finish_checkpoint(state.checkpoint.applied + 1, 0, CATALOG, [], 0),
    "purge": lambda state: state.purge(),
}


@pytest.mark.parametrize("work", WORK.values(), ids=WORK.keys())
async def test_the_state_takes_nothing_from_an_older_epoch(
    settings: ShardSettings, work: Callable[[StateStore], Awaitable[None]]
) -> None:
    async with opened(settings) as (owner, _):
        await owner.state._connection.execute("INSERT INTO purges VALUES (99, NULL)")
        await lose_epoch(owner)
        before = await contents(owner.state)
        with pytest.raises(Fenced, match="is over"):
            await work(owner.state)
        assert await contents(owner.state) == before
        owner.host.kill()


async def test_a_new_owner_and_the_old_one_do_not_share_a_directory(
    settings: ShardSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even without the lock SQLite refuses the new one, as long as the old one lives; nothing is touched."""
    monkeypatch.setattr(user_shard, "LOCK_WAIT_S", 0)
    successor = successor_of(settings)
    async with opened(settings) as (owner, gateway):
        with pytest.raises(InUse, match=f"lock: held by process {os.getpid()}"):
            await successor.host.open(CATALOG)
        assert (await gateway.ask(2, ReadMetrics("ada")))[0].status == 200
        await lose_lock(owner)
        with pytest.raises(InUse, match=r"state\.sqlite: open in another process"):
            await successor.host.open(CATALOG)
        gateway.answers.pop(2)
        gateway.send(3, ReadMetrics("ada"))
        await ended(owner, gateway)
        await owner.host.close()
        await successor.host.open(CATALOG)
        async with connected(successor.settings.address, 2) as (late,):
            assert total_in((await late.ask(1, event("ada")))[0]) == 2
        await successor.host.close()


async def test_what_a_new_owner_has_answered_outlives_the_end_of_the_old_one(settings: ShardSettings) -> None:
    """Two live on one path, which no lock prevents: the old one must not take files away under the new one."""
    successor = successor_of(settings)
    async with opened(settings) as (owner, gateway):
        await lose_directory(owner)
        await successor.host.open(CATALOG)
        async with connected(successor.settings.address, 2) as (late,):
            assert total_in((await late.ask(1, event("ada")))[0]) == 2
            await successor.shard._log.start_segment()
            await successor.shard._checkpointer.run_once()
            assert len(successor.shard._log.paths()) == 1
            gateway.send(2, ReadMetrics("ada"))
            await ended(owner, gateway)
            await owner.host.close()
            assert total_in((await late.ask(2, event("ada")))[0]) == 3
        survived = copy_as_killed(owner.directory, owner.directory.with_name("survived"))
        await successor.host.close()
    last = Owner(replace(settings, directory=str(survived)))
    await last.host.open(CATALOG)
    async with connected(settings.address, 3) as (late,):
        assert total_in((await late.ask(1, event("ada")))[0]) == 4
    await last.host.close()


@pytest.mark.parametrize("with_backup", [False, True])
async def test_another_process_cannot_open_what_an_owner_has_open(
    settings: ShardSettings, tmp_path: Path, with_backup: bool
) -> None:
    """SQLite's locks on a file would go with any descriptor of it that its process closes."""
    async with opened(settings) as (owner, _):
        await owner.shard._checkpointer.run_once()
        if with_backup:
            await owner.host.backup(str(tmp_path / "backup"))
        paths = [owner.state.path, *owner.shard._log.paths()]
        script = (
            "import sqlite3, sys\n"
            "for path in sys.argv[1:]:\n"
            "    try: sqlite3.connect(path, timeout=0).execute('SELECT * FROM meta')\n"
            "    except sqlite3.OperationalError as error: print(error)\n"
        )
        command = [sys.executable, "-c", script, *map(str, paths)]
        said = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True)
        assert said.stdout.splitlines() == ["database is locked"] * len(paths)


async def contents(state: StateStore) -> list[str]:
    """Everything that a state holds."""
    return await state._run(lambda connection: list(connection.iterdump()))


class Ended(asyncio.Transport):
    """A transport that only knows whether it has been ended."""

    is_aborted = False

    def abort(self) -> None:
        self.is_aborted = True

    def is_closing(self) -> bool:
        return self.is_aborted


async def test_a_connection_that_was_under_way_when_the_shard_was_lost_is_ended(settings: ShardSettings) -> None:
    """The loop hands it over a turn later; its gateway would wait for ever for a shard that nobody asks any more."""
    async with opened(settings) as (owner, gateway):
        shard = owner.shard
        owner.host.kill()
        late, connection = Ended(), Connection(shard._accept)
        connection.connection_made(late)
        assert late.is_aborted
        await gateway.is_closed.wait()


async def test_a_shard_that_cannot_open_ends_the_connections_that_it_has_accepted(
    settings: ShardSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = Ended()

    async def listen_and_fail(path: str, accept: Callable[[Connection], Receiver]) -> asyncio.AbstractServer:
        server = await listen(path, accept)
        Connection(accept).connection_made(accepted)
        shard.fail(RuntimeError("lost"))
        return server

    monkeypatch.setattr(user_shard, "listen", listen_and_fail)
    shard = UserShard(settings, lambda: 0, lambda reason: None)
    with pytest.raises(RuntimeError, match="lost"):
        await shard.open(CATALOG)
    assert accepted.is_aborted
