"""What a workload that may die at any moment has told its client: a file outside of the watched directory."""

import os
from pathlib import Path

import msgspec
from msgspec import Struct

from tests.faults.script import Told
from tests.faults.shim import Counts


class Note(Struct, frozen=True, omit_defaults=True):
    """One line: `sent`, `counted`, `read`, `refused`, `report`, `unopened`, `step`, `hits` or `end`."""

    what: str
    user: str = ""
    place: int = 0
    total: int = 0
    text: str = ""
    counts: Counts = []


class Journal:
    """Appends notes, each with one write: what has been noted survives the process."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, what: str, user: str = "", place: int = 0, *, total: int = 0, text: str = "") -> None:
        """Write a line."""
        self.write(Note(what, user, place, total, text))

    def write(self, *notes: Note) -> None:
        """Write lines."""
        os.write(self._descriptor, b"".join(msgspec.json.encode(note) + b"\n" for note in notes))


def read_journal(path: Path) -> list[Note]:
    """The notes of a workload that has ended."""
    return msgspec.json.decode(b"[" + b",".join(path.read_bytes().splitlines()) + b"]", type=list[Note])


def told(notes: list[Note]) -> Told:
    """What the client knows after these notes; where they contradict each other is among the problems."""
    told = Told()
    for note in notes:
        event = (note.user, note.place)
        if note.what == "sent":
            told.sent.add(event)
            told.refused.discard(event)
        elif note.what == "refused" and not told.totals.get(note.user, 0) >> 2 * note.place & 1:
            told.refused.add(event)
        elif note.what == "counted":
            told.see(note.user, note.total, f"reply to {event}")
            if not note.total >> 2 * note.place & 1:
                told.problems.append(f"reply to {event}: {note.total:#x} does not hold it")
        elif note.what == "read":
            told.see(note.user, note.total, "read")
    return told
