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
from plaudit.storage.directory import (
    all_directories,
    leaderboard_directory,
    open_directory,
    read_manifest,
)
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
    directories = all_directories(tmp_path / "copy", read_manifest(backups.backup))
    assert sorted(last) == list(range(len(directories))) == [0, 1, 2]
    for position, progress in last.items():
        copied = [path for path in directories[position].iterdir() if path.name != "manifest.json"]
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
    with pytest.raises(Unusable, match=f"{data}/shards/000 was lost while it was copied"):
        await module.back_up_running(data, [LostHost()], None, tmp_path / "backup", lambda _: None)  # type: ignore[list-item, arg-type]
    assert not (tmp_path / "backup").exists()


@pytest.mark.parametrize("lacking", ["shards/001", "leaderboards/000"])
async def test_a_source_that_lacks_a_shard_is_refused(backups: Backups, tmp_path: Path, lacking: str) -> None:
    data = copy(backups.backup, tmp_path / "data")
    (data / lacking / "manifest.json").unlink()
    with pytest.raises(WrongDirectory, match=f"{lacking}/manifest\\.json: missing"):
        await back_up_stopped(data, tmp_path / "copy", lambda _: None)


class CopiedHost:
    """A shard that notes when it was copied (`ShardHost`)."""

    def __init__(self, name: str, journal: list[str]) -> None:
        self._name = name
        self._journal = journal

    async def backup(self, target: str) -> BackedUp:
        Path(target).mkdir()
        self._journal.append(self._name)
        return BackedUp(0, 1, 2)


async def test_leaderboards_are_copied_after_the_users_and_before_the_catalog(tmp_path: Path) -> None:
    data, journal = tmp_path / "data", list[str]()
    data.mkdir()
    open_directory(data, 2, "some-id", 1, 2)
    names = ("users 0", "users 1", "boards 0", "boards 1")

    class CopiedCatalog:
        async def backup(self, target: Path) -> None:
            journal.append("catalog")

    hosts = [CopiedHost(name, journal) for name in names]
    note = await module.back_up_running(data, hosts, CopiedCatalog(), tmp_path / "backup", lambda _: None)  # type: ignore[arg-type]
    assert journal == [*names, "catalog"]
    assert note.shards == (BackedUp(0, 1, 2),) * 2, "those of users"
    assert read_manifest(tmp_path / "backup").leaderboards == 2


def test_leaderboards_are_in_the_backups_of_running_and_of_stopped_servers(backups: Backups, tmp_path: Path) -> None:
    assert plaudit("backup", backups.data, tmp_path / "stopped").returncode == 0
    for directory in (backups.backup, tmp_path / "stopped"):
        names = {path.name for path in leaderboard_directory(directory, 0).iterdir()}
        assert names >= {"manifest.json", "boards.sqlite"}


def made_before_leaderboards(directory: Path) -> Path:
    """Make a data directory one that an older version has left."""
    shutil.rmtree(directory / "leaderboards")
    manifest = json.loads((directory / "manifest.json").read_bytes())
    del manifest["leaderboards"]
    (directory / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return directory


def test_a_backup_from_before_leaderboards_is_examined_and_restored_and_gets_them_when_it_is_served(
    backups: Backups, tmp_path: Path
) -> None:
    backup = made_before_leaderboards(copy(backups.backup, tmp_path / "backup"))
    assert plaudit("doctor", backup).returncode == 0
    restored = plaudit("restore", backup, tmp_path / "data")
    assert restored.returncode == 0, restored.stderr
    assert not (tmp_path / "data" / "leaderboards").exists()
    assert served_totals(tmp_path / "data", range(USERS)) == [2] * USERS
    assert read_manifest(tmp_path / "data").leaderboards == 1
    assert (leaderboard_directory(tmp_path / "data", 0) / "boards.sqlite").exists()
