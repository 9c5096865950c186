"""Achievements in responses: the fields of each trigger, who sees which, and in which order."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from plaudit.engine.amounts import UNIT
from plaudit.engine.tally import Counter
from tests.actors.rendering import AT, CATALOG, IDS, NUMBERS, RENDERER, body_of, somebody
from tests.engine.builders import CREATED_MS

WORDS = CATALOG.metrics["words"]
OF_ALL = {"id", "key", "name", "trigger", "description", "badgeUrl", "userAttributes"}
OF_METRICS = {"metricId", "metricValue", "metricName", "eventAttributes"}


def stats(counters: dict[Counter, int] | None = None, *attributes: tuple[str, str]) -> Any:
    return body_of(RENDERER.achievement_stats(counters or {}, attributes))


def objects() -> dict[str, dict[str, Any]]:
    return {achievement["body"]["key"]: achievement["body"] for achievement in stats()["achievements"]}


def of_user(*, include_incomplete: bool = False, plan: str = "", **completed: int) -> list[dict[str, Any]]:
    reply = RENDERER.user_achievements(somebody(plan, **completed), include_incomplete=include_incomplete)
    parts = body_of(reply)["achievements"]
    assert [part["id"] for part in parts] == [part["body"]["id"] for part in parts]
    return [part["body"] for part in parts]


def keys(bodies: list[dict[str, Any]]) -> list[str]:
    return [body["key"] for body in bodies]


@pytest.mark.parametrize(
    ("key", "more"),
    [
        ("some", OF_METRICS),
        ("late", OF_METRICS | {"eventAttribute"}),
        ("week", {"streakLength"}),
        ("year", {"anniversaryYears"}),
        ("asked", set()),
        ("both", {"achievementIds"}),
    ],
)
def test_each_trigger_has_its_own_fields_and_no_others(key: str, more: set[str]) -> None:
    assert set(objects()[key]) == OF_ALL | more


def test_metric_achievement() -> None:
    assert objects()["some"] == {
        "id": IDS["some"],
        "key": "some",
        "name": "Some",
        "trigger": "metric",
        "description": "Ten",
        "badgeUrl": "https://example.com/b.png",
        "userAttributes": [],
        "metricId": WORDS.definition.id,
        "metricValue": 10,
        "metricName": "words",
        "eventAttributes": [],
    }


def test_values_are_exact_and_what_is_not_given_is_null() -> None:
    many = objects()["many"]
    assert many["metricValue"] == Decimal("1000.5")
    assert (many["description"], many["badgeUrl"]) == (None, None)


def test_filters_and_their_deprecated_mirror() -> None:
    late = objects()["late"]
    assert late["userAttributes"] == [{"key": "plan", "value": "pro"}]
    assert late["eventAttributes"] == [{"key": "place", "value": "home"}]
    assert late["eventAttribute"] == {"key": "place", "value": "home"}


def test_prerequisites_are_ids() -> None:
    found = objects()
    assert found["both"]["achievementIds"] == [IDS["some"], IDS["asked"]]
    assert found["week"]["streakLength"] == 7
    assert found["year"]["anniversaryYears"] == 1


def test_user_has_what_is_completed_in_order_of_creation() -> None:
    bodies = of_user(asked=CREATED_MS + 5, some=CREATED_MS)
    assert keys(bodies) == ["some", "asked"]
    assert [body["achievedAt"] for body in bodies] == [AT, "2023-11-14T22:13:20.005Z"]


def test_user_who_has_nothing() -> None:
    assert of_user() == []


def test_locked_achievement_is_only_for_who_has_it() -> None:
    assert keys(of_user(shut=CREATED_MS)) == ["shut"]
    assert "shut" not in keys(of_user(include_incomplete=True))


def test_inactive_achievement_is_for_nobody() -> None:
    assert of_user(off=CREATED_MS) == []
    assert "off" not in keys(of_user(include_incomplete=True, off=CREATED_MS))


def test_incomplete_ones_are_those_that_the_user_can_complete() -> None:
    bodies = of_user(include_incomplete=True, some=CREATED_MS)
    assert keys(bodies) == ["many", "some", "week", "year", "asked", "both"]
    assert [body["achievedAt"] for body in bodies] == [None, AT, None, None, None, None]
    assert "late" in keys(of_user(include_incomplete=True, plan="pro"))


def test_what_is_completed_stays_with_who_has_changed() -> None:
    assert keys(of_user(plan="free", late=CREATED_MS)) == ["late"]


def test_counts_are_of_all_achievements_in_order_of_creation() -> None:
    part = stats({("users", 0): 9, ("completions", NUMBERS["week"]): 4, ("points", NUMBERS["week"]): 1})
    assert part["users"] == 9
    counts = {each["body"]["key"]: each["completions"] for each in part["achievements"]}
    assert counts == {"many": 0, "some": 0, "late": 0, "week": 4, "year": 0, "asked": 0, "both": 0, "shut": 0}
    assert list(counts) == ["many", "some", "late", "week", "year", "asked", "both", "shut"]
    assert [each["id"] for each in part["achievements"]] == [IDS[key] for key in counts]


@pytest.mark.parametrize(
    ("attributes", "missing"),
    [((), {"shut"}), ((("plan", "pro"),), {"shut"}), ((("plan", "free"),), {"shut", "late"})],
)
def test_listed_are_active_ones_for_users_with_these_attributes(
    attributes: tuple[tuple[str, str], ...], missing: set[str]
) -> None:
    part = stats({}, *attributes)
    assert {each["body"]["key"] for each in part["achievements"] if not each["listed"]} == missing


def test_metric_has_its_achievements_by_value() -> None:
    user = replace(somebody(some=CREATED_MS), totals={WORDS.definition.number: UNIT * 21 // 2})
    body = body_of(RENDERER.metric(user, WORDS))
    assert {key: value for key, value in body.items() if key != "achievements"} == {
        "id": WORDS.definition.id,
        "key": "words",
        "name": "words",
        "status": "active",
        "current": Decimal("10.5"),
    }
    assert [(each["key"], each["achievedAt"]) for each in body["achievements"]] == [("some", AT), ("many", None)]


def test_metric_has_what_is_locked_or_filtered_only_for_whom_it_concerns() -> None:
    locked = body_of(RENDERER.metric(somebody("pro", shut=CREATED_MS), WORDS))
    assert keys(locked["achievements"]) == ["shut", "late", "some", "many"]


def test_all_metrics_are_each_as_alone() -> None:
    user = somebody(some=CREATED_MS)
    assert body_of(RENDERER.metrics(user)) == [body_of(RENDERER.metric(user, m)) for m in CATALOG.metrics.values()]
