"""The only way out of a shard: replies leave after everything that they could have seen is durable.

Work that arrives during a commit goes into the next one, so a commit's fsync is shared by as much as had gathered.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from plaudit.engine.catalog import Catalog
from plaudit.engine.rules import RULES_VERSION
from plaudit.storage.log import Log
from plaudit.storage.records import Body, CatalogChange, Entry, Events, Record, encode_body


@dataclass(slots=True)
class _Group:
    """What the next commit makes durable, and who waits for it."""

    entries: list[Entry] = field(default_factory=list)
    catalog: CatalogChange | None = None
    digests: list[bytes] = field(default_factory=list)
    releases: list[Callable[[], None]] = field(default_factory=list)

    @property
    def commands(self) -> int:
        """How many commands it logs; a change of the catalog is one."""
        return 1 if self.catalog is not None else len(self.digests)


class CommitsEnded(Exception):
    """The committer has been closed: what is not durable by now never will be, here."""


class Committer:
    """Numbers commands, commits them in order, one commit at a time, and then releases their replies.

    Any error of a commit is final: it is handed to `fail`, and nothing is released any more. `check_owner` raises
    Fenced if the directory belongs to somebody else by now: replies to reads, too, may only leave if it does not.
    """

    def __init__(
        self,
        log: Log,
        epoch: int,
        applied: int,
        catalog: Catalog,
        fail: Callable[[BaseException], None],
        check_owner: Callable[[], None] = lambda: None,
    ) -> None:
        self._log = log
        self._epoch = epoch
        self._fail = fail
        self.check_owner = check_owner
        self._numbered = applied
        self._groups: deque[_Group] = deque([_Group()])
        self._wake = asyncio.Event()
        self._advanced = asyncio.Condition()
        self._error: Exception | None = None
        self._task = asyncio.create_task(self._run())
        self.committed = applied
        """The number of the last durable command."""
        self.catalog = catalog
        """The catalog that is in force after it."""

    def next_number(self) -> int:
        """The number of the command that is about to be logged."""
        return self._numbered + 1

    def add_entry(self, entry: Entry, digests: list[bytes]) -> None:
        """Log commands, the next ones in number, with the digest of each."""
        group = self._open_group()
        group.entries.append(entry)
        group.digests.extend(digests)
        self._numbered += len(entry.commands)

    def add_catalog(self, change: CatalogChange) -> None:
        """Log a change of the catalog: a command of its own, in a record of its own."""
        self._groups.append(_Group(catalog=change))
        self._groups.append(_Group())
        self._numbered += 1
        self._wake.set()

    def release(self, release: Callable[[], None]) -> None:
        """Call `release` when everything that has been added so far is durable."""
        self._open_group().releases.append(release)
        self._wake.set()

    async def wait(self, number: int) -> None:
        """Return when this command is durable. Raises the error of the commit that ended it all, or CommitsEnded."""
        if self.committed >= number:
            return
        advancing = asyncio.create_task(self._advance_to(number))
        try:
            await asyncio.wait((advancing, self._task), return_when=asyncio.FIRST_COMPLETED)
        finally:
            advancing.cancel()
        if self.committed < number:
            raise self._error or CommitsEnded(f"nobody commits any more, and command {number} is not durable")

    async def _advance_to(self, number: int) -> None:
        async with self._advanced:
            await self._advanced.wait_for(lambda: self.committed >= number or self._error is not None)

    async def close(self) -> None:
        """Return when everything is durable and released; stop. Raises the error of the commit that ended it all."""
        done = asyncio.Event()
        self.release(done.set)
        released = asyncio.create_task(done.wait())
        await asyncio.wait((released, self._task), return_when=asyncio.FIRST_COMPLETED)
        released.cancel()
        self.cancel()
        if self._error is not None:
            raise self._error

    def cancel(self) -> None:
        """Stop at once: nothing more is released."""
        self._task.cancel()

    def _open_group(self) -> _Group:
        return self._groups[-1]

    async def _run(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while len(self._groups) > 1 or self._groups[0].releases:
                    group = self._groups.popleft()
                    if not self._groups:
                        self._groups.append(_Group())
                    await self._commit(group)
        except Exception as error:  # noqa: BLE001  # whatever it is, nobody knows what the log holds now
            async with self._advanced:
                self._error = error
                self._advanced.notify_all()
            self._fail(error)

    async def _commit(self, group: _Group) -> None:
        self.check_owner()
        if group.commands:
            body: Body = group.catalog or Events(tuple(group.entries))
            await self._log.append(
                Record(
                    first=self.committed + 1,
                    count=group.commands,
                    epoch=self._epoch,
                    rules=RULES_VERSION,
                    digests=b"".join(group.digests),
                    body=encode_body(body),
                )
            )
            async with self._advanced:
                self.committed += group.commands
                self.catalog = group.catalog.catalog if group.catalog else self.catalog
                self._advanced.notify_all()
            self.check_owner()
        for release in group.releases:
            release()
