import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from plaudit.control import LINE_BYTES_MAX, NOTE_NAME, Backup, NoServer, Progress, Refused, Report, ask, listen
from plaudit.storage.backup import BackedUp, BackupNote
from plaudit.storage.errors import InUse

NOTE = BackupNote("some-id", "1", "2026-01-01T00:00:00.000Z", (BackedUp(0, 1, 2),))
REQUEST = Backup("/somewhere")


class Operated:
    """A server that does what the test says (`Handler`)."""

    def __init__(self) -> None:
        self.requests: list[Backup] = []
        self.act: Callable[[], BackupNote] = lambda: NOTE
        self.going_on = asyncio.Event()
        self.going_on.set()
        self.started = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def __call__(self, request: Backup, report: Report) -> BackupNote:
        self.requests.append(request)
        report(Progress(0, 1, 2))
        self.started.set()
        try:
            await self.going_on.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        report(Progress(0, 2, 2))
        return self.act()


@pytest.fixture
async def operated() -> Operated:
    return Operated()


@asynccontextmanager
async def listening(data: Path, operated: Operated) -> AsyncIterator[Path]:
    run = data / "run"
    run.mkdir(exist_ok=True)
    async with listen(data, run, operated):
        yield run / "control.sock"


async def say(path: Path, *parts: bytes) -> dict[str, str]:
    """What the server answers to bytes, in one line, before it hangs up."""
    reader, writer = await asyncio.open_unix_connection(path)
    for part in parts:
        writer.write(part)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    assert answer.count(b"\n") == 1
    decoded: dict[str, str] = msgspec.json.decode(answer)
    return decoded


async def test_a_command_is_obeyed_and_says_how_far_it_is(tmp_path: Path, operated: Operated) -> None:
    reported: list[Progress] = []
    async with listening(tmp_path, operated):
        assert await ask(tmp_path, REQUEST, reported.append) == NOTE
        assert await ask(tmp_path, REQUEST, reported.append) == NOTE
    assert operated.requests == [REQUEST, REQUEST]
    assert reported == [Progress(0, 1, 2), Progress(0, 2, 2)] * 2


async def test_what_the_server_refuses_is_told(tmp_path: Path, operated: Operated) -> None:
    def refuse() -> BackupNote:
        raise InUse("another one is under way")

    operated.act = refuse
    async with listening(tmp_path, operated):
        with pytest.raises(Refused, match=r"^another one is under way$"):
            await ask(tmp_path, REQUEST, lambda _: None)


async def test_a_bug_is_told_and_the_server_goes_on(tmp_path: Path, operated: Operated) -> None:
    def break_down() -> BackupNote:
        raise ZeroDivisionError("by zero")

    operated.act = break_down
    async with listening(tmp_path, operated):
        with pytest.raises(Refused, match="internal error: ZeroDivisionError"):
            await ask(tmp_path, REQUEST, lambda _: None)
        operated.act = lambda: NOTE
        assert await ask(tmp_path, REQUEST, lambda _: None) == NOTE


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"{}\n",
        b"hello\n",
        b'{"command": "reboot"}\n',
        b'{"command": "backup"}\n',
        b'{"command": "backup", "target": 7}\n',
        b'{"command": "backup", "target": "\xff"}\n',
        b"[" * 50_000 + b"\n",
        b"x" * (2 * LINE_BYTES_MAX) + b"\n",
    ],
)
async def test_what_is_no_request_is_answered_with_an_error(tmp_path: Path, operated: Operated, line: bytes) -> None:
    async with listening(tmp_path, operated) as path:
        answer = await say(path, line)
        assert list(answer) == ["error"]
        assert answer["error"].startswith("not a request: ")
        assert await ask(tmp_path, REQUEST, lambda _: None) == NOTE
    assert operated.requests == [REQUEST]


async def test_a_client_that_hangs_up_cancels_its_command(tmp_path: Path, operated: Operated) -> None:
    operated.going_on.clear()
    async with listening(tmp_path, operated):
        asking = asyncio.create_task(ask(tmp_path, REQUEST, lambda _: None))
        await operated.started.wait()
        asking.cancel()
        await operated.cancelled.wait()


async def test_a_server_that_stops_cancels_what_it_does_and_says_so(tmp_path: Path, operated: Operated) -> None:
    operated.going_on.clear()
    async with listening(tmp_path, operated):
        asking = asyncio.create_task(ask(tmp_path, REQUEST, lambda _: None))
        await operated.started.wait()
    assert operated.cancelled.is_set()
    with pytest.raises(Refused, match="cancelled, because the server stops"):
        await asking


async def test_where_no_server_is_there_is_none(tmp_path: Path, operated: Operated) -> None:
    with pytest.raises(NoServer):
        await ask(tmp_path, REQUEST, lambda _: None)
    async with listening(tmp_path, operated):
        pass
    assert list(tmp_path.rglob("*")) == [tmp_path / "run"]
    with pytest.raises(NoServer):
        await ask(tmp_path, REQUEST, lambda _: None)


async def test_the_note_of_a_killed_server_is_of_no_consequence(tmp_path: Path, operated: Operated) -> None:
    async with listening(tmp_path, operated) as path:
        (tmp_path / "run" / "old.sock").hardlink_to(path)
    (tmp_path / "run" / "old.sock").rename(path)
    (tmp_path / NOTE_NAME).write_text(str(path), "utf-8")
    with pytest.raises(NoServer, match="refused"):
        await ask(tmp_path, REQUEST, lambda _: None)
    async with listening(tmp_path, operated):
        assert await ask(tmp_path, REQUEST, lambda _: None) == NOTE


async def test_a_server_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"hello\n")
        writer.close()

    (tmp_path / NOTE_NAME).write_text(str(tmp_path / "sock"), "utf-8")
    async with await asyncio.start_unix_server(babble, tmp_path / "sock"):
        with pytest.raises(Refused, match="makes no sense"):
            await ask(tmp_path, REQUEST, lambda _: None)
