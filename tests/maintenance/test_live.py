"""Backups of servers that are busy, stopping, far away or gone."""

import asyncio
import json
import os
import select
import signal
import subprocess
from collections import Counter
from pathlib import Path

import httpx
import pytest

from plaudit.actors.clock import system_clock
from plaudit.config import RuntimeName
from plaudit.maintenance.readers import load_time
from plaudit.storage.catalog_store import CatalogStore, ClockTimes
from tests.crash.load import ADMIN_KEY as LOAD_KEY
from tests.crash.load import Account, check, read_totals, run_load
from tests.maintenance.operating import ADMIN_KEY, STUDY, plaudit, send, served_totals, start, totals
from tests.processes import ServerProcess, command, environment

EVENTS = 600
BEGIN_TIMEOUT_S = 30.0
USERS = [f"user-{n}" for n in range(40)]


async def back_up(data: Path, target: Path) -> None:
    arguments = command("backup", str(data), str(target))
    taking = await asyncio.create_subprocess_exec(*arguments, env=environment({}), stdout=subprocess.DEVNULL)
    assert await taking.wait() == 0


def load_server(data: Path, runtime: RuntimeName) -> ServerProcess:
    return ServerProcess(data, "--shards", "2", "--catalog", STUDY, runtime=runtime, PLAUDIT_ADMIN_KEY=LOAD_KEY)


async def test_a_backup_under_load_has_all_that_was_answered_before_it_and_the_source_loses_nothing(
    tmp_path: Path,
) -> None:
    account = Account()
    before: Counter[str] = Counter()
    taking: list[asyncio.Task[None]] = []

    def begin() -> None:
        before.update(account.acknowledged)
        taking.append(asyncio.create_task(back_up(tmp_path / "data", tmp_path / "backup")))

    server = load_server(tmp_path / "data", "ray")
    try:
        seed = 1
        await run_load(server.url, account, seed, EVENTS, {200: begin})
        while not taking[0].done():
            seed += 1
            await run_load(server.url, account, seed, 200, {})
        await taking[0]
        await check(server.url, account)
    finally:
        server.stop()
    assert server.errors == ""
    assert plaudit("restore", tmp_path / "backup", tmp_path / "restored").returncode == 0
    restored = load_server(tmp_path / "restored", "inline")
    try:
        found = await read_totals(restored.url, USERS)
    finally:
        assert restored.stop() == 0
    assert all(before[user] <= found[user] <= account.acknowledged[user] for user in USERS)
    assert before.total() >= 200


class EndlessCopies:
    """A `cp` for servers that says when it begins, and never ends."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        begun = directory / "begun"
        os.mkfifo(begun)
        self._pipe = os.open(begun, os.O_RDWR)
        (directory / "cp").write_text(f"#!/bin/sh\necho begun > {begun}\nexec sleep 600\n", "utf-8")
        (directory / "cp").chmod(0o755)
        self.path = f"{directory}:{os.environ['PATH']}"

    def wait(self) -> None:
        readable, _, _ = select.select([self._pipe], [], [], BEGIN_TIMEOUT_S)
        os.close(self._pipe)
        assert readable, "no copy has begun"


@pytest.mark.parametrize(("stopped", "runtime"), [("server", "inline"), ("client", "inline"), ("server", "ray")])
def test_a_backup_that_is_stopped_leaves_nothing_and_the_server_stops_cleanly(
    tmp_path: Path, runtime: RuntimeName, stopped: str
) -> None:
    copies = EndlessCopies(tmp_path / "bin")
    server = start(tmp_path / "data", runtime=runtime, PATH=copies.path)
    try:
        send(server.url, 2)
        taking = subprocess.Popen(
            command("backup", str(tmp_path / "data"), str(tmp_path / "backup")),
            env=environment({}),
            stderr=subprocess.PIPE,
            text=True,
        )
        copies.wait()
        if stopped == "client":
            taking.terminate()
            taking.communicate(timeout=60)
            send(server.url, 2)
            assert totals(server.url, range(2)) == [2, 2]
        assert server.stop(signal.SIGTERM) == 0
        _, said = taking.communicate(timeout=60)
    finally:
        server.stop()
    assert server.errors == ""
    assert taking.returncode != 0
    if stopped == "server":
        assert said == "plaudit: cancelled, because the server stops or its client is gone\n"
    assert not (tmp_path / "backup").exists()
    assert not list((tmp_path / "data").rglob("log-*"))


def test_a_killed_server_leaves_a_note_that_leads_nowhere(tmp_path: Path) -> None:
    server = start(tmp_path / "data")
    send(server.url, 2)
    server.kill()
    assert (tmp_path / "data" / "control").exists()
    assert plaudit("backup", tmp_path / "data", tmp_path / "backup").returncode == 0
    assert served_totals(tmp_path / "backup", range(2)) == [1, 1]
    assert not (tmp_path / "backup" / "control").exists()
    assert served_totals(tmp_path / "data", range(2)) == [1, 1], "the next server takes the note's place"


def test_a_data_directory_with_a_long_path_is_reached(tmp_path: Path) -> None:
    data = tmp_path / ("long" * 30) / "data"
    data.parent.mkdir()
    server = start(data)
    try:
        send(server.url, 2)
        assert plaudit("backup", data, tmp_path / "backup").returncode == 0
    finally:
        assert server.stop() == 0
    assert served_totals(tmp_path / "backup", range(2)) == [1, 1]


def test_a_copy_of_a_served_directory_is_not_taken_for_the_served_one(tmp_path: Path) -> None:
    server = start(tmp_path / "data")
    try:
        assert plaudit("backup", tmp_path / "data", tmp_path / "copy").returncode == 0
        (tmp_path / "copy" / "control").write_bytes((tmp_path / "data" / "control").read_bytes())
        send(server.url, 2)
        assert plaudit("backup", tmp_path / "copy", tmp_path / "backup").returncode == 0
        assert not list((tmp_path / "backup").rglob("run"))
    finally:
        server.stop()
    restored = start(tmp_path / "backup")
    try:
        with pytest.raises(Exception, match="404"):
            totals(restored.url, range(1))
    finally:
        restored.stop()


def test_a_directory_that_something_else_holds_is_refused(tmp_path: Path) -> None:
    server = start(tmp_path / "data")
    try:
        (tmp_path / "data" / "control").unlink()
        refused = plaudit("backup", tmp_path / "data", tmp_path / "backup")
    finally:
        server.stop()
    assert refused.returncode == 1
    assert f"{tmp_path}/data/lock: held by process {server.process.pid}, which takes no commands" in refused.stderr
    assert not (tmp_path / "backup").exists()


async def test_a_backup_during_a_move_keeps_the_test_clock_and_everything_due_happens_in_it(tmp_path: Path) -> None:
    server = start(tmp_path / "data", "--test-clock", "--shards", "2", runtime="ray")
    headers = {"X-API-KEY": ADMIN_KEY}
    try:
        async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=60) as client:

            async def move(now: str) -> None:
                (await client.put("/admin/v1/clock", json={"now": now})).raise_for_status()

            await move("2030-05-06T12:00:00Z")
            send(server.url, 8)
            moving = asyncio.create_task(move("2030-05-07T12:00:00Z"))
            await asyncio.gather(moving, back_up(tmp_path / "data", tmp_path / "backup"))
            await move("2030-05-08T12:00:00Z")
    finally:
        assert server.stop() == 0
    assert server.errors == ""
    assert plaudit("doctor", tmp_path / "backup").returncode == 0
    exported = plaudit("export", tmp_path / "backup", "users")
    assert {json.loads(line)["streak"] for line in exported.stdout.splitlines()} == {1}
    restored = start(tmp_path / "backup", "--test-clock")
    try:
        with httpx.Client(base_url=restored.url, headers=headers) as reader:
            reader.put("/admin/v1/clock", json={"now": "2030-05-08T12:00:00Z"}).raise_for_status()
            streaks = [reader.get(f"/v1/users/user-{n}/streak").json()["length"] for n in range(8)]
    finally:
        assert restored.stop() == 0
    assert streaks == [0] * 8


async def test_when_it_is_in_a_directory_says_its_test_clock(tmp_path: Path) -> None:
    assert await load_time(tmp_path) >= system_clock() - 60_000
    store = await CatalogStore.open(tmp_path)
    await store.save_clock(ClockTimes(17, 18))
    await store.close()
    assert await load_time(tmp_path) == 17
