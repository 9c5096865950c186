import re
import shutil
from pathlib import Path

import pytest

from plaudit.storage.board_pages import Place as BoardPlace
from plaudit.storage.board_store import BoardStore
from plaudit.storage.segment import Segment
from tests.maintenance.conftest import Backups
from tests.maintenance.operating import contents, plaudit
from tests.storage.builders import edit


def copy(backups: Backups, tmp_path: Path) -> Path:
    return shutil.copytree(backups.backup, tmp_path / "damaged")


def flip(path: Path, what: bytes) -> None:
    """Flip a bit of the first place where this stands."""
    content = bytearray(path.read_bytes())
    content[content.index(what)] ^= 1
    path.write_bytes(content)


def log_of(directory: Path, shard: int) -> Path:
    (path,) = (directory / "shards" / f"{shard:03d}").glob("log-*.sqlite")
    return path


async def settle(log: Path) -> None:
    """Have the log's main file take in its -wal, as a clean end does."""
    segment = await Segment.open(log, 99)
    await segment.close()
    edit(log, "UPDATE meta SET epoch = 1")


def problems(directory: Path) -> list[str]:
    """The lines of what is wrong, which doctor must find."""
    examined = plaudit("doctor", directory)
    assert examined.returncode == 1, examined.stdout + examined.stderr
    return [line for line in examined.stdout.splitlines() if "PROBLEM" in line]


def test_a_directory_in_order_is_in_order_and_untouched(backups: Backups, tmp_path: Path) -> None:
    directory = copy(backups, tmp_path)
    before = contents(directory)
    examined = plaudit("doctor", directory)
    assert examined.returncode == 0, examined.stdout + examined.stderr
    assert examined.stdout.endswith(" checks, 0 problems.\n")
    assert contents(directory) == before
    assert [path.name for path in tmp_path.iterdir()] == ["damaged"], "the private copy is gone"


def test_a_running_server_is_examined_through_itself(backups: Backups) -> None:
    assert backups.examined.returncode == 0, backups.examined.stdout + backups.examined.stderr
    assert "recovery" in backups.examined.stdout


async def test_a_flipped_bit_in_a_logged_event_is_found_by_the_name_of_its_file(
    backups: Backups, tmp_path: Path
) -> None:
    directory = copy(backups, tmp_path)
    await settle(log_of(directory, 1))
    flip(log_of(directory, 1), b"Europe/Paris")
    found = problems(directory)
    assert f"{log_of(directory, 1)}: record" in found[0]
    assert all("shards/001" in line for line in found), "the other shard is examined, and well"


def test_a_flipped_bit_in_a_journal_is_found(backups: Backups, tmp_path: Path) -> None:
    directory = copy(backups, tmp_path)
    log = log_of(directory, 0)
    flip(log.with_name(f"{log.name}-wal"), b"Europe/Paris")
    assert all("shards/000" in line for line in problems(directory))


def test_a_missing_state_is_found(backups: Backups, tmp_path: Path) -> None:
    directory = copy(backups, tmp_path)
    for path in (directory / "shards" / "000").glob("state.sqlite*"):
        path.unlink()
    assert any(f"{directory}/shards/000/state.sqlite: missing" in line for line in problems(directory))


def test_missing_and_damaged_boards_are_found(backups: Backups, tmp_path: Path) -> None:
    directory = copy(backups, tmp_path)
    boards = directory / "leaderboards" / "000" / "boards.sqlite"
    boards.write_bytes(b"Dear Sam" * 4096)
    assert all(str(boards) in line for line in problems(directory))
    boards.unlink()
    assert [f"{boards}: missing" in line for line in problems(directory)] == [True]
    (boards.parent / "manifest.json").unlink()
    assert any("leaderboards/000/manifest.json: missing" in line for line in problems(directory))


async def test_boards_that_contradict_themselves_are_found(backups: Backups, tmp_path: Path) -> None:
    directory = copy(backups, tmp_path)
    home = directory / "leaderboards" / "000"
    store = await BoardStore.open(home)
    await store.save_final(1, 739_000, 739_006, [((), [BoardPlace(1, "ada", None, 5)])])
    await store.close()
    assert "0 days, 1 final rankings" in plaudit("doctor", directory).stdout
    edit(home / "boards.sqlite", "DELETE FROM final_seats")
    assert any("final 1,739000" in line for line in problems(directory))


def test_a_catalog_that_is_no_database_is_found(backups: Backups, tmp_path: Path) -> None:
    directory = copy(backups, tmp_path)
    (directory / "catalog.sqlite").write_bytes(b"Dear Sam" * 1000)
    found = problems(directory)
    assert len(found) == 2
    assert all(f"{directory}/catalog.sqlite" in line for line in found)


def test_a_log_with_a_gap_is_found(backups: Backups, tmp_path: Path) -> None:
    directory = copy(backups, tmp_path)
    edit(log_of(directory, 0), "DELETE FROM log WHERE first = 2")
    assert any("the log has no commands 2 to 2" in line for line in problems(directory))


@pytest.mark.parametrize("scratch", ["missing", "letter.txt"])
def test_what_cannot_be_examined_is_no_finding(backups: Backups, tmp_path: Path, scratch: str) -> None:
    (tmp_path / "letter.txt").write_text("Dear Sam", "utf-8")
    assert plaudit("doctor", tmp_path).returncode == 2
    refused = plaudit("doctor", backups.data, "--scratch", tmp_path / scratch)
    assert refused.returncode == 2
    assert str(tmp_path / scratch) in refused.stderr


def test_a_state_that_contradicts_its_events_is_found(backups: Backups, tmp_path: Path) -> None:
    directory = shutil.copytree(backups.data, tmp_path / "damaged")
    edit(directory / "shards" / "001" / "state.sqlite", "UPDATE counters SET value = value + 1 WHERE name = 'users'")
    (found,) = problems(directory)
    assert f"{directory}/shards/001/state.sqlite: counter users 0" in found


def test_every_user_and_event_is_looked_at(backups: Backups) -> None:
    examined = plaudit("doctor", backups.data)
    counts = re.findall(r"(\d+) users, (\d+) events", examined.stdout)
    assert [sum(map(int, column)) for column in zip(*counts, strict=True)] == [6, 12]
