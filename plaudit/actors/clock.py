"""Where time comes from. Only shards and the catalog ask; whatever they decide is logged with the answer."""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Unix time in milliseconds."""


def system_clock() -> int:
    """The machine's time, in Unix milliseconds. It may step back: see `Stamp`."""
    return time.time_ns() // 1_000_000


class TestClock:
    """A clock that stands still until it is moved: the time of a server for trying things out."""

    __test__ = False
    """Not a test, whatever pytest makes of its name."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def __call__(self) -> int:
        """The time at which it stands."""
        return self._now_ms

    def move(self, now_ms: int) -> None:
        """Set the time; never back."""
        self._now_ms = max(self._now_ms, now_ms)


class Stamp:
    """A clock that never goes backwards, not even across a restart."""

    def __init__(self, clock: Clock, last_ms: int = 0) -> None:
        self._clock = clock
        self._last_ms = last_ms

    def now_ms(self) -> int:
        """The clock's time, or the last stamp if the clock has stepped back."""
        self._last_ms = max(self._last_ms, self._clock())
        return self._last_ms

    def raise_to(self, at_ms: int) -> None:
        """Never stamp anything before this."""
        self._last_ms = max(self._last_ms, at_ms)
