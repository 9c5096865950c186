"""Completes achievements: the moment something that they wait for has changed (reference: Achievements 3-8, 14).

After every command each active achievement whose conditions a user meets is completed; so an event looks only at what
it has changed.
"""

from collections import deque
from collections.abc import Iterable, Iterator

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
    found += achievements.streaks.passed(deed.seen_before, deed.seen_after)
    if deed.has_changed_profile:
        if not deed.is_new:
            found += _find_newly_for(user, deed.attributes_before, catalog)
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


def notice_streak(
    user: User, seen_before: int, catalog: CompiledCatalog, now_ms: int
) -> tuple[User, tuple[Achievement, ...]]:
    """The user with everything completed for a streak that has become visible, or longer, without an event."""
    found = catalog.achievements.streaks.passed(seen_before, streak_length(user, catalog))
    return _complete(user, found, catalog.achievements, now_ms) if found else (user, ())


def _find_newly_for(user: User, before: dict[str, str], catalog: CompiledCatalog) -> Iterator[Achievement]:
    """Those that have been met, and are for the user since their attributes changed. O(those with a changed one)."""
    conditional = catalog.achievements.conditional
    for part in user.profile.attributes.items():
        if before.get(part[0]) != part[1]:
            for achievement in conditional.get(part, ()):
                if is_met(user, achievement, catalog):
                    yield achievement.definition


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
    waiting, looked_at = deque(new), set[int]()
    missing: dict[int, int] = {}
    while waiting:
        looked_at.add(latest := waiting.popleft())
        for composite in achievements.dependents.get(latest, ()):
            achievement = composite.definition
            number = achievement.number
            if number in missing:
                missing[number] -= 1
            else:
                missing[number] = sum(n not in completions and n not in looked_at for n in composite.prerequisites)
            if not missing[number] and number not in completed and matches(attributes, achievement.user_attributes):
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
