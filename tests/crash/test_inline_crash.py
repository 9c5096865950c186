"""kill -9 under load where the shards live in the server's process."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.load import CLIENTS, Account, check, run_load
from tests.crash.servers import Servers

EVENTS = 600


@pytest.mark.parametrize("durability", ["commit", "process"])
async def test_a_killed_server_loses_nothing(tmp_path: Path, durability: str) -> None:
    account = Account()
    servers = Servers(tmp_path / "data", "--durability", durability, runtime="inline")
    servers.start()
    try:
        for seed, server_dies in enumerate((100, 350)):
            await run_load(servers.current.url, account, seed, EVENTS, {server_dies: servers.current.kill})
            servers.start()
            await check(servers.current.url, account)
        assert account.answered > 450
    finally:
        servers.current.kill()


async def test_killed_gateways_cost_their_clients_a_connection_each(tmp_path: Path) -> None:
    account = Account()
    choices = random.Random(9)
    servers = Servers(tmp_path / "data", "--workers", "2", runtime="inline")
    servers.start()
    try:
        kills: dict[int, Callable[[], object]] = {
            100: lambda: servers.kill_a_gateway(choices),
            300: servers.kill_all_gateways,
        }
        await run_load(servers.current.url, account, 9, EVENTS, kills, breaks_max=2)
        assert kills == {}
        assert len(account.unanswered) <= 2 * CLIENTS
        assert account.answered + len(account.unanswered) == EVENTS
        await check(servers.current.url, account)
    finally:
        servers.current.kill()
