"""What the rules say of streaks, day by day and without the engine.

Slow on purpose: fractions for amounts, dates for days, every period kept, every change summed anew from all events.
A life is told what happens in order; `live_until` lets the days pass that are over by then.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, timezone
from fractions import Fraction
from functools import cache
from zoneinfo import ZoneInfo

DAILY, WEEKLY, MONTHLY = FREQUENCIES = ("daily", "weekly", "monthly")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
A_DAY = timedelta(days=1)
RESTORED_DAYS = 90


@dataclass(frozen=True)
class Earning:
    """So many freezes every so many days."""

    interval: int
    amount: int


@dataclass(frozen=True)
class Freezes:
    """The settings of freezes."""

    at_start: int
    at_most: int
    earning: Earning | None
    since_ms: int


@dataclass(frozen=True)
class Settings:
    """The streak settings; thresholds by metric."""

    frequency: str = DAILY
    mode: str = "OR"
    customization: bool = False
    days_off: frozenset[int] = frozenset()
    thresholds: dict[str, Fraction] = field(default_factory=dict)
    freezes: Freezes | None = None


@dataclass(frozen=True)
class Wishes:
    """The user's preferences; None where there is none."""

    enabled: bool | None = None
    mode: str | None = None
    days_off: frozenset[int] | None = None
    thresholds: dict[str, Fraction] | None = None


@dataclass(frozen=True)
class Happened:
    """An event, on the day that the user was in."""

    day: date
    metric: str
    value: Fraction


@dataclass
class Absence:
    """A pause, both days included."""

    number: int
    first: date
    last: date


@dataclass
class Period:
    """A day, week or month. The length is that at its end, or the present one."""

    first: date
    last: date
    length: int = 0
    has_counted: bool = False
    is_set: bool = False
    is_moved: bool = False
    """Kept because the user moved in it."""
    used_freeze: bool = False
    used_pause: bool = False
    reset_ms: int | None = None
    started: date | None = None
    """The first day of the period with which its streak began."""


@dataclass
class Run:
    """The streak of one frequency: its periods, the last one the current."""

    periods: list[Period]
    started: date | None = None
    extended_ms: int | None = None

    @property
    def current(self) -> Period:
        return self.periods[-1]

    @property
    def has_moved(self) -> bool:
        """True if a move has kept it since it was last counted or set."""
        for period in reversed(self.periods):
            if period.is_moved or period.has_counted or period.is_set:
                return period.is_moved
        return False

    def copy(self) -> "Run":
        """As it is now; of periods that are over, nothing changes any more."""
        return replace(self, periods=[*self.periods[:-1], replace(self.current)])


@dataclass
class Evening:
    """What there was when a day ended."""

    runs: dict[str, Run]
    freezes: int
    interval_began: date


@cache
def local_date(at_ms: int, zone: str | None) -> date:
    """The date of an instant where clocks show the time of `zone`; None is UTC."""
    return (EPOCH + timedelta(milliseconds=at_ms)).astimezone(ZoneInfo(zone or "UTC")).date()


@cache
def is_skipped(day: date, zone: str | None) -> bool:
    """True if the zone never had this day: there was no noon."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(zone or "UTC"))
    return noon.astimezone(UTC).astimezone(noon.tzinfo).date() != day


def is_open(day: date, now_ms: int) -> bool:
    """True if somewhere on earth it is still that day, or not yet."""
    return (EPOCH + timedelta(milliseconds=now_ms)).astimezone(timezone(timedelta(hours=-12))).date() <= day


@cache
def ended_sooner(day: date, zone: str | None, than: str | None) -> bool:
    """True if a day was over in one zone when it was not in another."""
    following = datetime(day.year, day.month, day.day) + A_DAY
    here, there = (following.replace(tzinfo=ZoneInfo(each or "UTC")).astimezone(UTC) for each in (zone, than))
    return here < there


def period_around(day: date, frequency: str) -> Period:
    """The period that a day is in, with nothing in it yet."""
    if frequency == DAILY:
        return Period(day, day)
    if frequency == WEEKLY:
        sunday = day
        while sunday.isoweekday() != 7:
            sunday -= A_DAY
        return Period(sunday, sunday + 6 * A_DAY)
    first = last = day.replace(day=1)
    while (last + A_DAY).month == first.month:
        last += A_DAY
    return Period(first, last)


class Life:
    """One user's streaks of all frequencies."""

    def __init__(self, at_ms: int, zone: str | None, settings: Settings) -> None:
        self.settings = settings
        self.wishes = Wishes()
        self.zone = zone
        self.today = local_date(at_ms, zone)
        self.events: list[Happened] = []
        self.forgotten = 0
        """How many events a reset has made void for the periods that it fell into."""
        self.absences: list[Absence] = []
        self.freezes = settings.freezes.at_start if settings.freezes else 0
        self.interval_began = self.today
        self.runs = {frequency: Run([period_around(self.today, frequency)]) for frequency in FREQUENCIES}
        self.evenings: dict[date, Evening] = {}
        """Of the days that ended since the user has last done anything, the latest ones."""

    # What the settings and the user's wishes come to.

    @property
    def is_enabled(self) -> bool:
        return self.wishes.enabled is not False

    @property
    def days_off(self) -> frozenset[int]:
        wanted = self.wishes.days_off if self.settings.customization else None
        return self.settings.days_off if wanted is None else wanted

    @property
    def mode(self) -> str:
        wanted = self.wishes.mode if self.settings.customization else None
        return wanted or self.settings.mode

    @property
    def thresholds(self) -> dict[str, Fraction]:
        wanted = self.wishes.thresholds if self.settings.customization else None
        return self.settings.thresholds if wanted is None else wanted

    # Time.

    def live_until(self, now_ms: int) -> None:
        """Let the days pass that are over."""
        self._live_to(local_date(now_ms, self.zone))

    def _live_to(self, day: date, *, moving: bool = False) -> None:
        moved = [frequency for frequency, run in self.runs.items() if moving and not run.has_moved]
        while self.today < day:
            if day - self.today <= 2 * A_DAY and not moving:
                runs = {frequency: run.copy() for frequency, run in self.runs.items()}
                self.evenings[self.today] = Evening(runs, self.freezes, self.interval_began)
            self._end_day(moved)

    def _end_day(self, moved: list[str]) -> None:
        for frequency, run in self.runs.items():
            if run.current.last == self.today:
                self._close(run, frequency, is_moved=frequency in moved)
        self.today += A_DAY
        for frequency, run in self.runs.items():
            if run.current.last < self.today:
                following = period_around(self.today, frequency)
                following.length = run.current.length
                following.started = run.current.started
                run.periods.append(following)
        self._earn()

    def _close(self, run: Run, frequency: str, *, is_moved: bool) -> None:
        period = run.current
        if period.has_counted or period.is_set:
            return
        if self._is_paused(period):
            period.used_pause = True
        elif self._is_day_off(period.last, frequency) or self._is_skipped(period, frequency) or not period.length:
            return
        elif is_moved:
            period.is_moved = True
        elif frequency == self.settings.frequency and self.settings.freezes and self.is_enabled and self.freezes:
            self.freezes -= 1
            period.used_freeze = True
        else:
            period.length = 0
            run.started = None

    def _earn(self) -> None:
        freezes = self.settings.freezes
        if freezes is None or freezes.earning is None:
            return
        interval = timedelta(days=freezes.earning.interval)
        began = max(self.interval_began, local_date(freezes.since_ms, self.zone))
        while began + interval <= self.today:
            began += interval
            self.interval_began = began
            self.freezes = max(self.freezes, min(self.freezes + freezes.earning.amount, freezes.at_most))

    def _is_paused(self, period: Period) -> bool:
        return any(pause.first <= period.last and pause.last >= period.first for pause in self.absences)

    def _is_day_off(self, day: date, frequency: str) -> bool:
        return frequency == DAILY and day.isoweekday() % 7 in self.days_off

    def _is_skipped(self, period: Period, frequency: str) -> bool:
        return frequency == DAILY and is_skipped(period.last, self.zone)

    # What the user does.

    def send(self, now_ms: int, metric: str, value: Fraction) -> bool:
        """Record an event. True if it extends the streak that is shown."""
        self.live_until(now_ms)
        self.evenings.clear()
        self.events.append(Happened(self.today, metric, value))
        grown = {frequency for frequency, run in self.runs.items() if self._extend(run, now_ms)}
        return self.is_enabled and self.settings.frequency in grown

    def move(self, now_ms: int, zone: str | None) -> None:
        """Be elsewhere from now on. A day that is not over there is not over."""
        self.live_until(now_ms)
        before, self.zone = self.zone, zone
        here = local_date(now_ms, zone)
        for day in sorted(self.evenings):
            is_cut_short = is_open(day, now_ms) and ended_sooner(day, zone, before)
            if day < self.today and (here <= day or is_cut_short):
                evening = self.evenings[day]
                self.today = day
                self.runs, self.freezes, self.interval_began = evening.runs, evening.freezes, evening.interval_began
        self.evenings = {day: evening for day, evening in self.evenings.items() if day < self.today}
        self._live_to(here, moving=True)

    def _extend(self, run: Run, now_ms: int) -> bool:
        period = run.current
        if period.has_counted or not self._is_met(period):
            return False
        if not period.length:
            run.started = self.today
            period.started = period.first
        period.length += 1
        period.has_counted = True
        run.extended_ms = now_ms
        return True

    def _is_met(self, period: Period) -> bool:
        changes: dict[str, Fraction] = {}
        for event in self.events[self.forgotten :]:
            if period.first <= event.day <= period.last:
                changes[event.metric] = changes.get(event.metric, Fraction()) + event.value
        if not self.thresholds:
            return any(change > 0 for change in changes.values())
        met = [changes.get(metric, Fraction()) >= threshold for metric, threshold in self.thresholds.items()]
        return all(met) if self.mode == "AND" else any(met)

    # What is done to the user. False: refused, nothing has changed.

    def grant_freeze(self) -> bool:
        """Give a freeze."""
        if self.settings.freezes is None or self.freezes >= self.settings.freezes.at_most:
            return False
        self.evenings.clear()
        self.freezes += 1
        return True

    def pause(self, number: int, first: date, last: date) -> bool:
        """Pause on some days to come."""
        overlaps = any(pause.first <= last and pause.last >= first for pause in self.absences)
        if first < self.today or last < first or overlaps:
            return False
        self.evenings.clear()
        self.absences.append(Absence(number, first, last))
        return True

    def end_pause(self, number: int) -> bool:
        """End a pause with yesterday, or take it away if it has not begun before."""
        found = [pause for pause in self.absences if pause.number == number and pause.last >= self.today]
        for pause in found:
            self.evenings.clear()
            pause.last = self.today - A_DAY
            if pause.last < pause.first:
                self.absences.remove(pause)
        return bool(found)

    def restore(self) -> bool:
        """Bring back the greatest length of the closed periods of late."""
        run = self.runs[self.settings.frequency]
        since = self._restored_since()
        candidates = [period for period in run.periods[:-1] if period.last >= since]
        best = max(candidates, key=lambda period: period.length, default=None)
        if best is None or best.length <= run.current.length or not self.is_enabled:
            return False
        self.evenings.clear()
        run.current.length = best.length
        run.current.is_set = True
        run.started = run.current.started = best.started
        return True

    def _restored_since(self) -> date:
        if self.settings.frequency == DAILY:
            return self.today - RESTORED_DAYS * A_DAY
        if self.settings.frequency == WEEKLY:
            return date(self.today.year, 1, 1)
        return date(self.today.year - 1, 1, 1)

    def reset(self, now_ms: int) -> bool:
        """Begin anew, at zero, with all frequencies."""
        if not self.length(self.settings.frequency):
            return False
        self.evenings.clear()
        self.forgotten = len(self.events)
        for run in self.runs.values():
            run.started = None
            run.current.length = 0
            run.current.has_counted = False
            run.current.is_set = True
            run.current.reset_ms = now_ms
        return True

    # What is seen.

    def length(self, frequency: str) -> int:
        """The length that is shown."""
        return self.runs[frequency].current.length if self.is_enabled else 0

    def expires(self, frequency: str) -> date | None:
        """The end of the first period that the streak would not survive if nothing happened any more."""
        if not self.length(frequency):
            return None
        return next(period.last for period in self._ahead(frequency) if not self._is_survived(period, frequency))

    def _ahead(self, frequency: str) -> Iterator[Period]:
        period = self.runs[frequency].current
        while True:
            yield period
            period = period_around(period.last + A_DAY, frequency)

    def _is_survived(self, period: Period, frequency: str) -> bool:
        return (
            period.has_counted or period.is_set or self._is_paused(period) or self._is_day_off(period.last, frequency)
        )

    def history(self, frequency: str, count: int) -> list[Period]:
        """The last `count` periods as they are shown, also from before the user was there."""
        *closed, current = self.runs[frequency].periods[-count:]
        while len(closed) < count - 1:
            closed.insert(0, period_around((closed or [current])[0].first - A_DAY, frequency))
        is_pausing = self._is_paused(current) and not current.has_counted and not current.is_set
        shown = [*closed, Period(**(vars(current) | {"used_pause": is_pausing}))]
        return shown if self.is_enabled else [Period(p.first, p.last, reset_ms=p.reset_ms) for p in shown]

    def pauses_ahead(self) -> list[Absence]:
        """Those that are not over, by day."""
        ahead = [pause for pause in self.absences if pause.last >= self.today]
        return sorted(ahead, key=lambda pause: pause.first)
