"""A user's state, as plain values.

Containers are replaced, never changed in place: a copy of the struct is a snapshot, and a command that fails half-way
leaves the installed state as it was. Metrics, achievements and points systems go by their numbers in the catalog, days
by their proleptic ordinals (1 is 0001-01-01), instants by Unix milliseconds.
"""

from msgspec import Struct


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
    """A run of consecutive days on which the condition was met. All zero if there is none."""

    length: int = 0
    started_day: int = 0
    last_day: int = 0
    """The last day that counted."""
    extended_ms: int = 0
    """When the length last grew."""


class Period(Struct, frozen=True, array_like=True, gc=False):
    """The current day, and the net change of each metric (amounts by number) within it."""

    day: int = 0
    changes: dict[int, int] = {}


class User(Struct, array_like=True, gc=False):
    """Everything that the rules know of one user."""

    profile: Profile
    totals: dict[int, int] = {}
    """Amounts by metric number."""
    completions: dict[int, int] = {}
    """When each achievement was completed, by its number, in order of completion."""
    points: dict[int, int] = {}
    """Points by system number."""
    streak: Streak = Streak()
    period: Period = Period()
