import json
import shutil
from pathlib import Path

import pytest

from plaudit import __version__
from plaudit.actors.runtime import HostLost
from plaudit.control import Progress
from plaudit.maintenance import backup as module
from plaudit.maintenance import holding as holding_module
from plaudit.maintenance.backup import back_up_stopped
from plaudit.maintenance.holding import holding
from plaudit.storage.backup import BackedUp, read_note
from plaudit.storage.directory import open_directory, read_manifest, shard_directory
from plaudit.storage.errors import InUse, Unusable, WrongDirectory
from tests.maintenance.conftest import USERS, Backups
from tests.maintenance.operating import contents, plaudit, send, served_totals, start


def copy(directory: Path, target: Path) -> Path:
    shutil.copytree(directory, target)
    return target


def test_a_backup_of_a_running_server_has_everything_that_was_answered(backups: Backups, tmp_path: Path) -> None:
    assert backups.taken.returncode == 0, backups.taken.stderr
    assert backups.taken.stdout == f"Backed up 2 shards to {backups.backup}.\n"
    assert backups.taken.stderr == ""
    assert served_totals(copy(backups.backup, tmp_path / "copy"), range(USERS)) == [2] * USERS


def test_the_source_loses_nothing(backups: Backups, tmp_path: Path) -> None:
    assert backups.server.errors == ""
    assert served_totals(copy(backups.data, tmp_path / "copy"), range(USERS)) == [3] * USERS


def test_a_backup_says_what_it_is(backups: Backups) -> None:
    note = json.loads((backups.backup / "backup.json").read_bytes())
    assert note["data"] == read_manifest(backups.data).id
    assert note["version"] == __version__
    assert [shard["shard"] for shard in note["shards"]] == [0, 1]
    commands = sum(shard["last"] for shard in note["shards"])
    assert commands == USERS + 2, "the events, and the catalog in each shard"
    assert all(0 <= shard["applied"] <= shard["last"] for shard in note["shards"])


def test_a_backup_has_no_secrets_of_the_run_and_is_for_its_owner_only(backups: Backups) -> None:
    names = {path.name for path in backups.backup.rglob("*") if path.is_file()}
    assert names & {"lock", "ray.token", "shard.log", "control", "scratch"} == set()
    modes = {path.stat().st_mode & 0o077 for path in (backups.backup, *backups.backup.rglob("*"))}
    assert modes == {0}


def test_a_directory_with_something_in_it_is_refused_and_left_alone(backups: Backups, tmp_path: Path) -> None:
    assert backups.refused_twice.returncode == 1
    assert backups.refused_twice.stderr.startswith(f"plaudit: {backups.backup}: not empty")
    (tmp_path / "letter.txt").write_text("Dear Sam", "utf-8")
    refused = plaudit("backup", backups.data, tmp_path)
    assert refused.returncode == 1
    assert contents(tmp_path) == {"letter.txt": b"Dear Sam"}


def test_what_is_no_data_directory_is_refused(tmp_path: Path) -> None:
    refused = plaudit("backup", tmp_path / "nothing", tmp_path / "backup")
    assert refused.returncode == 1
    assert "nothing/manifest.json: missing" in refused.stderr
    assert contents(tmp_path) == {}


def test_a_backup_within_its_source_is_refused(backups: Backups) -> None:
    refused = plaudit("backup", backups.data, backups.data / "backup")
    assert refused.returncode == 1
    assert "within" in refused.stderr


def test_a_directory_that_a_killed_server_left_can_be_backed_up(tmp_path: Path) -> None:
    server = start(tmp_path / "data")
    send(server.url, 3)
    server.kill()
    (tmp_path / "backup").mkdir()
    taken = plaudit("backup", tmp_path / "data", tmp_path / "backup")
    assert taken.returncode == 0, taken.stderr
    assert list((tmp_path / "backup").rglob("log-*.sqlite"))
    assert read_note(tmp_path / "backup").shards == (BackedUp(0),)  # type: ignore[union-attr]
    assert served_totals(tmp_path / "backup", range(3)) == [1] * 3


async def test_progress_ends_with_every_byte(backups: Backups, tmp_path: Path) -> None:
    reported: list[Progress] = []
    await back_up_stopped(backups.backup, tmp_path / "copy", reported.append)
    last = {progress.shard: progress for progress in reported}
    assert sorted(last) == [0, 1]
    for shard, progress in last.items():
        copied = [path for path in shard_directory(tmp_path / "copy", shard).iterdir() if path.name != "manifest.json"]
        assert progress.bytes == progress.total == sum(path.stat().st_size for path in copied)


async def test_a_shard_of_a_dying_server_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_directory(tmp_path, 1, "some-id", 1)
    monkeypatch.setattr(holding_module, "LOCK_WAIT_S", 0.0)
    async with holding(tmp_path):
        with pytest.raises(InUse, match="held by process"):
            async with holding(tmp_path):
                pass
    async with holding(tmp_path) as held:
        assert held.manifest.id == "some-id"


class LostHost:
    """A shard that dies while it is copied (`ShardHost`)."""

    async def backup(self, target: str) -> BackedUp:
        Path(target).mkdir()
        (Path(target) / "state.sqlite").write_bytes(b"half of it")
        raise HostLost("killed")


async def test_a_shard_that_is_lost_fails_the_backup_and_nothing_is_left(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    open_directory(data, 1, "some-id", 1)
    with pytest.raises(Unusable, match="shard 0 was lost while it was copied"):
        await module.back_up_running(data, [LostHost()], None, tmp_path / "backup", lambda _: None)  # type: ignore[list-item, arg-type]
    assert not (tmp_path / "backup").exists()


async def test_a_source_that_lacks_a_shard_is_refused(backups: Backups, tmp_path: Path) -> None:
    data = copy(backups.backup, tmp_path / "data")
    (shard_directory(data, 1) / "manifest.json").unlink()
    with pytest.raises(WrongDirectory, match="shards/001/manifest\\.json: missing"):
        await back_up_stopped(data, tmp_path / "copy", lambda _: None)
