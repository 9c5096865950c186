"""The write-ahead log: segments, so that cutting it is removing files and never stands in a commit's way."""

import asyncio
import contextlib
import sqlite3
from pathlib import Path

from plaudit.storage.errors import Corrupt
from plaudit.storage.files import sync_directory
from plaudit.storage.records import Record
from plaudit.storage.segment import Segment
from plaudit.storage.sqlite import Synchronous, explain
from plaudit.storage.wal import Trust

FILES = "log-????????.sqlite"
"""The names of its files, as a pattern."""
SEGMENT_SIZE_BYTES = 16 * 2**20


class Log:
    """Records in the order of their commits, each durable when `append` returns.

    One task appends. The next segment is opened while the current one fills, so a switch costs no commit anything.
    """

    def __init__(self, directory: Path, epoch: int, synchronous: Synchronous, segment_size: int) -> None:
        self._directory = directory
        self._epoch = epoch
        self._synchronous: Synchronous = synchronous
        self._segment_size = segment_size
        self._index = 0
        self._full: list[tuple[Segment, int]] = []
        """Segments that take no more records, each with the number of its last command, oldest first."""
        self._current: Segment
        self._last = 0
        self._spare: asyncio.Task[Segment] | None = None
        self._appending = asyncio.Lock()

    @classmethod
    async def open(
        cls,
        directory: Path,
        epoch: int,
        after: int,
        synchronous: Synchronous = "FULL",
        segment_size: int = SEGMENT_SIZE_BYTES,
        trust: Trust = "unknown",
    ) -> tuple["Log", list[Record]]:
        """Take over the log and return its tail, the records with commands above number `after`.

        The tail is verified and copied into a new, fsynced segment before anyone trusts it: what a failed fsync left in
        the page cache could be read once and then be gone. Raises Corrupt, Fenced or InUse.
        """
        log = cls(directory, epoch, synchronous, segment_size)
        async with contextlib.AsyncExitStack() as stack:
            old = []
            for path in sorted(directory.glob(FILES)):
                old.append(await Segment.open(path, epoch, trust=trust))
                stack.push_async_callback(old[-1].close)
            tail = _join([(segment.path, await segment.read()) for segment in old], after)
            log._index = max((int(segment.path.stem.removeprefix("log-")) for segment in old), default=0)
            log._current = await log._open_next()
            stack.push_async_callback(log._current.close)
            try:
                await log._current.copy_in(tail)
                await log.sync()
            except sqlite3.Error as error:
                raise explain(error, log._current.path) from error
            for segment in old:
                await segment.remove()
            sync_directory(directory)
            stack.pop_all()
        log._last = tail[-1].last if tail else after
        return log, tail

    async def append(self, record: Record) -> None:
        """Make the next record durable. Raises StorageError: then the log must be reopened."""
        if record.first != self._last + 1:
            raise Corrupt(f"{self._current.path}: record {record.first} cannot follow {self._last}")
        async with self._appending:
            if self._current.size >= self._segment_size:
                await self._switch()
            await self._current.append(record)
            self._last = record.last
        if self._spare is None and self._current.size >= self._segment_size // 2:
            self._spare = asyncio.create_task(self._open_next())

    async def start_segment(self) -> None:
        """Begin a new file, so that all there is can be cut: for what must not stay until the file is full."""
        async with self._appending:
            await self._switch()

    def paths(self) -> list[Path]:
        """The files that hold all that has been appended, oldest first; not the one that waits to be next."""
        return [*(segment.path for segment, _ in self._full), self._current.path]

    async def cut(self, through: int) -> None:
        """Remove the full segments whose commands are all at or below number `through`."""
        while self._full and self._full[0][1] <= through:
            await self._full[0][0].remove()
            self._full.pop(0)

    async def close(self, through: int | None = None) -> None:
        """Close the log. If its last command is number `through`, nothing in it is needed: leave no file behind."""
        spare = await asyncio.gather(*([self._spare] if self._spare else []), return_exceptions=True)
        opened = [segment for segment in spare if isinstance(segment, Segment)]
        segments = [*(segment for segment, _ in self._full), self._current, *opened]
        async with contextlib.AsyncExitStack() as stack:
            for segment in segments:
                stack.push_async_callback(segment.remove if through == self._last else segment.close)
        sync_directory(self._directory)

    async def sync(self) -> None:
        """Make what has been appended survive a power cut, if `append` alone does not. One fsync, or none."""
        if self._synchronous != "FULL":
            await self._current.sync()

    async def _switch(self) -> None:
        await self.sync()
        if self._spare is None:
            self._spare = asyncio.create_task(self._open_next())
        spare = await asyncio.shield(self._spare)
        full, self._current, self._spare = self._current, spare, None
        self._full.append((full, self._last))

    async def _open_next(self) -> Segment:
        self._index += 1
        path = self._directory / f"log-{self._index:08d}.sqlite"
        return await Segment.open(path, self._epoch, self._synchronous)


def _join(segments: list[tuple[Path, list[Record]]], after: int) -> list[Record]:
    """The records above `after`, without a gap. A copy that a crash cut short repeats records: equal ones are one."""
    found: dict[int, tuple[Path, Record]] = {}
    for path, records in segments:
        for record in records:
            if record.last > after and found.setdefault(record.first, (path, record))[1] != record:
                raise Corrupt(f"{path}: record {record.first} is there twice, with different content")
    expected = after + 1
    for first, (path, record) in sorted(found.items()):
        if first != expected:
            raise Corrupt(f"{path}: expected record {expected}, got {first}")
        expected = record.last + 1
    return [record for _, (_, record) in sorted(found.items())]
