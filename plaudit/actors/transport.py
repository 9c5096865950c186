"""Frames on a Unix socket: four bytes of length, then the payload. In order, or the connection is closed.

The socket lies in a directory that only its owner can enter; that is its authentication. Both ends treat a frame that
they cannot make sense of as the end of the connection: what was in flight is sent again on the next one.
"""

import asyncio
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, cast

FRAME_SIZE_MAX = 512 * 2**20
_LENGTH = struct.Struct(">I")


class Receiver(Protocol):
    """What happens on a connection; called from its event loop."""

    def frame_received(self, payload: bytes) -> None:
        """A whole frame has arrived. A ValueError says that it makes no sense and closes the connection."""

    def connection_closed(self) -> None:
        """The connection has ended, whoever ended it. Called once."""


class Connection(asyncio.Protocol):
    """One end of a connection. `receiver` is set right after it is made."""

    def __init__(self, accept: "Callable[[Connection], Receiver]") -> None:
        self._accept = accept
        self._receiver: Receiver
        self._transport: asyncio.Transport
        self._buffer = bytearray()

    def send(self, payload: bytes) -> None:
        """Send a frame; dropped if the connection has ended. Raises ValueError if it is too large."""
        if len(payload) > FRAME_SIZE_MAX:
            raise ValueError(f"a frame of {len(payload)} bytes; at most {FRAME_SIZE_MAX} are allowed")
        if not self._transport.is_closing():
            self._transport.writelines((_LENGTH.pack(len(payload)), payload))

    def close(self) -> None:
        """End the connection, after what has been sent."""
        self._transport.close()

    def abort(self) -> None:
        """End the connection at once: the other end sees what it would see of a killed process."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # noqa: D102
        self._transport = cast("asyncio.Transport", transport)
        self._receiver = self._accept(self)

    def data_received(self, data: bytes) -> None:  # noqa: D102
        self._buffer += data
        try:
            for payload in self._take_frames():
                self._receiver.frame_received(payload)
        except ValueError:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: D102
        self._receiver.connection_closed()

    def _take_frames(self) -> list[bytes]:
        """The whole frames at the head of the buffer. Raises ValueError for one that is too long."""
        buffer, start, frames = self._buffer, 0, []
        while len(buffer) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(buffer, start)
            if length > FRAME_SIZE_MAX:
                raise ValueError(f"a frame of {length} bytes; at most {FRAME_SIZE_MAX} are allowed")
            end = start + _LENGTH.size + length
            if len(buffer) < end:
                break
            frames.append(bytes(buffer[start + _LENGTH.size : end]))
            start = end
        del buffer[:start]
        return frames


async def connect(path: str, accept: Callable[[Connection], Receiver]) -> Connection:
    """Connect to a socket. Raises OSError if nobody listens."""
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_unix_connection(lambda: Connection(accept), path)
    return connection


async def listen(path: str, accept: Callable[[Connection], Receiver]) -> asyncio.AbstractServer:
    """Listen on a socket, taking the place of one that a dead process has left."""
    Path(path).unlink(missing_ok=True)
    loop = asyncio.get_running_loop()
    return await loop.create_unix_server(lambda: Connection(accept), path)
