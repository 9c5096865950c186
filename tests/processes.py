"""A real server in a process of its own."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil

ADMIN_KEY = "testkey1.0123456789abcdef0123456789abcdef"
CATALOG = Path(__file__).parent.parent / "examples" / "study.toml"
STOP_TIMEOUT_S = 60


class ServerProcess:
    """`plaudit serve` on a free port. Returns from the constructor when the server says that it is ready."""

    def __init__(self, data: Path, *flags: str) -> None:
        command = (sys.executable, "-m", "plaudit.cli", "serve", "--data", str(data), "--port", "0")
        self._process = subprocess.Popen(
            (*command, "--catalog", str(CATALOG), *flags),
            env={**os.environ, "PLAUDIT_ADMIN_KEY": ADMIN_KEY},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.output = ""
        self.url = self._wait_ready()

    def shard_processes(self) -> list[psutil.Process]:
        """The processes of the shards, as the process list names them."""
        children = psutil.Process(self._process.pid).children(recursive=True)
        return [child for child in children if "UserShard" in "".join(child.cmdline())]

    def descendants(self) -> list[psutil.Process]:
        """Everything that this server has started."""
        return psutil.Process(self._process.pid).children(recursive=True)

    def kill(self) -> None:
        """SIGKILL to the server's process, as the OOM killer would."""
        self._process.kill()
        self._process.wait(STOP_TIMEOUT_S)
        self._close()

    def stop(self, number: int = signal.SIGTERM, *, group: bool = False) -> int:
        """A signal to the server, or to its whole process group as a terminal's Ctrl-C; returns the exit code."""
        if group:
            os.killpg(self._process.pid, number)
        else:
            self._process.send_signal(number)
        assert self._process.stdout is not None
        self.output += self._process.stdout.read()
        code = self._process.wait(STOP_TIMEOUT_S)
        self._close()
        return code

    def wait(self) -> int:
        """The exit code of a server that ends by itself."""
        assert self._process.stdout is not None
        self.output += self._process.stdout.read()
        return self._process.wait(STOP_TIMEOUT_S)

    def abort(self) -> None:
        """End it, whatever state it is in."""
        if self._process.poll() is None:
            self.kill()
        self._close()

    def _wait_ready(self) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.output += line
            found = re.search(r"serves (http://\S+); ready", line)
            if found:
                return found[1]
        self._close()
        raise AssertionError(f"the server ended with {self._process.wait()}: {self.output}")

    def _close(self) -> None:
        if self._process.stdout is not None:
            self._process.stdout.close()
