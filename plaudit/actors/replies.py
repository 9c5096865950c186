"""From what a command did to the bytes of its response."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from msgspec import Raw

from plaudit.actors.achievement_replies import AchievementRenderer
from plaudit.actors.board_replies import BoardRenderer
from plaudit.actors.event_log import FoundEvent, Page
from plaudit.actors.formats import format_day, format_instant, raw_amount
from plaudit.actors.messages import Reply
from plaudit.actors.points_replies import (
    FoundAward,
    PointsRenderer,
    count_levels,
    count_points,
    render_admin_boost,
    render_level,
    render_system_boosts,
    render_user_boosts,
)
from plaudit.actors.streak_replies import render_event_streak, render_preferences, render_streak
from plaudit.actors.wire import (
    AchievementCompletion,
    AdminStreakPause,
    ErrorResponse,
    EventPage,
    EventResponse,
    LoggedAward,
    LoggedEvent,
    MetricResponse,
    Owners,
    SummaryRow,
    UserResponse,
)
from plaudit.engine.amounts import unpack_amount
from plaudit.engine.catalog import Achievement, Metric
from plaudit.engine.commands import CreateBoost, PauseStreak, RecordEvent
from plaudit.engine.compiled import CompiledCatalog, CompiledMetric, CompiledSystem
from plaudit.engine.errors import Forbidden, Invalid, Needless, NotFound, Rejected
from plaudit.engine.ids import format_id
from plaudit.engine.outcome import Completion, Outcome
from plaudit.engine.summaries import PeriodTotal
from plaudit.engine.tally import Counter
from plaudit.engine.user import User
from plaudit.storage.history import AwardEntry

_encoder = msgspec.json.Encoder()

INTERNAL_ERROR = Reply(500, b'{"error":"internal error; the request changed nothing"}')

DELETED = Reply(204, b"")

REFUSED = Reply(500, b'{"error":"this request cannot be processed; it has been set aside and changed nothing"}')


DONE = Reply(200, b"{}")

_STATUSES = {NotFound: 404, Forbidden: 403, Needless: 409}


def reject(error: Rejected) -> Reply:
    """The response to a command that the rules refused. A 409 is for the gateway: it never becomes a response."""
    return Reply(_STATUSES.get(type(error), 422), _encoder.encode(ErrorResponse(str(error))))


class Renderer:
    """Renders responses under one version of the catalog; what depends on the catalog alone is encoded once."""

    def __init__(self, catalog: CompiledCatalog) -> None:
        self._achievements = AchievementRenderer(catalog)
        self._points = PointsRenderer(catalog)
        self.boards = BoardRenderer(catalog)
        self._metric_names = {metric.number: metric.key for metric in catalog.catalog.metrics}
        self._achievement_keys = {a.number: a.key for a in catalog.catalog.achievements}
        self._award_names = {
            (system.number, trigger.number): (system.key, trigger.id)
            for system in catalog.catalog.points_systems
            for trigger in system.triggers
        }
        self._compiled = catalog

    def event(self, event: RecordEvent, outcome: Outcome, at_ms: int) -> Reply:
        """201: what the event did."""
        response = EventResponse(
            event_id=format_id(event.event_id),
            metric_id=outcome.metric.definition.id,
            total=raw_amount(outcome.total),
            achievements=self._achievements.all_achieved(outcome.completed, at_ms) if outcome.completed else [],
            current_streak=render_event_streak(outcome.user, self._compiled, outcome.streak_extended),
            points=self._points.given(outcome.awards, event.event_id, at_ms) if outcome.awards else {},
            leaderboards={},
            idempotency_key=msgspec.UNSET if event.idempotency_key is None else event.idempotency_key,
            idempotent_replayed=msgspec.UNSET if event.idempotency_key is None else False,
        )
        return Reply(201, _encoder.encode(response))

    def replayed(self, event: RecordEvent, metric: Metric, user: User, event_id: bytes) -> Reply:
        """202: the key has been used before, by the event `event_id`; how things stand now (Q-19)."""
        response = EventResponse(
            event_id=format_id(event_id),
            metric_id=metric.id,
            total=raw_amount(user.totals.get(metric.number, 0)),
            achievements=[],
            current_streak=render_event_streak(user, self._compiled, extended=False),
            points={},
            leaderboards={},
            idempotency_key=event.idempotency_key or "",
            idempotent_replayed=True,
        )
        return Reply(202, _encoder.encode(response))

    def completed(self, outcome: Completion, completion_id: bytes, at_ms: int) -> Reply:
        """201: what the completion of an achievement did."""
        others = (a for a in outcome.completed if a.number != outcome.achievement.number)
        response = AchievementCompletion(
            completion_id=format_id(completion_id),
            achievement=self._achievements.achieved(outcome.achievement, at_ms),
            points=self._points.given(outcome.awards, completion_id, at_ms),
            achievements=self._achievements.all_achieved(others, at_ms),
        )
        return Reply(201, _encoder.encode(response))

    def already_completed(self, achievement: Achievement, completion_id: bytes, achieved_ms: int) -> Reply:
        """202: the user has completed the achievement before (Q-40)."""
        achieved = self._achievements.achieved(achievement, achieved_ms)
        return Reply(202, _encoder.encode(AchievementCompletion(format_id(completion_id), achieved, {}, [])))

    def user(self, user_id: str, user: User) -> Reply:
        """200: the profile."""
        profile = user.profile
        response = UserResponse(
            id=user_id,
            email=profile.email,
            name=profile.name,
            tz=profile.tz,
            sign_up_date=None if profile.sign_up_day is None else format_day(profile.sign_up_day),
            device_tokens=profile.device_tokens,
            subscribe_to_emails=profile.subscribes_to_emails,
            attributes=profile.attributes,
            control=profile.control,
            created=format_instant(profile.created_ms),
            updated=format_instant(profile.updated_ms),
        )
        return Reply(200, _encoder.encode(response))

    def metrics(self, user: User) -> Reply:
        """200: all live metrics with their achievements; locked ones only if the user has them (Q-66)."""
        return Reply(200, _encoder.encode([self._metric(m, user) for m in self._compiled.metrics.values()]))

    def metric(self, user: User, metric: CompiledMetric) -> Reply:
        """200: one metric."""
        return Reply(200, _encoder.encode(self._metric(metric, user)))

    def user_achievements(self, user: User, *, include_incomplete: bool) -> Reply:
        """200: a part of the answer, for the gateway to complete with what all shards have counted."""
        return Reply(200, _encoder.encode(self._achievements.of_user(user, include_incomplete=include_incomplete)))

    def achievement_stats(self, counters: Mapping[Counter, int], attributes: tuple[tuple[str, str], ...]) -> Reply:
        """200: a shard's part of the answer, for the gateway to merge."""
        return Reply(200, _encoder.encode(self._achievements.counted(counters, attributes)))

    def points(self, user: User, system: CompiledSystem, awards: Sequence[FoundAward], today: int) -> Reply:
        """200: a user's points with these awards, on a day of theirs."""
        return Reply(200, _encoder.encode(self._points.of_user(user, system, awards, today)))

    def points_system(self, system: CompiledSystem) -> Reply:
        """200: a points system with its active triggers."""
        return Reply(200, _encoder.encode(self._points.system(system)))

    def metric_summary(self, rows: Iterable[PeriodTotal]) -> Reply:
        """200: what periods of a metric, in amounts, came to."""
        return _summary(rows, raw_amount)

    def points_summary(self, rows: Iterable[PeriodTotal]) -> Reply:
        """200: what periods of points came to."""
        return _summary(rows, lambda points: Raw(str(points).encode()))

    def streak(self, user: User, periods: int) -> Reply:
        """200: the streak with its last periods, for a user who has been advanced to now."""
        return Reply(200, _encoder.encode(render_streak(user, self._compiled, periods)))

    def preferences(self, user: User) -> Reply:
        """200: what the user has set."""
        return Reply(200, _encoder.encode(render_preferences(user, self._metric_names)))

    def pause(self, command: PauseStreak) -> Reply:
        """201: a new pause."""
        response = AdminStreakPause(
            id=format_id(command.pause_id),
            user_id=command.user_id,
            start=format_day(command.first_day),
            end=format_day(command.last_day),
            status="active",
        )
        return Reply(201, _encoder.encode(response))

    def owners(self, owners: dict[bytes, str]) -> Reply:
        """200: a shard's part of the answer to a query, for the gateway to merge."""
        return Reply(200, _encoder.encode(Owners({format_id(id_): user_id for id_, user_id in owners.items()})))

    def events(self, page: Page) -> Reply:
        """200: a shard's part of the answer to a query, for the gateway to merge."""
        body = EventPage(
            events=[Raw(_encoder.encode(self._logged_event(found))) for found in page.events],
            positions=[found.position for found in page.events],
            more_before=page.more_before,
        )
        return Reply(200, _encoder.encode(body))

    def _logged_event(self, found: FoundEvent) -> LoggedEvent:
        entry = found.entry
        return LoggedEvent(
            id=format_id(entry.event_id),
            date=format_instant(entry.at_ms),
            user_id=found.user[1],
            metric=self._metric_names[entry.metric],
            value=raw_amount(unpack_amount(entry.value)),
            total=raw_amount(unpack_amount(entry.total)),
            attributes=entry.attributes,
            achievements=[self._achievement_keys[number] for number in entry.completed],
            points=[self._logged_award(award) for award in entry.awards],
            streak_extended=entry.streak_extended,
            idempotency_key=entry.idempotency_key,
        )

    def _logged_award(self, award: AwardEntry) -> LoggedAward:
        system, trigger = self._award_names[award.system, award.trigger]
        return LoggedAward(system, trigger, award.awarded, award.total)

    def _metric(self, metric: CompiledMetric, user: User) -> MetricResponse:
        definition = metric.definition
        return MetricResponse(
            id=definition.id,
            key=definition.key,
            name=definition.name,
            status="active",
            current=raw_amount(user.totals.get(definition.number, 0)),
            achievements=self._achievements.of_metric(metric, user),
        )


def levels(system: CompiledSystem) -> Reply:
    """200: the levels of a system, by ascending points."""
    return Reply(200, _encoder.encode([render_level(level) for level in system.levels]))


def level_counts(system: CompiledSystem, counters: Mapping[Counter, int]) -> Reply:
    """200: a shard's part of a level summary, for the gateway to merge. 422 for a system without levels."""
    if not system.levels:
        return reject(Invalid(f"key: expected a points system with levels, {system.definition.key!r} has none"))
    return Reply(200, _encoder.encode(count_levels(system, counters)))


def point_counts(system: CompiledSystem, counters: Mapping[Counter, int]) -> Reply:
    """200: a shard's part of a points summary, for the gateway to merge."""
    return Reply(200, _encoder.encode(count_points(system, counters)))


def system_boosts(system: CompiledSystem, today: int, *, include_finished: bool) -> Reply:
    """200: the boosts of a system for all users, as they stand on a day."""
    return Reply(200, _encoder.encode(render_system_boosts(system, today, include_finished=include_finished)))


def user_boosts(user: User, system: CompiledSystem, today: int) -> Reply:
    """200: what multiplies a user's points on a day of theirs."""
    return Reply(200, _encoder.encode(render_user_boosts(user, system, today)))


def admin_boost(command: CreateBoost, today: int) -> Reply:
    """201: a new boost of one user, as it stands on a day of theirs."""
    return Reply(201, _encoder.encode(render_admin_boost(command, today)))


def _summary(rows: Iterable[PeriodTotal], render: Callable[[int], Raw]) -> Reply:
    return Reply(
        200,
        _encoder.encode([SummaryRow(format_day(row.first_day), render(row.total), render(row.change)) for row in rows]),
    )
