"""Which users are in memory: all that are not saved, and the last ones that were asked for."""

import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from plaudit.actors.residents import Residents
from plaudit.engine.commands import UserKey
from plaudit.engine.snapshot import encode_user
from plaudit.engine.user import Profile, User
from plaudit.storage.errors import Corrupt
from plaudit.storage.history import EventEntry
from plaudit.storage.state import FILE_NAME, StateStore
from tests.engine.builders import CREATED_MS, DETERMINISTIC, compiled, document, event_id
from tests.storage.builders import edit, opened_state

USER = User(Profile(CREATED_MS, CREATED_MS))
COMPILED = compiled(document())
SNAPSHOT = encode_user(USER)


def key(name: str) -> UserKey:
    return "", name


def entry(number: int, idempotency_key: str | None = None) -> EventEntry:
    return EventEntry(event_id(number), CREATED_MS, 1, 1, 1, idempotency_key=idempotency_key, number=number)


class Owner:
    """What executor and checkpoint do with users; commands are numbered from 1."""

    def __init__(self, users_max: int) -> None:
        self.residents = Residents(users_max)
        self.residents.adopt(COMPILED)
        self.number = 0

    def send(self, *names: str, idempotency_key: str | None = None, completed: tuple[int, ...] = ()) -> None:
        for name in names:
            self.number += 1
            happened = entry(self.number, idempotency_key)
            resident = self.residents.find(key(name))
            user = USER if resident is None else resident.user
            if completed:
                user = replace(user, completions=user.completions | dict.fromkeys(completed, CREATED_MS))
            self.residents.install(key(name), user, SNAPSHOT, self.number, (happened,))

    def delete(self, name: str) -> None:
        self.number += 1
        self.residents.delete(key(name), self.number)

    def read(self, *names: str) -> list[bool]:
        return [self.residents.touch(key(name)) for name in names]

    def save(self) -> None:
        part, _ = self.residents.take_slice(self.residents.take_dirty())
        self.residents.mark_saved(part)

    def unsaved(self) -> set[str]:
        return {key[1] for key, _ in self.residents.unsaved_events()}

    def in_memory(self, names: Iterable[str]) -> str:
        self.residents.passivate()
        return "".join(name for name in names if self.residents.find(key(name)) is not None)


def test_those_go_first_that_have_not_been_asked_for_the_longest() -> None:
    owner = Owner(3)
    owner.send(*"abcde")
    owner.save()
    owner.read("b", "a")
    assert owner.in_memory("abcde") == "abe"
    owner.read("e")
    owner.residents.users_max = 2
    assert owner.in_memory("abcde") == "ae"
    owner.send("a")
    owner.save()
    owner.residents.users_max = 1
    assert owner.in_memory("abcde") == "a"


def test_nobody_goes_of_whom_something_is_not_saved() -> None:
    owner = Owner(0)
    owner.send(*"abc")
    assert owner.in_memory("abc") == "abc"
    part, _ = owner.residents.take_slice(owner.residents.take_dirty()[:2])
    assert owner.in_memory("abc") == "abc"
    owner.send("a")
    owner.residents.mark_saved(part)
    assert owner.in_memory("abc") == "ac"
    owner.save()
    assert owner.in_memory("abc") == ""
    assert len(owner.residents) == 0


STEPS = st.lists(
    st.tuples(st.sampled_from(["send", "read", "delete"]), st.sampled_from("abcdef"))
    | st.tuples(st.sampled_from(["take", "saved", "passivate"]), st.just("")),
    max_size=40,
)


@settings(DETERMINISTIC, max_examples=300)
@given(st.integers(0, 4), STEPS)
def test_there_are_never_more_than_those_who_must_be_there(users_max: int, steps: list[tuple[str, str]]) -> None:
    owner = Owner(users_max)
    residents = owner.residents
    unsaved: set[str] = set()
    taken: set[str] = set()
    part = None
    for step, name in steps:
        if step == "send":
            owner.send(name)
            unsaved.add(name)
        elif step == "read":
            owner.read(name)
        elif step == "delete" and residents.find(key(name)) is not None:
            owner.delete(name)
            unsaved.discard(name)
            taken.discard(name)
        elif step == "take" and part is None:
            ids = residents.take_dirty()
            taken = {name for name in unsaved if (r := residents.find(key(name))) is not None and r.id in ids}
            part, _ = residents.take_slice(ids)
            unsaved -= taken
        elif step == "saved" and part is not None:
            residents.mark_saved(part)
            residents.forget_saved()
            part, taken = None, set()
        elif step == "passivate":
            residents.passivate()
            assert len(residents) <= max(users_max, len(unsaved | taken))
        assert {found[1] for found, _ in residents.unsaved_events()} == unsaved | taken
        assert all(residents.find(key(other)) is not None for other in unsaved | taken)


def test_letting_many_go_does_not_take_longer_for_each() -> None:
    """The loop stands still meanwhile: with a plain dict, 60,000 took seconds."""
    owner = Owner(0)
    owner.send(*map(str, range(60_000)))
    owner.save()
    started = time.process_time()
    owner.residents.passivate()
    assert time.process_time() - started < 1
    assert len(owner.residents) == 0


def test_a_slice_has_what_has_happened_since_the_last_one() -> None:
    owner = Owner(10)
    owner.residents.start_ids(7, 20)
    owner.send("a", "b", "a", completed=(1, 2))
    part, applied = owner.residents.take_slice(owner.residents.take_dirty())
    assert ([user.id for user in part.users], [user.applied for user in part.users]) == ([7, 8], [3, 2])
    assert part.new == part.users
    assert [(c.id, c.user, c.previous, [e.number for e in c.entries]) for c in part.chunks] == [
        (20, 7, None, [1, 3]),
        (21, 8, None, [2]),
    ]
    assert part.counters == {("users", 0): 2, ("completions", 1): 2, ("completions", 2): 2}
    assert applied == 3
    owner.send("b")
    resident = owner.residents.find(key("b"))
    assert resident is not None
    assert [e.number for e in resident.pending()] == [2, 4]
    owner.residents.mark_saved(part)
    assert [e.number for e in resident.pending()] == [4]
    assert owner.residents.newest_saved_chunk == 21
    part, applied = owner.residents.take_slice(owner.residents.take_dirty())
    assert ([user.id for user in part.users], part.new, part.counters) == ([8], [], {})
    assert [(c.id, c.previous, [e.number for e in c.entries]) for c in part.chunks] == [(22, 21, [4])]
    owner.residents.mark_saved(part)
    assert owner.residents.take_dirty() == []


def test_a_user_of_a_key_that_another_had_waits_until_that_one_is_forgotten() -> None:
    owner = Owner(10)
    residents = owner.residents
    owner.send("a", "b")
    owner.save()
    owner.delete("a")
    deletion = owner.number
    owner.send("a", "b")
    assert residents.find(key("a")) is not None
    [bob] = residents.take_dirty()
    assert residents.take_deleted(deletion - 1) == []
    [deleted] = residents.take_deleted(deletion)
    assert (deleted.id, deleted.is_new) == (1, False)
    [again] = residents.take_recreated([deleted])
    assert len({deleted.id, bob, again}) == 3
    assert residents.deleted_ids() == {deleted.id}
    residents.mark_deleted([deleted])
    assert residents.deleted_ids() == frozenset()
    assert residents.take_dirty() == sorted([bob, again])


def test_of_many_users_of_one_key_the_last_is_saved() -> None:
    owner = Owner(10)
    for _ in range(3):
        owner.send("a")
        owner.delete("a")
    owner.send("a")
    deleted = owner.residents.take_deleted(owner.number)
    assert [(resident.id, resident.is_new) for resident in deleted] == [(1, True), (2, True), (3, True)]
    assert owner.residents.take_dirty() == []
    assert owner.residents.take_recreated(deleted) == [4]
    owner.residents.mark_deleted(deleted)
    assert owner.residents.take_dirty() == [4]


def test_a_deletion_that_is_not_durable_yet_is_not_the_checkpoints() -> None:
    """Until it is, the user is saved as if nothing had been deleted, and whoever comes after waits."""
    owner = Owner(10)
    owner.send("a")
    cut = owner.number
    owner.delete("a")
    owner.send("a")
    assert owner.residents.take_deleted(cut) == []
    assert owner.residents.take_dirty() == [1]
    assert owner.residents.take_recreated([]) == []
    owner.save()
    assert owner.residents.take_dirty() == []
    [deleted] = owner.residents.take_deleted(owner.number)
    assert (deleted.id, deleted.is_new, deleted.chunk) == (1, False, 1)


def test_recent_keys_are_known_until_they_are_forgotten() -> None:
    owner = Owner(10)
    residents = owner.residents
    owner.send("a", "b", idempotency_key="k")
    owner.send("a")
    assert residents.find_recent_key((1, 1, "k")) == event_id(1)
    assert residents.find_recent_key((2, 1, "k")) == event_id(2)
    assert residents.find_recent_key((1, 2, "k")) is None
    owner.save()
    residents.forget_keys([(1, 1, "k")])
    assert residents.find_recent_key((1, 1, "k")) is None
    owner.delete("b")
    owner.send("b", idempotency_key="k2")
    owner.delete("b")
    residents.take_deleted(owner.number)
    assert residents.find_recent_key((3, 1, "k2")) is None


async def test_a_user_is_loaded_as_it_was_saved(tmp_path: Path) -> None:
    owner = Owner(10)
    async with opened_state(tmp_path) as store:
        owner.send("a", "b", "a")
        part, _ = owner.residents.take_slice(owner.residents.take_dirty())
        await store.save(part)
    edit(tmp_path / FILE_NAME, "UPDATE snapshots SET body = x'00' WHERE user = 2")
    async with opened_state(tmp_path) as store:
        residents = await loaded(store, "a", "b", "c")
    ada = residents.find(key("a"))
    assert ada is not None
    assert (ada.id, ada.user, ada.applied, ada.chunk, ada.is_new, ada.pending()) == (1, USER, 3, 1, False, [])
    assert [residents.touch(key(name)) for name in "abc"] == [True, True, False]
    assert residents.get(key("c")) is None
    assert (residents.find(key("b")), len(residents), residents.take_dirty()) == (None, 1, [])
    with pytest.raises(Corrupt, match=r"state\.sqlite: user 'b': "):
        residents.get(key("b"))


async def loaded(store: StateStore, *names: str) -> Residents:
    residents = Residents(10)
    residents.adopt(COMPILED)
    await residents.load({key(name) for name in names}, store)
    return residents
