"""Leaderboards of a real application against brute force: users come, move, change and go, and shards are killed."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from plaudit.actors.leaderboard_shard import LeaderboardShard
from plaudit.actors.router import shard_of
from plaudit.actors.runtime import InlineHost, name_of
from plaudit.actors.user_shard import UserShard
from plaudit.catalog_file import load_document
from plaudit.engine.commands import ReadUser, user_key
from plaudit.storage.directory import open_directory
from tests.http import conftest
from tests.http.conftest import START, Api, prepared
from tests.http.leaderboard_oracle import DAY, Board, Oracle, Person, Run, ends_at

STEPS = 40
CHECK_EVERY = 15
"""After so many steps, everything is compared."""
ZONES = ["UTC", "Pacific/Kiritimati", "Etc/GMT+12", "America/New_York", "Asia/Kathmandu"]
SETTLED = ["ada", "bob", "cid", "dee", "eve", "fay"]
TRAVELLERS = ["gus", "hal"]
"""They may change their zones, and do nothing for streaks, whose rules for travellers are not those of leaderboards."""
VALUES = [Decimal(text) for text in ("1", "1", "1", "2", "3", "5", "0", "-1", "-2", "0.25", "1.5", "2.75", "-0.5")]
LONG = timedelta(days=16)
MOVES = [
    timedelta(milliseconds=1),
    timedelta(minutes=10),
    timedelta(hours=2),
    timedelta(hours=7),
    timedelta(hours=13),
    timedelta(days=1),
    timedelta(days=3, hours=5),
    LONG,
]
ALL = 1000
CATALOG = """
attributes = [{ key = "plan", name = "Plan", type = "user" }, { key = "city", name = "City", type = "user" }]
metrics = [{ key = "lessons", name = "L" }, { key = "pages", name = "P" }, { key = "hours", name = "H" }]
[streak]
metrics = [{ key = "pages", threshold = 1 }]
[[points]]
key = "xp"
name = "Experience"
triggers = [
    { key = "lesson", metric = "lessons", metric_threshold = 1, points = 10 },
    { key = "hour", metric = "hours", metric_threshold = 2, points = -5 },
]
"""


def make_boards() -> list[Board]:
    """One of each kind."""
    groups = ("plan", "city")
    return [
        Board("daily", "metric", date(2026, 3, 2), "lessons", unit="day"),
        Board("weekly", "metric", date(2026, 2, 27), "lessons", unit="day", interval=7),
        Board("monthly", "metric", date(2026, 1, 31), "hours", unit="month"),
        Board("ever", "metric", date(2026, 3, 1), "hours"),
        Board("nights", "metric", date(2026, 3, 3), "lessons", end=date(2026, 3, 20), hours=(22, 2)),
        Board("few", "points", date(2026, 3, 1), "xp", maximum=3),
        Board("streaks", "streak", date(2026, 3, 1)),
        Board("groups", "metric", date(2026, 3, 2), "pages", unit="day", interval=10, breakdown=groups, maximum=4),
        Board("pro", "metric", date(2026, 3, 4), "lessons", wanted={"plan": "pro"}),
        Board("late", "metric", date(2026, 3, 2), "pages", unit="day", interval=14, is_active=False),
        Board("later", "points", date(2026, 3, 1), "xp", is_active=False),
    ]


def to_toml(board: Board) -> str:
    """The board's entry in a catalog."""
    source = {"metric": "metric", "points": "points"}.get(board.rank_by)
    lines = [
        "[[leaderboards]]",
        f'key = "{board.key}"',
        f'name = "{board.key}"',
        f'rank_by = "{board.rank_by}"',
        f"start = {board.start}",
        f'status = "{"active" if board.is_active else "inactive"}"',
        f'{source} = "{board.source}"' if source else "",
        f"end = {board.end}" if board.end else "",
        f'run_unit = "{board.unit}"\nrun_interval = {board.interval}' if board.unit else "",
        f'start_time = "{board.hours[0]:02}:00"\nend_time = "{board.hours[1]:02}:00"' if board.hours else "",
        f"breakdown_attributes = {list(board.breakdown)}" if board.breakdown else "",
        "".join(f'user_attributes = {{ {key} = "{value}" }}' for key, value in board.wanted.items()),
        f"max_participants = {board.maximum}" if board.maximum else "",
    ]
    return "\n".join(line for line in lines if line)


def write_catalog(api: Api, boards: Iterable[Board]) -> Path:
    """A file of a catalog with these boards."""
    path = api.data / "boards.toml"
    path.write_text(CATALOG + "\n".join(map(to_toml, boards)), "utf-8")
    return path


class Play:
    """One program of random steps, and the comparisons on its way."""

    def __init__(self, api: Api, seed: int, *, is_rough: bool) -> None:
        self._api = api
        self._is_rough = is_rough
        """Shards are killed in the middle of things as well: when exactly, depends on the machine."""
        self._random = random.Random(seed)
        self._now = datetime.fromisoformat(START)
        self._oracle = Oracle(make_boards(), self._now)
        self.story: list[str] = []

    async def start(self) -> None:
        """Open everything with the boards."""
        await self._api._catalog.apply(load_document(self._write_catalog()))
        await self._api.open_shards()
        await self._settle()

    async def run(self, steps: int) -> None:
        """Take so many steps."""
        choices = [
            (self.send, 60),
            (self.move, 22),
            (self.switch, 4),
            (self.resize, 4),
            (self.delete, 3),
            (self.kill_board_shard, 3),
            (self.kill_user_shard, 3),
            (self.kill_during_move, 3 if self._is_rough else 0),
        ]
        actions: list[Callable[[], Coroutine[Any, Any, None]]] = [action for action, _ in choices]
        for step in range(1, steps + 1):
            [action] = self._random.choices(actions, [weight for _, weight in choices])
            await action()
            await self.check_something()
            if step % CHECK_EVERY == 0:
                await self.check_everything()
        await self.check_everything()

    # Steps

    async def send(self) -> None:
        """An event, at a time of its own; its entries are those that they should be."""
        await self._pass(timedelta(milliseconds=self._random.randint(1, 5)))
        await self._send(self._choose_user())

    def _choose_user(self) -> str:
        return self._random.choice(SETTLED + TRAVELLERS)

    async def _send(self, user: str, *, is_sure: bool = True) -> None:
        """An event; if that `is_sure`, it has all entries."""
        choices, oracle = self._random, self._oracle
        metric = choices.choice(["lessons", "hours"] if user in TRAVELLERS else ["lessons", "pages", "pages", "hours"])
        value = choices.choice(VALUES)
        has_zone = user not in oracle.people or (user in TRAVELLERS and choices.random() < 0.3)
        zone = choices.choice(ZONES) if has_zone else None
        name = choices.choice([None, None, f"{user} {choices.randint(1, 9)}"])
        attributes = {}
        if choices.random() < 0.4:
            attributes = {"plan": choices.choice(["free", "pro"]), "city": choices.choice(["Oslo", "Rome"])}
            attributes.pop(choices.choice(["plan", "city", "none"]), None)
        self.story.append(f"{user} {metric} {value} zone={zone} name={name} {attributes}")
        wanted = oracle.act(user, metric, value, zone, name, attributes)
        sent: dict[str, Any] = {"id": user, "attributes": attributes}
        sent |= {"tz": zone} if zone else {}
        sent |= {"name": name} if name else {}
        found = (await self._api.send_ok(sent, float(value), metric))["leaderboards"]
        if not is_sure:
            wanted = {key: wanted[key] for key in found}
        assert {key: _pick(entry, wanted.get(key, {})) for key, entry in found.items()} == wanted

    async def move(self) -> None:
        """Let time pass, seldom a lot of it."""
        [time] = self._random.choices(MOVES, [1, 3, 4, 4, 4, 4, 2, 1])
        await self._pass(time * self._random.uniform(0.5, 1.5) if time > DAY / 24 else time)

    async def switch(self) -> None:
        """Activate a board, or deactivate it."""
        key = self._random.choice(["late", "later", "late", "later", "weekly", "groups", "streaks"])
        is_active = not self._oracle.boards[key].is_active
        self.story.append(f"{key}: {is_active=}")
        self._oracle.switch(key, is_active=is_active)
        await self._apply()

    async def resize(self) -> None:
        """Give a board another number of places."""
        key, maximum = self._random.choice(
            [("few", 1), ("few", 2), ("few", 3), ("few", None), ("groups", 1), ("groups", 4)]
        )
        self.story.append(f"{key}: {maximum=}")
        self._oracle.boards[key].maximum = maximum
        await self._apply()

    async def delete(self) -> None:
        """Delete a user."""
        if self._oracle.people:
            user = self._random.choice(sorted(self._oracle.people))
            self.story.append(f"delete {user}")
            assert (await self._api.client.delete(f"/admin/v1/users/{user}")).status_code == 204
            self._oracle.delete(user)
            await self._settle()

    async def kill_board_shard(self) -> None:
        """Lose a leaderboard shard; somebody does something before it is there again."""
        await self._pass(timedelta(milliseconds=1))
        self._kill(self._random.choice(self._api._board_hosts))
        user = self._choose_user()
        for _ in range(self._random.randint(0, 3)):
            await self._send(user, is_sure=False)
        await self._reopen()

    async def kill_user_shard(self) -> None:
        """Lose a user shard, some time after its last checkpoint, and maybe while it takes an event."""
        await self._pass(timedelta(milliseconds=1))
        if self._random.random() < 0.5:
            await self._api.checkpoint()
        sending = None
        if self._is_rough and self._random.random() < 0.5:
            sending = asyncio.create_task(self._send(self._choose_user(), is_sure=False))
            for _ in range(self._random.randint(0, 30)):
                await asyncio.sleep(0)
        self._kill(self._random.choice(self._api._hosts))
        await self._reopen()
        if sending is not None:
            await sending
        await self._settle()

    async def kill_during_move(self) -> None:
        """Lose a shard while time passes: it may have been about to write something down, or have done so."""
        moving = asyncio.create_task(self._pass(DAY * self._random.uniform(0.5, 3)))
        for _ in range(self._random.randint(1, 300)):
            await asyncio.sleep(0)
        self._kill(self._random.choice([*self._api._hosts, *self._api._board_hosts, *self._api._board_hosts]))
        await self._reopen()
        await moving
        await self._settle()

    def _kill(self, host: InlineHost) -> None:
        self.story.append(f"kill {name_of(host._settings)}")
        host.kill()

    # Comparisons

    async def check_everything(self) -> None:
        """All that can be asked."""
        oracle = self._oracle
        for with_finished in (False, True):
            listed = await self._get("leaderboards", includeFinished=str(with_finished).lower())
            wanted = [
                (board.key, status, ends_at(board.nearest_run(oracle.today)))
                for board in oracle.boards.values()
                if board.is_active and ((status := oracle.status(board)) != "finished" or with_finished)
            ]
            assert [(each["key"], each["status"], each["endsAt"]) for each in listed] == wanted
        for board in oracle.boards.values():
            if not board.is_active:
                assert (await self._api.client.get(f"/v1/leaderboards/{board.key}")).status_code == 404
                continue
            await self._check_rankings(board, None)
            for run in self._some_runs(board):
                await self._check_rankings(board, run)
            for person in oracle.people.values():
                await self._check_place(board, person, None)
                for run in self._some_runs(board):
                    await self._check_place(board, person, run)

    async def check_something(self) -> None:
        """One board, and a user of it."""
        oracle, choices = self._oracle, self._random
        board = choices.choice([board for board in oracle.boards.values() if board.is_active])
        run = choices.choice([None, *self._some_runs(board)])
        await self._check_rankings(board, run)
        if oracle.people:
            await self._check_place(board, choices.choice(list(oracle.people.values())), run)

    def _some_runs(self, board: Board) -> list[Run]:
        runs = [run for run in board.runs_through(self._oracle.today + DAY) if self._oracle.has_begun(run)]
        return runs[-3:] + self._random.sample(runs[:-3], min(2, len(runs[:-3])))

    async def _check_rankings(self, board: Board, run: Run | None) -> None:
        oracle, choices = self._oracle, self._random
        present = board.nearest_run(oracle.today)
        days = {} if run is None else {"run": self._day_in(run)}
        first = present[0] if run is None else run[0]
        most = board.maximum or ALL
        for attributes in self._filters(board):
            lines = oracle.lines(board, first, attributes) if oracle.has_begun(run or present) else []
            parameters: dict[str, Any] = dict(days)
            if attributes:
                parameters["userAttributes"] = ",".join(f"{key}:{value}" for key, value in attributes.items())
            found = await self._get(f"leaderboards/{board.key}", **parameters, limit=most)
            assert (found["status"], found["endsAt"]) == (oracle.status(board), ends_at(run or present))
            assert found["rankings"] == [line.shown() for line in lines if line.rank <= most], (
                board.key,
                run,
                attributes,
            )
            offset, limit = choices.randint(0, len(lines) + 1), choices.randint(0, min(4, most))
            found = await self._get(f"leaderboards/{board.key}", **parameters, offset=offset, limit=limit)
            assert found["rankings"] == [line.shown() for line in lines if offset < line.rank <= offset + limit]
            user, offset = choices.choice(SETTLED + TRAVELLERS), choices.randint(-3, 3)
            found = await self._get(f"leaderboards/{board.key}", **parameters, userId=user, offset=offset, limit=limit)
            start = next((max(0, line.rank - 1 + offset) for line in lines if line.person is self._find(user)), ALL)
            assert found["rankings"] == [line.shown() for line in lines if start < line.rank <= start + limit]

    async def _check_place(self, board: Board, person: Person, run: Run | None) -> None:
        oracle = self._oracle
        days = {} if run is None else {"run": self._day_in(run)}
        run = run or board.nearest_run(person.day_at(self._now))
        events = self._random.choice([0, 1, 3, 10, 100])
        found = await self._get(f"users/{person.id}/leaderboards/{board.key}", **days, numEvents=events)
        if all(key in person.attributes for key in board.breakdown) and oracle.has_begun(run):
            place, history = oracle.place(board, run[0], person), oracle.history(board, run, person, events)
        else:
            place, history = (None, None), []
        assert (found["rank"], found["value"]) == place, (board.key, run, person.id)
        assert found["history"] == history, (board.key, run, person.id, events)
        assert (found["status"], found["endsAt"]) == (oracle.status(board), ends_at(run))

    def _filters(self, board: Board) -> list[dict[str, str]]:
        if not board.breakdown:
            return [{}]
        plan, city = self._random.choice(["free", "pro"]), self._random.choice(["Oslo", "Rome"])
        return [{"plan": plan, "city": city}, {"plan": plan}, {"city": city}]

    def _day_in(self, run: Run) -> str:
        return (run[0] + DAY * self._random.randint(0, 0 if run[1] is None else (run[1] - run[0]).days)).isoformat()

    def _find(self, user: str) -> Person | None:
        return self._oracle.people.get(user)

    async def _get(self, path: str, **parameters: Any) -> Any:
        response = await self._api.client.get(f"/v1/{path}", params=parameters)
        assert response.status_code == 200, (path, parameters, response.text)
        return response.json()

    # The world

    async def _pass(self, time: timedelta) -> None:
        milliseconds = max(1, time // timedelta(milliseconds=1))
        self._now += timedelta(milliseconds=milliseconds)
        self.story.append(f"it is {self._now}")
        await self._api.move_to(self._now.isoformat())
        self._oracle.move(self._now)

    async def _apply(self) -> None:
        await self._api._catalog.apply(load_document(self._write_catalog()))
        await self._api._supervisor.adopt()
        await self._settle()

    async def _reopen(self) -> None:
        """Open what has been lost, at the time to which the others have come."""
        assert self._api._keeper is not None
        for host in (*self._api._board_hosts, *self._api._hosts):
            if host._shard is None:
                await host.open(self._api._catalog.catalog, self._api._keeper.clock())
        await self._settle()

    async def _settle(self) -> None:
        """Wait until all ranks can be given, and everybody is connected to everybody."""
        await self._api.router.wait_ready()
        api = self._api
        await _until(lambda: all(map(_is_connected, api._hosts)) and all(map(_is_open, api._board_hosts)))

    def _write_catalog(self) -> Path:
        return write_catalog(self._api, self._oracle.boards.values())


async def _until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await asyncio.sleep(0)


def _pick(entry: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    return {key: entry[key] for key in wanted or ["key"]}


def _is_connected(host: InlineHost) -> bool:
    shard = host._shard
    assert isinstance(shard, UserShard)
    return all(
        client._is_welcome and client._has_said_all.is_set() and not client._forgets
        for client in shard._publisher._clients
    )


def _is_open(host: InlineHost) -> bool:
    shard = host._shard
    assert isinstance(shard, LeaderboardShard)
    return shard._runs.sources.are_in and all(run.is_caught_up for run in shard._runs.runs())


@pytest.fixture
async def api(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    """A gateway that does not answer yet, with two leaderboard shards and a test clock."""
    monkeypatch.setattr(conftest, "open_directory", partial(open_directory, default_leaderboards=2))
    async with prepared(has_test_clock=True) as api:
        yield api


async def play(api: Api, seed: int, steps: int, *, is_rough: bool) -> None:
    """Run a program; one that fails tells its story."""
    program = Play(api, seed, is_rough=is_rough)
    await program.start()
    try:
        await program.run(steps)
    except BaseException as error:
        error.add_note("\n".join(program.story))
        raise


@pytest.mark.parametrize("seed", range(4))
async def test_leaderboards_are_those_of_brute_force(api: Api, seed: int) -> None:
    await play(api, seed, STEPS, is_rough=False)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 150))
async def test_leaderboards_are_those_of_brute_force_when_shards_are_killed_at_any_time(api: Api, seed: int) -> None:
    await play(api, seed, 150, is_rough=True)


async def test_places_stay_with_their_users_when_the_user_shard_is_killed(api: Api) -> None:
    """Also if somebody who came after the last but one checkpoint was deleted before the last one."""
    await api._catalog.apply(load_document(write_catalog(api, [Board("ever", "metric", date(2026, 3, 1), "lessons")])))
    await api.open_shards()
    gone, first, second = [user for user in map(str, range(20)) if shard_of(user_key(ReadUser(user)), 2) == 0][:3]
    await api.send_ok(gone, 9)
    assert (await api.client.delete(f"/admin/v1/users/{gone}")).status_code == 204
    await api.checkpoint()
    await api.send_ok(first, 1)
    await api.send_ok(second, 5)
    await api.move_to("2026-03-03T10:00:00Z")
    before = await _lines(api, "ever"), [await _history(api, user, "ever", 10) for user in (first, second)]
    api._hosts[0].kill()
    assert api._keeper is not None
    await api._hosts[0].open(api._catalog.catalog, api._keeper.clock())
    await _until(lambda: _is_connected(api._hosts[0]))
    assert [(line["userId"], line["value"]) for line in before[0]] == [(second, 5), (first, 1)]
    assert [[day["rank"] for day in days] for days in before[1]] == [[2, 2], [1, 1]]
    assert (await _lines(api, "ever"), [await _history(api, user, "ever", 10) for user in (first, second)]) == before


async def test_a_run_that_ended_before_its_board_was_active_has_no_ranking(api: Api) -> None:
    """The next, which was not over by then, has one."""
    board = Board("weekly", "metric", date(2026, 3, 2), "lessons", unit="day", interval=7, is_active=False)
    await api._catalog.apply(load_document(write_catalog(api, [board])))
    await api.open_shards()
    await api.send_ok("bob", 3)
    for moment in ("2026-03-03T10:00:00Z", "2026-03-09T10:00:00Z", "2026-03-16T10:00:00Z"):
        await api.move_to(moment)
        await api.send_ok("ann", 5)
    board.is_active = True
    await api._catalog.apply(load_document(write_catalog(api, [board])))
    await api._supervisor.adopt()
    for run, users in (("2026-03-02", []), ("2026-03-09", ["ann"])):
        response = await api.client.get("/v1/leaderboards/weekly", params={"run": run})
        assert [line["userId"] for line in response.json()["rankings"]] == users


async def test_groups_that_are_merged_when_a_run_is_over_are_in_the_order_of_before(api: Api) -> None:
    """By what they have, of which not all is shown, and by who reached it first: not by their ranks in their groups."""
    board = Board("cities", "metric", date(2026, 3, 2), "lessons", end=date(2026, 3, 3), breakdown=("plan", "city"))
    await api._catalog.apply(load_document(write_catalog(api, [board])))
    await api.open_shards()
    deeds = [("ann", "Oslo", 5), ("bob", "Oslo", 3), ("cid", "Rome", 3), ("dee", "Bonn", 3.75), ("eve", "Rome", 3)]
    for second, (user, city, value) in enumerate(deeds, 1):
        await api.move_to(f"2026-03-02T11:00:{second:02}Z")
        await api.send_ok({"id": user, "attributes": {"plan": "pro", "city": city}}, value)
    before = await _lines(api, "cities", userAttributes="plan:pro")
    assert [line["userId"] for line in before] == ["ann", "dee", "bob", "cid", "eve"]
    await api.move_to("2026-03-05T10:00:00Z")
    assert await _lines(api, "cities", userAttributes="plan:pro") == before


async def test_days_without_anybody_after_a_leaderboard_shard_was_killed_are_in_histories(api: Api) -> None:
    """Users say nothing of a board that they have left."""
    await api._catalog.apply(load_document(write_catalog(api, [Board("ever", "metric", date(2026, 3, 1), "lessons")])))
    await api.open_shards()
    await api.send_ok("ann", 1)
    await api.move_to("2026-03-03T10:00:00Z")
    await api.send_ok("ann", -1)
    await api.checkpoint()
    await _lose_boards(api)
    await api.move_to("2026-03-05T10:00:00Z")
    await api.send_ok("ann", 1)
    days = [(day["date"], day["previousRank"], day["rank"]) for day in await _history(api, "ann", "ever", 10)]
    nobody = [("2026-03-03", 1, None), ("2026-03-04", None, None)]
    assert days == [("2026-03-02", None, 1), *nobody, ("2026-03-05", None, 1)]


async def test_days_without_anybody_after_a_board_was_activated_again_are_in_histories(api: Api) -> None:
    """As they are if nobody had deactivated it."""
    board = Board("ever", "metric", date(2026, 3, 1), "lessons")
    await api._catalog.apply(load_document(write_catalog(api, [board])))
    await api.open_shards()
    await api.send_ok("ann", 1)
    await api.move_to("2026-03-03T10:00:00Z")
    await _activate(api, board, is_active=False)
    await api.send_ok("ann", -1)
    await _activate(api, board, is_active=True)
    await api.move_to("2026-03-05T10:00:00Z")
    await api.send_ok("ann", 1)
    days = [(day["date"], day["previousRank"], day["rank"]) for day in await _history(api, "ann", "ever", 10)]
    nobody = [("2026-03-03", 1, None), ("2026-03-04", None, None)]
    assert days == [("2026-03-02", None, 1), *nobody, ("2026-03-05", None, 1)]


async def test_a_history_of_a_run_without_a_ranking_begins_with_the_day_before(api: Api) -> None:
    """The run ended while its board was not active; how users stood on its days before is known."""
    board = Board("weekly", "metric", date(2026, 3, 2), "lessons", unit="day", interval=7)
    await api._catalog.apply(load_document(write_catalog(api, [board])))
    await api.open_shards()
    await api.send_ok("ann", 1)
    await api.move_to("2026-03-04T10:00:00Z")
    await _activate(api, board, is_active=False)
    await api.move_to("2026-03-20T10:00:00Z")
    await _activate(api, board, is_active=True)
    for days in (2, 1):
        last = (await _history(api, "ann", "weekly", days, run="2026-03-02"))[-1]
        assert (last["date"], last["previousRank"], last["rank"]) == ("2026-03-03", 1, 1)


async def test_a_run_that_is_lost_on_its_first_day_has_no_days_before_it(api: Api) -> None:
    """Even if somebody has joined it with what they had done on days before."""
    board = Board("pro", "metric", date(2026, 3, 1), "lessons", wanted={"plan": "pro"})
    await api._catalog.apply(load_document(write_catalog(api, [board])))
    await api.open_shards()
    await api.send_ok("ann", 5)
    await api.checkpoint()
    await _lose_boards(api)
    await api.move_to("2026-03-05T10:00:00Z")
    await api.send_ok({"id": "bob", "attributes": {"plan": "pro"}}, 3)
    await api.send_ok({"id": "ann", "attributes": {"plan": "pro"}}, 0)
    before = await _history(api, "bob", "pro", 10)
    assert [(day["date"], day["rank"]) for day in before] == [("2026-03-05", 2)]
    await _lose_boards(api)
    assert await _history(api, "bob", "pro", 10) == before


async def _lines(api: Api, board: str, **parameters: str) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = (await api.client.get(f"/v1/leaderboards/{board}", params=parameters)).json()[
        "rankings"
    ]
    return lines


async def _history(api: Api, user: str, board: str, days: int, **parameters: str) -> list[dict[str, Any]]:
    path = f"/v1/users/{user}/leaderboards/{board}"
    history: list[dict[str, Any]] = (await api.client.get(path, params={"numEvents": days, **parameters})).json()[
        "history"
    ]
    return history


async def _activate(api: Api, board: Board, *, is_active: bool) -> None:
    board.is_active = is_active
    await api._catalog.apply(load_document(write_catalog(api, [board])))
    await api._supervisor.adopt()


async def _lose_boards(api: Api) -> None:
    """Kill all leaderboard shards, and open them."""
    assert api._keeper is not None
    for host in api._board_hosts:
        host.kill()
        await host.open(api._catalog.catalog, api._keeper.clock())
    await _until(lambda: all(map(_is_connected, api._hosts)) and all(map(_is_open, api._board_hosts)))
