"""Responses to events and completions, summaries, and ids that are the same everywhere."""

from decimal import Decimal
from typing import Any

import pytest

from plaudit.actors.formats import award_id
from plaudit.actors.replies import reject
from plaudit.engine.amounts import UNIT
from plaudit.engine.catalog import PointsSystem
from plaudit.engine.commands import CompleteAchievement, UserFields
from plaudit.engine.compiled import CompiledSystem
from plaudit.engine.errors import Forbidden, Invalid, Needless, NotFound, Rejected
from plaudit.engine.ids import derive_id, format_id
from plaudit.engine.outcome import Award, Boost, Completion, Outcome
from plaudit.engine.process import complete_on_demand, process
from plaudit.engine.summaries import PeriodTotal
from plaudit.engine.user import UserBoost
from tests.actors.rendering import AT, CATALOG, GEMS, IDS, RENDERER, XP, body_of, somebody
from tests.engine.builders import CREATED_MS, day, event, event_id

EVENT = event()
TRIGGERS = {trigger.key: trigger for trigger in XP.definition.triggers}
OWN = UserBoost(event_id(7), XP.definition.number, "Own", day("2023-11-10"), None, 2 * UNIT, "down")


def award(awarded: int, total: int, system: CompiledSystem = XP, *boosts: Boost) -> Award:
    definition: PointsSystem = system.definition
    trigger = TRIGGERS["plain"] if system is XP else definition.triggers[0]
    return Award(definition, trigger, awarded, total, boosts)


def respond(*awards: Award) -> Any:
    outcome = Outcome(somebody(), CATALOG.metrics["words"], UNIT, (), False, awards)
    return body_of(RENDERER.event(EVENT, outcome, CREATED_MS), 201)


def test_event_without_consequences() -> None:
    body = respond()
    assert body == {
        "eventId": format_id(EVENT.event_id),
        "metricId": CATALOG.metrics["words"].definition.id,
        "total": 1,
        "achievements": [],
        "currentStreak": body["currentStreak"],
        "points": {},
        "leaderboards": {},
    }


def test_event_that_completes_achievements() -> None:
    outcome = process(somebody(), event("10"), CATALOG, CREATED_MS)
    body = body_of(RENDERER.event(EVENT, outcome, CREATED_MS), 201)
    assert [(each["key"], each["achievedAt"]) for each in body["achievements"]] == [("some", AT)]


def test_points_of_an_event() -> None:
    body = respond(award(10, 10))["points"]
    [given] = body["xp"].pop("awards")
    assert body == {
        "xp": {
            "id": XP.definition.id,
            "key": "xp",
            "name": "XP",
            "description": "Experience",
            "badgeUrl": "https://example.com/x.png",
            "maxPoints": 10_000,
            "total": 10,
            "added": 10,
        }
    }
    trigger = given.pop("trigger")
    assert trigger["id"] == TRIGGERS["plain"].id
    assert given == {
        "id": format_id(award_id(EVENT.event_id, 0)),
        "awarded": 10,
        "date": AT,
        "total": 10,
        "boosts": [],
    }


def test_awards_are_newest_first_with_ids_by_their_place_among_those_of_all_systems() -> None:
    points = respond(award(10, 30), award(1, 5, GEMS), award(-4, 26))["points"]
    ids = [format_id(award_id(EVENT.event_id, position)) for position in range(3)]
    assert [(each["id"], each["awarded"]) for each in points["xp"]["awards"]] == [(ids[2], -4), (ids[0], 10)]
    assert [each["id"] for each in points["gems"]["awards"]] == [ids[1]]
    assert (points["xp"]["total"], points["xp"]["added"]) == (26, 6)
    assert (points["gems"]["total"], points["gems"]["added"]) == (5, 1)


def test_award_ids_are_uuids_derived_from_the_entry() -> None:
    assert award_id(EVENT.event_id, 2) == derive_id(EVENT.event_id, "award", 2)
    assert len({award_id(event_id(n), position) for n in range(3) for position in range(3)}) == 9


@pytest.mark.parametrize(
    ("awards", "level"),
    [
        ([(10, 50)], "bronze"),
        ([(200, 240)], "gold"),
        ([(-50, 190)], "silver"),
        ([(100, 149), (1, 150)], "silver"),
        ([(-10, 45)], None),
    ],
)
def test_level_that_has_changed(awards: list[tuple[int, int]], level: str | None) -> None:
    entry = respond(*(award(*each) for each in awards))["points"]["xp"]
    assert "level" in entry
    assert (entry["level"] and entry["level"]["key"]) == level


@pytest.mark.parametrize("awards", [[(10, 49)], [(10, 60)], [(-10, 50)], [(60, 60), (-20, 40)], [(5, 55), (5, 60)]])
def test_no_level_where_it_is_the_same_in_the_end(awards: list[tuple[int, int]]) -> None:
    assert "level" not in respond(*(award(*each) for each in awards))["points"]["xp"]


def test_no_level_in_a_system_without_levels() -> None:
    assert "level" not in respond(award(1, 1, GEMS))["points"]["gems"]


def test_boosts_that_have_multiplied_an_award_are_active() -> None:
    now = next(each.definition for each in XP.boosts if each.definition.key == "now")
    [given] = respond(award(30, 30, XP, now, OWN))["points"]["xp"]["awards"]
    assert [(boost["id"], boost["status"], boost["multiplier"]) for boost in given["boosts"]] == [
        (now.id, "active", Decimal("1.5")),
        (format_id(OWN.id), "active", 2),
    ]


def test_completion_says_what_was_completed_with_it() -> None:
    user = process(somebody(), event("10"), CATALOG, CREATED_MS).user
    outcome = complete_on_demand(user, CompleteAchievement("sam", "asked", UserFields()), CATALOG, CREATED_MS)
    body = body_of(RENDERER.completed(outcome, event_id(3), CREATED_MS), 201)
    assert set(body) == {"completionId", "achievement", "points", "achievements"}
    assert body["completionId"] == format_id(event_id(3))
    assert (body["achievement"]["id"], body["achievement"]["achievedAt"]) == (IDS["asked"], AT)
    assert [(each["key"], each["achievedAt"]) for each in body["achievements"]] == [("both", AT)]
    [given] = body["points"]["xp"]["awards"]
    assert given["id"] == format_id(award_id(event_id(3), 0))
    assert (given["awarded"], given["trigger"]["achievementId"]) == (75, IDS["asked"])


def test_completion_of_nothing_more() -> None:
    achievement = CATALOG.achievements.by_key["asked"]
    outcome = Completion(somebody(), achievement, (achievement,), ())
    body = body_of(RENDERER.completed(outcome, event_id(3), CREATED_MS), 201)
    assert (body["points"], body["achievements"]) == ({}, [])


def test_completion_of_what_is_completed_already() -> None:
    achievement = CATALOG.achievements.by_key["asked"]
    body = body_of(RENDERER.already_completed(achievement, event_id(3), CREATED_MS), 202)
    assert body["completionId"] == format_id(event_id(3))
    assert (body["achievement"]["key"], body["achievement"]["achievedAt"]) == ("asked", AT)
    assert body["points"] == {}


def test_summaries() -> None:
    first = PeriodTotal(day("2024-01-01"), 3 * UNIT // 2, UNIT // 2)
    assert body_of(RENDERER.metric_summary([first])) == [
        {"date": "2024-01-01", "total": Decimal("1.5"), "change": Decimal("0.5")}
    ]
    rows = [PeriodTotal(day("2024-01-01"), 10**15, 0), PeriodTotal(day("2024-02-01"), 7, -3)]
    assert body_of(RENDERER.points_summary(rows)) == [
        {"date": "2024-01-01", "total": 10**15, "change": 0},
        {"date": "2024-02-01", "total": 7, "change": -3},
    ]
    assert body_of(RENDERER.metric_summary([])) == []


@pytest.mark.parametrize(
    ("error", "status"), [(Invalid("x"), 422), (NotFound("x"), 404), (Forbidden("x"), 403), (Needless("x"), 409)]
)
def test_errors(error: Rejected, status: int) -> None:
    assert body_of(reject(error), status) == {"error": "x"}
