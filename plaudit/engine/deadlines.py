"""When time does something to a user next.

Deadlines are derived from state and settings, and so never logged.
"""

from hashlib import blake2b

from plaudit.engine import calendars
from plaudit.engine.anniversaries import NEVER, anniversary_day
from plaudit.engine.catalog import Frequency
from plaudit.engine.catching_up import is_owed
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.filters import matches
from plaudit.engine.freezes import find_earning_day
from plaudit.engine.rules import RULES_VERSION
from plaudit.engine.streaks import streak_of
from plaudit.engine.time_points import next_times_ms
from plaudit.engine.timezones import midnight_ms
from plaudit.engine.user import User

AT_ONCE = 0
_FREQUENCIES: tuple[Frequency, ...] = ("daily", "weekly", "monthly")


def next_deadline(user: User, catalog: CompiledCatalog) -> int | None:
    """The first instant (Unix ms) at which `elapse` does something that may be seen or depends on settings.

    None: not until somebody does something. Never too late; later than any time to which the user has been advanced.
    A period that has counted ends without consequence, whatever the settings; so what is due is the end of the first
    one that has not, be it missed or excused. What a changed catalog gives to those who were there is due AT_ONCE.
    """
    if is_owed(user, catalog):
        return AT_ONCE
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
    anniversary = _next_anniversary(user, catalog)
    days += [] if anniversary is None else [anniversary]
    times = list(next_times_ms(user, catalog)) if catalog.triggers.hours or catalog.triggers.days else []
    if days:
        times.append(midnight_ms(max(min(days), user.day + 1), user.profile.tz))
    return min(times, default=None)


def _next_anniversary(user: User, catalog: CompiledCatalog) -> int | None:
    """The first day after the user's on which an anniversary is that they have not completed."""
    ladder, signed_up = catalog.achievements.anniversaries, user.profile.sign_up_day
    if signed_up is None or not ladder.thresholds:
        return None
    days = (
        anniversary_day(signed_up, years)
        for years, achievement in zip(ladder.thresholds, ladder.achievements, strict=True)
        if achievement.number not in user.completions and matches(user.profile.attributes, achievement.user_attributes)
    )
    return min((day for day in days if user.day < day < NEVER), default=None)


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
        and user.caught_up == other.caught_up
        and user.filled == other.filled
        and user.paid_hour == other.paid_hour
        and user.paid_day == other.paid_day
        and user.profile.tz == other.profile.tz
        and user.profile.attributes is other.profile.attributes
        and user.profile.sign_up_day == other.profile.sign_up_day
    )


def timing_key(catalog: CompiledCatalog) -> str:
    """Changes whenever deadlines that were computed under another catalog, or other rules, may be too late."""
    freezes = catalog.streaks.settings.freezes
    version = catalog.catalog
    key = f"{RULES_VERSION},{version.backdating},{version.filling}"
    if freezes is not None and freezes.auto_earn_interval is not None:
        key += f",{freezes.max_count},{freezes.auto_earn_interval},{freezes.since_ms}"
    timed = [
        (t.system.definition.number, d.number, d.time_unit, d.time_interval, d.activated_ms, d.user_attributes)
        for t in (*catalog.triggers.hours, *catalog.triggers.days)
        for d in (t.definition,)
    ]
    anniversaries = [
        (a.number, a.anniversary_years, a.user_attributes) for a in catalog.achievements.anniversaries.achievements
    ]
    if timed or anniversaries:
        key += f",{blake2b(repr((timed, anniversaries)).encode(), digest_size=8).hexdigest()}"
    return key
