"""Event ids: UUIDs of version 7, so that they sort by time."""

import os
import time

_VERSION_AND_VARIANT = 0xF << 76 | 0x3 << 62
_VERSION_7 = 0x7 << 76 | 0x2 << 62
_RANDOM_BYTES = 10
_POOL_IDS = 512


class EventIds:
    """Makes ids of 16 bytes: 48 bits of Unix milliseconds, then 74 random ones, as RFC 9562 lays them out.

    Randomness comes from the system, for many ids at a time. After a fork, both processes must make a new one.
    """

    def __init__(self) -> None:
        self._pool = b""
        self._used = 0

    def make(self) -> bytes:
        """A new id. About 1 us."""
        if self._used >= len(self._pool):
            self._pool, self._used = os.urandom(_RANDOM_BYTES * _POOL_IDS), 0
        random = self._pool[self._used : self._used + _RANDOM_BYTES]
        self._used += _RANDOM_BYTES
        ms = time.time_ns() // 1_000_000
        bits = ms << 80 | int.from_bytes(random, "big")
        return (bits & ~_VERSION_AND_VARIANT | _VERSION_7).to_bytes(16, "big")
