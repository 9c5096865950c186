import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.actors import transport
from plaudit.actors.transport import Connection, connect, listen
from tests.engine.builders import DETERMINISTIC

PAYLOADS = st.lists(st.binary(max_size=300), max_size=8)


class End:
    """One end of a connection (`Receiver`): keeps what arrives, and refuses one payload."""

    def __init__(self) -> None:
        self.connection: Connection
        self.frames: list[bytes] = []
        self.closings = 0
        self._changed = asyncio.Event()

    def accept(self, connection: Connection) -> "End":
        self.connection = connection
        return self

    def frame_received(self, payload: bytes) -> None:
        if payload == b"nonsense":
            raise ValueError("it makes no sense")
        self.frames.append(payload)
        self._changed.set()

    def connection_closed(self) -> None:
        self.closings += 1
        self._changed.set()

    async def received(self, count: int) -> list[bytes]:
        while len(self.frames) < count:
            await self._next_change()
        return self.frames

    async def closed(self) -> int:
        while not self.closings:
            await self._next_change()
        return self.closings

    async def _next_change(self) -> None:
        self._changed.clear()
        await asyncio.wait_for(self._changed.wait(), 5)


class Wire(asyncio.Transport):
    """A transport that keeps what is written, and whether it was aborted."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_aborted = False

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.written += b"".join(list_of_data)

    def abort(self) -> None:
        self.is_aborted = True

    def is_closing(self) -> bool:
        return self.is_aborted


def wired() -> tuple[Connection, End, Wire]:
    end, wire = End(), Wire()
    connection = Connection(end.accept)
    connection.connection_made(wire)
    return connection, end, wire


def as_sent(payloads: list[bytes]) -> bytes:
    connection, _, wire = wired()
    for payload in payloads:
        connection.send(payload)
    return wire.written


def parse(stream: bytes) -> tuple[list[bytes], bool]:
    """The whole frames of a stream, and whether one follows that is too long."""
    frames: list[bytes] = []
    while len(stream) >= 4:
        end = 4 + int.from_bytes(stream[:4], "big")
        if end > 4 + transport.FRAME_SIZE_MAX:
            return frames, True
        if end > len(stream):
            break
        frames.append(stream[4:end])
        stream = stream[end:]
    return frames, False


@pytest.fixture
def address() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as directory:  # tmp_path may be longer than a socket's path can be
        yield f"{directory}/s"


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[tuple[End, End]]:
    """A client's end and the server's, over a socket."""
    client, server = End(), End()
    listening = await listen(address, server.accept)
    connection = await connect(address, client.accept)
    connection.send(b"hello")
    await server.received(1)
    server.frames.clear()
    try:
        yield client, server
    finally:
        connection.close()
        await client.closed()
        listening.close()
        await listening.wait_closed()


async def test_frames_arrive_whole_and_in_order(address: str) -> None:
    there = [b"", b"one", bytes(300_000), b"two", *(b"%d" % n for n in range(100))]
    back = [b"x" * size for size in (0, 1, 70_000, 2, 255, 256)]
    async with connected(address) as (client, server):
        for payload in there:
            client.connection.send(payload)
        for payload in back:
            server.connection.send(payload)
        assert await server.received(len(there)) == there
        assert await client.received(len(back)) == back


async def test_closing_delivers_what_has_been_sent(address: str) -> None:
    async with connected(address) as (client, server):
        client.connection.send(bytes(300_000))
        client.connection.close()
        client.connection.send(b"too late")
        assert (await server.closed(), await client.closed()) == (1, 1)
        assert server.frames == [bytes(300_000)]


async def test_both_ends_learn_once_of_an_abort(address: str) -> None:
    async with connected(address) as (client, server):
        server.connection.abort()
        assert (await client.closed(), await server.closed()) == (1, 1)
        server.connection.send(b"dropped")
        client.connection.send(b"dropped")


async def test_a_frame_that_makes_no_sense_ends_the_connection(address: str) -> None:
    async with connected(address) as (client, server):
        for payload in (b"sense", b"nonsense", b"more"):
            client.connection.send(payload)
        assert (await client.closed(), await server.closed()) == (1, 1)
        assert server.frames == [b"sense"]


async def test_listening_takes_the_place_of_what_a_dead_process_left(address: str) -> None:
    async with connected(address):
        Path(address).rename(f"{address}-kept")
    Path(f"{address}-kept").rename(address)
    with pytest.raises(ConnectionRefusedError):
        await connect(address, End().accept)
    async with connected(address) as (client, server):
        client.connection.send(b"alive")
        assert await server.received(1) == [b"alive"]


async def test_connecting_to_nobody_is_an_error_of_the_system(address: str) -> None:
    with pytest.raises(FileNotFoundError):
        await connect(address, End().accept)


@DETERMINISTIC
@given(PAYLOADS, st.lists(st.integers(0, 2_500), max_size=40))
def test_frames_do_not_depend_on_how_the_bytes_were_cut(payloads: list[bytes], cuts: list[int]) -> None:
    stream = as_sent(payloads)
    connection, end, wire = wired()
    ends = sorted({min(cut, len(stream)) for cut in cuts} | {len(stream)})
    for start, stop in zip([0, *ends], ends, strict=False):
        connection.data_received(stream[start:stop])
    assert end.frames == payloads
    assert not wire.is_aborted


@DETERMINISTIC
@given(st.lists(st.binary(max_size=40) | st.sampled_from([b"\0\0", b"\0\0\0\1", b"\x20\0\0\1"]), max_size=10))
def test_garbage_waits_for_more_or_ends_the_connection(chunks: list[bytes]) -> None:
    connection, end, wire = wired()
    for chunk in chunks:
        if not wire.is_aborted:
            connection.data_received(chunk)
    frames, is_too_long = parse(b"".join(chunks))
    assert wire.is_aborted is is_too_long
    assert end.frames == frames[: len(end.frames)]
    assert is_too_long or len(end.frames) == len(frames)


@pytest.mark.parametrize(("length", "is_allowed"), [(10, True), (11, False), (2**32 - 1, False)])
def test_a_frame_that_is_too_long_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch, length: int, is_allowed: bool
) -> None:
    monkeypatch.setattr(transport, "FRAME_SIZE_MAX", 10)
    connection, end, wire = wired()
    connection.data_received(length.to_bytes(4, "big"))
    assert wire.is_aborted is not is_allowed
    with contextlib.nullcontext() if is_allowed else pytest.raises(ValueError, match="at most 10 are allowed"):
        connection.send(bytes(min(length, 11)))
    assert len(wire.written) == (14 if is_allowed else 0)
    assert end.frames == []


def test_a_receiver_that_refuses_a_frame_ends_the_connection() -> None:
    connection, end, wire = wired()
    found = []
    for data in (as_sent([b"sense", b"nonsense"])[:-1], b"e"):
        connection.data_received(data)
        found.append((list(end.frames), wire.is_aborted))
    assert found == [([b"sense"], False), ([b"sense"], True)]
