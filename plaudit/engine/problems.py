"""What is wrong with a document: everything that the types of its tables cannot say."""

import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from plaudit.engine.amounts import PLACES
from plaudit.engine.board_problems import find_board_problems
from plaudit.engine.composites import find_cycle
from plaudit.engine.document import (
    METRIC_VALUE_MAX,
    MULTIPLIER_MAX,
    AchievementEntry,
    BoostEntry,
    Document,
    PointsEntry,
    TriggerEntry,
)
from plaudit.engine.document_checks import Keys, Problem, check_filters, check_reference, find_duplicates

_CURRENCY = re.compile(r"[A-Z]{3}")


def find_problems(document: Document) -> list[Problem]:
    """Duplicates, unknown references, what is missing or belongs to another trigger, numbers that mean nothing."""
    keys = Keys(
        metrics={metric.key for metric in document.metrics},
        achievements={achievement.key for achievement in document.achievements},
        points={points.key for points in document.points},
        user_attributes={a.key for a in document.attributes if a.type == "user"},
        event_attributes={a.key for a in document.attributes if a.type == "event"},
    )
    return [
        *find_duplicates("[[metrics]]", (metric.key for metric in document.metrics)),
        *_currency_problems(document),
        *_attribute_duplicates(document),
        *find_duplicates("[[achievements]]", (achievement.key for achievement in document.achievements)),
        *find_duplicates("[[points]]", (points.key for points in document.points)),
        *(problem for entry in document.achievements for problem in _achievement_problems(entry, keys)),
        *_cycle_problems(document),
        *(problem for entry in document.points for problem in _points_problems(entry, keys)),
        *_streak_problems(document, keys.metrics),
        *find_board_problems(document, keys),
    ]


def _currency_problems(document: Document) -> Iterator[Problem]:
    for metric in document.metrics:
        if metric.unit_type == "currency" and not _CURRENCY.fullmatch(metric.units):
            expected = f"expected the code of a currency such as USD, got {metric.units!r}"
            yield Problem(f'[[metrics]] "{metric.key}"', "units", expected)


def _attribute_duplicates(document: Document) -> Iterator[Problem]:
    for kind in ("user", "event"):
        keys = (attribute.key for attribute in document.attributes if attribute.type == kind)
        yield from find_duplicates(f"[[attributes]] of type {kind}", keys)


_OF_ACHIEVEMENTS = {
    "metric": ("metric", "metric_value"),
    "streak": ("streak_length",),
    "api": (),
    "achievement": ("achievements",),
    "anniversary": ("anniversary_years",),
}
"""What an achievement needs, by its trigger; nothing else of these may be there."""

_OF_TRIGGERS = {
    "metric": ("metric", "metric_threshold"),
    "achievement": ("achievement",),
    "streak": ("streak_length",),
    "time": ("time_unit", "time_interval"),
    "user_creation": (),
}
"""The same for triggers of points, by their type."""


def _field_problems(
    place: str, entry: AchievementEntry | TriggerEntry, kind: str, of_kinds: dict[str, tuple[str, ...]]
) -> Iterator[Problem]:
    for field in dict.fromkeys(field for fields in of_kinds.values() for field in fields):
        is_there = getattr(entry, field) is not None
        if field in of_kinds[kind] and not is_there:
            yield Problem(place, field, f"expected, since it is of type {kind}")
        elif field not in of_kinds[kind] and is_there:
            yield Problem(place, field, f"expected none, since it is of type {kind}")
    if entry.event_attributes and kind != "metric":
        yield Problem(place, "event_attributes", f"expected none, since it is of type {kind}")


def _achievement_problems(entry: AchievementEntry, keys: Keys) -> Iterator[Problem]:
    place = f'[[achievements]] "{entry.key}"'
    yield from _field_problems(place, entry, entry.trigger, _OF_ACHIEVEMENTS)
    yield from check_reference(place, "metric", "a metric", entry.metric, keys.metrics)
    yield from check_filters(place, entry.user_attributes, entry.event_attributes, keys)
    value = entry.metric_value
    if value is not None and (not value.is_finite() or not 1 <= value <= METRIC_VALUE_MAX):
        yield Problem(place, "metric_value", f"expected a number from 1 to 10^15, got {value}")
    if entry.achievements is not None and not entry.achievements:
        yield Problem(place, "achievements", "expected the key of at least one achievement")
    for key in entry.achievements or ():
        yield from check_reference(place, "achievements", "an achievement", key, keys.achievements)


def _cycle_problems(document: Document) -> Iterator[Problem]:
    cycle = find_cycle({entry.key: entry.achievements or () for entry in document.achievements})
    if cycle:
        path = " -> ".join(cycle)
        yield Problem(f'[[achievements]] "{cycle[0]}"', "achievements", f"expected no cycle, got {path}")


def _points_problems(points: PointsEntry, keys: Keys) -> Iterator[Problem]:
    table = f'[[points]] "{points.key}"'
    yield from find_duplicates(f"{table} [[points.triggers]]", (trigger.key for trigger in points.triggers))
    yield from find_duplicates(f"{table} [[points.boosts]]", (boost.key for boost in points.boosts))
    yield from find_duplicates(f"{table} [[points.levels]]", (level.key for level in points.levels))
    for trigger in points.triggers:
        yield from _trigger_problems(f'{table} [[points.triggers]] "{trigger.key}"', trigger, keys)
    for boost in points.boosts:
        yield from _boost_problems(f'{table} [[points.boosts]] "{boost.key}"', boost, keys)
    for total, count in Counter(level.points for level in points.levels).items():
        if count > 1:
            yield Problem(f"{table} [[points.levels]]", "points", f"expected one level at {total} points, got {count}")


def _trigger_problems(place: str, trigger: TriggerEntry, keys: Keys) -> Iterator[Problem]:
    yield from _field_problems(place, trigger, trigger.type, _OF_TRIGGERS)
    yield from check_reference(place, "metric", "a metric", trigger.metric, keys.metrics)
    yield from check_reference(place, "achievement", "an achievement", trigger.achievement, keys.achievements)
    yield from check_filters(place, trigger.user_attributes, trigger.event_attributes, keys)
    if not trigger.points:
        yield Problem(place, "points", f"expected a whole number other than 0, got {trigger.points}")


def _boost_problems(place: str, boost: BoostEntry, keys: Keys) -> Iterator[Problem]:
    yield from check_filters(place, boost.user_attributes, {}, keys)
    problem = check_multiplier(boost.multiplier)
    if problem is not None:
        yield Problem(place, "multiplier", problem)
    if boost.end is not None and boost.end < boost.start:
        yield Problem(place, "end", f"expected a date that is not before start ({boost.start})")


def check_multiplier(value: Decimal) -> str | None:
    """What was expected instead of this multiplier; None if it is one (reference: Points 13)."""
    expected = f"expected a number above 0 and below {MULTIPLIER_MAX}, other than 1, got {value}"
    if not value.is_finite() or not 0 < value < MULTIPLIER_MAX or value == 1:
        return expected
    if _places(value) > PLACES:
        return f"expected at most {PLACES} decimal places, got {value}"
    return None


def _places(value: Decimal) -> int:
    """How many decimal places a finite number needs; of all of its digits, where `normalize` looks at 28."""
    _, digits, exponent = value.as_tuple()
    needless = len(digits) - len("".join(map(str, digits)).rstrip("0"))
    return -needless - (exponent if isinstance(exponent, int) else 0)


def _streak_problems(document: Document, metrics: set[str]) -> Iterator[Problem]:
    streak = document.streak
    if streak is None:
        return
    yield from find_duplicates("[[streak.metrics]]", (metric.key for metric in streak.metrics))
    for metric in streak.metrics:
        yield from check_reference(f'[[streak.metrics]] "{metric.key}"', "key", "a metric", metric.key, metrics)
    if len(set(streak.days_off)) < len(streak.days_off):
        yield Problem("[streak]", "days_off", "expected each day of the week at most once")
    if streak.days_off and streak.frequency != "daily":
        yield Problem("[streak]", "days_off", f"expected none, since the frequency is {streak.frequency}")
    freezes = streak.freezes
    if freezes is not None and freezes.max_count < freezes.start_count:
        yield Problem("[streak.freezes]", "max_count", f"expected at least start_count ({freezes.start_count})")
    if freezes is not None and (freezes.auto_earn_interval is None) != (freezes.auto_earn_amount is None):
        yield Problem("[streak.freezes]", "auto_earn_amount", "expected with auto_earn_interval, or neither of them")
