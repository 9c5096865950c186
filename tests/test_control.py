import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from plaudit.control import (
    LINE_BYTES_MAX,
    NOTE_NAME,
    AnyResult,
    Backup,
    ChangeStreakSettings,
    ClockReading,
    MoveClock,
    NoServer,
    Progress,
    ReadClock,
    ReadStreakSettings,
    Refused,
    Report,
    Request,
    Result,
    ask,
    listen,
)
from plaudit.engine.catalog import FreezeSettings, StreakMetric, StreakSettings
from plaudit.engine.errors import Invalid
from plaudit.engine.settings import FreezePatch, StreakSettingsPatch
from plaudit.http.bodies import BODY_SIZE_MAX
from plaudit.storage.backup import BackedUp, BackupNote
from plaudit.storage.errors import InUse

NOTE = BackupNote("some-id", "1", "2026-01-01T00:00:00.000Z", (BackedUp(0, 1, 2),))
REQUEST = Backup("/somewhere")
SETTINGS = StreakSettings(
    frequency="weekly",
    metrics=(StreakMetric(key="lessons", threshold=3),),
    freezes=FreezeSettings(start_count=1, max_count=2, since_ms=3),
)
FREEZES = FreezePatch(start_count=1, max_count=2)


class Operated:
    """A server that does what the test says (`Handler`)."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.act: Callable[[], Result] = lambda: NOTE
        self.going_on = asyncio.Event()
        self.going_on.set()
        self.started = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def __call__(self, request: Request, report: Report) -> Result:
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


async def back_up(data: Path, report: Report = lambda _: None) -> BackupNote:
    return await ask(data, REQUEST, BackupNote, report)


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
        assert await back_up(tmp_path, reported.append) == NOTE
        assert await back_up(tmp_path, reported.append) == NOTE
    assert operated.requests == [REQUEST, REQUEST]
    assert reported == [Progress(0, 1, 2), Progress(0, 2, 2)] * 2


async def test_what_the_server_refuses_is_told(tmp_path: Path, operated: Operated) -> None:
    def refuse() -> BackupNote:
        raise InUse("another one is under way")

    operated.act = refuse
    async with listening(tmp_path, operated):
        with pytest.raises(Refused, match=r"^another one is under way$"):
            await back_up(tmp_path)


@pytest.mark.parametrize(
    ("request_", "result"),
    [
        (ReadClock(), ClockReading(-1)),
        (MoveClock(2**50), ClockReading(2**50)),
        (ReadStreakSettings(), StreakSettings()),
        (ReadStreakSettings(), SETTINGS),
        (ChangeStreakSettings(StreakSettingsPatch()), SETTINGS),
        (ChangeStreakSettings(StreakSettingsPatch(freezes=None)), StreakSettings()),
        (ChangeStreakSettings(StreakSettingsPatch(days_off=(0, 6), freezes=FREEZES)), SETTINGS),
    ],
)
async def test_every_request_and_its_result_arrive_as_they_were(
    tmp_path: Path, operated: Operated, request_: Request, result: AnyResult
) -> None:
    operated.act = lambda: result
    async with listening(tmp_path, operated):
        assert await ask(tmp_path, request_, type(result)) == result
    assert operated.requests == [request_]


async def test_what_the_rules_refuse_is_told_as_theirs(tmp_path: Path, operated: Operated) -> None:
    def refuse() -> BackupNote:
        raise Invalid("now: not again")

    operated.act = refuse
    async with listening(tmp_path, operated):
        with pytest.raises(Invalid, match=r"^now: not again$"):
            await ask(tmp_path, MoveClock(1), ClockReading)


async def test_a_request_may_be_as_long_as_what_a_gateway_takes(tmp_path: Path, operated: Operated) -> None:
    metrics = tuple(StreakMetric(key="k" * 100, threshold=1) for _ in range(BODY_SIZE_MAX // 125))
    request = ChangeStreakSettings(StreakSettingsPatch(metrics=metrics))
    operated.act = lambda: StreakSettings(metrics=10 * metrics)
    async with listening(tmp_path, operated):
        assert await ask(tmp_path, request, StreakSettings) == StreakSettings(metrics=10 * metrics)
    assert operated.requests == [request]


async def test_a_bug_is_told_and_the_server_goes_on(tmp_path: Path, operated: Operated) -> None:
    def break_down() -> BackupNote:
        raise ZeroDivisionError("by zero")

    operated.act = break_down
    async with listening(tmp_path, operated):
        with pytest.raises(Refused, match="internal error: ZeroDivisionError"):
            await back_up(tmp_path)
        operated.act = lambda: NOTE
        assert await back_up(tmp_path) == NOTE


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
        b"x" * (LINE_BYTES_MAX + 1),
    ],
)
async def test_what_is_no_request_is_answered_with_an_error(tmp_path: Path, operated: Operated, line: bytes) -> None:
    async with listening(tmp_path, operated) as path:
        answer = await say(path, line)
        assert list(answer) == ["error"]
        assert answer["error"].startswith("not a request: ")
        assert await back_up(tmp_path) == NOTE
    assert operated.requests == [REQUEST]


async def test_a_client_that_hangs_up_cancels_its_command(tmp_path: Path, operated: Operated) -> None:
    operated.going_on.clear()
    async with listening(tmp_path, operated):
        asking = asyncio.create_task(back_up(tmp_path))
        await operated.started.wait()
        asking.cancel()
        await operated.cancelled.wait()


async def test_a_server_that_stops_cancels_what_it_does_and_says_so(tmp_path: Path, operated: Operated) -> None:
    operated.going_on.clear()
    async with listening(tmp_path, operated):
        asking = asyncio.create_task(back_up(tmp_path))
        await operated.started.wait()
    assert operated.cancelled.is_set()
    with pytest.raises(Refused, match="cancelled, because the server stops"):
        await asking


async def test_where_no_server_is_there_is_none(tmp_path: Path, operated: Operated) -> None:
    with pytest.raises(NoServer):
        await back_up(tmp_path)
    async with listening(tmp_path, operated):
        pass
    assert list(tmp_path.rglob("*")) == [tmp_path / "run"]
    with pytest.raises(NoServer):
        await back_up(tmp_path)


async def test_the_note_of_a_killed_server_is_of_no_consequence(tmp_path: Path, operated: Operated) -> None:
    async with listening(tmp_path, operated) as path:
        (tmp_path / "run" / "old.sock").hardlink_to(path)
    (tmp_path / "run" / "old.sock").rename(path)
    (tmp_path / NOTE_NAME).write_text(str(path), "utf-8")
    with pytest.raises(NoServer, match="refused"):
        await back_up(tmp_path)
    async with listening(tmp_path, operated):
        assert await back_up(tmp_path) == NOTE


async def test_a_server_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"hello\n")
        writer.close()

    (tmp_path / NOTE_NAME).write_text(str(tmp_path / "sock"), "utf-8")
    async with await asyncio.start_unix_server(babble, tmp_path / "sock"):
        with pytest.raises(Refused, match="makes no sense"):
            await back_up(tmp_path)
