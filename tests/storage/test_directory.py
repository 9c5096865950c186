import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from plaudit.storage.directory import (
    Manifest,
    all_directories,
    check_leaderboard_directory,
    check_shard_directory,
    leaderboard_directory,
    open_directory,
    shard_directory,
)
from plaudit.storage.errors import WrongDirectory
from plaudit.storage.files import write_durably


def tree(data: Path) -> dict[str, bytes]:
    """Every file, with its content."""
    return {str(path.relative_to(data)): path.read_bytes() for path in data.rglob("*") if path.is_file()}


def create(data: Path, shards: int = 3, new_id: str = "d1", leaderboards: int | None = 2) -> Manifest:
    return open_directory(data, shards, new_id, 8, leaderboards)


def made_before_leaderboards(data: Path) -> dict[str, bytes]:
    """A data directory as an older version has left it: its files."""
    create(data)
    shutil.rmtree(data / "leaderboards")
    (data / "manifest.json").write_bytes(b'{"id":"d1","shards":3,"format":1}')
    (data / "shards/000/state.sqlite").write_bytes(b"precious")
    return tree(data)


CREATED = {
    "lock",
    "manifest.json",
    *(f"shards/00{shard}/manifest.json" for shard in range(3)),
    *(f"leaderboards/00{index}/manifest.json" for index in range(2)),
}
MADE = Manifest("d1", 3, leaderboards=2)


def test_an_empty_directory_becomes_a_data_directory_once(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    assert create(tmp_path) == MADE
    created = tree(tmp_path)
    assert set(created) == CREATED
    assert create(tmp_path, new_id="d2") == MADE
    assert tree(tmp_path) == created


def test_without_a_number_a_new_directory_gets_the_default_and_an_old_one_keeps_its_own(tmp_path: Path) -> None:
    made = Manifest("d1", 2, leaderboards=3)
    assert open_directory(tmp_path, None, "d1", 2, None, 3) == made
    assert open_directory(tmp_path, None, "d2", 5, None, 7) == made


def test_shards_are_for_their_owner_only(tmp_path: Path) -> None:
    create(tmp_path)
    directories = all_directories(tmp_path, MADE)
    assert [str(directory.relative_to(tmp_path)) for directory in directories] == [
        *("shards/000", "shards/001", "shards/002"),
        *("leaderboards/000", "leaderboards/001"),
    ]
    assert {directory.stat().st_mode & 0o777 for directory in directories} == {0o700}


def test_another_number_of_shards_is_refused_by_both_numbers(tmp_path: Path) -> None:
    create(tmp_path)
    created = tree(tmp_path)
    with pytest.raises(WrongDirectory, match=r"manifest\.json: made with 3 shards.*start with --shards 3"):
        create(tmp_path, shards=4)
    with pytest.raises(WrongDirectory, match=r"made with 2 leaderboard shards.*start with --leaderboard-shards 2,"):
        create(tmp_path, leaderboards=3)
    assert tree(tmp_path) == created


@pytest.mark.parametrize("kind", [shard_directory, leaderboard_directory])
def test_a_missing_shard_is_refused_and_not_made_anew(tmp_path: Path, kind: Callable[[Path, int], Path]) -> None:
    create(tmp_path)
    missing = kind(tmp_path, 1) / "manifest.json"
    missing.unlink()
    missing.parent.rmdir()
    remaining = tree(tmp_path)
    with pytest.raises(WrongDirectory, match=f"{missing}: missing"):
        create(tmp_path)
    assert tree(tmp_path) == remaining
    assert not missing.parent.exists()


@pytest.mark.parametrize(("data_id", "shard"), [("d1", 0), ("d2", 1)])
def test_a_shard_from_elsewhere_is_refused(tmp_path: Path, data_id: str, shard: int) -> None:
    create(tmp_path)
    directory = shard_directory(tmp_path, 1)
    check_shard_directory(directory, "d1", 1)
    with pytest.raises(WrongDirectory, match=r"manifest\.json: belongs to shard 1 of data directory d1"):
        check_shard_directory(directory, data_id, shard)


@pytest.mark.parametrize(("data_id", "index"), [("d1", 0), ("d2", 1)])
def test_a_leaderboard_shard_from_elsewhere_is_refused(tmp_path: Path, data_id: str, index: int) -> None:
    create(tmp_path)
    directory = leaderboard_directory(tmp_path, 1)
    assert check_leaderboard_directory(directory, "d1", 1).leaderboards == 2
    with pytest.raises(WrongDirectory, match=r"belongs to leaderboard shard 1 of data directory d1"):
        check_leaderboard_directory(directory, data_id, index)
    with pytest.raises(WrongDirectory, match="not a manifest"):
        check_leaderboard_directory(shard_directory(tmp_path, 1), "d1", 1)


@pytest.mark.parametrize(("asked", "made"), [(None, 1), (4, 4)])
def test_a_directory_from_before_leaderboards_gets_them_once(tmp_path: Path, asked: int | None, made: int) -> None:
    before = made_before_leaderboards(tmp_path)
    assert open_directory(tmp_path, None, "d2", 8, asked) == Manifest("d1", 3, leaderboards=made)
    after = tree(tmp_path)
    assert set(after) == {*before, *(f"leaderboards/00{index}/manifest.json" for index in range(made))}
    assert {name for name in before if after[name] != before[name]} == {"manifest.json"}
    assert open_directory(tmp_path, None, "d2", 8, None, 7) == Manifest("d1", 3, leaderboards=made)
    assert tree(tmp_path) == after
    shutil.rmtree(tmp_path / "leaderboards")
    with pytest.raises(WrongDirectory, match=r"leaderboards/000/manifest\.json: missing; final rankings would be lost"):
        open_directory(tmp_path, None, "d2", 8)


@pytest.mark.parametrize("written", range(4))
def test_leaderboards_whose_making_was_cut_short_are_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    made_before_leaderboards(tmp_path)
    left = iter(range(written))

    def crash(path: Path, content: bytes) -> None:
        if next(left, None) is None:
            raise SystemError
        write_durably(path, content)

    monkeypatch.setattr("plaudit.storage.directory.write_durably", crash)
    with pytest.raises(SystemError):
        open_directory(tmp_path, None, "d2", 8, 3)
    monkeypatch.undo()
    (tmp_path / "leaderboards/000/manifest.json.tmp").touch()
    assert create(tmp_path) == MADE
    assert set(tree(tmp_path)) == {*CREATED, "shards/000/state.sqlite"} - {"lock"}


def test_boards_that_the_manifest_does_not_know_are_never_removed(tmp_path: Path) -> None:
    made_before_leaderboards(tmp_path)
    boards = tmp_path / "leaderboards/000/boards.sqlite"
    boards.parent.mkdir(parents=True)
    boards.write_bytes(b"precious")
    before = tree(tmp_path)
    with pytest.raises(WrongDirectory, match=r"boards\.sqlite: is there, but .* knows of no leaderboard shards"):
        create(tmp_path)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("where", ["manifest.json", "shards/001/manifest.json", "leaderboards/001/manifest.json"])
@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"", "not a manifest"), (b"{}", "not a manifest"), (b'{"id": 1}', "not a manifest"), (None, "of format 2")],
)
def test_a_manifest_that_says_something_else_is_refused(
    tmp_path: Path, where: str, content: bytes | None, complaint: str
) -> None:
    create(tmp_path)
    path = tmp_path / where
    newer = msgspec.json.encode(msgspec.json.decode(path.read_bytes()) | {"format": 2})
    path.write_bytes(newer if content is None else content)
    with pytest.raises(WrongDirectory, match=f"{path}: {complaint}"):
        create(tmp_path)


@pytest.mark.parametrize("name", ["notes.txt", "shards", "catalog.sqlite"])
def test_a_directory_with_something_else_in_it_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "precious").write_bytes(b"work")
    with pytest.raises(WrongDirectory, match=r"not empty and without manifest\.json"):
        create(tmp_path)
    assert tree(tmp_path) == {f"{name}/precious": b"work"}


def test_a_data_directory_that_has_lost_its_manifest_is_refused(tmp_path: Path) -> None:
    create(tmp_path)
    (tmp_path / "manifest.json").unlink()
    remaining = tree(tmp_path)
    with pytest.raises(WrongDirectory, match=r"not empty and without manifest\.json"):
        create(tmp_path)
    assert tree(tmp_path) == remaining


@pytest.mark.parametrize(
    "left",
    [
        ["unfinished"],
        ["unfinished.tmp"],
        ["unfinished", "shards/000/manifest.json.tmp"],
        ["unfinished", "shards/000/manifest.json", "shards/007/manifest.json"],
        ["unfinished", "shards/000/manifest.json", "leaderboards/000/manifest.json.tmp"],
        ["unfinished", "shards/000/manifest.json", "leaderboards/004/manifest.json", "manifest.json.tmp"],
    ],
)
def test_a_creation_that_was_cut_short_is_begun_again(tmp_path: Path, left: list[str]) -> None:
    for name in ("lock", *left):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    create(tmp_path)
    assert set(tree(tmp_path)) == CREATED
    assert create(tmp_path) == MADE


def test_the_mark_of_an_unfinished_creation_never_outlives_it(tmp_path: Path) -> None:
    """A crash between the manifest and its removal leaves it; later it would say that nothing is worth keeping."""
    create(tmp_path)
    (tmp_path / "unfinished").touch()
    create(tmp_path)
    (tmp_path / "shards/000/state.sqlite").write_bytes(b"precious")
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(WrongDirectory):
        create(tmp_path)
    assert (tmp_path / "shards/000/state.sqlite").read_bytes() == b"precious"
