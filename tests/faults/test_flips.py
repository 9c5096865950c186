"""A flipped bit is found, or changes nothing: no total is ever wrong.

Two crashes are kept: one with several log files, whose records are in their -wal, and one in the middle of a
checkpoint, whose slices are in the -wal of state.sqlite. In a copy of it one bit of one file is flipped. Whoever opens
that is refused, with the file named; or a user's reads are; or all is as it was, also for what is sent again with its
idempotency key.

In CI a seeded sample of the bits of all files is flipped, half of them in bytes that are not zero; `make soak` flips
more, but never all.
"""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.rounds import Flip, Round
from tests.faults.script import SCRIPT, Batch, Save
from tests.faults.shim import Counts, Fault, Group, Kind, Op
from tests.faults.zygote import Zygote

FLIPS, FLIPS_SOAK = 60, 3000
"""For each crash."""
Crash = Callable[[list[Counts]], Round]


def with_a_long_log(steps: list[Counts]) -> Round:
    """Killed before the first checkpoint: everything is in the log only, and in more than one file."""
    return Round(dies_at=next(n for n, step in enumerate(SCRIPT) if isinstance(step, Save)), is_kept=True)


def between_checkpoints(steps: list[Counts]) -> Round:
    """Killed at the end, before the last batch: state.sqlite holds most, the log a tail."""
    return Round(dies_at=len(SCRIPT) - 1, is_kept=True)


def during_a_checkpoint(steps: list[Counts]) -> Round:
    """Killed before the last checkpoint's first write into state.sqlite itself: all its slices are in the -wal."""
    last = max(n for n, step in enumerate(SCRIPT) if isinstance(step, Save))
    nth = steps[last][Op.WRITE][Group.STATE] + 1
    return Round(Fault(Op.WRITE, Kind.KILL_BEFORE, nth, group=Group.STATE), is_kept=True)


def flips_of(crash: str, size: int) -> list[Flip]:
    """Bits of all databases of the shard, so that larger files get more."""
    paths = sorted((Path(crash) / "data" / "shards" / "000").glob("*.sqlite*"))
    places = [(path.name, offset, byte) for path in paths for offset, byte in enumerate(path.read_bytes())]
    used = [place for place in places if place[2]]
    choices = random.Random(20261123)
    chosen = choices.sample(used, size // 2) + choices.sample(places, size // 2)
    return [Flip(crash, name, 8 * offset + choices.randrange(8)) for name, offset, _ in chosen]


def flip(zygote: Zygote, crash: Round, size: int) -> None:
    (kept,) = zygote.run([crash])
    assert (kept.end, kept.problems) == ("killed", [])
    (as_it_is,) = zygote.run([Flip(kept.path)])
    assert as_it_is.problems + as_it_is.refusals + as_it_is.reports == []
    flips = flips_of(kept.path, size)
    said = {
        f"{one.file} bit {one.bit}": found
        for one, result in zip(flips, zygote.run(flips), strict=True)
        if (found := result.problems + [reason for reason in result.refusals if "/shards/000" not in reason])
    }
    assert not said, f"{len(said)} of {len(flips)}: {said}"


CRASHES = pytest.mark.parametrize("crash", [with_a_long_log, between_checkpoints, during_a_checkpoint])


@CRASHES
def test_a_flipped_bit_is_found(zygote: Zygote, steps: list[Counts], crash: Crash) -> None:
    flip(zygote, crash(steps), FLIPS)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@CRASHES
def test_many_flipped_bits_are_found(zygote: Zygote, steps: list[Counts], crash: Crash) -> None:
    flip(zygote, crash(steps), FLIPS_SOAK)


def test_the_crashes_have_what_is_to_be_damaged(zygote: Zygote, steps: list[Counts]) -> None:
    logs, last, state = zygote.run(
        [make(steps) for make in (with_a_long_log, between_checkpoints, during_a_checkpoint)]
    )
    assert len(list(Path(logs.path).rglob("log-*.sqlite-wal"))) >= 2
    assert sum(isinstance(step, Batch) for step in SCRIPT) == 12
    assert [len(list(Path(crash.path).rglob("state.sqlite"))) for crash in (logs, last, state)] == [1, 1, 1]
    assert next(Path(state.path).rglob("state.sqlite-wal")).stat().st_size > 10_000
