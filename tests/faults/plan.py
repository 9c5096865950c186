"""Which faults are tried: every operation of the workload with everything that can become of it, or a sample."""

from collections.abc import Sequence
from typing import TypeVar

from tests.faults.rounds import Round
from tests.faults.shim import Counts, Fault, Group, Kind, Op

KINDS: dict[Op, tuple[Kind, ...]] = {
    Op.WRITE: (Kind.EIO, Kind.ENOSPC, Kind.SHORT, Kind.TORN, Kind.KILL_AFTER),
    Op.SYNC: (Kind.EIO, Kind.KILL_AFTER),
    Op.READ: (Kind.EIO, Kind.SHORT),
    Op.TRUNCATE: (Kind.EIO, Kind.ENOSPC, Kind.KILL_AFTER),
    Op.OPEN: (Kind.EIO, Kind.ENOSPC, Kind.KILL_AFTER),
    Op.RENAME: (Kind.EIO, Kind.ENOSPC, Kind.KILL_AFTER),
    Op.UNLINK: (Kind.EIO, Kind.KILL_AFTER),
}
"""A kill before an operation leaves what a kill after the one before it leaves."""

Item = TypeVar("Item")


def sample(items: Sequence[Item], size: int) -> list[Item]:
    """Items evenly spread, the first and the last among them."""
    if size >= len(items):
        return list(items)
    return [items[round(index * (len(items) - 1) / (size - 1))] for index in range(size)]


def plan(counts: Counts, op: Op, kind: Kind, *, is_lasting: bool, size: int | None = None) -> list[Round]:
    """A round for each operation that the counting run has seen, or for `size` of them."""
    nths = range(1, counts[op][Group.ANY] + 1)
    chosen = nths if size is None else sample(nths, size)
    return [Round(Fault(op, kind, nth, is_lasting)) for nth in chosen]
