"""The test clock's keeper over shards that only note what they are asked, and do what is due."""

import asyncio
from collections.abc import Callable

import pytest

from plaudit.actors import clock_keeper
from plaudit.actors.clock_keeper import AHEAD_MS_MAX, ClockKeeper
from plaudit.actors.runtime import HostLost
from plaudit.engine.errors import Invalid
from plaudit.storage.catalog_store import ClockTimes


class World:
    """Shards with deadlines, a store, and a journal of what they did in which order."""

    def __init__(self) -> None:
        self.journal: list[str] = []
        self.saved: ClockTimes | None = None
        self.shards: list[Shard] = []
        self.boards: list[Shard] = []
        self.fails = False

    def add(self, name: str, *due: int) -> "Shard":
        self.shards.append(Shard(self, name, due))
        return self.shards[-1]

    def add_board(self, name: str, *due: int) -> "Shard":
        self.boards.append(Shard(self, name, due))
        return self.boards[-1]

    async def open(self, now_ms: int = 0) -> ClockKeeper:
        return await ClockKeeper.open(self, now_ms)

    async def start(self, now_ms: int = 0) -> ClockKeeper:
        keeper = await self.open(now_ms)
        await keeper.start(self.shards, self.boards)
        return keeper

    async def load_clock(self) -> ClockTimes | None:
        return self.saved

    async def save_clock(self, times: ClockTimes) -> None:
        if self.fails:
            raise OSError("disk full")
        self.journal.append(f"{times.reached_ms} to {times.target_ms}")
        self.saved = times

    def take(self) -> list[str]:
        journal, self.journal = self.journal, []
        return journal


class Shard:
    """What is due on it stays done, as if it were in a log; what it is asked while it is away is lost."""

    def __init__(self, world: World, name: str, due: tuple[int, ...]) -> None:
        self._world = world
        self._name = name
        self.due = sorted(due)
        self.done: list[tuple[int, int]] = []
        """What was due, and when it was done."""
        self.now_ms = 0
        self.before: Callable[[], None] = lambda: None
        self.after: Callable[[], None] = lambda: None
        self.gate = asyncio.Event()
        self.gate.set()

    async def move_clock(self, now_ms: int) -> int | None:
        self.before()
        self._world.journal.append(f"{self._name} {now_ms}")
        await self.gate.wait()
        self.now_ms = max(now_ms, self.now_ms)
        while self.due and self.due[0] <= self.now_ms:
            self.done.append((self.due.pop(0), self.now_ms))
        self.after()
        return self.due[0] if self.due else None


def lose(times: int) -> Callable[[], None]:
    """Raises HostLost so many times."""
    left = iter(range(times))

    def act() -> None:
        if next(left, None) is not None:
            raise HostLost("killed")

    return act


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(clock_keeper, "LOST_RETRY_S", 0)
    return World()


async def test_a_new_clock_starts_at_the_given_time_and_an_old_one_where_it_stood(world: World) -> None:
    assert (await world.open(70)).clock() == 70
    assert world.take() == ["70 to 70"]
    assert (await world.open(99)).clock() == 70
    assert world.take() == []


async def test_shards_are_moved_from_one_due_time_to_the_next_and_in_the_end_to_the_target(world: World) -> None:
    world.add("a", 10, 30)
    world.add("b", 20, 30, 90)
    world.add("c")
    keeper = await world.start()
    world.take()
    assert await keeper.move(50) == 50
    start = ["a 0", "b 0", "c 0"]
    barriers = ["a 10", "b 20", "a 30", "b 30"]
    assert world.take() == ["0 to 50", *start, *barriers, "a 50", "b 50", "c 50", "50 to 50"]
    assert [shard.done for shard in world.shards] == [[(10, 10), (30, 30)], [(20, 20), (30, 30)], []]
    assert keeper.clock() == 50


async def test_leaderboards_come_to_every_time_at_which_anything_is_due_and_after_the_users(world: World) -> None:
    world.add("a", 10, 30)
    world.add("b", 20)
    world.add_board("x", 30, 40)
    world.add_board("y")
    keeper = await world.start()
    assert world.take() == ["0 to 0", "a 0", "b 0", "x 0", "y 0"]
    await keeper.move(50)
    assert world.take() == [
        *("0 to 50", "a 0", "b 0", "x 0", "y 0"),
        *("a 10", "x 10", "y 10"),
        *("b 20", "x 20", "y 20"),
        *("a 30", "x 30", "y 30"),
        *("x 40", "y 40"),
        *("a 50", "b 50", "x 50", "y 50", "50 to 50"),
    ]
    assert [board.done for board in world.boards] == [[(30, 30), (40, 40)], []]


async def test_no_leaderboard_comes_to_a_time_before_all_users_have_done_what_was_due_then(world: World) -> None:
    slow, board = world.add("slow", 10), world.add_board("board", 10)
    world.add("quick", 10)
    keeper = await world.start()
    held = asyncio.Event()

    def hold_at_10() -> None:
        if keeper.clock() == 10:
            slow.gate.clear()
            held.set()

    slow.before = hold_at_10
    moving = asyncio.create_task(keeper.move(20))
    await held.wait()
    for _ in range(10):
        await asyncio.sleep(0)
    assert (world.take()[-2:], board.done) == (["slow 10", "quick 10"], [])
    slow.gate.set()
    await moving
    assert world.take() == ["board 10", "slow 20", "quick 20", "board 20", "20 to 20"]


async def test_what_users_make_due_on_a_leaderboard_happens_in_time(world: World) -> None:
    users, board = world.add("users", 10), world.add_board("board")
    keeper = await world.start()

    def publish() -> None:
        if keeper.clock() == 10:
            board.due = [15]

    users.after = publish
    await keeper.move(20)
    assert board.done == [(15, 15)]


@pytest.mark.parametrize("kind", [World.add, World.add_board])
async def test_what_is_due_at_the_target_itself_happens_there(world: World, kind: Callable[..., "Shard"]) -> None:
    shard = kind(world, "a", 50)
    keeper = await world.start()
    await keeper.move(50)
    assert shard.done == [(50, 50)]


async def test_what_has_become_due_since_is_asked_for_first(world: World) -> None:
    shard = world.add("a")
    keeper = await world.start()
    shard.due = [5, 7]
    await keeper.move(10)
    assert shard.done == [(5, 5), (7, 7)]


async def test_no_shard_goes_on_before_all_have_done_what_was_due(world: World) -> None:
    slow, quick = world.add("slow", 10, 20), world.add("quick", 10, 15)
    keeper = await world.start()
    held = asyncio.Event()

    def hold_at_10() -> None:
        if keeper.clock() == 10:
            slow.gate.clear()
            held.set()

    slow.before = hold_at_10
    moving = asyncio.create_task(keeper.move(30))
    await held.wait()
    for _ in range(10):
        await asyncio.sleep(0)
    assert quick.done == [(10, 10)]
    assert world.take()[-2:] == ["slow 10", "quick 10"]
    slow.gate.set()
    await moving
    assert world.take() == ["quick 15", "slow 20", "slow 30", "quick 30", "30 to 30"]


@pytest.mark.parametrize("kind", [World.add, World.add_board])
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_shard_that_is_lost_is_waited_for(world: World, moment: str, kind: Callable[..., "Shard"]) -> None:
    lost, other = kind(world, "lost", 10, 20, 30), world.add("other", 15, 25)
    keeper = await world.start()

    def die_at_20() -> None:
        if keeper.clock() == 20:
            setattr(lost, moment, lose(2))
            raise HostLost("killed")

    setattr(lost, moment, die_at_20)
    await keeper.move(40)
    assert lost.done == [(10, 10), (20, 20), (30, 30)]
    assert other.done == [(15, 15), (25, 25)]


async def test_the_time_is_never_moved_back(world: World) -> None:
    shard = world.add("a")
    keeper = await world.start(1_000)
    await keeper.move(2_000)
    world.take()
    with pytest.raises(
        Invalid, match=r"^now: expected no time before the present one \(1970-01-01T00:00:02.000Z\), got"
    ):
        await keeper.move(1_999)
    assert await keeper.move(2_000) == 2_000
    assert world.take() == []
    assert (keeper.clock(), shard.now_ms) == (2_000, 2_000)


async def test_a_target_too_far_away_is_not_begun(world: World) -> None:
    shard = world.add("a")
    keeper = await world.start(1_000)
    world.take()
    with pytest.raises(Invalid, match=r"^now: expected no time more than 100 years after the present one \(1970-"):
        await keeper.move(1_001 + AHEAD_MS_MAX)
    assert (world.take(), keeper.clock(), shard.now_ms) == ([], 1_000, 1_000)
    assert await keeper.move(1_000 + AHEAD_MS_MAX) == 1_000 + AHEAD_MS_MAX


async def test_moves_come_one_after_the_other(world: World) -> None:
    shard = world.add("a", 10, 20, 30)
    keeper = await world.start()
    world.take()
    first, second, third = await asyncio.gather(*map(keeper.move, (15, 35, 25)), return_exceptions=True)
    assert (first, second) == (15, 35)
    assert isinstance(third, Invalid)
    assert world.take() == [
        *("0 to 15", "a 0", "a 10", "a 15", "15 to 15"),
        *("15 to 35", "a 15", "a 20", "a 30", "a 35", "35 to 35"),
    ]
    assert shard.done == [(10, 10), (20, 20), (30, 30)]


@pytest.mark.parametrize("killed_after", range(13))
async def test_the_next_start_finishes_what_was_interrupted_and_skips_nothing(world: World, killed_after: int) -> None:
    shards = [world.add("a", 10, 30), world.add("b", 20), world.add_board("x", 15, 30)]
    keeper = await world.start()
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1
        if steps == killed_after + 1:
            raise SystemError

    for shard in shards:
        shard.before = step
    with pytest.raises(SystemError):
        await keeper.move(40)
    for shard in shards:
        shard.before = lambda: None
    keeper = await world.start(99)
    assert keeper.clock() == 40
    assert world.saved == ClockTimes(40, 40)
    assert [shard.now_ms for shard in shards] == [40] * 3
    assert shards[0].done == [(10, 10), (30, 30)]
    assert shards[1].done == [(20, 20)]
    assert shards[2].done == [(15, 15), (30, 30)]


async def test_a_start_lets_happen_what_was_due_while_nobody_asked(world: World) -> None:
    shard = world.add("restored", 10)
    world.saved = ClockTimes(50, 50)
    await world.start()
    assert shard.done == [(10, 50)]
    assert world.take() == ["restored 50"]


async def test_a_move_that_is_cancelled_is_finished_by_the_next(world: World) -> None:
    shard = world.add("a", 10, 30)
    keeper = await world.start()
    shard.gate.clear()
    moving = asyncio.create_task(keeper.move(40))
    await asyncio.sleep(0)
    moving.cancel()
    await asyncio.gather(moving, return_exceptions=True)
    shard.gate.set()
    with pytest.raises(Invalid):
        await keeper.move(35)
    assert keeper.clock() == 40
    assert shard.done == [(10, 10), (30, 30)]


async def test_nothing_moves_before_the_target_is_durable(world: World) -> None:
    shard = world.add("a", 10)
    keeper = await world.start()
    world.fails = True
    with pytest.raises(OSError, match="disk full"):
        await keeper.move(40)
    assert (shard.done, keeper.clock()) == ([], 0)
    world.fails = False
    await keeper.move(20)
    assert shard.done == [(10, 10)]


@pytest.mark.parametrize("kind", [World.add, World.add_board])
async def test_a_shard_that_does_not_do_what_is_due_ends_the_move(world: World, kind: Callable[..., "Shard"]) -> None:
    shard = kind(world, "stuck", 10)
    keeper = await world.start()

    async def move_clock(now_ms: int) -> int | None:
        return 10

    shard.move_clock = move_clock  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="due at 10"):
        await keeper.move(40)
