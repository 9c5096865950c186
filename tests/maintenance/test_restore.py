import shutil
from pathlib import Path

import pytest

from tests.maintenance.conftest import USERS, Backups
from tests.maintenance.operating import contents, plaudit, served_totals


def test_a_restored_directory_is_served_and_the_backup_stays_as_it_was(backups: Backups, tmp_path: Path) -> None:
    before = contents(backups.backup)
    restored = plaudit("restore", backups.backup, tmp_path / "data")
    assert restored.returncode == 0, restored.stderr
    assert restored.stdout.endswith(f"plaudit serve --data {tmp_path}/data\n")
    assert contents(backups.backup) == before
    assert not (tmp_path / "data" / "backup.json").exists()
    assert served_totals(tmp_path / "data", range(USERS)) == [2] * USERS


def test_a_directory_with_something_in_it_is_refused(backups: Backups, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear Sam", "utf-8")
    refused = plaudit("restore", backups.backup, tmp_path)
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"plaudit: {tmp_path}: not empty")
    assert contents(tmp_path) == {"letter.txt": b"Dear Sam"}


@pytest.mark.parametrize(
    "name",
    [
        *("backup.json", "manifest.json", "catalog.sqlite"),
        *("shards/001/manifest.json", "leaderboards/000/manifest.json"),
    ],
)
def test_a_backup_that_is_not_whole_is_refused(backups: Backups, tmp_path: Path, name: str) -> None:
    backup = shutil.copytree(backups.backup, tmp_path / "backup")
    (backup / name).unlink()
    refused = plaudit("restore", backup, tmp_path / "data")
    assert refused.returncode == 1
    assert f"{backup}/{name}: missing" in refused.stderr
    assert not (tmp_path / "data").exists()


def test_a_damaged_backup_is_refused_unless_its_files_are_not_to_be_checked(backups: Backups, tmp_path: Path) -> None:
    backup = shutil.copytree(backups.backup, tmp_path / "backup")
    (log,) = (backup / "shards" / "000").glob("log-*.sqlite-wal")
    log.write_bytes(log.read_bytes()[:-4096])
    refused = plaudit("restore", backup, tmp_path / "data")
    assert refused.returncode == 1
    assert "the backup is damaged; nothing was restored" in refused.stderr
    assert f"{tmp_path}/data/shards/000" in refused.stderr
    assert not (tmp_path / "data").exists()
    assert plaudit("restore", "--no-verify", backup, tmp_path / "data").returncode == 0
