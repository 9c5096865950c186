"""The total, the totals of matching events, and the changes within the current periods."""

from msgspec.structs import replace

from plaudit.engine.amounts import TOTAL_MAX
from plaudit.engine.compiled import CompiledMetric, Matcher
from plaudit.engine.errors import Invalid
from plaudit.engine.filters import matches
from plaudit.engine.user import NO_CHANGE, User


def add_to_metric(user: User, metric: int, value: int) -> User:
    """The user with `value` (an amount, of either sign) added to the total of a metric (by number).

    Raises Invalid if the total would leave +-10^15.
    """
    total = user.totals.get(metric, 0) + value
    if not -TOTAL_MAX <= total <= TOTAL_MAX:
        raise Invalid("value: expected a total between -10^15 and 10^15 after the event")
    day, week, month = user.streaks.changes.get(metric, NO_CHANGE)
    changes = {**user.streaks.changes, metric: (day + value, week + value, month + value)}
    streaks = replace(user.streaks, changes=changes)
    return replace(user, totals={**user.totals, metric: total}, streaks=streaks)


def find_matchers(metric: CompiledMetric, attributes: dict[str, str]) -> list[Matcher]:
    """The metric's filters that an event with these attributes matches. O(attributes + filters that begin alike)."""
    return [
        matcher
        for part in attributes.items()
        for matcher in metric.matchers.get(part, ())
        if matches(attributes, matcher.wanted)
    ]


def add_to_matched(
    user: User, matchers: list[Matcher], value: int
) -> tuple[User, tuple[tuple[Matcher, int, int], ...]]:
    """The user with `value` (an amount) added to the totals of these filters, and each before and after.

    Raises Invalid if one would leave +-10^15: the events that do not match may have brought the metric's own back.
    """
    matched = dict(user.matched)
    changes = []
    for matcher in matchers:
        before = matched.get(matcher.accumulator, 0)
        after = matched[matcher.accumulator] = before + value
        if not -TOTAL_MAX <= after <= TOTAL_MAX:
            raise Invalid("value: expected a total of matching events between -10^15 and 10^15 after the event")
        changes.append((matcher, before, after))
    return replace(user, matched=matched), tuple(changes)
