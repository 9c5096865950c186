"""What time alone has done since the user was last touched: periods are closed, freezes spent and earned.

One function for the timer and for the user's next event, whichever comes first. It does the same in one go as in
many, as long as the settings stay what they are.
"""

from msgspec.structs import replace

from plaudit.engine import calendars, trail
from plaudit.engine.catalog import Frequency
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.freezes import earn_freezes
from plaudit.engine.pauses import find_pause, keep_pauses
from plaudit.engine.preferences import has_streaks, rules_of
from plaudit.engine.streaks import streak_of
from plaudit.engine.timezones import exists, first_open_day, local_day, midnight_ms
from plaudit.engine.trail import Kind
from plaudit.engine.user import NO_CHANGE, Change, Earlier, Streak, User


def advance(user: User, catalog: CompiledCatalog, now_ms: int) -> User:
    """The user at `now_ms`. A day never goes backwards.

    Days that have ended where the user is, and go on elsewhere, are kept as they were: see `move`.
    """
    today = local_day(now_ms, user.profile.tz)
    if today <= user.day and not user.earlier:
        return user
    open_day = first_open_day(now_ms)
    earlier = [each for each in user.earlier if each.day >= open_day]
    if today <= user.day and len(earlier) == len(user.earlier):
        return user
    while user.day < today:
        day = min(open_day, today)
        if user.day >= open_day:
            earlier.append(Earlier(user.day, user.streaks))
            day = user.day + 1
        user = _Closing(user, catalog, day).close()
    return replace(user, earlier=tuple(earlier))


def move(user: User, catalog: CompiledCatalog, now_ms: int, origin: str | None) -> User:
    """The user after a change of time zone, who was at `now_ms` in the old one, `origin`: nothing is lost by it.

    A day that ended in the old zone and goes on in the new one has not ended for the user, unless they have done
    something on the next one: then that is kept until the new zone catches up. A day that ended sooner in the new zone
    is not missed, as long as it goes on anywhere: where the user spent its last hours, nobody knows.
    """
    tz = user.profile.tz
    today = local_day(now_ms, tz)
    for number, each in enumerate(user.earlier):
        following = each.day + 1
        if each.day >= today or midnight_ms(following, tz) < midnight_ms(following, origin):
            user = replace(user, day=each.day, streaks=each.streaks, earlier=user.earlier[:number])
            break
    return _Closing(user, catalog, today, is_moving=True).close() if today > user.day else user


class _Closing:
    """Brings one user to a later day."""

    def __init__(self, user: User, catalog: CompiledCatalog, day: int, *, is_moving: bool = False) -> None:
        self._user = user
        self._settings = catalog.streaks.settings
        self._rules = rules_of(user, catalog.streaks)
        self._day = day
        self._is_moving = is_moving
        self._streaks = user.streaks
        """With the freezes as they come and go."""

    def close(self) -> User:
        """The user on the new day."""
        closed = {
            frequency: self._close(frequency, streak_of(self._user.streaks, frequency))
            for frequency in ("daily", "weekly", "monthly")
        }
        self._earn(self._day)
        streaks = replace(
            self._streaks,
            daily=closed["daily"],
            weekly=closed["weekly"],
            monthly=closed["monthly"],
            changes=self._changes(),
            pauses=keep_pauses(self._streaks.pauses, self._day),
        )
        return replace(self._user, day=self._day, streaks=streaks)

    def _close(self, frequency: Frequency, streak: Streak) -> Streak:
        """One streak, with every period closed that ended before the new day."""
        period = calendars.period_of(self._user.day, frequency)
        end = calendars.period_of(self._day, frequency)
        if period == end:
            return streak
        length, closed = streak.length, streak.trail
        if streak.is_set:
            age = period - calendars.period_of(streak.started_day, frequency) if length else 0
            closed = trail.append_set(closed, length, age)
            period += 1
        elif streak.counted:
            closed = trail.append(closed, Kind.COUNTED)
            period += 1
        may_move = self._is_moving and not trail.has_moved(closed)
        while period < end:
            kind = self._find_kind(period, frequency, length, may_move=may_move)
            length = 0 if kind is Kind.MISSED else length
            count = 1 if length or self._streaks.pauses else end - period
            closed = trail.append(closed, kind, count)
            period += count
        return Streak(length, streak.started_day, streak.extended_ms, trail=closed)

    def _find_kind(self, period: int, frequency: Frequency, length: int, *, may_move: bool) -> Kind:
        """How a period ends that has not counted."""
        if find_pause(self._streaks.pauses, period, frequency) is not None:
            return Kind.PAUSED
        if not length:
            return Kind.MISSED
        if self._is_off(period, frequency):
            return Kind.HELD
        if may_move:
            return Kind.MOVED
        return Kind.FROZEN if self._spend_freeze(period, frequency) else Kind.MISSED

    def _is_off(self, period: int, frequency: Frequency) -> bool:
        """True for a day off, and for one that there was not."""
        if frequency != "daily":
            return False
        return calendars.weekday(period) in self._rules.days_off or not exists(period, self._user.profile.tz)

    def _spend_freeze(self, period: int, frequency: Frequency) -> bool:
        """True if a freeze makes up for the period: it is spent at the midnight after, before others are earned."""
        if frequency != self._settings.frequency or self._settings.freezes is None or not has_streaks(self._user):
            return False
        self._earn(calendars.last_day(period, frequency))
        if not self._streaks.freezes:
            return False
        self._streaks = replace(self._streaks, freezes=self._streaks.freezes - 1)
        return True

    def _earn(self, day: int) -> None:
        self._streaks = earn_freezes(self._streaks, self._settings.freezes, day, self._user.profile.tz)

    def _changes(self) -> dict[int, Change]:
        """The changes of the periods that go on."""
        days = (self._user.day, self._day)
        is_same_week = len({calendars.period_of(day, "weekly") for day in days}) == 1
        is_same_month = len({calendars.period_of(day, "monthly") for day in days}) == 1
        kept = {
            metric: (0, week if is_same_week else 0, month if is_same_month else 0)
            for metric, (_, week, month) in self._user.streaks.changes.items()
        }
        return {metric: change for metric, change in kept.items() if change != NO_CHANGE}
