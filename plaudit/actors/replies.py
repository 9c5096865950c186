"""From what a command did to the bytes of its response."""

from collections.abc import Iterable

import msgspec
from msgspec import Raw

from plaudit.actors.event_log import FoundEvent, Page
from plaudit.actors.formats import format_day, format_instant, raw_amount
from plaudit.actors.messages import Reply
from plaudit.actors.streak_replies import render_event_streak, render_preferences, render_streak
from plaudit.actors.wire import (
    AchievementBase,
    AdminStreakPause,
    ErrorResponse,
    EventPage,
    EventResponse,
    LoggedAward,
    LoggedEvent,
    MetricResponse,
    Owners,
    PointsBase,
    TriggerResponse,
    UserResponse,
)
from plaudit.engine.amounts import unpack_amount
from plaudit.engine.catalog import Achievement, Catalog, Metric, PointsSystem, PointsTrigger
from plaudit.engine.commands import PauseStreak, RecordEvent
from plaudit.engine.compiled import CompiledCatalog, CompiledMetric
from plaudit.engine.compiling import metric_value_amount
from plaudit.engine.errors import Forbidden, Needless, NotFound, Rejected
from plaudit.engine.ids import format_id
from plaudit.engine.outcome import Award, Outcome
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
        self._metric_keys = {metric.key: metric for metric in catalog.catalog.metrics}
        self._achievements = {a.number: self._achievement_fragment(a) for a in catalog.catalog.achievements}
        self._systems = {system.number: _system_fragment(system) for system in catalog.catalog.points_systems}
        self._triggers = _trigger_fragments(catalog.catalog)
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
            achievements=[self._achieved(achievement, at_ms) for achievement in outcome.completed],
            current_streak=render_event_streak(outcome.user, self._compiled, outcome.streak_extended),
            points=self._points(outcome.awards, at_ms) if outcome.awards else {},
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
            achievements=[
                self._achieved(achievement, user.completions.get(achievement.number))
                for achievement in metric.shown
                if achievement.status == "active" or achievement.number in user.completions
            ],
        )

    def _achieved(self, achievement: Achievement, at_ms: int | None) -> Raw:
        at = "null" if at_ms is None else f'"{format_instant(at_ms)}"'
        return Raw(b'%b,"achievedAt":%b}' % (self._achievements[achievement.number], at.encode()))

    def _achievement_fragment(self, achievement: Achievement) -> bytes:
        """The achievement's object without its closing brace."""
        metric = self._metric_keys[achievement.metric]
        base = AchievementBase(
            id=achievement.id,
            key=achievement.key,
            name=achievement.name,
            trigger=achievement.trigger,
            description=achievement.description,
            badge_url=achievement.badge_url,
            user_attributes=(),
            metric_id=metric.id,
            metric_value=raw_amount(metric_value_amount(achievement)),
            metric_name=metric.name,
            event_attributes=(),
        )
        return _encoder.encode(base)[:-1]

    def _points(self, awards: Iterable[Award], at_ms: int) -> dict[str, Raw]:
        by_system: dict[str, list[Award]] = {}
        for award in awards:
            by_system.setdefault(award.system.key, []).append(award)
        return {key: self._event_points(group, format_instant(at_ms)) for key, group in by_system.items()}

    def _event_points(self, awards: list[Award], at: str) -> Raw:
        """One system's `EventPoints`: newest award first."""
        first, last = awards[0], awards[-1]
        objects = b",".join(
            b'{"id":"%b","awarded":%d,"date":"%b","total":%d,"trigger":%b,"boosts":[]}'
            % (
                format_id(award.id).encode(),
                award.awarded,
                at.encode(),
                award.total,
                self._triggers[award.system.number, award.trigger.number],
            )
            for award in reversed(awards)
        )
        added = last.total - first.total + first.awarded
        system = self._systems[first.system.number]
        return Raw(b'%b,"total":%d,"added":%d,"awards":[%b]}' % (system, last.total, added, objects))


def _system_fragment(system: PointsSystem) -> bytes:
    """A points system's object without its closing brace."""
    base = PointsBase(
        id=system.id,
        key=system.key,
        name=system.name,
        description=system.description,
        badge_url=system.badge_url,
        max_points=system.max_points,
    )
    return _encoder.encode(base)[:-1]


def _trigger_fragments(catalog: Catalog) -> dict[tuple[int, int], bytes]:
    """Every trigger's object, by the numbers of system and trigger."""
    metrics = {metric.key: metric for metric in catalog.metrics}

    def fragment(trigger: PointsTrigger) -> bytes:
        response = TriggerResponse(
            id=trigger.id,
            type=trigger.type,
            points=trigger.points,
            status="archived" if trigger.archived else trigger.status,
            user_attributes=(),
            event_attributes=(),
            created=format_instant(trigger.created_ms),
            updated=format_instant(trigger.updated_ms),
            metric_id=metrics[trigger.metric].id,
            metric_name=metrics[trigger.metric].name,
            metric_threshold=trigger.metric_threshold,
        )
        return _encoder.encode(response)

    return {
        (system.number, trigger.number): fragment(trigger)
        for system in catalog.points_systems
        for trigger in system.triggers
    }
