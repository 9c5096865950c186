"""What a log record holds. MessagePack arrays: fields are only ever added at the end, with a default."""

import zlib
from pathlib import Path

import msgspec
from msgspec import Struct

from plaudit.engine.catalog import Catalog
from plaudit.engine.commands import UserKey, Write
from plaudit.storage.errors import Corrupt
from plaudit.storage.seal import UNDECODABLE


class Entry(Struct, frozen=True, array_like=True):
    """The logged commands of one numbered batch of one gateway, which took effect at `at_ms`."""

    gateway: int
    number: int
    at_ms: int
    positions: tuple[int, ...]
    """Where in the batch each command stood: reads and refused commands are not logged."""
    commands: tuple[Write, ...]
    next_user: int = 0
    """The number of the next new user, before these commands; 0 in logs from before it was kept."""


class Events(Struct, frozen=True, array_like=True, tag="events"):
    """Everything that one commit made durable, in order."""

    entries: tuple[Entry, ...]


class CatalogChange(Struct, frozen=True, array_like=True, tag="catalog"):
    """From here on, these are the rules' settings."""

    at_ms: int
    catalog: Catalog


class Quarantined(Struct, frozen=True, array_like=True, tag="quarantined"):
    """In place of commands that could not be replayed and were set aside: a replay applies nothing.

    The digests of these users in later records of the same log cannot be met any more.
    """

    users: tuple[UserKey, ...]


Body = Events | CatalogChange | Quarantined


class Record(Struct, frozen=True):
    """One row of the log. Commands are numbered through; `first` is the number of this record's first."""

    first: int
    count: int
    epoch: int
    rules: str
    digests: bytes
    """Four bytes for each command: a CRC of its user's snapshot after it, which a replay must meet."""
    body: bytes

    @property
    def last(self) -> int:
        """The number of the record's last command."""
        return self.first + self.count - 1

    def checksum(self) -> int:
        """A CRC of everything that matters."""
        head = f"{self.first},{self.count},{self.rules},".encode()
        return zlib.crc32(self.body, zlib.crc32(self.digests, zlib.crc32(head)))


_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Body] = msgspec.msgpack.Decoder(Body)


def encode_body(body: Body) -> bytes:
    """The bytes of a record's body."""
    return _encoder.encode(body)


def decode_body(record: Record, source: Path | None = None) -> Body:
    """The body of a record from a file or directory. Raises Corrupt, naming that and the record."""
    try:
        return _decoder.decode(record.body)
    except UNDECODABLE as error:
        place = "" if source is None else f"{source}: "
        raise Corrupt(f"{place}log record {record.first}: {error}") from error


def digest(snapshot: bytes) -> bytes:
    """The digest of a user's snapshot, as records keep it."""
    return zlib.crc32(snapshot).to_bytes(4, "big")
