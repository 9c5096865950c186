"""What a user can be asked: writes, which are logged, and reads, which are not.

Encoded as MessagePack arrays, in frames and in the log; so fields are only ever added at the end, with a default.
"""

from msgspec import UNSET, Struct, UnsetType

from plaudit.engine.amounts import PackedAmount

SINGLE_TENANT = ""


class UserFields(Struct, frozen=True):
    """The profile fields that a request passes. UNSET: not passed, keep. None: clear."""

    email: str | UnsetType | None = UNSET
    name: str | UnsetType | None = UNSET
    tz: str | UnsetType | None = UNSET
    sign_up_date: str | UnsetType | None = UNSET
    device_tokens: tuple[str, ...] | UnsetType | None = UNSET
    subscribe_to_emails: bool | UnsetType | None = UNSET
    attributes: dict[str, str] | UnsetType | None = UNSET


class RecordEvent(Struct, frozen=True, array_like=True, tag="event"):
    """Add `value` to the user's total of `metric`, creating or updating the user from `fields`."""

    user_id: str
    metric: str
    value: PackedAmount
    event_id: bytes
    """16 bytes, a UUIDv7 made by the gateway. Ids of completions and awards derive from it."""
    fields: UserFields = UserFields()
    attributes: dict[str, str] = {}
    idempotency_key: str | None = None
    tenant: str = SINGLE_TENANT


class ReadUser(Struct, frozen=True, array_like=True, tag="user"):
    """The user's profile."""

    user_id: str
    tenant: str = SINGLE_TENANT


class ReadMetrics(Struct, frozen=True, array_like=True, tag="metrics"):
    """The user's totals, with the achievements of each metric."""

    user_id: str
    tenant: str = SINGLE_TENANT


Write = RecordEvent
Read = ReadUser | ReadMetrics
Command = Write | Read

UserKey = tuple[str, str]
"""(tenant, user id)."""


def user_key(command: Command) -> UserKey:
    """Whom a command is for."""
    return command.tenant, command.user_id
