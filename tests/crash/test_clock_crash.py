"""kill -9 while the test clock is being moved: the next start finishes the move, and nothing is skipped."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.crash.load import client_of
from tests.crash.servers import CATALOG, Servers

START = "2030-01-01T12:00:00.000Z"
TARGET = "2030-03-01T12:00:00.000Z"
AFTERWARDS = "2030-03-12T12:00:00.000Z"
USERS = 24
FREEZES = """
[streak.freezes]
start_count = 1
max_count = 100
auto_earn_interval = 1
auto_earn_amount = 1
"""
"""Every midnight spends a freeze and earns one: time has something to do to a user on each day, at 24 moments."""


@pytest.fixture
def catalog(tmp_path: Path) -> str:
    """A file with these freezes."""
    path = tmp_path / "catalog.toml"
    path.write_text(CATALOG.read_text("utf-8") + FREEZES, "utf-8")
    return str(path)


async def put(client: httpx.AsyncClient, now: str) -> str:
    response = await client.put("/admin/v1/clock", json={"now": now}, timeout=100)
    assert response.status_code == 200, response.text
    return str(response.json()["now"])


async def read(client: httpx.AsyncClient) -> str:
    response = await client.get("/admin/v1/clock")
    assert response.status_code == 200, response.text
    return str(response.json()["now"])


async def prepare(client: httpx.AsyncClient) -> None:
    """Users all around the world, with streaks that freezes keep."""
    await put(client, START)
    for number in range(USERS):
        body = {"user": {"id": f"user-{number}", "tz": f"Etc/GMT{number - 12:+}"}, "value": 1}
        (await client.post("/v1/metrics/lessons/event", json=body)).raise_for_status()


async def begin_move(client: httpx.AsyncClient) -> tuple[asyncio.Task[str], str]:
    """A move to TARGET that has begun and is not done, and how far it has come."""
    await prepare(client)
    moving = asyncio.create_task(put(client, TARGET))
    while (now := await read(client)) == START:
        assert not moving.done()
    return moving, now


async def streaks(client: httpx.AsyncClient) -> list[Any]:
    """The streaks of all users, with everything that has happened to them."""
    found = []
    for number in range(USERS):
        response = await client.get(f"/v1/users/user-{number}/streak", params={"historyPeriods": 90})
        assert response.status_code == 200, response.text
        found.append(response.json())
    return found


@pytest.fixture
async def expected(tmp_path: Path, catalog: str) -> list[Any]:
    """What a move leads to that nothing interrupts."""
    undisturbed = Servers(tmp_path / "undisturbed", "--test-clock", "--catalog", catalog, runtime="inline")
    try:
        undisturbed.start()
        async with client_of(undisturbed.current.url) as client:
            await prepare(client)
            assert await put(client, TARGET) == TARGET
            found = await streaks(client)
    finally:
        undisturbed.current.kill()
    assert {streak["length"] for streak in found} == {1}
    return found


@pytest.mark.parametrize("runtime", ["inline", "ray"])
async def test_a_move_that_a_kill_interrupts_is_finished(
    tmp_path: Path, catalog: str, expected: list[Any], runtime: str
) -> None:
    killed = Servers(tmp_path / "killed", "--test-clock", "--catalog", catalog, runtime=runtime)
    try:
        killed.start()
        async with client_of(killed.current.url) as client:
            moving, now = await begin_move(client)
            killed.current.kill()
            with pytest.raises(httpx.TransportError):
                await moving
        assert START < now < TARGET
        killed.start()
        assert f"Moving the test clock on to {TARGET}" in killed.current.output
        async with client_of(killed.current.url) as client:
            assert await read(client) == TARGET
            assert await streaks(client) == expected
    finally:
        killed.current.kill()


async def test_a_file_that_has_changed_meanwhile_is_not_for_the_time_before_the_target(
    tmp_path: Path, catalog: str, expected: list[Any]
) -> None:
    killed = Servers(tmp_path / "killed", "--test-clock", "--catalog", catalog, runtime="inline")
    try:
        killed.start()
        async with client_of(killed.current.url) as client:
            moving, _ = await begin_move(client)
            killed.current.kill()
            with pytest.raises(httpx.TransportError):
                await moving
        path = Path(catalog)
        path.write_text(path.read_text("utf-8").replace("auto_earn_interval = 1", "auto_earn_interval = 100"), "utf-8")
        killed.start()
        async with client_of(killed.current.url) as client:
            found = await streaks(client)
            assert [streak["freezeAutoEarnInterval"] for streak in found] == [100] * USERS
            assert [{**streak, "freezeAutoEarnInterval": 1} for streak in found] == expected
            assert await put(client, AFTERWARDS) == AFTERWARDS
            assert {streak["length"] for streak in await streaks(client)} == {0}
    finally:
        killed.current.kill()


async def test_a_shard_that_is_killed_during_a_move_is_waited_for(
    tmp_path: Path, catalog: str, expected: list[Any]
) -> None:
    servers = Servers(tmp_path / "killed", "--test-clock", "--catalog", catalog, runtime="ray")
    try:
        servers.start()
        async with client_of(servers.current.url) as client:
            moving, _ = await begin_move(client)
            for process in servers.current.shard_processes():
                process.kill()
            assert not moving.done()
            assert await moving == TARGET
            assert await streaks(client) == expected
    finally:
        servers.current.kill()
