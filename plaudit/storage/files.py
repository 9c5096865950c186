"""Files that are there whole or not at all, and the lock that says who owns a directory."""

import contextlib
import fcntl
import os
from pathlib import Path

from plaudit.storage.errors import InUse

LOCK_NAME = "lock"
FAILURE_NAME = "failure"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


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


def sync_file(path: Path) -> None:
    """Wait for the disk to have what has been written to a file. One fsync."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


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


def read_boot_id() -> str:
    """An id that is another one after every start of the machine; empty if the system does not say."""
    try:
        return BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""


class DirectoryLock:
    """Exclusive ownership of a directory, for as long as this process lives or until `release`.

    `same_boot` is true if all that is in the directory was written in this boot of the machine: then no power cut can
    have taken anything, and what is not right is damage. In doubt it is false: it takes an owner of this boot who said
    so with `vouch`, and was killed. The lock file is not synced, and need not be: whatever a power cut leaves in it, it
    is not the id of the new boot.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / LOCK_NAME
        self._descriptor: int | None = None
        self.same_boot = False

    def acquire(self) -> None:
        """Take the lock or raise InUse, which says who holds it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder, _ = _read_lock(descriptor)
            os.close(descriptor)
            raise InUse(f"{self._path}: held by {holder or 'another process'}") from None
        self._descriptor = descriptor
        try:
            boot = read_boot_id()
            _, vouched = _read_lock(descriptor)
            self.same_boot = bool(boot) and vouched == boot
            self._write(vouched)
        except BaseException:
            self.leave()
            raise

    def is_held(self) -> bool:
        """True if the directory's lock is still the one that is held: nobody has removed or replaced it. About 2 us."""
        if self._descriptor is None:
            return False
        try:
            found = self._path.stat()
        except OSError:
            return False
        held = os.fstat(self._descriptor)
        return (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino)

    def vouch(self) -> None:
        """Say that what is in the directory is right, and that it stays so until the machine ends, whatever ends this
        process. For an owner who has opened all files: `same_boot` is for the next one.
        """
        self._write(read_boot_id())

    def unvouch(self) -> None:
        """Take that back: a write or a sync has failed, and what is in the page cache may not be on the disk."""
        with contextlib.suppress(OSError):
            self._write("")

    def leave(self) -> None:
        """Give the directory up as a visitor who has changed nothing in it: what was vouched for stays so."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def release(self) -> None:
        """Give the directory up. Does nothing if it is not held."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def _write(self, boot: str) -> None:
        """Each owner overwrites the last one's process, which is gone, but not its boot: its files are still there."""
        assert self._descriptor is not None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"process {os.getpid()}\n{boot}\n".encode(), 0)


def _read_lock(descriptor: int) -> tuple[str, str]:
    """Who holds a lock, and in which boot its directory was vouched for. Empty where the file does not say."""
    lines = os.pread(descriptor, 200, 0).decode(errors="replace").splitlines()
    holder, boot, *_ = [*lines, "", ""]
    return holder.strip(), boot.strip()
