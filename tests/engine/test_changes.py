"""What whoever has changed the catalog is told of it."""

from msgspec.structs import replace

from plaudit.engine.catalog import Catalog
from plaudit.engine.changes import Change, compare_catalogs
from plaudit.engine.document import Document
from plaudit.engine.revision import revise
from tests.engine.builders import CREATED_MS, achievement, document, streak, system, trigger

FULL = document(
    achievements=(achievement("10", key="a"), achievement("20", key="b")),
    points=(system(trigger(1, 5, key="x"), trigger(2, 6, key="y")), system(key="gems")),
    user_attributes=("plan",),
    event_attributes=("plan",),
)


def changed(*documents: Document) -> list[Change]:
    """What the last document has changed of what the others had made."""
    before = after = Catalog()
    for minute, applied in enumerate(documents):
        before, after = after, revise(after, applied, CREATED_MS + minute * 60_000)
    return compare_catalogs(before, after)


def test_everything_is_new_at_first_but_for_settings_that_are_as_they_were() -> None:
    assert changed(FULL) == [
        Change("metrics", 3, 0, 0),
        Change("attributes", 2, 0, 0),
        Change("achievements", 2, 0, 0),
        Change("points systems", 2, 0, 0),
        Change("triggers", 2, 0, 0),
    ]


def test_the_same_again_is_no_change() -> None:
    assert changed(FULL, FULL) == []


def test_items_of_a_kind_are_counted_as_added_changed_and_archived() -> None:
    entries = (achievement("11", key="a"), achievement("1", key="c"), achievement("2", key="d"))
    assert changed(FULL, replace(FULL, achievements=entries)) == [Change("achievements", 2, 1, 1)]


def test_an_attribute_of_users_is_another_than_that_of_events() -> None:
    without = replace(FULL, attributes=FULL.attributes[1:])
    assert changed(FULL, without) == [Change("attributes", 0, 0, 1)]


def test_what_was_archived_is_not_archived_again_and_counts_as_added_when_it_comes_back() -> None:
    less = replace(FULL, achievements=FULL.achievements[:1])
    more = replace(less, metrics=(*less.metrics, replace(less.metrics[0], key="more")))
    assert changed(FULL, less) == [Change("achievements", 0, 0, 1)]
    assert changed(FULL, less, more) == [Change("metrics", 1, 0, 0)]
    assert changed(FULL, less, FULL) == [Change("achievements", 1, 0, 0)]


def test_a_system_changes_with_the_triggers_in_it() -> None:
    xp = system(trigger(9, 5, key="x"), trigger(1, 1, key="z"))
    assert changed(FULL, replace(FULL, points=(xp, FULL.points[1]))) == [
        Change("points systems", 0, 1, 0),
        Change("triggers", 1, 1, 1),
    ]


def test_the_same_key_of_a_trigger_in_another_system_is_another_trigger() -> None:
    gems = system(trigger(1, 5, key="x"), key="gems")
    assert changed(FULL, replace(FULL, points=(FULL.points[0], gems))) == [
        Change("points systems", 0, 1, 0),
        Change("triggers", 1, 0, 0),
    ]


def test_streak_settings_are_one_thing_that_changes() -> None:
    assert changed(FULL, replace(FULL, streak=streak("AND", words=1, pages=2))) == [Change("streak settings", 0, 1, 0)]
    assert changed(FULL, replace(FULL, streak=None)) == []
