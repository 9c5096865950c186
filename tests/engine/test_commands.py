from typing import get_args

import msgspec
from msgspec import UNSET

from plaudit.engine.commands import (
    Advance,
    Backdate,
    Command,
    CompleteAchievement,
    CountPoints,
    CreateBoost,
    DeleteUser,
    EndPause,
    FindLeaderboard,
    FindOwners,
    FindParticipant,
    GrantFreeze,
    PauseStreak,
    Position,
    ReadAchievements,
    ReadAchievementStats,
    ReadBoosts,
    ReadEvents,
    ReadLeaderboards,
    ReadMetric,
    ReadMetrics,
    ReadPlace,
    ReadPoints,
    ReadPointsSystem,
    ReadPreferences,
    ReadRankings,
    ReadStreak,
    ReadUser,
    RecordEvent,
    ResetStreak,
    RestoreStreak,
    StreakMetricFields,
    StreakPreferenceFields,
    Summarize,
    UpdatePreferences,
    UserFields,
    user_key,
)
from tests.engine.builders import event, event_id

DECODER: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)


def carried(command: Command) -> Command:
    """The command as it comes out of a frame or the log."""
    return DECODER.decode(msgspec.msgpack.encode(command))


def test_every_command_survives_the_frame_as_what_it_is() -> None:
    full = RecordEvent(
        "sam",
        "words",
        (10**21).to_bytes(16, "big"),
        event_id(1),
        UserFields(email=None, name="Sam", device_tokens=("t",), attributes={"plan": "pro"}),
        {"device": "phone"},
        "key-1",
        "tenant-1",
    )
    wanted = StreakPreferenceFields(
        enabled=None, evaluation_mode="AND", metrics=(StreakMetricFields("words", 5),), days_off=(0, 6)
    )
    commands: list[Command] = [
        full,
        event("2.5"),
        Advance("sam"),
        UpdatePreferences("sam", {"recap": ("email",), "reactivation": None}, wanted, "tenant-1"),
        UpdatePreferences("sam"),
        GrantFreeze("sam"),
        PauseStreak("sam", event_id(1), 738_900, 738_901),
        EndPause("sam", event_id(1)),
        RestoreStreak("sam"),
        ResetStreak("sam"),
        DeleteUser("sam"),
        ReadUser("sam"),
        ReadMetrics("sam", "tenant-1"),
        ReadStreak("sam", 30),
        ReadPreferences("sam"),
        ReadEvents(None, before=Position(1, 2, 3)),
        FindOwners((event_id(1), event_id(2))),
        CompleteAchievement("sam", "helper", UserFields(name="Sam"), "tenant-1"),
        Backdate("sam", 7, {1: 5, 2: (10**21).to_bytes(16, "big")}),
        CreateBoost("sam", "c1a2", event_id(1), "Double", 738_900, None, 2 * 10**9, "nearest"),
        ReadMetric("sam", "words"),
        ReadAchievements("sam", include_incomplete=True),
        ReadBoosts("sam", "xp"),
        ReadPoints("sam", "xp", 100),
        Summarize("sam", "points", "xp", "weekly", 738_900, 738_999),
        ReadAchievementStats((("plan", "pro"),)),
        ReadPointsSystem("xp", "boosts", include_finished=True),
        CountPoints("xp", "range", (("plan", "pro"),)),
        ReadLeaderboards(include_finished=True),
        FindLeaderboard("weekly", 738_900, (("plan", "pro"),), 10),
        FindParticipant("sam", "weekly", 738_900),
        ReadRankings(1, 738_900, ("pro", None), -3, 10, 5 << 40 | 7),
        ReadPlace(1, 738_900, 7, 100),
    ]
    assert len({type(command) for command in commands}) == len(get_args(Command))
    for command in commands:
        assert carried(command) == command


def test_a3_2_q08_what_was_not_passed_is_told_from_null() -> None:
    fields = UserFields(email=None, subscribe_to_emails=False)
    read = carried(event(fields=fields))
    assert isinstance(read, RecordEvent)
    assert (read.fields.email, read.fields.name, read.fields.subscribe_to_emails) == (None, UNSET, False)


def test_a4_2_what_was_not_passed_is_told_from_null_in_preferences() -> None:
    read = carried(UpdatePreferences("sam", streak=StreakPreferenceFields(enabled=False, metrics=None)))
    assert isinstance(read, UpdatePreferences)
    fields = read.streak
    assert (fields.enabled, fields.evaluation_mode, fields.metrics, fields.days_off) == (False, UNSET, None, UNSET)


def test_fields_at_the_end_may_be_missing_in_an_old_log() -> None:
    old = msgspec.msgpack.encode(["event", "sam", "words", 5, event_id(1)])
    assert DECODER.decode(old) == RecordEvent("sam", "words", 5, event_id(1))


def test_a1_11_users_of_the_same_id_in_two_tenants_are_two() -> None:
    assert user_key(ReadUser("sam", "a")) != user_key(ReadUser("sam", "b"))
    assert user_key(ReadUser("sam", "a")) == user_key(ReadMetrics("sam", "a")) == ("a", "sam")
    assert user_key(event()) == ("", "sam")
