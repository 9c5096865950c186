from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from plaudit.engine.ids import derive_id, format_id
from tests.engine.builders import DETERMINISTIC, event_id


def test_the_same_cause_has_the_same_id() -> None:
    assert derive_id(event_id(1), "award", 0) == derive_id(event_id(1), "award", 0)


def test_an_id_never_changes_between_versions() -> None:
    assert format_id(derive_id(event_id(1), "award", 0)) == "e7eef7bc-d3d2-83b5-80ab-3e98185b3c98"


def test_ids_differ_by_event_kind_and_number() -> None:
    ids = {
        derive_id(event_id(number), kind, n)
        for number in range(10)
        for kind in ("award", "completion")
        for n in (0, 1, 255, 256, 2**40)
    }
    assert len(ids) == 10 * 2 * 5


@DETERMINISTIC
@given(st.binary(min_size=16, max_size=16), st.integers(0, 2**64 - 1))
def test_a_derived_id_is_a_uuid_of_version_8(cause: bytes, number: int) -> None:
    derived = UUID(bytes=derive_id(cause, "award", number))
    assert (derived.version, derived.variant) == (8, RFC_4122)


def test_the_text_of_an_id_is_that_of_the_uuid() -> None:
    assert format_id(event_id(0x2A)) == "018f2b6e-0000-7000-8000-00000000002a"
