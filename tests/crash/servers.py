"""Servers on one data directory, one after the other, and the ways to kill what they are made of."""

import random
from pathlib import Path

import psutil

from tests.crash.load import ADMIN_KEY
from tests.processes import ServerProcess, running

CATALOG = Path(__file__).parents[2] / "examples" / "study.toml"


class Servers:
    """`arguments` are those of every start."""

    def __init__(self, data: Path, *arguments: str, runtime: str = "ray") -> None:
        self.data = data
        self._arguments = arguments
        self._runtime = runtime
        self.current: ServerProcess

    def start(self, *arguments: str) -> ServerProcess:
        """Start the next one, with more arguments; the last one must have ended."""
        self.current = ServerProcess(
            self.data,
            "--shards",
            "2",
            *self._arguments,
            *arguments,
            runtime=self._runtime,
            PLAUDIT_CATALOG=str(CATALOG),
            PLAUDIT_ADMIN_KEY=ADMIN_KEY,
        )
        return self.current

    def kill_a_shard(self, choices: random.Random) -> None:
        choices.choice(self.current.shard_processes()).kill()

    def kill_a_gateway(self, choices: random.Random) -> None:
        choices.choice(self.gateways()).kill()

    def kill_all_gateways(self) -> None:
        for gateway in self.gateways():
            gateway.kill()

    def gateways(self) -> list[psutil.Process]:
        """The gateway processes of a server with several."""
        return running(psutil.Process(self.current.process.pid).children(), "spawn_main")


def is_alive(process: psutil.Process) -> bool:
    """True unless it has ended; whether somebody has collected its exit code is not the server's business."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
