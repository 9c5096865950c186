"""A year of many users through the API of a real server, against a calculation that knows no more than a calendar."""

import asyncio
import json
import random
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest

from tests.http.conftest import ADMIN_KEY, MEMORY
from tests.processes import ServerProcess

DAYS = 365
CHECK_DAYS = {45, 120, 200, 290, DAYS - 1}
CONNECTIONS = 32
BEGINNING = datetime(2040, 1, 1, tzinfo=UTC)
"""After anything that the machine's clock may say."""
ZONES = [
    "UTC",
    "Europe/Paris",
    "America/New_York",
    "America/St_Johns",
    "Pacific/Honolulu",
    "Pacific/Auckland",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
]
FREEZES = {"startCount": 1, "maxCount": 2, "autoEarnInterval": 10, "autoEarnAmount": 1}
CATALOG = """
metrics = [{ key = "lessons", name = "Lessons" }]

[streak]
metrics = [{ key = "lessons", threshold = 1 }]
freezes = { start_count = 1, max_count = 2, auto_earn_interval = 10, auto_earn_amount = 1 }
"""


class Connection:
    """One connection to the server, for one request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """The status and the body of the answer."""
        content = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: x\r\nX-API-KEY: {ADMIN_KEY}\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        self._writer.write(head.encode() + content)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(answer.partition("content-length: ")[2].partition("\r\n")[0])
        return int(answer[9:12]), json.loads(await self._reader.readexactly(length))

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()


class Crowd:
    """Concurrent connections to one server."""

    def __init__(self, connections: list[Connection]) -> None:
        self._connections = connections

    async def ask(self, method: str, requests: Iterable[tuple[str, Any]]) -> list[Any]:
        """Send requests (path, body) at the same time; returns the bodies of the answers, which must be 2xx."""
        left = list(enumerate(requests))[::-1]
        answers: list[Any] = [None] * len(left)

        async def send(connection: Connection) -> None:
            while left:
                position, (path, body) = left.pop()
                status, answers[position] = await connection.ask(method, path, body)
                assert 200 <= status < 300, (path, status, answers[position])

        await asyncio.gather(*(send(connection) for connection in self._connections[: len(left)]))
        return answers


@dataclass
class Plan:
    """A user, where they are, and on which days of the server's year they do something."""

    name: str
    zone: ZoneInfo
    days: set[int]


@dataclass
class Expected:
    """What a user should have: a day's length and whether a freeze was spent on it, from the first day on."""

    history: list[tuple[int, bool]]
    freezes: int


def make_plans(users: int) -> list[Plan]:
    """Between 40 and 60 active days each, in runs with gaps between them."""
    plans = []
    for number in range(users):
        choices = random.Random(number)
        days: set[int] = set()
        wanted = choices.randint(40, 60)
        while len(days) < wanted:
            start = choices.randrange(DAYS)
            days |= {day for day in range(start, start + choices.randint(1, 15)) if day < DAYS and len(days) < wanted}
        plans.append(Plan(f"user-{number}", ZoneInfo(ZONES[number % len(ZONES)]), days))
    return plans


def make_moments() -> list[datetime]:
    """A moment of each day (of UTC): never the same time, so that local days may be skipped or seen twice."""
    choices = random.Random(2040)
    return [BEGINNING + timedelta(days=day, seconds=choices.randrange(86_400)) for day in range(DAYS)]


def expect(active: set[date], today: date) -> Expected:
    """The rules, a day at a time: a day without activity costs a freeze, or the streak."""
    day = first = min(active)
    length, freezes = 0, FREEZES["startCount"]
    history = []
    while day <= today:
        if day > first and (day - first).days % FREEZES["autoEarnInterval"] == 0:
            freezes = min(FREEZES["maxCount"], freezes + FREEZES["autoEarnAmount"])
        uses_freeze = False
        if day in active:
            length += 1
        elif day < today and length:
            uses_freeze = freezes > 0
            freezes -= uses_freeze
            length *= uses_freeze
        history.append((length, uses_freeze))
        day += timedelta(1)
    return Expected(history, freezes)


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    """A server with a test clock, where an fsync costs nothing."""
    directory = Path(tempfile.mkdtemp(prefix="p-", dir=MEMORY if MEMORY.is_dir() else None))
    (directory / "catalog.toml").write_text(CATALOG, "utf-8")
    server = ServerProcess(
        directory / "data",
        "--shards=2",
        "--test-clock",
        PLAUDIT_CATALOG=str(directory / "catalog.toml"),
        PLAUDIT_ADMIN_KEY=ADMIN_KEY,
    )
    yield server
    code = server.stop()
    assert (code, server.errors) == (0, "")
    shutil.rmtree(directory)


@pytest.fixture
async def crowd(server: ServerProcess) -> AsyncIterator[Crowd]:
    address = urlsplit(server.url)
    connections = [
        Connection(*await asyncio.open_connection(address.hostname, address.port)) for _ in range(CONNECTIONS)
    ]
    yield Crowd(connections)
    for connection in connections:
        connection.close()


class Year:
    """The users' year as it goes on."""

    def __init__(self, crowd: Crowd, users: int) -> None:
        self._crowd = crowd
        self._plans = make_plans(users)
        self._active: dict[str, set[date]] = {}
        """The local dates of what has been sent."""
        self.events = 0

    async def live(self, day: int, moment: datetime) -> None:
        """Go to a moment, and do what is planned for its day."""
        await self._crowd.ask("PUT", [("/admin/v1/clock", {"now": moment.isoformat()})])
        acting = [plan for plan in self._plans if day in plan.days]
        await self._crowd.ask("POST", [("/v1/metrics/lessons/event", _event(plan)) for plan in acting])
        for plan in acting:
            self._active.setdefault(plan.name, set()).add(moment.astimezone(plan.zone).date())
        self.events += len(acting)

    async def check(self, moment: datetime, periods: int) -> None:
        """Compare what the server says of everybody with what it should."""
        plans = [plan for plan in self._plans if plan.name in self._active]
        expected = [expect(self._active[plan.name], moment.astimezone(plan.zone).date()) for plan in plans]
        paths = [(f"/v1/users/{plan.name}/streak?historyPeriods={periods}", None) for plan in plans]
        for plan, answer, wanted in zip(plans, await self._crowd.ask("GET", paths), expected, strict=True):
            history = [(each["length"], each["usedFreeze"]) for each in answer["streakHistory"]]
            days = ([(0, False)] * periods + wanted.history)[-periods:]
            assert (history, answer["freezes"]) == (days, wanted.freezes), (plan, moment)
            assert answer["length"] == days[-1][0], (plan, moment)
        lengths = {plan.name: wanted.history[-1][0] for plan, wanted in zip(plans, expected, strict=True)}
        await self._check_list(lengths)

    async def _check_list(self, lengths: dict[str, int]) -> None:
        names = list(lengths)
        pages = [names[start : start + 100] for start in range(0, len(names), 100)]
        paths = [(f"/v1/streaks?userIds={','.join(page)}", None) for page in pages]
        for page, answer in zip(pages, await self._crowd.ask("GET", paths), strict=True):
            listed = [(each["userId"], each["streakLength"]) for each in answer]
            assert listed == sorted(((name, lengths[name]) for name in page), key=lambda item: -item[1])


def _event(plan: Plan) -> Any:
    return {"user": {"id": plan.name, "tz": plan.zone.key}, "value": 1}


async def live_a_year(crowd: Crowd, users: int) -> float:
    """Returns how many seconds it took, checks included."""
    year = Year(crowd, users)
    started = perf_counter()
    for day, moment in enumerate(make_moments()):
        await year.live(day, moment)
        if day in CHECK_DAYS:
            await year.check(moment, DAYS if day == DAYS - 1 else 30)
    took_s = perf_counter() - started
    assert 40 * users <= year.events <= 60 * users
    return took_s


async def test_a_year(crowd: Crowd) -> None:
    await live_a_year(crowd, 100)


@pytest.mark.bench
async def test_a_year_of_a_thousand_users_takes_less_than_a_minute(
    crowd: Crowd, capsys: pytest.CaptureFixture[str]
) -> None:
    took_s = await live_a_year(crowd, 1000)
    with capsys.disabled():
        print(f"a year of 1,000 users took {took_s:.1f} s")  # noqa: T201
    assert took_s < 60


def test_the_calculation() -> None:
    """What is expected is what it should be."""
    first = date(2040, 1, 1)
    active = {first + timedelta(day) for day in (0, 1, 4, 11)}
    expected = expect(active, first + timedelta(12))
    lengths = [length for length, _ in expected.history]
    assert lengths == [1, 2, 2, 0, 1, 0, 0, 0, 0, 0, 0, 1, 1]
    assert [day for day, (_, used) in enumerate(expected.history) if used] == [2]
    assert expected.freezes == 1
    assert expect(active, first + timedelta(13)).history[12:] == [(1, True), (1, False)]
    assert expect(active, first + timedelta(14)).history[12:] == [(1, True), (0, False), (0, False)]
