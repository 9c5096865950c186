import contextlib
import re
import shlex
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import typer
from typer.testing import CliRunner

from plaudit import __version__, cli
from plaudit.actors.runtime import InlineRuntime
from plaudit.config import Settings
from plaudit.server import ServerFailed
from tests.processes import ServerProcess

STUDY = str(Path(__file__).parents[1] / "examples" / "study.toml")
ADMIN_KEY = "clitests.a-body-that-nobody-guesses"
Start = Callable[..., ServerProcess]
FLAGS = {
    "--data": "elsewhere",
    "--host": "0.0.0.0",
    "--port": "0",
    "--runtime": "inline",
    "--shards": "3",
    "--leaderboard-shards": "2",
    "--catalog": STUDY,
    "--ray-address": "127.0.0.1:6379",
    "--workers": "4",
    "--durability": "process",
    "--users-in-memory": "1000",
    "--timer-window": "0",
    "--test-clock": "True",
}
"""Every flag of `plaudit serve` with a value that is not its default."""
SWITCHES = {"--test-clock"}
"""Flags that take no value."""


def variable(flag: str) -> str:
    return "PLAUDIT_" + flag.removeprefix("--").replace("-", "_").upper()


def has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


def run(*arguments: str, **variables: str) -> Any:
    """Run the command in this process, where it must end on its own."""
    unset = dict.fromkeys([*map(variable, FLAGS), "PLAUDIT_ADMIN_KEY"])
    return CliRunner().invoke(cli.app, arguments, env={**unset, **variables})


def refused(data: Path, *arguments: str, **variables: str) -> str:
    """The one line that says why a server does not start."""
    result = run("serve", "--data", str(data), "--port", "0", "--runtime", "inline", *arguments, **variables)
    assert result.exit_code == 1, repr(result.exception)
    assert result.stdout.strip() == ""
    assert result.stderr.startswith("plaudit: ")
    return str(result.stderr).removeprefix("plaudit: ").strip()


class FirstStart:
    """A server that has just been started for the first time, without a key, and what it has told its operator."""

    def __init__(self, data: Path, server: ServerProcess) -> None:
        self.data = data
        self.server = server
        server.read_until("^curl ")
        server.read_until(" -d ")
        self.key = re.findall(r"shown this once: (\S+)", server.output)[0]
        self.curl = shlex.split(server.output[server.output.index("curl ") :].replace("\\\n", ""))


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Starts servers, which end with the module's tests at the latest."""
    servers: list[ServerProcess] = []

    def start(data: Path, *arguments: str, **variables: str) -> ServerProcess:
        servers.append(ServerProcess(data, *arguments, **variables))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def first(start: Start, tmp_path_factory: pytest.TempPathFactory) -> FirstStart:
    """One for all tests that leave it running."""
    data = tmp_path_factory.mktemp("cli") / "data"
    return FirstStart(data, start(data, "--catalog", STUDY))


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings with which servers would have been started."""
    settings: list[Settings] = []

    async def take(asked: Settings, *_: object) -> None:
        settings.append(asked)

    monkeypatch.setattr(cli, "serve", take)
    return settings


def test_the_printed_curl_works_as_it_is(first: FirstStart) -> None:
    curl, _, method, url, *rest = first.curl
    assert (curl, url) == ("curl", f"{first.server.url}/v1/metrics/lessons/event")
    options = list(zip(rest[::2], rest[1::2], strict=True))
    headers = dict(text.split(": ") for option, text in options if option == "-H")
    (body,) = (text for option, text in options if option == "-d")
    response = httpx.request(method, url, headers=headers, content=body)
    assert response.status_code == 201
    assert [achievement["key"] for achievement in response.json()["achievements"]] == ["first-lesson"]
    assert first.key == headers["X-API-KEY"]


def test_the_printed_key_is_nowhere_in_the_data_directory(first: FirstStart) -> None:
    prefix, body = first.key.split(".")
    files = [path.read_bytes() for path in first.data.rglob("*") if path.is_file()]
    assert any(prefix.encode() in content for content in files)
    assert not any(body.encode() in content for content in files)


def test_apply_changes_the_catalog_of_the_running_server(start: Start, tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "catalog.toml"
    server = start(data, "--catalog", STUDY, PLAUDIT_ADMIN_KEY=ADMIN_KEY)
    file.write_text(Path(STUDY).read_text("utf-8").replace('name = "First steps"', 'name = "One small step"'), "utf-8")
    result = run("apply", str(file), "--data", str(data))
    assert result.exit_code == 0, result.stderr
    assert "achievements: 0 added, 1 changed, 0 archived" in result.stdout
    body = {"user": {"id": "sam"}, "value": 1}
    event = httpx.post(
        f"{server.url}/v1/metrics/lessons/event", json=body, headers={"X-API-KEY": ADMIN_KEY}, timeout=10
    )
    assert [achievement["name"] for achievement in event.json()["achievements"]] == ["One small step"]
    again = run("apply", str(file), PLAUDIT_DATA=str(data))
    assert again.stdout.startswith("Nothing has changed: catalog version 2")


def test_apply_says_what_is_wrong_and_where_no_server_is(tmp_path: Path) -> None:
    result = run("apply", STUDY, "--data", str(tmp_path))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"plaudit: {tmp_path}: no server runs on it")
    broken = tmp_path / "broken.toml"
    broken.write_text('[[achievements]]\nkey = "a"\nname = "A"\ntrigger = "streak"\n', "utf-8")
    result = run("apply", str(broken), "--data", str(tmp_path))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "streak_length: expected" in result.stderr


def test_a_second_server_on_the_directory_is_refused_and_told_who_has_it(first: FirstStart) -> None:
    assert refused(first.data) == f"{first.data}/lock: held by process {first.server.process.pid}"
    assert httpx.get(f"{first.server.url}/readyz").status_code == 200


def test_an_address_that_is_taken_is_named(first: FirstStart, tmp_path: Path) -> None:
    port = first.server.url.rpartition(":")[2]
    assert refused(tmp_path / "data", "--port", port) == f"127.0.0.1:{port}: Address already in use"


def test_sigterm_leaves_empty_logs_and_the_next_start_goes_on(start: Start, tmp_path: Path) -> None:
    data = tmp_path / "data"
    first = FirstStart(data, start(data, "--catalog", STUDY))
    headers = {"X-API-KEY": first.key}
    event = {"user": {"id": "sam"}, "value": 2}
    httpx.post(f"{first.server.url}/v1/metrics/lessons/event", json=event, headers=headers).raise_for_status()
    assert list(data.rglob("log-*.sqlite"))
    assert first.server.stop(signal.SIGTERM) == 0
    assert first.server.output.endswith("Stopped; everything is saved.\n")
    assert first.server.errors == ""
    assert not list(data.rglob("log-*"))
    assert not list(data.rglob("*.sock"))
    assert "made with 1 shards" in refused(data, "--shards", "2")
    assert "made with 1 leaderboard shards" in refused(data, "--leaderboard-shards", "2")
    again = start(data)
    metrics = httpx.get(f"{again.url}/v1/users/sam/metrics", headers=headers).json()
    assert metrics[0]["current"] == 2
    assert again.stop(signal.SIGINT) == 0
    assert first.key.partition(".")[0] not in again.output
    assert "admin key" not in again.output
    assert "curl" not in again.output


def test_several_gateways_serve_and_stop_together(start: Start, tmp_path: Path) -> None:
    server = start(tmp_path / "data", PLAUDIT_WORKERS="2", PLAUDIT_ADMIN_KEY=ADMIN_KEY)
    for _ in range(10):
        assert httpx.get(f"{server.url}/v1/users/sam", headers={"X-API-KEY": ADMIN_KEY}).status_code == 404
    assert server.stop() == 0
    assert server.errors == ""
    assert ADMIN_KEY not in server.output


def test_a_key_that_nobody_has_seen_is_made_again(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: object) -> None:
        raise ServerFailed("no runtime today")

    with monkeypatch.context() as patched:
        patched.setattr(InlineRuntime, "start", fail)
        assert refused(tmp_path / "data") == "no runtime today"
    server = start(tmp_path / "data")
    server.stop()
    assert "The admin key, shown this once:" in server.output


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_an_ipv6_address_is_printed_as_a_url_has_it(start: Start, tmp_path: Path) -> None:
    server = start(tmp_path / "data", "--host", "::1", PLAUDIT_ADMIN_KEY=ADMIN_KEY)
    server.stop()
    assert server.url.startswith("http://[::1]:")


def test_a_bad_catalog_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    catalog = tmp_path / "catalog.toml"
    catalog.write_text('[[metrics]]\nkey = "two words"\nname = "Words"\n', "utf-8")
    message = refused(tmp_path / "data", "--catalog", str(catalog))
    assert message.startswith(f"{catalog}: [[metrics]] number 1 key: expected str")
    assert "No such file" in refused(tmp_path / "data", "--catalog", str(tmp_path / "missing.toml"))
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("key", ["short", "prefix12", "prefix12.", "prefix12.too-short", ".a-body-that-nobody-guesses"])
def test_a_bad_admin_key_is_refused_and_not_repeated(tmp_path: Path, key: str) -> None:
    message = refused(tmp_path / "data", PLAUDIT_ADMIN_KEY=key)
    assert message.startswith("PLAUDIT_ADMIN_KEY: expected ")
    assert key not in message
    assert not (tmp_path / "data").exists()


def test_a_directory_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear Sam", "utf-8")
    assert "not a data directory" in refused(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"letter.txt", "lock"}


def test_a_data_directory_that_cannot_be_one_is_refused_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("", "utf-8")
    assert str(tmp_path / "data") in refused(tmp_path / "data")


def test_an_address_that_is_not_ours_is_named(tmp_path: Path) -> None:
    assert refused(tmp_path / "data", "--host", "192.0.2.1") == "192.0.2.1:0: Cannot assign requested address"


def test_every_flag_is_known_here_and_has_its_variable() -> None:
    command: Any = typer.main.get_command(cli.app)
    variables = {option.opts[0]: option.envvar for option in command.commands["serve"].params}
    assert variables == {flag: variable(flag) for flag in FLAGS}


@pytest.mark.parametrize(("flag", "value"), FLAGS.items())
def test_a_flag_and_its_variable_do_the_same(started: list[Settings], flag: str, value: str) -> None:
    arguments = [flag] if flag in SWITCHES else [flag, value]
    assert run("serve", *arguments).exit_code == 0
    assert run("serve", **{variable(flag): value}).exit_code == 0
    assert run("serve", *arguments, **{variable(flag): "1"}).exit_code == 0, "the flag wins"
    assert run("serve").exit_code == 0
    by_flag, by_variable, by_both, by_default = started
    assert by_flag == by_variable == by_both
    assert by_default == Settings()
    field = flag.removeprefix("--").replace("-", "_")
    assert str(getattr(by_flag, field)) == value
    assert msgspec.structs.replace(by_flag, **{field: getattr(by_default, field)}) == by_default


def test_the_admin_key_comes_from_the_environment_alone(started: list[Settings]) -> None:
    assert run("serve", PLAUDIT_ADMIN_KEY=ADMIN_KEY).exit_code == 0
    assert run("serve", PLAUDIT_ADMIN_KEY="").exit_code == 0
    assert [settings.admin_key for settings in started] == [ADMIN_KEY, None]
    assert run("serve", "--admin-key", ADMIN_KEY).exit_code == 2


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--port", "65536"),
        ("--port", "-1"),
        ("--port", "http"),
        ("--shards", "0"),
        ("--shards", "257"),
        ("--workers", "0"),
        ("--workers", "65"),
        ("--timer-window", "-1"),
        ("--timer-window", "3601"),
        ("--runtime", "thread"),
        ("--durability", "never"),
    ],
)
def test_a_value_out_of_bounds_is_refused(started: list[Settings], flag: str, value: str) -> None:
    result = run("serve", flag, value)
    assert result.exit_code == 2
    assert flag in result.stderr
    assert not started


def test_the_version_is_printed() -> None:
    assert run("version").stdout == f"{__version__}\n"
