"""The servers under measurement, as processes of their own that do not outlive the benchmark."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.target import API_KEY, HOST

ROOT = Path(__file__).parent.parent
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
_POLL_INTERVAL_S = 0.1
_LOG_TAIL_BYTES = 4000


class ServerError(Exception):
    """A server did not start; the message has the end of its log."""


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def bare_command(port: int, size: int) -> list[str]:
    """The yardstick."""
    return [sys.executable, "-m", "benchmarks.bare", "--port", str(port), "--size", str(size)]


def plaudit_command(port: int, data: Path, runtime: str, shards: int, catalog: Path) -> list[str]:
    """Plaudit as a user would start it; it wants `PLAUDIT_ENVIRONMENT`."""
    command = [sys.executable, "-m", "plaudit.cli", "serve", "--data", str(data), "--host", HOST, "--port", str(port)]
    return [*command, "--runtime", runtime, "--shards", str(shards), "--catalog", str(catalog)]


PLAUDIT_ENVIRONMENT = {"PLAUDIT_ADMIN_KEY": API_KEY, "RAY_USAGE_STATS_ENABLED": "0"}


@contextmanager
def serve(command: Sequence[str], port: int, log: Path, environment: Mapping[str, str] | None = None) -> Iterator[None]:
    """The server of `command`, ready; it is stopped by SIGTERM, and killed with its children if that takes 30 s.

    Raises ServerError if it exits or does not answer /readyz with 200 within 60 s.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C is for the benchmark, which then stops the servers in order
        )
    try:
        _wait_until_ready(process, port, log)
        yield
    finally:
        _stop(process)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _is_ready(port):
        if process.poll() is not None:
            raise ServerError(f"{process.args!r} exited with {process.returncode}:\n{_tail(log)}")
        if time.monotonic() > deadline:
            raise ServerError(f"{process.args!r} was not ready within {START_TIMEOUT_S:.0f} s:\n{_tail(log)}")
        time.sleep(_POLL_INTERVAL_S)


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=1)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        print(f"process {process.pid} ignored SIGTERM for {STOP_TIMEOUT_S:.0f} s and is killed", file=sys.stderr)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _tail(log: Path) -> str:
    return log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")
