"""Leaderboards in memory: the index of ranks, the ranking of a run on top of it, and other ways to write keys.

Members have points as they are spread in practice, many with few and few with many; a change adds some to those of
anybody. Times are medians, with the 99th percentile. Run as `python -m benchmarks.rank_index`.
"""

import argparse
import multiprocessing
import os
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import ParamSpec, TypeVar

from rich.console import Console
from rich.table import Table
from sortedcontainers import SortedList

from benchmarks.machine import describe_machine, resident_bytes
from plaudit.actors.board_messages import Score
from plaudit.actors.rank_index import SortedIndex, Standing, pack, pack_seat, unpack_seat
from plaudit.actors.run_ranking import RunRanking
from plaudit.actors.tuning import tune
from plaudit.engine.amounts import UNIT

MEMBERS = [10_000, 1_000_000, 5_000_000]
CHANGES = 50_000
SHARDS = 8
NOW_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
SPREAD_MS = 30 * 86_400_000
PAGE = 10
RANK_BUDGET_US = 50.0
GROWTH_BUDGET = 4.0

Figures = dict[str, str]
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Key = TypeVar("Key", int, tuple[int, int, int, int])


@dataclass(frozen=True)
class Times:
    """Microseconds."""

    median: float
    p99: float

    def __str__(self) -> str:
        return f"{self.median:.1f} (p99 {self.p99:.1f})"


@dataclass(frozen=True)
class Measured:
    """What one number of members gave."""

    figures: Figures
    change_and_rank_us: float


def summarize(times_s: list[float]) -> Times:
    """The median and the 99th percentile."""
    return Times(1e6 * median(times_s), 1e6 * sorted(times_s)[len(times_s) * 99 // 100])


def first_standings(members: int, choices: random.Random) -> Iterator[Standing]:
    """Everybody's, in the order of seats."""
    for member in range(members):
        value = int(20 * choices.paretovariate(1.2))
        seat = pack_seat(member % SHARDS, member // SHARDS)
        yield Standing(value, NOW_MS + choices.randrange(SPREAD_MS), choices.randrange(10 * members), seat)


def changes(standings: list[Standing], choices: random.Random) -> Iterator[tuple[Standing, Standing]]:
    """Somebody's standing, and the next."""
    for number in range(CHANGES):
        who = choices.randrange(len(standings))
        before = standings[who]
        after = Standing(
            before.value + choices.randint(1, 5), NOW_MS + SPREAD_MS + number, 10 * len(standings) + number, before.seat
        )
        standings[who] = after
        yield before, after


def alone(measure: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
    """What a measurement gives in a process of its own, so that none finds memory that another has left."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=tune) as process:
        return process.submit(measure, *args, **kwargs).result()


def own_bytes() -> int:
    """The memory that is this process's own."""
    return resident_bytes(os.getpid())[0]


def measure_index(members: int) -> Measured:
    """Build an index, then change it, with a few questions after each change."""
    choices = random.Random(1)
    memory = own_bytes()
    keys = [pack(*standing) for standing in first_standings(members, choices)]
    started = time.perf_counter()
    index = SortedIndex.from_keys(keys)
    build_s = time.perf_counter() - started
    del keys
    memory = own_bytes() - memory
    choices = random.Random(1)
    standings = list(first_standings(members, choices))
    update: list[float] = []
    rank: list[float] = []
    both: list[float] = []
    above: list[float] = []
    page: list[float] = []
    for before, after in changes(standings, choices):
        old, new, other = pack(*before), pack(*after), pack(choices.choice(standings).value, NOW_MS, 0, 0)
        start = choices.randrange(members)
        t0 = time.perf_counter()
        index.remove(old)
        index.add(new)
        t1 = time.perf_counter()
        index.rank(new)
        t2 = time.perf_counter()
        index.count_above(other)
        t3 = time.perf_counter()
        index.slice(start, start + PAGE)
        t4 = time.perf_counter()
        for times, elapsed in ((update, t1 - t0), (rank, t2 - t1), (both, t2 - t0), (above, t3 - t2), (page, t4 - t3)):
            times.append(elapsed)
    change_and_rank = summarize(both)
    figures = {
        "update: remove and add": str(summarize(update)),
        "rank, after it": str(summarize(rank)),
        "update and rank": str(change_and_rank),
        "count_above, of anybody": str(summarize(above)),
        f"slice of {PAGE}, anywhere": str(summarize(page)),
        "build, s": f"{build_s:.2f}",
        "bytes a key": f"{memory / members:.0f}",
    }
    return Measured(figures, change_and_rank.median)


def to_score(standing: Standing, version: int) -> tuple[int, Score]:
    """A user shard, and what it would publish."""
    shard, member = unpack_seat(standing.seat)
    user_id, name = f"user-{standing.seat:016x}", f"Somebody {member}"
    return shard, Score(1, 1, member, version, user_id, name, (), standing.value, standing.at_ms, standing.number)


def measure_ranking(members: int) -> Figures:
    """Gather the scores of all users, then change them as events do: places before and after."""
    choices = random.Random(1)
    memory = own_bytes()
    ranking = RunRanking(None, 1)
    gather_s = 0.0
    for standing in first_standings(members, choices):
        shard, score = to_score(standing, 1)
        started = time.perf_counter()
        ranking.apply(shard, score)
        gather_s += time.perf_counter() - started
    memory = own_bytes() - memory
    standings = list(first_standings(members, random.Random(1)))
    events, reads = [], []
    for version, (_, after) in enumerate(changes(standings, choices), 2):
        shard, score = to_score(after, version)
        started = time.perf_counter()
        ranking.place(after.seat)
        ranking.apply(shard, score)
        ranking.place(after.seat)
        ranking.threshold(())
        ended = time.perf_counter()
        ranking.read((), -PAGE // 2, PAGE, after.seat)
        events.append(ended - started)
        reads.append(time.perf_counter() - ended)
    started = time.perf_counter()
    lines = ranking.ordered(())
    copy_s = time.perf_counter() - started
    for _ in lines:
        pass
    iterate_s = time.perf_counter() - started - copy_s
    return {
        "an event: place, apply, place, threshold": str(summarize(events)),
        f"{PAGE} neighbours": str(summarize(reads)),
        "gathering a score, us": f"{1e6 * gather_s / members:.1f}",
        "copying the order, s": f"{copy_s:.3f}",
        "going through it, s": f"{iterate_s:.2f}",
        "bytes a member, names included": f"{memory / members:.0f}",
    }


def from_complement(standing: Standing) -> int:
    """The value taken from a power of two, instead of negated."""
    value, *rest = standing
    return pack(1, *rest) + ((1 << 81) - value + 1 << 144)


def as_tuple(standing: Standing) -> tuple[int, int, int, int]:
    """No packing at all."""
    return (-standing.value, standing.at_ms, standing.number, standing.seat)


def as_in_use(standing: Standing) -> int:
    """The keys of the index."""
    return pack(*standing)


def as_amount(standing: Standing) -> int:
    """The same numbers, of a metric: in billionths."""
    value, *rest = standing
    return pack(value * UNIT, *rest)


def measure_keys(members: int, make: Callable[[Standing], Key]) -> list[str]:
    """A list of keys like the index's: update and rank, build time, bytes."""
    choices = random.Random(1)
    standings = list(first_standings(members, choices))
    memory = own_bytes()
    started = time.perf_counter()
    keys: SortedList[Key] = SortedList(map(make, standings))
    build_s = time.perf_counter() - started
    memory = own_bytes() - memory
    times = []
    for before, after in changes(standings, choices):
        old, new = make(before), make(after)
        started = time.perf_counter()
        keys.remove(old)
        keys.add(new)
        keys.index(new)
        times.append(time.perf_counter() - started)
    return [str(summarize(times)), f"{build_s:.2f}", f"{memory / members:.0f}"]


def index_table(measured: dict[int, Measured], rankings: dict[int, Figures]) -> Table:
    """All figures by number of members."""
    table = Table("members", title="The index of ranks, and the ranking of a run; us")
    for members in measured:
        table.add_column(f"{members:,}", justify="right")
    for columns in ([each.figures for each in measured.values()], list(rankings.values())):
        for name in columns[0]:
            table.add_row(name, *(column[name] for column in columns))
        table.add_section()
    return table


def verdict(measured: dict[int, Measured]) -> str:
    """Whether the budgets are kept."""
    lines = []
    for members, each in measured.items():
        kept = "within" if each.change_and_rank_us <= RANK_BUDGET_US else "BEYOND"
        lines.append(f"{members:,} members: {kept} {RANK_BUDGET_US:.0f} us for an exact rank after an update")
    if {10_000, 1_000_000} <= measured.keys():
        growth = measured[1_000_000].change_and_rank_us / measured[10_000].change_and_rank_us
        kept = "within" if growth <= GROWTH_BUDGET else "BEYOND"
        lines.append(f"from 10,000 to 1,000,000: {growth:.1f} times, {kept} {GROWTH_BUDGET:.0f}")
    return "\n".join(lines)


def keys_table(members: int) -> Table:
    """The ways to write keys, side by side."""
    table = Table("keys", "update and rank, us", "build, s", "bytes a key", title=f"Ways to write keys: {members:,}")
    table.add_row("value negated (in use)", *alone(measure_keys, members, as_in_use))
    table.add_row("value negated, an amount of a metric", *alone(measure_keys, members, as_amount))
    table.add_row("value taken from 2^81", *alone(measure_keys, members, from_complement))
    table.add_row("tuples", *alone(measure_keys, members, as_tuple))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rank_index", description=__doc__)
    parser.add_argument("--members", type=int, nargs="+", default=MEMBERS)
    parser.add_argument("--alternatives", type=int, default=1_000_000, help="members for the other ways to write keys")
    options = parser.parse_args()
    console = Console(highlight=False)
    console.print(f"{describe_machine()}; {CHANGES:,} changes")
    measured = {members: alone(measure_index, members) for members in options.members}
    rankings = {members: alone(measure_ranking, members) for members in options.members}
    console.print(index_table(measured, rankings))
    console.print(verdict(measured))
    console.print(keys_table(options.alternatives))


if __name__ == "__main__":
    main()
