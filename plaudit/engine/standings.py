"""How users stand on leaderboards: a value in each run, and when it was reached (reference: Leaderboards 1-3, 7; Q-52).

The shard of the user keeps it, because it is what the user did; who is ahead of whom is for the leaderboard's shard.
"""

from collections.abc import Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from plaudit.engine import calendars
from plaudit.engine.achievements import streak_length
from plaudit.engine.catalog import Leaderboard
from plaudit.engine.compiled import CompiledBoard, CompiledCatalog
from plaudit.engine.filters import matches
from plaudit.engine.runs import Run, is_ranked
from plaudit.engine.streak_history import PERIODS_MAX, view_history
from plaudit.engine.streaks import streak_of
from plaudit.engine.timezones import local_day, local_seconds
from plaudit.engine.user import Standing, User


class Activity(Struct, frozen=True, gc=False):
    """Something that happened at an instant, on a day of the user's: what a metric and points changed by."""

    at_ms: int
    day: int
    number: int
    """Of the command, in the user's shard."""
    metric: int = 0
    """Its number; 0 if no metric changed."""
    change: int = 0
    """An amount."""
    points: tuple[tuple[int, int], ...] = ()
    """What was awarded, by the number of the system."""


class BoardScore(Struct, frozen=True, gc=False):
    """What has to be said of a user in one run of a board. Without a value, they are not on it."""

    board: CompiledBoard
    run: int
    group: tuple[str, ...]
    value: int | None
    at_ms: int
    number: int


class Fed(Struct, frozen=True, gc=False):
    """A board that an event feeds."""

    board: CompiledBoard
    run: Run
    """The one for which it counts."""
    group: tuple[str, ...]
    """The user's."""


def update_standings(
    user: User, activities: Iterable[Activity], catalog: CompiledCatalog, at_ms: int, number: int, day_before: int
) -> User:
    """The user as they stand after these activities, in their order, and command `number` at `at_ms`.

    `day_before` is the day that they were in until then. The same object if nothing is different. O(boards that the
    activities feed), and those of streaks.
    """
    boards = catalog.boards
    if not boards.by_number:
        return user
    standings = user.standings
    for activity in activities:
        for board in boards.by_metric.get(activity.metric, ()):
            if user.filled >= board.definition.filling:
                standings = add_activity(standings, board, activity, activity.change, user.profile.tz)
        for system, awarded in activity.points:
            for board in boards.by_system.get(system, ()):
                if user.filled >= board.definition.filling:
                    standings = add_activity(standings, board, activity, awarded, user.profile.tz)
    for board in boards.streaks:
        if user.filled >= board.definition.filling:
            length = _streak_on(board.definition, user, catalog, day_before)
            if length is not None:
                standings = _set_streak(standings, board.definition, length, at_ms, number)
    if standings is user.standings:
        return user
    if not standings.keys() <= boards.by_number.keys():
        standings = {number: kept for number, kept in standings.items() if number in boards.by_number}
    return replace(user, standings=standings)


def add_activity(
    standings: dict[int, tuple[Standing, ...]],
    board: CompiledBoard,
    activity: Activity,
    change: int,
    tz: str | None,
) -> dict[int, tuple[Standing, ...]]:
    """The standings after an activity that has changed what a board ranks by."""
    definition = board.definition
    if not change or (found := board.run_on(activity.day)) is None:
        return standings
    if not _is_in_window(definition, activity.at_ms, tz):
        return standings
    run, kept = found.first_day, standings.get(definition.number, ())
    if kept and kept[-1].run == run:
        latest = (*kept[:-1], _add(kept[-1], run, change, activity))
    else:
        old = next((each for each in kept if each.run == run), None)
        others = [each for each in kept if each.run != run]
        in_order = sorted([*others, _add(old, run, change, activity)], key=lambda each: each.run)
        latest = tuple(in_order[-board.kept :])
    return {**standings, definition.number: latest}


def _add(old: Standing | None, run: int, change: int, activity: Activity) -> Standing:
    return Standing(run, change if old is None else old.value + change, activity.at_ms, activity.number)


def stand_anew(
    user: User, boards: Iterable[CompiledBoard], activities: Iterable[Activity], catalog: CompiledCatalog
) -> dict[int, tuple[Standing, ...]]:
    """How a user stands on boards that have just become active, by all that they have ever done, oldest first."""
    boards = list(boards)
    standings = {b.definition.number: _begin_with_streak(b, user, catalog) for b in boards}
    by_source: dict[tuple[str, int], list[CompiledBoard]] = {}
    for board in boards:
        by_source.setdefault((board.definition.rank_by, board.source), []).append(board)
    for activity in activities:
        changes = [("metric", activity.metric, activity.change)]
        changes += [("points", system, awarded) for system, awarded in activity.points]
        for kind, source, change in changes:
            for board in by_source.get((kind, source), ()):
                run = board.run_on(activity.day)
                if run is not None and is_ranked(board.definition, run):
                    standings = add_activity(standings, board, activity, change, user.profile.tz)
    return {number: kept for number, kept in standings.items() if kept}


def _begin_with_streak(board: CompiledBoard, user: User, catalog: CompiledCatalog) -> tuple[Standing, ...]:
    if board.definition.rank_by != "streak":
        return ()
    end_day = board.definition.end_day
    length = _streak_on(board.definition, user, catalog, user.day if end_day is None else end_day)
    if not length:
        return ()
    extended_ms = streak_of(user.streaks, catalog.streaks.settings.frequency).extended_ms
    return (Standing(board.definition.start_day, length, extended_ms, 0),)


def _streak_on(board: Leaderboard, user: User, catalog: CompiledCatalog, day_before: int) -> int | None:
    """The length of the streak that counts: that of now, but no later than at the end of the board's last day.

    None if that has been seen to.
    """
    end_day = board.end_day
    if end_day is None or user.day <= end_day:
        return streak_length(user, catalog)
    if day_before > end_day:
        return None
    frequency = catalog.streaks.settings.frequency
    periods = calendars.period_of(user.day, frequency) - calendars.period_of(end_day, frequency) + 2
    if periods > PERIODS_MAX:
        return 0
    before, last, *_ = view_history(user, catalog, periods)
    length = last.length - _was_extended_after(end_day, user, catalog)
    return length or before.length  # one that has not been extended on its last day is lost with the day


def _was_extended_after(day: int, user: User, catalog: CompiledCatalog) -> bool:
    """True if the user's current period is that of a day, and has been counted later than on it."""
    frequency = catalog.streaks.settings.frequency
    streak = streak_of(user.streaks, frequency)
    is_current = calendars.period_of(user.day, frequency) == calendars.period_of(day, frequency)
    return is_current and streak.counted and local_day(streak.extended_ms, user.profile.tz) > day


def _set_streak(
    standings: dict[int, tuple[Standing, ...]], board: Leaderboard, length: int, at_ms: int, number: int
) -> dict[int, tuple[Standing, ...]]:
    kept = standings.get(board.number, ())
    if length == (kept[-1].value if kept else 0):
        return standings
    return {**standings, board.number: (Standing(board.start_day, length, at_ms, number),)}


def _is_in_window(board: Leaderboard, at_ms: int, tz: str | None) -> bool:
    """True if an instant is in the hours of the day that count. They may go over midnight."""
    start, end = board.start_time_s, board.end_time_s
    if start is None and end is None:
        return True
    second = local_seconds(at_ms, tz)
    begins, ends = start or 0, 86_400 if end is None else end
    return begins <= second < ends if begins < ends else second >= begins or second < ends


def find_group(user: User, board: Leaderboard) -> tuple[str, ...] | None:
    """The values by which a board is broken down; None if the user lacks one, or the board is not for them."""
    attributes = user.profile.attributes
    if not matches(attributes, board.user_attributes):
        return None
    if not board.breakdown_attributes:
        return ()
    values = tuple(attributes.get(key) for key in board.breakdown_attributes)
    return None if None in values else tuple(value for value in values if value is not None)


def changed_scores(before: User | None, after: User, catalog: CompiledCatalog) -> Iterator[BoardScore]:
    """What a command has changed of what leaderboards know of the user. O(boards that the user is on)."""
    is_same_profile = before is not None and before.profile is after.profile
    old_standings = {} if before is None else before.standings
    if is_same_profile and old_standings is after.standings:
        return
    for number, standings in after.standings.items():
        board = catalog.boards.by_number.get(number)
        if board is None or board.definition.filling > after.filled:
            continue
        known = old_standings.get(number, ())
        if known is standings and is_same_profile:
            continue
        for standing in standings:
            if standing not in known or not is_same_profile:
                yield score_of(after, board, standing)


def all_scores(user: User, catalog: CompiledCatalog) -> Iterator[BoardScore]:
    """Everything that leaderboards have to know of a user."""
    for number, standings in user.standings.items():
        board = catalog.boards.by_number.get(number)
        if board is not None and board.definition.filling <= user.filled:
            for standing in standings:
                yield score_of(user, board, standing)


def score_of(user: User, board: CompiledBoard, standing: Standing) -> BoardScore:
    """A standing as leaderboards have to know it (Q-46)."""
    group = find_group(user, board.definition)
    value = standing.value if standing.value > 0 and group is not None else None
    return BoardScore(board, standing.run, group or (), value, standing.at_ms, standing.number)


def fed_boards(
    user: User, metric: int, systems: Iterable[int], catalog: CompiledCatalog, at_ms: int, *, is_extended: bool
) -> Iterator[Fed]:
    """The boards that an event has to say something of: those that it feeds, and that are for the user (Q-55)."""
    boards = catalog.boards
    fed = [*boards.by_metric.get(metric, ())]
    for system in systems:
        fed += boards.by_system.get(system, ())
    if is_extended:
        fed += boards.streaks
    for board in fed:
        definition = board.definition
        if (
            user.filled >= definition.filling
            and (run := board.run_on(user.day)) is not None
            and _is_in_window(definition, at_ms, user.profile.tz)
            and (group := find_group(user, definition)) is not None
        ):
            yield Fed(board, run, group)
