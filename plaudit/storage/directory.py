"""The data directory: what is where, and what makes it one.

DIR/manifest.json         written last, once: a directory without it has never served
DIR/lock                  held by the server
DIR/catalog.sqlite        the catalog and the keys
DIR/ray.token             the local cluster's secret
DIR/shards/000/           one per shard: manifest.json, lock, log-*.sqlite, state.sqlite
DIR/leaderboards/000/     one per leaderboard shard: manifest.json, lock, boards.sqlite
"""

import shutil
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from plaudit.storage.errors import WrongDirectory
from plaudit.storage.files import sync_directory, write_durably

FORMAT = 1
SHARDS_MAX = 256
SHARDS_NAME = "shards"
LEADERBOARDS_NAME = "leaderboards"
MANIFEST_NAME = "manifest.json"
_MANIFEST_NAMES = {MANIFEST_NAME, f"{MANIFEST_NAME}.tmp"}
UNFINISHED_NAME = "unfinished"


class Manifest(msgspec.Struct, frozen=True):
    """What was decided when the data directory was created, for good."""

    id: str
    shards: int
    format: int = FORMAT
    leaderboards: int = 0
    """How many leaderboard shards; 0 if no version that has any has served it yet. Decided then, once and for good."""


class ShardManifest(msgspec.Struct, frozen=True):
    """Which shard of which data directory this is."""

    data: str
    shard: int
    shards: int
    format: int = FORMAT
    has_state: bool = False
    """The shard has been opened: if its state is missing, it has been lost."""
    is_open: bool = False
    """It has been opened and not been closed since: if its log is missing, it has been lost."""
    synced: bool = False
    """Every commit in its log was on the disk before the next one began."""


class LeaderboardManifest(msgspec.Struct, frozen=True):
    """Which leaderboard shard of which data directory this is."""

    data: str
    leaderboard: int
    leaderboards: int
    format: int = FORMAT
    has_state: bool = False
    """The shard has been opened: if its database is missing, it has been lost."""


AnyManifest = TypeVar("AnyManifest", Manifest, ShardManifest, LeaderboardManifest)


def shard_directory(data: Path, shard: int) -> Path:
    """Where a shard keeps its files."""
    return data / SHARDS_NAME / f"{shard:03d}"


def leaderboard_directory(data: Path, index: int) -> Path:
    """Where a leaderboard shard keeps its files."""
    return data / LEADERBOARDS_NAME / f"{index:03d}"


def all_directories(data: Path, manifest: Manifest) -> list[Path]:
    """Where the shards of users keep their files, then the leaderboard shards, each kind in its order."""
    users = [shard_directory(data, shard) for shard in range(manifest.shards)]
    return users + [leaderboard_directory(data, index) for index in range(manifest.leaderboards)]


def open_directory(
    data: Path,
    shards: int | None,
    new_id: str,
    default_shards: int,
    leaderboards: int | None = None,
    default_leaderboards: int = 1,
) -> Manifest:
    """The manifest of a data directory, which is created if it is missing or empty. The lock must be held.

    One that no version with leaderboards has served gets its leaderboard shards now. None accepts what the directory
    has. Raises WrongDirectory if it has another number, or is something else.
    """
    path = data / MANIFEST_NAME
    new_leaderboards = leaderboards or default_leaderboards
    if not path.exists():
        return _create(data, Manifest(new_id, shards or default_shards, leaderboards=new_leaderboards))
    (data / UNFINISHED_NAME).unlink(missing_ok=True)
    manifest = _read(path, Manifest)
    if shards is not None and shards != manifest.shards:
        raise WrongDirectory(
            f"{path}: made with {manifest.shards} shards, and users live where that number puts them; "
            f"start with --shards {manifest.shards}, or without the flag"
        )
    if leaderboards is not None and manifest.leaderboards not in {0, leaderboards}:
        raise WrongDirectory(
            f"{path}: made with {manifest.leaderboards} leaderboard shards, and rankings live where that number puts "
            f"them; start with --leaderboard-shards {manifest.leaderboards}, or without the flag"
        )
    check_directories(data, manifest)
    return manifest if manifest.leaderboards else _add_leaderboards(data, manifest, new_leaderboards)


def check_directories(data: Path, manifest: Manifest) -> None:
    """Raises WrongDirectory unless every shard, of users or of leaderboards, is there and is the one it should be."""
    for shard in range(manifest.shards):
        check_shard_directory(shard_directory(data, shard), manifest.id, shard)
    for index in range(manifest.leaderboards):
        check_leaderboard_directory(leaderboard_directory(data, index), manifest.id, index)


def read_manifest(data: Path) -> Manifest:
    """The manifest of a data directory that has to be one. Raises WrongDirectory."""
    path = data / MANIFEST_NAME
    if not path.is_file():
        raise WrongDirectory(f"{path}: missing; not a data directory of Plaudit, or not a whole one")
    return _read(path, Manifest)


def check_shard_directory(directory: Path, data_id: str, shard: int) -> ShardManifest:
    """The manifest of a shard. Raises WrongDirectory if this is not that shard: a missing one is never made anew."""
    path = directory / MANIFEST_NAME
    if not path.exists():
        raise WrongDirectory(f"{path}: missing; the shard's users would be lost, so restore it from a backup")
    manifest = _read(path, ShardManifest)
    if (manifest.data, manifest.shard) != (data_id, shard):
        raise WrongDirectory(f"{path}: belongs to shard {manifest.shard} of data directory {manifest.data}")
    return manifest


def check_leaderboard_directory(directory: Path, data_id: str, index: int) -> LeaderboardManifest:
    """The manifest of a leaderboard shard. Raises WrongDirectory as `check_shard_directory` does."""
    path = directory / MANIFEST_NAME
    if not path.exists():
        raise WrongDirectory(f"{path}: missing; final rankings would be lost, so restore it from a backup")
    manifest = _read(path, LeaderboardManifest)
    if (manifest.data, manifest.leaderboard) != (data_id, index):
        raise WrongDirectory(
            f"{path}: belongs to leaderboard shard {manifest.leaderboard} of data directory {manifest.data}"
        )
    return manifest


def save_shard_manifest(directory: Path, manifest: ShardManifest | LeaderboardManifest) -> None:
    """Write down what has become of the shard. Two fsyncs."""
    write_durably(directory / MANIFEST_NAME, msgspec.json.encode(manifest))


def _read(path: Path, kind: type[AnyManifest]) -> AnyManifest:
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=kind)
    except msgspec.DecodeError as error:
        raise WrongDirectory(f"{path}: not a manifest: {error}") from None
    if manifest.format != FORMAT:
        raise WrongDirectory(f"{path}: of format {manifest.format}; this version of Plaudit reads format {FORMAT}")
    return manifest


def _create(data: Path, manifest: Manifest) -> Manifest:
    """Initialise. A marker comes first and the manifest last: a creation that was cut short is begun again."""
    unfinished = data / UNFINISHED_NAME
    foreign = [
        entry.name for entry in data.iterdir() if entry.name not in {"lock", UNFINISHED_NAME, f"{UNFINISHED_NAME}.tmp"}
    ]
    if foreign and not unfinished.exists():
        raise WrongDirectory(f"{data}: not empty and without {MANIFEST_NAME}; not a data directory of Plaudit")
    write_durably(unfinished, b"")
    shutil.rmtree(data / SHARDS_NAME, ignore_errors=True)
    for shard in range(manifest.shards):
        _make_shard(shard_directory(data, shard), ShardManifest(manifest.id, shard, manifest.shards))
    sync_directory(data / SHARDS_NAME)
    _make_leaderboards(data, manifest)
    write_durably(data / MANIFEST_NAME, msgspec.json.encode(manifest))
    unfinished.unlink()
    sync_directory(data)
    return manifest


def _add_leaderboards(data: Path, manifest: Manifest, leaderboards: int) -> Manifest:
    """Give a directory its first leaderboard shards. Its manifest comes last: what was cut short is begun again."""
    home = data / LEADERBOARDS_NAME
    foreign = [path for path in home.rglob("*") if path.is_file() and path.name not in _MANIFEST_NAMES]
    if foreign:
        raise WrongDirectory(f"{foreign[0]}: is there, but {data / MANIFEST_NAME} knows of no leaderboard shards")
    changed = replace(manifest, leaderboards=leaderboards)
    _make_leaderboards(data, changed)
    write_durably(data / MANIFEST_NAME, msgspec.json.encode(changed))
    return changed


def _make_leaderboards(data: Path, manifest: Manifest) -> None:
    """Anew, with nothing in them but manifests."""
    shutil.rmtree(data / LEADERBOARDS_NAME, ignore_errors=True)
    for index in range(manifest.leaderboards):
        _make_shard(leaderboard_directory(data, index), LeaderboardManifest(manifest.id, index, manifest.leaderboards))
    sync_directory(data / LEADERBOARDS_NAME)
    sync_directory(data)  # before a manifest says that they are there


def _make_shard(directory: Path, manifest: ShardManifest | LeaderboardManifest) -> None:
    directory.mkdir(parents=True, mode=0o700)
    save_shard_manifest(directory, manifest)
