"""The replies to a gateway's batches leave in the order of the batches.

A gateway that has the reply to a batch, and goes on, is taken to have those to all before: they are forgotten then.
"""

from collections import deque
from collections.abc import Callable


class Turn:
    """A batch's place among those of its gateway."""

    __slots__ = ("_line", "_send")

    def __init__(self, line: "deque[Turn]") -> None:
        self._line = line
        self._send: Callable[[], None] | None = None
        line.append(self)

    def take(self, send: Callable[[], None]) -> None:
        """Send the reply, as soon as all earlier ones have left; and later ones that have waited for it. Once."""
        self._send = send
        line = self._line
        while line and line[0]._send is not None:
            ready = line.popleft()._send
            assert ready is not None
            ready()


class Turns:
    """The lines of all gateways. A line is there while somebody waits in it."""

    def __init__(self) -> None:
        self._lines: dict[int, deque[Turn]] = {}

    def enter(self, gateway: int) -> Turn:
        """The next place in a gateway's line; whoever has it must take it."""
        line = self._lines.get(gateway)
        if line is None:
            self._lines = {known: waiting for known, waiting in self._lines.items() if waiting}
            line = self._lines[gateway] = deque()
        return Turn(line)
