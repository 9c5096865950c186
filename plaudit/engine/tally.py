"""What a shard counts of its users, so that nobody has to be asked (reference: Achievements 10; Points 23, 26).

Points are counted in buckets that are exact for every summary: a summary has ten equal ranges up to a power of ten, so
each of its bounds is one of 1 to 10 times a power of ten.
"""

from collections.abc import Mapping
from itertools import chain

from msgspec import Struct

from plaudit.engine.user import User

Counter = tuple[str, int]
"""("users", 0), ("completions", achievement), ("points", bucket of a system) or ("levels", level of a system)."""

RANGES = 10
BUCKETS = 1024
"""Room for each system's."""
LEVELS = 1 << 20


class PointsRange(Struct, frozen=True):
    """Totals from one to another, both included, and how many users have such a one."""

    first: int
    last: int
    users: int


def tally(before: User | None, after: User | None) -> dict[Counter, int]:
    """What each counter changes by when one state takes the place of another; None: there is no user. Mostly empty."""
    if before is not None and after is not None:
        return _differences(before, after)
    changes: dict[Counter, int] = {}
    for user, sign in ((before, -1), (after, 1)):
        if user is not None:
            changes |= dict.fromkeys(_counters(user), sign)
    return changes


def _differences(before: User, after: User) -> dict[Counter, int]:
    """O(what has changed): containers are replaced, never changed, so what is the same object is the same."""
    changes: dict[Counter, int] = {}
    if before.completions is not after.completions:
        gone, new = (
            before.completions.keys() - after.completions.keys(),
            after.completions.keys() - before.completions.keys(),
        )
        changes |= {("completions", number): -1 for number in gone} | {("completions", number): 1 for number in new}
    if before.points is not after.points:
        for system in before.points.keys() | after.points.keys():
            old, now = before.points.get(system, 0), after.points.get(system, 0)
            _move(changes, _points_counter(system, old), _points_counter(system, now))
    if before.levels is not after.levels:
        for system in before.levels.keys() | after.levels.keys():
            _move(changes, _level_counter(before, system), _level_counter(after, system))
    return changes


def _move(changes: dict[Counter, int], old: Counter | None, new: Counter | None) -> None:
    if old != new:
        if old is not None:
            changes[old] = -1
        if new is not None:
            changes[new] = 1


def _points_counter(system: int, total: int) -> Counter | None:
    return ("points", bucket_of(system, total)) if total > 0 else None


def _level_counter(user: User, system: int) -> Counter | None:
    level = user.levels.get(system)
    return None if level is None else ("levels", system * LEVELS + level)


def add_up(counters: dict[Counter, int], changes: Mapping[Counter, int]) -> None:
    """Add changes to counters, in place; those that come to nothing go."""
    for counter, change in changes.items():
        value = counters.get(counter, 0) + change
        if value:
            counters[counter] = value
        else:
            counters.pop(counter, None)


def _counters(user: User) -> chain[Counter]:
    return chain(
        (("users", 0),),
        (("completions", number) for number in user.completions),
        (("points", bucket_of(system, total)) for system, total in user.points.items() if total > 0),
        (("levels", system * LEVELS + level) for system, level in user.levels.items()),
    )


def bucket_of(system: int, total: int) -> int:
    """The counter's number for users with a positive total in a system (by number)."""
    power, unit = 0, 1
    while total > RANGES * unit:
        power, unit = power + 1, unit * RANGES
    return system * BUCKETS + power * (RANGES + 1) + -(-total // unit)


def spread(counters: Mapping[Counter, int], system: int) -> list[PointsRange]:
    """The summary of a system's points: those without any, then ten ranges up to a power of ten (Q-38)."""
    buckets: dict[tuple[int, int], int] = {}
    for (name, number), users in counters.items():
        if name == "points" and number // BUCKETS == system and users:
            buckets[divmod(number % BUCKETS, RANGES + 1)] = users
    power = max((power for power, _ in buckets), default=0)
    ranges = [0] * (RANGES + 1)
    for (of, digit), users in buckets.items():
        ranges[digit if of == power else 1] += users
    ranges[0] = counters.get(("users", 0), 0) - sum(ranges)
    unit = RANGES**power
    return [PointsRange((n - 1) * unit + 1 if n else 0, n * unit, users) for n, users in enumerate(ranges)]
