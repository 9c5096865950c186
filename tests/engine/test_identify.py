from typing import Any

import pytest
from msgspec import UNSET
from msgspec.structs import asdict

from plaudit.engine.commands import UserFields
from plaudit.engine.errors import Invalid
from plaudit.engine.identify import identify
from plaudit.engine.user import Profile, Streak, Streaks, User
from tests.engine.builders import compiled, day, document, frozen, instant

CATALOG = compiled(document(user_attributes=("plan", "team"), event_attributes=("device",)))
CREATED = instant("2024-01-10T12:00")
NOW = instant("2024-01-15T12:00")
TODAY = day("2024-01-15")


def new(**fields: Any) -> User:
    """A user who is identified for the first time."""
    return identify(None, UserFields(**fields), CATALOG, CREATED)


def later(user: User, **fields: Any) -> User:
    """The user after fields are passed on another day."""
    return identify(user, UserFields(**fields), CATALOG, NOW)


def test_a3_1_only_the_id_is_required() -> None:
    user = new()
    today = day("2024-01-10")
    assert user == User(Profile(CREATED, CREATED), day=today, streaks=Streaks(earned_day=today), first_day=today)
    assert not user.profile.subscribes_to_emails


def test_a3_2_an_unknown_id_creates_the_user_with_what_is_passed() -> None:
    profile = new(
        email="s@example.com",
        name="Sam",
        tz="Asia/Tokyo",
        sign_up_date="2023-12-31",
        device_tokens=("t1", "t2"),
        attributes={"plan": "pro"},
    ).profile
    assert profile == Profile(
        CREATED, CREATED, "s@example.com", "Sam", "Asia/Tokyo", day("2023-12-31"), ("t1", "t2"), False, {"plan": "pro"}
    )


def test_a_new_users_first_day_is_in_their_zone() -> None:
    assert new(tz="Pacific/Kiritimati").day == day("2024-01-11")


def test_a3_10_q32c_a_new_user_has_freezes_and_earns_more_from_their_first_day() -> None:
    catalog = compiled(document(streak=frozen(2, 5, 7, 1)))
    user = identify(None, UserFields(tz="Pacific/Kiritimati"), catalog, CREATED)
    assert (user.streaks.freezes, user.streaks.earned_day) == (2, day("2024-01-11"))


def test_a3_10_freezes_are_given_at_the_first_identification_only() -> None:
    catalog = compiled(document(streak=frozen(2, 5)))
    user = identify(new(), UserFields(name="Sam"), catalog, NOW)
    assert user.streaks.freezes == 0


PASSED: dict[str, Any] = {
    "email": "new@example.com",
    "name": "Alex",
    "tz": "Europe/Paris",
    "sign_up_date": "2024-01-02",
    "device_tokens": ("t9",),
    "attributes": {"plan": "pro"},
}


@pytest.mark.parametrize("field", PASSED)
def test_a3_2_a_known_id_updates_the_passed_field_only(field: str) -> None:
    before = new(email="s@example.com", name="Sam", tz="Asia/Tokyo", sign_up_date="2024-01-01", device_tokens=("t",))
    old, updated = asdict(before.profile), asdict(later(before, **{field: PASSED[field]}).profile)
    changed = {key for key in old if old[key] != updated[key]}
    assert changed == {"updated_ms", {"sign_up_date": "sign_up_day"}.get(field, field)}
    assert updated["updated_ms"] == NOW


@pytest.mark.parametrize("fields", [{}, {"name": "Sam"}, {"attributes": {"plan": "pro"}}, {"attributes": {}}])
def test_passing_nothing_new_is_no_update(fields: dict[str, Any]) -> None:
    user = new(name="Sam", attributes={"plan": "pro"})
    assert later(user, **fields) is user


@pytest.mark.parametrize("tz", ["Mars/Olympus_Mons", "", "europe/paris", "../UTC"])
def test_a3_4_a_zone_is_an_iana_identifier(tz: str) -> None:
    with pytest.raises(Invalid, match=r"^user\.tz: expected an IANA time zone"):
        new(tz=tz)


def test_a_stored_zone_that_tzdata_has_dropped_does_not_block_its_user() -> None:
    user = User(Profile(CREATED, CREATED, tz="Europe/Atlantis"))
    assert later(user, name="Sam", tz="Europe/Atlantis").profile.name == "Sam"


def test_a3_5_q06_emails_are_subscribed_to_by_default_where_there_is_an_address() -> None:
    assert new(email="s@example.com").profile.subscribes_to_emails
    assert not new(subscribe_to_emails=None).profile.subscribes_to_emails


def test_q06_subscribing_takes_a_stored_or_passed_address() -> None:
    assert new(subscribe_to_emails=True, email="s@example.com").profile.subscribes_to_emails
    assert later(new(email="s@example.com"), subscribe_to_emails=True).profile.subscribes_to_emails


@pytest.mark.parametrize("email", [UNSET, None])
def test_q06_subscribing_without_an_address_is_refused(email: Any) -> None:
    with pytest.raises(Invalid, match=r"^user\.subscribeToEmails: "):
        new(subscribe_to_emails=True, email=email)


def test_q06_subscribing_while_clearing_the_address_is_refused() -> None:
    with pytest.raises(Invalid, match=r"^user\.subscribeToEmails: "):
        later(new(email="s@example.com"), subscribe_to_emails=True, email=None)


def test_q07_no_address_is_kept_for_who_unsubscribes() -> None:
    at_once = new(subscribe_to_emails=False, email="s@example.com").profile
    afterwards = later(new(email="s@example.com"), subscribe_to_emails=False).profile
    for profile in (at_once, afterwards):
        assert (profile.email, profile.subscribes_to_emails) == (None, False)


def test_a3_5_an_address_is_not_stored_until_the_user_subscribes_again() -> None:
    out = new(subscribe_to_emails=False)
    assert later(out, email="s@example.com").profile.email is None
    back = later(out, email="s@example.com", subscribe_to_emails=True).profile
    assert (back.email, back.subscribes_to_emails) == ("s@example.com", True)
    with pytest.raises(Invalid):
        later(out, subscribe_to_emails=True)


@pytest.mark.parametrize("field", ["email", "name", "tz", "sign_up_date", "device_tokens"])
def test_q08_null_clears(field: str) -> None:
    user = new(**PASSED)
    name = {"sign_up_date": "sign_up_day"}.get(field, field)
    assert asdict(user.profile)[name] is not None
    assert asdict(later(user, **{field: None}).profile)[name] is None


def test_q08_null_attributes_are_ignored_and_the_rest_merge_by_key() -> None:
    user = new(attributes={"plan": "free", "team": "red"})
    assert later(user, attributes=None) is user
    assert later(user, attributes={"plan": "pro"}).profile.attributes == {"plan": "pro", "team": "red"}
    assert user.profile.attributes == {"plan": "free", "team": "red"}


def test_a3_7_attribute_keys_must_be_the_catalogs_user_attributes() -> None:
    with pytest.raises(Invalid, match=r"^Invalid attribute keys: device, pln\. user\.attributes: "):
        new(name="Sam", attributes={"device": "phone", "plan": "pro", "pln": "x"})


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("2024-01-09", "2024-01-09"),
        ("2024-01-09T23:30:00Z", "2024-01-09"),
        ("2024-01-09T23:30:00-05:00", "2024-01-10"),
        ("2024-01-09T04:00:00.123+09:00", "2024-01-08"),
        ("2024-01-09T23:59", "2024-01-09"),
        ("2024-02-29T00:00Z", None),
        ("2023-02-29", None),
        ("09.01.2024", None),
        ("2024-1-9", None),
        ("yesterday", None),
        ("", None),
        ("0001-01-01T00:00+14:00", None),
    ],
)
def test_a3_9_a_sign_up_date_is_a_date_or_the_utc_day_of_a_date_time(text: str, stored: str | None) -> None:
    if stored:
        assert new(sign_up_date=text).profile.sign_up_day == day(stored)
    else:
        with pytest.raises(Invalid, match=r"^user\.signUpDate: "):
            new(sign_up_date=text)


@pytest.mark.parametrize("text", ["2024-W01-1", "2024-W01", "20240109"])
def test_a3_9_week_dates_and_dates_without_dashes_are_refused(text: str) -> None:
    with pytest.raises(Invalid):
        new(sign_up_date=text)


@pytest.mark.parametrize(
    ("tz", "today"), [("UTC", "2024-01-10"), ("Pacific/Kiritimati", "2024-01-11"), ("Pacific/Pago_Pago", "2024-01-10")]
)
def test_a3_9_a_sign_up_date_is_not_after_today_in_the_zone_that_comes_with_it(tz: str, today: str) -> None:
    assert new(tz=tz, sign_up_date=today).profile.sign_up_day == day(today)
    with pytest.raises(Invalid, match="not after today"):
        new(tz=tz, sign_up_date=f"{today[:-1]}{int(today[-1]) + 1}")


def test_a_refused_update_leaves_the_user_as_they_were() -> None:
    user, copy = (
        User(Profile(CREATED, CREATED, tz="UTC"), day=TODAY, streaks=Streaks(Streak(1, TODAY, CREATED)))
        for _ in range(2)
    )
    with pytest.raises(Invalid):
        later(user, name="Sam", tz="Asia/Tokyo", attributes={"pln": "x"})
    assert user == copy
