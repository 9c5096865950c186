"""A measuring client over raw sockets with keep-alive, for what wrk cannot do: one connection, a fixed rate, no wrk."""

import asyncio
import random
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import cast

import uvloop

from benchmarks.target import HOST, Load, Target, summarise

ANSWER_TIMEOUT_S = 10.0

_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Answer:
    """A whole response."""

    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        """True for 2xx."""
        return 200 <= self.status < 300


def parse_answer(received: bytes | bytearray) -> Answer | None:
    """The response, or None while some of it is missing. Raises ValueError if it does not say how long it is."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    length = _CONTENT_LENGTH.search(received, 0, end)
    if length is None:
        raise ValueError(f"expected a Content-Length, got {bytes(received[:end])!r}")
    start = end + len(b"\r\n\r\n")
    body = bytes(received[start : start + int(length[1])])
    return Answer(int(received[9:12]), body) if len(body) == int(length[1]) else None


class Sender:
    """One blocking connection, for one request after the other: the least that a client adds to a latency."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._socket = socket.create_connection((HOST, target.port), timeout=ANSWER_TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, user: int) -> Answer:
        """The answer to one event. Raises OSError if the connection is lost or nothing comes for 10 s."""
        self._socket.sendall(self._target.request(user))
        received = bytearray()
        while (answer := parse_answer(received)) is None:
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError("the server closed the connection")
            received += data
        return answer

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


def measure_idle(target: Target, seconds: float) -> Load:
    """One connection, each request after the answer to the one before: latency without a queue."""
    latencies: list[float] = []
    errors = 0
    sender = Sender(target)
    try:
        started = perf_counter()
        while (sent := perf_counter()) < started + seconds:
            answer = sender.send(random.randrange(target.users))
            errors += not answer.ok
            latencies.append(perf_counter() - sent)
        return summarise(latencies, perf_counter() - started, errors)
    finally:
        sender.close()


class _Connection(asyncio.Protocol):
    """One connection of many on an event loop; at most one request at a time."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._answer: asyncio.Future[Answer] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        assert self._answer is not None
        self._received += data
        try:
            answer = parse_answer(self._received)
        except ValueError as error:
            self._answer.set_exception(error)
            return
        if answer is not None:
            self._received.clear()
            self._answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("the server closed the connection"))

    async def send(self, request: bytes) -> Answer:
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        if self._transport.is_closing():
            raise ConnectionError("the connection is closed")
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


@dataclass
class _Tally:
    """What all connections of a stretch have met so far."""

    target: Target
    started: float
    latencies: list[float] = field(default_factory=list)
    errors: int = 0

    async def send(self, connection: _Connection, counted_from: float) -> None:
        answer = await connection.send(self.target.request(random.randrange(self.target.users)))
        self.errors += not answer.ok
        self.latencies.append(perf_counter() - counted_from)


@asynccontextmanager
async def _connected(target: Target, count: int) -> AsyncIterator[list[_Connection]]:
    loop = asyncio.get_running_loop()
    connections: list[_Connection] = []
    try:
        for _ in range(count):
            _, connection = await loop.create_connection(_Connection, HOST, target.port)
            connections.append(connection)
        yield connections
    finally:
        for connection in connections:
            connection.close()


_Drive = Callable[[_Tally, _Connection], Awaitable[None]]


async def _drive(target: Target, connections: int, seconds: float, drive: _Drive) -> Load:
    """Run `drive` on every connection. One that is lost counts as an error and is not replaced."""
    async with _connected(target, connections) as opened, asyncio.timeout(seconds + ANSWER_TIMEOUT_S):
        tally = _Tally(target, perf_counter())
        ends = await asyncio.gather(*(drive(tally, connection) for connection in opened), return_exceptions=True)
        elapsed_s = perf_counter() - tally.started
    for end in ends:
        if isinstance(end, BaseException) and not isinstance(end, OSError):
            raise end
        tally.errors += end is not None
    return summarise(tally.latencies, elapsed_s, tally.errors)


class Client:
    """The load generator where there is no wrk: as many requests as the connections carry, in this process."""

    name = "Python client (raw sockets, uvloop)"

    def run(self, target: Target, connections: int, seconds: float) -> Load:
        """Each connection sends its next request when it has the answer to its last. Takes `seconds`."""

        async def drive(tally: _Tally, connection: _Connection) -> None:
            while (now := perf_counter()) < tally.started + seconds:
                await tally.send(connection, counted_from=now)

        return uvloop.run(_drive(target, connections, seconds, drive))


def measure_at_rate(target: Target, connections: int, seconds: float, rate: float) -> Load:
    """`rate` requests a second, whatever the server does.

    A request that finds every connection busy is counted from when it was due, so that a stall costs what it costs.
    Timers of an event loop are a millisecond coarse, so requests come in little bunches; their being late does not
    count, since it is not the server's.
    """
    due_times = (n / rate for n in range(int(rate * seconds)))

    async def drive(tally: _Tally, connection: _Connection) -> None:
        for after_s in due_times:  # shared by the connections: whichever is free takes the next
            due = tally.started + after_s
            wait_s = due - perf_counter()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            await tally.send(connection, counted_from=perf_counter() if wait_s > 0 else due)

    return uvloop.run(_drive(target, connections, seconds, drive))
