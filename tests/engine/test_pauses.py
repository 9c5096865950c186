"""Pauses (2024-01-14 is a Sunday)."""

import pytest

from plaudit.engine.catalog import Frequency
from plaudit.engine.commands import PauseStreak
from plaudit.engine.document import StreakEntry
from plaudit.engine.errors import Invalid, NotFound
from plaudit.engine.pauses import LAST_DAY_MAX, PAUSES_MAX, current_pauses
from plaudit.engine.user import Pause
from tests.engine.builders import Player, compiled, day, document, event_id, frozen, instant

FREQUENCIES: tuple[Frequency, ...] = ("daily", "weekly", "monthly")


def player(frequency: Frequency = "daily", zone: str = "UTC") -> Player:
    return Player(compiled(document(streak=StreakEntry(frequency))), zone)


def pause(first: str, last: str, number: int = 1) -> Pause:
    return Pause(event_id(number), day(first), day(last))


def test_a9_13_during_a_pause_the_length_is_kept_and_after_it_days_count_again() -> None:
    sam = player().counts_on("2024-01-15").pauses("2024-01-15T13:00", "2024-01-16", "2024-01-18")
    assert sam.waits("2024-01-19").length == 1
    assert sam.story(5) == "1 1p 1p 1p 1"
    assert sam.waits("2024-01-20").length == 0


def test_a9_13_a_pause_may_be_of_today_alone() -> None:
    sam = player().counts_on("2024-01-14").waits("2024-01-15").pauses("2024-01-15T23:59", "2024-01-15", "2024-01-15")
    assert sam.waits("2024-01-16").length == 1
    assert sam.story(3) == "1 1p 1"


def test_a9_13_a_pause_of_today_begins_today_in_the_users_zone() -> None:
    sam = player(zone="Pacific/Kiritimati")
    sam.sends_at(instant("2024-01-15T11:00"))  # the 16th there
    with pytest.raises(Invalid, match=r"^start: expected a date that is not before today"):
        sam.asks_at(instant("2024-01-15T11:00"), PauseStreak("sam", event_id(1), day("2024-01-15"), day("2024-01-18")))
    sam.asks_at(instant("2024-01-15T11:00"), PauseStreak("sam", event_id(1), day("2024-01-16"), day("2024-01-18")))
    assert current_pauses(sam.state) == (pause("2024-01-16", "2024-01-18"),)


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        ("2024-01-14", "2024-01-20", "^start: expected a date that is not before today in the user's time zone$"),
        ("2024-01-16", "2024-01-15", "^end: expected a date that is not before start$"),
        ("2024-01-16", "9001-01-01", "^end: expected a date before the year 9001$"),
    ],
)
def test_a9_13_a_pause_is_from_today_at_the_earliest_and_ends_after_it_begins(
    first: str, last: str, message: str
) -> None:
    with pytest.raises(Invalid, match=message):
        player().counts_on("2024-01-15").pauses("2024-01-15T13:00", first, last)


def test_a9_13_a_pause_may_last_until_the_last_day_there_is() -> None:
    assert day("9000-12-31") == LAST_DAY_MAX
    sam = player().counts_on("2024-01-15").pauses("2024-01-15T13:00", "2024-01-16", "9000-12-31")
    for frequency in FREQUENCIES:
        sam.adopts(StreakEntry(frequency))
        assert sam.view.expires_day is not None
        assert sam.view.expires_day > LAST_DAY_MAX
    assert sam.waits("2030-01-01").length == 1


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2024-01-20", "2024-01-25"),  # the same
        ("2024-01-25", "2024-01-30"),
        ("2024-01-16", "2024-01-20"),
        ("2024-01-22", "2024-01-22"),
        ("2024-01-16", "2024-02-20"),
    ],
)
def test_q32e_pauses_do_not_overlap(first: str, last: str) -> None:
    sam = player().counts_on("2024-01-15").pauses("2024-01-15T13:00", "2024-01-20", "2024-01-25")
    with pytest.raises(Invalid, match=r"^start: expected days that no other pause of the user has$"):
        sam.pauses("2024-01-15T13:00", first, last, 2)
    assert current_pauses(sam.state) == (pause("2024-01-20", "2024-01-25"),)


def test_q32e_pauses_may_follow_on_each_other_and_are_kept_by_day() -> None:
    sam = player().counts_on("2024-01-15")
    sam.pauses("2024-01-15T13:00", "2024-01-20", "2024-01-25", 1)
    sam.pauses("2024-01-15T13:00", "2024-01-26", "2024-01-26", 2)
    sam.pauses("2024-01-15T13:00", "2024-01-16", "2024-01-19", 3)
    assert [entry.id for entry in current_pauses(sam.state)] == [event_id(3), event_id(1), event_id(2)]
    assert sam.waits("2024-01-27").length == 1
    assert sam.waits("2024-01-28").length == 0


def test_a_user_has_a_limited_number_of_pauses() -> None:
    sam = player().counts_on("2024-01-15")
    first = day("2024-02-01")
    for number in range(PAUSES_MAX):
        at = first + 2 * number
        sam.asks("2024-01-15T13:00", PauseStreak("sam", event_id(number), at, at))
    with pytest.raises(Invalid, match=r"^userId: expected a user with fewer than 100 pauses$"):
        sam.asks("2024-01-15T13:00", PauseStreak("sam", event_id(999), first + 500, first + 500))


def test_a9_13_a_day_of_a_pause_that_counts_counts() -> None:
    sam = player().counts_on("2024-01-15").pauses("2024-01-15T13:00", "2024-01-16", "2024-01-18")
    assert sam.sends("2024-01-17T12:00").streak_extended
    assert sam.waits("2024-01-19").story(5) == "1 1p 2 2p 2"


def test_a9_13_a_pause_starts_no_streak_and_brings_none_back() -> None:
    sam = player().counts_on("2024-01-10").waits("2024-01-15").pauses("2024-01-15T13:00", "2024-01-16", "2024-01-18")
    assert sam.waits("2024-01-20").length == 0
    assert sam.story(5) == "0p 0p 0p 0 0"


@pytest.mark.parametrize(
    ("first", "last", "alive_on", "lost_on"),
    [
        ("2024-01-27", "2024-01-27", "2024-01-28", "2024-02-04"),  # a Saturday: its week need not count
        ("2024-01-21", "2024-01-21", "2024-01-28", "2024-02-04"),  # a Sunday
        ("2024-01-27", "2024-01-28", "2024-02-04", "2024-02-11"),  # both weeks that it touches
        ("2024-01-22", "2024-02-05", "2024-02-11", "2024-02-18"),
        ("2024-01-16", "2024-01-20", "2024-01-21", "2024-01-28"),  # in a week that has counted
    ],
)
def test_a9_13_a_week_that_a_pause_has_a_day_of_need_not_count(
    first: str, last: str, alive_on: str, lost_on: str
) -> None:
    sam = player("weekly").counts_on("2024-01-15").pauses("2024-01-15T13:00", first, last)
    assert sam.waits(alive_on).length == 1
    assert sam.waits(lost_on).length == 0


def test_a9_13_a_month_that_a_pause_has_a_day_of_need_not_count() -> None:
    sam = player("monthly").counts_on("2024-01-15").pauses("2024-01-15T13:00", "2024-02-29", "2024-02-29")
    assert sam.waits("2024-03-31").story(3) == "1 1p 1"
    assert sam.waits("2024-04-01").length == 0


@pytest.mark.parametrize(
    ("frequency", "first", "later"),
    [("weekly", "2024-01-21", "2024-01-28"), ("monthly", "2024-02-01", "2024-03-01")],
)
def test_a9_13_a_pause_that_is_over_still_holds_for_its_week_and_month(
    frequency: Frequency, first: str, later: str
) -> None:
    sam = player(frequency).counts_on("2024-01-15").pauses("2024-01-15T13:00", first, first)
    for passed in range(day(first), day(later)):
        sam.waits_until((passed - day("1970-01-01")) * 86_400_000)
    assert sam.waits(later).story(2) == "1p 1"


def test_a9_13_the_current_period_is_seen_as_paused_until_it_counts() -> None:
    for frequency in FREQUENCIES:
        sam = player(frequency).counts_on("2024-01-15").pauses("2024-01-15T13:00", "2024-02-07", "2024-02-09")
        sam.pauses("2024-01-15T13:00", "2024-01-16", "2024-02-06", 2)
        assert sam.waits("2024-02-08").story(1) == "1p"
        assert sam.counts_on("2024-02-08").story(1) == "2"


@pytest.mark.parametrize(
    ("frequency", "first", "last", "expires"),
    [
        ("daily", "2024-01-16", "2024-01-18", "2024-01-19"),
        ("daily", "2024-01-17", "2024-01-18", "2024-01-16"),  # the day before it is still to count
        ("daily", "2024-01-15", "2024-01-16", "2024-01-17"),
        ("weekly", "2024-01-16", "2024-01-18", "2024-01-27"),  # in a week that has counted
        ("weekly", "2024-01-27", "2024-01-27", "2024-02-03"),
        ("weekly", "2024-01-27", "2024-01-28", "2024-02-10"),
        ("monthly", "2024-01-20", "2024-01-28", "2024-02-29"),
        ("monthly", "2024-01-20", "2024-02-01", "2024-03-31"),
    ],
)
def test_q29_a_pause_moves_the_day_on_which_a_streak_expires(
    frequency: Frequency, first: str, last: str, expires: str
) -> None:
    sam = player(frequency).counts_on("2024-01-15").pauses("2024-01-15T13:00", first, last)
    assert sam.view.expires_day == day(expires)


def test_q29_pauses_that_follow_on_each_other_add_up() -> None:
    sam = player().counts_on("2024-01-15")
    sam.pauses("2024-01-15T13:00", "2024-01-16", "2024-01-17", 1)
    sam.pauses("2024-01-15T13:00", "2024-01-18", "2024-01-18", 2)
    sam.pauses("2024-01-15T13:00", "2024-01-20", "2024-01-20", 3)
    assert sam.view.expires_day == day("2024-01-19")


def test_q29_what_expires_on_a_day_is_lost_when_the_day_ends() -> None:
    sam = player().counts_on("2024-01-15").pauses("2024-01-15T13:00", "2024-01-16", "2024-01-18")
    assert sam.waits("2024-01-19T23:59:59.999").view.expires_day == sam.state.day == day("2024-01-19")
    assert sam.waits("2024-01-20").length == 0


def test_a9_14_pauses_are_listed_while_they_are_under_way_or_to_come() -> None:
    sam = player().counts_on("2024-01-15")
    sam.pauses("2024-01-15T13:00", "2024-01-16", "2024-01-18", 1).pauses("2024-01-15T13:00", "2024-02-20", "2024-02-21")
    upcoming = pause("2024-02-20", "2024-02-21")
    assert current_pauses(sam.state) == (pause("2024-01-16", "2024-01-18", 1), upcoming)
    assert len(current_pauses(sam.waits("2024-01-18T23:59:59.999").state)) == 2
    assert current_pauses(sam.waits("2024-01-19").state) == (upcoming,)


def test_a_pause_is_forgotten_once_no_period_can_need_it() -> None:
    sam = player().counts_on("2024-01-15").pauses("2024-01-15T13:00", "2024-01-30", "2024-01-30")
    assert sam.waits("2024-02-01").state.streaks.pauses != ()  # its week goes on until the 3rd
    assert sam.waits("2024-02-04").state.streaks.pauses == ()


def test_a9_14_a_pause_that_is_deleted_before_it_begins_has_never_been() -> None:
    sam = player().counts_on("2024-01-15").pauses("2024-01-15T13:00", "2024-01-17", "2024-01-19")
    sam.ends_pause("2024-01-15T14:00")
    assert current_pauses(sam.state) == sam.state.streaks.pauses == ()
    assert sam.waits("2024-01-17").length == 0


def test_q32e_a_pause_that_is_deleted_on_its_first_day_has_never_been() -> None:
    sam = player().counts_on("2024-01-15").pauses("2024-01-15T13:00", "2024-01-16", "2024-01-19")
    sam.ends_pause("2024-01-16T14:00")
    assert (sam.view.expires_day, sam.state.streaks.pauses) == (day("2024-01-16"), ())
    assert sam.waits("2024-01-17").length == 0


def test_q32e_deleting_an_active_pause_ends_it_with_yesterday() -> None:
    sam = player().counts_on("2024-01-15").pauses("2024-01-15T13:00", "2024-01-16", "2024-01-30")
    sam.ends_pause("2024-01-18T14:00")
    assert current_pauses(sam.state) == ()
    assert (sam.length, sam.story(4), sam.view.expires_day) == (1, "1 1p 1p 1", day("2024-01-18"))
    assert sam.waits("2024-01-19").length == 0


def test_q32e_the_days_of_a_deleted_pause_are_free_again() -> None:
    sam = player().counts_on("2024-01-15").pauses("2024-01-15T13:00", "2024-01-16", "2024-01-30")
    sam.ends_pause("2024-01-18T14:00").pauses("2024-01-18T14:00", "2024-01-18", "2024-01-20", 2)
    assert sam.waits("2024-01-21").length == 1


def test_q32e_a_week_that_has_been_paused_for_a_day_need_not_count_after_the_pause_is_deleted() -> None:
    sam = player("weekly").counts_on("2024-01-15").pauses("2024-01-15T13:00", "2024-01-21", "2024-02-29")
    sam.ends_pause("2024-01-23T14:00")
    assert sam.view.expires_day == day("2024-02-03")
    assert sam.waits("2024-02-03T23:59:59.999").length == 1
    assert sam.waits("2024-02-04").length == 0


@pytest.mark.parametrize("today", ["2024-01-15T14:00", "2024-01-17T14:00", "2024-01-20T14:00"])
def test_a9_14_a_pause_is_deleted_once(today: str) -> None:
    sam = player().counts_on("2024-01-15").pauses("2024-01-15T13:00", "2024-01-16", "2024-01-18")
    if today < "2024-01-19":
        sam.ends_pause(today)
    with pytest.raises(NotFound, match=r"^Streak pause not found by ID$"):
        sam.ends_pause(today)


def test_a9_14_an_unknown_pause_cannot_be_deleted() -> None:
    sam = player().counts_on("2024-01-15").pauses("2024-01-15T13:00", "2024-01-16", "2024-01-18")
    with pytest.raises(NotFound):
        sam.ends_pause("2024-01-15T14:00", 2)


def test_a9_13_a_pause_goes_by_the_users_days_wherever_they_are() -> None:
    sam = player(zone="Asia/Tokyo").counts_on("2024-01-15").pauses("2024-01-15T13:00", "2024-01-16", "2024-01-18")
    sam.sends("2024-01-17T12:00", "0", zone="America/Los_Angeles")
    assert sam.waits("2024-01-19T23:59:59.999").length == 1
    assert sam.waits("2024-01-20").length == 0


def test_q32_today_is_the_day_that_has_begun_where_the_user_was() -> None:
    sam = player(zone="Asia/Tokyo").counts_on("2024-01-15")
    sam.sends("2024-01-14T20:00", "0", zone="America/Los_Angeles")
    with pytest.raises(Invalid, match="start"):
        sam.pauses("2024-01-14T21:00", "2024-01-14", "2024-01-18")


def test_a9_13_time_before_the_pause_is_judged_without_it() -> None:
    sam = player().counts_on("2024-01-15").pauses("2024-01-18T13:00", "2024-01-18", "2024-01-25")
    assert sam.length == 0


def test_a9_13_a_pause_between_missed_days_spends_freezes_on_those_only() -> None:
    sam = Player(compiled(document(streak=frozen(2, 5)))).counts_on("2024-01-15")
    sam.pauses("2024-01-15T13:00", "2024-01-17", "2024-01-18")
    assert sam.waits("2024-01-20").story(5) == "1f 1p 1p 1f 1"
    assert sam.waits("2024-01-21").length == 0
