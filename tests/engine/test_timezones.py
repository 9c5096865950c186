import time
import zoneinfo
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.engine.timezones import exists, find_zone, local_day, midnight_ms
from tests.engine.builders import DETERMINISTIC, day, instant


@pytest.mark.parametrize("key", ["UTC", "Europe/Paris", "America/Argentina/Buenos_Aires", "Etc/GMT-14"])
def test_a3_4_iana_identifiers_are_found(key: str) -> None:
    zone = find_zone(key)
    assert zone is not None
    assert zone.key == key


@pytest.mark.parametrize(
    "key",
    [
        "",
        "Mars/Olympus_Mons",
        "europe/paris",
        "Europe",
        "/UTC",
        "UTC/",
        "Europe//Paris",
        "../zoneinfo/UTC",
        "Europe/../UTC",
        "__init__.py",
        "tzdata.zi",
        "zone.tab",
        "a\0b",
        "\ud800",
        "x" * 65,
        "x/" * 5000,
    ],
)
def test_a3_4_anything_else_is_no_zone(key: str) -> None:
    assert find_zone(key) is None


@pytest.fixture
def strange_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose clock is in Tokyo and whose zone files say that London is as well."""
    tokyo = resources.files("tzdata").joinpath("zoneinfo", "Asia", "Tokyo").read_bytes()
    (tmp_path / "Europe").mkdir()
    (tmp_path / "Europe" / "London").write_bytes(tokyo)
    zoneinfo.reset_tzpath([tmp_path])
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    forget_zones()
    yield
    monkeypatch.undo()
    time.tzset()
    zoneinfo.reset_tzpath()
    forget_zones()


def forget_zones() -> None:
    zoneinfo.ZoneInfo.clear_cache()
    find_zone.cache_clear()


@pytest.mark.usefixtures("strange_machine")
@pytest.mark.parametrize("zone", ["Europe/London", None, "Europe/Atlantis"])
def test_zones_come_from_the_package_and_never_from_the_machine(zone: str | None) -> None:
    assert local_day(instant("2024-01-15T23:00", "Etc/UTC"), zone) == day("2024-01-15")


def test_q32_no_zone_is_utc() -> None:
    assert local_day(instant("2024-01-15T23:59:59.999"), None) == day("2024-01-15")
    assert local_day(instant("2024-01-16T00:00"), None) == day("2024-01-16")


def test_a_zone_that_tzdata_has_dropped_is_utc() -> None:
    assert local_day(instant("2024-01-16T00:00"), "Europe/Atlantis") == day("2024-01-16")


@pytest.mark.parametrize(
    ("zone", "last_utc", "first_utc"),
    [
        ("Asia/Kathmandu", "2024-01-15T18:14:59.999", "2024-01-15T18:15"),  # +5:45
        ("Australia/Adelaide", "2024-07-15T14:29:59.999", "2024-07-15T14:30"),  # +9:30
        ("Pacific/Chatham", "2024-07-15T11:14:59.999", "2024-07-15T11:15"),  # +12:45
        ("America/St_Johns", "2024-01-16T03:29:59.999", "2024-01-16T03:30"),  # -3:30
        ("Pacific/Kiritimati", "2024-01-15T09:59:59.999", "2024-01-15T10:00"),  # +14
        ("Pacific/Pago_Pago", "2024-01-16T10:59:59.999", "2024-01-16T11:00"),  # -11
        ("Australia/Lord_Howe", "2024-07-15T13:29:59.999", "2024-07-15T13:30"),  # +10:30, summer +11
        ("Australia/Lord_Howe", "2024-01-15T12:59:59.999", "2024-01-15T13:00"),
    ],
)
def test_a9_1_a_day_ends_at_midnight_in_the_zone(zone: str, last_utc: str, first_utc: str) -> None:
    last_day = local_day(instant(last_utc), zone)
    assert local_day(instant(first_utc), zone) == last_day + 1
    assert last_day == day(last_utc[:8] + "15")


@pytest.mark.parametrize(
    ("zone", "date", "hours"),
    [
        ("America/New_York", "2024-03-10", 23),
        ("America/New_York", "2024-11-03", 25),
        ("Africa/Cairo", "2024-04-26", 23),  # has no 00:00
        ("America/Havana", "2024-11-03", 25),  # has two
    ],
)
def test_a9_1_days_on_which_clocks_change_are_as_long_as_they_are(zone: str, date: str, hours: int) -> None:
    noon = instant(f"{date}T12:00", zone)
    minutes = range(-24 * 60, 24 * 60)
    in_day = sum(local_day(noon + minute * 60_000, zone) == day(date) for minute in minutes)
    assert in_day == hours * 60


@pytest.mark.parametrize(
    ("zone", "date", "first_utc"),
    [
        (None, "2024-01-15", "2024-01-15T00:00"),
        ("Asia/Kolkata", "2024-01-15", "2024-01-14T18:30"),
        ("Asia/Kathmandu", "2024-01-15", "2024-01-14T18:15"),
        ("Australia/Lord_Howe", "2024-04-07", "2024-04-06T13:00"),
        ("Australia/Lord_Howe", "2024-04-08", "2024-04-07T13:30"),
        ("Africa/Cairo", "2024-04-26", "2024-04-25T22:00"),  # begins at 01:00
        ("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00"),  # begins at 01:00
        ("America/Sao_Paulo", "2018-02-18", "2018-02-18T03:00"),  # after the second 23:59
        ("America/Havana", "2024-11-03", "2024-11-03T04:00"),  # the first of two 00:00
        ("America/St_Johns", "2010-11-07", "2010-11-07T02:30"),  # the first of two 00:00
        ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00"),  # there was none: the 31st
        ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00"),
        ("Europe/Atlantis", "2024-01-15", "2024-01-15T00:00"),
    ],
)
def test_a9_1_a_day_begins_at_its_first_instant(zone: str | None, date: str, first_utc: str) -> None:
    first = midnight_ms(day(date), zone)
    assert first == instant(first_utc)
    assert local_day(first, zone) >= day(date) > local_day(first - 1, zone)


@DETERMINISTIC
@given(
    st.integers(day("1970-01-02"), day("2037-12-31")),
    st.sampled_from(["Pacific/Apia", "America/St_Johns", "Africa/Cairo", "America/Havana", "Australia/Lord_Howe"]),
)
def test_a9_1_every_day_begins_after_the_one_before(date: int, zone: str) -> None:
    first = midnight_ms(date, zone)
    assert local_day(first, zone) >= date > local_day(first - 1, zone)
    assert exists(date, zone) == (first < midnight_ms(date + 1, zone))
    assert exists(date, zone) == (local_day(first, zone) == date)


@pytest.mark.parametrize(
    ("zone", "skipped"),
    [("Pacific/Apia", "2011-12-30"), ("Pacific/Kiritimati", "1994-12-31"), ("Pacific/Kwajalein", "1993-08-21")],
)
def test_a_day_that_a_zone_has_skipped_does_not_exist(zone: str, skipped: str) -> None:
    around = range(day(skipped) - 2, day(skipped) + 3)
    assert [exists(date, zone) for date in around] == [True, True, False, True, True]
    assert exists(day(skipped), "UTC")


def test_instants_before_1970_have_days() -> None:
    assert local_day(-1, None) == day("1969-12-31")


def test_the_utc_day_turns_on_the_millisecond() -> None:
    midnight = instant("2024-01-16T00:00")
    assert (local_day(midnight - 1, None), local_day(midnight, None)) == (day("2024-01-15"), day("2024-01-16"))


@DETERMINISTIC
@given(st.integers(0, 2**42), st.sampled_from(["Pacific/Kiritimati", "Pacific/Pago_Pago", "Pacific/Chatham"]))
def test_no_zone_is_more_than_a_day_from_utc(now_ms: int, zone: str) -> None:
    assert abs(local_day(now_ms, zone) - local_day(now_ms, None)) <= 1
