"""Freezes, which make up for missed periods (reference: Streaks 8-12; Q-32c)."""

from msgspec.structs import replace

from plaudit.engine.catalog import FreezeSettings
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.errors import Needless
from plaudit.engine.timezones import local_day
from plaudit.engine.user import Streaks, User


def first_streaks(catalog: CompiledCatalog, day: int) -> Streaks:
    """What a user begins with on a day."""
    freezes = catalog.streaks.settings.freezes
    return Streaks(freezes=0 if freezes is None else freezes.start_count, earned_day=day)


def earn_freezes(streaks: Streaks, settings: FreezeSettings | None, day: int, tz: str | None) -> Streaks:
    """The streaks with what has been earned through a day: the amount for each interval, up to the maximum.

    Intervals go on while a user is at the maximum; nothing is made up for then.
    """
    due = find_earning_day(streaks, settings, tz)
    if settings is None or due is None or due > day:
        return streaks
    interval, amount = settings.auto_earn_interval or 1, settings.auto_earn_amount or 0
    intervals = 1 + (day - due) // interval
    freezes = streaks.freezes
    if freezes < settings.max_count:
        freezes = min(settings.max_count, freezes + intervals * amount)
    return replace(streaks, freezes=freezes, earned_day=due + (intervals - 1) * interval)


def find_earning_day(streaks: Streaks, settings: FreezeSettings | None, tz: str | None) -> int | None:
    """The day with which the present interval ends; None if nothing is earned."""
    if settings is None or settings.auto_earn_interval is None:
        return None
    return max(streaks.earned_day, local_day(settings.since_ms, tz)) + settings.auto_earn_interval


def grant_freeze(user: User, catalog: CompiledCatalog) -> User:
    """The user with one freeze more. Raises Needless at the maximum, which is 0 where there are no freezes."""
    settings = catalog.streaks.settings.freezes
    if settings is None or user.streaks.freezes >= settings.max_count:
        raise Needless("Would exceed maximum freeze limit")
    return replace(user, streaks=replace(user.streaks, freezes=user.streaks.freezes + 1))
