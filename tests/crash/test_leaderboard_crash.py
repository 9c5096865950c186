"""kill -9 of leaderboard shards, and of shards of users, under load: no event is lost, late, or in a wrong place."""

import random
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from statistics import median

import psutil
import pytest

from tests.crash.ranked_load import (
    CATALOG,
    CLIENTS,
    START,
    START_DAY,
    Ranked,
    boards_of,
    check_rankings,
    run_load,
    settle,
)
from tests.crash.servers import Servers

EVENTS = 160
ANSWER_S = 1.0
"""How long an event may take while only a leaderboard shard is away; it waits 0.25 s for its places."""
ANSWER_MAX_S = 5.0
"""The same of one among many, while a process is being started on a machine that has a lot to do."""
SETTLE_S = 30.0
"""How long a leaderboard may take to have everything: a process has to be started, on a busy machine."""


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    catalog = tmp_path / "catalog.toml"
    catalog.write_text(CATALOG, "utf-8")
    servers = Servers(tmp_path / "data", "--leaderboard-shards", "2", "--catalog", str(catalog))
    servers.start()
    yield servers
    servers.current.kill()


def kill_one(processes: list[psutil.Process], choices: random.Random) -> None:
    """Kill one of these, if there is one: those killed before may not be back."""
    if processes:
        choices.choice(processes).kill()


async def play_round(servers: Servers, ranked: Ranked, numbers: Iterator[int], seed: int) -> None:
    """Leaderboard shards die; then they and shards of users do; then the whole server, which is started again."""
    choices, url = random.Random(seed), servers.current.url

    def kill_board() -> None:
        kill_one(servers.current.leaderboard_processes(), choices)

    def kill_shard() -> None:
        kill_one(servers.current.shard_processes(), choices)

    async def load(*acts: Callable[[], object]) -> None:
        at = dict(zip(sorted(choices.sample(range(1, EVENTS // 2), len(acts))), acts, strict=True))
        part = iter([next(numbers) for _ in range(EVENTS)])
        await run_load(url, ranked, part, at)
        assert at == {}

    ranked.absent.clear()
    await load(kill_board)
    assert ranked.absent
    assert {frozenset(absent) for absent, _ in ranked.absent} <= {frozenset(boards_of(shard)) for shard in range(2)}
    assert median(took_s for _, took_s in ranked.absent) < ANSWER_S
    assert max(took_s for _, took_s in ranked.absent) < ANSWER_MAX_S
    await check_rankings(url, ranked, SETTLE_S)
    await load(kill_shard, kill_board)
    await check_rankings(url, ranked, SETTLE_S)
    await load(kill_board, servers.current.kill)
    assert 0 < len(ranked.unanswered) <= CLIENTS
    servers.start()
    await settle(servers.current.url, ranked)
    await check_rankings(servers.current.url, ranked, SETTLE_S)


def test_both_shards_have_leaderboards() -> None:
    assert date.fromordinal(START_DAY).isoformat() == START
    assert boards_of(0)
    assert boards_of(1)


async def test_killed_shards_and_servers_leave_every_ranking_right(servers: Servers) -> None:
    ranked = Ranked()
    await play_round(servers, ranked, iter(range(10**9)), 20261126)


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_twenty_rounds_of_kills(servers: Servers) -> None:
    ranked, numbers = Ranked(), iter(range(10**9))
    for seed in range(20):
        await play_round(servers, ranked, numbers, seed)
