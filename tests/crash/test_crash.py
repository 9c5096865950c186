"""kill -9 under load, on the ray runtime: real processes, real files, real HTTP."""

import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.crash.load import ADMIN_KEY, Account, check, run_load
from tests.processes import ServerProcess

EVENTS = 1500
CATALOG = Path(__file__).parents[2] / "examples" / "study.toml"


class Servers:
    """Servers on one data directory, one after the other."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self.current: ServerProcess

    def start(self) -> ServerProcess:
        self.current = ServerProcess(
            self._data,
            "--shards",
            "2",
            runtime="ray",
            PLAUDIT_CATALOG=str(CATALOG),
            PLAUDIT_ADMIN_KEY=ADMIN_KEY,
        )
        return self.current

    def kill_a_shard(self, choices: random.Random) -> None:
        choices.choice(self.current.shard_processes()).kill()


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    servers = Servers(tmp_path / "data")
    servers.start()
    yield servers
    servers.current.kill()


def is_alive(process: psutil.Process) -> bool:
    """True unless it has ended; whether somebody has collected its exit code is not the server's business."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


async def play_round(servers: Servers, account: Account, seed: int) -> None:
    """A shard dies at a random moment of the load, then the whole server; a new one takes over."""
    choices = random.Random(seed)
    shard_dies, server_dies = sorted(choices.sample(range(1, EVENTS - 100), 2))
    url = servers.current.url
    await run_load(url, account, seed, shard_dies + 200, {shard_dies: lambda: servers.kill_a_shard(choices)})
    assert account.unanswered == []
    assert account.unexpected == []
    assert len(account.totals) == account.answered
    await run_load(url, account, seed + 1, EVENTS, {server_dies: servers.current.kill})
    servers.start()
    await check(servers.current.url, account)
    account.totals.clear()


async def test_a_killed_shard_and_a_killed_server_lose_nothing(servers: Servers) -> None:
    await play_round(servers, Account(), seed=20261123)


async def test_a_killed_shard_is_seen_by_no_client(servers: Servers) -> None:
    account = Account()
    choices = random.Random(7)
    kills: dict[int, Callable[[], object]] = {n: lambda: servers.kill_a_shard(choices) for n in (200, 600, 1000)}
    await run_load(servers.current.url, account, 7, EVENTS, kills)
    assert account.answered == EVENTS
    await check(servers.current.url, account)


def test_a_cluster_without_its_head_ends_the_server(servers: Servers) -> None:
    (head,) = [process for process in servers.current.descendants() if "gcs_server" in process.name()]
    head.kill()
    assert servers.current.wait() == 1


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_thirty_rounds_of_kills(servers: Servers) -> None:
    account = Account()
    for round_ in range(30):
        await play_round(servers, account, seed=1000 * round_)


@pytest.mark.parametrize(("number", "group"), [(signal.SIGTERM, False), (signal.SIGINT, True)])
def test_a_clean_stop_leaves_nothing_running_and_an_empty_log(
    servers: Servers, tmp_path: Path, number: signal.Signals, group: bool
) -> None:
    started = servers.current.descendants()
    assert servers.current.stop(number, group=group) == 0
    assert [process for process in started if is_alive(process)] == []
    assert list((tmp_path / "data").rglob("log-*")) == []
