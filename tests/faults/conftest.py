"""The warm process that plays rounds, with the library of faults in it."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.rounds import Round
from tests.faults.shim import Counts, build
from tests.faults.zygote import Zygote


@pytest.fixture(scope="session")
def directory() -> Iterator[Path]:
    """In memory where there is such a place: a killed process does not lose what the page cache holds."""
    memory = Path("/dev/shm")
    place = tempfile.mkdtemp(prefix="plaudit-faults-", dir=memory if os.access(memory, os.W_OK) else None)
    yield Path(place)
    shutil.rmtree(place)


@pytest.fixture(scope="session")
def zygote(directory: Path) -> Iterator[Zygote]:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if sys.platform != "linux" or compiler is None:
        if os.environ.get("CI"):
            pytest.fail("these tests need Linux and a C compiler")
        pytest.skip("needs Linux and a C compiler")
    zygote = Zygote(build(compiler, directory), directory)
    yield zygote
    zygote.close()


@pytest.fixture(scope="session")
def steps(zygote: Zygote) -> list[Counts]:
    """The operations of the workload without a fault: before each step, and at the end."""
    (result,) = zygote.run([Round()])
    assert (result.problems, result.refusals + result.reports, result.end) == ([], [], "closed")
    return result.steps


@pytest.fixture(scope="session")
def counts(steps: list[Counts]) -> Counts:
    """The operations of the whole workload."""
    return steps[-1]
