"""From when on time counts for a trigger, as documents come and go."""

from typing import Any

import pytest

from plaudit.engine.catalog import Catalog, PointsTrigger
from plaudit.engine.compiling import compile_catalog
from plaudit.engine.document import PointsEntry, TriggerEntry
from plaudit.engine.revision import revise
from tests.engine.builders import Player, document, instant, system

MADE = "2024-01-01T00:00"
GONE = "2024-01-01T00:40"
BACK = "2025-01-01T00:40"


def hourly(points: int = 1, **more: Any) -> PointsEntry:
    """A system that gives points every hour."""
    return system(TriggerEntry("hourly", points=points, type="time", time_unit="hours", time_interval=1, **more))


def daily(**more: Any) -> PointsEntry:
    """A system that gives a point every two days."""
    return system(TriggerEntry("daily", points=1, type="time", time_unit="days", time_interval=2, **more))


def applies(sam: Player, at: str, *entries: PointsEntry) -> Player:
    """A document with these systems is applied at a time in UTC."""
    applied = document(points=entries, user_attributes=("plan", "team"))
    sam.catalog = compile_catalog(revise(sam.catalog.catalog, applied, instant(at)))
    return sam


def somebody(*entries: PointsEntry, plan: str = "free") -> Player:
    """A user made half an hour after a document."""
    sam = applies(Player(compile_catalog(Catalog())), MADE, *entries)
    sam.sends("2024-01-01T00:30", "0", being={"plan": plan})
    return sam


def paid(sam: Player) -> list[int]:
    return [happening.at_ms for happening in sam.happenings if happening.awards]


@pytest.mark.parametrize("looks", [(), ("2024-01-01T00:50",), ("2024-06-01", "2024-12-31T23:59")])
def test_q42_a_system_that_was_archived_does_not_pay_for_its_absence(looks: tuple[str, ...]) -> None:
    sam = applies(somebody(hourly()), GONE)
    for look in looks:
        sam.waits(look)
    applies(sam, BACK, hourly())
    sam.waits("2025-01-01T02:00")
    assert paid(sam) == [instant("2025-01-01T01:00"), instant("2025-01-01T02:00")]
    assert sam.state.points == {1: 2}


def test_q42_nor_does_one_that_counts_days() -> None:
    sam = applies(somebody(daily()), GONE)
    applies(sam, BACK, daily())
    sam.waits("2025-01-05")
    assert paid(sam) == [instant("2025-01-03"), instant("2025-01-05")]


def test_q42_a_system_that_comes_back_counts_anew_and_the_one_beside_it_goes_on() -> None:
    gems = system(TriggerEntry("rent", points=1, type="time", time_unit="days", time_interval=30), key="gems")
    sam = applies(applies(somebody(daily(), gems), GONE, gems), "2024-01-20T12:00", daily(), gems)
    sam.waits("2024-01-31")
    assert paid(sam) == [instant(f"2024-01-{at}") for at in (22, 24, 26, 28, 30, 31)]


def test_q42_a_trigger_that_is_not_active_when_its_system_comes_back_counts_from_when_it_is() -> None:
    sam = applies(applies(somebody(hourly()), GONE), "2024-06-01T00:40", hourly(status="inactive"))
    applies(sam, BACK, hourly())
    sam.waits("2025-01-01T01:00")
    assert paid(sam) == [instant("2025-01-01T01:00")]


@pytest.mark.parametrize("is_dormant", [True, False])
def test_q42_who_becomes_one_of_those_it_is_for_by_an_edit_is_paid_from_then_on(*, is_dormant: bool) -> None:
    sam = somebody(hourly(user_attributes={"plan": "pro"}))
    if not is_dormant:
        sam.sends("2025-01-01T00:00", "0")
    applies(sam, BACK, hourly(user_attributes={"plan": "free"}))
    sam.waits("2025-01-01T02:00")
    assert paid(sam) == [instant("2025-01-01T01:00"), instant("2025-01-01T02:00")]


def test_q42_so_they_are_if_it_is_for_everybody_now() -> None:
    sam = applies(somebody(hourly(user_attributes={"plan": "pro"})), BACK, hourly())
    assert paid(sam.waits("2025-01-01T01:00")) == [instant("2025-01-01T01:00")]


def test_q42_an_edited_filter_begins_the_intervals_anew_for_those_it_was_for_as_well() -> None:
    sam = somebody(daily(user_attributes={"plan": "pro"}), plan="pro")
    sam.waits("2024-01-04T10:00")
    applies(sam, "2024-01-04T12:00", daily())
    sam.waits("2024-01-08")
    assert paid(sam) == [instant(f"2024-01-0{at}") for at in (3, 6, 8)]


def triggers(sam: Player) -> tuple[PointsTrigger, ...]:
    return sam.catalog.catalog.points_systems[0].triggers


def test_what_says_nothing_of_time_or_users_leaves_the_intervals_alone() -> None:
    both = {"plan": "pro", "team": "red"}
    sam = somebody(hourly(user_attributes=both))
    since = triggers(sam)[0].activated_ms
    assert since == instant(MADE)
    applies(sam, BACK, hourly(7, user_attributes=dict(reversed(both.items()))))
    assert [(each.points, each.activated_ms) for each in triggers(sam)] == [(7, since)]
    applies(sam, BACK, hourly(7, user_attributes={"plan": "pro"}))
    assert [each.activated_ms for each in triggers(sam)] == [instant(BACK)]
