import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.engine.amounts import TOTAL_MAX
from plaudit.engine.snapshot import decode_user, encode_user
from plaudit.engine.trail import Kind, expand
from plaudit.engine.user import (
    Earlier,
    Pause,
    Preferences,
    Profile,
    Reset,
    Streak,
    StreakPreferences,
    Streaks,
    User,
)
from tests.engine.builders import CREATED_MS, DETERMINISTIC, Player, compiled, day, document, instant

NUMBERS = st.integers(1, 2**31)
INSTANTS = st.integers(0, 2**42)
DAYS = st.integers(1, 3_652_059)
NAMES = st.none() | st.text(st.characters(codec="utf-8"), max_size=20)
AMOUNT = st.integers(-TOTAL_MAX, TOTAL_MAX) | st.integers(-(2**65), 2**65)
AMOUNTS = st.dictionaries(NUMBERS, AMOUNT, max_size=5)
STREAKS = st.builds(Streak, st.integers(0, 10**5), DAYS, INSTANTS, st.booleans(), st.booleans(), st.binary(max_size=20))
IDS = st.binary(min_size=16, max_size=16)
WEEKDAYS = st.lists(st.integers(0, 6), max_size=3).map(tuple)
CHANNELS = st.lists(st.sampled_from(["email", "push"]), max_size=2).map(tuple)
THRESHOLDS = st.lists(st.tuples(NUMBERS, st.integers(1, 2**40) | IDS), max_size=3).map(tuple)
ANY_STREAKS = st.builds(
    Streaks,
    STREAKS,
    STREAKS,
    STREAKS,
    st.dictionaries(NUMBERS, st.tuples(AMOUNT, AMOUNT, AMOUNT), max_size=3),
    st.integers(0, 100),
    DAYS,
    st.lists(st.builds(Pause, IDS, DAYS, DAYS), max_size=3).map(tuple),
    st.lists(st.builds(Reset, DAYS, INSTANTS), max_size=3).map(tuple),
)
USERS = st.builds(
    User,
    st.builds(
        Profile,
        INSTANTS,
        INSTANTS,
        NAMES,
        NAMES,
        st.sampled_from([None, "UTC", "Asia/Kathmandu"]),
        st.none() | DAYS,
        st.none() | st.lists(st.text(st.characters(codec="utf-8")), max_size=3).map(tuple),
        st.booleans(),
        st.dictionaries(st.text("abc", min_size=1), st.text(st.characters(codec="utf-8")), max_size=3),
        st.booleans(),
    ),
    AMOUNTS,
    st.dictionaries(NUMBERS, INSTANTS, max_size=5),
    st.dictionaries(NUMBERS, st.integers(0, 10**15), max_size=3),
    DAYS,
    ANY_STREAKS,
    st.none()
    | st.builds(
        Preferences,
        st.dictionaries(st.sampled_from(["recap", "reactivation"]), CHANNELS),
        st.none()
        | st.builds(
            StreakPreferences,
            st.none() | st.booleans(),
            st.sampled_from([None, "OR", "AND"]),
            st.none() | THRESHOLDS,
            st.none() | WEEKDAYS,
        ),
    ),
    st.lists(st.builds(Earlier, DAYS, ANY_STREAKS), max_size=2).map(tuple),
)


@DETERMINISTIC
@given(USERS)
def test_a_user_survives_the_round_trip_and_so_do_the_bytes(user: User) -> None:
    snapshot = encode_user(user)
    again = decode_user(snapshot)
    assert again == user
    assert encode_user(again) == snapshot


def with_amounts(total: int, change: int = 0) -> User:
    streaks = Streaks(changes={2: (change, 1, change)})
    return User(Profile(CREATED_MS, CREATED_MS), totals={1: 5, 2: total}, day=738_900, streaks=streaks)


@pytest.mark.parametrize(
    "amount",
    [2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63) + 1, -(2**63), -(2**63) - 1, TOTAL_MAX, -TOTAL_MAX],
)
def test_totals_and_changes_may_go_beyond_64_bits(amount: int) -> None:
    assert decode_user(encode_user(with_amounts(amount))).totals == {1: 5, 2: amount}
    assert decode_user(encode_user(with_amounts(0, amount))).streaks.changes == {2: (amount, 1, amount)}


def test_a_day_may_take_a_total_from_one_end_to_the_other() -> None:
    assert decode_user(encode_user(with_amounts(TOTAL_MAX, 2 * TOTAL_MAX))).streaks.changes == {
        2: (2 * TOTAL_MAX, 1, 2 * TOTAL_MAX)
    }


def test_completions_stay_in_order_of_completion() -> None:
    user = User(Profile(CREATED_MS, CREATED_MS), completions={9: 1, 2: 1, 5: 2})
    assert list(decode_user(encode_user(user)).completions) == [9, 2, 5]


def test_equal_users_have_equal_snapshots_whatever_their_amounts_were_before() -> None:
    assert encode_user(with_amounts(7)) == encode_user(decode_user(encode_user(with_amounts(7))))
    assert encode_user(with_amounts(7)) != encode_user(with_amounts(8))


OLD = User(
    Profile(1, 2, "s@example.com", "Sam", "Asia/Tokyo", 738_900, ("t",), False, {"plan": "pro"}, True),
    {1: 5, 2: 2**64},
    {3: 4},
    {1: 10},
    738_900,
    Streaks(
        Streak(2, 738_899, 6, True, False, b"\x20"),
        Streak(3, 738_880, 6, False, True, b"\x21"),
        Streak(1, 738_899, 6, True, False, b""),
        {1: (-5, 2**64, 0)},
        2,
        738_890,
        (Pause(bytes(range(16)), 738_901, 738_905),),
        (Reset(738_880, 7),),
    ),
    Preferences({"recap": ("email",)}, StreakPreferences(True, "AND", ((1, 10**9),), (0, 6))),
    (Earlier(738_899, Streaks(Streak(1, 738_899, 5, False, False, b""), changes={1: (0, 2**64, 1)})),),
)
OLD_SNAPSHOT = bytes.fromhex(
    "989a0102ad73406578616d706c652e636f6da353616daa417369612f546f6b796fce000b465491a174c281a4"
    "706c616ea370726fc382010502c4100000000000000001000000000000000081030481010ace000b46549896"
    "02ce000b465306c3c2c401209603ce000b464006c2c3c401219601ce000b465306c3c2c400810193fbc41000"
    "0000000000000100000000000000000002ce000b464a9193c410000102030405060708090a0b0c0d0e0fce00"
    "0b4655ce000b46599192ce000b4640079281a5726563617091a5656d61696c94c3a3414e44919201ce3b9aca"
    "009200069192ce000b4653989601ce000b465305c2c2c40096000000c2c2c40096000000c2c2c40081019300"
    "c410000000000000000100000000000000000100009090"
)
FIRST_SNAPSHOT = bytes.fromhex(
    "969a0102ad73406578616d706c652e636f6da353616daa417369612f546f6b796fce000b465491a174c281a4"
    "706c616ea370726fc382010502c4100000000000000001000000000000000081030481010a9402ce000b4653"
    "ce000b46540692ce000b46548101fb"
)
"""Of the first layout, before there were weekly and monthly streaks."""


def test_a_snapshot_of_today_is_read_tomorrow() -> None:
    assert decode_user(OLD_SNAPSHOT) == OLD
    assert encode_user(OLD) == bytes.fromhex("dc0011") + OLD_SNAPSHOT[1:] + bytes.fromhex("808090000000000080")
    assert decode_user(encode_user(OLD)) == OLD


def test_what_is_not_used_takes_little_room() -> None:
    assert len(encode_user(User(Profile(CREATED_MS, CREATED_MS)))) < 80


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"\xc0",
        b"\x90",
        OLD_SNAPSHOT[:-1],
        OLD_SNAPSHOT + b"\x00",
        FIRST_SNAPSHOT[:-1],
        FIRST_SNAPSHOT + b"\x00",
        msgspec.msgpack.encode([1, 2, 3, 4, 5, 6]),
        msgspec.msgpack.encode([1, 2, 3, 4, 5, 6, 7]),
        msgspec.msgpack.encode([[1, 2], {1: 0.5}, {}, {}, [], [7, {}]]),
        msgspec.msgpack.encode([[1, 2], {"words": 5}, {}, {}, [], [7, {}]]),
        msgspec.msgpack.encode([[1, 2], {"words": 5}, {}, {}, 7, [[], [], [], {}, 0, 0, [], []], None]),
    ],
)
def test_what_is_no_snapshot_is_refused(broken: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_user(broken)


def first(length: int, last: str, today: str, change: int = 0, started: str | None = None) -> User:
    """A user who was stored in the first layout: a daily streak, and the change of words on the day."""
    last_day, extended = day(last), instant(f"{last}T12:00")
    started_day = day(started) if started else last_day - length + 1
    streak = [length, started_day, last_day, extended] if length else [0, 0, 0, 0]
    changes = {1: change} if change else {}
    stored = [[CREATED_MS, CREATED_MS], {1: 50}, {3: 4}, {1: 10}, streak, [day(today), changes]]
    return decode_user(msgspec.msgpack.encode(stored))


def lengths(user: User) -> tuple[int, int, int]:
    streaks = user.streaks
    return streaks.daily.length, streaks.weekly.length, streaks.monthly.length


def test_a_user_of_the_first_layout_keeps_everything() -> None:
    user = decode_user(FIRST_SNAPSHOT)
    assert (user.profile, user.totals, user.completions, user.points) == (
        OLD.profile,
        OLD.totals,
        OLD.completions,
        OLD.points,
    )
    assert (user.day, user.streaks.daily) == (738_900, Streak(2, 738_899, 6, True, False, b"\x20"))
    assert user.streaks.changes == {1: (-5, -5, -5)}
    assert (user.preferences, user.streaks.pauses, user.streaks.resets) == (None, (), ())


def test_q32c_a_user_of_the_first_layout_has_no_freezes_and_earns_from_the_day_they_are_on() -> None:
    streaks = decode_user(FIRST_SNAPSHOT).streaks
    assert (streaks.freezes, streaks.earned_day) == (0, 738_900)


@pytest.mark.parametrize(
    ("length", "last", "today", "expected"),
    [
        (1, "2024-01-15", "2024-01-15", (1, 1, 1)),
        (1, "2024-01-15", "2024-01-16", (1, 1, 1)),
        (2, "2024-01-14", "2024-01-14", (2, 2, 1)),  # Saturday and Sunday
        (7, "2024-01-20", "2024-01-20", (7, 1, 1)),  # Sunday to Saturday
        (8, "2024-01-20", "2024-01-20", (8, 2, 1)),
        (2, "2024-02-01", "2024-02-01", (2, 1, 2)),
        (2, "2024-01-01", "2024-01-01", (2, 1, 2)),  # Sunday and Monday, of two years
        (400, "2024-01-15", "2024-01-16", (400, 58, 14)),
        (0, "2024-01-15", "2024-01-16", (0, 0, 0)),
    ],
)
def test_a9_1_a_streak_of_the_first_layout_shows_how_many_weeks_and_months_it_was(
    length: int, last: str, today: str, expected: tuple[int, int, int]
) -> None:
    assert lengths(first(length, last, today)) == expected


@pytest.mark.parametrize("length", [1, 2, 5, 31, 32, 33, 64, 65, 366, 400, 20_000])
@pytest.mark.parametrize("today", ["2024-01-15", "2024-01-16"])
def test_a_streak_of_the_first_layout_has_a_trail_that_ends_with_its_length(length: int, today: str) -> None:
    streaks = first(length, "2024-01-15", today).streaks
    for streak in (streaks.daily, streaks.weekly, streaks.monthly):
        closed = expand(streak.trail)
        assert (closed[-1].length if closed else 0) == streak.length - streak.counted
        assert {period.kind for period in closed[1:]} <= {Kind.COUNTED}


@pytest.mark.parametrize(
    ("last", "today", "counted"),
    [
        ("2024-01-15", "2024-01-15", (True, True, True)),
        ("2024-01-15", "2024-01-16", (False, True, True)),
        ("2024-01-20", "2024-01-21", (False, False, True)),  # Saturday and Sunday
        ("2024-01-31", "2024-02-01", (False, True, False)),
        ("2023-12-31", "2024-01-01", (False, True, False)),  # a Sunday
    ],
)
def test_a9_3_a_day_week_or_month_of_the_first_layout_that_has_counted_does_not_count_again(
    last: str, today: str, counted: tuple[bool, bool, bool]
) -> None:
    user = first(3, last, today)
    streaks = user.streaks
    assert (streaks.daily.counted, streaks.weekly.counted, streaks.monthly.counted) == counted
    sam = Player(compiled(document()))
    sam.user = user
    before = lengths(user)
    sam.sends(f"{today}T23:00")
    assert [after - old for after, old in zip(lengths(sam.state), before, strict=True)] == [not c for c in counted]


def test_a_streak_of_the_first_layout_goes_on() -> None:
    sam = Player(compiled(document()))
    sam.user = first(3, "2024-01-15", "2024-01-16")
    assert sam.view.started_day == day("2024-01-13")
    assert (sam.length, sam.story(5)) == (3, "0 1 2 3 3")
    sam.sends("2024-01-16T12:00")
    assert (sam.length, sam.story(5)) == (4, "0 1 2 3 4")
    assert sam.waits("2024-01-18").length == 0


def test_a_streak_of_the_first_layout_that_outlived_a_move_keeps_its_length() -> None:
    user = first(3, "2024-01-15", "2024-01-16", started="2024-01-11")
    assert (user.streaks.daily.length, user.streaks.daily.started_day) == (3, day("2024-01-11"))


def test_a_change_of_the_first_layout_counts_on_its_day_and_for_its_week_and_month() -> None:
    user = first(0, "2024-01-15", "2024-01-15", change=7)
    assert user.streaks.changes == {1: (7, 7, 7)}


def test_a_user_of_the_first_layout_is_stored_in_the_present_one() -> None:
    for change in (7, 2**64 - 1):
        user = first(3, "2024-01-15", "2024-01-16", change)
        assert decode_user(encode_user(user)) == user


def test_users_with_nothing_share_it() -> None:
    one, other = (decode_user(encode_user(User(Profile(CREATED_MS, 2, tz="Asia/Tokyo")))) for _ in range(2))
    assert one.profile.attributes is other.profile.attributes
    assert one.profile.tz is other.profile.tz
