import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.engine.amounts import TOTAL_MAX
from plaudit.engine.snapshot import decode_user, encode_user
from plaudit.engine.user import Period, Profile, Streak, User
from tests.engine.builders import CREATED_MS, DETERMINISTIC

NUMBERS = st.integers(1, 2**31)
INSTANTS = st.integers(0, 2**42)
DAYS = st.integers(1, 3_652_059)
NAMES = st.none() | st.text(st.characters(codec="utf-8"), max_size=20)
AMOUNTS = st.dictionaries(NUMBERS, st.integers(-TOTAL_MAX, TOTAL_MAX) | st.integers(-(2**65), 2**65), max_size=5)
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
    st.builds(Streak, st.integers(0, 10**5), DAYS, DAYS, INSTANTS),
    st.builds(Period, DAYS, AMOUNTS),
)


@DETERMINISTIC
@given(USERS)
def test_a_user_survives_the_round_trip_and_so_do_the_bytes(user: User) -> None:
    snapshot = encode_user(user)
    again = decode_user(snapshot)
    assert again == user
    assert encode_user(again) == snapshot


def with_amounts(total: int, change: int = 0) -> User:
    return User(Profile(CREATED_MS, CREATED_MS), totals={1: 5, 2: total}, period=Period(738_900, {2: change}))


@pytest.mark.parametrize(
    "amount",
    [2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63) + 1, -(2**63), -(2**63) - 1, TOTAL_MAX, -TOTAL_MAX],
)
def test_totals_and_changes_may_go_beyond_64_bits(amount: int) -> None:
    assert decode_user(encode_user(with_amounts(amount))).totals == {1: 5, 2: amount}
    assert decode_user(encode_user(with_amounts(0, amount))).period.changes == {2: amount}


def test_a_day_may_take_a_total_from_one_end_to_the_other() -> None:
    assert decode_user(encode_user(with_amounts(TOTAL_MAX, 2 * TOTAL_MAX))).period.changes == {2: 2 * TOTAL_MAX}


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
    Streak(2, 738_899, 738_900, 6),
    Period(738_900, {1: -5}),
)
OLD_SNAPSHOT = bytes.fromhex(
    "969a0102ad73406578616d706c652e636f6da353616daa417369612f546f6b796fce000b465491a174c281a4"
    "706c616ea370726fc382010502c4100000000000000001000000000000000081030481010a9402ce000b4653"
    "ce000b46540692ce000b46548101fb"
)


def test_a_snapshot_of_today_is_read_tomorrow() -> None:
    assert decode_user(OLD_SNAPSHOT) == OLD
    assert encode_user(OLD) == OLD_SNAPSHOT


def test_what_is_not_used_is_not_stored() -> None:
    assert len(encode_user(User(Profile(CREATED_MS, CREATED_MS)))) < 50


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"\xc0",
        b"\x90",
        OLD_SNAPSHOT[:-1],
        OLD_SNAPSHOT + b"\x00",
        msgspec.msgpack.encode([1, 2, 3, 4, 5, 6]),
        msgspec.msgpack.encode([[1, 2], {1: 0.5}, {}, {}, [], [7, {}]]),
        msgspec.msgpack.encode([[1, 2], {"words": 5}, {}, {}, [], [7, {}]]),
    ],
)
def test_what_is_no_snapshot_is_refused(broken: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_user(broken)
