"""Ids that derive from an event's id, so that a replay gives the same ones."""

from hashlib import blake2b
from uuid import UUID


def derive_id(event_id: bytes, kind: str, number: int) -> bytes:
    """The id (16 bytes, a UUID of version 8) of what an event caused: its n-th award, the completion of number n."""
    digest = blake2b(event_id + number.to_bytes(8, "big"), digest_size=16, person=kind.encode()).digest()
    return bytes((*digest[:6], digest[6] & 0x0F | 0x80, digest[7], digest[8] & 0x3F | 0x80, *digest[9:]))


def format_id(raw: bytes) -> str:
    """The textual form of 16 raw bytes, such as `018f2b6e-....`."""
    return str(UUID(bytes=raw))
