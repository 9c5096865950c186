"""When time does something to a user next.

Deadlines are derived from state and settings, and so never logged.
"""

from plaudit.engine import calendars
from plaudit.engine.catalog import Frequency
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.freezes import find_earning_day
from plaudit.engine.rules import RULES_VERSION
from plaudit.engine.streaks import streak_of
from plaudit.engine.timezones import midnight_ms
from plaudit.engine.user import User

_FREQUENCIES: tuple[Frequency, ...] = ("daily", "weekly", "monthly")


def next_deadline(user: User, catalog: CompiledCatalog) -> int | None:
    """The first instant (Unix ms) at which `advance` does something that may be seen or depends on settings.

    None: not until somebody does something. Never too late; later than any time to which the user has been advanced.
    A period that has counted ends without consequence, whatever the settings; so what is due is the end of the first
    one that has not, be it missed or excused.
    """
    streaks, days = user.streaks, []
    for frequency in _FREQUENCIES:
        streak = streak_of(streaks, frequency)
        if streak.length:
            period = calendars.period_of(user.day, frequency) + (streak.counted or streak.is_set)
            days.append(calendars.first_day(period + 1, frequency))
    settings = catalog.streaks.settings.freezes
    if settings is not None and streaks.freezes < settings.max_count:
        day = find_earning_day(streaks, settings, user.profile.tz)
        days += [] if day is None else [day]
    return midnight_ms(max(min(days), user.day + 1), user.profile.tz) if days else None


def has_same_deadline(user: User, other: User) -> bool:
    """True if nothing is different of what a deadline depends on. Cheaper than deadlines, and may say False of equals.

    Containers are replaced, never changed: what is the same object is the same.
    """
    streaks, others = user.streaks, other.streaks
    return (
        user.day == other.day
        and streaks.daily is others.daily
        and streaks.weekly is others.weekly
        and streaks.monthly is others.monthly
        and streaks.freezes == others.freezes
        and streaks.earned_day == others.earned_day
        and user.profile.tz == other.profile.tz
    )


def timing_key(catalog: CompiledCatalog) -> str:
    """Changes whenever deadlines that were computed under another catalog, or other rules, may be too late."""
    freezes = catalog.streaks.settings.freezes
    if freezes is None or freezes.auto_earn_interval is None:
        return RULES_VERSION
    return f"{RULES_VERSION},{freezes.max_count},{freezes.auto_earn_interval},{freezes.since_ms}"
