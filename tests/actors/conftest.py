"""A directory for a shard."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from plaudit.actors.user_shard import ShardSettings
from tests.actors.shards import make_settings

MEMORY = Path("/dev/shm")
"""Where an fsync costs nothing; what fsyncs are for is tested with the storage."""


@pytest.fixture
def settings() -> Iterator[ShardSettings]:
    """The settings of the only shard of a new data directory."""
    with tempfile.TemporaryDirectory(prefix="p-", dir=MEMORY if MEMORY.is_dir() else None) as directory:
        yield make_settings(Path(directory) / "data", Path(directory))
