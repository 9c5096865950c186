"""A server in a process of its own, as an operator starts it."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil

STOP_TIMEOUT_S = 60.0


def command(*arguments: str) -> list[str]:
    """The command line of `plaudit` with these arguments."""
    return [sys.executable, "-m", "plaudit.cli", *arguments]


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with `variables`, and without any other setting of Plaudit."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PLAUDIT_")} | dict(variables)


def running(processes: Iterable[psutil.Process], word: str) -> list[psutil.Process]:
    """Those whose command lines have a word in them, and that have not ended meanwhile."""
    found = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if word in "".join(process.cmdline()):
                found.append(process)
    return found


class ServerProcess:
    """`plaudit serve` on a free port; it is ready when this is made."""

    def __init__(self, data: Path, *arguments: str, runtime: str = "inline", **variables: str) -> None:
        self._errors = data.with_name(f"{data.name}.stderr")
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                command("serve", "--data", str(data), "--port", "0", "--runtime", runtime, *arguments),
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment(variables),
                text=True,
                start_new_session=True,
            )
        assert self.process.stdout is not None
        self._stdout = self.process.stdout
        self.output = ""
        try:
            self.url = self.read_until(r" serves (http://\S+);")[1]
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

    @property
    def errors(self) -> str:
        """What it has written to stderr."""
        return self._errors.read_text("utf-8")

    def shard_processes(self) -> list[psutil.Process]:
        """The processes of the shards of users, as the process list names them."""
        return running(self.descendants(), "UserShard")

    def leaderboard_processes(self) -> list[psutil.Process]:
        """Those of the leaderboard shards."""
        return running(self.descendants(), "LeaderboardShard")

    def descendants(self) -> list[psutil.Process]:
        """Everything that this server has started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self, number: signal.Signals = signal.SIGTERM, *, group: bool = False) -> int:
        """Send a signal, to the whole group as a terminal's Ctrl-C does, and wait for the end; returns the exit code.

        May be called again.
        """
        if self.process.poll() is None:
            if group:
                os.killpg(self.process.pid, number)
            else:
                self.process.send_signal(number)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL to the server's own process, as the OOM killer would. May be called again."""
        self.process.kill()
        self._stdout.close()
        self.process.wait(STOP_TIMEOUT_S)

    def wait(self) -> int:
        """Wait for the end; what the server has said until then is in `output`."""
        if not self._stdout.closed:
            with self._stdout:
                self.output += self._stdout.read()
        return self.process.wait(STOP_TIMEOUT_S)
