"""Who is due, and in which order; what is beyond the horizon is not there."""

import random
from itertools import pairwise

import pytest

from plaudit.actors import schedule as schedules
from plaudit.actors.schedule import BEGINNING, END, JITTER_BITS, DueTimes, Schedule
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.user import Profile, User
from tests.engine.builders import CREATED_MS, compiled, document, frozen

CATALOG = compiled(document())
FREEZES = compiled(document(streak=frozen(0, 5, every=7, amount=1)))
MINUTES_MS = 600_000


def user(deadline_ms: int) -> User:
    """Somebody whose deadline is their day, as `deadline_of` has it."""
    return User(Profile(CREATED_MS, CREATED_MS), day=deadline_ms)


def deadline_of(user: User, catalog: CompiledCatalog) -> int | None:
    assert catalog in (CATALOG, FREEZES)
    return user.day or None


def made(window_ms: int = 0) -> Schedule:
    schedule = Schedule(window_ms, deadline_of)
    schedule.adopt(CATALOG)
    schedule.horizon = END
    return schedule


def everything(schedule: Schedule) -> list[int]:
    return schedule.take(END[0], 1_000_000)


def test_users_come_in_the_order_of_their_times_and_then_of_their_ids() -> None:
    schedule = made()
    dues = [(at_ms, id_) for at_ms in (30, 10, 20) for id_ in (7, 5, 6)]
    random.Random(1).shuffle(dues)
    schedule.add_all(dues)
    assert schedule.next_ms == 10
    assert schedule.take(9, 10) == []
    assert schedule.take(10, 2) == [5, 6]
    assert schedule.take(20, 4) == [7, 5, 6], "7 is due twice by now, and taken once"
    assert (schedule.take(29, 10), schedule.take(30, 10), len(schedule)) == ([], [5, 6, 7], 0)
    assert schedule.next_ms is None


def test_what_is_beyond_the_horizon_is_not_kept() -> None:
    schedule = made()
    schedule.horizon = (20, 6)
    schedule.add_all([(20, 5), (20, 6), (20, 7), (21, 1)])
    assert everything(schedule) == [5, 6]
    schedule.horizon = BEGINNING
    schedule.add(0, 1)
    assert everything(schedule) == []


def test_the_horizon_comes_nearer_when_there_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedules, "ENTRIES_MAX", 4)
    schedule = made()
    schedule.add_all((at_ms, 1) for at_ms in (50, 20, 90, 10, 30, 70, 40, 80))
    assert (len(schedule), schedule.horizon) == (8, END)
    schedule.add(60, 1)
    assert (len(schedule), schedule.horizon) == (4, (40, 1))
    schedule.add(45, 1)
    schedule.add(15, 2)
    taken = [schedule.take(100, 1) for _ in range(6)]
    assert taken == [[1], [2], [1], [1], [1], []]


def test_it_says_when_somebody_is_due_before_all_others() -> None:
    schedule = made()
    schedule.changed.clear()
    for at_ms, is_first in ((30, True), (40, False), (30, False), (20, True), (25, False)):
        schedule.add(at_ms, 9)
        assert schedule.changed.is_set() == is_first
        schedule.changed.clear()


def test_an_entry_can_be_taken_out() -> None:
    schedule = made()
    schedule.add_all([(1, 1), (2, 2), (3, 3), (2, 2)])
    schedule.discard(2, 2)
    schedule.discard(9, 9)
    assert everything(schedule) == [1, 3]


def test_other_settings_of_freezes_forget_everything_and_others_nothing() -> None:
    schedule = made()
    schedule.add(5, 1)
    schedule.swept_key = schedule.key
    schedule.changed.clear()
    version = schedule.version
    assert not schedule.adopt(compiled(document()))
    assert (len(schedule), schedule.is_swept, schedule.changed.is_set()) == (1, True, False)
    assert schedule.adopt(FREEZES)
    assert (len(schedule), schedule.horizon, schedule.version) == (0, BEGINNING, version + 1)
    assert (schedule.is_swept, schedule.changed.is_set()) == (False, True)


def test_what_was_written_under_other_settings_spoils_what_was_right() -> None:
    schedule = made()
    schedule.swept_key = schedule.key
    schedule.adopt(FREEZES)
    schedule.adopt(CATALOG)
    assert schedule.is_swept, "nothing has been written meanwhile"
    schedule.adopt(FREEZES)
    schedule.note_written()
    schedule.adopt(CATALOG)
    assert not schedule.is_swept


def test_a_window_is_a_matter_of_the_key() -> None:
    assert len({DueTimes(catalog, ms, deadline_of).key for catalog in (CATALOG, FREEZES) for ms in (0, 1, 2)}) == 6


def test_due_times_are_spread_over_the_window_in_the_order_of_ids() -> None:
    find = DueTimes(CATALOG, MINUTES_MS, deadline_of).find
    ids = [*range(0, 1 << JITTER_BITS, 4099), (1 << JITTER_BITS) - 1]
    due = [find(user(1000), id_) for id_ in ids]
    offsets = [at_ms - 1000 for at_ms in due if at_ms is not None]
    assert len(offsets) == len(ids)
    assert offsets[0] == 0
    assert MINUTES_MS - 10 <= offsets[-1] < MINUTES_MS
    assert all(0 <= second - first <= 2_400 for first, second in pairwise(offsets))
    assert find(user(1000), (1 << JITTER_BITS) + 4099) == due[1]
    assert find(user(0), 5) is None
    assert {DueTimes(CATALOG, 0, deadline_of).find(user(1000), id_) for id_ in ids} == {1000}
