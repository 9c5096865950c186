"""Points systems, awards, boosts and levels as callers see them."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec import UNSET, Raw, Struct

from plaudit.actors.achievement_replies import key_values
from plaudit.actors.formats import award_id, format_day, format_instant, raw_amount
from plaudit.actors.wire import (
    AdminPointsBoost,
    AwardResponse,
    BoostResponse,
    BoostStatus,
    CountedLevel,
    LevelCountsPart,
    LevelResponse,
    PointCountsPart,
    PointsBase,
    PointsSystemResponse,
    TriggerResponse,
    UserPoints,
)
from plaudit.engine.amounts import to_amount
from plaudit.engine.boosts import active_boosts
from plaudit.engine.catalog import PointsBoost, PointsLevel, PointsSystem, PointsTrigger
from plaudit.engine.commands import CreateBoost
from plaudit.engine.compiled import CompiledCatalog, CompiledSystem
from plaudit.engine.ids import format_id
from plaudit.engine.outcome import Award, Boost
from plaudit.engine.tally import BUCKETS, LEVELS, Counter
from plaudit.engine.user import User, UserBoost
from plaudit.storage.history import AwardEntry, LoggedBoost

_encoder = msgspec.json.Encoder()
_NONE = Raw(b"null")


class FoundAward(Struct, frozen=True):
    """An award of a user's history, with its id (16 bytes) and when it was made."""

    id: bytes
    at_ms: int
    entry: AwardEntry


class PointsRenderer:
    """Renders points under one version of the catalog; what depends on that alone is encoded once, when needed."""

    def __init__(self, compiled: CompiledCatalog) -> None:
        self._compiled = compiled
        catalog = compiled.catalog
        self._metrics = {metric.key: metric for metric in catalog.metrics}
        self._achievements = {achievement.key: achievement for achievement in catalog.achievements}
        self._systems: dict[int, bytes] = {}
        self._triggers: dict[tuple[int, int], bytes] = {}
        self._definitions = {(s.number, t.number): t for s in catalog.points_systems for t in s.triggers}
        self._boosts = {(s.number, b.number): b for s in catalog.points_systems for b in s.boosts}

    def given(self, awards: Iterable[Award], entry_id: bytes, at_ms: int) -> dict[str, Raw]:
        """`EventPoints` by the key of the system, of all awards that were made at once."""
        by_system: dict[str, list[tuple[int, Award]]] = {}
        for position, award in enumerate(awards):
            by_system.setdefault(award.system.key, []).append((position, award))
        return {key: self._event_points(group, entry_id, at_ms) for key, group in by_system.items()}

    def _event_points(self, awards: list[tuple[int, Award]], entry_id: bytes, at_ms: int) -> Raw:
        """One system's `EventPoints`: newest award first."""
        first, last = awards[0][1], awards[-1][1]
        at = format_instant(at_ms).encode()
        objects = b",".join(
            b'{"id":"%b","awarded":%d,"date":"%b","total":%d,"trigger":%b,"boosts":%b}'
            % (
                format_id(award_id(entry_id, position)).encode(),
                award.awarded,
                at,
                award.total,
                self._trigger(award.system.number, award.trigger),
                _award_boosts(award.boosts) if award.boosts else b"[]",
            )
            for position, award in reversed(awards)
        )
        before = first.total - first.awarded
        return Raw(
            b'%b,"total":%d,"added":%d,"awards":[%b]%b}'
            % (self._system(first.system), last.total, last.total - before, objects, self._level_change(last, before))
        )

    def _level_change(self, last: Award, before: int) -> bytes:
        """The level, if it is another one than before (reference: Points 21)."""
        system = self._compiled.systems_by_number[last.system.number]
        if not system.levels:
            return b""
        level = system.find_level(last.total)
        return b"" if level is system.find_level(before) else b',"level":%b' % bytes(self._level(level))

    def of_user(self, user: User, system: CompiledSystem, awards: Sequence[FoundAward], today: int) -> UserPoints:
        """`GetUserPoints` with these awards, newest first."""
        definition = system.definition
        total = user.points.get(definition.number, 0)
        return UserPoints(
            id=definition.id,
            key=definition.key,
            name=definition.name,
            description=definition.description,
            badge_url=definition.badge_url,
            max_points=definition.max_points,
            total=total,
            level=self._level(system.find_level(total)),
            awards=[self._award(found, today) for found in awards],
        )

    def _award(self, found: FoundAward, today: int) -> AwardResponse:
        entry = found.entry
        return AwardResponse(
            id=format_id(found.id),
            awarded=entry.awarded,
            date=format_instant(found.at_ms),
            total=entry.total,
            trigger=Raw(self._trigger(entry.system, self._definitions[entry.system, entry.trigger])),
            boosts=[
                Raw(_encoder.encode(render_boost(self._find_boost(entry.system, boost), today)))
                for boost in entry.boosts
            ],
        )

    def _find_boost(self, system: int, boost: int | LoggedBoost) -> PointsBoost | LoggedBoost:
        return self._boosts[system, boost] if isinstance(boost, int) else boost

    def system(self, system: CompiledSystem) -> PointsSystemResponse:
        """`PointsSystem` with its active triggers (Q-60)."""
        definition = system.definition
        return PointsSystemResponse(
            id=definition.id,
            key=definition.key,
            name=definition.name,
            description=definition.description,
            badge_url=definition.badge_url,
            max_points=definition.max_points,
            triggers=[
                Raw(self._trigger(definition.number, trigger))
                for trigger in definition.triggers
                if trigger.status == "active" and not trigger.archived
            ],
        )

    def _level(self, level: PointsLevel | None) -> Raw:
        return _NONE if level is None else Raw(_encoder.encode(render_level(level)))

    def _system(self, system: PointsSystem) -> bytes:
        """A system's object without its closing brace."""
        fragment = self._systems.get(system.number)
        if fragment is None:
            base = PointsBase(
                system.id, system.key, system.name, system.description, system.badge_url, system.max_points
            )
            fragment = self._systems[system.number] = _encoder.encode(base)[:-1]
        return fragment

    def _trigger(self, system: int, trigger: PointsTrigger) -> bytes:
        fragment = self._triggers.get((system, trigger.number))
        if fragment is None:
            fragment = self._triggers[system, trigger.number] = _encoder.encode(self._render_trigger(trigger))
        return fragment

    def _render_trigger(self, trigger: PointsTrigger) -> TriggerResponse:
        is_metric = trigger.type == "metric"
        metric = self._metrics.get(trigger.metric or "") if is_metric else None
        achievement = self._achievements.get(trigger.achievement or "") if trigger.type == "achievement" else None
        filtered = key_values(trigger.event_attributes)
        return TriggerResponse(
            id=trigger.id,
            type=trigger.type,
            points=trigger.points,
            status="archived" if trigger.archived else trigger.status,
            user_attributes=key_values(trigger.user_attributes),
            created=format_instant(trigger.created_ms),
            updated=format_instant(trigger.updated_ms),
            metric_id=UNSET if metric is None else metric.id,
            metric_name=UNSET if metric is None else metric.name,
            metric_threshold=UNSET if trigger.metric_threshold is None else trigger.metric_threshold,
            event_attributes=filtered if is_metric else UNSET,
            event_attribute=filtered[0] if filtered else UNSET,
            achievement_id=UNSET if achievement is None else achievement.id,
            achievement_name=UNSET if achievement is None else achievement.name,
            streak_length_threshold=UNSET if trigger.streak_length is None else trigger.streak_length,
            time_unit=UNSET if trigger.time_unit is None else "hour" if trigger.time_unit == "hours" else "day",
            time_interval=UNSET if trigger.time_interval is None else trigger.time_interval,
        )


def _award_boosts(boosts: tuple[Boost, ...]) -> bytes:
    """Boosts that have just applied, so they are active."""
    return _encoder.encode([render_boost(boost, boost.start_day) for boost in boosts])


def render_level(level: PointsLevel) -> LevelResponse:
    """`PointsLevel`."""
    return LevelResponse(level.id, level.key, level.name, level.description, level.badge_url, level.points)


def render_boost(boost: PointsBoost | UserBoost | LoggedBoost, today: int) -> BoostResponse:
    """`PointsBoost` as it stands on a day."""
    return BoostResponse(
        id=boost.id if isinstance(boost, PointsBoost) else format_id(boost.id),
        name=boost.name,
        status=_status(boost, today),
        start=format_day(boost.start_day),
        end=None if boost.end_day is None else format_day(boost.end_day),
        multiplier=raw_amount(to_amount(boost.multiplier) if isinstance(boost, PointsBoost) else boost.multiplier),
        rounding=boost.rounding,
    )


def render_system_boosts(system: CompiledSystem, today: int, *, include_finished: bool) -> list[BoostResponse]:
    """The boosts for all users, in order of creation (reference: Points 18)."""
    boosts = (render_boost(boost, today) for boost in system.definition.boosts if not boost.archived)
    return [boost for boost in boosts if include_finished or boost.status != "finished"]


def render_user_boosts(user: User, system: CompiledSystem, today: int) -> list[BoostResponse]:
    """Everything that multiplies what a user earns on a day of theirs."""
    return [render_boost(boost, today) for boost, _ in active_boosts(user, system, today)]


def render_admin_boost(command: CreateBoost, today: int) -> AdminPointsBoost:
    """`AdminPointsBoost` of one user."""
    return AdminPointsBoost(
        id=format_id(command.boost_id),
        name=command.name,
        status=_status(command, today),
        start=format_day(command.start_day),
        end=None if command.end_day is None else format_day(command.end_day),
        multiplier=raw_amount(command.multiplier),
        rounding=command.rounding,
        user_id=command.user_id,
    )


def count_levels(system: CompiledSystem, counters: Mapping[Counter, int]) -> LevelCountsPart:
    """How many users are at each level, by ascending points (reference: Points 23, 24)."""
    number = system.definition.number
    return LevelCountsPart(
        [
            CountedLevel(
                id=level.id,
                users=counters.get(("levels", number * LEVELS + level.number), 0),
                body=Raw(_encoder.encode(render_level(level))),
            )
            for level in system.levels
        ]
    )


def count_points(system: CompiledSystem, counters: Mapping[Counter, int]) -> PointCountsPart:
    """How users are spread over the totals of a system."""
    number = system.definition.number
    return PointCountsPart(
        users=counters.get(("users", 0), 0),
        buckets={
            bucket % BUCKETS: users
            for (name, bucket), users in counters.items()
            if name == "points" and bucket // BUCKETS == number
        },
    )


def _status(boost: PointsBoost | UserBoost | LoggedBoost | CreateBoost, today: int) -> BoostStatus:
    if isinstance(boost, PointsBoost) and boost.archived:
        return "finished"
    if today < boost.start_day:
        return "scheduled"
    return "finished" if boost.end_day is not None and boost.end_day < today else "active"
