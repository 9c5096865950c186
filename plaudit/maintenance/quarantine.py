"""Setting aside a logged record that cannot be replayed, so that its shard can open again.

The record is first written down as JSON, then replaced in the log, in one transaction. Either can be done again.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from plaudit.actors.formats import format_instant
from plaudit.engine.amounts import format_amount, unpack_amount
from plaudit.engine.commands import RecordEvent, UserFields, UserKey, Write, user_key
from plaudit.engine.ids import format_id
from plaudit.maintenance.holding import holding
from plaudit.storage.directory import check_shard_directory, shard_directory
from plaudit.storage.errors import Unusable, WrongDirectory
from plaudit.storage.files import write_durably
from plaudit.storage.log import Log
from plaudit.storage.records import Events, Quarantined, Record, decode_body, encode_body
from plaudit.storage.state import StateStore
from plaudit.storage.wal import Trust

_REPLACE = "UPDATE log SET checksum = ?, digests = ?, body = ? WHERE first = ?"


class _Event(Struct, frozen=True, rename="camel"):
    """What an event that was set aside asked for."""

    event_id: str
    metric: str
    value: Raw
    user: UserFields
    attributes: dict[str, str]
    idempotency_key: str | None


class _Command(Struct, frozen=True, rename="camel"):
    """A command that was set aside, for people and programs to read. `event` is null if it deletes the user."""

    number: int
    at: str
    tenant: str
    user_id: str
    digest: str
    event: _Event | None


class _File(Struct, frozen=True):
    """The file of a record that was set aside."""

    shard: int
    first: int
    count: int
    rules: str
    epoch: int
    commands: list[_Command]


class SetAside(Struct, frozen=True):
    """What was set aside, and where it can be read."""

    path: Path
    first: int
    last: int
    users: tuple[UserKey, ...]


async def quarantine(data: Path, shard: int, number: int) -> SetAside:
    """Set aside the record with command `number`, of a directory that nobody serves. Raises StorageError."""
    async with holding(data) as held:
        manifest = held.manifest
        if not 0 <= shard < manifest.shards:
            raise WrongDirectory(f"{data}: has shards 0 to {manifest.shards - 1}, and no shard {shard}")
        home = shard_directory(data, shard)
        check_shard_directory(home, manifest.id, shard)
        log_path, record = await _find(home, number, held.trust(data, None)[shard])
        body = decode_body(record)
        if not isinstance(body, Events):
            raise Unusable(f"{home}: record {record.first} holds no commands of users, and cannot be set aside")
        users = {user_key(command): None for entry in body.entries for command in entry.commands}
        path = home / f"quarantine-{record.first}.json"
        write_durably(path, _describe(shard, record, body))
        _replace(log_path, replace(record, digests=b"", body=encode_body(Quarantined(tuple(users)))))
    return SetAside(path, record.first, record.last, tuple(users))


async def _find(home: Path, number: int, trust: Trust) -> tuple[Path, Record]:
    """The record with a command, and the file that it is in, after taking the log over as a recovery would."""
    state = await StateStore.open(home)
    try:
        log, tail = await Log.open(home, state.epoch, state.checkpoint.applied, trust=trust)
        (path,) = log.paths()
        await log.close()
    finally:
        await state.close()
    for record in tail:
        if record.first <= number <= record.last:
            return path, record
    if not tail:
        raise Unusable(f"{home}: the log is empty; there is nothing to set aside")
    raise Unusable(f"{home}: command {number} is not in the log, which has {tail[0].first} to {tail[-1].last}")


def _replace(path: Path, record: Record) -> None:
    """One transaction and one fsync."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(_REPLACE, (record.checksum(), record.digests, record.body, record.first))


def _describe(shard: int, record: Record, body: Events) -> bytes:
    commands = [(entry.at_ms, command) for entry in body.entries for command in entry.commands]
    described = [
        _describe_command(record.first + n, at_ms, command, record.digests[4 * n : 4 * n + 4])
        for n, (at_ms, command) in enumerate(commands)
    ]
    file = _File(shard, record.first, record.count, record.rules, record.epoch, described)
    return msgspec.json.format(msgspec.json.encode(file)) + b"\n"


def _describe_command(number: int, at_ms: int, command: Write, digest: bytes) -> _Command:
    event = _describe_event(command) if isinstance(command, RecordEvent) else None
    return _Command(number, format_instant(at_ms), command.tenant, command.user_id, digest.hex(), event)


def _describe_event(event: RecordEvent) -> _Event:
    return _Event(
        event_id=format_id(event.event_id),
        metric=event.metric,
        value=Raw(format_amount(unpack_amount(event.value)).encode()),
        user=event.fields,
        attributes=event.attributes,
        idempotency_key=event.idempotency_key,
    )
