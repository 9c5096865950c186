"""Files that are there whole or not at all, and the lock that says who owns a directory."""

import contextlib
import fcntl
import os
from pathlib import Path

from plaudit.storage.errors import InUse

LOCK_NAME = "lock"
FAILURE_NAME = "failure"


def write_durably(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Put `content` at `path`: after a crash the file is the old one or the new one. Two fsyncs."""
    temporary = path.with_name(path.name + ".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with open(descriptor, "wb") as file:  # noqa: PTH123  # a descriptor, for its mode
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make the directory's entries durable: what was created in it stays, what was removed is gone. One fsync."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def leave_failure(directory: Path, reason: str) -> None:
    """Write down why a process ends, for whoever looks after it. If that fails too, there is nothing to be done."""
    with contextlib.suppress(OSError):
        (directory / FAILURE_NAME).write_text(reason, "utf-8")


def take_failure(directory: Path) -> str | None:
    """What `leave_failure` wrote, once; None if nothing."""
    path = directory / FAILURE_NAME
    try:
        reason = path.read_text("utf-8")
        path.unlink()
    except OSError:
        return None
    return reason


class DirectoryLock:
    """Exclusive ownership of a directory, for as long as this process lives or until `release`."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / LOCK_NAME
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock or raise InUse, which says who holds it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "another process"
            os.close(descriptor)
            raise InUse(f"{self._path}: held by {holder}") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the directory up. Does nothing if it is not held."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None
