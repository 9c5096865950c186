"""Streaks against the oracle: users who act, travel, pause and sleep, under settings that change."""

from dataclasses import dataclass
from dataclasses import replace as with_fields
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from plaudit.engine.administer import administer
from plaudit.engine.catalog import EvaluationMode, Frequency, StreakMetric
from plaudit.engine.commands import (
    Administer,
    EndPause,
    GrantFreeze,
    PauseStreak,
    ResetStreak,
    RestoreStreak,
    StreakMetricFields,
    StreakPreferenceFields,
    UpdatePreferences,
    UserFields,
)
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.compiling import compile_catalog
from plaudit.engine.deadlines import next_deadline, timing_key
from plaudit.engine.elapse import elapse
from plaudit.engine.errors import Forbidden, Invalid, Needless, NotFound, Rejected
from plaudit.engine.pauses import current_pauses
from plaudit.engine.process import process
from plaudit.engine.settings import FreezePatch, StreakSettingsPatch, change_streaks
from plaudit.engine.snapshot import decode_user, encode_user
from plaudit.engine.streak_history import PeriodView, view_history
from plaudit.engine.streaks import StreakView, view_streak
from plaudit.engine.user import User
from tests.engine.builders import DETERMINISTIC, amount, compiled, document, event, event_id, instant
from tests.engine.streak_oracle import Earning, Freezes, Life, Period, Settings

METRICS = ("words", "pages", "steps")
FREQUENCIES: tuple[Frequency, ...] = ("daily", "weekly", "monthly")
MODES: tuple[EvaluationMode, ...] = ("OR", "AND")
PERIODS = 40
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000

STARTS = st.sampled_from(
    [
        "2024-02-27T10:00",
        "2024-03-09T22:15",
        "2024-10-30T12:45",
        "2025-12-30T03:30",
    ]
).map(instant)
ZONES = st.sampled_from(
    [
        None,
        "America/New_York",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Pacific/Honolulu",
        "Pacific/Kiritimati",
    ]
)
SKIPS = st.sampled_from(
    [
        (instant("1994-12-27T12:00"), "Pacific/Kiritimati"),  # four days before a Saturday that ends a week and a month
        (instant("2011-12-28T23:30"), "Pacific/Apia"),
    ]
)
PLACES = st.one_of(st.tuples(STARTS, ZONES), st.tuples(STARTS, ZONES), SKIPS)
"""When and where a user begins, now and then shortly before clocks there skip a day."""
GAPS_MS = st.one_of(
    st.integers(0, 90).map(lambda n: n * MINUTE_MS),
    st.integers(1, 60).map(lambda n: n * HOUR_MS),
    st.integers(1, 60).map(lambda n: n * HOUR_MS),
    st.integers(0, 12 * DAY_MS),
    st.integers(0, 100 * DAY_MS),
)
METRIC = st.sampled_from(METRICS)
VALUES = st.one_of(
    st.integers(1, 5).map(str),
    st.integers(-30, 50).map(lambda n: str(Decimal(n).scaleb(-1))),
    st.integers(-(10**9), 5 * 10**9).map(lambda n: f"{Decimal(n).scaleb(-9):f}"),
)
UNSET_OR_NONE = st.sampled_from([UNSET, None])
DAYS_OFF = st.sets(st.integers(0, 6), max_size=3).map(lambda days: tuple(sorted(days)))
THRESHOLDS = st.dictionaries(METRIC, st.integers(1, 4), min_size=1)
OWN_THRESHOLDS = st.dictionaries(METRIC, st.sampled_from(["0.1", "1", "1.000000001", "2.5"]), min_size=1)
FREEZES = st.sampled_from([(1, 1), (0, 2), (3, 4), (2, 3, 1, 1), (0, 3, 3, 2), (0, 3, 3, 1), (1, 4, 8, 3)]).map(
    lambda counts: FreezePatch(**dict(zip(FreezePatch.__struct_fields__, counts, strict=False)))
)


@st.composite
def patches(draw: st.DrawFn) -> StreakSettingsPatch:
    def perhaps(strategy: st.SearchStrategy[Any]) -> Any:
        return draw(st.just(UNSET) | strategy)

    thresholds = perhaps(THRESHOLDS)
    metrics = thresholds if thresholds is UNSET else [StreakMetric(key=k, threshold=n) for k, n in thresholds.items()]
    return StreakSettingsPatch(
        frequency=perhaps(st.sampled_from(FREQUENCIES)),
        evaluation_mode=perhaps(st.sampled_from(MODES)),
        customization_enabled=perhaps(st.booleans()),
        days_off=perhaps(DAYS_OFF),
        metrics=metrics if metrics is UNSET else tuple(metrics),
        freezes=perhaps(st.none() | FREEZES | FREEZES),
    )


def patched(old: Settings, patch: StreakSettingsPatch, now_ms: int) -> Settings:
    """The oracle's settings after a patch that can be made."""
    new = old
    if not isinstance(patch.frequency, UnsetType):
        new = with_fields(new, frequency=patch.frequency)
    if not isinstance(patch.evaluation_mode, UnsetType):
        new = with_fields(new, mode=patch.evaluation_mode)
    if not isinstance(patch.customization_enabled, UnsetType):
        new = with_fields(new, customization=patch.customization_enabled)
    if not isinstance(patch.days_off, UnsetType):
        new = with_fields(new, days_off=frozenset(patch.days_off))
    if new.frequency != "daily":
        new = with_fields(new, days_off=frozenset())
    if not isinstance(patch.metrics, UnsetType):
        new = with_fields(new, thresholds={metric.key: Fraction(metric.threshold) for metric in patch.metrics})
    if not isinstance(patch.freezes, UnsetType):
        new = with_fields(new, freezes=patched_freezes(old.freezes, patch.freezes, now_ms))
    return new


def patched_freezes(old: Freezes | None, patch: FreezePatch | None, now_ms: int) -> Freezes | None:
    """As the patch says; in force since now, unless that is what they are already."""
    if patch is None:
        return None
    earning = None
    if patch.auto_earn_interval is not None and patch.auto_earn_amount is not None:
        earning = Earning(patch.auto_earn_interval, patch.auto_earn_amount)
    new = Freezes(patch.start_count, patch.max_count, earning, now_ms)
    return old if old is not None and with_fields(old, since_ms=now_ms) == new else new


@dataclass(frozen=True)
class Views:
    """What can be seen of a user, in each frequency."""

    streaks: dict[Frequency, StreakView]
    histories: dict[Frequency, list[PeriodView]]
    pauses: list[tuple[int, int]]


def views_of(user: User, catalogs: dict[Frequency, CompiledCatalog]) -> Views:
    """The views of a user who has been advanced to now."""
    return Views(
        {frequency: view_streak(user, catalog) for frequency, catalog in catalogs.items()},
        {frequency: view_history(user, catalog, PERIODS) for frequency, catalog in catalogs.items()},
        [(pause.first_day, pause.last_day) for pause in current_pauses(user)],
    )


class TimeMachine(RuleBasedStateMachine):
    """One user in front of four: the engine with timers, the engine without them, the oracle, and the clock."""

    base = compiled(document(metrics=METRICS)).catalog

    @initialize(
        place=PLACES,
        frequency=st.sampled_from(FREQUENCIES),
        freezes=st.none() | FREEZES | FREEZES,
        customization=st.booleans(),
        patch=patches(),
        metric=METRIC,
        value=VALUES,
    )
    def begin(
        self,
        place: tuple[int, str | None],
        frequency: Frequency,
        freezes: FreezePatch | None,
        customization: bool,
        patch: StreakSettingsPatch,
        metric: str,
        value: str,
    ) -> None:
        start, zone = place
        self.now_ms = self.touched_ms = start
        self.sent = self.paused = 0
        self.catalog = compile_catalog(self.base)
        self.life = Life(start, zone, Settings())
        self._adopt(replace(patch, frequency=frequency, freezes=freezes, customization_enabled=customization))
        self.life = Life(start, zone, self.life.settings)
        self.user: User | None = None
        self.lazy: User | None = None
        self._send(metric, value, UserFields(tz=zone))

    # Time alone.

    @rule(gap=GAPS_MS)
    def wait(self, gap: int) -> None:
        self._let_pass(gap)

    # What users do.

    @rule(gap=GAPS_MS, metric=METRIC, value=VALUES)
    def send(self, gap: int, metric: str, value: str) -> None:
        self._let_pass(gap)
        self._send(metric, value)

    @rule(
        gaps=st.lists(st.integers(12, 47), min_size=2, max_size=12),
        unit_ms=st.sampled_from([HOUR_MS, HOUR_MS, 6 * HOUR_MS, 24 * HOUR_MS]),
        metrics=st.sampled_from([METRICS, METRICS, ("words",)]),
    )
    def send_a_few(self, gaps: list[int], unit_ms: int, metrics: tuple[str, ...]) -> None:
        """Enough for any condition, or of one metric, every day or so, every week or every month."""
        for gap in gaps:
            self._let_pass(gap * unit_ms)
            for metric in metrics:
                self._send(metric, "4")

    @rule(gap=GAPS_MS, zone=ZONES, metric=METRIC, value=VALUES)
    def travel(self, gap: int, zone: str | None, metric: str, value: str) -> None:
        """Time passes with nobody looking but the timers; then an event comes from elsewhere."""
        self._let_pass(gap)
        self.life.move(self.now_ms, zone)
        self._send(metric, value, UserFields(tz=zone))

    @rule(enabled=st.sampled_from([None, True, False, False]))
    def enable(self, enabled: bool | None) -> None:
        self._administer(UpdatePreferences("sam", {}, StreakPreferenceFields(enabled)), None)
        self.life.wishes = with_fields(self.life.wishes, enabled=enabled)

    @rule(
        mode=UNSET_OR_NONE | st.sampled_from(MODES),
        days_off=UNSET_OR_NONE | st.just(()) | DAYS_OFF,
        thresholds=UNSET_OR_NONE | OWN_THRESHOLDS,
    )
    def wish(self, mode: Any, days_off: Any, thresholds: Any) -> None:
        metrics = thresholds
        if isinstance(thresholds, dict):
            metrics = tuple(StreakMetricFields(key, amount(value)) for key, value in thresholds.items())
            thresholds = {key: Fraction(value) for key, value in thresholds.items()}
        command = UpdatePreferences("sam", {}, StreakPreferenceFields(UNSET, mode, metrics, days_off))
        wanted = {
            "mode": mode,
            "days_off": frozenset(days_off) if isinstance(days_off, tuple) else days_off,
            "thresholds": thresholds,
        }
        wanted = {name: value for name, value in wanted.items() if value is not UNSET}
        allowed = self.life.settings.customization or not wanted
        self._administer(command, None if allowed else Forbidden)
        if allowed:
            self.life.wishes = with_fields(self.life.wishes, **wanted)

    # What is done to users.

    @rule(count=st.integers(1, 4))
    def grant(self, count: int) -> None:
        for _ in range(count):
            self._administer(GrantFreeze("sam"), None if self.life.grant_freeze() else Needless)

    @rule(gap=GAPS_MS | st.integers(88, 93).map(lambda n: n * DAY_MS))
    def restore(self, gap: int) -> None:
        """Also when what was lost is just leaving the window."""
        self._let_pass(gap)
        self.life.live_until(self.now_ms)
        self._administer(RestoreStreak("sam"), None if self.life.restore() else Needless)

    @rule()
    def reset(self) -> None:
        self._administer(ResetStreak("sam"), None if self.life.reset(self.now_ms) else Needless)

    @rule(ahead=st.sampled_from([-1, 0, 0, 0, 1, 2, 5, 17]), days=st.sampled_from([-1, 0, 1, 2, 6, 9, 20]))
    def pause(self, ahead: int, days: int) -> None:
        self.paused += 1
        first = self.life.today.toordinal() + ahead
        last = first + days
        accepted = self.life.pause(self.paused, date.fromordinal(first), date.fromordinal(last))
        command = PauseStreak("sam", event_id(self.paused), first, last)
        self._administer(command, None if accepted else Invalid)

    @precondition(lambda self: self.paused)
    @rule(back=st.integers(0, 3), hours=st.integers(0, 60))
    def end_pause(self, back: int, hours: int) -> None:
        """End one of the last pauses, if there is still anything to end."""
        self._let_pass(hours * HOUR_MS)
        self.life.live_until(self.now_ms)
        number = max(1, self.paused - back)
        self._administer(EndPause("sam", event_id(number)), None if self.life.end_pause(number) else NotFound)

    @rule(patch=patches())
    def change_settings(self, patch: StreakSettingsPatch) -> None:
        self.lazy = elapse(self._lazy, self.catalog, self.touched_ms).user
        self._adopt(patch)

    # What must hold.

    @invariant()
    def everybody_agrees(self) -> None:
        self.life.live_until(self.now_ms)
        catalogs = self._catalogs()
        seen = views_of(elapse(self._user, self.catalog, self.now_ms).user, catalogs)
        for frequency in FREQUENCIES:
            self._check_streak(seen.streaks[frequency], frequency)
            self._check_history(seen.histories[frequency], frequency)
        assert seen.pauses == [(p.first.toordinal(), p.last.toordinal()) for p in self.life.pauses_ahead()]
        assert views_of(elapse(self._lazy, self.catalog, self.now_ms).user, catalogs) == seen
        assert decode_user(encode_user(self._user)) == self._user

    @invariant()
    def nothing_happens_before_the_deadline(self) -> None:
        deadline = next_deadline(self._user, self.catalog)
        soon = elapse(self._user, self.catalog, self.now_ms).user
        late_ms = self.now_ms + 100 * DAY_MS if deadline is None else deadline - 1
        later = elapse(self._user, self.catalog, late_ms).user
        for catalog in self._catalogs().values():
            before, after = view_streak(soon, catalog), view_streak(later, catalog)
            days = {"period_start_day": before.period_start_day, "period_end_day": before.period_end_day}
            assert replace(after, **days) == before
        assert next_deadline(soon, self.catalog) == next_deadline(later, self.catalog) == deadline

    def _check_streak(self, seen: StreakView, frequency: Frequency) -> None:
        life, run, expires = self.life, self.life.runs[frequency], self.life.expires(frequency)
        freezes = life.settings.freezes
        started = run.started if life.length(frequency) else None
        assert seen == StreakView(
            length=life.length(frequency),
            frequency=frequency,
            started_day=None if started is None else started.toordinal(),
            period_start_day=run.current.first.toordinal(),
            period_end_day=run.current.last.toordinal(),
            expires_day=None if expires is None else expires.toordinal(),
            extended_ms=run.extended_ms if life.length(frequency) else None,
            freezes=life.freezes if freezes else None,
            max_freezes=freezes.at_most if freezes else None,
            auto_earn_interval=freezes.earning.interval if freezes and freezes.earning else None,
            auto_earn_amount=freezes.earning.amount if freezes and freezes.earning else None,
        )

    def _check_history(self, seen: list[PeriodView], frequency: Frequency) -> None:
        assert seen == [period_view(period) for period in self.life.history(frequency, PERIODS)]

    # How it is done.

    @property
    def _user(self) -> User:
        assert self.user is not None
        return self.user

    @property
    def _lazy(self) -> User:
        assert self.lazy is not None
        return self.lazy

    def _catalogs(self) -> dict[Frequency, CompiledCatalog]:
        """The present settings, with each frequency."""
        streaks = self.catalog.catalog.streaks
        return {
            frequency: compile_catalog(replace(self.catalog.catalog, streaks=replace(streaks, frequency=frequency)))
            for frequency in FREQUENCIES
        }

    def _let_pass(self, gap: int) -> None:
        """Move the clock, and let the timers do what is due on the way."""
        self.now_ms += gap
        last = None
        while (deadline := next_deadline(self._user, self.catalog)) is not None and deadline <= self.now_ms:
            assert last is None or deadline > last
            last = deadline
            self._touch(deadline)

    def _touch(self, at_ms: int) -> None:
        self.user = elapse(self._user, self.catalog, at_ms).user
        self.touched_ms = at_ms
        self.life.live_until(at_ms)

    def _send(self, metric: str, value: str, fields: UserFields = UserFields()) -> None:  # noqa: B008 (frozen)
        self.sent += 1
        sent = event(value, metric, number=self.sent, fields=fields)
        extended = self.life.send(self.now_ms, metric, Fraction(value))
        outcome = process(self.user, sent, self.catalog, self.now_ms)
        assert outcome.streak_extended == extended
        self.user = outcome.user
        self.touched_ms = self.now_ms
        self.lazy = process(self.lazy, sent, self.catalog, self.now_ms).user

    def _administer(self, command: Administer, refusal: type[Rejected] | None) -> None:
        """Have the engine do it, or refuse it and leave the user as they were."""
        if refusal is not None:
            with pytest.raises(refusal):
                administer(self._user, command, self.catalog, self.now_ms)
            return
        self.user = administer(self._user, command, self.catalog, self.now_ms).user
        self.touched_ms = self.now_ms
        self.lazy = administer(self._lazy, command, self.catalog, self.now_ms).user

    def _adopt(self, patch: StreakSettingsPatch) -> None:
        if self._resulting_frequency(patch) != "daily" and patch.days_off is not UNSET:
            patch = replace(patch, days_off=())
        streaks = change_streaks(self.catalog.catalog, patch, self.now_ms)
        before = self.catalog
        self.catalog = compile_catalog(replace(before.catalog, streaks=streaks))
        self.life.settings = patched(self.life.settings, patch, self.now_ms)
        if timing_key(self.catalog) == timing_key(before) and self.sent:
            assert next_deadline(self._user, self.catalog) == next_deadline(self._user, before)

    def _resulting_frequency(self, patch: StreakSettingsPatch) -> str:
        return self.life.settings.frequency if isinstance(patch.frequency, UnsetType) else patch.frequency


def period_view(period: Period) -> PeriodView:
    return PeriodView(
        period_start_day=period.first.toordinal(),
        period_end_day=period.last.toordinal(),
        length=period.length,
        used_freeze=period.used_freeze,
        used_pause=period.used_pause,
        reset_ms=period.reset_ms,
    )


TimeMachine.TestCase.settings = settings(DETERMINISTIC, max_examples=200, stateful_step_count=40)
test_streaks_are_what_the_days_of_a_life_say = TimeMachine.TestCase
