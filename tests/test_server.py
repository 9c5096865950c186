"""What a server as a whole does about time and settings, in processes of its own."""

import re
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.processes import ServerProcess
from tests.test_cli import STUDY, refused

ADMIN_KEY = "srvtests.a-body-that-nobody-guesses"
METRICS = '[[metrics]]\nkey = "lessons"\nname = "Lessons"\n'
Start = Callable[..., "Deployed"]


class Deployed:
    """A server with a client of its own."""

    def __init__(self, data: Path, *arguments: str, catalog: str = STUDY, **options: Any) -> None:
        self.server = ServerProcess(data, "--catalog", catalog, *arguments, PLAUDIT_ADMIN_KEY=ADMIN_KEY, **options)
        self.client = httpx.Client(base_url=self.server.url, headers={"X-API-KEY": ADMIN_KEY}, timeout=60)

    def get(self, path: str) -> Any:
        response = self.client.get(path)
        assert response.status_code == 200, response.text
        return response.json()

    def now(self) -> str:
        return str(self.get("/admin/v1/clock")["now"])

    def move(self, now: str) -> str:
        response = self.client.put("/admin/v1/clock", json={"now": now})
        assert response.status_code == 200, response.text
        return str(response.json()["now"])

    def settings(self) -> Any:
        return self.get("/admin/v1/streaks/settings")

    def change(self, **settings: Any) -> Any:
        response = self.client.patch("/admin/v1/streaks/settings", json=settings)
        assert response.status_code == 200, response.text
        return response.json()

    def event(self, user: str) -> int:
        """The length of the streak after an event."""
        body = {"user": {"id": user, "tz": "UTC"}, "value": 1}
        response = self.client.post("/v1/metrics/lessons/event", json=body)
        assert response.status_code == 201, response.text
        return int(response.json()["currentStreak"]["length"])

    def length(self, user: str) -> int:
        return int(self.get(f"/v1/users/{user}/streak")["length"])

    def stop(self) -> None:
        self.client.close()
        assert self.server.stop() == 0, self.server.errors


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts servers on one data directory, one after the other."""
    started: list[Deployed] = []

    def start(*arguments: str, **options: Any) -> Deployed:
        started.append(Deployed(tmp_path / "data", *arguments, **options))
        return started[-1]

    yield start
    for deployed in started:
        deployed.client.close()
        deployed.server.stop()


@pytest.mark.parametrize("runtime", ["inline", "ray"])
def test_streaks_in_seconds(start: Start, runtime: str) -> None:
    """The walk through docs/test-clock.md, and its end after a restart."""
    before = datetime.now(UTC)
    server = start("--test-clock", "--shards", "2", runtime=runtime)
    assert before <= datetime.fromisoformat(server.now()).replace(microsecond=999_999)
    assert server.move("2030-05-06T12:00:00Z") == "2030-05-06T12:00:00.000Z"
    users = [f"user-{n}" for n in range(8)]
    assert {server.event(user) for user in users} == {1}
    server.move("2030-05-07T12:00:00Z")
    assert {server.event(user) for user in users} == {2}
    server.stop()
    server = start("--test-clock", runtime=runtime)
    assert server.now() == "2030-05-07T12:00:00.000Z"
    server.move("2030-05-08T12:00:00Z")
    assert {server.length(user) for user in users} == {2}
    server.move("2030-05-10T12:00:00Z")
    assert {server.length(user) for user in users} == {0}
    server.stop()
    assert server.server.errors == ""


def test_settings_change_on_all_shards_while_events_go_on(start: Start) -> None:
    server = start("--shards", "2", runtime="ray")
    users = [f"user-{n}" for n in range(8)]
    stop = threading.Event()

    def send() -> None:
        with httpx.Client(base_url=server.server.url, headers={"X-API-KEY": ADMIN_KEY}) as client:
            while not stop.is_set():
                for user in users:
                    body = {"user": {"id": user}, "value": 1}
                    assert client.post("/v1/metrics/lessons/event", json=body).status_code == 201

    sending = threading.Thread(target=send)
    sending.start()
    try:
        for frequency in ("weekly", "monthly", "daily") * 3:
            assert server.change(frequency=frequency)["frequency"] == frequency
            found = {server.get(f"/v1/users/{user}/streak")["frequency"] for user in users if server.event(user)}
            assert found == {frequency}
    finally:
        stop.set()
        sending.join()
    server.server.shard_processes()[0].kill()
    assert server.change(frequency="weekly")["frequency"] == "weekly"
    assert {server.get(f"/v1/users/{user}/streak")["frequency"] for user in users} == {"weekly"}


def test_a_leaderboard_shard_that_is_killed_is_opened_again_and_events_go_on(start: Start) -> None:
    server = start("--leaderboard-shards", "2", runtime="ray")
    assert len(server.server.leaderboard_processes()) == 2
    for process in server.server.leaderboard_processes():
        process.kill()
    assert server.event("sam") == 1
    pattern = r"leaderboard shard [01] is open again"
    while len(re.findall(pattern, server.server.errors)) < 2 or server.client.get("/readyz").status_code != 200:
        pass
    assert server.event("sam") == 1
    server.stop()
    assert not re.search(r"(?<!leaderboard )shard [01] was lost", server.server.errors)


@pytest.mark.parametrize("arguments", [("--test-clock",), ("--test-clock", "--workers", "2")])
def test_every_gateway_has_the_clock_and_the_settings(start: Start, arguments: tuple[str, ...]) -> None:
    server = start(*arguments)
    for year in range(2030, 2040):
        server.client.headers["Connection"] = "close"  # the next request may meet another gateway
        assert server.move(f"{year}-01-01T00:00:00Z") == server.now() == f"{year}-01-01T00:00:00.000Z"
        days_off = [year % 7]
        assert server.change(daysOff=days_off) == server.settings()
        assert server.settings()["daysOff"] == days_off
    refusal = server.client.put("/admin/v1/clock", json={"now": "2030-01-01T00:00:00Z"})
    assert (refusal.status_code, refusal.json()["error"].partition(":")[0]) == (422, "now")
    refusal = server.client.patch("/admin/v1/streaks/settings", json={"metrics": [{"key": "steps", "threshold": 1}]})
    assert (refusal.status_code, refusal.json()["error"].partition(":")[0]) == (422, "metrics[0].key")
    server.stop()


def test_a_directory_with_a_test_clock_is_refused_without_one(start: Start, tmp_path: Path) -> None:
    server = start("--test-clock")
    server.move("2030-05-06T12:00:00Z")
    server.stop()
    assert refused(tmp_path / "data") == (
        f"{tmp_path / 'data'}: made with a test clock, which stands at 2030-05-06T12:00:00.000Z: "
        "start with --test-clock"
    )
    assert start("--test-clock").now() == "2030-05-06T12:00:00.000Z"


def test_a_directory_may_get_a_test_clock_later(start: Start) -> None:
    server = start()
    assert server.event("sam") == 1
    assert server.client.get("/admin/v1/clock").status_code == 404
    server.stop()
    before = datetime.now(UTC)
    server = start("--test-clock")
    started = datetime.fromisoformat(server.now())
    assert before <= started.replace(microsecond=999_999)
    assert server.event("sam") >= 1
    server.move("2099-01-01T00:00:00Z")
    assert server.length("sam") == 0


def test_the_file_wins_at_a_start_if_it_has_streak_settings(start: Start, tmp_path: Path) -> None:
    without, with_ = tmp_path / "without.toml", tmp_path / "with.toml"
    without.write_text(METRICS, "utf-8")
    with_.write_text(METRICS + '[streak]\nfrequency = "monthly"\n', "utf-8")
    server = start(catalog=str(without))
    server.change(frequency="weekly", freezes={"startCount": 1, "maxCount": 2})
    server.stop()
    server = start(catalog=str(without))
    assert server.settings()["frequency"] == "weekly"
    assert server.settings()["freezes"]["maxCount"] == 2
    server.stop()
    server = start(catalog=str(with_))
    assert server.settings()["frequency"] == "monthly"
    assert server.settings()["freezes"] is None
