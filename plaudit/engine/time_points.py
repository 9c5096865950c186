"""When time-based triggers are due (reference: Points 5; Q-41).

Hours are those of UTC, days those of the user's zone. A trigger's intervals begin with the hour, or the day, in which
the user was created or the trigger activated, whichever is later. Where the user is now does not move them: the day of
creation is that of where the user was then, the day of activation that of UTC.
"""

from collections.abc import Iterator

from plaudit.engine.compiled import CompiledCatalog, Trigger
from plaudit.engine.filters import matches
from plaudit.engine.timezones import UTC_KEY, local_day, midnight_ms
from plaudit.engine.user import User

HOUR_MS = 3_600_000


def due_hours(user: User, trigger: Trigger, now_ms: int) -> range:
    """The hours (since 1970) with which an interval has ended and that have not been looked at, for whomever it is."""
    base = _since_ms(user, trigger) // HOUR_MS
    return _due(base, user.paid_hour, now_ms // HOUR_MS, trigger.step)


def due_days(user: User, trigger: Trigger, now_ms: int) -> range:
    """The same for days (ordinals), with whose midnights they end."""
    return range(_next_day(user, trigger), local_day(now_ms, user.profile.tz) + 1, trigger.step)


def next_times_ms(user: User, catalog: CompiledCatalog) -> Iterator[int]:
    """When each trigger that is for the user is due next, as far as it has been looked at."""
    tz, attributes = user.profile.tz, user.profile.attributes
    for trigger in catalog.triggers.hours:
        if matches(attributes, trigger.definition.user_attributes):
            yield _next(_since_ms(user, trigger) // HOUR_MS, user.paid_hour, trigger.step) * HOUR_MS
    for trigger in catalog.triggers.days:
        if matches(attributes, trigger.definition.user_attributes):
            yield midnight_ms(_next_day(user, trigger), tz)


def _since_ms(user: User, trigger: Trigger) -> int:
    activated_ms = trigger.definition.activated_ms
    return max(user.profile.created_ms, trigger.definition.created_ms if activated_ms is None else activated_ms)


def _next_day(user: User, trigger: Trigger) -> int:
    """The first day with which an interval ends that has not been looked at, and that begins after it all began."""
    since_ms, tz = _since_ms(user, trigger), user.profile.tz
    if since_ms > user.profile.created_ms:
        base = local_day(since_ms, UTC_KEY)
    else:
        base = user.first_day or local_day(since_ms, tz)
    day = _next(base, user.paid_day, trigger.step)
    return day if midnight_ms(day, tz) > since_ms else day + trigger.step


def _next(base: int, paid: int, step: int) -> int:
    """The first end of an interval after `paid`."""
    return base + max(1, (paid - base) // step + 1) * step


def _due(base: int, paid: int, now: int, step: int) -> range:
    return range(_next(base, paid, step), now + 1, step)
