"""When time-based triggers are due (reference: Points 5; Q-41).

Hours are those of UTC, days those of the user's zone. A trigger's intervals begin with the hour, or the day, in which
the user was created or the trigger activated, whichever is later.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from plaudit.engine.compiled import CompiledCatalog, Trigger
from plaudit.engine.filters import matches
from plaudit.engine.timezones import local_day, midnight_ms
from plaudit.engine.user import User

HOUR_MS = 3_600_000


def due_hours(user: User, trigger: Trigger, now_ms: int) -> range:
    """The hours (since 1970) with which an interval has ended and that have not been looked at."""
    base = _since_ms(user, trigger) // HOUR_MS
    return _due(base, user.paid_hour, now_ms // HOUR_MS, trigger.step)


def due_days(user: User, trigger: Trigger, now_ms: int) -> range:
    """The same for days (ordinals), with whose midnights they end."""
    tz = user.profile.tz
    base = local_day(_since_ms(user, trigger), tz)
    return _due(base, user.paid_day, local_day(now_ms, tz), trigger.step)


def mark_paid(user: User, catalog: CompiledCatalog, now_ms: int) -> User:
    """The user after everything due up to now has been looked at; the same object if nothing of it was due."""
    hours = [due[-1] for trigger in catalog.triggers.hours if (due := due_hours(user, trigger, now_ms))]
    days = [due[-1] for trigger in catalog.triggers.days if (due := due_days(user, trigger, now_ms))]
    if not (hours or days):
        return user
    return replace(user, paid_hour=max(hours, default=user.paid_hour), paid_day=max(days, default=user.paid_day))


def next_times_ms(user: User, catalog: CompiledCatalog) -> Iterator[int]:
    """When each trigger that is for the user is due next, as far as it has been looked at."""
    tz, attributes = user.profile.tz, user.profile.attributes
    for trigger in catalog.triggers.hours:
        if matches(attributes, trigger.definition.user_attributes):
            yield _next(_since_ms(user, trigger) // HOUR_MS, user.paid_hour, trigger.step) * HOUR_MS
    for trigger in catalog.triggers.days:
        if matches(attributes, trigger.definition.user_attributes):
            day = _next(local_day(_since_ms(user, trigger), tz), user.paid_day, trigger.step)
            yield midnight_ms(day, tz)


def _since_ms(user: User, trigger: Trigger) -> int:
    activated_ms = trigger.definition.activated_ms
    return max(user.profile.created_ms, trigger.definition.created_ms if activated_ms is None else activated_ms)


def _next(base: int, paid: int, step: int) -> int:
    """The first end of an interval after `paid`."""
    return base + max(1, (paid - base) // step + 1) * step


def _due(base: int, paid: int, now: int, step: int) -> range:
    return range(_next(base, paid, step), now + 1, step)
