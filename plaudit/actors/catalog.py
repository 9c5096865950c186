"""The actor that owns the configuration: the only writer of catalog.sqlite.

It lives in the server's process, beside the lock of the data directory: it is asked a few times a day, and a process of
its own would cost 50 MB.
"""

import asyncio
from pathlib import Path

from msgspec.structs import replace

from plaudit.actors.clock import Clock
from plaudit.actors.clock_keeper import ClockKeeper
from plaudit.engine.catalog import Catalog, StreakSettings
from plaudit.engine.document import Document
from plaudit.engine.revision import next_version, revise
from plaudit.engine.settings import StreakSettingsPatch, change_streaks
from plaudit.storage.catalog_store import FILE_NAME, AdminKey, CatalogStore, ClockTimes, KeySource


class CatalogActor:
    """The catalog in force, and the admin keys. A version is in force once it is committed here.

    Changes must not overlap: whoever has it makes one at a time.
    """

    def __init__(self, store: CatalogStore, clock: Clock, catalog: Catalog) -> None:
        self._store = store
        self._clock = clock
        self.catalog = catalog

    @classmethod
    async def open(cls, data: Path, clock: Clock) -> "CatalogActor":
        """Take up the newest version. Raises StorageError."""
        store = await CatalogStore.open(data)
        return cls(store, clock, await store.load())

    async def apply(self, document: Document) -> Catalog:
        """Make a document without problems the catalog; a new version only if it changes something. One fsync."""
        now_ms = self._clock()
        await self._put_in_force(await asyncio.to_thread(revise, self.catalog, document, now_ms), now_ms)
        return self.catalog

    async def change_streaks(self, patch: StreakSettingsPatch) -> StreakSettings:
        """Change the streak settings and return them; a new version only if that changes something. One fsync.

        Raises Invalid, naming the field, or StorageError.
        """
        now_ms, catalog = self._clock(), self.catalog
        settings = change_streaks(catalog, patch, now_ms)
        if settings != catalog.streaks:
            await self._put_in_force(next_version(catalog, replace(catalog, streaks=settings), now_ms), now_ms)
        return settings

    async def _put_in_force(self, catalog: Catalog, now_ms: int) -> None:
        if catalog is not self.catalog:
            await self._store.save(catalog, now_ms)
            self.catalog = catalog

    async def load_clock(self) -> ClockTimes | None:
        """How far the directory's test clock has come; None if its time is the machine's."""
        return await self._store.load_clock()

    async def start_test_clock(self) -> ClockKeeper:
        """From now on the directory's time is a test clock's, here too; a new one starts at the machine's time."""
        keeper = await ClockKeeper.open(self._store, self._clock())
        self._clock = keeper.clock
        return keeper

    async def load_keys(self) -> list[AdminKey]:
        """All admin keys."""
        return await self._store.load_keys()

    async def has_seen_key(self) -> bool:
        """True if there is a key that somebody knows."""
        return await self._store.has_seen_key()

    async def save_key(self, key: AdminKey, source: KeySource) -> None:
        """Add an admin key; see `CatalogStore.save_key`."""
        await self._store.save_key(key, source, self._clock())

    async def mark_key_seen(self) -> None:
        """The key that was made has been shown."""
        await self._store.mark_seen()

    async def backup(self, directory: Path) -> None:
        """Copy catalog.sqlite into a directory; see `CatalogStore.backup`."""
        await self._store.backup(directory / FILE_NAME)

    async def close(self) -> None:
        """Close the file."""
        await self._store.close()
