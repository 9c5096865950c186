"""What a user has just done: all that achievements and points go by."""

from msgspec import Struct

from plaudit.engine.catalog import Achievement
from plaudit.engine.compiled import CompiledMetric, Matcher


class Deed(Struct, frozen=True, gc=False):
    """One event, or the completion of one achievement."""

    is_new: bool = False
    """It made the user."""
    has_changed_profile: bool = False
    """It has set attributes, or when the user signed up."""
    attributes_before: dict[str, str] = {}
    """The user's."""
    metric: CompiledMetric | None = None
    """None if it was no event."""
    before: int = 0
    """The metric's total, as an amount."""
    after: int = 0
    matched: tuple[tuple[Matcher, int, int], ...] = ()
    """Of each filter that the event matches, the total of matching events before and after."""
    streak_length: int = 0
    """How long the user's streak has become; 0 if this was nothing that makes it longer."""
    seen_before: int = 0
    """The length of the streak that the user sees, before and after."""
    seen_after: int = 0
    asked_for: Achievement | None = None
    """The achievement whose completion was asked for."""
