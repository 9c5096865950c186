"""What the workload does, and what its client is told: both as data.

The n-th event of a user is worth 4^n, so a total says which events have counted, and a digit above 1 that one has
counted twice.
"""

import json
from collections import defaultdict
from collections.abc import Iterator

from msgspec import Struct

from plaudit.engine.amounts import UNIT
from plaudit.engine.commands import RecordEvent, UserFields

USERS = ("ada", "bob", "cyd", "dot", "eve")
TWICE = int("AAAAAAAAAAAAAAAA", 16)
"""Every bit of a total that only an event counted twice, or one that does not exist, can set."""


class Happening(Struct, frozen=True):
    """An event of the script. Without a key, only the number of its batch tells that it has been sent before."""

    user: str
    place: int
    has_key: bool = True

    @property
    def value(self) -> int:
        """What it adds to its user's total: one digit."""
        return int(4**self.place)

    def command(self, attempt: int = 0) -> RecordEvent:
        """The command that records it; every attempt has an event id of its own, as in life."""
        number = USERS.index(self.user) << 32 | self.place << 8 | attempt
        key = f"{self.user}-{self.place}" if self.has_key else None
        fields = UserFields(tz="Europe/Paris", name=f"{self.user} the {self.place}th")
        return RecordEvent(self.user, "lessons", self.value * UNIT, number.to_bytes(16, "big"), fields, {}, key)


class Batch(Struct, frozen=True, tag=True):
    """Events that are sent together, then reads of all users; `saves` lets a checkpoint run meanwhile."""

    happenings: tuple[Happening, ...]
    saves: bool = False


class Save(Struct, frozen=True, tag=True):
    """A checkpoint."""


class Kill(Struct, frozen=True, tag=True):
    """The shard is lost, and opened again."""


class Restart(Struct, frozen=True, tag=True):
    """The shard is closed cleanly, and opened again."""


Step = Batch | Save | Kill | Restart


def _happenings() -> Iterator[Happening]:
    """Users take turns, the later ones join later; every third event has no key."""
    for place in range(12):
        for index, user in enumerate(USERS):
            if place >= 2 * index:
                yield Happening(user, place - 2 * index, (place + index) % 3 != 0)


def _script() -> tuple[Step, ...]:
    left = list(_happenings())

    def batch(*, saves: bool = False) -> Batch:
        taken, left[:4] = tuple(left[:4]), []
        again = [one for one in taken if one.has_key][:1]  # the same key twice in a batch
        return Batch((*taken, *again), saves)

    steps: list[Step] = [batch(), batch(), batch(), batch(), Save(), batch(saves=True), Kill(), batch(), Save()]
    old = tuple(one for one in _happenings() if one.has_key)[:8:2]
    steps += [Batch(old), batch(), Restart(), Batch(old), batch(), Save(), batch(), Kill(), batch()]
    assert not left
    return tuple(steps)


SCRIPT = _script()
HAPPENINGS = frozenset(one for step in SCRIPT if isinstance(step, Batch) for one in step.happenings)


def total_in(body: bytes) -> int:
    """The total in the response to an event or a read. One with a fraction is as wrong as one that counted twice."""
    response = json.loads(body)
    total = response["total"] if isinstance(response, dict) else response[0]["current"]
    return total if isinstance(total, int) else TWICE


class Told(Struct):
    """What the client knows: it must be true for ever."""

    totals: dict[str, int] = {}
    """The last total of each user that has been shown, in a reply or to a read."""
    sent: set[tuple[str, int]] = set()
    refused: set[tuple[str, int]] = set()
    """Answered with an error, which says that nothing has changed."""
    problems: list[str] = []

    def see(self, user: str, total: int, where: str) -> None:
        """Note a total; a problem unless it holds what has been shown before, once, and nothing that was not sent."""
        shown = self.totals.get(user, 0)
        possible = sum(4**place for who, place in self.sent - self.refused if who == user)
        if total & TWICE:
            self.problems.append(f"{where}: {user} has {total:#x}: an event has counted twice")
        elif shown & ~total:
            self.problems.append(f"{where}: {user} has {total:#x}, without {shown & ~total:#x} of what was shown")
        elif total & ~possible:
            self.problems.append(
                f"{where}: {user} has {total:#x}, of which {total & ~possible:#x} was refused or unsent"
            )
        self.totals[user] = total


def keyed() -> dict[str, list[Happening]]:
    """The events with keys, by user: what a client that has no answer sends again."""
    by_user: dict[str, list[Happening]] = defaultdict(list)
    for one in sorted(HAPPENINGS, key=lambda one: one.place):
        if one.has_key:
            by_user[one.user].append(one)
    return by_user
