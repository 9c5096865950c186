"""The directory that a backup, a restore or an examination makes: whole in the end, or gone."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from plaudit.storage.errors import Unusable, WrongDirectory
from plaudit.storage.files import sync_directory

REMOVE_TRIES = 50
REMOVE_RETRY_S = 0.1


@contextlib.asynccontextmanager
async def making(target: Path) -> AsyncIterator[None]:
    """Make a directory that is missing or empty. If the block raises, what was written is removed.

    Raises WrongDirectory if it has something in it, or Unusable.
    """
    was_there = _prepare(target)
    try:
        yield
        sync_directory(target.parent)
    except BaseException:
        await _clear(target)
        if not was_there:
            with contextlib.suppress(OSError):
                target.rmdir()
        raise


def _prepare(target: Path) -> bool:
    try:
        if target.exists() and any(target.iterdir()):
            raise WrongDirectory(f"{target}: not empty; give a directory that is empty, or does not exist yet")
        was_there = target.exists()
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Unusable(f"{target}: {error.strerror or error}") from error
    return was_there


async def _clear(target: Path) -> None:
    """Empty a directory. The copying child of a process that was killed may still write there for a moment."""
    for _ in range(REMOVE_TRIES):
        for path in target.iterdir() if target.exists() else ():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        if not target.exists() or not any(target.iterdir()):
            return
        await asyncio.sleep(REMOVE_RETRY_S)
