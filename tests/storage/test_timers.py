"""When whose time comes, as state.sqlite has it; and that it is right everywhere when a sweep says so."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from plaudit.storage.snapshots import StoredUser
from plaudit.storage.state import FILE_NAME, StateStore
from plaudit.storage.timers import SCHEMA, Due, Timer, find_end, load_timers, save_timers
from tests.engine.builders import DETERMINISTIC
from tests.storage.builders import edit, opened_state, part, query, user
from tests.storage.databases import connected_to

NOWHERE: Due = (-1, 0)
LAST: Due = (2**62, 0)
DUES = st.dictionaries(st.integers(1, 30), st.integers(0, 4), max_size=20)
PLACES = st.tuples(st.integers(-1, 5), st.integers(0, 31))


async def save(store: StateStore, *rows: Timer, key: str = "key") -> None:
    await store.save(replace(part(), timers=list(rows), timing_key=key))


async def everything(store: StateStore) -> list[Due]:
    return await store.load_timers(NOWHERE, LAST)


async def test_due_times_are_kept_in_order_and_replaced(tmp_path: Path) -> None:
    async with opened_state(tmp_path) as store:
        await save(store, (1, 30), (2, 10), (3, 20), (4, None))
        await save(store, (2, 30), (3, None), (5, 10))
    async with opened_state(tmp_path) as store:
        assert await everything(store) == [(10, 5), (30, 1), (30, 2)]


async def test_a_user_is_loaded_with_their_due_time(tmp_path: Path) -> None:
    async with opened_state(tmp_path) as store:
        ada, bob = user(1), user(2)
        await store.save(replace(part(ada, bob), timers=[(1, 77)], timing_key="key"))
        timed = replace(ada, due_ms=77)
        assert await store.load_users([ada.key, bob.key]) == {ada.key: timed, bob.key: bob}
        assert await store.load_users_by_id([2, 1, 3]) == {1: timed, 2: bob}
        assert await store.scan_users() == [(1, timed), (2, bob)]


@DETERMINISTIC
@given(DUES, PLACES, PLACES, st.integers(1, 6))
def test_pages_of_due_times_have_no_gap(dues: dict[int, int], after: Due, through: Due, limit: int) -> None:
    """Whether many are due at once or not."""
    with connected_to(SCHEMA) as connection:
        save_timers(connection, "key", list(dues.items()))
        in_order = sorted((due_ms, id_) for id_, due_ms in dues.items())
        assert load_timers(connection, after, max(after, through)) == [d for d in in_order if after < d <= through]
        left = [due for due in in_order if due > after]
        assert find_end(connection, after, limit) == (left[limit - 1] if len(left) >= limit else None)


class Sweeper:
    """Sweeps a state page by page; everybody's due time is a hundred times their id, or a multiple of that."""

    def __init__(self, store: StateStore, key: str, factor: int = 100) -> None:
        self._store = store
        self._key = key
        self._factor = factor
        self.asked: list[int] = []

    def find_due(self, stored: StoredUser) -> int | None:
        self.asked.append(stored.id)
        return None if stored.id % 5 == 0 else self._factor * stored.id

    async def page(self) -> tuple[list[Due], bool]:
        return await self._store.sweep_timers(self._key, self.find_due, 3)

    async def sweep(self) -> list[Due]:
        found: list[Due] = []
        is_last = False
        while not is_last:
            dues, is_last = await self.page()
            found += dues
        return found


async def test_a_sweep_sets_right_what_is_wrong_and_says_what_it_has_written(tmp_path: Path) -> None:
    async with opened_state(tmp_path) as store:
        await store.save(part(*(user(number) for number in range(1, 9))))
        await save(store, (1, 100), (2, 999), (5, 500), (8, 800), key="old")
        assert await store.load_swept_key() is None
        sweeper = Sweeper(store, "new")
        assert await sweeper.page() == ([(200, 2), (300, 3)], False)
        assert await store.load_swept_key() is None
        assert await sweeper.page() == ([(400, 4), (600, 6)], False)
        assert await sweeper.page() == ([(700, 7)], True)
        assert await store.load_swept_key() == "new"
        assert await everything(store) == [(100 * n, n) for n in range(1, 9) if n != 5]
        assert sweeper.asked == list(range(1, 9))
        assert (await sweeper.page(), sweeper.asked[8:]) == (([], True), [])


async def test_a_sweep_of_nobody_is_a_sweep(tmp_path: Path) -> None:
    async with opened_state(tmp_path) as store:
        assert await Sweeper(store, "key").page() == ([], True)
        assert await store.load_swept_key() == "key"


async def test_a_sweep_goes_on_after_a_crash_and_begins_anew_under_another_key(tmp_path: Path) -> None:
    async with opened_state(tmp_path) as store:
        await store.save(part(*(user(number) for number in range(1, 9))))
        await Sweeper(store, "key").page()
    async with opened_state(tmp_path) as store:
        sweeper = Sweeper(store, "key")
        await sweeper.page()
        assert sweeper.asked == [4, 5, 6]
    async with opened_state(tmp_path) as store:
        sweeper = Sweeper(store, "other", factor=1)
        await sweeper.sweep()
        assert sweeper.asked == list(range(1, 9))
        assert await everything(store) == [(n, n) for n in (1, 2, 3, 4, 6, 7, 8)]


@pytest.mark.parametrize("swept", [1, 3])
async def test_rows_of_another_key_take_back_what_was_swept(tmp_path: Path, swept: int) -> None:
    """Those of the same key belong to it, wherever the sweep is."""
    async with opened_state(tmp_path) as store:
        await store.save(part(*(user(number) for number in range(1, 9))))
        for _ in range(swept):
            await Sweeper(store, "key").page()
        await save(store, (2, 5), key="other")
        await save(store, key="third")
        sweeper = Sweeper(store, "key")
        changed = [2, 4, 6, 7, 8] if swept == 1 else [2]
        assert (await sweeper.sweep(), await store.load_swept_key()) == ([(100 * n, n) for n in changed], "key")
        assert sweeper.asked == list(range(1, 9))
        await save(store, (2, 5), key="key")
        assert await store.load_swept_key() == "key"


async def test_a_sweep_passes_over_users_who_cannot_be_read(tmp_path: Path) -> None:
    async with opened_state(tmp_path) as store:
        await store.save(part(*(user(number) for number in range(1, 5))))
    edit(tmp_path / FILE_NAME, "UPDATE snapshots SET body = x'00' WHERE user = 2")
    async with opened_state(tmp_path) as store:
        assert await Sweeper(store, "key").sweep() == [(100, 1), (300, 3), (400, 4)]


async def test_due_times_of_deleted_users_go_with_them(tmp_path: Path) -> None:
    async with opened_state(tmp_path) as store:
        await store.save(replace(part(user(1), user(2)), timers=[(1, 10), (2, 20)], timing_key="key"))
        await store.finish_checkpoint(1, 0, None, [], 0, [(user(1), {("users", 0): -1})])
        assert await everything(store) == [(20, 2)]


async def test_a_purge_erases_the_ids_that_deleted_users_owned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plaudit.storage.state.PURGE_OWNERS", 3)
    ids = [bytes([number]) * 16 for number in range(10)]
    async with opened_state(tmp_path) as store:
        owned = [(id_, 1 + number % 2) for number, id_ in enumerate(ids)]
        await store.save(replace(part(user(1), user(2)), owners=owned))
        await store.save(replace(part(), owners=[(ids[0], 2)]))
        found = await store.find_owners([*ids, b"x" * 16])
        assert found == {id_: (id1, ("", f"user-{id1}")) for id_, id1 in owned}, "an id stays whose it was"
        await store.finish_checkpoint(1, 0, None, [], 0, [(user(1), {("users", 0): -1})])
        assert {id1 for id1, _ in (await store.find_owners(ids)).values()} == {2}
        await store.purge()
    assert {row[0] for row in query(tmp_path / FILE_NAME, "SELECT id FROM owners")} == set(ids[1::2])


async def test_rows_of_nobody_are_counted(tmp_path: Path) -> None:
    async with opened_state(tmp_path) as store:
        await store.save(replace(part(user(1)), timers=[(1, 10), (7, 20)], timing_key="key", owners=[(b"a", 8)]))
        strays = await store.load_strays()
        assert (strays.timers, strays.owners) == (1, 1)
