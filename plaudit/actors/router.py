"""Which shard a user lives in, and the way there."""

import asyncio
from collections.abc import Sequence
from hashlib import blake2b

from plaudit.actors.messages import Reply
from plaudit.actors.shard_client import ShardClient
from plaudit.engine.commands import Query, Read, UserKey, Write, user_key


def shard_of(key: UserKey, shards: int) -> int:
    """The shard of a user: the same for ever, on every machine."""
    tenant, user_id = key
    hashed = blake2b(f"{len(tenant)}:{tenant}{user_id}".encode(), digest_size=8).digest()
    return int.from_bytes(hashed, "big") % shards


class Router:
    """A gateway's connections to all shards."""

    def __init__(self, addresses: Sequence[str], gateway: int) -> None:
        self._clients = [ShardClient(address, gateway) for address in addresses]
        self._query_clients = [ShardClient(address, gateway + 1) for address in addresses]
        """Connections of their own for what may take a while: a batch is answered as a whole."""

    def start(self) -> None:
        """Begin to connect."""
        for client in (*self._clients, *self._query_clients):
            client.start()

    async def wait_ready(self) -> None:
        """Return when every shard is connected."""
        for client in self._clients:
            await client.wait_connected()

    @property
    def is_ready(self) -> bool:
        """True while every shard is open and reachable."""
        return all(client.is_connected for client in self._clients)

    def query(self, query: Query) -> "list[asyncio.Future[Reply]]":
        """Ask the shard of a user, or all shards for all users. Raises NotSent, at once."""
        if query.user_id is None:
            return [client.call(query) for client in self._query_clients]
        shard = shard_of((query.tenant, query.user_id), len(self._clients))
        return [self._query_clients[shard].call(query)]

    def call(self, command: Write | Read) -> "asyncio.Future[Reply]":
        """Send a command to its user; the future is the reply, however long it takes. Raises NotSent, at once."""
        return self._clients[shard_of(user_key(command), len(self._clients))].call(command)

    async def close(self) -> None:
        """Disconnect."""
        for client in (*self._clients, *self._query_clients):
            await client.close()
