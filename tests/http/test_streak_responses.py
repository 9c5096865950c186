"""Streaks as an event's response shows them, over days that the clock is moved through."""

from typing import Any

import pytest

from tests.http.conftest import Api

NONE = {"length": 0, "started": None, "expires": None, "extended": False}


async def streak_at(api: Api, moment: str, user: str | dict[str, Any] = "sam", **event: Any) -> Any:
    """The `currentStreak` of an event at a moment."""
    api.clock.move_to(moment)
    return (await api.send_ok(user, **event))["currentStreak"]


def shown(streak: Any, *names: str) -> dict[str, Any]:
    return {name: streak[name] for name in names}


async def test_a_streak_grows_once_a_day_and_starts_over_after_a_missed_day(api: Api) -> None:
    moments = ["03-02T10:00", "03-02T23:59", "03-03T00:00", "03-04T12:00", "03-06T00:00", "03-07T23:59"]
    streaks = [await streak_at(api, f"2026-{moment}+00:00") for moment in moments]
    assert [(streak["length"], streak["extended"]) for streak in streaks] == [
        (1, True),
        (1, False),
        (2, True),
        (3, True),
        (1, True),
        (2, True),
    ]
    assert [streak["started"][-2:] for streak in streaks] == ["02", "02", "02", "02", "06", "06"]
    assert [streak["expires"][-2:] for streak in streaks] == ["03", "03", "04", "05", "07", "08"]
    assert all(streak["frequency"] == "daily" and streak["periodStart"] == streak["periodEnd"] for streak in streaks)
    assert [streak["periodStart"][-2:] for streak in streaks] == ["02", "02", "03", "04", "06", "07"]


async def test_an_event_that_does_not_count_shows_the_streak_that_is_still_alive(api: Api) -> None:
    await streak_at(api, "2026-03-02T10:00+00:00")
    alive = await streak_at(api, "2026-03-03T10:00+00:00", metric="pages")
    assert shown(alive, *NONE) == {"length": 1, "started": "2026-03-02", "expires": "2026-03-03", "extended": False}
    lost = await streak_at(api, "2026-03-04T00:00+00:00", metric="pages")
    assert shown(lost, *NONE) == NONE
    assert shown(lost, "periodStart", "periodEnd") == {"periodStart": "2026-03-04", "periodEnd": "2026-03-04"}


async def test_a9_2_a_threshold_is_for_the_change_within_the_day(api: Api) -> None:
    assert (await streak_at(api, "2026-03-02T23:00+00:00", value=1.5, metric="hours"))["length"] == 0
    assert (await streak_at(api, "2026-03-03T01:00+00:00", value=1.5, metric="hours"))["length"] == 0
    assert (await streak_at(api, "2026-03-03T02:00+00:00", value=0.5, metric="hours"))["length"] == 1


@pytest.mark.parametrize(
    ("zone", "days"),
    [
        (None, ["02", "02", "03"]),
        ("UTC", ["02", "02", "03"]),
        ("Asia/Tokyo", ["02", "03", "03"]),
        ("America/Los_Angeles", ["02", "02", "02"]),
        ("Pacific/Kiritimati", ["03", "03", "03"]),
    ],
)
async def test_a9_1_days_are_the_users_own(api: Api, zone: str | None, days: list[str]) -> None:
    user = {"id": "sam", "tz": zone}
    moments = ["2026-03-02T14:30+00:00", "2026-03-02T15:30+00:00", "2026-03-03T01:30+00:00"]
    streaks = [await streak_at(api, moment, user) for moment in moments]
    assert [streak["periodStart"] for streak in streaks] == [f"2026-03-{day}" for day in days]
    assert [streak["length"] for streak in streaks] == [len(set(days[:count])) for count in (1, 2, 3)]


async def test_q32_no_streak_is_lost_by_moving(api: Api) -> None:
    assert (await streak_at(api, "2026-03-02T10:30+00:00", {"id": "sam", "tz": "America/Los_Angeles"}))["length"] == 1
    moved = await streak_at(api, "2026-03-03T16:00+00:00", {"id": "sam", "tz": "Asia/Tokyo"}, metric="pages")
    assert shown(moved, "length", "periodStart") == {"length": 1, "periodStart": "2026-03-04"}
    assert (await streak_at(api, "2026-03-04T14:59+00:00"))["length"] == 2


async def test_reading_later_changes_nothing(api: Api) -> None:
    await streak_at(api, "2026-03-02T10:00+00:00")
    api.clock.move_to("2026-03-10T10:00+00:00")
    before = await api.user("sam"), await api.metrics("sam")
    assert (await api.user("sam"), await api.metrics("sam")) == before
    assert before[0]["updated"].startswith("2026-03-02")
