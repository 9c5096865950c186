"""A user's state, as plain values.

Containers are replaced, never changed in place: a copy of the struct is a snapshot, and a command that fails half-way
leaves the installed state as it was. Metrics, achievements and points systems go by their numbers in the catalog, days
by their proleptic ordinals (1 is 0001-01-01), instants by Unix milliseconds.
"""

from msgspec import Struct

from plaudit.engine.amounts import PackedAmount
from plaudit.engine.catalog import EvaluationMode, Rounding


class Profile(Struct, frozen=True, array_like=True, gc=False):
    """Who the user is, as far as the caller has said."""

    created_ms: int
    updated_ms: int
    email: str | None = None
    name: str | None = None
    tz: str | None = None
    """An IANA identifier; None is UTC."""
    sign_up_day: int | None = None
    device_tokens: tuple[str, ...] | None = None
    opted_out: bool = False
    """The user has been explicitly unsubscribed: emails are not stored."""
    attributes: dict[str, str] = {}
    control: bool = False

    @property
    def subscribes_to_emails(self) -> bool:
        """True if there is an address and nobody has opted out."""
        return self.email is not None and not self.opted_out


class Streak(Struct, frozen=True, array_like=True, gc=False):
    """The streak of one frequency, as of the user's day: all periods before the current one are closed."""

    length: int = 0
    started_day: int = 0
    """The day on which its first period counted."""
    extended_ms: int = 0
    """When the length last grew, also if it has been lost since."""
    counted: bool = False
    """The current period has counted."""
    is_set: bool = False
    """The length was set in the current period, by a restore or a reset; a set length outlives the period."""
    trail: bytes = b""
    """What became of the closed periods (`plaudit.engine.trail`)."""


class Pause(Struct, frozen=True, array_like=True, gc=False):
    """Days, both included, whose periods need not count."""

    id: bytes
    """16 bytes."""
    first_day: int
    last_day: int


class Reset(Struct, frozen=True, array_like=True, gc=False):
    """When a streak was set to zero, and on which of the user's days."""

    day: int
    at_ms: int


Change = tuple[int, int, int]
"""The net change of a metric in the current day, week and month: amounts."""
NO_CHANGE: Change = (0, 0, 0)


class Streaks(Struct, frozen=True, array_like=True, gc=False):
    """Everything that time does something to. All three frequencies are kept at once."""

    daily: Streak = Streak()
    weekly: Streak = Streak()
    monthly: Streak = Streak()
    changes: dict[int, Change] = {}
    """By metric number; without those that are zero throughout."""
    freezes: int = 0
    earned_day: int = 0
    """When the interval of earning freezes last began."""
    pauses: tuple[Pause, ...] = ()
    """Those that can still matter, by day."""
    resets: tuple[Reset, ...] = ()
    """The latest ones, oldest first."""


class Earlier(Struct, frozen=True, array_like=True, gc=False):
    """What the streaks were on a day, before it ended where the user was, and while it went on elsewhere."""

    day: int
    streaks: Streaks


class StreakPreferences(Struct, frozen=True, array_like=True, gc=False):
    """What a user wants other than the settings; None where that is not so."""

    enabled: bool | None = None
    evaluation_mode: EvaluationMode | None = None
    metrics: tuple[tuple[int, PackedAmount], ...] | None = None
    """Numbers of metrics, each with the change (an amount) that a period needs."""
    days_off: tuple[int, ...] | None = None


class Preferences(Struct, frozen=True, array_like=True, gc=False):
    """What a user has set."""

    notifications: dict[str, tuple[str, ...]] = {}
    """Channels by type; a type that was never set is not there."""
    streak: StreakPreferences | None = None


class UserBoost(Struct, frozen=True, array_like=True, gc=False):
    """Multiplies what this user earns on certain days, both included."""

    id: bytes
    """16 bytes."""
    system: int
    name: str
    start_day: int
    end_day: int | None
    multiplier: int
    """In units of 10^-9."""
    rounding: Rounding


class Standing(Struct, frozen=True, array_like=True, gc=False):
    """How the user stands in a run of a leaderboard, known by its first day."""

    run: int
    value: int
    """An amount of a metric, or points, or the length of a streak; on a board only if it is above zero."""
    at_ms: int
    number: int
    """When it came to this value, and by which command of the shard."""


class PackedStanding(Struct, frozen=True, array_like=True, gc=False):
    """Field for field as `Standing`, with the value packed."""

    run: int
    value: PackedAmount
    at_ms: int
    number: int


class User(Struct, array_like=True, gc=False):
    """Everything that the rules know of one user."""

    profile: Profile
    totals: dict[int, int] = {}
    """Amounts by metric number."""
    completions: dict[int, int] = {}
    """When each achievement was completed, by its number, in order of completion."""
    points: dict[int, int] = {}
    """Points by system number."""
    day: int = 0
    """The day that the user is in: the latest one that has begun where the user was."""
    streaks: Streaks = Streaks()
    preferences: Preferences | None = None
    earlier: tuple[Earlier, ...] = ()
    """Days that the user may turn out to be in still, by day: nothing has been done since."""
    matched: dict[int, int] = {}
    """Amounts by the number of the accumulator."""
    levels: dict[int, int] = {}
    """The number of the level by that of the system; without those in which the user is at none."""
    boosts: tuple[UserBoost, ...] = ()
    """The user's own."""
    caught_up: int = 0
    """The catalog's `backdating` that has been done for this user."""
    filled: int = 0
    """The catalog's `filling` that has been done for this user."""
    paid_hour: int = 0
    """The last hour (since 1970, UTC) with which time-based points were due, for whomever they were."""
    paid_day: int = 0
    """The last local day with which they were."""
    first_day: int = 0
    """The day on which the user was created, where they were; 0 for users from before it was kept."""
    standings: dict[int, tuple[Standing, ...]] = {}
    """By the number of the leaderboard; of its last runs, oldest first."""
