"""What gateways and shards say to each other: MessagePack arrays, one message a frame."""

import msgspec
from msgspec import Struct

from plaudit.engine.commands import Command

PROTOCOL = 1


class Hello(Struct, frozen=True, array_like=True, tag="hello"):
    """A gateway's first message on a connection."""

    protocol: int
    gateway: int
    """A random number of 63 bits, new with every start of a gateway."""


class Batch(Struct, frozen=True, array_like=True, tag="batch"):
    """Commands of one numbered batch. A batch sent again, or a part of it, has the same number and positions."""

    number: int
    positions: tuple[int, ...]
    commands: tuple[Command, ...]
    known_only: bool = False
    """Apply nothing: answer what is known, and refuse the rest."""


class Welcome(Struct, frozen=True, array_like=True, tag="welcome"):
    """A shard's answer to Hello: it is open."""

    protocol: int
    shard: int


class Reply(Struct, frozen=True, array_like=True):
    """The answer to one command: an HTTP status and a JSON body."""

    status: int
    body: bytes


class Replies(Struct, frozen=True, array_like=True, tag="replies"):
    """The answers to the positions of a batch, in the order in which they were asked."""

    number: int
    first_position: int
    replies: tuple[Reply, ...]


ToShard = Hello | Batch
ToGateway = Welcome | Replies

_encoder = msgspec.msgpack.Encoder()
_shard_decoder: msgspec.msgpack.Decoder[ToShard] = msgspec.msgpack.Decoder(ToShard)
_gateway_decoder: msgspec.msgpack.Decoder[ToGateway] = msgspec.msgpack.Decoder(ToGateway)


def encode(message: ToShard | ToGateway) -> bytes:
    """A message as the payload of a frame."""
    return _encoder.encode(message)


def decode_to_shard(payload: bytes) -> ToShard:
    """A message from a gateway. Raises ValueError for anything else."""
    try:
        return _shard_decoder.decode(payload)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from error


def decode_to_gateway(payload: bytes) -> ToGateway:
    """A message from a shard. Raises ValueError for anything else."""
    try:
        return _gateway_decoder.decode(payload)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from error
