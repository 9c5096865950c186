"""What every table of a document is checked for: a key of its own, and references to what there is."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from msgspec import Struct

from plaudit.engine.document import Attributes


class Problem(Struct, frozen=True):
    """Something wrong with a document: where, and what was expected."""

    table: str
    key: str
    expected: str

    def __str__(self) -> str:
        return f"{self.table} {self.key}: {self.expected}"


class Keys(NamedTuple):
    """What entries can refer to."""

    metrics: set[str]
    achievements: set[str]
    points: set[str]
    user_attributes: set[str]
    event_attributes: set[str]


def find_duplicates(table: str, keys: Iterable[str]) -> Iterator[Problem]:
    """A problem for each key that is used more than once in a table."""
    for key, count in Counter(keys).items():
        if count > 1:
            yield Problem(f'{table} "{key}"', "key", f"expected a key of its own, got one that is used {count} times")


def check_reference(place: str, field: str, what: str, key: str | None, known: set[str]) -> Iterator[Problem]:
    """A problem if `key` is none of those that are known; None refers to nothing."""
    if key is not None and key not in known:
        listed = ", ".join(sorted(known)) or "none yet"
        yield Problem(place, field, f'expected the key of {what} ({listed}), got "{key}"')


def check_filters(place: str, user: Attributes, event: Attributes, keys: Keys) -> Iterator[Problem]:
    """A problem for each attribute of a filter that there is not."""
    for key in user:
        yield from check_reference(place, "user_attributes", "a user attribute", key, keys.user_attributes)
    for key in event:
        yield from check_reference(place, "event_attributes", "an event attribute", key, keys.event_attributes)
