"""Create or update the user from the fields that a request passes (reference: Users; Q-06 to Q-10)."""

import re
from datetime import UTC, datetime

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from plaudit.engine.advance import move
from plaudit.engine.commands import UserFields
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.errors import Invalid
from plaudit.engine.freezes import first_streaks
from plaudit.engine.points import set_levels
from plaudit.engine.timezones import find_zone, local_day
from plaudit.engine.user import Profile, User

_DATE_OR_TIME = re.compile(r"\d{4}-\d{2}-\d{2}([T ].*)?")


def identify(user: User | None, fields: UserFields, catalog: CompiledCatalog, now_ms: int) -> User:
    """The user with the passed fields set; a new one if there was none. The user must already be advanced to now.

    Raises Invalid, naming the field, for an unknown time zone, attribute or date.
    """
    if user is None:
        profile = _update(Profile(now_ms, now_ms), fields, catalog, now_ms)
        day = local_day(now_ms, profile.tz)
        version = catalog.catalog
        user = User(
            profile,
            day=day,
            streaks=first_streaks(catalog, day),
            caught_up=version.backdating,
            filled=version.filling,
            first_day=day,
        )
        return set_levels(user, catalog)
    if _says_nothing_new(user.profile, fields):
        return user
    profile = _update(user.profile, fields, catalog, now_ms)
    if profile == user.profile:
        return user
    updated = replace(user, profile=replace(profile, updated_ms=now_ms))
    return move(updated, catalog, now_ms, user.profile.tz) if profile.tz != user.profile.tz else updated


def _says_nothing_new(profile: Profile, fields: UserFields) -> bool:
    """True for what most events say of their user: at most a name and a zone, and the ones that are known."""
    return (
        (fields.tz is UNSET or fields.tz == profile.tz)
        and (fields.name is UNSET or fields.name == profile.name)
        and fields.email is UNSET
        and fields.sign_up_date is UNSET
        and fields.device_tokens is UNSET
        and fields.subscribe_to_emails is UNSET
        and not fields.attributes
    )


def _update(profile: Profile, fields: UserFields, catalog: CompiledCatalog, now_ms: int) -> Profile:
    tz = _keep(fields.tz, profile.tz)
    if tz is not None and tz != profile.tz and find_zone(tz) is None:
        raise Invalid(f'user.tz: expected an IANA time zone such as "Europe/Paris", got {tz!r}')
    email, opted_out = _subscription(profile, fields)
    return Profile(
        created_ms=profile.created_ms,
        updated_ms=profile.updated_ms,
        email=email,
        name=_keep(fields.name, profile.name),
        tz=tz,
        sign_up_day=_sign_up_day(profile, fields, local_day(now_ms, tz)),
        device_tokens=profile.device_tokens if fields.device_tokens is UNSET else fields.device_tokens,
        opted_out=opted_out,
        attributes=_attributes(profile, fields, catalog),
        control=profile.control,
    )


def _keep(value: str | UnsetType | None, old: str | None) -> str | None:
    return old if isinstance(value, UnsetType) else value


def _subscription(profile: Profile, fields: UserFields) -> tuple[str | None, bool]:
    """The address, and whether the user has opted out: then no address is kept."""
    email = _keep(fields.email, profile.email)
    if fields.subscribe_to_emails is True:
        if email is None:
            raise Invalid("user.subscribeToEmails: expected false, or an email as well")
        return email, False
    if fields.subscribe_to_emails is False or profile.opted_out:
        return None, True
    return email, False


def _sign_up_day(profile: Profile, fields: UserFields, today: int) -> int | None:
    text = fields.sign_up_date
    if text is UNSET:
        return profile.sign_up_day
    if text is None:
        return None
    day = _parse_day(text)
    if day is None or day > today:
        raise Invalid(f"user.signUpDate: expected a date (YYYY-MM-DD) that is not after today, got {text!r}")
    return day


def _parse_day(text: str) -> int | None:
    """The calendar day of a date, or the UTC day of an ISO date-time."""
    if not _DATE_OR_TIME.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment.astimezone(UTC) if moment.tzinfo else moment).toordinal()
    except (ValueError, OverflowError):
        return None


def _attributes(profile: Profile, fields: UserFields, catalog: CompiledCatalog) -> dict[str, str]:
    if fields.attributes is UNSET or not fields.attributes:
        return profile.attributes
    check_attribute_keys(fields.attributes, catalog.user_attributes, "user")
    return profile.attributes | fields.attributes


def check_attribute_keys(attributes: dict[str, str], known: frozenset[str], kind: str) -> None:
    """Raise Invalid unless every key is one of the catalog's."""
    unknown = [key for key in attributes if key not in known]
    if unknown:
        field = "user.attributes" if kind == "user" else "attributes"
        raise Invalid(
            f"Invalid attribute keys: {', '.join(unknown)}. {field}: expected keys of the catalog's {kind} attributes."
        )
