"""Brings a user to now: everything that has happened to them without anybody doing anything.

One function for the timer and for the user's next command, whichever comes first. It does the same in one go as in
many, as long as the catalog stays what it is.
"""

from msgspec.structs import replace

from plaudit.engine.achievements import complete
from plaudit.engine.advance import advance
from plaudit.engine.anniversaries import anniversary_day
from plaudit.engine.catalog import Achievement
from plaudit.engine.catching_up import catch_up
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.filters import matches
from plaudit.engine.outcome import Elapsed, Happening
from plaudit.engine.points import Firing, fire
from plaudit.engine.time_points import HOUR_MS, due_days, due_hours
from plaudit.engine.timezones import local_day, midnight_ms
from plaudit.engine.user import User


def elapse(user: User, catalog: CompiledCatalog, now_ms: int) -> Elapsed:
    """The user at `now_ms`: caught up with the catalog, advanced, with anniversaries and time-based points.

    What was due before the catalog changed comes before what the change gives: so it does not matter who was looked at.
    """
    version = catalog.catalog
    if user.caught_up == version.backdating and user.filled == version.filling:
        return _let_pass(user, catalog, now_ms)
    before = _let_pass(user, catalog, min(version.backdating_ms, now_ms))
    after = _let_pass(catch_up(before.user, catalog), catalog, now_ms)
    return Elapsed(after.user, before.happenings + after.happenings)


def _let_pass(user: User, catalog: CompiledCatalog, now_ms: int) -> Elapsed:
    yesterday = user.day
    user = advance(user, catalog, now_ms)
    triggers = catalog.triggers
    if not (triggers.hours or triggers.days) and (
        user.day == yesterday or not catalog.achievements.anniversaries.thresholds
    ):
        return Elapsed(user)
    agenda = _Agenda(user, catalog, now_ms)
    agenda.add_anniversaries(yesterday)
    agenda.add_points()
    return agenda.carry_out()


class _Agenda:
    """What is due for one user who has been advanced, by the instant at which it was."""

    def __init__(self, user: User, catalog: CompiledCatalog, now_ms: int) -> None:
        self._user = user
        self._catalog = catalog
        self._now_ms = now_ms
        self._due: dict[tuple[int, int], tuple[list[Achievement], list[Firing]]] = {}
        """By instant and day of the user's."""
        self._paid_hour, self._paid_day = user.paid_hour, user.paid_day

    def add_anniversaries(self, after_day: int) -> None:
        """Those of the days after one, up to the user's. What was not there on its day is left to `catch_up`."""
        user, ladder = self._user, self._catalog.achievements.anniversaries
        is_owed = user.caught_up != self._catalog.catalog.backdating
        signed_up = user.profile.sign_up_day
        if signed_up is None or user.day <= after_day:
            return
        for years, achievement in zip(ladder.thresholds, ladder.achievements, strict=True):
            day = anniversary_day(signed_up, years)
            if after_day < day <= user.day:
                at_ms = midnight_ms(day, user.profile.tz)
                if not is_owed or achievement.updated_ms <= at_ms:
                    self._at(at_ms, day)[0].append(achievement)

    def add_points(self) -> None:
        """What time-based triggers give and take."""
        user = self._user
        tz, attributes, triggers = user.profile.tz, user.profile.attributes, self._catalog.triggers
        for trigger in triggers.hours:
            hours = due_hours(user, trigger, self._now_ms)
            self._paid_hour = max(self._paid_hour, hours[-1] if hours else 0)
            if matches(attributes, trigger.definition.user_attributes):
                for hour in hours:
                    at_ms = hour * HOUR_MS
                    self._at(at_ms, local_day(at_ms, tz))[1].append((trigger, 1))
        for trigger in triggers.days:
            days = due_days(user, trigger, self._now_ms)
            self._paid_day = max(self._paid_day, days[-1] if days else 0)
            if matches(attributes, trigger.definition.user_attributes):
                for day in days:
                    self._at(midnight_ms(day, tz), day)[1].append((trigger, 1))

    def _at(self, at_ms: int, day: int) -> tuple[list[Achievement], list[Firing]]:
        return self._due.setdefault((at_ms, day), ([], []))

    def carry_out(self) -> Elapsed:
        """Let it all happen, in order."""
        user, happenings = self._user, []
        by_achievement = self._catalog.triggers.achievements
        for (at_ms, day), (found, firings) in sorted(self._due.items(), key=lambda item: item[0]):
            user, completed = complete(user, found, self._catalog, at_ms)
            followed = [(trigger, 1) for a in completed for trigger in by_achievement.get(a.number, ())]
            in_order = sorted([*followed, *firings], key=lambda firing: firing[0].order)
            user, awards = fire(user, in_order, day)
            if completed or awards:
                happenings.append(Happening(at_ms, day, completed, awards))
        if (user.paid_hour, user.paid_day) != (self._paid_hour, self._paid_day):
            user = replace(user, paid_hour=self._paid_hour, paid_day=self._paid_day)
        return Elapsed(user, tuple(happenings))
