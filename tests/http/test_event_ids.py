import time
from uuid import RFC_4122, UUID

from plaudit.http.event_ids import EventIds


def test_ids_are_uuids_of_version_7_that_begin_with_the_time() -> None:
    ids = EventIds()
    before_ms = time.time_ns() // 1_000_000
    made = [UUID(bytes=ids.make()) for _ in range(2000)]
    after_ms = time.time_ns() // 1_000_000
    assert {(uuid.version, uuid.variant) for uuid in made} == {(7, RFC_4122)}
    times_ms = [uuid.int >> 80 for uuid in made]
    assert times_ms == sorted(times_ms)
    assert before_ms <= times_ms[0] <= times_ms[-1] <= after_ms


def test_ids_differ_in_random_bits() -> None:
    mask = (1 << 80) - 1
    one, other = EventIds(), EventIds()
    randoms = {int.from_bytes(ids.make(), "big") & mask for ids in (one, other) for _ in range(2000)}
    assert len(randoms) == 4000
