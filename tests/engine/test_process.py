from typing import Any

import pytest

from plaudit.engine.catalog import Catalog
from plaudit.engine.commands import RecordEvent, UserFields
from plaudit.engine.compiling import compile_catalog
from plaudit.engine.errors import Invalid, Rejected
from plaudit.engine.process import find_metric, process
from plaudit.engine.revision import revise
from plaudit.engine.snapshot import encode_user
from plaudit.engine.user import Profile, Streak, Streaks, User
from tests.engine.builders import (
    achievement,
    amount,
    compiled,
    day,
    document,
    event,
    event_id,
    instant,
    system,
    trigger,
)

CATALOG = compiled(
    document(
        achievements=(achievement("10"), achievement("5", "pages")),
        points=(system(trigger(2, 5)), system(trigger(1, 10), key="gems")),
        user_attributes=("plan",),
        event_attributes=("device",),
    )
)
NOW = instant("2024-01-15T12:00")
TODAY = day("2024-01-15")
FIRST = Streak(1, TODAY, NOW, counted=True)


def test_a5_1_the_first_event_of_an_unknown_user_creates_them_with_all_its_effects() -> None:
    outcome = process(None, event("12.5"), CATALOG, NOW)
    assert outcome.user == User(
        Profile(NOW, NOW),
        totals={1: amount("12.5")},
        completions={1: NOW},
        points={1: 4, 2: 1},
        day=TODAY,
        streaks=Streaks(FIRST, FIRST, FIRST, {1: (amount("12.5"),) * 3}, earned_day=TODAY),
        first_day=TODAY,
    )
    assert outcome.metric is CATALOG.metrics["words"]
    assert outcome.total == amount("12.5")
    assert outcome.streak_extended
    assert [a.key for a in outcome.completed] == ["10"]
    assert [(a.system.key, a.awarded) for a in outcome.awards] == [("xp", 4), ("gems", 1)]


def test_an_event_changes_nothing_but_its_own_metric() -> None:
    before = process(None, event("12.5"), CATALOG, NOW).user
    after = process(before, event("2", "pages", number=2), CATALOG, NOW + 1)
    assert after.total == amount("2")
    assert after.user == User(
        before.profile,
        {1: amount("12.5"), 2: amount("2")},
        before.completions,
        before.points,
        TODAY,
        Streaks(FIRST, FIRST, FIRST, {1: (amount("12.5"),) * 3, 2: (amount("2"),) * 3}, earned_day=TODAY),
        first_day=TODAY,
    )
    assert (after.completed, after.awards, after.streak_extended) == ((), (), False)


def test_q16_an_event_of_nothing_changes_no_total_streak_achievement_or_points() -> None:
    before = process(None, event("7"), CATALOG, NOW).user
    outcome = process(before, event("0", number=2), CATALOG, NOW + 1)
    assert outcome.user == before
    assert (outcome.total, outcome.completed, outcome.awards) == (amount("7"), (), ())


def test_q17_q32_a_total_below_zero_is_a_plain_sum_and_no_streak() -> None:
    outcome = process(None, event("-3.25"), CATALOG, NOW)
    assert outcome.total == amount("-3.25")
    assert not outcome.streak_extended


def test_a_value_beyond_64_bits_counts_like_any_other() -> None:
    value = amount("1000000000000").to_bytes(16, "big", signed=True)
    outcome = process(None, RecordEvent("sam", "words", value, event_id(1)), CATALOG, NOW)
    assert outcome.total == amount("1000000000000")
    assert outcome.user.points == {1: 4 * 10**11, 2: 10**11}


def test_a3_2_the_event_is_counted_for_the_user_as_its_fields_make_them() -> None:
    fields = UserFields(tz="Pacific/Kiritimati", attributes={"plan": "pro"})
    user = process(None, event(fields=fields), CATALOG, NOW).user
    assert user.day == TODAY + 1
    assert user.profile.attributes == {"plan": "pro"}


REFUSED: dict[str, tuple[RecordEvent, str]] = {
    "unknown metric": (event(metric="wrds"), r"^key: expected the key of a metric, got 'wrds'$"),
    "event attribute": (
        event(attributes={"device": "phone", "plan": "pro"}),
        r"^Invalid attribute keys: plan\. attributes: expected keys of the catalog's event attributes\.$",
    ),
    "user attribute": (event(fields=UserFields(attributes={"device": "x"})), r"^Invalid attribute keys: device\. user"),
    "time zone": (event(fields=UserFields(name="Alex", tz="Mars/Base")), r"^user\.tz: "),
    "total": (RecordEvent("sam", "words", 10**24 + 1, event_id(9), UserFields(name="Alex")), r"^value: "),
}


@pytest.mark.parametrize(("refused", "message"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("known", [True, False])
def test_a5_4_what_is_refused_changes_nothing(refused: RecordEvent, message: str, known: bool) -> None:
    user = process(None, event("7"), CATALOG, NOW).user if known else None
    before = encode_user(user) if user else b""
    with pytest.raises(Invalid, match=message):
        process(user, refused, CATALOG, NOW + 86_400_000)
    assert (encode_user(user) if user else b"") == before


def test_known_event_attributes_are_accepted() -> None:
    assert process(None, event(attributes={"device": "phone"}), CATALOG, NOW).total == amount("1")


def test_a_refusal_is_for_the_caller() -> None:
    with pytest.raises(Rejected):
        find_metric(CATALOG, "WORDS")


def test_a5_10_an_archived_metric_takes_no_events_until_it_is_back_with_its_total() -> None:
    with_it, without = document(metrics=("words",)), document(metrics=("pages",))
    first = revise(Catalog(), with_it, 1000)
    second = revise(first, without, 2000)
    third = revise(second, with_it, 3000)
    user = process(None, event("7"), compile_catalog(first), NOW).user
    with pytest.raises(Invalid):
        process(user, event("1"), compile_catalog(second), NOW)
    assert process(user, event("1"), compile_catalog(third), NOW).total == amount("8")


def test_an_input_user_is_untouched_by_everything_that_can_change() -> None:
    before = process(None, event("7", fields=UserFields(attributes={"plan": "free"})), CATALOG, NOW).user
    snapshot = encode_user(before)
    changes: dict[str, Any] = {"tz": "Pacific/Kiritimati", "name": "Sam", "attributes": {"plan": "pro"}}
    after = process(before, event("50", fields=UserFields(**changes)), CATALOG, NOW + 86_400_000).user
    assert encode_user(before) == snapshot
    for field in ("profile", "totals", "completions", "points", "day", "streaks"):
        assert getattr(after, field) != getattr(before, field)
