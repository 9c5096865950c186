import pytest

from plaudit.engine.amounts import TOTAL_MAX
from plaudit.engine.errors import Invalid
from plaudit.engine.metrics import add_to_metric
from plaudit.engine.user import Change, Profile, Streaks, User
from tests.engine.builders import CREATED_MS, amount

PROFILE = Profile(CREATED_MS, CREATED_MS)


def user(total: int = 0, change: Change = (0, 0, 0)) -> User:
    return User(PROFILE, totals={1: total}, day=7, streaks=Streaks(changes={1: change}))


def changes(*texts: str) -> Change:
    day, week, month = (amount(text) for text in texts)
    return day, week, month


def test_a5_1_a_value_is_added_to_the_total_and_to_the_changes_of_day_week_and_month() -> None:
    after = add_to_metric(user(amount("10"), changes("2", "-1", "0")), 1, amount("0.5"))
    assert after == user(amount("10.5"), changes("2.5", "-0.5", "0.5"))


def test_a_metric_starts_at_zero_and_others_are_left_alone() -> None:
    after = add_to_metric(user(amount("10"), changes("2", "2", "2")), 2, amount("3"))
    assert after.totals == {1: amount("10"), 2: amount("3")}
    assert after.streaks.changes == {1: changes("2", "2", "2"), 2: changes("3", "3", "3")}


def test_q17_a_total_may_go_below_zero() -> None:
    assert add_to_metric(user(amount("1")), 1, amount("-2.5")).totals == {1: amount("-1.5")}


@pytest.mark.parametrize("sign", [1, -1])
def test_a_total_ends_at_10_to_the_15_either_way(sign: int) -> None:
    almost = user(sign * (TOTAL_MAX - 1))
    full = add_to_metric(almost, 1, sign)
    assert full.totals == {1: sign * TOTAL_MAX}
    with pytest.raises(Invalid, match=r"^value: expected a total between -10\^15 and 10\^15"):
        add_to_metric(full, 1, sign)
    assert add_to_metric(full, 1, -sign).totals == almost.totals


def test_the_users_containers_are_not_changed_in_place() -> None:
    before = user(amount("10"))
    add_to_metric(before, 1, amount("1"))
    assert before == user(amount("10"))
