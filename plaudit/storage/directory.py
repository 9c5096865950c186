"""The data directory: what is where, and what makes it one.

DIR/manifest.json         written last, once: a directory without it has never served
DIR/lock                  held by the server
DIR/catalog.sqlite        the catalog and the keys
DIR/ray.token             the local cluster's secret
DIR/shards/000/           one per shard: manifest.json, lock, log-*.sqlite, state.sqlite
"""

import shutil
from pathlib import Path
from typing import TypeVar

import msgspec

from plaudit.storage.errors import WrongDirectory
from plaudit.storage.files import sync_directory, write_durably

FORMAT = 1
SHARDS_MAX = 256
MANIFEST_NAME = "manifest.json"
UNFINISHED_NAME = "unfinished"


class Manifest(msgspec.Struct, frozen=True):
    """What was decided when the data directory was created, for good."""

    id: str
    shards: int
    format: int = FORMAT


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


AnyManifest = TypeVar("AnyManifest", Manifest, ShardManifest)


def shard_directory(data: Path, shard: int) -> Path:
    """Where a shard keeps its files."""
    return data / "shards" / f"{shard:03d}"


def open_directory(data: Path, shards: int | None, new_id: str, default_shards: int) -> Manifest:
    """The manifest of a data directory, which is created if it is missing or empty. The lock must be held.

    `shards` None accepts what the directory has. Raises WrongDirectory if it has another number, or is something else.
    """
    path = data / MANIFEST_NAME
    if not path.exists():
        return _create(data, Manifest(new_id, shards or default_shards))
    (data / UNFINISHED_NAME).unlink(missing_ok=True)
    manifest = _read(path, Manifest)
    if shards is not None and shards != manifest.shards:
        raise WrongDirectory(
            f"{path}: made with {manifest.shards} shards, and users live where that number puts them; "
            f"start with --shards {manifest.shards}, or without the flag"
        )
    for shard in range(manifest.shards):
        check_shard_directory(shard_directory(data, shard), manifest.id, shard)
    return manifest


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


def save_shard_manifest(directory: Path, manifest: ShardManifest) -> None:
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
    shutil.rmtree(data / "shards", ignore_errors=True)
    for shard in range(manifest.shards):
        directory = shard_directory(data, shard)
        directory.mkdir(parents=True, mode=0o700)
        description = ShardManifest(manifest.id, shard, manifest.shards)
        write_durably(directory / MANIFEST_NAME, msgspec.json.encode(description))
    sync_directory(data / "shards")
    write_durably(data / MANIFEST_NAME, msgspec.json.encode(manifest))
    unfinished.unlink()
    sync_directory(data)
    return manifest
