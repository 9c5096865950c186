"""Filters by attributes: every part must match (reference: Users 12, Achievements 8, Points 7)."""

from collections.abc import Mapping

from plaudit.engine.catalog import Filter


def matches(attributes: Mapping[str, str], wanted: Filter) -> bool:
    """True if the attributes have all the values that a filter wants. O(filter)."""
    return not wanted or all(attributes.get(part.key) == part.value for part in wanted)
