"""A server in a process of its own, as an operator starts it."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import httpx

POLL_INTERVAL_S = 0.02
READY_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 30.0
_SERVES = re.compile(r" serves (http://\S+?);")


def command(*arguments: str) -> list[str]:
    """The command line of `plaudit` with these arguments."""
    return [sys.executable, "-m", "plaudit.cli", *arguments]


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with `variables`, and without any other setting of Plaudit."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PLAUDIT_")} | dict(variables)


class ServerProcess:
    """`plaudit serve` on a free port with the inline runtime. Ready when made, unless it ended: see `url`."""

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
        self.url: str | None = self._read_url()
        if self.url is not None:
            self._wait_ready(self.url)

    def _read_url(self) -> str | None:
        """What it says that it serves; None if it ends before it says so."""
        for line in self._stdout:
            self.output += line
            found = _SERVES.search(line)
            if found is not None:
                return found[1]
        return None

    def _wait_ready(self, url: str) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while True:
            try:
                response = httpx.get(f"{url}/readyz")
            except httpx.ConnectError:
                response = None
            if response is not None and response.status_code == 200:
                return
            assert time.monotonic() < deadline, response
            time.sleep(POLL_INTERVAL_S)

    @property
    def errors(self) -> str:
        """What it has written to stderr."""
        return self._errors.read_text("utf-8")

    def stop(self) -> int:
        """Send SIGTERM and wait; returns the exit code, and puts the rest of what it said in `output`."""
        self.process.terminate()
        return self.wait()

    def wait(self) -> int:
        """Wait for the end; see `stop`."""
        with self._stdout:
            self.output += self._stdout.read()
        return self.process.wait(STOP_TIMEOUT_S)
