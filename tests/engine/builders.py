"""What the engine's tests are made of: instants by local time, events with fixed ids, catalogs by their entries."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Literal, Self
from zoneinfo import ZoneInfo

from hypothesis import settings
from msgspec import UNSET, UnsetType

from plaudit.engine.administer import administer
from plaudit.engine.catalog import Catalog, Frequency
from plaudit.engine.commands import Administer, CompleteAchievement, EndPause, PauseStreak, RecordEvent, UserFields
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.compiling import compile_catalog
from plaudit.engine.document import (
    AchievementEntry,
    AttributeEntry,
    Document,
    FreezesEntry,
    MetricEntry,
    PointsEntry,
    StreakEntry,
    StreakMetricEntry,
    TriggerEntry,
)
from plaudit.engine.elapse import elapse
from plaudit.engine.outcome import Completion, Elapsed, Happening, Outcome
from plaudit.engine.process import complete_on_demand, process
from plaudit.engine.revision import revise
from plaudit.engine.streak_history import PeriodView, view_history
from plaudit.engine.streaks import StreakView, view_streak
from plaudit.engine.user import User

DETERMINISTIC = settings(derandomize=True, deadline=None, max_examples=150)
"""The same examples in every run."""

Mode = Literal["OR", "AND"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CREATED_MS = 1_700_000_000_000
"""When the catalogs of these tests were made."""


def instant(local: str, zone: str = "UTC", fold: int = 0) -> int:
    """Unix ms of a local ISO time; `fold` 1 is the second of the two when clocks go back."""
    moment = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return (moment - EPOCH) // timedelta(milliseconds=1)


def day(text: str) -> int:
    """The ordinal of an ISO date."""
    return date.fromisoformat(text).toordinal()


def amount(text: str) -> int:
    """The amount of a decimal of at most nine places."""
    scaled = Decimal(text).scaleb(9)
    assert scaled == int(scaled)
    return int(scaled)


def event_id(number: int) -> bytes:
    """16 bytes, a version 7 UUID, the same for the same number."""
    return bytes.fromhex("018f2b6e00007000") + b"\x80" + number.to_bytes(7, "big")


def event(
    value: str = "1",
    metric: str = "words",
    *,
    number: int = 1,
    fields: UserFields = UserFields(),  # noqa: B008 (frozen)
    attributes: dict[str, str] | None = None,
) -> RecordEvent:
    """An event of `sam`."""
    return RecordEvent("sam", metric, amount(value), event_id(number), fields, attributes or {})


def achievement(
    value: str, metric: str = "words", *, key: str = "", status: Literal["active", "inactive", "locked"] = "active"
) -> AchievementEntry:
    """An achievement at `value`, which is its key as well unless another is given."""
    key = key or value.replace(".", "_")
    return AchievementEntry(key, key, metric, Decimal(value), status=status)


def trigger(
    points: int,
    every: int,
    metric: str = "words",
    *,
    key: str = "trigger",
    status: Literal["active", "inactive"] = "active",
) -> TriggerEntry:
    """`points` for every `every` of `metric`."""
    return TriggerEntry(key, metric, every, points, status=status)


def system(*triggers: TriggerEntry, key: str = "xp", max_points: int | None = None) -> PointsEntry:
    """A points system."""
    return PointsEntry(key, key, max_points=max_points, triggers=triggers)


def streak(mode: Mode = "OR", **thresholds: int) -> StreakEntry:
    """A streak condition, thresholds by metric key."""
    metrics = tuple(StreakMetricEntry(key, threshold) for key, threshold in thresholds.items())
    return StreakEntry(evaluation_mode=mode, metrics=metrics)


def frozen(
    start: int, most: int, every: int | None = None, amount: int | None = None, frequency: Frequency = "daily"
) -> StreakEntry:
    """A streak on anything with freezes: at the start, at most, and earned every so many days."""
    return StreakEntry(frequency, freezes=FreezesEntry(start, most, every, amount))


def document(
    *,
    metrics: tuple[str, ...] = ("words", "pages", "steps"),
    achievements: tuple[AchievementEntry, ...] = (),
    points: tuple[PointsEntry, ...] = (),
    streak: StreakEntry | None = StreakEntry(),  # noqa: B008 (frozen)
    user_attributes: tuple[str, ...] = (),
    event_attributes: tuple[str, ...] = (),
) -> Document:
    """A document; metrics and attributes are named after their keys. Metrics are numbered from 1 as listed."""
    attributes = (
        *(AttributeEntry(key, key, "user") for key in user_attributes),
        *(AttributeEntry(key, key, "event") for key in event_attributes),
    )
    return Document(tuple(MetricEntry(key, key) for key in metrics), attributes, achievements, points, streak)


def compiled(document: Document) -> CompiledCatalog:
    """A catalog made of one document."""
    return compile_catalog(revise(Catalog(), document, CREATED_MS))


class Player:
    """One user, who sends one event after another; `user` is their state after the last one."""

    def __init__(self, catalog: CompiledCatalog, zone: str = "UTC") -> None:
        self.catalog = catalog
        self.zone = zone
        self.user: User | None = None
        self.sent = 0
        self.now_ms = 0
        """When something last happened."""
        self.happenings: list[Happening] = []
        """What time alone has brought so far."""

    @property
    def state(self) -> User:
        """The user, who has sent something."""
        assert self.user is not None
        return self.user

    @property
    def view(self) -> StreakView:
        """The streak as callers see it."""
        return view_streak(self.state, self.catalog)

    @property
    def length(self) -> int:
        """The length of the streak as callers see it."""
        return self.view.length

    def sends(
        self,
        local: str,
        value: str = "1",
        metric: str = "words",
        *,
        zone: str = "",
        fold: int = 0,
        carrying: dict[str, str] | None = None,
        being: dict[str, str] | None = None,
        signed_up: str | UnsetType | None = UNSET,
    ) -> Outcome:
        """Send an event at a local time, with attributes; with a `zone` or user attributes, so from then on."""
        fields = self.fields(zone, being, signed_up)
        return self.sends_at(instant(local, self.zone, fold), value, metric, fields, carrying)

    def fields(
        self, zone: str = "", being: dict[str, str] | None = None, signed_up: str | UnsetType | None = UNSET
    ) -> UserFields:
        """What a request says of the user."""
        has_moved = bool(zone) or self.user is None
        self.zone = zone or self.zone
        return UserFields(tz=self.zone if has_moved else UNSET, attributes=being or UNSET, sign_up_date=signed_up)

    def sends_at(
        self,
        now_ms: int,
        value: str = "1",
        metric: str = "words",
        fields: UserFields | None = None,
        carrying: dict[str, str] | None = None,
    ) -> Outcome:
        """Send an event at an instant."""
        self.sent += 1
        sent = event(value, metric, number=self.sent, fields=fields or UserFields(tz=self.zone), attributes=carrying)
        outcome = process(self.user, sent, self.catalog, now_ms)
        self.user, self.now_ms = outcome.user, now_ms
        self.happenings += outcome.happenings
        return outcome

    def completes(self, local: str, key: str, *, zone: str = "", being: dict[str, str] | None = None) -> Completion:
        """Ask for the completion of an achievement at a local time."""
        fields = self.fields(zone, being)
        self.now_ms = instant(local, self.zone)
        completion = complete_on_demand(self.user, CompleteAchievement("sam", key, fields), self.catalog, self.now_ms)
        self.user = completion.user
        self.happenings += completion.happenings
        return completion

    def streak_after(self, *locals_: str) -> int:
        """The length of the daily streak after an event of 1 at each of the local times."""
        return [self.sends(local) for local in locals_][-1].user.streaks.daily.length

    def counts_on(self, *dates: str) -> Self:
        """Send an event of 1 at noon of each date."""
        for date_ in dates:
            self.sends(f"{date_}T12:00")
        return self

    def counts_through(self, first: str, last: str) -> Self:
        """Send an event of 1 at noon of each day from one to another, both included."""
        days = range(day(first), day(last) + 1)
        return self.counts_on(*(date.fromordinal(ordinal).isoformat() for ordinal in days))

    def waits(self, local: str) -> Self:
        """Let time pass until a local time, or 00:00 of a date."""
        return self.waits_until(instant(local, self.zone))

    def waits_until(self, now_ms: int) -> Self:
        """Let time pass until an instant."""
        return self._becomes(elapse(self.state, self.catalog, now_ms), now_ms)

    def _becomes(self, elapsed: Elapsed, now_ms: int) -> Self:
        self.user, self.now_ms = elapsed.user, now_ms
        self.happenings += elapsed.happenings
        return self

    def asks(self, local: str, command: Administer) -> Self:
        """Have a command carried out at a local time, or at 00:00 of a date."""
        return self.asks_at(instant(local, self.zone), command)

    def asks_at(self, now_ms: int, command: Administer) -> Self:
        """Have a command carried out at an instant."""
        return self._becomes(administer(self.state, command, self.catalog, now_ms), now_ms)

    def pauses(self, today: str, first: str, last: str, number: int = 1) -> Self:
        """Pause the streak from one day through another; the pause has the id of the number."""
        return self.asks(today, PauseStreak("sam", event_id(number), day(first), day(last)))

    def ends_pause(self, today: str, number: int = 1) -> Self:
        """Delete the pause with the id of the number."""
        return self.asks(today, EndPause("sam", event_id(number)))

    def adopts(self, entry: StreakEntry, local: str = "2024-01-01T00:00") -> Self:
        """From now on, other streak settings are in force, since a time in UTC."""
        self.catalog = compile_catalog(revise(self.catalog.catalog, document(streak=entry), instant(local)))
        return self

    def history(self, periods: int) -> list[PeriodView]:
        """The last periods, oldest first."""
        return view_history(self.state, self.catalog, periods)

    def story(self, periods: int) -> str:
        """The last periods in short: lengths, with `f` where a freeze was used and `p` where a pause was."""
        return " ".join(
            f"{period.length}{'f' * period.used_freeze}{'p' * period.used_pause}" for period in self.history(periods)
        )
