"""A server in a process of its own, as an operator starts it."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import httpx

POLL_INTERVAL_S = 0.02
READY_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 30.0


def command(*arguments: str) -> list[str]:
    """The command line of `plaudit` with these arguments."""
    return [sys.executable, "-m", "plaudit.cli", *arguments]


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with `variables`, and without any other setting of Plaudit."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PLAUDIT_")} | dict(variables)


class ServerProcess:
    """`plaudit serve` on a free port with the inline runtime; it answers when this is made."""

    def __init__(self, data: Path, *arguments: str, **variables: str) -> None:
        self._errors = data.with_name(f"{data.name}.stderr")
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                command("serve", "--data", str(data), "--port", "0", "--runtime", "inline", *arguments),
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment(variables),
                text=True,
            )
        assert self.process.stdout is not None
        self._stdout = self.process.stdout
        self.output = ""
        try:
            self.url = self.read_until(r" serves (http://\S+);")[1]
            self._wait_ready()
        except BaseException:
            self.process.kill()
            self.wait()
            raise

    def read_until(self, pattern: str) -> re.Match[str]:
        """Read on to the line in which the pattern is found."""
        for line in self._stdout:
            self.output += line
            found = re.search(pattern, line)
            if found is not None:
                return found
        raise AssertionError(f"it ended and said:\n{self.output}\n{self.errors}")

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not self._is_ready():
            assert time.monotonic() < deadline
            time.sleep(POLL_INTERVAL_S)

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz").status_code == 200
        except httpx.ConnectError:
            return False

    @property
    def errors(self) -> str:
        """What it has written to stderr."""
        return self._errors.read_text("utf-8")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; returns the exit code. May be called again."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end; what the server has said until then is in `output`."""
        if not self._stdout.closed:
            with self._stdout:
                self.output += self._stdout.read()
        return self.process.wait(STOP_TIMEOUT_S)
