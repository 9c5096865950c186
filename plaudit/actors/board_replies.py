"""Leaderboards as callers see them, but for who is where on them: that is for the leaderboard shards to say."""

from datetime import date
from functools import lru_cache

import msgspec
from msgspec import UNSET, Raw

from plaudit.actors.achievement_replies import key_values
from plaudit.actors.board_messages import Place
from plaudit.actors.formats import format_day, format_instant
from plaudit.actors.messages import Reply
from plaudit.actors.rank_index import pack_seat
from plaudit.actors.wire import KeyValue, LeaderboardBase, LeaderboardPart
from plaudit.engine.catalog import Leaderboard
from plaudit.engine.commands import FindLeaderboard, FindParticipant
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.errors import Invalid, NotFound
from plaudit.engine.runs import BoardStatus, Run, begin_ms, reset_ms, run_on, status_at, utc_day
from plaudit.engine.times import format_time
from plaudit.engine.user import User

_encoder = msgspec.json.Encoder()
_LAST_DAY = date.max.toordinal()


class BoardRenderer:
    """Renders leaderboards under one version of the catalog; what depends on that alone is encoded once, when needed.

    `endsAt` of all answers is when the run that they are about ends in UTC.
    """

    def __init__(self, compiled: CompiledCatalog) -> None:
        self._boards = compiled.boards.by_key
        self._metric_names = {metric.key: metric.name for metric in compiled.catalog.metrics}
        self._system_names = {system.key: system.name for system in compiled.catalog.points_systems}
        self._bases: dict[int, bytes] = {}
        """Objects of boards without their closing braces, by number."""
        self._entries: dict[tuple[int, int], bytes] = {}
        """The same with the dates of a run, by the number of the board and the run's first day."""

    def all(self, now_ms: int, *, include_finished: bool) -> Reply:
        """200: the leaderboards, in order of creation; inactive ones never (reference: Leaderboards 11)."""
        found = []
        for board in (compiled.definition for compiled in self._boards.values()):
            status = status_at(board, now_ms)
            if include_finished or status != "finished":
                found.append(self._object(board, _nearest_run(board, utc_day(now_ms)), status))
        return Reply(200, b"[%b]" % b",".join(found))

    def find(self, command: FindLeaderboard, now_ms: int) -> Reply:
        """200: a leaderboard and one of its runs, for the gateway to ask for the ranking.

        Raises NotFound for no such leaderboard or run (Q-49), Invalid for other groups than it has (Q-50), or for more
        participants than it has places for (Q-48).
        """
        board = self._find(command.key)
        group = _find_groups(board, dict(command.user_attributes))
        if board.max_participants is not None and command.limit > board.max_participants:
            raise Invalid(f"limit: expected at most maxParticipants ({board.max_participants}), got {command.limit}")
        run = _find_run(board, command.day, utc_day(now_ms), now_ms)
        return self._part(board, run, group, None, now_ms)

    def participant(self, command: FindParticipant, user: User, shard: int, member: int, now_ms: int) -> Reply:
        """200: a leaderboard, one of its runs, and the seat of the user: member `member` of this shard.

        Without a seat, a user who is in no group of it. Raises NotFound as `find` does.
        """
        board = self._find(command.key)
        run = _find_run(board, command.day, user.day, now_ms)
        group = [user.profile.attributes.get(key) for key in board.breakdown_attributes]
        seat = None if None in group else pack_seat(shard, member)
        return self._part(board, run, group, seat, now_ms)

    def event_entry(self, board: Leaderboard, run: Run, place: Place, group: tuple[str, ...]) -> bytes:
        """`EventLeaderboard` (reference: Leaderboards 13): a run that goes on, and where the user is in their group."""
        prefix = self._entries.get((board.number, run.first_day))
        if prefix is None:
            prefix = self._entries[board.number, run.first_day] = self._encode_run(board, run)
        rank, previous = place.rank, place.previous
        return b'%b%b,"previousRank":%b,"threshold":%d%b}' % (
            prefix,
            b"null" if rank is None else b"%d" % rank,
            b"null" if previous is None else b"%d" % previous,
            place.threshold,
            _encode_group(board.breakdown_attributes, group) if group else b"",
        )

    def _find(self, key: str) -> Leaderboard:
        board = self._boards.get(key)
        if board is None:
            raise NotFound("Leaderboard not found")
        return board.definition

    def _part(self, board: Leaderboard, run: Run, group: list[str | None], seat: int | None, now_ms: int) -> Reply:
        body = Raw(self._object(board, run, status_at(board, now_ms)))
        has_begun = now_ms >= begin_ms(run.first_day)
        return Reply(200, _encoder.encode(LeaderboardPart(board.number, run.first_day, group, body, has_begun, seat)))

    def _object(self, board: Leaderboard, run: Run, status: BoardStatus) -> bytes:
        """The board as it is configured (Q-51), and how it stands."""
        base = self._bases.get(board.number)
        if base is None:
            base = self._bases[board.number] = self._encode(board, Run(board.start_day, board.end_day))
        return b'%b,"endsAt":%b,"status":"%b"}' % (base, _encoder.encode(_ends_at(run)), status.encode())

    def _encode_run(self, board: Leaderboard, run: Run) -> bytes:
        """The part of an event's entry that comes before the rank."""
        base = self._encode(board, run)
        return b'%b,"endsAt":%b,"status":"active","rank":' % (base, _encoder.encode(_ends_at(run)))

    def _encode(self, board: Leaderboard, days: Run) -> bytes:
        """The board's object with these dates, without its closing brace."""
        broken_down_by = board.breakdown_attributes
        metric, system = board.metric, board.points_system
        base = LeaderboardBase(
            id=board.id,
            name=board.name,
            key=board.key,
            rank_by=board.rank_by,
            breakdown_attribute=broken_down_by[0] if len(broken_down_by) == 1 else None,
            breakdown_attributes=broken_down_by,
            user_attributes=key_values(board.user_attributes),
            description=board.description,
            start=format_day(days.first_day),
            end=None if days.last_day is None else format_day(min(days.last_day, _LAST_DAY)),
            start_time=None if board.start_time_s is None else format_time(board.start_time_s),
            end_time=None if board.end_time_s is None else format_time(board.end_time_s),
            max_participants=board.max_participants,
            run_unit=board.run_unit,
            run_interval=None if board.run_unit is None else board.run_interval,
            metric_key=UNSET if metric is None else metric,
            metric_name=UNSET if metric is None else self._metric_names[metric],
            points_system_key=UNSET if system is None else system,
            points_system_name=UNSET if system is None else self._system_names[system],
        )
        return _encoder.encode(base)[:-1]


def _find_run(board: Leaderboard, day: int | None, default: int, now_ms: int) -> Run:
    """The run of a day; without one, that of `default`, or the first or the last if that is on no day of the board."""
    if day is None:
        return _nearest_run(board, default)
    run = run_on(board, day)
    if run is None or now_ms < begin_ms(run.first_day):
        raise NotFound("Leaderboard has no such run")
    return run


def _nearest_run(board: Leaderboard, day: int) -> Run:
    last = day if board.end_day is None else min(day, board.end_day)
    run = run_on(board, max(last, board.start_day))
    assert run is not None
    return run


def _find_groups(board: Leaderboard, wanted: dict[str, str]) -> list[str | None]:
    """The values that groups must have, in the order of the board's attributes; None: any (Q-50). Raises Invalid."""
    keys = board.breakdown_attributes
    if not keys and wanted:
        raise Invalid("userAttributes: expected none, since this leaderboard is not broken down by attributes")
    if keys and not wanted:
        raise Invalid(f"userAttributes: expected values of {', '.join(keys)}, which the leaderboard is broken down by")
    unknown = next((key for key in wanted if key not in keys), None)
    if unknown is not None:
        raise Invalid(f"userAttributes: expected only {', '.join(keys)}, got {unknown!r}")
    return [wanted.get(key) for key in keys]


def _ends_at(run: Run) -> str | None:
    """When a run ends in UTC; None if it does not, in the years that there are."""
    ends_ms = reset_ms(run)
    return None if ends_ms is None or run.last_day is None or run.last_day >= _LAST_DAY else format_instant(ends_ms)


@lru_cache(maxsize=4096)
def _encode_group(keys: tuple[str, ...], group: tuple[str, ...]) -> bytes:
    """Whom the user is ranked among; the first field is for old SDKs."""
    values = _encoder.encode([KeyValue(key, value) for key, value in zip(keys, group, strict=True)])
    only = b'"breakdownAttributeValue":%b,' % _encoder.encode(group[0]) if len(keys) == 1 else b""
    return b',%b"breakdownAttributeValues":%b' % (only, values)
