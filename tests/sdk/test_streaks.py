"""Streaks through the official SDK, on a server whose time is moved."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import httpx
import pytest
from trophy import TrophyApi, UpsertedUser  # type: ignore[import-untyped]
from trophy.admin.streaks.freezes import CreateStreakFreezesRequestFreezesItem  # type: ignore[import-untyped]
from trophy.admin.streaks.pauses import CreateStreakPausesRequestPausesItem  # type: ignore[import-untyped]
from trophy.admin.streaks.types import (  # type: ignore[import-untyped]
    ResetStreaksRequestUsersItem,
    RestoreStreaksRequestUsersItem,
)
from trophy.errors import (  # type: ignore[import-untyped]
    ForbiddenError,
    NotFoundError,
    UnprocessableEntityError,
)
from trophy.types import (  # type: ignore[import-untyped]
    NotificationPreferences,
    StreakMetricPreference,
    StreakPreferences,
    StreakSettingsMetric,
    UpdateStreakSettingsFreezes,
)

from tests.sdk.conftest import ADMIN_KEY, Deployment

NOON = time(12, tzinfo=UTC)


class World:
    """A server with a test clock; every test begins on the Monday after the one before."""

    def __init__(self, deployment: Deployment, client: TrophyApi, monday: date) -> None:
        self.deployment = deployment
        self.client = client
        self.monday = monday
        self.move_to(0)

    def day(self, number: int) -> str:
        """A date, counted from this test's Monday."""
        return (self.monday + timedelta(number)).isoformat()

    def noon(self, number: int) -> datetime:
        """The middle of a day."""
        return datetime.combine(self.monday + timedelta(number), NOON)

    def move_to(self, number: int) -> None:
        """Move the clock to the middle of a day."""
        response = httpx.put(
            f"{self.deployment.server.url}/admin/v1/clock",
            json={"now": self.noon(number).isoformat()},
            headers={"X-API-KEY": ADMIN_KEY},
        )
        assert response.status_code == 200, response.text

    def event(self, user: str, value: float = 1) -> Any:
        """The streak of an event's response."""
        return self.client.metrics.event("lessons", user=UpsertedUser(id=user), value=value).current_streak


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A server for all tests of this module."""
    deployment = Deployment(tmp_path_factory.mktemp("sdk") / "data", "--test-clock")
    yield deployment
    assert deployment.server.stop() == 0, deployment.server.errors


@pytest.fixture(scope="module")
def mondays() -> Iterator[date]:
    """Mondays a few months apart, after anything that the machine's clock may say."""
    return (date(2040, 1, 2) + timedelta(weeks=20 * number) for number in range(100))


@pytest.fixture
def world(deployment: Deployment, client: TrophyApi, mondays: Iterator[date]) -> World:
    """With the settings of the catalog."""
    world = World(deployment, client, next(mondays))
    client.admin.streaks.settings.update(
        frequency="daily",
        evaluation_mode="OR",
        customization_enabled=True,
        days_off=[],
        metrics=[StreakSettingsMetric(key="lessons", threshold=1)],
        freezes=None,
    )
    return world


def test_a14_a_streak_with_its_history(world: World) -> None:
    for number in range(3):
        world.move_to(number)
        event = world.event("ada")
    assert (event.length, event.extended, event.frequency) == (3, True, "daily")
    assert (event.freezes, event.max_freezes, event.freeze_auto_earn_interval) == (None, None, None)
    world.move_to(3)
    streak = world.client.users.streak("ada")
    assert (streak.length, streak.frequency, streak.started) == (3, "daily", world.day(0))
    assert (streak.period_start, streak.period_end, streak.expires) == (world.day(3), world.day(3), world.day(3))
    assert streak.extended == world.noon(2)
    assert [period.length for period in streak.streak_history] == [0, 0, 0, 1, 2, 3, 3]
    assert streak.streak_history[0].period_start == world.day(-3)
    assert len(world.client.users.streak("ada", history_periods=30).streak_history) == 30
    world.move_to(4)
    lost = world.client.users.streak("ada", history_periods=1)
    assert (lost.length, lost.started, lost.expires, lost.extended) == (0, None, None, None)


def test_a15_streaks_of_many(world: World) -> None:
    for user in ("b1", "b2"):
        world.event(user)
    world.move_to(1)
    world.event("b2")
    listed = world.client.streaks.list(user_ids=["b1", "b2", "nobody"])
    assert [(item.user_id, item.streak_length) for item in listed] == [("b2", 2), ("b1", 1)]
    assert datetime.fromisoformat(listed[0].extended) == world.noon(1)
    assert world.client.streaks.list(user_ids="b1,b2") == listed
    world.move_to(3)
    assert [item.extended for item in world.client.streaks.list(user_ids=["b1"])] == [None]


def test_a8_a9_preferences(world: World) -> None:
    world.event("carl")
    users = world.client.users
    empty = users.get_preferences("carl")
    assert (empty.streak, empty.notifications.recap) == (None, None)
    updated = users.update_preferences(
        "carl",
        notifications=NotificationPreferences(recap=["email"], streak_reminder=[]),
        streak=StreakPreferences(
            evaluation_mode="AND", metrics=[StreakMetricPreference(key="pages", threshold=0.5)], days_off=[0, 6]
        ),
    )
    assert users.get_preferences("carl") == updated
    assert (updated.notifications.recap, updated.notifications.streak_reminder) == (["email"], [])
    assert updated.notifications.reactivation is None
    assert (updated.streak.enabled, updated.streak.evaluation_mode, updated.streak.days_off) == (None, "AND", [0, 6])
    assert [(metric.key, metric.threshold) for metric in updated.streak.metrics] == [("pages", 0.5)]
    assert users.update_preferences("carl") == updated
    off = users.update_preferences("carl", streak=StreakPreferences(enabled=False))
    assert (off.streak.enabled, off.streak.evaluation_mode) == (False, "AND")
    assert users.streak("carl").length == 0
    world.client.admin.streaks.settings.update(customization_enabled=False)
    with pytest.raises(ForbiddenError):
        users.update_preferences("carl", streak=StreakPreferences(days_off=[1]))
    assert users.update_preferences("carl", streak=StreakPreferences(enabled=True)).streak.enabled is True


def test_b15_b16_settings(world: World) -> None:
    settings = world.client.admin.streaks.settings
    changed = settings.update(
        days_off=[6, 0],
        freezes=UpdateStreakSettingsFreezes(start_count=1, max_count=2, auto_earn_interval=7, auto_earn_amount=1),
    )
    assert settings.get() == changed
    assert (changed.frequency, changed.evaluation_mode, changed.customization_enabled) == ("daily", "OR", True)
    assert changed.days_off == [0, 6]
    assert [(metric.key, metric.threshold) for metric in changed.metrics] == [("lessons", 1)]
    assert (changed.freezes.start_count, changed.freezes.max_count) == (1, 2)
    assert (changed.freezes.auto_earn_interval, changed.freezes.auto_earn_amount) == (7, 1)
    streak = world.event("dora")
    assert (streak.freezes, streak.max_freezes) == (1, 2)
    assert (streak.freeze_auto_earn_interval, streak.freeze_auto_earn_amount) == (7, 1)
    weekly = settings.update(frequency="weekly", freezes=None)
    assert (weekly.frequency, weekly.days_off, weekly.freezes) == ("weekly", [], None)
    assert world.client.users.streak("dora").frequency == "weekly"
    with pytest.raises(UnprocessableEntityError):
        settings.update(metrics=[StreakSettingsMetric(key="unknown", threshold=1)])


def test_b10_freezes(world: World) -> None:
    streaks = world.client.admin.streaks
    streaks.settings.update(freezes=UpdateStreakSettingsFreezes(start_count=0, max_count=1))
    world.event("eve")
    raw = streaks.freezes.with_raw_response
    freezes = [CreateStreakFreezesRequestFreezesItem(user_id=user) for user in ("eve", "nobody", "eve")]
    first, again = (raw.create(freezes=freezes) for _ in range(2))
    assert [(response.status_code, len(response.data.issues)) for response in (first, again)] == [
        (201, 2),
        (200, 3),
    ]
    assert [(issue.user_id, issue.severity, issue.message) for issue in first.data.issues] == [
        ("nobody", "error", "User does not exist"),
        ("eve", "warning", "Would exceed maximum freeze limit"),
    ]
    world.move_to(2)
    streak = world.client.users.streak("eve", history_periods=2)
    assert (streak.length, streak.freezes) == (1, 0)
    assert [period.used_freeze for period in streak.streak_history] == [True, False]


def test_b11_b12_pauses(world: World) -> None:
    pauses = world.client.admin.streaks.pauses
    world.event("finn")
    item = CreateStreakPausesRequestPausesItem(user_id="finn", start=world.day(1), end=world.day(3))
    response = pauses.create(pauses=[item, item])
    [pause] = response.created
    assert (pause.user_id, pause.start, pause.end, pause.status) == ("finn", item.start, item.end, "active")
    assert [issue.user_id for issue in response.issues] == ["finn"]
    [shown] = world.client.users.streak("finn").pauses
    assert (shown.id, shown.start, shown.end) == (pause.id, pause.start, pause.end)
    world.move_to(3)
    streak = world.client.users.streak("finn", history_periods=3)
    assert (streak.length, [period.used_pause for period in streak.streak_history]) == (1, [True, True, True])
    deleted = pauses.delete(ids=[pause.id, "not-a-uuid"])
    assert [each.id for each in deleted.deleted] == [pause.id]
    assert [(issue.id, issue.message) for issue in deleted.issues] == [("not-a-uuid", "id must be a valid UUID")]
    assert pauses.delete(ids=pause.id).issues[0].message == "Streak pause not found by ID"
    world.move_to(4)
    assert world.client.users.streak("finn").length == 0


def test_b13_b14_restore_and_reset(world: World) -> None:
    for number in range(2):
        world.move_to(number)
        world.event("gina")
    world.move_to(5)
    streaks = world.client.admin.streaks
    users = [RestoreStreaksRequestUsersItem(id=user) for user in ("gina", "nobody")]
    first, again = (streaks.with_raw_response.restore(users=users) for _ in range(2))
    assert [(each.status_code, each.data.restored_users) for each in (first, again)] == [
        (201, ["gina"]),
        (200, []),
    ]
    assert [(issue.user_id, issue.severity) for issue in again.data.issues] == [
        ("gina", "warning"),
        ("nobody", "error"),
    ]
    assert world.client.users.streak("gina").length == 2
    for restored in (["gina"], []):
        response = streaks.reset(users=[ResetStreaksRequestUsersItem(id="gina")])
        assert response.reset_users == restored
    assert response.issues[0].message == "No streak to reset"
    streak = world.client.users.streak("gina", history_periods=1)
    assert (streak.length, streak.streak_history[0].reset_at) == (0, world.noon(5))


def test_errors_have_the_types_that_the_sdk_has_for_them(world: World) -> None:
    client, streaks = world.client, world.client.admin.streaks
    for read in (client.users.streak, client.users.get_preferences, client.users.update_preferences):
        with pytest.raises(NotFoundError):
            read("nobody")
    requests: list[Callable[[], Any]] = [
        lambda: client.users.streak("nobody", history_periods=366),
        lambda: client.streaks.list(user_ids=[]),
        lambda: streaks.freezes.create(freezes=[]),
        lambda: streaks.restore(users=[ResetStreaksRequestUsersItem(id="x")] * 101),
        lambda: streaks.pauses.delete(ids=[]),
    ]
    for request in requests:
        with pytest.raises(UnprocessableEntityError):
            request()


def test_streaks_are_there_after_a_restart(world: World) -> None:
    """The settings are those of the catalog file again, which has some."""
    world.event("hugo")
    world.move_to(1)
    world.event("hugo")
    before = world.client.users.streak("hugo")
    assert (before.length, before.started) == (2, world.day(0))
    world.deployment.restart()
    with httpx.Client() as connections:
        again = TrophyApi(api_key=ADMIN_KEY, environment=world.deployment.environment, httpx_client=connections)
        assert again.users.streak("hugo") == before
        assert again.admin.streaks.settings.get().customization_enabled is False
