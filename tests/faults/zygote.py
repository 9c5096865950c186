"""Plays rounds in forks of one warm process, as many at a time as there are processors.

`python -m tests.faults.zygote DIR`, with shim.c preloaded, reads a line of rounds and writes a line of results, until
its standard input ends. It has no threads and no event loop of its own, so a fork is a fresh start. The directories of
rounds without a problem are removed.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tests.faults.rounds import Flip, Result, Round, play

ROUNDS_AT_A_TIME = min(len(os.sched_getaffinity(0)), 8)
_Rounds = list[Round | Flip]


class Zygote:
    """The process, from outside."""

    def __init__(self, library: Path, directory: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.zygote", str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"LD_PRELOAD": str(library), "PYTHONPATH": os.pathsep.join(sys.path)},
        )

    def run(self, rounds: Sequence[Round | Flip]) -> list[Result]:
        """Play rounds; their results, in order."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(rounds) + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the process that plays rounds has ended"
        return msgspec.json.decode(line, type=list[Result])

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def serve(directory: Path) -> None:
    """Play what comes in, until nothing comes any more."""
    number = 0
    for line in sys.stdin.buffer:
        rounds = msgspec.json.decode(line, type=_Rounds)
        paths = [directory / str(number + index) for index in range(len(rounds))]
        number += len(rounds)
        results = _play_all(rounds, paths)
        sys.stdout.buffer.write(msgspec.json.encode(results) + b"\n")
        sys.stdout.buffer.flush()


def _play_all(rounds: _Rounds, paths: list[Path]) -> list[Result]:
    running: dict[int, int] = {}
    results: dict[int, Result] = {}
    for index, (round_, path) in enumerate(zip(rounds, paths, strict=True)):
        running[_fork(round_, path)] = index
        while len(running) >= ROUNDS_AT_A_TIME or (running and index == len(rounds) - 1):
            process, _ = os.wait()
            done = running.pop(process)
            results[done] = _collect(paths[done])
            if not results[done].problems and not getattr(rounds[done], "is_kept", False):
                shutil.rmtree(paths[done])
    return [results[index] for index in range(len(rounds))]


def _fork(round_: Round | Flip, path: Path) -> int:
    process = os.fork()
    if process:
        return process
    try:
        os.dup2(os.open(path.with_suffix(".stderr"), os.O_WRONLY | os.O_CREAT), 2)
        path.with_suffix(".result").write_bytes(msgspec.json.encode(play(round_, path)))
    finally:
        os._exit(0)


def _collect(path: Path) -> Result:
    """A round's result; one that hung or raised has said where on its standard error."""
    written, errors = path.with_suffix(".result"), path.with_suffix(".stderr")
    if not written.exists():
        return Result([f"the round has not ended: {errors.read_text()}"], path=str(path))
    result = msgspec.json.decode(written.read_bytes(), type=Result)
    if not result.problems:
        errors.unlink()
    written.unlink()
    return result


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
