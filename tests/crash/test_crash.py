"""kill -9 under load, on the ray runtime: real processes, real files, real HTTP."""

import asyncio
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.crash.load import CLIENTS, Account, check, run_load
from tests.crash.servers import Servers, is_alive
from tests.processes import running

EVENTS = 1500
BREAKS_MAX = 50
NEWCOMER_POLL_S = 0.02
ARGUMENTS = [("--durability", "commit"), ("--durability", "process")]


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    servers = Servers(tmp_path / "data")
    servers.start()
    yield servers
    servers.current.kill()


@pytest.fixture
def many_gateways(tmp_path: Path) -> Iterator[Servers]:
    servers = Servers(tmp_path / "data", "--workers", "2")
    yield servers
    servers.current.kill()


async def play_round(servers: Servers, account: Account, seed: int, *arguments: str) -> None:
    """A shard dies, then a gateway process and a shard, then the whole server: each at a random moment of the load.

    The next server starts at once, with these arguments.
    """
    choices = random.Random(seed)
    url = servers.current.url
    shard_dies = choices.randrange(1, EVENTS // 2)
    await run_load(url, account, seed, shard_dies + 200, {shard_dies: lambda: servers.kill_a_shard(choices)})
    assert account.unanswered == []
    gateway_dies, shard_dies, server_dies = choices.sample(range(1, EVENTS // 2), 3)
    kills: dict[int, Callable[[], object]] = {
        gateway_dies: lambda: servers.kill_a_gateway(choices),
        shard_dies: lambda: servers.kill_a_shard(choices),
    }
    await run_load(url, account, seed + 1, EVENTS, kills, BREAKS_MAX)
    assert kills == {}
    assert len(account.unanswered) <= 2 * CLIENTS
    await run_load(url, account, seed + 2, EVENTS, {server_dies: servers.current.kill})
    servers.start(*arguments)
    await check(servers.current.url, account)


async def test_a_killed_shard_gateway_and_server_lose_nothing(many_gateways: Servers) -> None:
    many_gateways.start("--durability", "process")
    await play_round(many_gateways, Account(), 20261123, "--durability", "process")


async def test_a_killed_shard_is_seen_by_no_client(servers: Servers) -> None:
    account = Account()
    choices = random.Random(7)
    kills: dict[int, Callable[[], object]] = {n: lambda: servers.kill_a_shard(choices) for n in (200, 600, 1000)}
    await run_load(servers.current.url, account, 7, EVENTS, kills)
    assert account.answered == EVENTS
    await check(servers.current.url, account)


async def test_shards_that_outlive_their_server_keep_the_next_one_waiting(servers: Servers) -> None:
    """Ray ends the actors of a driver that was killed after some seconds; a hung one may take longer."""
    account = Account()
    old = servers.current.shard_processes()
    await run_load(servers.current.url, account, 8, EVENTS, {EVENTS // 2: servers.current.kill})
    for process in old:
        process.suspend()
    starting = asyncio.create_task(asyncio.to_thread(servers.start))
    while len(newcomers := running(psutil.Process().children(recursive=True), "UserShard")) < len(old):
        assert not starting.done()
        await asyncio.sleep(NEWCOMER_POLL_S)
    assert not starting.done()
    for process in filter(is_alive, old):
        process.resume()
    await starting
    assert {process.pid for process in newcomers}.isdisjoint(process.pid for process in old)
    assert not any(is_alive(process) for process in old)
    await check(servers.current.url, account)


def test_a_cluster_without_its_head_ends_the_server(servers: Servers) -> None:
    (head,) = [process for process in servers.current.descendants() if "gcs_server" in process.name()]
    head.kill()
    assert servers.current.wait() == 1


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_thirty_rounds_of_kills(many_gateways: Servers) -> None:
    account = Account()
    many_gateways.start()
    for round_ in range(30):
        await play_round(many_gateways, account, 1000 * round_, *ARGUMENTS[round_ % 2])


@pytest.mark.parametrize(("number", "group"), [(signal.SIGTERM, False), (signal.SIGINT, True)])
def test_a_clean_stop_leaves_nothing_running_and_an_empty_log(
    servers: Servers, tmp_path: Path, number: signal.Signals, group: bool
) -> None:
    started = servers.current.descendants()
    assert servers.current.stop(number, group=group) == 0
    assert [process for process in started if is_alive(process)] == []
    assert list((tmp_path / "data").rglob("log-*")) == []
