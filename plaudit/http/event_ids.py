"""Event ids: UUIDs of version 7, so that they sort by time."""

import os
import time


def make_event_id() -> bytes:
    """16 bytes: 48 bits of Unix milliseconds, then 74 random ones, as RFC 9562 lays them out."""
    ms = time.time_ns() // 1_000_000
    random = os.urandom(10)
    return bytes((*ms.to_bytes(6, "big"), random[0] & 0x0F | 0x70, random[1], random[2] & 0x3F | 0x80, *random[3:]))
