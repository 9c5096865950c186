"""No fault of the disk makes an answer untrue.

A scripted workload runs on a disk that fails at its n-th write, sync, read, truncation, opening, renaming or removal:
with EIO or ENOSPC, by half, or with the death of the process; once, or from then on. Then a fresh shard opens what is
left, on a disk that is well. Shown for each: every event that was acknowledged is there once, every other one once or
not at all, none that was refused, and every total that was ever shown is a part of the last one; what is sent again
with its idempotency key counts once. And the server's side: after a single fault the shard is open again in the same
process and everything is answered; while a fault lasts, the refusal names what cannot be used.

In CI a sample of the n is tried, evenly spread, the first and the last among them; `make soak` tries all. Checkpoints
and commits overlap in one step of the script, so what the n-th operation is may differ a little between runs. Not
shown here: a power cut. What has been written stays written, synced or not.
"""

import pytest

from tests.faults.plan import KINDS, plan
from tests.faults.rounds import Result, Round
from tests.faults.shim import Counts, Fault, Kind, Op
from tests.faults.zygote import Zygote

SAMPLES = {Op.WRITE: 14, Op.SYNC: 12, Op.READ: 8, Op.TRUNCATE: 6, Op.OPEN: 8, Op.RENAME: 2, Op.UNLINK: 8}
"""For each kind of fault in CI. The operations that change files get the most."""
MISSED_MAX = 0.1
"""The share of faults that may come too late: runs differ by a few operations."""
ONCE = [(op, kind) for op, kinds in KINDS.items() for kind in kinds]
LASTING = [(op, kind) for op, kind in ONCE if not Fault(op, kind, 1).is_deadly]


def names(value: object) -> str:
    return value.name.lower() if isinstance(value, Op | Kind) else str(value)


def play(zygote: Zygote, rounds: list[Round]) -> None:
    """Play rounds, and say what must never be."""
    results = zygote.run(rounds)
    said = {
        f"{round_.fault} in {result.path}": found
        for round_, result in zip(rounds, results, strict=True)
        if (found := untruths(result) + unclear(round_, result))
    }
    assert not said, f"{len(said)} of {len(rounds)}: {next(iter(said.items()))}; all: {said}"
    missed = sum(not result.hits for result in results)
    assert missed <= 1 + MISSED_MAX * len(rounds)


def untruths(result: Result) -> list[str]:
    """What a client was told that is not so; and whatever a disk that is well is blamed for."""
    return result.problems + [
        f"refused after the fault was gone: {reason}" for reason in result.refusals + result.reports
    ]


def unclear(round_: Round, result: Result) -> list[str]:
    """What the server should have said, or done, while the disk was failing."""
    assert round_.fault is not None
    is_over = result.end in {"closed", "not closed"}
    if round_.fault.is_deadly or not result.hits:
        return []
    if round_.fault.is_lasting and not is_over:
        return [] if names_the_cause(result) else [f"a refusal that does not name the cause: {result.end}"]
    if not is_over:
        return [f"one fault ends it all: {result.end}"]
    return (
        [f"not answered: {sorted(left)}"]
        if (left := result.unanswered(with_refused=not round_.fault.is_lasting))
        else []
    )


def names_the_cause(result: Result) -> bool:
    """True if the last refusal names a file or the directory, and does not blame a process that is not there."""
    return "/shards/000" in result.end and " held by " not in result.end and "another process" not in result.end


@pytest.mark.parametrize(("op", "kind"), ONCE, ids=names)
def test_a_fault_loses_nothing(zygote: Zygote, counts: Counts, op: Op, kind: Kind) -> None:
    play(zygote, plan(counts, op, kind, is_lasting=False, size=SAMPLES[op]))


@pytest.mark.parametrize(("op", "kind"), LASTING, ids=names)
def test_a_fault_that_lasts_loses_nothing_and_is_named(zygote: Zygote, counts: Counts, op: Op, kind: Kind) -> None:
    play(zygote, plan(counts, op, kind, is_lasting=True, size=SAMPLES[op]))


@pytest.mark.parametrize("kind", [Kind.ENOSPC, Kind.SHORT], ids=names)
def test_when_space_is_back_the_same_process_goes_on(zygote: Zygote, counts: Counts, kind: Kind) -> None:
    """The disk is full for as long as it takes to refuse the shard twice; then every event is counted."""
    space_comes_back(zygote, plan(counts, Op.WRITE, kind, is_lasting=True, size=SAMPLES[Op.WRITE]))


def space_comes_back(zygote: Zygote, rounds: list[Round]) -> None:
    rounds = [Round(round_.fault, heals_after=2) for round_ in rounds]
    for round_, result in zip(rounds, zygote.run(rounds), strict=True):
        assert untruths(result) == [], round_
        assert result.end in {"closed", "not closed"}, round_
        assert result.unanswered(with_refused=True) == set(), round_


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("is_lasting", [False, True], ids=["once", "lasting"])
@pytest.mark.parametrize(("op", "kind"), ONCE, ids=names)
def test_every_fault(zygote: Zygote, counts: Counts, op: Op, kind: Kind, is_lasting: bool) -> None:
    if is_lasting and (op, kind) not in LASTING:
        pytest.skip("it ends the process")
    play(zygote, plan(counts, op, kind, is_lasting=is_lasting))


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_space_comes_back_at_every_write(zygote: Zygote, counts: Counts) -> None:
    space_comes_back(zygote, plan(counts, Op.WRITE, Kind.ENOSPC, is_lasting=True))
