"""What time alone has done since the user was last touched."""

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from plaudit.engine.timezones import local_day
from plaudit.engine.user import Period, Streak, User


def advance(user: User, now_ms: int, moving_to: str | UnsetType | None = UNSET) -> User:
    """The user at `now_ms`: days that have ended are closed, a streak that missed one is lost.

    A day never goes backwards, so a user who moves west keeps the day that has already begun. One who comes with a new
    time zone (`moving_to`) has only missed what both zones say has ended.
    """
    today = local_day(now_ms, user.profile.tz)
    if not isinstance(moving_to, UnsetType) and moving_to != user.profile.tz:
        today = min(today, local_day(now_ms, moving_to))
    if today <= user.period.day:
        return user
    advanced = replace(user, period=Period(today))
    if user.streak.length and today - user.streak.last_day > 1:
        advanced.streak = Streak()
    return advanced
