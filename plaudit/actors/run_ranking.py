"""The ranking of one run of a leaderboard, in memory (reference: Leaderboards 8-10; Q-44 to Q-47, Q-50)."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, cast

from msgspec import Struct

from plaudit.actors.board_messages import Score
from plaudit.actors.rank_index import (
    RankIndex,
    SortedIndex,
    merge,
    pack,
    pack_seat,
    seat_of,
    unpack_seat,
    value_of,
)
from plaudit.engine.amounts import unpack_amount

Group = tuple[str, ...]
"""Values of the attributes that a board is broken down by, in its order; empty if it is not."""
GroupFilter = tuple[str | None, ...]
"""The same, where None is any value."""

NOT_ON_BOARD = 0
"""The key of a member without a standing: those of standings are below zero."""


class Member(Struct, gc=False):
    """A user, as far as the run is concerned. One who has left stays, so that an older score changes nothing."""

    user_id: str
    name: str | None
    version: int
    key: int
    """`NOT_ON_BOARD`, or the standing that `rank_index.pack` packed."""
    group: Group


class Ranked(NamedTuple):
    """A line of a leaderboard."""

    user_id: str
    name: str | None
    rank: int
    value: int
    """As it is shown."""


class RunRanking:
    """Who is where in one run of a board, within each group and across groups.

    Ranks begin at 1. Values are exact inside, and shown as whole `unit`s, rounded down. Only the first `maximum` of
    what is asked for, a group or several merged, have a rank; all others wait behind them.
    """

    def __init__(self, maximum: int | None, unit: int) -> None:
        self.maximum = maximum
        """How many places there are; None: as many as members. It may be changed."""
        self.unit = unit
        """What values are divided by to be shown."""
        self._shards: dict[int, dict[int, Member]] = {}
        self._groups: dict[Group, Group] = {}
        self._indexes: dict[Group, RankIndex] = {}
        self._ranked = 0
        self.tombstones = 0
        """How many members are known who are not on the board."""

    def __len__(self) -> int:
        """How many members have a standing, with or without a rank."""
        return self._ranked

    def apply(self, shard: int, score: Score) -> bool:
        """Take a score from a user shard; False if it is older than what is known. Twice or late changes nothing.

        O(log n).
        """
        members = self._shards.setdefault(shard, {})
        member = members.get(score.member)
        if member is None:
            member = members[score.member] = Member(score.user_id, None, score.version, NOT_ON_BOARD, ())
            self.tombstones += 1
        elif score.version < member.version:
            return False
        member.version, member.user_id, member.name = score.version, score.user_id, score.name
        if score.value is None:
            self._move(member, NOT_ON_BOARD, ())
        else:
            seat = pack_seat(shard, score.member)
            self._move(member, pack(unpack_amount(score.value), score.at_ms, score.number, seat), score.group)
        return True

    def forget_shard(self, shard: int) -> None:
        """Drop all that is known from a user shard, which is about to say it anew. O(n): 0.4 us a member."""
        members = self._shards.pop(shard, {}).values()
        ranked = sum(1 for member in members if member.key)
        self._ranked -= ranked
        self.tombstones -= len(members) - ranked
        for group in {member.group for member in members if member.key}:
            kept = [key for key in self._indexes[group] if unpack_seat(seat_of(key))[0] != shard]
            self._indexes[group] = SortedIndex.from_keys(kept)
            self._drop_if_empty(group)

    def place(self, seat: int) -> tuple[int | None, int | None]:
        """A member's rank in their own group, and the value as shown; (None, None) if they are on no place of it."""
        member = self._find(seat)
        return (None, None) if member is None else self._placed(self._indexes[member.group].rank(member.key), member)

    def place_in(self, wanted: GroupFilter, seat: int) -> tuple[int | None, int | None]:
        """As `place`, but among all groups that match; (None, None), too, if the member's own does not."""
        member = self._find(seat)
        if member is None or not _matches(member.group, wanted):
            return None, None
        return self._placed(sum(index.count_above(member.key) for index in self._matching(wanted)), member)

    def threshold(self, group: Group) -> int:
        """The least value, as shown, that would get somebody else onto the board (Q-47)."""
        index = self._indexes.get(group)
        if index is None or self.maximum is None or len(index) < self.maximum:
            return 1
        return self.shown(index.at(self.maximum - 1)) + 1

    def read(self, wanted: GroupFilter, offset: int, limit: int, seat: int | None = None) -> list[Ranked]:
        """At most `limit` lines of all groups that match, merged and ranked anew, from `offset` on.

        With a seat, `offset` is relative to that member and may be negative; what would be before the first place does
        not count, and there is nothing if the member has no rank. O(g log^2 n) for g groups, and O(limit).
        """
        start = offset
        if seat is not None:
            rank, _ = self.place_in(wanted, seat)
            if rank is None:
                return []
            start += rank - 1
        start = max(0, start)
        stop = start + limit if self.maximum is None else min(start + limit, self.maximum)
        lines = []
        for rank, key in enumerate(merge(self._matching(wanted), start, stop), start + 1):
            member = _member_of(self._shards, key)
            lines.append(Ranked(member.user_id, member.name, rank, self.shown(key)))
        return lines

    def groups(self) -> list[Group]:
        """The groups that anybody is in."""
        return list(self._indexes)

    def ordered(self, group: Group) -> Iterator[tuple[int, int, Member]]:
        """(rank, key, member) of all who have a rank in a group, when this is called.

        The iteration may go on in another thread, whatever is applied or forgotten meanwhile: ranks and keys stay as
        they were; of the members only `user_id` and `name` mean anything, and the name may be a later one.
        """
        index = self._indexes.get(group)
        keys = [] if index is None else index.slice(0, self.maximum)
        return _with_members(keys, dict(self._shards))

    def shown(self, key: int) -> int:
        """The value in a key as it is shown (Q-44)."""
        return value_of(key) // self.unit

    def _find(self, seat: int) -> Member | None:
        """The member of a seat, if they have a standing."""
        shard, number = unpack_seat(seat)
        member = self._shards.get(shard, {}).get(number)
        return member if member is not None and member.key else None

    def _placed(self, position: int, member: Member) -> tuple[int | None, int | None]:
        if self.maximum is not None and position >= self.maximum:
            return None, None
        return position + 1, self.shown(member.key)

    def _matching(self, wanted: GroupFilter) -> list[RankIndex]:
        if None not in wanted:
            index = self._indexes.get(cast(Group, wanted))
            return [] if index is None else [index]
        return [index for group, index in self._indexes.items() if _matches(group, wanted)]

    def _move(self, member: Member, key: int, group: Group) -> None:
        """Give a member another key, in the same group or another."""
        if key == member.key and group == member.group:
            return
        change = bool(key) - bool(member.key)
        self._ranked += change
        self.tombstones -= change
        if member.key:
            self._indexes[member.group].remove(member.key)
            self._drop_if_empty(member.group)
        member.key, member.group = key, self._groups.setdefault(group, group)
        if key:
            index = self._indexes.get(group)
            if index is None:
                index = self._indexes[member.group] = SortedIndex()
            index.add(key)

    def _drop_if_empty(self, group: Group) -> None:
        if not len(self._indexes[group]):
            del self._indexes[group], self._groups[group]


def _matches(group: Group, wanted: GroupFilter) -> bool:
    return all(value is None or value == own for own, value in zip(group, wanted, strict=True))


def _member_of(shards: Mapping[int, Mapping[int, Member]], key: int) -> Member:
    shard, number = unpack_seat(seat_of(key))
    return shards[shard][number]


def _with_members(keys: list[int], shards: Mapping[int, Mapping[int, Member]]) -> Iterator[tuple[int, int, Member]]:
    for rank, key in enumerate(keys, 1):
        yield rank, key, _member_of(shards, key)
