"""The pipelines of an event and of a completion: each stage takes the user and returns the next one."""

from msgspec.structs import replace

from plaudit.engine.achievements import complete_achievements, streak_length
from plaudit.engine.amounts import unpack_amount
from plaudit.engine.commands import CompleteAchievement, RecordEvent
from plaudit.engine.compiled import CompiledCatalog, CompiledMetric, Matcher
from plaudit.engine.deed import Deed
from plaudit.engine.elapse import elapse
from plaudit.engine.errors import Invalid, NotFound
from plaudit.engine.filters import matches
from plaudit.engine.identify import check_attribute_keys, identify
from plaudit.engine.metrics import add_to_matched, add_to_metric, find_matchers
from plaudit.engine.outcome import Completion, Elapsed, Outcome
from plaudit.engine.points import award_points
from plaudit.engine.streaks import extend_streaks, streak_of
from plaudit.engine.user import User

_NONE: dict[str, str] = {}


def process(user: User | None, event: RecordEvent, catalog: CompiledCatalog, now_ms: int) -> Outcome:
    """What an event does to its user (None: a new one). Pure: `user` is untouched, the outcome holds the next state.

    Raises Invalid for an unknown metric or attribute, for profile fields and totals out of bounds, and for an event
    that costs more points than there are, where that blocks it.
    """
    metric = find_metric(catalog, event.metric)
    if event.attributes:
        check_attribute_keys(event.attributes, catalog.event_attributes, "event")
    elapsed = None if user is None else elapse(user, catalog, now_ms)
    seen_before = 0 if elapsed is None else streak_length(elapsed.user, catalog)
    user, has_changed = arrive(elapsed, event, catalog, now_ms)
    number, value = metric.definition.number, unpack_amount(event.value)
    before = user.totals.get(number, 0)
    user = add_to_metric(user, number, value)
    matched: tuple[tuple[Matcher, int, int], ...] = ()
    if event.attributes and (matchers := find_matchers(metric, event.attributes)):
        user, matched = add_to_matched(user, matchers, value)
    user, extended = extend_streaks(user, catalog, now_ms)
    deed = Deed(
        is_new=elapsed is None,
        has_changed_profile=has_changed,
        attributes_before=_NONE if elapsed is None else elapsed.user.profile.attributes,
        metric=metric,
        before=before,
        after=user.totals[number],
        matched=matched,
        streak_length=streak_of(user.streaks, catalog.streaks.settings.frequency).length if extended else 0,
        seen_before=seen_before,
        seen_after=streak_length(user, catalog),
    )
    user, completed = complete_achievements(user, deed, catalog, now_ms)
    user, awards = award_points(user, deed, completed, catalog, now_ms)
    happenings = elapsed.happenings if elapsed is not None else ()
    return Outcome(user, metric, deed.after, completed, extended, awards, happenings)


def complete_on_demand(
    user: User | None, command: CompleteAchievement, catalog: CompiledCatalog, now_ms: int
) -> Completion:
    """What it does to complete an achievement for a user (None: a new one) who has not completed it. Pure, likewise.

    Raises NotFound if there is no active one by this key whose trigger is api (reference: Achievements 5; Q-40), and
    Invalid for profile fields out of bounds, and for a user for whom the achievement is not.
    """
    achievement = catalog.achievements.by_key.get(command.key)
    if achievement is None or achievement.trigger != "api" or achievement.status != "active":
        raise NotFound(
            f"Achievement not found: expected the key of an active one whose trigger is api, got {command.key!r}"
        )
    elapsed = None if user is None else elapse(user, catalog, now_ms)
    seen_before = 0 if elapsed is None else streak_length(elapsed.user, catalog)
    user, has_changed = arrive(elapsed, command, catalog, now_ms)
    if not matches(user.profile.attributes, achievement.user_attributes):
        wanted = ", ".join(f"{part.key}={part.value}" for part in achievement.user_attributes)
        raise Invalid(f"user.attributes: expected {wanted}, for which this achievement is")
    deed = Deed(
        is_new=elapsed is None,
        has_changed_profile=has_changed,
        attributes_before=_NONE if elapsed is None else elapsed.user.profile.attributes,
        seen_before=seen_before,
        seen_after=streak_length(user, catalog),
        asked_for=achievement,
    )
    user, completed = complete_achievements(user, deed, catalog, now_ms)
    user, awards = award_points(user, deed, completed, catalog, now_ms)
    return Completion(user, achievement, completed, awards, elapsed.happenings if elapsed is not None else ())


def arrive(
    elapsed: Elapsed | None, command: RecordEvent | CompleteAchievement, catalog: CompiledCatalog, now_ms: int
) -> tuple[User, bool]:
    """The user as a request has them, and whether it has changed what achievements go by. None: a new one.

    Raises Invalid, naming the field.
    """
    if elapsed is None:
        user = identify(None, command.fields, catalog, now_ms)
        return user, bool(user.profile.attributes) or user.profile.sign_up_day is not None
    old = elapsed.user.profile
    user = identify(elapsed.user, command.fields, catalog, now_ms)
    if user.earlier:
        user = replace(user, earlier=())
    new = user.profile
    if new is old:
        return user, False
    return user, new.attributes != old.attributes or new.sign_up_day != old.sign_up_day or new.tz != old.tz


def find_metric(catalog: CompiledCatalog, key: str) -> CompiledMetric:
    """A live metric by key. Raises Invalid if there is none."""
    metric = catalog.metrics.get(key)
    if metric is None:
        raise Invalid(f"key: expected the key of a metric, got {key!r}")
    return metric
