"""What user shards and leaderboard shards say to each other: MessagePack arrays, one message a frame.

A user shard connects. What it publishes is absolute, so saying it twice or late changes nothing. Gateways connect to
the same socket, and say what they say to user shards (`messages`): no tag means one thing here and another there.
"""

import msgspec
from msgspec import Struct

from plaudit.actors.messages import Batch, Hello
from plaudit.engine.amounts import PackedAmount

BOARD_PROTOCOL = 1


class Score(Struct, frozen=True, array_like=True):
    """How a user stands in one run of a board. The score with the highest version is the one that counts."""

    board: int
    """The board's number in the catalog."""
    run: int
    """The first day of the run, as an ordinal."""
    member: int
    """The user's number in their shard: dense, and never used again."""
    version: int
    """The number of the command, in the user's shard, that made it so."""
    user_id: str
    name: str | None
    group: tuple[str, ...]
    """The values of the attributes that the board is broken down by, in its order."""
    value: PackedAmount | None
    """Above zero: an amount of a metric, or points, or the length of a streak. None: the user is not on the board."""
    at_ms: int = 0
    number: int = 0
    """When the value was reached, and by which command of the shard: who was first is ahead."""


class BoardHello(Struct, frozen=True, array_like=True, tag="board hello"):
    """A user shard's first message on a connection."""

    protocol: int
    shard: int
    covers_from: int
    """Everything that its commands after this number have changed will be published on this connection."""


class Publish(Struct, frozen=True, array_like=True, tag="publish"):
    """What committed commands have changed, in their order. Answered by `Placed`; one at a time."""

    sequence: int
    through: int
    """All commands up to this number are in what has been published by now."""
    scores: tuple[Score, ...]
    asked: tuple[int, ...] = ()
    """The positions of those scores whose places have to be said, ascending."""


class Page(Struct, frozen=True, array_like=True, tag="page"):
    """A part of what `Want` has asked for."""

    stream: int
    scores: tuple[Score, ...]
    is_last: bool = False
    is_complete: bool = True
    """Of the last page. False: the shard is still looking through the history of users, so ask again soon."""


class Forget(Struct, frozen=True, array_like=True, tag="forget"):
    """A user has been deleted for good, and is on no board any more: erase what is written down of them.

    Answered by `Forgotten` when that is so. To be said again on every connection until it is.
    """

    member: int


class BoardWelcome(Struct, frozen=True, array_like=True, tag="welcome"):
    """A leaderboard shard's answer to BoardHello: it is open."""

    protocol: int
    shard: int


class Place(Struct, frozen=True, array_like=True):
    """Where an asked score has come to, and where its user was before. None: on no place of the board."""

    rank: int | None
    previous: int | None
    threshold: int
    """The least value that would get somebody else onto the board."""


class Placed(Struct, frozen=True, array_like=True, tag="placed"):
    """The answer to `Publish`: a place for each position that was asked for, in order.

    None where the board cannot say yet, because not all users are in.
    """

    sequence: int
    places: tuple[Place | None, ...]


class Forgotten(Struct, frozen=True, array_like=True, tag="forgotten"):
    """The answer to `Forget`."""

    member: int


class Want(Struct, frozen=True, array_like=True, tag="want"):
    """Asks for the scores of all users of the shard, as far as they are committed; answered by pages, in any pace."""

    stream: int
    """Unique on the connection."""
    boards: tuple[int, ...] | None = None
    """Only of these boards; None: of all."""
    catalog: int = 0
    """The version of the catalog that the boards are of. A shard with an older one cannot have completed them."""


ToBoard = BoardHello | Publish | Page | Forget
FromBoard = BoardWelcome | Placed | Forgotten | Want

_encoder = msgspec.msgpack.Encoder()
_board_decoder: msgspec.msgpack.Decoder[ToBoard | Hello | Batch] = msgspec.msgpack.Decoder(ToBoard | Hello | Batch)
_shard_decoder: msgspec.msgpack.Decoder[FromBoard] = msgspec.msgpack.Decoder(FromBoard)


def encode_board_message(message: ToBoard | FromBoard) -> bytes:
    """A message as the payload of a frame."""
    return _encoder.encode(message)


def decode_to_board(payload: bytes) -> ToBoard | Hello | Batch:
    """A message from a user shard, or from a gateway. Raises ValueError for anything else."""
    try:
        return _board_decoder.decode(payload)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from error


def decode_from_board(payload: bytes) -> FromBoard:
    """A message from a leaderboard shard. Raises ValueError for anything else."""
    try:
        return _shard_decoder.decode(payload)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from error
