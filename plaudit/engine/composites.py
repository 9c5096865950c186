"""Achievements that need others (reference: Q-70)."""

from collections.abc import Iterable, Mapping


def find_cycle(needed: Mapping[str, Iterable[str]]) -> list[str]:
    """A path of keys that leads back to where it began, which is at both its ends; empty if there is none.

    `needed` has for each key those that it needs; unknown ones need nothing. O(all of it), at any depth.
    """
    done: set[str] = set()
    for start in needed:
        path: dict[str, None] = {}
        waiting = [iter((start,))]
        while waiting:
            key = next(waiting[-1], None)
            if key is None:
                waiting.pop()
                if path:
                    done.add(path.popitem()[0])
            elif key in path:
                found = list(path)
                return [*found[found.index(key) :], key]
            elif key not in done:
                path[key] = None
                waiting.append(iter(needed.get(key, ())))
    return []
