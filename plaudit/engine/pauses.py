"""Days on which a streak need not be extended, set for one user (reference: Streaks 13, 14; Q-32e)."""

from msgspec.structs import replace

from plaudit.engine import calendars
from plaudit.engine.catalog import Frequency
from plaudit.engine.commands import EndPause, PauseStreak
from plaudit.engine.errors import Invalid, NotFound
from plaudit.engine.user import Pause, User

LAST_DAY_MAX = 3_287_182
"""9000-12-31: there are dates after it, for whatever follows a pause."""
PAUSES_MAX = 100
"""How many a user can have at the same time; they are part of the user's state."""


def find_pause(pauses: tuple[Pause, ...], period: int, frequency: Frequency) -> Pause | None:
    """A pause that a period has a day of; it need not count then."""
    if not pauses:
        return None
    first, last = calendars.first_day(period, frequency), calendars.last_day(period, frequency)
    return next((pause for pause in pauses if pause.first_day <= last and pause.last_day >= first), None)


def current_pauses(user: User) -> tuple[Pause, ...]:
    """The pauses that are under way or to come, by day."""
    return tuple(pause for pause in user.streaks.pauses if pause.last_day >= user.day)


def keep_pauses(pauses: tuple[Pause, ...], day: int) -> tuple[Pause, ...]:
    """Those that a period which is not closed on `day` has a day of."""
    if not pauses:
        return pauses
    frequencies: tuple[Frequency, ...] = ("weekly", "monthly")
    first = min(calendars.first_day(calendars.period_of(day, frequency), frequency) for frequency in frequencies)
    return tuple(pause for pause in pauses if pause.last_day >= first)


def pause_streak(user: User, command: PauseStreak) -> User:
    """The user with a pause more. Raises Invalid, naming the field."""
    first, last, pauses = command.first_day, command.last_day, user.streaks.pauses
    if first < user.day:
        raise Invalid("start: expected a date that is not before today in the user's time zone")
    if last < first:
        raise Invalid("end: expected a date that is not before start")
    if last > LAST_DAY_MAX:
        raise Invalid("end: expected a date before the year 9001")
    if any(pause.first_day <= last and pause.last_day >= first for pause in pauses):
        raise Invalid("start: expected days that no other pause of the user has")
    if len(pauses) >= PAUSES_MAX:
        raise Invalid(f"userId: expected a user with fewer than {PAUSES_MAX} pauses")
    added = Pause(command.pause_id, first, last)
    return _with_pauses(user, tuple(sorted((*pauses, added), key=lambda pause: pause.first_day)))


def end_pause(user: User, command: EndPause) -> User:
    """The user without a pause, as from today. Raises NotFound for one that is over or never was."""
    ended = next((pause for pause in current_pauses(user) if pause.id == command.pause_id), None)
    if ended is None:
        raise NotFound("Streak pause not found by ID")
    rest = tuple(pause for pause in user.streaks.pauses if pause is not ended)
    if ended.first_day >= user.day:
        return _with_pauses(user, rest)
    past = replace(ended, last_day=user.day - 1)
    return _with_pauses(user, tuple(sorted((*rest, past), key=lambda pause: pause.first_day)))


def _with_pauses(user: User, pauses: tuple[Pause, ...]) -> User:
    return replace(user, streaks=replace(user.streaks, pauses=pauses))
