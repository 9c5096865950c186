"""`GET /v1/users/{id}/streak`."""

from typing import Any

import pytest

from tests.http.conftest import Api
from tests.http.refusal import assert_error

AT = "2026-03-02T10:00:00.250Z"
"""When tests start, as a response writes it: a Monday."""
FREEZES = {"startCount": 1, "maxCount": 2, "autoEarnInterval": 7, "autoEarnAmount": 1}


def day(number: int, length: int, *, used_pause: bool = False, **more: Any) -> dict[str, Any]:
    """A day of March 2026 in a history."""
    date = f"2026-03-{number:02}"
    return {"periodStart": date, "periodEnd": date, "length": length, "usedPause": used_pause, **more}


async def extend(api: Api, *days: int) -> None:
    """Make these days of March 2026 count."""
    for number in days:
        if number > 2:
            await api.move_to(f"2026-03-{number:02}T12:00:00Z")
        await api.send_ok("sam")


async def test_a14_the_whole_response(timed: Api) -> None:
    await extend(timed, 2, 3)
    response = await timed.client.get("/v1/users/sam/streak?historyPeriods=3")
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "length": 2,
        "frequency": "daily",
        "started": "2026-03-02",
        "periodStart": "2026-03-03",
        "periodEnd": "2026-03-03",
        "expires": "2026-03-04",
        "extended": "2026-03-03T12:00:00.000Z",
        "streakHistory": [
            {"periodStart": "2026-03-01", "periodEnd": "2026-03-01", "length": 0, "usedPause": False},
            day(2, 1),
            day(3, 2),
        ],
        "pauses": [],
    }


async def test_q28_without_a_streak_there_is_the_current_period_and_no_other_date(timed: Api) -> None:
    await timed.send_ok("sam", 0)
    streak = await timed.streak(periods=1)
    assert streak == {
        "length": 0,
        "frequency": "daily",
        "started": None,
        "periodStart": "2026-03-02",
        "periodEnd": "2026-03-02",
        "expires": None,
        "extended": None,
        "streakHistory": [day(2, 0)],
        "pauses": [],
    }


async def test_a9_20_seven_periods_are_shown_and_the_last_one_is_the_current_one(timed: Api) -> None:
    await extend(timed, 2, 3, 4, 6, 7)
    await timed.move_to("2026-03-09T12:00:00Z")
    history = (await timed.streak())["streakHistory"]
    assert history == [day(3, 2), day(4, 3), day(5, 0), day(6, 1), day(7, 2), day(8, 0), day(9, 0)]


@pytest.mark.parametrize("periods", [0, 1, 2, 365])
async def test_as_many_periods_as_are_asked_for(timed: Api, periods: int) -> None:
    await extend(timed, 2, 3)
    history = (await timed.streak(periods=periods))["streakHistory"]
    assert len(history) == periods
    assert [period["length"] for period in history[-2:]] == [1, 2][-periods:] * bool(periods)
    assert [period["periodStart"] for period in history] == sorted({period["periodStart"] for period in history})


@pytest.mark.parametrize("periods", ["366", "-1", "7.0", "seven", "", "1e2", "٣", "9" * 5000])
async def test_q13_another_number_of_periods_is_refused(api: Api, periods: str) -> None:
    await api.send_ok("sam")
    response = await api.client.get("/v1/users/sam/streak", params={"historyPeriods": periods})
    assert_error(response, 422, "historyPeriods:")


async def test_an_unknown_user_is_not_found(api: Api) -> None:
    assert_error(await api.client.get("/v1/users/sam/streak"), 404, "User not found")
    assert_error(await api.client.post("/v1/users/sam/streak"), 405)


@pytest.mark.parametrize(
    ("frequency", "period", "expires"),
    [
        ("weekly", ("2026-03-01", "2026-03-07"), "2026-03-14"),
        ("monthly", ("2026-03-01", "2026-03-31"), "2026-04-30"),
    ],
)
async def test_a9_4_weeks_and_months(timed: Api, frequency: str, period: tuple[str, str], expires: str) -> None:
    await timed.change_streaks(frequency=frequency)
    event = (await timed.send_ok("sam"))["currentStreak"]
    streak = await timed.streak(periods=2)
    for shown in (event, streak):
        assert (shown["length"], shown["frequency"], shown["started"]) == (1, frequency, "2026-03-02")
        assert ((shown["periodStart"], shown["periodEnd"]), shown["expires"]) == (period, expires)
    before, now = streak["streakHistory"]
    assert (before["length"], now["length"]) == (0, 1)
    assert (now["periodStart"], now["periodEnd"]) == period
    assert before["periodEnd"] == "2026-02-28"


async def test_a9_1_all_frequencies_are_kept(timed: Api) -> None:
    """The setting may change at any time."""
    await extend(timed, 2, 3, 4, 10)
    lengths = {}
    for frequency in ("weekly", "monthly", "daily"):
        await timed.change_streaks(frequency=frequency)
        lengths[frequency] = (await timed.streak())["length"]
    assert lengths == {"daily": 1, "weekly": 2, "monthly": 1}


async def test_a9_11_freezes_are_shown_once_there_are_any(timed: Api) -> None:
    settings = await timed.change_streaks(freezes=FREEZES)
    assert settings["freezes"] == FREEZES
    event = (await timed.send_ok("sam"))["currentStreak"]
    expected = {"freezes": 1, "maxFreezes": 2, "freezeAutoEarnInterval": 7, "freezeAutoEarnAmount": 1}
    assert {name: event[name] for name in expected} == expected
    await timed.move_to("2026-03-04T00:00:00Z")
    streak = await timed.streak(periods=3)
    assert {name: streak[name] for name in expected} == expected | {"freezes": 0}
    assert streak["streakHistory"] == [
        day(2, 1, usedFreeze=False),
        day(3, 1, usedFreeze=True),
        day(4, 1, usedFreeze=False),
    ]
    assert (streak["length"], streak["expires"], streak["extended"]) == (1, "2026-03-04", AT)
    await timed.change_streaks(freezes={"startCount": 1, "maxCount": 2})
    streak = await timed.streak(periods=1)
    assert (streak["freezes"], streak["maxFreezes"]) == (0, 2)
    assert not {"freezeAutoEarnInterval", "freezeAutoEarnAmount"} & streak.keys()
    await timed.change_streaks(freezes=None)
    streak = await timed.streak(periods=1)
    assert not expected.keys() & (streak.keys() | streak["streakHistory"][0].keys())


async def test_a9_10_freezes_are_earned(timed: Api) -> None:
    await timed.change_streaks(freezes=FREEZES)
    await timed.send_ok("sam", 0)
    counts = []
    for number in (8, 9, 16, 23):
        await timed.move_to(f"2026-03-{number:02}T00:00:00Z")
        counts.append((await timed.streak())["freezes"])
    assert counts == [1, 2, 2, 2]


async def test_a_streak_is_the_same_after_a_restart(timed: Api) -> None:
    await timed.change_streaks(freezes=FREEZES)
    await extend(timed, 2, 3, 5)
    before = await timed.streak()
    assert before["length"] == 3
    await timed.close_shards()
    await timed.open_shards()
    assert await timed.streak() == before
    await timed.send_ok("sam", 0)
    timed.kill_shards()
    await timed.open_shards()
    assert await timed.streak() == before


async def test_reading_a_streak_changes_nothing_that_is_not_due(api: Api) -> None:
    """Also where no timer fires: what time has done is worked out for the reader."""
    await api.send_ok("sam")
    api.clock.move_to("2026-03-03T23:59:59+00:00")
    assert (await api.streak())["length"] == 1
    api.clock.move_to("2026-03-04T00:00:00+00:00")
    assert (await api.streak())["length"] == 0
    assert (await api.send_ok("sam"))["currentStreak"]["length"] == 1
