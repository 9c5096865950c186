import json
import shutil
from pathlib import Path

import pytest

from plaudit.maintenance.quarantine import quarantine
from plaudit.storage.directory import shard_directory
from plaudit.storage.errors import StorageError
from plaudit.storage.records import CatalogChange, Events, Quarantined, Record, decode_body, digest
from tests.maintenance.conftest import Backups
from tests.maintenance.operating import contents, plaudit, served_totals, start
from tests.storage.builders import edit, read_log

SHARD = 0


@pytest.fixture
def data(backups: Backups, tmp_path: Path) -> Path:
    return shutil.copytree(backups.backup, tmp_path / "data")


async def records(data: Path) -> list[Record]:
    """The records of the shard's log."""
    copy = shutil.copytree(shard_directory(data, SHARD), data.with_name("copy"), dirs_exist_ok=False)
    try:
        return await read_log(copy)
    finally:
        shutil.rmtree(copy)


async def an_event(data: Path) -> tuple[Record, Events]:
    """A record with events that is neither the first nor the last."""
    middle = (await records(data))[1:-1]
    for record in middle:
        body = decode_body(record)
        if isinstance(body, Events):
            return record, body
    raise AssertionError("the shard has too few events")


async def test_a_record_is_set_aside_where_people_can_read_it(data: Path) -> None:
    before = await records(data)
    record, body = await an_event(data)
    (command,) = [command for entry in body.entries for command in entry.commands]
    done = plaudit("doctor", data, "--quarantine", record.first, "--shard", SHARD)
    assert done.returncode == 0, done.stderr
    path = shard_directory(data, SHARD) / f"quarantine-{record.first}.json"
    assert str(path) in done.stdout
    assert command.user_id in done.stdout
    written = json.loads(path.read_bytes())
    assert (written["shard"], written["first"], written["count"]) == (SHARD, record.first, 1)
    (described,) = written["commands"]
    assert described["userId"] == command.user_id
    assert described["digest"] == record.digests.hex()
    assert described["event"]["metric"] == "lessons"
    assert described["event"]["value"] == 2
    after = await records(data)
    (replaced,) = [record for record, old in zip(after, before, strict=True) if record != old]
    assert (replaced.first, replaced.count) == (record.first, record.count)
    assert decode_body(replaced) == Quarantined((("", command.user_id),))


async def test_what_was_set_aside_is_not_set_aside_again(data: Path) -> None:
    record, _ = await an_event(data)
    await quarantine(data, SHARD, record.first)
    before = contents(shard_directory(data, SHARD))
    with pytest.raises(StorageError, match="holds no commands of users"):
        await quarantine(data, SHARD, record.first)
    name = f"quarantine-{record.first}.json"
    assert contents(shard_directory(data, SHARD))[name] == before[name]


@pytest.mark.parametrize(
    ("shard", "number", "why"),
    [(2, 1, "has shards 0 to 1"), (SHARD, 10_000, r"command 10000 is not in the log, which has 1 to \d+")],
)
async def test_what_is_not_there_is_not_set_aside(data: Path, shard: int, number: int, why: str) -> None:
    with pytest.raises(StorageError, match=why):
        await quarantine(data, shard, number)
    assert not list(data.rglob("quarantine-*"))


async def test_a_change_of_the_catalog_is_not_set_aside(data: Path) -> None:
    (change,) = [record for record in await records(data) if isinstance(decode_body(record), CatalogChange)]
    with pytest.raises(StorageError, match="holds no commands of users"):
        await quarantine(data, SHARD, change.first)


def test_a_directory_that_is_served_is_left_alone(data: Path) -> None:
    server = start(data)
    try:
        refused = plaudit("doctor", data, "--quarantine", 1, "--shard", SHARD)
    finally:
        assert server.stop() == 0
    assert refused.returncode == 1
    assert f"held by process {server.process.pid}" in refused.stderr


def test_half_of_the_flags_is_refused(data: Path) -> None:
    assert plaudit("doctor", data, "--quarantine", 1).returncode == 2
    assert plaudit("doctor", data, "--shard", 1).returncode == 2


async def test_a_shard_that_cannot_replay_a_record_opens_without_it(data: Path) -> None:
    record, body = await an_event(data)
    (log,) = shard_directory(data, SHARD).glob("log-*.sqlite")
    wrong = Record(record.first, record.count, record.epoch, record.rules, digest(b"another state"), record.body)
    edit(
        log,
        f"UPDATE log SET digests = x'{wrong.digests.hex()}', checksum = {wrong.checksum()} WHERE first = {wrong.first}",
    )
    examined = plaudit("doctor", data)
    assert examined.returncode == 1
    assert f"replaying command {record.first}" in examined.stdout
    await quarantine(data, SHARD, record.first)
    (name,) = {command.user_id for entry in body.entries for command in entry.commands}
    users = sorted(set(range(6)) - {int(name.removeprefix("user-"))})
    assert plaudit("doctor", data).returncode == 0
    assert served_totals(data, users) == [2] * 5
