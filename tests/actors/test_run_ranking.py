from collections.abc import Iterable, Iterator, Sequence

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace

from plaudit.actors.board_messages import Score
from plaudit.actors.rank_index import pack_seat, unpack
from plaudit.actors.run_ranking import Group, GroupFilter, Ranked, RunRanking
from plaudit.engine.amounts import UNIT, pack_amount
from tests.engine.builders import DETERMINISTIC

SHARD = 3


def score(
    member: int,
    value: int | None,
    at_ms: int = 0,
    *,
    version: int = 1,
    number: int = 0,
    group: Group = (),
    name: str | None = None,
) -> Score:
    packed = None if value is None else pack_amount(value)
    return Score(1, 739_000, member, version, f"user-{member}", name, group, packed, at_ms, number)


def ranking(*scores: Score, maximum: int | None = None, unit: int = 1) -> RunRanking:
    made = RunRanking(maximum, unit)
    for each in scores:
        made.apply(SHARD, each)
    return made


def seat(member: int) -> int:
    return pack_seat(SHARD, member)


def standings(made: RunRanking, *wanted: str | None) -> list[tuple[str, int, int]]:
    return [(line.user_id, line.rank, line.value) for line in made.read(wanted, 0, 1_000)]


def members(lines: Iterable[Ranked]) -> list[int]:
    return [int(line.user_id.removeprefix("user-")) for line in lines]


def test_q44_values_are_shown_rounded_down_and_ranked_exactly() -> None:
    made = ranking(score(1, 15 * UNIT // 10), score(2, 19 * UNIT // 10), score(3, UNIT // 2), unit=UNIT, maximum=3)
    assert standings(made) == [("user-2", 1, 1), ("user-1", 2, 1), ("user-3", 3, 0)]
    assert made.place(seat(1)) == (2, 1)
    assert made.threshold(()) == 1


def test_q44_amounts_beyond_64_bits_are_ranked() -> None:
    made = ranking(score(1, 10**24 - 1), score(2, 10**24), unit=UNIT)
    assert standings(made) == [("user-2", 1, 10**15), ("user-1", 2, 10**15 - 1)]


def test_q45_of_equal_values_the_one_reached_first_is_ahead_and_no_rank_is_shared() -> None:
    made = ranking(score(1, 5, 30), score(2, 5, 10, number=8), score(3, 5, 10, number=7), score(4, 6, 90))
    made.apply(SHARD - 1, score(5, 5, 10, number=8))
    assert standings(made) == [("user-4", 1, 6), ("user-3", 2, 5), ("user-5", 3, 5), ("user-2", 4, 5), ("user-1", 5, 5)]


def test_q46_who_has_no_value_is_not_on_the_board() -> None:
    made = ranking(score(1, None), score(2, 4))
    assert standings(made) == [("user-2", 1, 4)]
    assert (made.place(seat(1)), made.place(seat(9))) == ((None, None), (None, None))
    assert (len(made), made.tombstones) == (1, 1)


def test_q47_the_threshold_is_1_until_the_board_is_full_and_then_one_more_than_its_lowest_value() -> None:
    made = ranking(score(1, 7 * UNIT + 1), maximum=2, unit=UNIT)
    assert made.threshold(()) == 1
    made.apply(SHARD, score(2, 4 * UNIT + 1))
    assert made.threshold(()) == 5
    made.apply(SHARD, score(3, 6 * UNIT))
    assert made.threshold(()) == 7
    made.apply(SHARD, score(3, None, version=2))
    assert made.threshold(()) == 5
    assert ranking(score(1, 7)).threshold(()) == 1


def test_q47_each_group_has_a_threshold_of_its_own() -> None:
    made = ranking(score(1, 7, group=("fr",)), score(2, 4, group=("de",)), maximum=1)
    assert [made.threshold((group,)) for group in ("fr", "de", "nowhere")] == [8, 5, 1]


def test_only_as_many_as_there_are_places_have_a_rank_and_the_next_moves_up() -> None:
    made = ranking(*(score(member, 10 - member) for member in range(5)), maximum=3)
    assert standings(made) == [("user-0", 1, 10), ("user-1", 2, 9), ("user-2", 3, 8)]
    assert (made.place(seat(2)), made.place(seat(3))) == ((3, 8), (None, None))
    assert len(made) == 5
    assert made.read((), 0, 9, seat(3)) == []
    made.apply(SHARD, score(0, None, version=2))
    assert made.place(seat(3)) == (3, 7)


def test_a_newcomer_to_a_full_board_has_to_surpass_the_lowest() -> None:
    made = ranking(score(1, 7), score(2, 4, 10), maximum=2)
    made.apply(SHARD, score(3, 4, 20))
    assert made.place(seat(3)) == (None, None)
    made.apply(SHARD, score(3, 5, 30, version=2))
    assert (made.place(seat(3)), made.place(seat(2))) == ((2, 5), (None, None))


def test_an_older_score_changes_nothing_not_even_of_one_who_has_left() -> None:
    made = ranking(score(1, 7, version=5, name="Ada"), score(2, None, version=5))
    assert not made.apply(SHARD, score(1, 9, version=4, name="Old"))
    assert not made.apply(SHARD, score(2, 9, version=4))
    assert made.apply(SHARD, score(1, 7, version=5, name="Ada"))
    assert made.read((), 0, 10) == [Ranked("user-1", "Ada", 1, 7)]


def test_a_name_changes_where_its_user_stands() -> None:
    made = ranking(score(1, 7, name="Ada"), score(2, 5))
    made.apply(SHARD, score(1, 7, version=2, name="Countess"))
    assert made.read((), 0, 1) == [Ranked("user-1", "Countess", 1, 7)]


def test_a_user_whose_attribute_changes_moves_to_another_group() -> None:
    made = ranking(score(1, 7, group=("fr",)), score(2, 5, group=("de",)))
    made.apply(SHARD, score(1, 7, version=2, group=("de",)))
    assert standings(made, "de") == [("user-1", 1, 7), ("user-2", 2, 5)]
    assert standings(made, "fr") == []
    assert made.groups() == [("de",)]


NEIGHBOURS = [(0, 2, [5, 6]), (-2, 4, [3, 4, 5, 6]), (-9, 3, [0, 1, 2]), (2, 9, [7, 8]), (9, 3, []), (0, 0, [])]


@pytest.mark.parametrize(("offset", "limit", "expected"), NEIGHBOURS)
def test_neighbours_are_read_relative_to_a_user(offset: int, limit: int, expected: list[int]) -> None:
    made = ranking(*(score(member, 90 - member) for member in range(9)))
    lines = made.read((), offset, limit, seat(5))
    assert members(lines) == expected
    assert [line.rank for line in lines] == [member + 1 for member in expected]


def test_a_page_ends_with_the_places_of_the_board() -> None:
    made = ranking(*(score(member, 90 - member) for member in range(9)), maximum=6)
    assert members(made.read((), 4, 9)) == [4, 5]
    assert members(made.read((), 6, 9)) == []
    assert members(made.read((), -1, 9, seat(5))) == [4, 5]


CITIES = (
    score(1, 9, group=("fr", "Paris")),
    score(2, 8, group=("fr", "Lyon")),
    score(3, 7, group=("us", "Paris")),
    score(4, 6, group=("fr", "Paris")),
    score(5, 5, group=("us", "Austin")),
)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (("fr", "Paris"), [1, 4]),
        (("fr", None), [1, 2, 4]),
        ((None, "Paris"), [1, 3, 4]),
        ((None, None), [1, 2, 3, 4, 5]),
        (("us", "Lyon"), []),
        (("de", None), []),
    ],
)
def test_q50_a_partial_filter_merges_the_groups_that_match_and_ranks_them_anew(
    wanted: GroupFilter, expected: list[int]
) -> None:
    lines = ranking(*CITIES).read(wanted, 0, 10)
    assert members(lines) == expected
    assert [line.rank for line in lines] == list(range(1, len(expected) + 1))


def test_q50_the_places_of_merged_groups_are_as_many_as_those_of_one() -> None:
    made = ranking(*CITIES, maximum=2)
    assert members(made.read(("fr", None), 0, 10)) == [1, 2]
    assert made.place(seat(4)) == (2, 6)
    assert made.place_in(("fr", None), seat(4)) == (None, None)
    assert made.place_in((None, None), seat(2)) == (2, 8)


def test_neighbours_in_merged_groups() -> None:
    made = ranking(*CITIES)
    assert members(made.read((None, "Paris"), -1, 2, seat(3))) == [1, 3]
    assert made.read((None, "Paris"), 0, 2, seat(2)) == []


def test_an_ordered_copy_stays_as_it_was() -> None:
    made = ranking(score(1, 7), score(2, 5), score(3, 3), maximum=2)
    lines = made.ordered(())
    made.apply(SHARD, score(1, None, version=2))
    made.apply(SHARD, score(2, 50, version=2))
    made.forget_shard(SHARD)
    made.apply(SHARD, score(4, 60))
    assert [(rank, unpack(key).value, member.user_id) for rank, key, member in lines] == [
        (1, 7, "user-1"),
        (2, 5, "user-2"),
    ]
    assert list(made.ordered(("nobody",))) == []


def test_a_forgotten_shard_can_begin_with_older_versions() -> None:
    made = ranking(score(1, 7, version=9), score(2, None, version=9))
    made.apply(SHARD + 1, score(1, 5))
    made.forget_shard(SHARD)
    made.forget_shard(SHARD + 2)
    assert (standings(made), len(made), made.tombstones) == ([("user-1", 1, 5)], 1, 0)
    made.apply(SHARD, score(2, 6, version=3))
    assert standings(made) == [("user-2", 1, 6), ("user-1", 2, 5)]


GROUPS: Sequence[Group] = [("fr", "a"), ("fr", "b"), ("de", "a")]
FILTERS: Sequence[GroupFilter] = [*GROUPS, ("fr", None), (None, "a"), (None, None), ("us", None)]
SHARDS = st.integers(0, 2)


class Rankings(RuleBasedStateMachine):
    """Scores in any order, late and repeated, against an oracle that sorts the newest from scratch."""

    @initialize(maximum=st.none() | st.integers(1, 6), unit=st.sampled_from([1, 10]))
    def begin(self, maximum: int | None, unit: int) -> None:
        self.ranking = RunRanking(maximum, unit)
        self.maximum, self.unit = maximum, unit
        self.said: dict[tuple[int, int, int], Score] = {}
        self.newest: dict[tuple[int, int], Score] = {}

    @rule(
        shard=SHARDS,
        member=st.integers(0, 5),
        version=st.integers(1, 12),
        value=st.none() | st.integers(1, 40),
        at_ms=st.integers(0, 3),
        group=st.sampled_from(GROUPS),
        name=st.sampled_from(["Ada", None]),
    )
    def say(
        self, shard: int, member: int, version: int, value: int | None, at_ms: int, group: Group, name: str | None
    ) -> None:
        """What a version says is said once and for all: another time it is the same."""
        new = score(member, value, at_ms, version=version, number=version, group=tuple(group), name=name)
        said = self.said.setdefault((shard, member, version), replace(new, user_id=f"{shard}/{member}"))
        known = self.newest.get((shard, member))
        assert self.ranking.apply(shard, said) == (known is None or known.version <= version)
        if known is None or known.version < version:
            self.newest[shard, member] = said

    @rule(shard=SHARDS)
    def forget(self, shard: int) -> None:
        self.ranking.forget_shard(shard)
        self.newest = {key: known for key, known in self.newest.items() if key[0] != shard}

    @rule(wanted=st.sampled_from(FILTERS), offset=st.integers(-4, 9), limit=st.integers(0, 9), who=SHARDS)
    def read(self, wanted: GroupFilter, offset: int, limit: int, who: int) -> None:
        lines = list(self.lines(wanted))
        assert self.ranking.read(wanted, abs(offset), limit) == lines[abs(offset) : abs(offset) + limit]
        for member in range(6):
            position = next((line.rank - 1 for line in lines if line.user_id == f"{who}/{member}"), None)
            start = 0 if position is None else max(0, position + offset)
            expected = [] if position is None else lines[start : start + limit]
            assert self.ranking.read(wanted, offset, limit, pack_seat(who, member)) == expected

    @invariant()
    def counts_are_right(self) -> None:
        if hasattr(self, "ranking"):
            ranked = sum(1 for known in self.newest.values() if known.value is not None)
            assert len(self.ranking) == ranked
            assert self.ranking.tombstones == len(self.newest) - ranked

    @invariant()
    def places_are_right(self) -> None:
        if not hasattr(self, "ranking"):
            return
        places = {}
        for group in GROUPS:
            lines = list(self.lines(group))
            places.update({line.user_id: (line.rank, line.value) for line in lines})
            full = self.maximum is not None and len(lines) == self.maximum
            assert self.ranking.threshold(group) == (lines[-1].value + 1 if full else 1)
            assert [
                Ranked(member.user_id, member.name, rank, self.ranking.shown(key))
                for rank, key, member in self.ranking.ordered(group)
            ] == lines
        for shard, member in self.newest:
            assert self.ranking.place(pack_seat(shard, member)) == places.get(f"{shard}/{member}", (None, None))
        occupied = {known.group for known in self.newest.values() if known.value is not None}
        assert set(self.ranking.groups()) == occupied

    def lines(self, wanted: GroupFilter) -> Iterator[Ranked]:
        """The board, sorted from scratch."""
        matching = []
        for (shard, member), known in self.newest.items():
            if isinstance(known.value, int) and all(
                value in {None, own} for value, own in zip(wanted, known.group, strict=True)
            ):
                matching.append((-known.value, known.at_ms, known.number, shard, member))
        for rank, (negated, _, _, shard, member) in enumerate(sorted(matching)[: self.maximum], 1):
            known = self.newest[shard, member]
            yield Ranked(known.user_id, known.name, rank, -negated // self.unit)


TestRankings = Rankings.TestCase
TestRankings.settings = settings(DETERMINISTIC, max_examples=60, stateful_step_count=40)
