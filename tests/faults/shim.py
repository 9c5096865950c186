"""shim.c, built and called. It must have been preloaded (`LD_PRELOAD`) into the process that arms it."""

import ctypes
import subprocess
from enum import IntEnum
from functools import cache
from pathlib import Path

from msgspec import Struct

SOURCE = Path(__file__).with_name("shim.c")


class Op(IntEnum):
    """What is counted, and can be made to fail. The numbers are those of shim.c."""

    WRITE = 0
    SYNC = 1
    READ = 2
    TRUNCATE = 3
    OPEN = 4
    RENAME = 5
    UNLINK = 6


class Group(IntEnum):
    """Which files: `ANY` is all that are watched, `OTHER` the lock, the manifest and the directory itself."""

    ANY = 0
    LOG = 1
    LOG_WAL = 2
    STATE = 3
    STATE_WAL = 4
    OTHER = 5


class Kind(IntEnum):
    """What becomes of an operation."""

    EIO = 0
    ENOSPC = 1
    SHORT = 2
    """Half is done and said so; the write after it finds no space."""
    TORN = 3
    """Half is done, then the process dies."""
    KILL_BEFORE = 4
    KILL_AFTER = 5


class Fault(Struct, frozen=True):
    """The `nth` operation of its kind from now on, or all from then on."""

    op: Op
    kind: Kind
    nth: int
    is_lasting: bool = False
    group: Group = Group.ANY

    @property
    def is_deadly(self) -> bool:
        """True if it ends the process."""
        return self.kind >= Kind.TORN


Counts = list[list[int]]
"""By `Op`, then by `Group`."""


def build(compiler: str, directory: Path) -> Path:
    """Compile the library. Raises CalledProcessError."""
    library = directory / "shim.so"
    options = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-U_FORTIFY_SOURCE"]
    subprocess.run([compiler, *options, "-o", str(library), str(SOURCE)], check=True)
    return library


def watch(directory: Path) -> None:
    """Count what happens below this directory, to files that are opened from now on."""
    _library().fault_watch(str(directory.resolve()).encode())


def arm(fault: Fault) -> None:
    """Let it happen."""
    _library().fault_arm(fault.op, fault.group, fault.kind, ctypes.c_long(fault.nth), fault.is_lasting)


def disarm() -> None:
    """The disk is well again."""
    _library().fault_disarm()


def hits() -> int:
    """How often the armed fault has struck."""
    return int(_library().fault_hits())


def counts() -> Counts:
    """All operations so far; `Group.ANY` is their sum."""
    library = _library()
    rows = [[int(library.fault_count(op, group)) for group in Group if group] for op in Op]
    return [[sum(row), *row] for row in rows]


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(None)
    library.fault_hits.restype = library.fault_count.restype = ctypes.c_long
    return library
