"""What the tests of responses share: a catalog with one of everything, and replies as plain data."""

from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from plaudit.actors.messages import Reply
from plaudit.actors.replies import Renderer
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.document import AchievementEntry, BoostEntry, LevelEntry, PointsEntry, TriggerEntry
from plaudit.engine.time_points import HOUR_MS
from plaudit.engine.timezones import local_day
from plaudit.engine.user import Profile, User
from tests.engine.builders import CREATED_MS, compiled, document

_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=Decimal)

AT = "2023-11-14T22:13:20.000Z"
"""`CREATED_MS`, on the wire."""

ACHIEVEMENTS = (
    AchievementEntry("many", "Many", "words", Decimal("1000.5")),
    AchievementEntry("some", "Some", "words", Decimal(10), badge_url="https://example.com/b.png", description="Ten"),
    AchievementEntry(
        "late", "Late", "words", Decimal(5), event_attributes={"place": "home"}, user_attributes={"plan": "pro"}
    ),
    AchievementEntry("week", "Week", trigger="streak", streak_length=7),
    AchievementEntry("year", "Year", trigger="anniversary", anniversary_years=1),
    AchievementEntry("asked", "Asked", trigger="api"),
    AchievementEntry("both", "Both", trigger="achievement", achievements=("some", "asked")),
    AchievementEntry("shut", "Shut", "words", Decimal(3), status="locked"),
    AchievementEntry("off", "Off", "words", Decimal(2), status="inactive"),
)
TRIGGERS = (
    TriggerEntry("words", "words", 5, 10, event_attributes={"place": "home"}, user_attributes={"plan": "pro"}),
    TriggerEntry("week", points=7, type="streak", streak_length=7),
    TriggerEntry("asked", points=50, type="achievement", achievement="asked"),
    TriggerEntry("hourly", points=1, type="time", time_unit="hours", time_interval=6),
    TriggerEntry("daily", points=-2, type="time", time_unit="days", time_interval=1),
    TriggerEntry("hello", points=100, type="user_creation"),
    TriggerEntry("plain", "words", 1, 10),
    TriggerEntry("cost", "pages", 1, -60),
    TriggerEntry("later", "words", 1, 1, status="inactive"),
)
BOOSTS = (
    BoostEntry("old", "Old", date(2023, 1, 1), Decimal(3), date(2023, 1, 31)),
    BoostEntry("now", "Now", date(2023, 11, 1), Decimal("1.5"), date(2023, 11, 30), "up"),
    BoostEntry("pro", "Pro", date(2023, 11, 1), Decimal(2), user_attributes={"plan": "pro"}),
    BoostEntry("soon", "Soon", date(2023, 12, 1), Decimal("0.25"), rounding="nearest"),
)
LEVELS = (
    LevelEntry("gold", "Gold", 200, "Much", "https://example.com/g.png"),
    LevelEntry("bronze", "Bronze", 50),
    LevelEntry("silver", "Silver", 150),
)

CATALOG: CompiledCatalog = compiled(
    document(
        achievements=ACHIEVEMENTS,
        points=(
            PointsEntry("xp", "XP", "Experience", "https://example.com/x.png", 10_000, TRIGGERS, BOOSTS, LEVELS),
            PointsEntry("gems", "Gems", triggers=(TriggerEntry("each", "words", 1, 1),)),
        ),
        user_attributes=("plan",),
        event_attributes=("place",),
    )
)
RENDERER = Renderer(CATALOG)
XP, GEMS = CATALOG.systems["xp"], CATALOG.systems["gems"]
NUMBERS = {achievement.key: achievement.number for achievement in CATALOG.catalog.achievements}
IDS = {achievement.key: achievement.id for achievement in CATALOG.catalog.achievements}
TRIGGER_NUMBERS = {trigger.key: trigger.number for trigger in XP.definition.triggers}
BOOST_NUMBERS = {boost.key: boost.number for boost in XP.definition.boosts}
LEVEL_NUMBERS = {level.key: level.number for level in XP.definition.levels}


def body_of(reply: Reply, status: int = 200) -> Any:
    """The body of a reply that has this status; numbers with a fraction are exact."""
    assert reply.status == status
    return _decoder.decode(reply.body)


def somebody(plan: str = "", **completed: int) -> User:
    """A user on a plan who has completed achievements (by key) at instants."""
    profile = Profile(CREATED_MS, CREATED_MS, attributes={"plan": plan} if plan else {})
    return User(
        profile,
        completions={NUMBERS[key]: at_ms for key, at_ms in completed.items()},
        day=local_day(CREATED_MS, None),
        caught_up=CATALOG.catalog.backdating,
        filled=CATALOG.catalog.filling,
        paid_hour=CREATED_MS // HOUR_MS,
        paid_day=local_day(CREATED_MS, None),
    )
