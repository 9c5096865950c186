"""Completes achievements: the moment something that they wait for has changed (reference: Achievements 3-8, 14).

After every command each active achievement whose conditions a user meets is completed; so an event looks only at what
it has changed.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from plaudit.engine.anniversaries import anniversary_day
from plaudit.engine.catalog import Achievement
from plaudit.engine.compiled import CompiledAchievement, CompiledAchievements, CompiledCatalog
from plaudit.engine.deed import Deed
from plaudit.engine.filters import matches
from plaudit.engine.preferences import has_streaks
from plaudit.engine.streaks import streak_of
from plaudit.engine.user import User


def complete_achievements(
    user: User, deed: Deed, catalog: CompiledCatalog, now_ms: int
) -> tuple[User, tuple[Achievement, ...]]:
    """The user with everything completed that a deed was enough for, and what was new (reference: Q-39).

    First those of metrics, by value, then those of the streak, then the others; composites last.
    """
    found: list[Achievement] = []
    metric = deed.metric
    if metric is not None:
        found += metric.ladder.passed(deed.before, deed.after)
        for matcher, before, after in deed.matched:
            found += matcher.ladder.passed(before, after)
    achievements = catalog.achievements
    if deed.streak_length:
        found += achievements.streaks.reached(deed.streak_length)
    if deed.has_changed_profile:
        found += (a.definition for a in achievements.conditional if is_met(user, a, catalog))
        found += reached_anniversaries(user, achievements, user.day)
    if deed.asked_for is not None:
        found.append(deed.asked_for)
    return _complete(user, found, achievements, now_ms) if found else (user, ())


def reached_anniversaries(user: User, achievements: CompiledAchievements, today: int) -> list[Achievement]:
    """Those for the years that have passed since the user signed up, by a day (reference: Achievements 7)."""
    day, ladder = user.profile.sign_up_day, achievements.anniversaries
    if day is None:
        return []
    return [
        achievement
        for years, achievement in zip(ladder.thresholds, ladder.achievements, strict=True)
        if anniversary_day(day, years) <= today
    ]


def complete(
    user: User, found: Iterable[Achievement], catalog: CompiledCatalog, at_ms: int
) -> tuple[User, tuple[Achievement, ...]]:
    """The user with those of these completed whose filters match, and what that completes; and what was new."""
    return _complete(user, found, catalog.achievements, at_ms)


def _complete(
    user: User, found: Iterable[Achievement], achievements: CompiledAchievements, at_ms: int
) -> tuple[User, tuple[Achievement, ...]]:
    completions = user.completions
    attributes = user.profile.attributes
    new: dict[int, Achievement] = {}
    for achievement in found:
        if achievement.number not in completions and matches(attributes, achievement.user_attributes):
            new[achievement.number] = achievement
    if not new:
        return user, ()
    completed = completions | dict.fromkeys(new, at_ms)
    waiting = list(new)
    while waiting:
        for composite in achievements.dependents.get(waiting.pop(0), ()):
            achievement = composite.definition
            number = achievement.number
            if (
                number not in completed
                and composite.prerequisites <= completed.keys()
                and matches(attributes, achievement.user_attributes)
            ):
                completed[number] = at_ms
                new[number] = achievement
                waiting.append(number)
    return replace(user, completions=completed), tuple(new.values())


def is_met(user: User, achievement: CompiledAchievement, catalog: CompiledCatalog) -> bool:
    """True if what an achievement waits for has happened, filters of the user's attributes aside."""
    definition = achievement.definition
    if definition.trigger == "metric":
        totals = user.matched if definition.event_attributes else user.totals
        return achievement.source in totals and totals[achievement.source] >= achievement.threshold
    if definition.trigger == "streak":
        return streak_length(user, catalog) >= achievement.threshold
    if definition.trigger == "anniversary":
        day = user.profile.sign_up_day
        return day is not None and anniversary_day(day, achievement.threshold) <= user.day
    return definition.trigger == "achievement" and achievement.prerequisites <= user.completions.keys()


def streak_length(user: User, catalog: CompiledCatalog) -> int:
    """How long the streak is that the user sees."""
    return streak_of(user.streaks, catalog.streaks.settings.frequency).length if has_streaks(user) else 0
