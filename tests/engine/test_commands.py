import msgspec
from msgspec import UNSET

from plaudit.engine.commands import Command, ReadMetrics, ReadUser, RecordEvent, UserFields, user_key
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
    commands: list[Command] = [full, event("2.5"), ReadUser("sam"), ReadMetrics("sam", "tenant-1")]
    for command in commands:
        assert carried(command) == command


def test_a3_2_q08_what_was_not_passed_is_told_from_null() -> None:
    fields = UserFields(email=None, subscribe_to_emails=False)
    read = carried(event(fields=fields))
    assert isinstance(read, RecordEvent)
    assert (read.fields.email, read.fields.name, read.fields.subscribe_to_emails) == (None, UNSET, False)


def test_fields_at_the_end_may_be_missing_in_an_old_log() -> None:
    old = msgspec.msgpack.encode(["event", "sam", "words", 5, event_id(1)])
    assert DECODER.decode(old) == RecordEvent("sam", "words", 5, event_id(1))


def test_a1_11_users_of_the_same_id_in_two_tenants_are_two() -> None:
    assert user_key(ReadUser("sam", "a")) != user_key(ReadUser("sam", "b"))
    assert user_key(ReadUser("sam", "a")) == user_key(ReadMetrics("sam", "a")) == ("a", "sam")
    assert user_key(event()) == ("", "sam")
