"""Reads users and events from the shards of a private copy, in the order in which they came to be in each shard."""

from collections.abc import AsyncIterator
from pathlib import Path

from msgspec import Raw

from plaudit.actors.clock import system_clock
from plaudit.actors.formats import format_day, format_instant
from plaudit.actors.wire import LoggedAward
from plaudit.engine.advance import advance
from plaudit.engine.amounts import PackedAmount, format_amount, unpack_amount
from plaudit.engine.catalog import Catalog
from plaudit.engine.commands import UserKey
from plaudit.engine.compiling import compile_catalog
from plaudit.engine.ids import format_id
from plaudit.engine.snapshot import decode_user
from plaudit.engine.streaks import view_streak
from plaudit.maintenance.doctor import Copy, load_catalog, recover
from plaudit.maintenance.export import ExportedCompletion, ExportedEvent, ExportedUser, Row, What
from plaudit.storage.catalog_store import CatalogStore
from plaudit.storage.directory import shard_directory
from plaudit.storage.errors import Corrupt
from plaudit.storage.history import EVENT, EventEntry
from plaudit.storage.snapshots import StoredUser
from plaudit.storage.state import StateStore

USERS_AT_ONCE = 1000
CHUNKS_AT_ONCE = 1000


async def read_rows(copy: Copy, what: What) -> AsyncIterator[Row]:
    """All users, or all events. What is only in a log yet is replayed first. Raises StorageError."""
    catalog = await load_catalog(copy.directory)
    names = _Names(catalog)
    now_ms = await load_time(copy.directory)
    manifest = copy.held.manifest
    for shard in range(manifest.shards):
        home = shard_directory(copy.directory, shard)
        await recover(home, manifest.id, shard, catalog)
        store = await StateStore.open(home)
        try:
            async for row in _read_users(store, names, now_ms) if what == "users" else _read_events(store, names):
                yield row
        finally:
            await store.close()


async def load_time(directory: Path) -> int:
    """When it is in a data directory: where its test clock stands, or the machine's time if it has none."""
    store = await CatalogStore.open(directory)
    try:
        times = await store.load_clock()
    finally:
        await store.close()
    return system_clock() if times is None else times.reached_ms


class _Names:
    """What the numbers in users' state stand for."""

    def __init__(self, catalog: Catalog) -> None:
        self.compiled = compile_catalog(catalog)
        self.metrics = {metric.number: metric.key for metric in catalog.metrics}
        self.achievements = {achievement.number: achievement.key for achievement in catalog.achievements}
        self.systems = {system.number: system.key for system in catalog.points_systems}
        self.triggers = {
            (system.number, trigger.number): trigger.id
            for system in catalog.points_systems
            for trigger in system.triggers
        }


async def _read_users(store: StateStore, names: _Names, now_ms: int) -> AsyncIterator[Row]:
    after = 0
    while users := await store.scan_users(after, USERS_AT_ONCE):
        for _, user in users:
            if isinstance(user, Corrupt):
                raise user
            yield _export_user(user, names, now_ms)
        after = users[-1][0]


def _export_user(stored: StoredUser, names: _Names, now_ms: int) -> ExportedUser:
    tenant, key = stored.key
    user = advance(decode_user(stored.snapshot), names.compiled, now_ms)
    profile = user.profile
    return ExportedUser(
        id=key,
        tenant=tenant,
        email=profile.email,
        name=profile.name,
        tz=profile.tz,
        sign_up_date=None if profile.sign_up_day is None else format_day(profile.sign_up_day),
        device_tokens=profile.device_tokens,
        subscribe_to_emails=profile.subscribes_to_emails,
        attributes=profile.attributes,
        control=profile.control,
        created=format_instant(profile.created_ms),
        updated=format_instant(profile.updated_ms),
        totals={names.metrics[number]: _amount(total) for number, total in user.totals.items()},
        points={names.systems[number]: points for number, points in user.points.items()},
        achievements=[
            ExportedCompletion(names.achievements[number], format_instant(at_ms))
            for number, at_ms in user.completions.items()
        ],
        streak=view_streak(user, names.compiled).length,
    )


async def _read_events(store: StateStore, names: _Names) -> AsyncIterator[Row]:
    _, end = await store.next_ids()
    for first in range(1, end, CHUNKS_AT_ONCE):
        chunks = await store.load_chunks(first, first + CHUNKS_AT_ONCE - 1)
        users = await store.load_names({chunk.user for chunk in chunks})
        for chunk in chunks:
            if chunk.user in users:  # or it is being erased
                for entry in chunk.entries:
                    if entry.kind != EVENT:
                        continue
                    yield _export_event(entry, users[chunk.user], names)


def _export_event(entry: EventEntry, user: UserKey, names: _Names) -> ExportedEvent:
    tenant, key = user
    return ExportedEvent(
        at=format_instant(entry.at_ms),
        id=format_id(entry.event_id),
        user_id=key,
        tenant=tenant,
        metric=names.metrics[entry.metric],
        value=_amount(entry.value),
        total=_amount(entry.total),
        attributes=entry.attributes,
        achievements=[names.achievements[number] for number in entry.completed],
        awards=[
            LoggedAward(names.systems[a.system], names.triggers[a.system, a.trigger], a.awarded, a.total)
            for a in entry.awards
        ],
        idempotency_key=entry.idempotency_key,
    )


def _amount(packed: PackedAmount) -> Raw:
    return Raw(format_amount(unpack_amount(packed)).encode())
