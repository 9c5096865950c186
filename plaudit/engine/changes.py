"""What is different between two versions of the catalog, for whoever has changed it."""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from plaudit.engine.catalog import Catalog, Item


class Change(Struct, frozen=True):
    """How many items of a kind were added (or brought back), changed and archived."""

    kind: str
    added: int
    changed: int
    archived: int


def compare_catalogs(before: Catalog, after: Catalog) -> list[Change]:
    """Every kind of which something is different. O(items)."""
    old, new = dict(_items(before)), dict(_items(after))
    changes = (_compare(kind, old[kind], items) for kind, items in new.items())
    found = [change for change in changes if change.added or change.changed or change.archived]
    if before.streaks != after.streaks:
        found.append(Change("streak settings", 0, 1, 0))
    return found


def _items(catalog: Catalog) -> Iterator[tuple[str, list[Item]]]:
    yield "metrics", list(catalog.metrics)
    yield "attributes", list(catalog.attributes)
    yield "achievements", list(catalog.achievements)
    yield "points systems", list(catalog.points_systems)
    yield "leaderboards", list(catalog.leaderboards)
    yield "triggers", [trigger for system in catalog.points_systems for trigger in system.triggers]
    yield "boosts", [boost for system in catalog.points_systems for boost in system.boosts]
    yield "levels", [level for system in catalog.points_systems for level in system.levels]


def _compare(kind: str, before: Iterable[Item], after: Iterable[Item]) -> Change:
    old = {item.id: item for item in before if not item.archived}
    new = {item.id: item for item in after if not item.archived}
    kept = old.keys() & new.keys()
    return Change(
        kind=kind,
        added=len(new) - len(kept),
        changed=sum(old[id_] != new[id_] for id_ in kept),
        archived=len(old) - len(kept),
    )
