"""Which shard a user or a ranking lives in, and the way there."""

import asyncio
from collections.abc import Sequence
from hashlib import blake2b

from plaudit.actors.board_routing import board_shard_of
from plaudit.actors.messages import Reply
from plaudit.actors.shard_client import ShardClient
from plaudit.engine.commands import BoardRead, Query, Read, ShardRead, UserKey, Write, user_key


def shard_of(key: UserKey, shards: int) -> int:
    """The shard of a user: the same for ever, on every machine."""
    tenant, user_id = key
    hashed = blake2b(f"{len(tenant)}:{tenant}{user_id}".encode(), digest_size=8).digest()
    return int.from_bytes(hashed, "big") % shards


class Router:
    """A gateway's connections to all shards."""

    def __init__(self, addresses: Sequence[str], gateway: int, boards: Sequence[str] = ()) -> None:
        self._clients = [ShardClient(address, gateway) for address in addresses]
        self._query_clients = [ShardClient(address, gateway + 1) for address in addresses]
        """Connections of their own for what may take a while: a batch is answered as a whole."""
        self._board_clients = [
            ShardClient(address, gateway, name="the shard of this leaderboard") for address in boards
        ]
        self._turn = 0

    def start(self) -> None:
        """Begin to connect."""
        for client in (*self._clients, *self._query_clients, *self._board_clients):
            client.start()

    async def wait_ready(self) -> None:
        """Return when every shard is connected, of users and of leaderboards."""
        for client in (*self._clients, *self._board_clients):
            await client.wait_connected()

    @property
    def is_ready(self) -> bool:
        """True while every shard is open and reachable, of users and of leaderboards."""
        return all(client.is_connected for client in (*self._clients, *self._board_clients))

    def query(self, query: Query) -> "list[asyncio.Future[Reply]]":
        """Ask the shard of a user, or all shards for all users. Raises NotSent, at once."""
        if query.user_id is None:
            return [client.call(query) for client in self._query_clients]
        shard = shard_of((query.tenant, query.user_id), len(self._clients))
        return [self._query_clients[shard].call(query)]

    def call(self, command: Write | Read) -> "asyncio.Future[Reply]":
        """Send a command to its user; the future is the reply, however long it takes. Raises NotSent, at once."""
        return self._clients[shard_of(user_key(command), len(self._clients))].call(command)

    def call_any(self, command: ShardRead) -> "asyncio.Future[Reply]":
        """Send a command to a shard that is open, if one is; they take turns. Raises NotSent, at once."""
        self._turn += 1
        shards = len(self._clients)
        in_turn = [self._clients[(self._turn + n) % shards] for n in range(shards)]
        return next((client for client in in_turn if client.is_connected), in_turn[0]).call(command)

    def call_all(self, command: ShardRead) -> "list[asyncio.Future[Reply]]":
        """Send a command to every shard, in their order. Raises NotSent, at once."""
        return [client.call(command) for client in self._clients]

    def board_call(self, board: int, run: int, command: BoardRead) -> "asyncio.Future[Reply]":
        """Ask the leaderboard shard of a run: the number of its board, and its first day. Raises NotSent, at once."""
        return self._board_clients[board_shard_of(board, run, len(self._board_clients))].call(command)

    async def close(self) -> None:
        """Disconnect."""
        for client in (*self._clients, *self._query_clients, *self._board_clients):
            await client.close()
