"""A gateway's way to one shard: batches by back-pressure, and sent again until they are answered.

Guarantees: commands reach the shard in the order of `call`; at most WINDOW batches are unanswered; a batch that was
sent is answered once, however often shard and connection are lost in between. A batch that has lost its shard twice is
suspected of being the cause: it is sent alone, then in halves, until the culprit is alone; then it is refused, unless
the shard knows that it has counted.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable

from plaudit.actors.errors import Overloaded, Unavailable
from plaudit.actors.messages import PROTOCOL, Batch, Hello, Replies, Reply, Welcome, decode_to_gateway, encode
from plaudit.actors.transport import Connection, connect
from plaudit.engine.commands import Command

WINDOW = 2
"""Batches that may be unanswered at a time; a shard keeps the replies of as many."""
BATCH_COMMANDS_MAX = 256
QUEUE_COMMANDS_MAX = 10_000
LOSSES_BEFORE_SUSPICION = 2
RECONNECT_INTERVAL_S = 0.02
UNAVAILABLE_AFTER_S = 10.0

Call = tuple[Command, "asyncio.Future[Reply]"]


class Flight:
    """A batch, or a part of one, on its way."""

    __slots__ = ("calls", "known_only", "losses", "number", "positions")

    def __init__(self, number: int, positions: tuple[int, ...], calls: list[Call], losses: int = 0) -> None:
        self.number = number
        self.positions = positions
        self.calls = calls
        self.losses = losses
        self.known_only = False
        """It is to be answered only if it has been applied already."""

    @property
    def is_suspect(self) -> bool:
        """True if this may be what kills the shard."""
        return self.losses >= LOSSES_BEFORE_SUSPICION

    def fail(self, error: Exception) -> None:
        """Let every call raise."""
        for _, future in self.calls:
            if not future.done():
                future.set_exception(error)

    def split(self) -> list["Flight"]:
        """The two halves, both still suspects."""
        middle = len(self.calls) // 2
        parts = (slice(None, middle), slice(middle, None))
        return [Flight(self.number, self.positions[part], self.calls[part], LOSSES_BEFORE_SUSPICION) for part in parts]


class ShardClient:
    """The client of the shard that listens on `address`. Lives on one event loop."""

    def __init__(
        self,
        address: str,
        gateway: int,
        monotonic: Callable[[], float] = time.monotonic,
        name: str = "the shard of this user",
    ) -> None:
        self._address = address
        self._gateway = gateway
        self._name = name
        self._monotonic = monotonic
        self._queue: deque[Call] = deque()
        self._waiting: deque[Flight] = deque()
        """Sent before and lost, in order of number: to be sent again before anything new."""
        self._flights: dict[tuple[int, int], Flight] = {}
        self._number = 0
        self._connection: Connection | None = None
        self._lost_at = monotonic()
        self._staying: asyncio.Task[None] | None = None
        self._is_flush_due = False
        self._welcomed = asyncio.Event()
        self._is_lost = asyncio.Event()
        self._is_lost.set()
        self._loop = asyncio.get_running_loop()

    def start(self) -> None:
        """Begin to connect, and stay connected until `close`."""
        if self._staying is None:
            self._staying = asyncio.create_task(self._stay_connected())

    @property
    def is_connected(self) -> bool:
        """True while the shard is open and reachable."""
        return self._welcomed.is_set()

    async def wait_connected(self) -> None:
        """Return when the shard has said welcome."""
        await self._welcomed.wait()

    def call(self, command: Command) -> "asyncio.Future[Reply]":
        """Queue a command; the future is its reply.

        Raises Overloaded or Unavailable, at once and before anything was sent.
        """
        if len(self._queue) >= QUEUE_COMMANDS_MAX:
            raise Overloaded("too many requests are waiting")
        if not self._welcomed.is_set() and self._monotonic() - self._lost_at > UNAVAILABLE_AFTER_S:
            raise Unavailable(f"{self._name} is not available")
        future: asyncio.Future[Reply] = self._loop.create_future()
        self._queue.append((command, future))
        if not self._is_flush_due:
            self._is_flush_due = True
            self._loop.call_soon(self._flush)
        return future

    async def close(self) -> None:
        """Disconnect for good. Unanswered calls are cancelled."""
        if self._staying is not None:
            self._staying.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._staying
        if self._connection is not None:
            self._connection.close()
        flights = [*self._flights.values(), *self._waiting]
        for _, future in [*self._queue, *(call for flight in flights for call in flight.calls)]:
            future.cancel()

    def frame_received(self, payload: bytes) -> None:
        """Take a message from the shard (`Receiver`)."""
        message = decode_to_gateway(payload)
        if isinstance(message, Welcome):
            if message.protocol != PROTOCOL:
                raise ValueError(f"protocol {message.protocol}")
            self._welcomed.set()
            self._is_lost.clear()
            self._flush()
        else:
            self._answer(message)

    def connection_closed(self) -> None:
        """Put what was in flight back in line, and connect again (`Receiver`)."""
        self._connection = None
        if self._welcomed.is_set():
            self._welcomed.clear()
            self._lost_at = self._monotonic()
        self._requeue()
        self._is_lost.set()

    async def _stay_connected(self) -> None:
        while True:
            await self._is_lost.wait()
            if self._connection is None:
                with contextlib.suppress(OSError):
                    await connect(self._address, self._connected)
            await asyncio.sleep(RECONNECT_INTERVAL_S)
            self._give_up_on_unsent()

    def _connected(self, connection: Connection) -> "ShardClient":
        self._connection = connection
        connection.send(encode(Hello(PROTOCOL, self._gateway)))
        return self

    def _give_up_on_unsent(self) -> None:
        if not self._welcomed.is_set() and self._monotonic() - self._lost_at > UNAVAILABLE_AFTER_S:
            while self._queue:
                _, future = self._queue.popleft()
                if not future.done():
                    future.set_exception(Unavailable(f"{self._name} is not available"))

    def _flush(self) -> None:
        """Send all that may be sent now."""
        self._is_flush_due = False
        while self._welcomed.is_set():
            if self._waiting:
                if self._flights and (self._waiting[0].is_suspect or self._is_suspect_in_flight()):
                    return
                self._send(self._waiting.popleft())
            elif self._queue and self._may_send_next():
                self._send(self._next_flight())
            else:
                return

    def _may_send_next(self) -> bool:
        """True if nothing is unanswered, or if there is room and as much waits as is on its way.

        Sending the second batch sooner made batches a quarter smaller, and throughput with them.
        """
        if not self._flights:
            return True
        if self._number + 1 - min(number for number, _ in self._flights) >= WINDOW or self._is_suspect_in_flight():
            return False
        return len(self._queue) >= sum(len(flight.calls) for flight in self._flights.values())

    def _is_suspect_in_flight(self) -> bool:
        return any(flight.is_suspect for flight in self._flights.values())

    def _next_flight(self) -> Flight:
        self._number += 1
        queue = self._queue
        calls = [queue.popleft() for _ in range(min(len(queue), BATCH_COMMANDS_MAX))]
        return Flight(self._number, tuple(range(len(calls))), calls)

    def _send(self, flight: Flight) -> None:
        assert self._connection is not None
        commands = tuple(command for command, _ in flight.calls)
        try:
            payload = encode(Batch(flight.number, flight.positions, commands, flight.known_only))
        except (TypeError, ValueError, OverflowError) as error:  # a fault of ours: nobody shall wait for ever
            flight.fail(error)
            return
        self._flights[flight.number, flight.positions[0]] = flight
        self._connection.send(payload)

    def _answer(self, message: Replies) -> None:
        key = (message.number, message.first_position)
        flight = self._flights.get(key)
        if flight is None or len(flight.calls) != len(message.replies):
            raise ValueError(f"replies to a batch {message.number} that was not sent like this")
        del self._flights[key]
        for (_, future), reply in zip(flight.calls, message.replies, strict=True):
            if not future.done():
                future.set_result(reply)
        self._flush()

    def _requeue(self) -> None:
        """Line up what was in flight to be sent again; split what has proved to kill the shard."""
        lost = list(self._flights.values())
        self._flights.clear()
        lined_up: list[Flight] = []
        for flight in lost:
            flight.losses += 1
            if flight.losses > LOSSES_BEFORE_SUSPICION and len(flight.calls) > 1:
                lined_up.extend(flight.split())
            else:
                flight.known_only = flight.losses > LOSSES_BEFORE_SUSPICION
                lined_up.append(flight)
        self._waiting.extendleft(reversed(lined_up))
