import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from plaudit.storage import files
from plaudit.storage.errors import InUse
from plaudit.storage.files import DirectoryLock, write_durably

ACQUIRE = """
    from plaudit.storage.errors import InUse
    from plaudit.storage.files import DirectoryLock
    try:
        DirectoryLock(Path(sys.argv[1])).acquire()
    except InUse as error:
        print(error, flush=True)
    else:
        print("acquired", flush=True)
        sys.stdin.read()
"""
REWRITE = """
    from plaudit.storage.files import write_durably
    print("begun", flush=True)
    while True:
        for letter in b"ab":
            write_durably(Path(sys.argv[1]) / "file", bytes([letter]) * 100_000)
"""


@contextmanager
def process(code: str, directory: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another Python that runs `code`; killed at the end."""
    script = "import sys\nfrom pathlib import Path\n" + textwrap.dedent(code)
    command = [sys.executable, "-c", script, str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


def first_line(running: "subprocess.Popen[str]") -> str:
    assert running.stdout is not None
    return running.stdout.readline().rstrip()


def test_a_file_is_created_for_its_owner_only(tmp_path: Path) -> None:
    write_durably(tmp_path / "file", b"content")
    assert (tmp_path / "file").read_bytes() == b"content"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_is_replaced_not_rewritten(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_durably(path, b"a long old content")
    with path.open("rb") as reader:
        write_durably(path, b"new")
        assert reader.read() == b"a long old content"
    assert path.read_bytes() == b"new"


def test_what_a_crash_left_half_written_is_no_obstacle(tmp_path: Path) -> None:
    write_durably(tmp_path / "file", b"old")
    (tmp_path / "file.tmp").write_bytes(b"half of something that was longer")
    write_durably(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_a_failed_write_leaves_the_old_content(tmp_path: Path) -> None:
    write_durably(tmp_path / "file", b"old")
    (tmp_path / "file.tmp").mkdir()
    with pytest.raises(IsADirectoryError):
        write_durably(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_file_is_whole_whenever_it_is_read_and_after_a_kill(tmp_path: Path) -> None:
    write_durably(tmp_path / "file", b"a" * 100_000)
    with process(REWRITE, tmp_path) as writer:
        assert first_line(writer) == "begun"
        seen = {(tmp_path / "file").read_bytes() for _ in range(200)}
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
    assert (seen | {(tmp_path / "file").read_bytes()}) <= {b"a" * 100_000, b"b" * 100_000}


def test_a_directory_is_owned_by_one_process(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path)
    lock.acquire()
    with process(ACQUIRE, tmp_path) as other:
        assert first_line(other) == f"{tmp_path}/lock: held by process {os.getpid()}"
    lock.release()
    with process(ACQUIRE, tmp_path) as other:
        assert first_line(other) == "acquired"
        with pytest.raises(InUse, match=f"{tmp_path}/lock: held by process {other.pid}$"):
            lock.acquire()


def test_a_killed_process_owns_nothing(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path)
    with process(ACQUIRE, tmp_path) as other:
        assert first_line(other) == "acquired"
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
        lock.acquire()
    with pytest.raises(InUse, match=f"held by process {os.getpid()}$"):
        DirectoryLock(tmp_path).acquire()
    lock.release()


def test_an_owner_in_the_same_process_excludes_others_until_it_releases(tmp_path: Path) -> None:
    first, second = DirectoryLock(tmp_path), DirectoryLock(tmp_path)
    first.acquire()
    with pytest.raises(InUse):
        second.acquire()
    second.release()
    with pytest.raises(InUse):
        second.acquire()
    first.release()
    first.release()
    second.acquire()
    second.release()


def test_only_a_killed_owner_of_this_boot_who_vouched_is_believed(tmp_path: Path) -> None:
    def own(*, vouch: bool) -> bool:
        """Whether an owner who is killed found the directory trustworthy."""
        lock = DirectoryLock(tmp_path)
        lock.acquire()
        if vouch:
            lock.vouch()
        assert lock._descriptor is not None
        os.close(lock._descriptor)
        return lock.same_boot

    assert not own(vouch=False)
    assert not own(vouch=True)
    assert own(vouch=False)  # one who is killed before it has opened the files leaves them as they were
    assert own(vouch=True)
    lock = DirectoryLock(tmp_path)
    lock.acquire()
    assert lock.same_boot
    lock.release()
    assert not own(vouch=False)


@pytest.mark.parametrize(
    "content", [b"", b"process 7\n", b"process 7\nanother-boot\n", b"\xff\n\xff\n\xff", b"\n\n", bytes(40)]
)
def test_a_lock_of_another_boot_or_version_is_not_believed(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "lock").write_bytes(content)
    lock = DirectoryLock(tmp_path)
    lock.acquire()
    assert not lock.same_boot
    lock.release()


def test_where_the_system_has_no_boot_id_nobody_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "BOOT_ID", tmp_path / "missing")
    (tmp_path / "lock").write_bytes(b"process 7\n\n")
    lock = DirectoryLock(tmp_path)
    lock.acquire()
    lock.vouch()
    assert not lock.same_boot
    lock.release()
