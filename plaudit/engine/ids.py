"""Ids that derive from an event's id, so that a replay gives the same ones."""

from hashlib import blake2b

_VERSION_AND_VARIANT = 0xF << 76 | 0x3 << 62
_VERSION_8 = 0x8 << 76 | 0x2 << 62


def derive_id(event_id: bytes, kind: str, number: int) -> bytes:
    """The id (16 bytes, a UUID of version 8) of what an event caused: its n-th award, the completion of number n."""
    digest = blake2b(event_id + number.to_bytes(8, "big"), digest_size=16, person=kind.encode()).digest()
    return (int.from_bytes(digest, "big") & ~_VERSION_AND_VARIANT | _VERSION_8).to_bytes(16, "big")


def format_id(raw: bytes) -> str:
    """The textual form of 16 raw bytes, such as `018f2b6e-5a3c-7d10-8f4e-2b9a6c1d0e57`."""
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
