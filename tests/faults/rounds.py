"""One round: a workload on a failing disk or a bit that flips, and then a recovery. For a process of its own."""

import asyncio
import faulthandler
import os
import shutil
import signal
import sys
import traceback
from pathlib import Path

from msgspec import Struct

from tests.actors.shards import make_settings
from tests.faults import shim
from tests.faults.hosting import shrink
from tests.faults.journal import Journal, Note, read_journal
from tests.faults.recovery import recover
from tests.faults.shim import Fault
from tests.faults.workload import work

TIMEOUT_S = 15
"""For the workload, and for the recovery: a hundred times what they take."""


class Round(Struct, frozen=True, tag=True):
    """The workload with a fault, or killed before a step; then a recovery, unless the crash is to be kept."""

    fault: Fault | None = None
    dies_at: int | None = None
    heals_after: int | None = None
    is_kept: bool = False


class Flip(Struct, frozen=True, tag=True):
    """A recovery of a copy of a kept crash, with one bit flipped; or as it is."""

    crash: str
    file: str = ""
    bit: int | None = None


class Result(Struct):
    """What a round came to. `problems` are what must never be."""

    problems: list[str]
    notes: list[Note] = []
    refusals: list[str] = []
    reports: list[str] = []
    path: str = ""

    @property
    def end(self) -> str:
        """How the workload ended: `killed`, or what it said itself."""
        return next((note.text for note in self.notes if note.what == "end"), "killed")

    @property
    def hits(self) -> int:
        """How often the fault has struck; a kill strikes once."""
        return next((note.total for note in self.notes if note.what == "hits"), 1)

    def unanswered(self, *, with_refused: bool) -> set[tuple[str, int]]:
        """The events that were sent, and have neither counted nor, unless `with_refused`, been refused."""
        answers = {"counted"} if with_refused else {"counted", "refused"}
        sent = {(note.user, note.place) for note in self.notes if note.what == "sent"}
        return sent - {(note.user, note.place) for note in self.notes if note.what in answers}

    @property
    def steps(self) -> list[shim.Counts]:
        """The operations before each step, and at the end."""
        return [note.counts for note in self.notes if note.what in {"step", "hits"}]


def play(round_: Round | Flip, path: Path) -> Result:
    """Play a round in this directory, which is made for it."""
    shrink()
    faulthandler.register(signal.SIGALRM, all_threads=True, chain=True)
    try:
        return _play_flip(round_, path) if isinstance(round_, Flip) else _play_round(round_, path)
    except Exception:  # noqa: BLE001  # whatever it is, it is a finding
        return Result([traceback.format_exc()])


def _play_round(round_: Round, path: Path) -> Result:
    path.mkdir()
    make_settings(path / "data", path)
    child = os.fork()
    if not child:
        _run_workload(round_, path)
    _, status = os.waitpid(child, 0)
    notes = read_journal(path / "journal")
    result = Result([], notes, path=str(path))
    if os.waitstatus_to_exitcode(status) not in {0, -signal.SIGKILL}:
        result.problems.append(f"the workload has not ended: {path.with_suffix('.stderr').read_text()}")
    elif not round_.is_kept:
        _check(result, path, notes)
    return result


def _play_flip(flip: Flip, path: Path) -> Result:
    shutil.copytree(flip.crash, path)
    if flip.bit is not None:
        damaged = path / "data" / "shards" / "000" / flip.file
        content = bytearray(damaged.read_bytes())
        content[flip.bit // 8] ^= 1 << flip.bit % 8
        damaged.write_bytes(content)
    result = Result([], path=str(path))
    _check(result, path, read_journal(path / "journal"))
    return result


def _check(result: Result, path: Path, notes: list[Note]) -> None:
    signal.alarm(TIMEOUT_S)
    verdict = asyncio.run(recover(path / "data", notes))
    result.problems += verdict.problems
    result.refusals += verdict.refusals
    result.reports += verdict.reports


def _run_workload(round_: Round, path: Path) -> None:
    """Never returns: this process is a copy."""
    try:
        signal.alarm(TIMEOUT_S)
        working = work(path / "data", Journal(path / "journal"), round_.heals_after, round_.dies_at)
        shim.watch(path / "data")
        if round_.fault is not None:
            shim.arm(round_.fault)
        asyncio.run(working)
        os._exit(0)
    except BaseException:  # noqa: BLE001  # it must not return
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(1)
