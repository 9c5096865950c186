from uuid import UUID

from msgspec.structs import replace

from plaudit.engine.catalog import Catalog, Item
from plaudit.engine.document import Document
from plaudit.engine.revision import revise
from tests.engine.builders import achievement, document, streak, system, trigger

FULL = document(
    achievements=(achievement("10"), achievement("20")),
    points=(system(trigger(1, 5, key="a"), trigger(2, 6, key="b")), system(key="gems", max_points=9)),
    streak=streak("AND", words=5, pages=1),
    user_attributes=("plan",),
    event_attributes=("plan", "device"),
)


def history(*documents: Document) -> list[Catalog]:
    """The catalog after each document, the n-th applied at n seconds."""
    catalogs = [Catalog()]
    for second, applied in enumerate(documents, 1):
        catalogs.append(revise(catalogs[-1], applied, second * 1000))
    return catalogs[1:]


def state(item: Item) -> tuple[str, int, bool, int, int]:
    return item.key, item.number, item.archived, item.created_ms, item.updated_ms


def test_a_document_becomes_a_catalog() -> None:
    (catalog,) = history(FULL)
    assert catalog.version == 1
    assert [state(metric) for metric in catalog.metrics] == [
        ("words", 1, False, 1000, 1000),
        ("pages", 2, False, 1000, 1000),
        ("steps", 3, False, 1000, 1000),
    ]
    assert [(a.key, a.type) for a in catalog.attributes] == [("plan", "user"), ("plan", "event"), ("device", "event")]
    assert [(str(a.metric_value), a.metric, a.status) for a in catalog.achievements] == [
        ("10", "words", "active"),
        ("20", "words", "active"),
    ]
    assert [(s.key, s.max_points) for s in catalog.points_systems] == [("xp", None), ("gems", 9)]
    assert [(t.points, t.metric_threshold) for t in catalog.points_systems[0].triggers] == [(1, 5), (2, 6)]
    assert [(m.key, m.threshold) for m in catalog.streaks.metrics] == [("words", 5), ("pages", 1)]
    assert catalog.streaks.evaluation_mode == "AND"


def test_ids_are_the_same_on_every_installation_and_all_different() -> None:
    (first,), (second,) = history(FULL), history(FULL)
    assert first == second
    systems = first.points_systems
    kinds = (first.metrics, first.attributes, first.achievements, systems, systems[0].triggers)
    ids = [item.id for kind in kinds for item in kind]
    assert len(set(ids)) == len(ids) == 3 + 3 + 2 + 2 + 2
    assert {UUID(text).version for text in ids} == {5}
    assert first.metrics[0].id == "fbe43734-9b6c-5a16-b2b0-08bf5ca82da1"


def test_triggers_of_the_same_key_in_two_systems_have_ids_of_their_own() -> None:
    (catalog,) = history(document(points=(system(trigger(1, 1)), system(trigger(1, 1), key="gems"))))
    xp, gems = catalog.points_systems
    assert xp.triggers[0].id != gems.triggers[0].id


def test_the_same_document_again_changes_nothing() -> None:
    first, second = history(FULL, FULL)
    assert second is first


def test_an_empty_document_changes_nothing_in_an_empty_catalog() -> None:
    catalog = Catalog()
    assert revise(catalog, Document(), 1000) is catalog


def test_a_metric_value_written_otherwise_is_no_change() -> None:
    first, second = history(
        document(achievements=(achievement("10", key="a"),)), document(achievements=(achievement("10.0", key="a"),))
    )
    assert second is first


def test_what_changes_keeps_its_identity_and_the_rest_its_date() -> None:
    first, second = history(
        document(achievements=(achievement("10", key="a"), achievement("20", key="b"))),
        document(achievements=(achievement("10", key="a"), achievement("30", key="b", status="locked"))),
    )
    assert second.version == 2
    assert second.achievements[0] is first.achievements[0]
    assert state(second.achievements[1]) == ("b", 2, False, 1000, 2000)
    assert second.achievements[1].id == first.achievements[1].id
    assert (str(second.achievements[1].metric_value), second.achievements[1].status) == ("30", "locked")
    assert first.achievements[1].updated_ms == 1000


def test_a5_10_what_a_document_no_longer_has_is_archived_and_comes_back_as_itself() -> None:
    both, one, still_one, back = history(
        document(metrics=("a", "b")), document(metrics=("b",)), document(metrics=("b", "c")), document(metrics=("a",))
    )
    assert state(one.metrics[0]) == ("a", 1, True, 1000, 2000)
    assert state(still_one.metrics[0]) == ("a", 1, True, 1000, 2000)
    assert [state(metric) for metric in back.metrics] == [
        ("a", 1, False, 1000, 4000),
        ("b", 2, True, 1000, 4000),
        ("c", 3, True, 3000, 4000),
    ]
    assert back.metrics[0].id == both.metrics[0].id
    assert back.version == 4


def test_a_number_is_never_used_again() -> None:
    *_, last = history(document(metrics=("a", "b")), document(metrics=()), document(metrics=("c", "a")))
    assert [(metric.key, metric.number) for metric in last.metrics] == [("a", 1), ("b", 2), ("c", 3)]


def test_the_order_of_a_document_is_the_order_of_creation_of_what_is_new() -> None:
    *_, last = history(document(metrics=("m",)), document(metrics=("z", "m", "a")))
    assert [metric.key for metric in last.metrics] == ["m", "z", "a"]


def test_a_trigger_is_archived_and_comes_back_within_its_system() -> None:
    two = document(points=(system(trigger(1, 5, key="a"), trigger(2, 6, key="b")),))
    one = document(points=(system(trigger(2, 6, key="b")),))
    _, without, gone, back = history(two, one, document(), two)
    assert [state(t) for t in without.points_systems[0].triggers] == [
        ("a", 1, True, 1000, 2000),
        ("b", 2, False, 1000, 1000),
    ]
    assert without.points_systems[0].updated_ms == 2000
    assert gone.points_systems[0].archived
    assert state(back.points_systems[0]) == ("xp", 1, False, 1000, 4000)
    assert [state(t) for t in back.points_systems[0].triggers] == [
        ("a", 1, False, 1000, 4000),
        ("b", 2, False, 1000, 1000),
    ]


def test_streak_settings_are_replaced() -> None:
    _, second = history(document(streak=streak("AND", words=5)), document(streak=streak(pages=2)))
    assert (second.version, second.streaks.evaluation_mode) == (2, "OR")
    assert [(m.key, m.threshold) for m in second.streaks.metrics] == [("pages", 2)]


def test_a_change_of_the_streak_alone_is_a_new_version() -> None:
    first, second = history(FULL, replace(FULL, streak=streak("OR", words=5, pages=1)))
    assert second.version == 2
    assert second.metrics == first.metrics
