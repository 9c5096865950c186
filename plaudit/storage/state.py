"""state.sqlite: the users as of the last checkpoint, their history, and what else must outlive the log.

Written only by the checkpoint, in slices. Every slice is one transaction and complete for its users; the log is cut
only when `finish_checkpoint` has said that all users of the cut are in.

The connection has one thread, and lookups of users and keys wait for it. So it never waits for the disk: SQLite syncs
nothing by itself (`synchronous=OFF`). What has to be on disk is synced here, from other threads: the -wal file before
the log may be cut, and before and after its pages are copied into the main file, between which nothing is written.
"""

import asyncio
import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import aiosqlite
import msgspec
from msgspec import Struct

from plaudit.engine.catalog import Catalog
from plaudit.engine.commands import UserKey
from plaudit.engine.snapshot import glance_at_user
from plaudit.engine.tally import Counter
from plaudit.storage import key_index, owners, snapshots, timers
from plaudit.storage.errors import Corrupt, Fenced
from plaudit.storage.files import sync_file
from plaudit.storage.history import Chunk, decode_chunk, encode_chunk
from plaudit.storage.key_index import KeyEntry, KeyUse, hash_key
from plaudit.storage.owners import Owner
from plaudit.storage.rows import insert_rows, round_up
from plaudit.storage.schema import LONG_SPAN, MIGRATIONS, SCHEMA, SCHEMA_VERSION, SPAN_MS
from plaudit.storage.seal import UNDECODABLE, seal, unseal
from plaudit.storage.snapshots import StoredUser
from plaudit.storage.sqlite import UNREADABLE, explain, hop, opening
from plaudit.storage.timers import Due, Timer
from plaudit.storage.wal import Trust

FILE_NAME = "state.sqlite"
WAL_BYTES_MAX = 8 * 2**20
"""How large the -wal file grows before it is copied into the main file: some 8 ms of copying."""

PROBLEMS_MAX = 3
"""How many an error lists."""

_CHUNK = "id, CAST(user AS INTEGER), CAST(previous AS INTEGER), CAST(entries AS BLOB)"
"""In a damaged row anything may be a text, even one that is none."""
PURGE_SLOTS = 4096
PURGE_CHUNKS = 64
PURGE_OWNERS = 4096

_SAVE_CHUNKS = "INSERT INTO history (id, user, previous, entries) VALUES {rows}"
_SAVE_GATEWAYS = "INSERT OR REPLACE INTO gateways (id, replies) VALUES {rows}"
_SAVE_COUNTERS = (
    "INSERT INTO counters (name, number, value) VALUES {rows} ON CONFLICT DO UPDATE SET value = value + excluded.value"
)

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class Slice(Struct, frozen=True):
    """What one transaction of a checkpoint writes. Chunks are in the order of their ids."""

    users: list[StoredUser]
    new: list[StoredUser]
    """Those of `users` that have never been saved."""
    chunks: list[Chunk]
    counters: dict[Counter, int]
    """What to add to each."""
    gateways: list[tuple[int, bytes]] = []
    timers: list[Timer] = []
    """Of those users whose due times are others than they were."""
    timing_key: str = ""
    """Under which they were found."""
    owners: list[Owner] = []


class Span(Struct, frozen=True):
    """The chunks of a slice, and when their events were: nothing in it, or in an older span, is after `until_ms`."""

    first: int
    last: int
    from_ms: int
    until_ms: int


class Checkpoint(Struct, frozen=True):
    """What the state holds: every command up to number `applied`, and the stamp of the last one."""

    number: int
    applied: int
    at_ms: int
    reached: int
    """The last command of any slice: the log must go at least as far."""


class Sizes(Struct, frozen=True):
    """How many rows some tables have."""

    heads: int
    chunks: int


class Strays(Struct, frozen=True):
    """How many rows of some tables belong to nobody."""

    timers: int
    owners: int


class StateStore:
    """The connection to state.sqlite. Errors of writing are fatal to the owner: it must stop and recover."""

    def __init__(self, path: Path, connection: aiosqlite.Connection, epoch: int, checkpoint: Checkpoint) -> None:
        self.path = path
        self.epoch = epoch
        self.checkpoint = checkpoint
        self._connection = connection
        self._descriptor = -1
        """Of the main file. SQLite's locks would go with any that is closed before the connection."""
        self._users = 0
        self.pause_ratio = 0.0
        """How long each write is followed by a pause, in times of what it took: lookups share its thread."""

    @classmethod
    async def open(cls, directory: Path, trust: Trust = "unknown", *, must_exist: bool = False) -> "StateStore":
        """Open, create or migrate the state and raise its epoch: older owners can write nothing from here on.

        `trust` is `written` if the machine has not been started since the last owner, else `unknown`. With `must_exist`
        a file without tables is Corrupt, not new.
        """
        path = directory / FILE_NAME
        schema = None if must_exist else SCHEMA.format(schema=SCHEMA_VERSION)
        async with opening(path, schema, SCHEMA_VERSION, migrations=MIGRATIONS, trust=trust) as connection:
            raised = list(await connection.execute_fetchall("UPDATE meta SET epoch = epoch + 1 RETURNING epoch"))
            rows = list(await connection.execute_fetchall("SELECT number, applied, at_ms, reached FROM checkpoint"))
            store = cls(path, connection, raised[0][0], Checkpoint(*rows[0]))
            await store._check_names()
            store._users = (await store.load_counters()).get(("users", 0), 0)
            await connection.executescript("PRAGMA synchronous=OFF; PRAGMA secure_delete=ON")
            store._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return store

    async def _check_names(self) -> None:
        """Every name can be found, and every name found is one: a user who is not found would begin anew.

        0.8 s for a million users. What else the file holds is checked when it is read.
        """
        for table in ("users", "heads"):
            problems = [row[0] for row in await self._fetch(f"PRAGMA integrity_check({table})")]
            if problems != ["ok"]:
                raise Corrupt(f"{self.path}: {'; '.join(problems[:PROBLEMS_MAX])}")

    async def load_catalog(self) -> Catalog | None:
        """The catalog as of the last checkpoint; None before the first."""
        rows = await self._fetch("SELECT body FROM catalog")
        place = f"{self.path}: catalog"
        try:
            return msgspec.msgpack.decode(unseal(rows[0][0], "catalog", place), type=Catalog) if rows else None
        except UNDECODABLE as error:
            raise Corrupt(f"{place}: {error}") from error

    async def load_counters(self) -> dict[Counter, int]:
        """All counters, as of the last checkpoint."""
        return {(row[0], row[1]): row[2] for row in await self._fetch("SELECT name, number, value FROM counters")}

    async def load_sizes(self) -> Sizes:
        """Counts rows, not what counters say. O(rows)."""
        rows = await self._fetch("SELECT (SELECT count(*) FROM heads), (SELECT count(*) FROM history)")
        return Sizes(*rows[0])

    async def load_strays(self) -> Strays:
        """Looks for rows of users who are not there. O(rows)."""
        return await self._run(
            lambda connection: Strays(timers.count_strays(connection), owners.count_strays(connection))
        )

    async def load_users(self, keys: Iterable[UserKey]) -> dict[UserKey, StoredUser | Corrupt]:
        """Those of the users that are saved, or what is wrong with them. One query, in one hop to the thread."""
        return await self._run(snapshots.load_users, list(keys), str(self.path))

    async def load_users_by_id(self, ids: Sequence[int]) -> dict[int, StoredUser | Corrupt]:
        """Those of the users that are saved, by id, or what is wrong with them. One query."""
        return await self._run(snapshots.load_users_by_id, ids, str(self.path))

    async def scan_users(self, after: int = 0, limit: int = 1000) -> list[tuple[int, StoredUser | Corrupt]]:
        """The next users by id, or what is wrong with them."""
        return await self._run(snapshots.scan_users, after, limit, str(self.path))

    async def scan_points(self, system: int, after: int, limit: int) -> list[tuple[int, dict[str, str], int]]:
        """The next users by id, each with the attributes and the points in a system (by number).

        Of one that cannot be read, neither. One query, in the connection's thread like all that is made of it.
        """
        return await self._run(_scan_points, system, after, limit, str(self.path))

    async def load_chain(self, chunk: int | None, limit: int) -> list[Chunk]:
        """A user's chunks from this one back, newest first, up to `limit`. One query, in the connection's thread."""
        return await self._run(_load_chain, chunk, limit, str(self.path))

    async def load_chunks(self, first: int, last: int) -> list[Chunk]:
        """All chunks of a range of ids, by id."""
        rows = await self._fetch(f"SELECT {_CHUNK} FROM history WHERE id BETWEEN ? AND ? ORDER BY id", (first, last))
        return [decode_chunk(row, str(self.path)) for row in rows]

    async def load_spans(self, before: int, limit: int = 1000) -> list[Span]:
        """The spans of the chunks below id `before`, newest first."""
        rows = await self._fetch(
            "SELECT first, last, from_ms, until_ms FROM spans WHERE first < ? ORDER BY first DESC LIMIT ?",
            (before, limit),
        )
        return [Span(*row) for row in rows]

    async def find_end(self, at_ms: int) -> int | None:
        """The id of a chunk after all that have events up to a time; None if any may. O(log n + long spans)."""
        rows = await self._fetch(
            "SELECT max("
            "(SELECT first FROM spans WHERE until_ms > ? ORDER BY until_ms, first LIMIT 1), "
            f"coalesce((SELECT max(last) + 1 FROM spans WHERE {LONG_SPAN} AND from_ms <= ?), 0))",
            (at_ms + SPAN_MS, at_ms),
        )
        end: int | None = rows[0][0]
        return end

    async def load_names(self, users: Iterable[int]) -> dict[int, UserKey]:
        """The keys of users by id; those that have been deleted are not in it."""
        rows = await self._fetch(
            "SELECT id, tenant, key FROM users WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(list(users)),)
        )
        return {row[0]: (row[1], row[2]) for row in rows}

    async def find_owners(self, ids: Sequence[bytes]) -> dict[bytes, tuple[int, UserKey]]:
        """Whose these ids are: users by id and key; see `storage.owners`."""
        return await self._run(owners.find_owners, ids)

    async def load_swept_key(self) -> str | None:
        """The timing key under which all due times here are right; None while there is none."""
        return await self._run(timers.load_swept_key)

    async def find_timers_end(self, after: Due, limit: int) -> Due | None:
        """The last of the next `limit` due times after one; None if there are fewer."""
        return await self._run(timers.find_end, after, limit)

    async def load_timers(self, after: Due, through: Due) -> list[Due]:
        """The due times after one and up to another, in order."""
        return await self._run(timers.load_timers, after, through)

    async def sweep_timers(
        self, key: str, find_due: Callable[[StoredUser], int | None], limit: int
    ) -> tuple[list[Due], bool]:
        """Set a page of due times right under a timing key: one transaction; see `storage.timers`.

        `find_due` runs in the connection's thread. Nothing else may be writing. Raises StorageError.
        """
        return await self._write(timers.sweep_timers, key, find_due, limit, str(self.path))

    async def find_keys(self, uses: Iterable[KeyUse]) -> dict[KeyUse, bytes | Corrupt]:
        """The event of each idempotency key that has been used and indexed, or what is wrong with where it was.

        One query, and one more for each hit.
        """
        wanted = list(uses)
        return await self._run(_find_keys, wanted, str(self.path)) if wanted else {}

    async def load_unindexed(self) -> list[Chunk]:
        """The chunks whose keys the index does not have yet: those of a checkpoint that was cut short."""
        rows = await self._fetch(f"SELECT {_CHUNK} FROM history WHERE id > (SELECT indexed FROM checkpoint)")
        return [decode_chunk(row, str(self.path)) for row in rows]

    async def load_forgets(self) -> list[int]:
        """The deleted users whom leaderboards may not have forgotten yet."""
        return [user for (user,) in await self._fetch("SELECT user FROM forgets ORDER BY user")]

    async def load_gateways(self) -> dict[int, bytes]:
        """What is kept of each gateway's last batches."""
        rows = await self._fetch("SELECT id, replies FROM gateways")
        return {row[0]: unseal(row[1], f"gateway {row[0]}", f"{self.path}: gateway {row[0]}") for row in rows}

    async def next_ids(self) -> tuple[int, int]:
        """The first user id and the first chunk id that have never been used."""
        rows = await self._fetch("SELECT next_user, next_chunk FROM checkpoint")
        return rows[0][0], rows[0][1]

    async def save(self, part: Slice) -> None:
        """Write a slice: one transaction, one hop, no fsync. Raises StorageError."""
        self._users += len(part.new)
        await self._write(_save, part, self._users)

    async def index_keys(self, entries: list[KeyEntry]) -> None:
        """Add keys to the index; sorted, they share pages. Short transactions. Raises StorageError."""
        entries.sort()
        for start in range(0, len(entries), key_index.MOVE_KEYS_MAX):
            await self._write(key_index.add_keys, entries[start : start + key_index.MOVE_KEYS_MAX])
            await self.copy_wal()
        while (level := await self._run(key_index.find_full_level)) is not None:
            await self._write(key_index.move_keys, level)
            await self.copy_wal()

    async def finish_checkpoint(
        self,
        applied: int,
        at_ms: int,
        catalog: Catalog | None,
        gateways: list[int],
        indexed: int,
        deletions: Sequence[tuple[StoredUser, Mapping[Counter, int]]] = (),
        recreated: Slice | None = None,
        forgets: Sequence[int] = (),
        forgotten: Sequence[int] = (),
        next_user: int = 0,
    ) -> None:
        """Declare that every command up to number `applied` is in, on disk; one fsync.

        Keeps only these gateways; `catalog` None keeps the stored one; the keys of chunks up to `indexed` are in the
        index. `deletions` are users to forget, each with what the counters change by; `recreated` are users of the
        same keys. `forgets` are deleted users whom leaderboards have to forget, `forgotten` those whom they have. Users
        below `next_user` have been numbered. Compare and set: raises Fenced if another owner has been here.
        """
        number = self.checkpoint.number

        def finish(connection: sqlite3.Connection) -> int:
            rows = connection.execute(
                "UPDATE checkpoint SET number = ?, applied = ?, at_ms = ?, indexed = ?, "
                "next_user = max(next_user, ?) WHERE number = ? RETURNING reached",
                (number + 1, applied, at_ms, indexed, next_user, number),
            ).fetchall()
            if not rows:
                raise Fenced(f"{self.path}: checkpoint {number} is not the last one any more")
            if catalog is not None:
                connection.execute("INSERT OR REPLACE INTO catalog VALUES (0, ?)", (_seal_catalog(catalog),))
            connection.execute(
                "DELETE FROM gateways WHERE id NOT IN (SELECT value FROM json_each(?))", (json.dumps(gateways),)
            )
            for user, changes in deletions:
                _delete(connection, user, changes)
            if recreated is not None:
                _save(connection, recreated, self._users)
            connection.executemany("INSERT OR IGNORE INTO forgets VALUES (?)", ((user,) for user in forgets))
            connection.executemany("DELETE FROM forgets WHERE user = ?", ((user,) for user in forgotten))
            return int(rows[0][0])

        self._users += (len(recreated.new) if recreated is not None else 0) - len(deletions)
        reached = await self._write(finish)
        await self._sync_wal()
        self.checkpoint = Checkpoint(number + 1, applied, at_ms, max(reached, applied))

    async def purge(self) -> None:
        """Erase old snapshots, history, keys and pauses of users who have been deleted, a little at a time.

        Resumes what was begun. O(all snapshots + their history + all pauses), at any number of users.
        """
        users = [row[0] for row in await self._fetch("SELECT user FROM purges")]
        if not users:
            return
        slot: int | None = 0
        while slot is not None:
            slot = await self._write(snapshots.purge_slots, slot, PURGE_SLOTS)
            await self.copy_wal()
        for user in users:
            while await self._write(_purge_chain, user, str(self.path)):
                await self.copy_wal()
        owned: bytes | None = b""
        while owned is not None:
            owned = await self._write(owners.purge_owners, owned, PURGE_OWNERS)
            await self.copy_wal()
        await self.copy_wal(erase=True)
        await self._write(_end_purges)  # not before: after a kill, the next owner has to erase again

    async def copy_wal(self, *, erase: bool = False) -> None:
        """Copy the -wal file into the main file, if it is large, or to erase what it holds; three fsyncs.

        The caller writes nothing meanwhile; lookups wait for the copying only. Each step is on the disk before the next
        begins. Last, the -wal file is empty there too: a power cut could otherwise leave a part of it from before the
        copy, as good as new, and SQLite would put it over what is newer.
        """
        wal = self.path.with_name(f"{self.path.name}-wal")
        if wal.stat().st_size > WAL_BYTES_MAX or erase:
            await self._sync_wal()
            ((_, frames, copied),) = await self._fetch("PRAGMA wal_checkpoint(PASSIVE)")
            assert frames == copied, f"{self.path}: {copied} of {frames} frames copied"
            await asyncio.to_thread(os.fsync, self._descriptor)
            await self._fetch("PRAGMA wal_checkpoint(TRUNCATE)")
            await self._sync_wal()

    async def close(self) -> None:
        """Close the file: SQLite copies the -wal file, with its own syncs, unless it thinks that all is copied."""
        try:
            with contextlib.suppress(*UNREADABLE, ValueError):
                await self._connection.execute_fetchall("PRAGMA synchronous=FULL")
                await asyncio.to_thread(os.fsync, self._descriptor)
        finally:
            await self._close()

    async def _close(self) -> None:
        try:
            await self._connection.close()
        finally:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    async def _sync_wal(self) -> None:
        await asyncio.to_thread(sync_file, self.path.with_name(f"{self.path.name}-wal"))

    async def _write(
        self,
        work: Callable[Concatenate[sqlite3.Connection, Parameters], Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """Run `work` as one transaction, in one hop to the connection's thread. Raises StorageError."""

        def transaction(connection: sqlite3.Connection) -> Result:
            connection.execute("BEGIN IMMEDIATE")
            try:
                if not connection.execute("SELECT 1 FROM meta WHERE epoch = ?", (self.epoch,)).fetchone():
                    raise Fenced(f"{self.path}: epoch {self.epoch} is over")
                result = work(connection, *args, **kwargs)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return result

        started = time.monotonic()
        try:
            result = await self._hop(transaction)
        except UNREADABLE as error:
            raise explain(error, self.path) from error
        await asyncio.sleep(self.pause_ratio * (time.monotonic() - started))
        return result

    async def _run(
        self,
        work: Callable[Concatenate[sqlite3.Connection, Parameters], Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """Run a query, or several that belong together, in one hop. Raises Corrupt, InUse or Unusable."""
        try:
            return await self._hop(lambda connection: work(connection, *args, **kwargs))
        except UNREADABLE as error:
            raise explain(error, self.path) from error

    async def _fetch(self, sql: str, parameters: tuple[int | str | None, ...] = ()) -> list[Any]:
        return await self._run(lambda connection: connection.execute(sql, parameters).fetchall())

    async def _hop(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        return await hop(self._connection, work)


def _save(connection: sqlite3.Connection, part: Slice, users: int) -> None:
    snapshots.save_users(connection, part.new, part.users)
    rows = [(c.id, c.user, c.previous, encode_chunk(c)) for c in part.chunks]
    insert_rows(connection, _SAVE_CHUNKS, rows)
    insert_rows(connection, _SAVE_GATEWAYS, [(id_, seal(replies, f"gateway {id_}")) for id_, replies in part.gateways])
    insert_rows(connection, _SAVE_COUNTERS, [(*counter, value) for counter, value in part.counters.items()])
    timers.save_timers(connection, part.timing_key, part.timers)
    owners.save_owners(connection, part.owners)
    if part.chunks:
        times = [entry.at_ms for chunk in part.chunks for entry in chunk.entries]
        connection.execute(
            "INSERT INTO spans (first, last, from_ms, until_ms) "
            "VALUES (?, ?, ?, max(?, coalesce((SELECT max(until_ms) FROM spans), 0)))",
            (part.chunks[0].id, part.chunks[-1].id, min(times), max(times)),
        )
    connection.execute(
        "UPDATE checkpoint SET reached = max(reached, ?), next_user = max(next_user, ?), "
        "next_chunk = max(next_chunk, ?)",
        (
            max((user.applied for user in part.users), default=0),
            max((user.id + 1 for user in part.new), default=0),
            max((chunk.id + 1 for chunk in part.chunks), default=0),
        ),
    )
    snapshots.clean_slots(connection, len(part.users), users)


def _delete(connection: sqlite3.Connection, user: StoredUser, counters: Mapping[Counter, int]) -> None:
    snapshots.remove_user(connection, user.id)
    timers.remove_timer(connection, user.id)
    connection.execute("INSERT INTO purges (user, chunk) VALUES (?, ?)", (user.id, user.chunk))
    insert_rows(connection, _SAVE_COUNTERS, [(*counter, value) for counter, value in counters.items()])


def _purge_chain(connection: sqlite3.Connection, user: int, place: str) -> bool:
    """Erase the newest chunks of a deleted user, and their keys; False if these were the last.

    A chunk that cannot be read goes too; its keys stay in the index, under hashes that nobody asks for.
    """
    (left,) = connection.execute("SELECT chunk FROM purges WHERE user = ?", (user,)).fetchone()
    for _ in range(PURGE_CHUNKS):
        row = connection.execute("SELECT id, user, previous, entries FROM history WHERE id = ?", (left,)).fetchone()
        if row is None:
            connection.execute("UPDATE purges SET chunk = NULL WHERE user = ?", (user,))
            return False
        with contextlib.suppress(Corrupt):
            key_index.remove_entries(connection, key_entries(decode_chunk(row, place)))
        connection.execute("DELETE FROM history WHERE id = ?", (left,))
        left = row[2]
    connection.execute("UPDATE purges SET chunk = ? WHERE user = ?", (left, user))
    return True


def _end_purges(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM purges")


def _find_keys(connection: sqlite3.Connection, uses: list[KeyUse], place: str) -> dict[KeyUse, bytes | Corrupt]:
    by_hash: dict[int, list[KeyUse]] = {}
    for use in uses:
        by_hash.setdefault(hash_key(use), []).append(use)
    hashes = [*by_hash, *[-1] * (round_up(len(by_hash)) - len(by_hash))]
    found: dict[KeyUse, bytes | Corrupt] = {}
    for hash_, id_ in key_index.find_entries(connection, hashes):
        row = connection.execute(f"SELECT {_CHUNK} FROM history WHERE id = ?", (id_,)).fetchone()
        try:
            if row is None:
                raise Corrupt(f"{place}: history {id_} is missing")
            used = key_uses(decode_chunk(row, place))
        except Corrupt as error:
            for use in by_hash[hash_]:
                found.setdefault(use, error)
        else:
            found |= {use: used[use] for use in by_hash[hash_] if use in used}
    return found


def key_uses(chunk: Chunk) -> dict[KeyUse, bytes]:
    """The idempotency keys that a chunk's events used, with their event ids."""
    return {
        (chunk.user, entry.metric, entry.idempotency_key): entry.event_id
        for entry in chunk.entries
        if entry.idempotency_key is not None
    }


def key_entries(chunk: Chunk) -> list[KeyEntry]:
    """What the index has of a chunk."""
    return [(hash_key(use), chunk.id) for use in key_uses(chunk)]


def _load_chain(connection: sqlite3.Connection, chunk: int | None, limit: int, place: str) -> list[Chunk]:
    rows = connection.execute(
        "WITH RECURSIVE chain (id, user, previous, entries) AS ("
        "SELECT id, user, previous, entries FROM history WHERE id = ? UNION ALL "
        "SELECT history.id, history.user, history.previous, history.entries "
        "FROM chain JOIN history ON history.id = chain.previous AND chain.previous < chain.id LIMIT ?"
        f") SELECT {_CHUNK} FROM chain",
        (chunk, limit),
    )
    chunks = [decode_chunk(row, place) for row in rows]
    missing = chunks[-1].previous if chunks else chunk
    if len(chunks) < limit and missing is not None:
        raise Corrupt(f"{place}: history {missing} is missing")
    return chunks


def _scan_points(
    connection: sqlite3.Connection, system: int, after: int, limit: int, place: str
) -> list[tuple[int, dict[str, str], int]]:
    found = []
    for id_, stored in snapshots.scan_users(connection, after, limit, place):
        attributes: dict[str, str] = {}
        points = 0
        if not isinstance(stored, Corrupt):
            with contextlib.suppress(*UNDECODABLE):
                glance = glance_at_user(stored.snapshot)
                attributes, points = glance.profile.attributes, glance.points.get(system, 0)
        found.append((id_, attributes, points))
    return found


def _seal_catalog(catalog: Catalog) -> bytes:
    return seal(msgspec.msgpack.encode(catalog), "catalog")
