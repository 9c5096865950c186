"""Points in responses: systems, triggers, awards, boosts and levels."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from plaudit.actors.formats import award_id
from plaudit.actors.points_replies import FoundAward
from plaudit.actors.replies import admin_boost, level_counts, levels, point_counts, system_boosts, user_boosts
from plaudit.engine.amounts import UNIT
from plaudit.engine.catalog import Catalog
from plaudit.engine.commands import CreateBoost
from plaudit.engine.compiling import compile_catalog
from plaudit.engine.ids import format_id
from plaudit.engine.tally import LEVELS, Counter, bucket_of, spread
from plaudit.engine.user import User, UserBoost
from plaudit.storage.history import AwardEntry, LoggedBoost
from tests.actors.rendering import (
    AT,
    BOOST_NUMBERS,
    CATALOG,
    GEMS,
    IDS,
    LEVEL_NUMBERS,
    RENDERER,
    TRIGGER_NUMBERS,
    XP,
    body_of,
    somebody,
)
from tests.engine.builders import CREATED_MS, day, event_id

NUMBER = XP.definition.number
TODAY = day("2023-11-14")
BASE = {
    "id": XP.definition.id,
    "key": "xp",
    "name": "XP",
    "description": "Experience",
    "badgeUrl": "https://example.com/x.png",
    "maxPoints": 10_000,
}
OF_ALL_TRIGGERS = {"id", "type", "points", "status", "userAttributes", "created", "updated"}
OF_METRICS = {"metricId", "metricName", "metricThreshold", "eventAttributes"}
OWN = UserBoost(event_id(7), NUMBER, "Own", day("2023-11-10"), None, UNIT * 5 // 2, "nearest")


def system_triggers() -> list[dict[str, Any]]:
    triggers: list[dict[str, Any]] = body_of(RENDERER.points_system(XP))["triggers"]
    return triggers


def trigger_of(key: str) -> dict[str, Any]:
    id_ = next(trigger.id for trigger in XP.definition.triggers if trigger.key == key)
    return next(trigger for trigger in system_triggers() if trigger["id"] == id_)


def having(points: int) -> User:
    return replace(somebody(), points={NUMBER: points})


def points_of(user: User, *awards: FoundAward, today: int = TODAY) -> Any:
    return body_of(RENDERER.points(user, XP, awards, today))


def found(number: int, *boosts: int | LoggedBoost, trigger: str = "plain") -> FoundAward:
    entry = AwardEntry(NUMBER, TRIGGER_NUMBERS[trigger], 10, 10 * number, boosts)
    return FoundAward(award_id(event_id(number), 0), CREATED_MS, entry)


def names(boosts: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(boost["name"], boost["status"]) for boost in boosts]


def test_system_has_its_active_triggers_in_order_of_creation() -> None:
    body = body_of(RENDERER.points_system(XP))
    assert {key: value for key, value in body.items() if key != "triggers"} == BASE
    assert [trigger["id"] for trigger in body["triggers"]] == [t.id for t in XP.definition.triggers[:-1]]
    assert {trigger["status"] for trigger in body["triggers"]} == {"active"}


def test_system_that_says_little() -> None:
    body = body_of(RENDERER.points_system(GEMS))
    assert (body["description"], body["badgeUrl"], body["maxPoints"]) == (None, None, None)


@pytest.mark.parametrize(
    ("key", "more"),
    [
        ("words", OF_METRICS | {"eventAttribute"}),
        ("plain", OF_METRICS),
        ("week", {"streakLengthThreshold"}),
        ("asked", {"achievementId", "achievementName"}),
        ("daily", {"timeUnit", "timeInterval"}),
        ("hello", set()),
    ],
)
def test_each_type_has_its_own_fields_and_no_others(key: str, more: set[str]) -> None:
    assert set(trigger_of(key)) == OF_ALL_TRIGGERS | more


def test_metric_trigger() -> None:
    trigger = trigger_of("words")
    assert {key: value for key, value in trigger.items() if key != "id"} == {
        "type": "metric",
        "points": 10,
        "status": "active",
        "userAttributes": [{"key": "plan", "value": "pro"}],
        "created": AT,
        "updated": AT,
        "metricId": CATALOG.metrics["words"].definition.id,
        "metricName": "words",
        "metricThreshold": 5,
        "eventAttributes": [{"key": "place", "value": "home"}],
        "eventAttribute": {"key": "place", "value": "home"},
    }


def test_triggers_of_other_types() -> None:
    assert trigger_of("week")["streakLengthThreshold"] == 7
    asked, hourly, daily = trigger_of("asked"), trigger_of("hourly"), trigger_of("daily")
    assert (asked["achievementId"], asked["achievementName"]) == (IDS["asked"], "Asked")
    assert (hourly["timeUnit"], hourly["timeInterval"]) == ("hour", 6)
    assert (daily["timeUnit"], daily["timeInterval"], daily["points"]) == ("day", 1, -2)


@pytest.mark.parametrize(
    ("total", "level"), [(0, None), (49, None), (50, "bronze"), (199, "silver"), (200, "gold"), (9999, "gold")]
)
def test_user_has_the_level_of_the_total(total: int, level: str | None) -> None:
    body = points_of(having(total))
    assert {key: body[key] for key in BASE} == BASE
    assert (body["total"], body["awards"]) == (total, [])
    assert (body["level"] and body["level"]["key"]) == level


def test_user_who_never_had_any_points() -> None:
    body = points_of(somebody())
    assert (body["total"], body["level"], body["awards"]) == (0, None, [])


def test_awards_are_in_the_order_in_which_they_are_given() -> None:
    newer, older = points_of(having(20), found(2), found(1))["awards"]
    assert newer == {
        "id": format_id(award_id(event_id(2), 0)),
        "awarded": 10,
        "date": AT,
        "total": 20,
        "trigger": trigger_of("plain"),
        "boosts": [],
    }
    assert older["total"] == 10


def test_award_of_a_trigger_that_is_not_active_any_more() -> None:
    [award] = points_of(having(10), found(1, trigger="later"))["awards"]
    assert award["trigger"]["status"] == "inactive"


def test_award_of_a_trigger_that_is_archived() -> None:
    definition = XP.definition
    triggers = tuple(replace(trigger, archived=True) for trigger in definition.triggers)
    catalog = CATALOG.catalog
    changed = compile_catalog(_with_system(catalog, replace(definition, triggers=triggers)))
    renderer = type(RENDERER)(changed)
    [award] = body_of(renderer.points(having(10), changed.systems["xp"], [found(1)], TODAY))["awards"]
    assert award["trigger"]["status"] == "archived"
    assert body_of(renderer.points_system(changed.systems["xp"]))["triggers"] == []


def _with_system(catalog: Catalog, system: Any) -> Catalog:
    return replace(catalog, points_systems=(system, *catalog.points_systems[1:]))


def test_award_has_the_boosts_of_the_catalog_and_the_user_s_own() -> None:
    own = LoggedBoost(OWN.id, OWN.name, OWN.start_day, OWN.end_day, OWN.multiplier, OWN.rounding)
    [award] = points_of(having(10), found(1, BOOST_NUMBERS["now"], own))["awards"]
    assert award["boosts"] == [
        {
            "id": next(boost.id for boost in XP.definition.boosts if boost.key == "now"),
            "name": "Now",
            "status": "active",
            "start": "2023-11-01",
            "end": "2023-11-30",
            "multiplier": Decimal("1.5"),
            "rounding": "up",
        },
        {
            "id": format_id(OWN.id),
            "name": "Own",
            "status": "active",
            "start": "2023-11-10",
            "end": None,
            "multiplier": Decimal("2.5"),
            "rounding": "nearest",
        },
    ]


def test_boost_of_an_old_award_is_as_it_stands_today() -> None:
    award = found(1, BOOST_NUMBERS["now"])
    [body] = points_of(having(10), award, today=day("2023-12-01"))["awards"]
    assert names(body["boosts"]) == [("Now", "finished")]


def test_boosts_of_all_users_in_order_of_creation() -> None:
    body = body_of(system_boosts(XP, TODAY, include_finished=True))
    assert names(body) == [("Old", "finished"), ("Now", "active"), ("Pro", "active"), ("Soon", "scheduled")]
    assert [boost["multiplier"] for boost in body] == [3, Decimal("1.5"), 2, Decimal("0.25")]
    assert names(body_of(system_boosts(XP, TODAY, include_finished=False))) == names(body)[1:]
    assert body_of(system_boosts(GEMS, TODAY, include_finished=True)) == []


@pytest.mark.parametrize(
    ("today", "status"),
    [
        ("2023-10-31", "scheduled"),
        ("2023-11-01", "active"),
        ("2023-11-30", "active"),
        ("2023-12-01", "finished"),
    ],
)
def test_boost_is_active_on_its_first_and_last_day(today: str, status: str) -> None:
    boosts = dict(names(body_of(system_boosts(XP, day(today), include_finished=True))))
    assert boosts["Now"] == status


def test_user_s_boosts_are_those_that_multiply_today() -> None:
    user = replace(somebody("pro"), boosts=(OWN, replace(OWN, system=GEMS.definition.number)))
    assert names(body_of(user_boosts(user, XP, TODAY))) == [("Now", "active"), ("Pro", "active"), ("Own", "active")]
    assert names(body_of(user_boosts(somebody(), XP, TODAY))) == [("Now", "active")]


@pytest.mark.parametrize(("today", "status"), [("2023-11-09", "scheduled"), ("2023-11-14", "active")])
def test_boost_of_one_user(today: str, status: str) -> None:
    command = CreateBoost("sam", XP.definition.id, OWN.id, OWN.name, OWN.start_day, None, OWN.multiplier, "nearest")
    assert body_of(admin_boost(command, day(today)), 201) == {
        "id": format_id(OWN.id),
        "name": "Own",
        "status": status,
        "start": "2023-11-10",
        "end": None,
        "multiplier": Decimal("2.5"),
        "rounding": "nearest",
        "userId": "sam",
    }


def test_levels_by_ascending_points() -> None:
    bronze, silver, gold = body_of(levels(XP))
    assert (bronze["key"], bronze["description"], bronze["badgeUrl"]) == ("bronze", "", None)
    assert silver["key"] == "silver"
    assert {key: value for key, value in gold.items() if key != "id"} == {
        "key": "gold",
        "name": "Gold",
        "description": "Much",
        "badgeUrl": "https://example.com/g.png",
        "points": 200,
    }
    assert body_of(levels(GEMS)) == []


def test_users_at_each_level() -> None:
    counters: dict[Counter, int] = {
        ("levels", NUMBER * LEVELS + LEVEL_NUMBERS["bronze"]): 3,
        ("levels", GEMS.definition.number * LEVELS + LEVEL_NUMBERS["gold"]): 5,
    }
    counted = body_of(level_counts(XP, counters))["levels"]
    assert [(level["body"]["key"], level["users"]) for level in counted] == [("bronze", 3), ("silver", 0), ("gold", 0)]
    assert [level["body"] for level in counted] == body_of(levels(XP))
    assert [level["id"] for level in counted] == [level["body"]["id"] for level in counted]


def test_system_without_levels_has_no_summary_of_them() -> None:
    assert "levels" in body_of(level_counts(GEMS, {}), 422)["error"]


def test_counts_of_points_are_of_one_system() -> None:
    gems = GEMS.definition.number
    counters: dict[Counter, int] = {
        ("users", 0): 10,
        ("points", bucket_of(gems, 7)): 2,
        ("points", bucket_of(gems, 560)): 1,
        ("points", bucket_of(NUMBER, 3)): 4,
        ("completions", bucket_of(gems, 7)): 9,
    }
    body = body_of(point_counts(GEMS, counters))
    assert body["users"] == 10
    merged: dict[Counter, int] = {("points", int(bucket)): users for bucket, users in body["buckets"].items()}
    assert spread(merged | {("users", 0): 10}, 0) == spread(counters, gems)
