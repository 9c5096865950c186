"""Checksums on rows: SQLite does not notice a bit that flips in a blob."""

import zlib

import msgspec

from plaudit.storage.errors import Corrupt

CHECKSUM_BYTES = 4
UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding may raise, damaged or not what was expected."""


def seal(content: bytes, identity: str) -> bytes:
    """The content behind a CRC of it and of what it belongs to, so that a row under another row's name shows too."""
    return zlib.crc32(content, zlib.crc32(identity.encode())).to_bytes(CHECKSUM_BYTES, "big") + content


def unseal(sealed: bytes | None, identity: str, place: str) -> bytes:
    """The content of `seal`. Raises Corrupt, naming the place."""
    content = (sealed or b"")[CHECKSUM_BYTES:]
    if seal(content, identity) != sealed:
        raise Corrupt(f"{place}: its checksum does not match")
    return content
