"""What the storage tests are made of: small records and users, files as a kill leaves them, and damage."""

import asyncio
import gc
import sqlite3
import warnings
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import aiosqlite

from plaudit.engine.commands import UserKey
from plaudit.engine.tally import Counter
from plaudit.storage.catalog_store import CatalogStore
from plaudit.storage.errors import Corrupt
from plaudit.storage.history import Chunk, EventEntry
from plaudit.storage.log import SEGMENT_SIZE_BYTES, Log
from plaudit.storage.records import Record
from plaudit.storage.segment import Segment
from plaudit.storage.snapshots import StoredUser
from plaudit.storage.sqlite import opening
from plaudit.storage.state import Slice, StateStore
from tests.engine.builders import CREATED_MS, event_id

NO_KEYS: Mapping[int, str] = {}
NO_COUNTERS: Mapping[Counter, int] = {}


def record(first: int, count: int = 1, *, epoch: int = 1, body: bytes = b"") -> Record:
    """A record whose content follows from its number, unless a body is given."""
    body = body or f"the body of {first}".encode()
    return Record(first, count, epoch, "1/2025b", b"".join(n.to_bytes(4, "big") for n in range(count)), body)


def records(count: int) -> list[Record]:
    """Records of one command each, numbered from 1."""
    return [record(number) for number in range(1, count + 1)]


@asynccontextmanager
async def opened_log(
    directory: Path, epoch: int, *, after: int = 0, segment_size: int = SEGMENT_SIZE_BYTES
) -> AsyncIterator[tuple[Log, list[Record]]]:
    """A log and its tail, closed at the end."""
    log, tail = await Log.open(directory, epoch, after, segment_size=segment_size)
    try:
        yield log, tail
    finally:
        await log.close()


async def write_log(directory: Path, *written: Record, epoch: int = 1, segment_size: int = SEGMENT_SIZE_BYTES) -> None:
    """Leave a log with these records behind, closed."""
    async with opened_log(directory, epoch, after=written[0].first - 1, segment_size=segment_size) as (log, _):
        for one in written:
            await log.append(one)


async def read_log(directory: Path, epoch: int = 99, *, after: int = 0) -> list[Record]:
    """The tail that a new owner finds."""
    async with opened_log(directory, epoch, after=after) as (_, tail):
        return tail


def segments(directory: Path) -> list[str]:
    """The numbers of the log's files."""
    return sorted(path.stem.removeprefix("log-").lstrip("0") for path in directory.glob("log-*.sqlite"))


def copy_as_killed(directory: Path, copy: Path) -> Path:
    """The directory as a kill -9 at this moment would leave it. SQLite's index of the WAL is memory: it is left out."""
    content = None
    while content is None or content != _read_files(directory):  # a kill is sudden, reading is not
        content = _read_files(directory)
    copy.mkdir()
    for name, data in content.items():
        (copy / name).write_bytes(data)
    return copy


def _read_files(directory: Path) -> dict[str, bytes]:
    content = {}
    for path in directory.iterdir():
        with suppress(FileNotFoundError):
            content[path.name] = path.read_bytes()
    return {name: data for name, data in content.items() if not name.endswith("-shm")}


def edit(path: Path, *statements: str) -> None:
    """Change a closed SQLite file behind its owner's back."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """What a closed SQLite file holds."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


async def failure(opening: Coroutine[Any, Any, object]) -> BaseException:
    """What an attempt raises, without the frames that would keep its connections alive."""
    [result] = await asyncio.gather(opening, return_exceptions=True)
    for opened in result if isinstance(result, tuple) else (result,):
        if isinstance(opened, Log | Segment | StateStore | CatalogStore):
            await opened.close()  # a connection that is left open would keep Python from ending
    assert isinstance(result, BaseException)
    return result.with_traceback(None)


@contextmanager
def no_connection_left_open() -> Iterator[None]:
    """Fail if a connection is dropped instead of closed: its file would stay locked for a while."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


def user(number: int, *, key: UserKey | None = None, applied: int = 1, chunk: int | None = None) -> StoredUser:
    """A user whose snapshot says which they are and how far they have come."""
    return StoredUser(number, key or ("", f"user-{number}"), applied, chunk, f"{number} at {applied}".encode())


def entry(number: int, key: str | None = None) -> EventEntry:
    """An event in a user's history, with an idempotency key if one is given."""
    return EventEntry(event_id(number), CREATED_MS + number, 1, 10 * number, 100 * number, idempotency_key=key)


def chunk(
    number: int, *events: int, user: int = 1, previous: int | None = None, keys: Mapping[int, str] = NO_KEYS
) -> Chunk:
    """A piece of history with these events; `keys` are the idempotency keys of some."""
    return Chunk(number, user, previous, tuple(entry(event, keys.get(event)) for event in events))


def part(
    *users: StoredUser,
    new: Iterable[StoredUser] | None = None,
    chunks: Iterable[Chunk] = (),
    counters: Mapping[Counter, int] = NO_COUNTERS,
    gateways: Iterable[tuple[int, bytes]] = (),
) -> Slice:
    """A slice of a checkpoint. Its users have never been saved, unless `new` says which have not."""
    return Slice(list(users), list(users if new is None else new), list(chunks), dict(counters), list(gateways))


async def load_users(store: StateStore) -> list[StoredUser | Corrupt]:
    """All users, by id."""
    return [stored for _, stored in await store.scan_users(limit=100_000)]


async def load_history(store: StateStore, chunk: int | None) -> list[EventEntry]:
    """The events of a chunk and of all before it, oldest first."""
    chunks = await store.load_chain(chunk, 1_000)
    return [event for one in reversed(chunks) for event in one.entries]


@asynccontextmanager
async def opened_state(directory: Path) -> AsyncIterator[StateStore]:
    """The state, closed at the end."""
    store = await StateStore.open(directory)
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def connected(path: Path, schema: int = 1) -> AsyncIterator[aiosqlite.Connection]:
    """The connection of an owner to come, to a file that is there."""
    async with opening(path, "", schema) as connection:
        pass
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def opened_segment(path: Path, epoch: int) -> AsyncIterator[Segment]:
    """A segment, closed at the end."""
    segment = await Segment.open(path, epoch)
    try:
        yield segment
    finally:
        await segment.close()
