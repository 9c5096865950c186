"""Commands as an operator runs them, and data directories to run them on."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

import httpx

from tests.processes import ServerProcess, command, environment

STUDY = str(Path(__file__).parents[2] / "examples" / "study.toml")
ADMIN_KEY = "operator.a-body-that-nobody-guesses"
HEADERS = {"X-API-KEY": ADMIN_KEY}
COMMAND_TIMEOUT_S = 60.0


def plaudit(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, in a process of its own."""
    return subprocess.run(
        command(*map(str, arguments)),
        capture_output=True,
        text=True,
        env=environment({}),
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )


def start(data: Path, *arguments: str, runtime: str = "inline", **variables: str) -> ServerProcess:
    """A server with the study catalog."""
    variables["PLAUDIT_ADMIN_KEY"] = ADMIN_KEY
    return ServerProcess(data, *arguments, "--catalog", STUDY, runtime=runtime, **variables)


def send(url: str, users: int, *, value: int = 1) -> None:
    """An event for each of so many users."""
    with httpx.Client(base_url=url, headers=HEADERS) as client:
        for n in range(users):
            body = {"user": {"id": f"user-{n}", "tz": "Europe/Paris"}, "value": value}
            client.post("/v1/metrics/lessons/event", json=body).raise_for_status()


def totals(url: str, users: Iterable[int]) -> list[int]:
    """The lessons of these users."""
    with httpx.Client(base_url=url, headers=HEADERS) as client:
        answers = [client.get(f"/v1/users/user-{n}/metrics").raise_for_status().json() for n in users]
    return [next(metric["current"] for metric in answer if metric["key"] == "lessons") for answer in answers]


def served_totals(data: Path, users: Iterable[int]) -> list[int]:
    """What a server on this directory says; it has ended when this returns."""
    server = start(data)
    try:
        return totals(server.url, users)
    finally:
        assert server.stop() == 0


def contents(directory: Path) -> dict[str, bytes]:
    """Every file within a directory; who looks at one leaves its locks behind."""
    files = (path for path in directory.rglob("*") if path.is_file() and path.name != "lock")
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}
