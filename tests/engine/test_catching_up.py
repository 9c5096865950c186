"""What a changed catalog gives to users who are there already."""

import pytest
from msgspec.structs import replace

from plaudit.engine.catalog import Achievement, Frequency, PointsSystem, Status, StreakSettings
from plaudit.engine.catching_up import backdate, catch_up, is_owed, needs_history
from plaudit.engine.commands import Backdate
from plaudit.engine.user import User
from tests.engine.builders import Player, amount, instant
from tests.engine.catalogs import (
    after_all,
    after_years,
    at_length,
    at_value,
    catalog,
    keys,
    on_demand,
    per_completion,
    points,
)

NOON = "2024-01-15T12:00"
CHANGED = "2024-01-15T13:00"
LATER = "2024-01-15T14:00"
PHONE = {"device": "phone"}
PRO = {"plan": "pro"}


def changes(
    sam: Player, *items: Achievement | PointsSystem, at: str = CHANGED, frequency: Frequency = "daily"
) -> Player:
    """A catalog of these items takes the place of the one that there is, at a time in UTC."""
    streak = StreakSettings(frequency=frequency)
    sam.catalog = catalog(*items, before=sam.catalog, at_ms=instant(at), streak=streak)
    return sam


def completed(user: User, sam: Player) -> dict[str, int]:
    """What has been completed, and when."""
    by_number = {a.number: a.key for a in sam.catalog.catalog.achievements}
    return {by_number[number]: at_ms for number, at_ms in user.completions.items()}


def with_words(value: str, *items: Achievement | PointsSystem) -> Player:
    """A user with a total of words, under a catalog of these items."""
    sam = Player(catalog(*items))
    sam.sends(NOON, value)
    return sam


# What is given, and how


def test_a7_9_q40_it_comes_silently_without_points_and_with_the_date_of_the_catalog() -> None:
    sam = with_words("10")
    changes(sam, at_value("ten", "10"), at_value("far", "11"), points(per_completion(5, "ten")))
    assert is_owed(sam.state, sam.catalog)
    sam.waits(LATER)
    assert completed(sam.state, sam) == {"ten": instant(CHANGED)}
    assert sam.happenings == []
    assert sam.state.points == {}
    assert not is_owed(sam.state, sam.catalog)


def test_a7_9_an_event_that_comes_first_is_told_only_what_it_has_done_itself() -> None:
    sam = with_words("10")
    changes(sam, *(at_value(value, value) for value in ("9", "10", "11")), points(per_completion(5, "11")))
    outcome = sam.sends(LATER, "1")
    assert keys(outcome.completed) == ["11"]
    assert completed(sam.state, sam) == {"9": instant(CHANGED), "10": instant(CHANGED), "11": instant(LATER)}
    assert [award.awarded for award in outcome.awards] == [5]


@pytest.mark.parametrize("before", ["inactive", "locked"])
def test_a7_9_one_that_becomes_active_is_given(before: Status) -> None:
    sam = with_words("10", at_value("ten", "10", status=before))
    assert sam.state.completions == {}
    changes(sam, at_value("ten", "10"))
    assert completed(sam.waits(LATER).state, sam) == {"ten": instant(CHANGED)}


@pytest.mark.parametrize("status", ["inactive", "locked"])
def test_a7_2_one_that_is_not_active_is_not(status: Status) -> None:
    sam = changes(with_words("10"), at_value("ten", "10", status=status))
    assert not is_owed(sam.state, sam.catalog)
    assert sam.waits(LATER).state.completions == {}


def test_a7_9_one_that_is_edited_is_given_to_those_who_meet_it_now_and_taken_from_nobody() -> None:
    sam = with_words("10", at_value("up", "8"), at_value("down", "12"), at_value("metric", "5", "pages"))
    changes(sam, at_value("up", "99"), at_value("down", "10"), at_value("metric", "5", "words"))
    assert set(completed(sam.waits(LATER).state, sam)) == {"up", "down", "metric"}


def test_a7_9_one_that_was_archived_comes_back_for_those_who_met_it_meanwhile() -> None:
    ten = at_value("ten", "10")
    sam = changes(with_words("9", ten), at="2024-01-15T12:30")
    sam.sends("2024-01-15T12:40", "1")
    changes(sam, ten)
    assert completed(sam.waits(LATER).state, sam) == {"ten": instant(CHANGED)}


def test_a7_5_q40_what_has_to_be_asked_for_is_never_given() -> None:
    sam = changes(with_words("10"), on_demand("asked"), on_demand("pro", user_attributes=PRO))
    assert not is_owed(sam.state, sam.catalog)
    assert sam.waits(LATER).state.completions == {}
    changes(sam, at_value("asked", "10"))
    assert set(completed(sam.waits(LATER).state, sam)) == {"asked"}


def test_a7_9_what_counts_is_the_total_of_then_not_one_that_there_was() -> None:
    sam = with_words("10")
    sam.sends(NOON, "-1")
    changes(sam, at_value("ten", "10"))
    assert sam.waits(LATER).state.completions == {}


def test_a7_8_a_filter_of_user_attributes_goes_for_it_too() -> None:
    sam = with_words("10")
    sam.sends(NOON, "0", being={"plan": "free"})
    changes(sam, at_value("pro", "10", user_attributes=PRO), at_value("free", "10", user_attributes={"plan": "free"}))
    assert set(completed(sam.waits(LATER).state, sam)) == {"free"}
    assert keys(sam.sends(LATER, "0", being=PRO).completed) == ["pro"]


def test_a7_9_composites_are_given_with_what_completes_them_and_alone() -> None:
    sam = with_words("10", at_value("five", "5"))
    changes(
        sam, at_value("five", "5"), after_all("top", "pair"), after_all("pair", "five", "ten"), at_value("ten", "10")
    )
    assert set(completed(sam.waits(LATER).state, sam)) == {"five", "ten", "pair", "top"}
    alone = with_words("10", at_value("five", "5"))
    changes(
        alone, at_value("five", "5"), after_all("one", "five"), after_all("two", "one", "missing"), on_demand("missing")
    )
    assert completed(alone.waits(LATER).state, alone) == {"five": instant(NOON), "one": instant(CHANGED)}


def test_a7_9_streaks_are_given_by_the_length_that_the_user_sees() -> None:
    lengths = tuple(at_length(str(n), n) for n in (1, 2, 3))
    sam = Player(catalog()).counts_through("2024-01-13", "2024-01-14")
    changes(sam, *lengths, at="2024-01-14T13:00")
    assert set(completed(sam.waits("2024-01-14T14:00").state, sam)) == {"1", "2"}
    weekly = Player(catalog(*lengths)).counts_on("2024-01-06", "2024-01-08")  # two weeks, and never two days
    assert set(completed(weekly.state, weekly)) == {"1"}
    changes(weekly, *lengths, at="2024-01-08T13:00", frequency="weekly")
    assert set(completed(weekly.waits("2024-01-08T14:00").state, weekly)) == {"1", "2"}


@pytest.mark.parametrize(
    ("zone", "expected"), [("UTC", ["one"]), ("America/New_York", []), ("Pacific/Kiritimati", ["one"])]
)
def test_a7_9_anniversaries_are_given_by_the_day_on_which_the_catalog_came(zone: str, expected: list[str]) -> None:
    sam = Player(catalog(), zone)
    sam.sends("2024-01-10T12:00", "0", signed_up="2023-01-20")
    changes(sam, after_years("one", 1), points(per_completion(5, "one")), at="2024-01-20T02:00")
    assert list(completed(catch_up(sam.state, sam.catalog), sam)) == expected
    sam.waits("2024-01-25")
    at_ms = instant("2024-01-20T02:00") if expected else instant("2024-01-20", zone)
    assert completed(sam.state, sam) == {"one": at_ms}
    assert sam.state.points == ({} if expected else {1: 5})


def test_q40_it_is_done_once_for_a_catalog_and_again_for_the_next_one() -> None:
    sam = changes(with_words("10"), at_value("ten", "10"))
    caught_up = catch_up(sam.state, sam.catalog)
    assert catch_up(caught_up, sam.catalog) is caught_up
    changes(sam, at_value("ten", "10"), at_value("nine", "9"), at=LATER)
    again = catch_up(caught_up, sam.catalog)
    assert completed(again, sam) == {"ten": instant(CHANGED), "nine": instant(LATER)}


def test_q40_who_comes_after_the_catalog_is_owed_nothing() -> None:
    made = catalog(at_value("ten", "10"), before=catalog(), at_ms=instant(NOON))
    sam = Player(made)
    sam.sends(LATER)
    assert not is_owed(sam.state, made)
    assert catch_up(sam.state, made) is sam.state


# What was due before it


LOOKS = [(), ("2024-01-20T00:00",), ("2024-01-20T01:59:59.999",), ("2024-01-19T12:00", "2024-01-20T01:00")]
"""When somebody may have looked before a catalog of 02:00 on the 20th."""
YEAR = after_years("one", 1)
FOR_YEAR = points(per_completion(50, "one"))


@pytest.mark.parametrize("looks", LOOKS)
def test_a7_7_an_anniversary_that_was_due_counts_though_the_catalog_has_changed_since(looks: tuple[str, ...]) -> None:
    sam = Player(catalog(YEAR, FOR_YEAR))
    sam.sends("2024-01-10T12:00", "0", signed_up="2023-01-20")
    for look in looks:
        sam.waits(look)
    changes(sam, YEAR, FOR_YEAR, at_value("other", "1000"), at="2024-01-20T02:00")
    sam.waits("2024-01-20T03:00")
    assert completed(sam.state, sam) == {"one": instant("2024-01-20")}
    assert [(h.at_ms, keys(h.completed)) for h in sam.happenings] == [(instant("2024-01-20"), ["one"])]
    assert sam.state.points == {1: 50}


@pytest.mark.parametrize("looks", LOOKS)
@pytest.mark.parametrize("before", [(), (replace(YEAR, anniversary_years=9),), (replace(YEAR, status="locked"),)])
def test_a7_9_one_that_is_new_on_the_day_comes_silently(
    looks: tuple[str, ...], before: tuple[Achievement, ...]
) -> None:
    other = after_years("nine", 9)
    sam = Player(catalog(other, *before, points()))
    sam.sends("2024-01-10T12:00", "0", signed_up="2023-01-20")
    for look in looks:
        sam.waits(look)
    changes(sam, other, YEAR, FOR_YEAR, at="2024-01-20T02:00")
    sam.waits("2024-01-20T03:00")
    assert completed(sam.state, sam) == {"one": instant("2024-01-20T02:00")}
    assert sam.happenings == []
    assert sam.state.points == {}


@pytest.mark.parametrize("looks", [(), ("2024-01-05T00:00",), ("2024-01-05T23:00", "2024-01-06T12:59:59")])
def test_a7_9_a_streak_that_was_lost_by_then_is_not_rewarded(looks: tuple[str, ...]) -> None:
    sam = Player(catalog()).counts_through("2024-01-01", "2024-01-03")
    for look in looks:
        sam.waits(look)
    changes(sam, at_length("three", 3), at_length("one", 1), at="2024-01-06T13:00")
    sam.waits("2024-01-06T14:00")
    assert completed(sam.state, sam) == {}


def test_a7_9_nor_is_it_for_one_who_comes_back_with_an_event() -> None:
    sam = Player(catalog()).counts_through("2024-01-01", "2024-01-03")
    changes(sam, at_length("three", 3), at_length("one", 1), at="2024-01-06T13:00")
    assert keys(sam.sends("2024-01-06T14:00").completed) == ["one"]
    assert completed(sam.state, sam) == {"one": instant("2024-01-06T14:00")}


def test_a7_9_a_streak_that_was_lost_after_it_is() -> None:
    sam = Player(catalog()).counts_through("2024-01-01", "2024-01-03")
    changes(sam, at_length("three", 3), at="2024-01-04T13:00")
    sam.waits("2024-01-09")
    assert completed(sam.state, sam) == {"three": instant("2024-01-04T13:00")}
    assert sam.length == 0


# Totals of matching events, which nobody has counted so far


def test_a7_9_history_is_needed_by_those_who_have_done_something_on_the_metric_before() -> None:
    sam = with_words("5")
    assert not needs_history(sam.state, sam.catalog)
    changes(sam, at_value("phone", "3", event_attributes=PHONE))
    assert needs_history(sam.state, sam.catalog)
    assert is_owed(sam.waits(LATER).state, sam.catalog)


def test_a7_9_those_who_have_done_nothing_on_it_are_done() -> None:
    sam = Player(catalog())
    sam.sends(NOON, "5", "pages")
    changes(sam, at_value("phone", "3", event_attributes=PHONE))
    assert not needs_history(sam.state, sam.catalog)
    filled = catch_up(sam.state, sam.catalog).filled
    assert filled == sam.catalog.catalog.filling
    assert not needs_history(replace(sam.state, filled=filled, totals={1: 1}), sam.catalog)


def test_a7_9_the_sums_of_the_whole_history_take_the_place_of_what_has_been_counted_since() -> None:
    sam = changes(with_words("5"), at_value("phone", "3", event_attributes=PHONE), after_all("then", "phone"))
    sam.sends(LATER, "1", carrying=PHONE)
    assert sam.state.matched == {1: amount("1")}
    filling = sam.catalog.catalog.filling
    user = backdate(sam.state, Backdate("sam", filling, {1: amount("3")}), sam.catalog)
    assert user.matched == {1: amount("3")}
    assert completed(user, sam) == {"phone": instant(CHANGED), "then": instant(CHANGED)}
    assert user.points == {}
    assert not is_owed(user, sam.catalog)
    assert backdate(user, Backdate("sam", filling, {1: amount("99")}), sam.catalog) is user


@pytest.mark.parametrize("total", ["2.999999999", "-5", "3000000"])
def test_a7_9_sums_complete_what_they_are_enough_for(total: str) -> None:
    items = (
        at_value("phone", "3", event_attributes=PHONE),
        at_value("pro", "3", event_attributes=PHONE, user_attributes=PRO),
        at_value("locked", "3", event_attributes=PHONE, status="locked"),
    )
    sam = changes(with_words("5"), *items)
    packed = amount(total)
    user = backdate(sam.state, Backdate("sam", sam.catalog.catalog.filling, {1: packed}), sam.catalog)
    assert set(completed(user, sam)) == ({"phone"} if packed >= amount("3") else set())


def test_a7_9_sums_for_an_older_catalog_leave_those_of_the_newer_one_open() -> None:
    sam = changes(with_words("5"), at_value("phone", "3", event_attributes=PHONE))
    old = sam.catalog.catalog.filling
    good = at_value("good", "3", event_attributes={"mood": "good"})
    changes(sam, at_value("phone", "3", event_attributes=PHONE), good, at=LATER)
    user = backdate(sam.state, Backdate("sam", old, {1: amount("3")}), sam.catalog)
    assert set(completed(user, sam)) == {"phone"}
    assert needs_history(user, sam.catalog)


@pytest.mark.parametrize("after", ["3", "-3"])
def test_a7_9_sums_that_come_to_nothing_take_the_place_of_others_too(after: str) -> None:
    """An event before the catalog has taken away what one since has given."""
    sam = Player(catalog())
    sam.sends(NOON, str(-int(after)), carrying=PHONE)
    items = (at_value("phone", "3", event_attributes=PHONE), at_value("one", "1", event_attributes=PHONE))
    changes(sam, *(replace(item, status="locked") for item in items))
    sam.sends(LATER, after, carrying=PHONE)
    assert sam.state.matched == {1: amount(after)}
    sam.user = backdate(sam.state, Backdate("sam", sam.catalog.catalog.filling), sam.catalog)
    assert sam.state.matched.get(1, 0) == 0
    changes(sam, *items, at=LATER)
    assert keys(sam.sends(LATER, "1", carrying=PHONE).completed) == ["one"]
