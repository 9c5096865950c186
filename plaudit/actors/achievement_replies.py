"""Achievements as callers see them."""

from collections.abc import Iterable, Mapping

import msgspec
from msgspec import UNSET, Raw

from plaudit.actors.formats import format_instant, raw_amount
from plaudit.actors.wire import (
    AchievementBase,
    AchievementPart,
    AchievementStatsPart,
    CountedAchievement,
    KeyValue,
    UserAchievementsPart,
)
from plaudit.engine.catalog import Achievement, Filter
from plaudit.engine.compiled import CompiledCatalog, CompiledMetric
from plaudit.engine.compiling import metric_value_amount
from plaudit.engine.filters import matches
from plaudit.engine.tally import Counter
from plaudit.engine.user import User

_encoder = msgspec.json.Encoder()


def key_values(wanted: Filter) -> list[KeyValue]:
    """A filter on the wire."""
    return [KeyValue(part.key, part.value) for part in wanted]


class AchievementRenderer:
    """Renders achievements under one version of the catalog; each is encoded once, when it is first needed."""

    def __init__(self, compiled: CompiledCatalog) -> None:
        self._compiled = compiled
        self._metrics = {metric.key: metric for metric in compiled.catalog.metrics}
        self._ids = {achievement.key: achievement.id for achievement in compiled.catalog.achievements}
        self._fragments: dict[int, bytes] = {}

    def achieved(self, achievement: Achievement, at_ms: int | None) -> Raw:
        """A `UserAchievement`; None: not completed."""
        at = "null" if at_ms is None else f'"{format_instant(at_ms)}"'
        return Raw(b'%b,"achievedAt":%b}' % (self._fragment(achievement), at.encode()))

    def all_achieved(self, achievements: Iterable[Achievement], at_ms: int) -> list[Raw]:
        """The same for all that were completed at an instant."""
        return [self.achieved(achievement, at_ms) for achievement in achievements]

    def of_metric(self, metric: CompiledMetric, user: User) -> list[Raw]:
        """A metric's achievements: active ones that are for the user, and all that they have (Q-66)."""
        return [
            self.achieved(achievement, user.completions.get(achievement.number))
            for achievement in metric.shown
            if achievement.number in user.completions or _is_for(user, achievement)
        ]

    def of_user(self, user: User, *, include_incomplete: bool) -> UserAchievementsPart:
        """What the user has completed, or also what there is for them to complete (reference: Achievements 2, 12)."""
        return UserAchievementsPart(
            [
                AchievementPart(a.id, self.achieved(a, user.completions.get(a.number)))
                for a in self._compiled.achievements.by_key.values()
                if a.number in user.completions or (include_incomplete and _is_for(user, a))
            ]
        )

    def counted(self, counters: Mapping[Counter, int], attributes: tuple[tuple[str, str], ...]) -> AchievementStatsPart:
        """All achievements; listed are active ones, with attributes those that such users can complete."""
        known = dict(attributes)
        return AchievementStatsPart(
            users=counters.get(("users", 0), 0),
            achievements=[
                CountedAchievement(
                    id=a.id,
                    completions=counters.get(("completions", a.number), 0),
                    listed=a.status == "active" and (not attributes or matches(known, a.user_attributes)),
                    body=Raw(self._fragment(a) + b"}"),
                )
                for a in self._compiled.achievements.by_key.values()
            ],
        )

    def _fragment(self, achievement: Achievement) -> bytes:
        """The achievement's object without its closing brace."""
        fragment = self._fragments.get(achievement.number)
        if fragment is None:
            fragment = self._fragments[achievement.number] = self._encode(achievement)
        return fragment

    def _encode(self, achievement: Achievement) -> bytes:
        is_metric = achievement.trigger == "metric"
        metric = self._metrics.get(achievement.metric or "") if is_metric else None
        filtered = key_values(achievement.event_attributes)
        response = AchievementBase(
            id=achievement.id,
            key=achievement.key,
            name=achievement.name,
            trigger=achievement.trigger,
            description=achievement.description,
            badge_url=achievement.badge_url,
            user_attributes=key_values(achievement.user_attributes),
            metric_id=UNSET if metric is None else metric.id,
            metric_value=raw_amount(metric_value_amount(achievement)) if is_metric else UNSET,
            metric_name=UNSET if metric is None else metric.name,
            event_attributes=filtered if is_metric else UNSET,
            event_attribute=filtered[0] if filtered else UNSET,
            streak_length=_given(achievement.streak_length),
            anniversary_years=_given(achievement.anniversary_years),
            achievement_ids=(
                [self._ids[key] for key in achievement.achievements] if achievement.trigger == "achievement" else UNSET
            ),
        )
        return _encoder.encode(response)[:-1]


def _is_for(user: User, achievement: Achievement) -> bool:
    """True for what the user can complete."""
    return achievement.status == "active" and matches(user.profile.attributes, achievement.user_attributes)


def _given(value: int | None) -> int | msgspec.UnsetType:
    return UNSET if value is None else value
