"""What a changed catalog gives to those who were there before it (reference: Achievements 9; Q-40).

Silently: no points, and no event has done it. It is done before anything else happens to the user, whether somebody
asks for it or not, so it is the same whenever that is.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from plaudit.engine.achievements import complete, reached_anniversaries, streak_length
from plaudit.engine.amounts import unpack_amount
from plaudit.engine.catalog import Achievement
from plaudit.engine.commands import Backdate
from plaudit.engine.compiled import CompiledBoard, CompiledCatalog
from plaudit.engine.points import set_levels
from plaudit.engine.snapshot import unpack_standings
from plaudit.engine.timezones import local_day
from plaudit.engine.user import Standing, User


def catch_up(user: User, catalog: CompiledCatalog) -> User:
    """The user with every active achievement completed whose conditions are met, and at the levels that there are now.

    The same object if that has been done for this catalog. O(what the user has reached).
    """
    version = catalog.catalog
    if user.filled != version.filling and not needs_history(user, catalog):
        user = replace(user, filled=version.filling, standings=_current_standings(user, catalog))
    if user.caught_up == version.backdating:
        return user
    user, _ = complete(user, _find_deserved(user, catalog), catalog, version.backdating_ms)
    return replace(set_levels(user, catalog), caught_up=version.backdating)


def is_owed(user: User, catalog: CompiledCatalog) -> bool:
    """True if a changed catalog gives the user something that they do not have yet; or may, after a look at history."""
    if user.caught_up == catalog.catalog.backdating and user.filled == catalog.catalog.filling:
        return False
    caught_up = catch_up(user, catalog)
    return (
        needs_history(user, catalog)
        or caught_up.completions is not user.completions
        or caught_up.levels is not user.levels
    )


def needs_history(user: User, catalog: CompiledCatalog) -> bool:
    """True if the user may have done something before there was an accumulator, or a leaderboard, for it."""
    if user.filled >= catalog.catalog.filling:
        return False
    return not catalog.accumulated.isdisjoint(user.totals) or any(True for _ in boards_to_fill(user, catalog))


def boards_to_fill(user: User, catalog: CompiledCatalog) -> Iterator[CompiledBoard]:
    """The leaderboards that became active after the user may have done something that counts for them."""
    if user.filled >= catalog.boards.filling:
        return
    for board in catalog.boards.by_number.values():
        if user.filled < board.definition.filling:
            if board.definition.rank_by == "streak":
                has_source = streak_length(user, catalog) > 0
            else:
                has_source = board.source in (user.totals if board.definition.rank_by == "metric" else user.points)
            if has_source:
                yield board


def backdate(user: User, command: Backdate, catalog: CompiledCatalog) -> User:
    """The user with what a look at their history has found, and what that completes."""
    user = catch_up(user, catalog)
    if user.filled >= command.filling:
        return user
    sums = {number: unpack_amount(amount) for number, amount in command.sums.items()}
    standings = _current_standings(user, catalog)
    if command.standings:
        standings = standings | unpack_standings(command.standings)
    user = replace(user, matched=sums, filled=command.filling, standings=standings)
    found = [
        achievement
        for number, total in sums.items()
        if number in catalog.matchers
        for achievement in catalog.matchers[number].ladder.reached(total)
    ]
    user, _ = complete(user, found, catalog, catalog.catalog.backdating_ms)
    return user


def _current_standings(user: User, catalog: CompiledCatalog) -> dict[int, tuple[Standing, ...]]:
    """Without those of boards that count anew since: what is left of them is of another time."""
    boards = catalog.boards.by_number
    if all(n in boards and boards[n].definition.filling <= user.filled for n in user.standings):
        return user.standings
    return {
        number: standings
        for number, standings in user.standings.items()
        if number in boards and boards[number].definition.filling <= user.filled
    }


def _find_deserved(user: User, catalog: CompiledCatalog) -> Iterator[Achievement]:
    """Everything that the user's state is enough for: filters, and what is completed already, aside."""
    achievements = catalog.achievements
    for metric in catalog.metrics.values():
        total = user.totals.get(metric.definition.number)
        if total is not None:
            yield from metric.ladder.reached(total)
    for number, total in user.matched.items():
        if number in catalog.matchers:
            yield from catalog.matchers[number].ladder.reached(total)
    yield from achievements.streaks.reached(streak_length(user, catalog))
    today = max(local_day(catalog.catalog.backdating_ms, user.profile.tz), user.day)
    yield from reached_anniversaries(user, achievements, today)
    for composite in achievements.composites:
        if composite.prerequisites <= user.completions.keys():
            yield composite.definition
