"""What is counted of users: by differences, and in buckets that are exact for every summary."""

from collections import Counter as Multiset
from itertools import pairwise

import pytest
from hypothesis import given as each_of
from hypothesis import settings
from hypothesis import strategies as st
from msgspec.structs import replace

from plaudit.engine.compiling import POINTS_MAX
from plaudit.engine.tally import BUCKETS, LEVELS, Counter, PointsRange, add_up, bucket_of, spread, tally
from plaudit.engine.user import Profile, User
from tests.engine.builders import DETERMINISTIC, Player, instant
from tests.engine.catalogs import at_value, catalog, level, on_demand, per_completion, per_total, points

NOON = "2024-01-15T12:00"
RULES = catalog(
    at_value("three", "3"),
    at_value("nine", "9"),
    on_demand("asked"),
    points(
        per_total(5, 1),
        per_total(-8, 1, "pages", key="cost"),
        per_completion(100, "asked"),
        levels=(level(1), level(50)),
    ),
    points(per_total(1, 2, "pages"), key="gems", levels=(level(0),)),
)


def someone(points: dict[int, int]) -> User:
    return User(Profile(0, 0), points=points)


def counted(totals: list[int | None], system: int = 1) -> dict[Counter, int]:
    """The counters of users with these totals; None never had any."""
    counters: dict[Counter, int] = {}
    for total in totals:
        add_up(counters, tally(None, someone({} if total is None else {system: total})))
    return counters


def told(ranges: list[PointsRange]) -> list[tuple[int, int, int]]:
    return [(each.first, each.last, each.users) for each in ranges]


# Differences


def test_a8_23_a7_10_a_new_user_is_counted_with_all_that_comes_at_once() -> None:
    user = Player(RULES).sends(NOON, "3").user
    assert tally(None, user) == {
        ("users", 0): 1,
        ("completions", 1): 1,
        ("points", bucket_of(1, 15)): 1,
        ("levels", LEVELS + 1): 1,
        ("levels", 2 * LEVELS + 1): 1,
    }
    assert tally(user, None) == dict.fromkeys(tally(None, user), -1)


def test_a8_23_who_moves_is_counted_where_they_are_and_no_longer_where_they_were() -> None:
    sam = Player(RULES)
    before = sam.sends(NOON, "3").user
    after = sam.sends(NOON, "6").user
    assert tally(before, after) == {
        ("completions", 2): 1,
        ("points", bucket_of(1, 15)): -1,
        ("points", bucket_of(1, 45)): 1,
    }
    assert tally(after, sam.sends(NOON, "1").user) == {("levels", LEVELS + 1): -1, ("levels", LEVELS + 2): 1}


def test_a8_26_who_has_lost_everything_is_counted_nowhere() -> None:
    sam = Player(RULES)
    before = sam.sends(NOON, "1").user
    after = sam.sends(NOON, "1", "pages").user
    assert after.points == {1: 0}
    assert tally(before, after) == {("points", bucket_of(1, 5)): -1, ("levels", LEVELS + 1): -1}


def test_a8_23_who_is_moved_by_a_changed_catalog_is_counted_at_the_new_level() -> None:
    first, second = (points(per_total(5, 1), levels=(level(1, "low"), level(at, "high"))) for at in (50, 10))
    sam = Player(catalog(first))
    before = sam.sends(NOON, "3").user
    sam.catalog = catalog(second, before=sam.catalog)
    assert tally(before, sam.waits(NOON).state) == {("levels", LEVELS + 1): -1, ("levels", LEVELS + 2): 1}


def test_what_is_not_counted_changes_nothing() -> None:
    sam = Player(RULES)
    before = sam.sends(NOON, "3").user
    assert tally(before, sam.sends(NOON, "0.5", "steps", being={"plan": "pro"}).user) == {}
    assert tally(before, replace(before, points=dict(before.points))) == {}


def test_counters_that_come_to_nothing_go() -> None:
    counters: dict[Counter, int] = {("users", 0): 2, ("completions", 1): 1}
    add_up(counters, {("users", 0): -1, ("completions", 1): -1, ("levels", 7): 1})
    assert counters == {("users", 0): 1, ("levels", 7): 1}


STEPS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(("words", "pages", "asked", "gone")), st.integers(-9, 30)),
    max_size=25,
)


def recount(users: list[User]) -> dict[Counter, int]:
    """Everybody, counted from scratch."""
    counters: Multiset[Counter] = Multiset()
    for user in users:
        counters["users", 0] += 1
        counters.update(("completions", number) for number in user.completions)
        counters.update(("points", bucket_of(n, total)) for n, total in user.points.items() if total)
        counters.update(("levels", n * LEVELS + at) for n, at in user.levels.items())
    return dict(counters)


@settings(DETERMINISTIC, max_examples=80)
@each_of(STEPS)
def test_a7_10_a8_23_a8_26_the_sum_of_differences_is_what_counting_everybody_says(
    steps: list[tuple[int, str, int]],
) -> None:
    players = [Player(RULES) for _ in range(4)]
    counters: dict[Counter, int] = {}
    for minute, (number, what, value) in enumerate(steps):
        player = players[number]
        before, now = player.user, instant(NOON) + minute * 60_000
        if what == "gone":
            player.user = None
        elif what == "asked":
            if before is None or 3 not in before.completions:
                player.completes(NOON, "asked")
        else:
            player.sends_at(now, str(value), what)
        add_up(counters, tally(before, player.user))
        assert counters == recount([each.user for each in players if each.user is not None])


# Ranges


@pytest.mark.parametrize(
    ("greatest", "last"),
    [
        (1, 10),
        (9, 10),
        (10, 10),
        (11, 100),
        (100, 100),
        (560, 1000),
        (1000, 1000),
        (1001, 10_000),
        (10**12, 10**12),
        (POINTS_MAX - 1, POINTS_MAX),
        (POINTS_MAX, POINTS_MAX),
    ],
)
def test_a8_26_q38_ranges_go_up_to_the_next_power_of_ten(greatest: int, last: int) -> None:
    ranges = told(spread(counted([greatest, None]), 1))
    assert [each[:2] for each in ranges] == [(0, 0), *((n * last // 10 + 1, (n + 1) * last // 10) for n in range(10))]
    assert ranges[0][2] == 1
    assert [users for first, end, users in ranges if first <= greatest <= end] == [1]


def test_a8_26_as_in_the_example() -> None:
    ranges = told(spread(counted([1, 100, 101, 560, 500, 0, None]), 1))
    assert [ranges[n] for n in (0, 1, 2, 5, 6, 10)] == [
        (0, 0, 2),
        (1, 100, 2),
        (101, 200, 1),
        (401, 500, 1),
        (501, 600, 1),
        (901, 1000, 0),
    ]


def test_q38_where_nobody_has_any_the_ranges_are_single_numbers() -> None:
    assert told(spread(counted([0, None, -5]), 1)) == [(0, 0, 3), *((n, n, 0) for n in range(1, 11))]
    assert told(spread({}, 1)) == [(n, n, 0) for n in range(11)]


def test_a8_26_when_the_greatest_total_goes_down_so_do_the_ranges() -> None:
    counters = counted([4, 1000])
    add_up(counters, tally(someone({1: 1000}), someone({1: 8})))
    assert [users for *_, users in told(spread(counters, 1))] == [0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0]


def test_a8_26_each_system_has_ranges_of_its_own() -> None:
    counters: dict[Counter, int] = {}
    for points_ in ({1: 7, 2: POINTS_MAX}, {2: 3}, {30: 20}):
        add_up(counters, tally(None, someone(points_)))
    assert [(r[-1].last, r[0].users) for r in (spread(counters, n) for n in (1, 2, 30, 4))] == [
        (10, 2),
        (POINTS_MAX, 1),
        (100, 2),
        (10, 3),
    ]


def test_a_bucket_is_of_one_system_and_greater_totals_are_in_later_ones() -> None:
    bounds = [1, 2, 10, 11, 21, 100, 101, 999, 1001, 10**6, 10**6 + 1, POINTS_MAX - 10**14, POINTS_MAX]
    for system in (1, 2, 900):
        buckets = [bucket_of(system, total) for total in bounds]
        assert all(before < after for before, after in pairwise(buckets))
        assert bucket_of(system, 11) == bucket_of(system, 20)
        assert all(bucket // BUCKETS == system for bucket in buckets)


NEAR_POWERS = st.tuples(st.integers(0, 15), st.integers(1, 10), st.integers(-1, 1)).map(
    lambda drawn: min(10 ** drawn[0] * drawn[1] + drawn[2], POINTS_MAX)
)


@DETERMINISTIC
@each_of(st.lists(st.none() | st.integers(0, 1200) | st.integers(0, 30) | NEAR_POWERS, max_size=12))
def test_a8_26_q38_is_what_looking_at_everybody_says(totals: list[int | None]) -> None:
    has = [total or 0 for total in totals]
    top = 10
    while top < max(has, default=0):
        top *= 10
    bounds = [(0, 0), *((n * top // 10 + 1, (n + 1) * top // 10) for n in range(10))]
    expected = [(first, last, sum(first <= total <= last for total in has)) for first, last in bounds]
    assert told(spread(counted(totals), 1)) == expected
