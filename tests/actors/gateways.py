"""A gateway's end of a connection that shows what comes, and says when nothing more can come."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from plaudit.actors.messages import PROTOCOL, Batch, Hello, Replies, Reply, Welcome, decode_to_gateway, encode
from plaudit.actors.transport import Connection, connect
from plaudit.actors.user_shard import UserShard
from plaudit.engine.commands import Command
from plaudit.storage.records import Record


class Gateway:
    """Sends numbered batches and keeps the answers (`Receiver`)."""

    def __init__(self, gateway: int) -> None:
        self._gateway = gateway
        self._connection: Connection
        self._welcomes = 0
        self._arrived = asyncio.Event()
        self.answers: dict[int, tuple[Reply, ...]] = {}
        self.is_closed = asyncio.Event()

    async def connect(self, address: str) -> None:
        self._connection = await connect(address, lambda _: self)
        await self.ping()

    def send(self, number: int, *commands: Command, first: int = 0, known_only: bool = False) -> None:
        """Send a batch, or a part of one from position `first` on."""
        positions = tuple(range(first, first + len(commands)))
        self._connection.send(encode(Batch(number, positions, commands, known_only)))

    async def ping(self) -> None:
        """Return when the shard has received all that was sent, and what it had answered until then is here."""
        wanted = self._welcomes + 1
        self._connection.send(encode(Hello(PROTOCOL, self._gateway)))
        while self._welcomes < wanted:
            await self._next()

    async def answer(self, number: int) -> tuple[Reply, ...]:
        """The replies to a batch."""
        while number not in self.answers:
            await self._next()
        return self.answers[number]

    async def ask(self, number: int, *commands: Command) -> tuple[Reply, ...]:
        """Send a batch and wait for its replies."""
        self.send(number, *commands)
        return await self.answer(number)

    def close(self) -> None:
        self._connection.abort()

    async def _next(self) -> None:
        self._arrived.clear()
        await asyncio.wait_for(self._arrived.wait(), 10)
        if self.is_closed.is_set():
            raise ConnectionError

    def frame_received(self, payload: bytes) -> None:
        message = decode_to_gateway(payload)
        if isinstance(message, Replies):
            self.answers[message.number] = message.replies
        else:
            assert isinstance(message, Welcome)
            self._welcomes += 1
        self._arrived.set()

    def connection_closed(self) -> None:
        self.is_closed.set()
        self._arrived.set()


@asynccontextmanager
async def connected(address: str, *ids: int) -> AsyncIterator[tuple[Gateway, ...]]:
    """Gateways with these ids, connected."""
    gateways = tuple(Gateway(gateway) for gateway in ids)
    try:
        for gateway in gateways:
            await gateway.connect(address)
        yield gateways
    finally:
        for gateway in gateways:
            gateway.close()


class Gate:
    """Holds a shard's commits back while it is closed."""

    def __init__(self, shard: UserShard) -> None:
        self._shard = shard
        self._append = shard._log.append
        self._is_open = asyncio.Event()
        self.error: Exception | None = None
        """What the commit that waits fails with."""
        shard._log.append = self._wait_and_append  # type: ignore[method-assign]

    def open(self) -> None:
        self._is_open.set()

    async def _wait_and_append(self, record: Record) -> None:
        await self._is_open.wait()
        if self.error is not None:
            raise self.error
        await self._append(record)

    async def settle(self, *gateways: Gateway) -> None:
        """Return when all that was sent is executed, and what may be answered has been."""
        for gateway in gateways:
            await gateway.ping()
        await self._shard._executor._idle.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        for gateway in gateways:
            await gateway.ping()
