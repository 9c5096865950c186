"""The pipeline of an event: each stage takes the user and returns the next one."""

from msgspec.structs import replace

from plaudit.engine.achievements import complete_achievements
from plaudit.engine.advance import advance
from plaudit.engine.amounts import unpack_amount
from plaudit.engine.commands import RecordEvent
from plaudit.engine.compiled import CompiledCatalog, CompiledMetric
from plaudit.engine.errors import Invalid
from plaudit.engine.identify import check_attribute_keys, identify
from plaudit.engine.metrics import add_to_metric
from plaudit.engine.outcome import Outcome
from plaudit.engine.points import award_points
from plaudit.engine.streaks import extend_streaks
from plaudit.engine.user import User


def process(user: User | None, event: RecordEvent, catalog: CompiledCatalog, now_ms: int) -> Outcome:
    """What an event does to its user (None: a new one). Pure: `user` is untouched, the outcome holds the next state.

    Raises Invalid for an unknown metric or attribute, and for profile fields and totals out of bounds.
    """
    metric = find_metric(catalog, event.metric)
    if event.attributes:
        check_attribute_keys(event.attributes, catalog.event_attributes, "event")
    if user is not None:
        user = advance(user, catalog, now_ms)
    user = identify(user, event.fields, catalog, now_ms)
    if user.earlier:
        user = replace(user, earlier=())
    number = metric.definition.number
    before = user.totals.get(number, 0)
    user = add_to_metric(user, number, unpack_amount(event.value))
    total = user.totals[number]
    user, extended = extend_streaks(user, catalog, now_ms)
    user, completed = complete_achievements(user, metric, now_ms)
    user, awards = award_points(user, metric, before, total, event.event_id)
    return Outcome(user, metric, total, completed, extended, awards)


def find_metric(catalog: CompiledCatalog, key: str) -> CompiledMetric:
    """A live metric by key. Raises Invalid if there is none."""
    metric = catalog.metrics.get(key)
    if metric is None:
        raise Invalid(f"key: expected the key of a metric, got {key!r}")
    return metric
