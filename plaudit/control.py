"""The control channel: how what concerns a whole server reaches it, from its operator and from its gateways.

A Unix socket in the server's private run directory: whoever may enter that directory may command. DATA/control has the
path of the socket, which is elsewhere if DATA has a long path. A connection carries one request, a line of JSON, and
its answers: progress, then `done`, `rejected` or `error`. A client that hangs up cancels its command.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Raw, Struct

from plaudit.engine.catalog import StreakSettings
from plaudit.engine.changes import Change
from plaudit.engine.document import Document
from plaudit.engine.errors import Invalid, Rejected
from plaudit.engine.settings import StreakSettingsPatch
from plaudit.storage.backup import BackupNote
from plaudit.storage.errors import StorageError
from plaudit.storage.files import write_durably

NOTE_NAME = "control"
SOCKET_NAME = "control.sock"
LINE_BYTES_MAX = 64 * 2**20
"""Of a request: more than the longest body that a gateway takes, and than a catalog of some hundred thousand items."""
ANSWER_BYTES_MAX = 16 * 2**20
REQUEST_TIMEOUT_S = 10.0

LOG = logging.getLogger(__name__)


class Backup(Struct, frozen=True, tag_field="command", tag="backup"):
    """Back up to a directory that is missing or empty; an absolute path."""

    target: str


class ReadClock(Struct, frozen=True, tag_field="command", tag="read clock"):
    """What time it is; of a server with a test clock."""


class MoveClock(Struct, frozen=True, tag_field="command", tag="move clock"):
    """Move the test clock; see `ClockKeeper.move`. Goes on if it is cancelled."""

    now_ms: int


class ReadStreakSettings(Struct, frozen=True, tag_field="command", tag="read streak settings"):
    """The streak settings in force."""


class ChangeStreakSettings(Struct, frozen=True, tag_field="command", tag="change streak settings"):
    """Change the streak settings; done when no event meets the old ones any more."""

    patch: StreakSettingsPatch


class ApplyCatalog(Struct, frozen=True, tag_field="command", tag="apply catalog"):
    """Make a document the catalog; done when no event meets the old one any more. Goes on if it is cancelled."""

    document: Document


Request = Backup | ApplyCatalog | ReadClock | MoveClock | ReadStreakSettings | ChangeStreakSettings


class ClockReading(Struct, frozen=True):
    """The time, in Unix milliseconds."""

    now_ms: int


class AppliedCatalog(Struct, frozen=True):
    """The version that is in force now, and what is different in it."""

    version: int
    changes: list[Change]


Result = BackupNote | ClockReading | StreakSettings | AppliedCatalog
AnyResult = TypeVar("AnyResult", BackupNote, ClockReading, StreakSettings, AppliedCatalog)


class Progress(Struct, frozen=True):
    """How many bytes of a shard have been copied."""

    shard: int
    """Its position among all: those of users, then those of leaderboards."""
    bytes: int
    total: int


class Answer(Struct, frozen=True, omit_defaults=True):
    """One line from the server: exactly one of these."""

    progress: Progress | None = None
    done: Raw = Raw()
    """The result that the request asks for; empty if this is something else."""
    rejected: str | None = None
    """What the rules have against the request."""
    error: str | None = None


Report = Callable[[Progress], None]
Handler = Callable[[Request, Report], Coroutine[None, None, Result]]
"""Does what a request asks for. A StorageError or Rejected is answered with its message."""


class NoServer(Exception):
    """No server listens for this data directory."""


class Refused(Exception):
    """The server could not do it, and says why."""


@contextlib.asynccontextmanager
async def listen(data: Path, directory: Path, handler: Handler) -> AsyncIterator[None]:
    """Take commands for `data` on a socket in `directory`. In the end, those under way are cancelled and have ended."""
    path = directory / SOCKET_NAME
    path.unlink(missing_ok=True)
    running: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_Conversation(reader, writer).hold(handler))
        running.add(task)
        task.add_done_callback(running.discard)

    server = await asyncio.start_unix_server(accept, path, limit=LINE_BYTES_MAX)
    try:
        write_durably(data / NOTE_NAME, str(path).encode())
        yield
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        (data / NOTE_NAME).unlink(missing_ok=True)
        path.unlink(missing_ok=True)


class _Conversation:
    """One connection, seen from the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def hold(self, handler: Handler) -> None:
        """Read the request, answer it, and hang up."""
        with contextlib.closing(self._writer):
            try:
                async with asyncio.timeout(REQUEST_TIMEOUT_S):
                    line = await self._reader.readline()
                request: Request = msgspec.json.decode(line, type=Request)
            except (ValueError, OSError, TimeoutError) as error:  # ValueError: not JSON, or a line that is too long
                self._send(Answer(error=f"not a request: {error or 'it did not come'}"))
            else:
                await self._obey(request, handler)

    async def _obey(self, request: Request, handler: Handler) -> None:
        work = asyncio.create_task(handler(request, lambda progress: self._send(Answer(progress=progress))))
        hanging_up = asyncio.create_task(self._reader.read(1))
        try:
            await asyncio.wait((work, hanging_up), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (work, hanging_up):
                task.cancel()
            await asyncio.wait((work, hanging_up))
            self._send(_result(work))

    def _send(self, answer: Answer) -> None:
        if not self._writer.is_closing():  # the client may be gone
            self._writer.write(msgspec.json.encode(answer) + b"\n")


def _result(work: asyncio.Task[Result]) -> Answer:
    """The last answer, from what has become of the work."""
    if work.cancelled():
        return Answer(error="cancelled, because the server stops or its client is gone")
    error = work.exception()
    if error is None:
        return Answer(done=Raw(msgspec.json.encode(work.result())))
    if isinstance(error, Rejected):
        return Answer(rejected=str(error))
    if not isinstance(error, StorageError):
        LOG.error("a command by the control channel failed", exc_info=error)
    return Answer(error=str(error) if isinstance(error, StorageError) else f"internal error: {error!r}")


def ignore(_: Progress) -> None:
    """Do not care how far it is (`Report`)."""


async def ask(data: Path, request: Request, result: type[AnyResult], report: Report = ignore) -> AnyResult:
    """Have the server on `data` do something, which has this result.

    Raises NoServer if there is none, Invalid if the rules are against it, and Refused if it cannot.
    """
    try:
        path = (data / NOTE_NAME).read_text("utf-8")
        reader, writer = await asyncio.open_unix_connection(path, limit=ANSWER_BYTES_MAX)
    except OSError as error:  # no note, a note that a killed server has left, or somebody else's
        raise NoServer(f"no server answers for {data}: {error}") from error
    try:
        writer.write(msgspec.json.encode(request) + b"\n")
        while line := await reader.readline():
            answer = msgspec.json.decode(line, type=Answer)
            if bytes(answer.done):
                return msgspec.json.decode(answer.done, type=result)
            if answer.rejected is not None:
                raise Invalid(answer.rejected)
            if answer.error is not None:
                raise Refused(answer.error)
            if answer.progress is not None:
                report(answer.progress)
    except (OSError, ValueError) as error:
        raise Refused(f"the server's answer makes no sense: {error}") from error
    finally:
        writer.close()
    raise Refused("the server ended before it was done")
