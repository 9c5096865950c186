from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from trophy import TrophyApi  # type: ignore[import-untyped]
from trophy.environment import TrophyApiEnvironment  # type: ignore[import-untyped]

from tests.processes import ServerProcess

CATALOG = Path(__file__).parents[2] / "examples" / "study.toml"
ADMIN_KEY = "sdktests.a-body-that-nobody-guesses"


class Deployment:
    """A data directory and the server that runs on it, started with `arguments`."""

    def __init__(self, data: Path, *arguments: str, catalog: Path = CATALOG) -> None:
        self._data = data
        self._catalog = catalog
        self._arguments = arguments
        self.server = self._start()

    def _start(self) -> ServerProcess:
        return ServerProcess(
            self._data,
            "--shards",
            "2",
            *self._arguments,
            PLAUDIT_CATALOG=str(self._catalog),
            PLAUDIT_ADMIN_KEY=ADMIN_KEY,
        )

    def restart(self) -> None:
        """Stop the server, and start another on the same directory."""
        assert self.server.stop() == 0, self.server.errors
        self.server = self._start()

    @property
    def environment(self) -> TrophyApiEnvironment:
        """Where the SDK finds the server."""
        return TrophyApiEnvironment(api=f"{self.server.url}/v1", admin=f"{self.server.url}/admin/v1")


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A server for all tests of a module."""
    deployment = Deployment(tmp_path_factory.mktemp("sdk") / "data")
    yield deployment
    assert deployment.server.stop() == 0, deployment.server.errors


@pytest.fixture
def client(deployment: Deployment) -> Iterator[TrophyApi]:
    """The SDK's client, with the admin key."""
    with httpx.Client() as connections:
        yield TrophyApi(api_key=ADMIN_KEY, environment=deployment.environment, httpx_client=connections)
