from pathlib import Path

import pytest

from tests.maintenance.operating import plaudit, send, start

USERS = 6


class Backups:
    """A data directory with two shards, and a backup that was taken of it while it was served. Not to be changed."""

    def __init__(self, directory: Path) -> None:
        self.data = directory / "data"
        self.backup = directory / "backup"
        server = start(self.data, "--shards", "2")
        send(server.url, USERS, value=2)
        self.taken = plaudit("backup", self.data, self.backup)
        send(server.url, USERS)
        self.refused_twice = plaudit("backup", self.data, self.backup)
        self.examined = plaudit("doctor", self.data)
        assert server.stop() == 0, server.errors
        self.server = server


@pytest.fixture(scope="session")
def backups(tmp_path_factory: pytest.TempPathFactory) -> Backups:
    return Backups(tmp_path_factory.mktemp("backups"))
