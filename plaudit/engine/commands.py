"""What a user can be asked: writes, which are logged, and reads, which are not.

Encoded as MessagePack arrays, in frames and in the log; so fields are only ever added at the end, with a default.
"""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from plaudit.engine.amounts import PackedAmount
from plaudit.engine.catalog import EvaluationMode, Rounding
from plaudit.engine.user import PackedStanding

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


class CompleteAchievement(Struct, frozen=True, array_like=True, tag="complete"):
    """Complete an achievement (by key) whose trigger is api, creating or updating the user from `fields`."""

    user_id: str
    key: str
    fields: UserFields = UserFields()
    tenant: str = SINGLE_TENANT


class Backdate(Struct, frozen=True, array_like=True, tag="backdate"):
    """Give the user what a new catalog says they deserve. From the shard itself, never from a gateway."""

    user_id: str
    filling: int
    """The catalog's, of which `sums` are; what is in the user's state is of this one or older."""
    sums: dict[int, PackedAmount] = {}
    """Totals of all accumulators over the user's whole history, by number; those that are not there are 0."""
    tenant: str = SINGLE_TENANT
    standings: dict[int, tuple[PackedStanding, ...]] = {}
    """How the user stands on the leaderboards that the history was looked through for, by number."""


class Advance(Struct, frozen=True, array_like=True, tag="advance"):
    """Let happen what time alone does. From a timer, never from a gateway."""

    user_id: str
    tenant: str = SINGLE_TENANT


class StreakMetricFields(Struct, frozen=True, array_like=True):
    """A metric (by key) and the change that a period needs of it."""

    key: str
    threshold: PackedAmount


class StreakPreferenceFields(Struct, frozen=True):
    """The streak preferences that a request passes. UNSET: keep. None: as the settings say."""

    enabled: bool | UnsetType | None = UNSET
    evaluation_mode: EvaluationMode | UnsetType | None = UNSET
    metrics: tuple[StreakMetricFields, ...] | UnsetType | None = UNSET
    days_off: tuple[int, ...] | UnsetType | None = UNSET


class UpdatePreferences(Struct, frozen=True, array_like=True, tag="preferences"):
    """Set the preferences that are passed."""

    user_id: str
    notifications: dict[str, tuple[str, ...] | None] = {}
    """Channels by type; None forgets that the type was ever set."""
    streak: StreakPreferenceFields = StreakPreferenceFields()
    tenant: str = SINGLE_TENANT


class GrantFreeze(Struct, frozen=True, array_like=True, tag="freeze"):
    """Give the user one freeze more."""

    user_id: str
    tenant: str = SINGLE_TENANT


class PauseStreak(Struct, frozen=True, array_like=True, tag="pause"):
    """Pause the streak on these days, both included (proleptic ordinals in the user's time zone)."""

    user_id: str
    pause_id: bytes
    """16 bytes, a UUIDv7 made by the gateway."""
    first_day: int
    last_day: int
    tenant: str = SINGLE_TENANT


class EndPause(Struct, frozen=True, array_like=True, tag="unpause"):
    """Delete a pause; one that has begun ends with yesterday."""

    user_id: str
    pause_id: bytes
    tenant: str = SINGLE_TENANT


class RestoreStreak(Struct, frozen=True, array_like=True, tag="restore"):
    """Bring back the longest streak of late."""

    user_id: str
    tenant: str = SINGLE_TENANT


class ResetStreak(Struct, frozen=True, array_like=True, tag="reset"):
    """Set the streak to zero."""

    user_id: str
    tenant: str = SINGLE_TENANT


class CreateBoost(Struct, frozen=True, array_like=True, tag="boost"):
    """Give the user a boost of their own in a points system (by id, a UUID)."""

    user_id: str
    system: str
    boost_id: bytes
    """16 bytes, a UUIDv7 made by the gateway."""
    name: str
    start_day: int
    end_day: int | None
    multiplier: int
    """In units of 10^-9."""
    rounding: Rounding = "down"
    tenant: str = SINGLE_TENANT


class ReadUser(Struct, frozen=True, array_like=True, tag="user"):
    """The user's profile."""

    user_id: str
    tenant: str = SINGLE_TENANT


class ReadMetrics(Struct, frozen=True, array_like=True, tag="metrics"):
    """The user's totals, with the achievements of each metric."""

    user_id: str
    tenant: str = SINGLE_TENANT


class ReadMetric(Struct, frozen=True, array_like=True, tag="metric"):
    """The user's total of one metric (by key), with its achievements."""

    user_id: str
    metric: str
    tenant: str = SINGLE_TENANT


class ReadAchievements(Struct, frozen=True, array_like=True, tag="achievements"):
    """The achievements that the user has completed; or all that there are for the user."""

    user_id: str
    include_incomplete: bool = False
    tenant: str = SINGLE_TENANT


class ReadBoosts(Struct, frozen=True, array_like=True, tag="boosts"):
    """The boosts in a points system (by key) that multiply what the user earns today."""

    user_id: str
    system: str
    tenant: str = SINGLE_TENANT


class ReadStreak(Struct, frozen=True, array_like=True, tag="streak"):
    """The user's streak with its last periods, the current one included."""

    user_id: str
    history_periods: int = 7
    tenant: str = SINGLE_TENANT


class ReadPreferences(Struct, frozen=True, array_like=True, tag="read preferences"):
    """What the user has set."""

    user_id: str
    tenant: str = SINGLE_TENANT


class DeleteUser(Struct, frozen=True, array_like=True, tag="delete"):
    """Forget the user: state, history and keys. The same id may begin anew afterwards."""

    user_id: str
    tenant: str = SINGLE_TENANT


class Position(Struct, frozen=True, order=True, array_like=True):
    """Where in the order of all events one stands: by time, then by shard, then by the number of its command."""

    at_ms: int
    shard: int
    number: int


class ReadEvents(Struct, frozen=True, array_like=True, tag="history"):
    """Recorded events, newest first: one user's, or (None) those of all users of a shard."""

    user_id: str | None
    metric: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    """Unix milliseconds; events at `from_ms` are included, those at `to_ms` are not."""
    limit: int = 50
    before: Position | None = None
    """Only what is older than this."""
    tenant: str = SINGLE_TENANT


class ReadPoints(Struct, frozen=True, array_like=True, tag="points"):
    """The user's points in a system (by key), with the last awards."""

    user_id: str
    system: str
    awards: int = 10
    tenant: str = SINGLE_TENANT


Aggregation = Literal["daily", "weekly", "monthly"]


class Summarize(Struct, frozen=True, array_like=True, tag="summary"):
    """What a metric's total, or the points in a system, came to in each period of a range of days (ordinals)."""

    user_id: str
    kind: Literal["metric", "points"]
    key: str
    aggregation: Aggregation
    first_day: int
    last_day: int
    """Included."""
    tenant: str = SINGLE_TENANT


class ReadAchievementStats(Struct, frozen=True, array_like=True, tag="achievement stats"):
    """All achievements, with how many of a shard's users have completed each. Asked of every shard."""

    user_attributes: tuple[tuple[str, str], ...] = ()
    """Only those that are there for users with these (keys, values)."""
    tenant: str = SINGLE_TENANT
    user_id: None = None


class ReadPointsSystem(Struct, frozen=True, array_like=True, tag="points system"):
    """A points system (by key; with `identity`, by id), its boosts or its levels. Any shard can answer."""

    system: str
    part: Literal["system", "boosts", "levels", "identity"] = "system"
    include_finished: bool = False
    """Of boosts."""
    tenant: str = SINGLE_TENANT
    user_id: None = None


class CountPoints(Struct, frozen=True, array_like=True, tag="count points"):
    """How a shard's users are spread over the totals, or the levels, of a points system. Asked of every shard."""

    system: str
    by: Literal["range", "level"]
    user_attributes: tuple[tuple[str, str], ...] = ()
    """Only users who have all of these (keys, values); only with ranges."""
    tenant: str = SINGLE_TENANT
    user_id: None = None


class ReadLeaderboards(Struct, frozen=True, array_like=True, tag="leaderboards"):
    """The leaderboards that there are. Any shard can answer."""

    include_finished: bool = False
    tenant: str = SINGLE_TENANT
    user_id: None = None


class FindLeaderboard(Struct, frozen=True, array_like=True, tag="leaderboard"):
    """A leaderboard (by key) and one of its runs: what to ask a leaderboard shard for. Any shard can answer."""

    key: str
    day: int | None = None
    """A day of the run, as an ordinal; None: the present one in UTC."""
    user_attributes: tuple[tuple[str, str], ...] = ()
    """Which groups, by (keys, values); of a board that is broken down, and only there."""
    limit: int = 0
    tenant: str = SINGLE_TENANT
    user_id: None = None


class FindParticipant(Struct, frozen=True, array_like=True, tag="participant"):
    """A user as a participant of a leaderboard (by key): what to ask a leaderboard shard for."""

    user_id: str
    key: str
    day: int | None = None
    """A day of the run, as an ordinal; None: the user's present one."""
    tenant: str = SINGLE_TENANT


class ReadRankings(Struct, frozen=True, array_like=True, tag="rankings"):
    """A part of a run's ranking. Asked of its leaderboard shard."""

    board: int
    """The board's number."""
    run: int
    """The run's first day, as an ordinal."""
    group: tuple[str | None, ...] = ()
    """The groups with these values; None: any. As many as the board is broken down by."""
    offset: int = 0
    limit: int = 10
    seat: int | None = None
    """With the seat of a participant, `offset` is relative to their position, and may be negative."""
    tenant: str = SINGLE_TENANT
    user_id: None = None


class ReadPlace(Struct, frozen=True, array_like=True, tag="place"):
    """A participant's place in a run, and what it was on the days before. Asked of its leaderboard shard."""

    board: int
    run: int
    seat: int
    """`user shard << 40 | number of the user in it`."""
    days: int = 10
    """How many days of history, the present one included."""
    tenant: str = SINGLE_TENANT
    user_id: None = None


class FindOwners(Struct, frozen=True, array_like=True, tag="owners"):
    """Whose these ids (16 bytes each) are: those of pauses. Asked of every shard."""

    ids: tuple[bytes, ...]
    tenant: str = SINGLE_TENANT
    user_id: None = None


Administer = UpdatePreferences | GrantFreeze | PauseStreak | EndPause | RestoreStreak | ResetStreak | CreateBoost
"""Writes to a user who exists, by somebody who looks after users."""
Write = RecordEvent | DeleteUser | Advance | Administer | CompleteAchievement | Backdate
Read = (
    ReadUser | ReadMetrics | ReadStreak | ReadPreferences | ReadMetric | ReadAchievements | ReadBoosts | FindParticipant
)
ShardRead = ReadAchievementStats | ReadPointsSystem | ReadLeaderboards | FindLeaderboard
"""Of no user in particular, and as quick as a `Read`."""
Query = ReadEvents | FindOwners | ReadPoints | Summarize | CountPoints
"""What may take a while, and so must not travel with events."""
BoardRead = ReadRankings | ReadPlace
"""What leaderboard shards answer, and only they."""
Command = Write | Read | ShardRead | Query | BoardRead

UserKey = tuple[str, str]
"""(tenant, user id)."""


def user_key(command: Write | Read) -> UserKey:
    """Whom a command is for."""
    return command.tenant, command.user_id
