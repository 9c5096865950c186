"""The library is really below SQLite: it sees every kind of operation on every kind of file, and its faults strike."""

import pytest

from tests.faults.rounds import Round
from tests.faults.shim import Counts, Fault, Group, Kind, Op
from tests.faults.zygote import Zygote

SEEN = [
    *((op, group) for op in (Op.WRITE, Op.SYNC, Op.READ) for group in Group),
    *((Op.TRUNCATE, group) for group in (Group.LOG, Group.STATE)),
    *((Op.OPEN, group) for group in Group),
    *((Op.UNLINK, group) for group in (Group.LOG, Group.LOG_WAL)),
    (Op.RENAME, Group.OTHER),
]


@pytest.mark.parametrize(("op", "group"), SEEN)
def test_operations_are_counted_in_all_files(counts: Counts, op: Op, group: Group) -> None:
    assert counts[op][group] > 0


def test_faults_strike_in_all_files(zygote: Zygote) -> None:
    rounds = [Round(Fault(op, Kind.EIO, 1, is_lasting=True, group=group)) for op, group in SEEN]
    assert [round_.fault for round_, result in zip(rounds, zygote.run(rounds), strict=True) if not result.hits] == []


def test_a_kill_is_one(zygote: Zygote) -> None:
    kinds = (Kind.TORN, Kind.KILL_BEFORE, Kind.KILL_AFTER)
    results = zygote.run([Round(Fault(Op.WRITE, kind, 40)) for kind in kinds])
    assert [result.end for result in results] == ["killed"] * 3


def test_what_an_operation_does_not_reach_is_left_alone(zygote: Zygote) -> None:
    (result,) = zygote.run([Round(Fault(Op.WRITE, Kind.EIO, 10**6))])
    assert (result.hits, result.end) == (0, "closed")
