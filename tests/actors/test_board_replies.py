"""Leaderboards in responses: the objects, which run is meant, which groups, and the entry of an event."""

from datetime import date
from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from plaudit.actors.board_messages import Place
from plaudit.actors.board_replies import BoardRenderer
from plaudit.actors.messages import Reply
from plaudit.actors.rank_index import pack_seat
from plaudit.engine.commands import FindLeaderboard, FindParticipant
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.compiling import compile_catalog
from plaudit.engine.document import LeaderboardEntry
from plaudit.engine.errors import Invalid, NotFound
from plaudit.engine.revision import revise
from plaudit.engine.runs import Run, run_on
from plaudit.engine.user import Profile, User
from tests.actors.rendering import body_of
from tests.engine.builders import compiled, day, document, instant, system, trigger

NOW = instant("2023-11-14T22:13:20")
BOARDS = (
    LeaderboardEntry(
        "weekly",
        "Weekly",
        "metric",
        "words",
        description="Words of the week",
        max_participants=3,
        start=date(2023, 11, 6),
        end=date(2023, 12, 31),
        start_time="09:00",
        end_time="21:30:05",
        run_unit="day",
        run_interval=7,
        user_attributes={"plan": "pro", "city": "Oslo"},
    ),
    LeaderboardEntry("xp", "Points", "points", points="xp", start=date(2023, 1, 31), run_unit="month"),
    LeaderboardEntry("streaks", "Streaks", "streak", start=date(2023, 1, 1)),
    LeaderboardEntry("cities", "Cities", "metric", "pages", start=date(2023, 1, 1), breakdown_attributes=("city",)),
    LeaderboardEntry("both", "Both", "metric", "pages", start=date(2023, 1, 1), breakdown_attributes=("plan", "city")),
    LeaderboardEntry("past", "Past", "metric", "words", start=date(2023, 10, 1), end=date(2023, 10, 31)),
    LeaderboardEntry("soon", "Soon", "metric", "words", start=date(2023, 11, 20), run_unit="year", run_interval=2),
    LeaderboardEntry("off", "Off", "metric", "words", start=date(2023, 1, 1), status="inactive"),
)
DOCUMENT = replace(
    document(points=(system(trigger(1, 1), key="xp"),), user_attributes=("plan", "city")), leaderboards=BOARDS
)
CATALOG: CompiledCatalog = compiled(DOCUMENT)
RENDERER = BoardRenderer(CATALOG)
DEFINITIONS = {key: board.definition for key, board in CATALOG.boards.by_key.items()}
WEEKLY = {
    "id": DEFINITIONS["weekly"].id,
    "name": "Weekly",
    "key": "weekly",
    "rankBy": "metric",
    "breakdownAttribute": None,
    "breakdownAttributes": [],
    "userAttributes": [{"key": "city", "value": "Oslo"}, {"key": "plan", "value": "pro"}],
    "description": "Words of the week",
    "start": "2023-11-06",
    "end": "2023-12-31",
    "startTime": "09:00",
    "endTime": "21:30:05",
    "maxParticipants": 3,
    "runUnit": "day",
    "runInterval": 7,
    "metricKey": "words",
    "metricName": "words",
}


def somebody(today: str = "2023-11-14", **attributes: str) -> User:
    return User(Profile(NOW, NOW, attributes=attributes), day=day(today))


def listed(now_ms: int = NOW, *, finished: bool = False) -> dict[str, Any]:
    """What is listed, by key."""
    return {board["key"]: board for board in body_of(RENDERER.all(now_ms, include_finished=finished))}


def find(key: str, run: str | None = None, *, now_ms: int = NOW, limit: int = 0, **attributes: str) -> Any:
    """The part of an answer that is about a leaderboard."""
    run_day = None if run is None else day(run)
    command = FindLeaderboard(key, run_day, tuple(attributes.items()), limit)
    return body_of(RENDERER.find(command, now_ms))


def participant(key: str, user: User, run: str | None = None, now_ms: int = NOW) -> Any:
    command = FindParticipant("sam", key, None if run is None else day(run))
    return body_of(RENDERER.participant(command, user, 2, 7, now_ms))


def entry(key: str, place: Place, *group: str, run_day: str = "2023-11-14") -> Any:
    """The entry of an event on a day."""
    board = DEFINITIONS[key]
    run = run_on(board, day(run_day))
    assert run is not None
    return body_of_bytes(RENDERER.event_entry(board, run, place, group))


def body_of_bytes(encoded: bytes) -> Any:
    return body_of(Reply(200, encoded))


# The objects


def test_a10_a_leaderboard_has_every_field_of_the_contract() -> None:
    assert listed()["weekly"] == WEEKLY | {"endsAt": "2023-11-20T00:00:00.000Z", "status": "active"}


def test_a10_what_a_leaderboard_does_not_have_is_null() -> None:
    streaks = DEFINITIONS["streaks"]
    assert listed()["streaks"] == {
        "id": streaks.id,
        "name": "Streaks",
        "key": "streaks",
        "rankBy": "streak",
        "breakdownAttribute": None,
        "breakdownAttributes": [],
        "userAttributes": [],
        "description": None,
        "start": "2023-01-01",
        "end": None,
        "startTime": None,
        "endTime": None,
        "maxParticipants": None,
        "runUnit": None,
        "runInterval": None,
        "endsAt": None,
        "status": "active",
    }


def test_a10_1_one_by_points_names_its_system() -> None:
    xp = listed()["xp"]
    assert (xp["rankBy"], xp["pointsSystemKey"], xp["pointsSystemName"]) == ("points", "xp", "xp")
    assert "metricKey" not in xp
    assert (xp["runUnit"], xp["runInterval"]) == ("month", 1)


def test_a10_9_the_only_breakdown_attribute_is_there_for_old_sdks() -> None:
    boards = listed()
    assert (boards["cities"]["breakdownAttribute"], boards["cities"]["breakdownAttributes"]) == ("city", ["city"])
    assert (boards["both"]["breakdownAttribute"], boards["both"]["breakdownAttributes"]) == (None, ["plan", "city"])


def test_a10_3_a10_11_finished_ones_are_listed_if_asked_and_inactive_ones_never() -> None:
    assert {key: board["status"] for key, board in listed().items()} == {
        "weekly": "active",
        "xp": "active",
        "streaks": "active",
        "cities": "active",
        "both": "active",
        "soon": "scheduled",
    }
    assert list(listed(finished=True)) == ["weekly", "xp", "streaks", "cities", "both", "past", "soon"]
    assert listed(finished=True)["past"]["status"] == "finished"


def test_a10_6_a_status_changes_with_the_days_on_earth() -> None:
    moments = ["2023-11-05T09:59:59", "2023-11-05T10:00", "2024-01-01T11:59:59", "2024-01-01T12:00"]
    found = [listed(instant(moment), finished=True)["weekly"] for moment in moments]
    assert [board["status"] for board in found] == ["scheduled", "active", "active", "finished"]
    assert [board["endsAt"][:10] for board in found] == ["2023-11-13", "2023-11-13", "2024-01-01", "2024-01-01"]


def test_q67_leaderboards_go_with_their_metric_and_system() -> None:
    later = replace(DOCUMENT, metrics=DOCUMENT.metrics[1:], points=(), leaderboards=BOARDS)
    renderer = BoardRenderer(compile_catalog(revise(CATALOG.catalog, later, NOW)))
    assert [board["key"] for board in body_of(renderer.all(NOW, include_finished=True))] == [
        "streaks",
        "cities",
        "both",
    ]


def test_q51_dates_are_those_of_the_board_and_ends_at_is_that_of_the_run() -> None:
    body = find("weekly", "2023-11-06")["body"]
    assert (body["start"], body["end"]) == ("2023-11-06", "2023-12-31")
    assert body == WEEKLY | {"endsAt": "2023-11-13T00:00:00.000Z", "status": "active"}


def test_an_end_that_is_beyond_all_years_is_none() -> None:
    board = LeaderboardEntry("far", "Far", "streak", start=date(9999, 12, 30), end=date(9999, 12, 31))
    runs = LeaderboardEntry(
        "runs", "Runs", "metric", "words", start=date(2023, 1, 1), run_unit="year", run_interval=9000
    )
    days = LeaderboardEntry(
        "days", "Days", "metric", "words", start=date(9999, 12, 30), run_unit="day", run_interval=100
    )
    catalog = compiled(replace(DOCUMENT, leaderboards=(board, runs, days)))
    renderer = BoardRenderer(catalog)
    assert [each["endsAt"] for each in body_of(renderer.all(NOW, include_finished=False))] == [None] * 3
    definition = catalog.boards.by_key["days"].definition
    run = run_on(definition, definition.start_day)
    assert run is not None
    body = body_of_bytes(renderer.event_entry(definition, run, Place(1, 1, 1), ()))
    assert (body["start"], body["end"], body["endsAt"]) == ("9999-12-30", "9999-12-31", None)


def test_a10_5_a_board_that_gets_an_end_before_it_began_is_finished() -> None:
    board = LeaderboardEntry("words", "Words", "metric", "words")
    begun = revise(CATALOG.catalog, replace(DOCUMENT, leaderboards=(board,)), NOW)
    ended = replace(DOCUMENT, leaderboards=(replace(board, end=date(2023, 10, 31)),))
    renderer = BoardRenderer(compile_catalog(revise(begun, ended, NOW + 86_400_000)))
    [found] = body_of(renderer.all(NOW, include_finished=True))
    assert (found["start"], found["end"], found["status"]) == ("2023-10-31", "2023-10-31", "finished")


# Which run


@pytest.mark.parametrize(
    ("key", "now", "first"),
    [
        ("weekly", "2023-11-14T22:13", "2023-11-13"),
        ("weekly", "2023-11-12T23:59", "2023-11-06"),
        ("weekly", "2023-11-13T00:00", "2023-11-13"),
        ("weekly", "2023-11-05T12:00", "2023-11-06"),
        ("weekly", "2024-05-01T00:00", "2023-12-25"),
        ("xp", "2023-02-27T23:59", "2023-01-31"),
        ("xp", "2023-02-28T00:00", "2023-02-28"),
        ("xp", "2023-03-31T00:00", "2023-03-31"),
        ("streaks", "2023-11-14T00:00", "2023-01-01"),
        ("past", "2023-11-14T00:00", "2023-10-01"),
        ("soon", "2023-11-14T00:00", "2023-11-20"),
    ],
)
def test_a10_12_without_a_run_it_is_that_of_today_in_utc_or_the_nearest(key: str, now: str, first: str) -> None:
    assert find(key, now_ms=instant(now))["run"] == day(first)


def test_q49_any_day_of_a_run_will_do() -> None:
    found = [find("weekly", f"2023-11-{number:02}")["run"] for number in range(6, 20)]
    assert [after - before for before, after in pairwise(found)] == [0] * 6 + [7] + [0] * 6
    assert found[0] == day("2023-11-06")


@pytest.mark.parametrize(
    ("key", "run"),
    [
        ("weekly", "2023-11-05"),
        ("weekly", "2023-11-20"),
        ("weekly", "2024-01-01"),
        ("past", "2023-11-01"),
        ("soon", "2023-11-20"),
    ],
)
def test_q49_before_the_first_run_and_after_the_present_one_there_is_none(key: str, run: str) -> None:
    with pytest.raises(NotFound, match="no such run"):
        find(key, run)
    with pytest.raises(NotFound, match="no such run"):
        participant(key, somebody(plan="pro"), run)


def test_q49_a_run_is_there_as_soon_as_its_first_day_begins_on_earth() -> None:
    with pytest.raises(NotFound):
        find("weekly", "2023-11-20", now_ms=instant("2023-11-19T09:59:59"))
    assert find("weekly", "2023-11-20", now_ms=instant("2023-11-19T10:00"))["run"] == day("2023-11-20")


def test_a10_3_nobody_is_ranked_before_it_begins() -> None:
    assert not find("soon")["has_begun"]
    assert not participant("soon", somebody())["has_begun"]
    assert find("soon", now_ms=instant("2023-11-19T10:00"))["has_begun"]
    assert find("past")["has_begun"]


def test_a10_12_runs_of_a_finished_one_can_be_read() -> None:
    found = find("past", "2023-10-17")
    assert (found["run"], found["body"]["status"]) == (day("2023-10-01"), "finished")


@pytest.mark.parametrize(
    ("today", "first"), [("2023-11-12", "2023-11-06"), ("2023-11-13", "2023-11-13"), ("2023-11-05", "2023-11-06")]
)
def test_a10_6_the_run_of_a_participant_is_that_of_their_own_day(today: str, first: str) -> None:
    found = participant("weekly", somebody(today), now_ms=instant("2023-11-13T05:00"))
    assert (found["run"], found["seat"]) == (day(first), pack_seat(2, 7))
    assert found["body"]["endsAt"] == ("2023-11-20T00:00:00.000Z" if today == first else "2023-11-13T00:00:00.000Z")


@pytest.mark.parametrize("key", ["none", "off", ""])
def test_a10_3_unknown_and_inactive_ones_are_not_found(key: str) -> None:
    with pytest.raises(NotFound, match=r"^Leaderboard not found$"):
        find(key)
    with pytest.raises(NotFound, match=r"^Leaderboard not found$"):
        participant(key, somebody())


# Which groups


def test_q50_groups_are_in_the_order_of_the_board_and_any_where_nothing_is_said() -> None:
    assert find("weekly")["group"] == []
    assert find("cities", city="Oslo")["group"] == ["Oslo"]
    assert find("both", city="Oslo", plan="pro")["group"] == ["pro", "Oslo"]
    assert find("both", city="Oslo")["group"] == [None, "Oslo"]
    assert find("both", city="Oslo")["seat"] is None


@pytest.mark.parametrize(
    ("key", "attributes"), [("cities", {}), ("weekly", {"city": "Oslo"}), ("cities", {"city": "Oslo", "plan": "pro"})]
)
def test_q50_attributes_are_needed_with_groups_and_only_then(key: str, attributes: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match=r"^userAttributes: "):
        find(key, **attributes)


def test_a10_9_a_participant_is_in_the_group_of_their_values() -> None:
    assert participant("both", somebody(city="Oslo", plan="pro"))["group"] == ["pro", "Oslo"]
    missing = participant("both", somebody(city="Oslo"))
    assert (missing["group"], missing["seat"]) == ([None, "Oslo"], None)


def test_q48_the_limit_is_at_most_what_there_are_places() -> None:
    assert find("weekly", limit=3)
    assert find("streaks", limit=1000)
    with pytest.raises(Invalid, match=r"^limit: expected at most maxParticipants \(3\), got 4$"):
        find("weekly", limit=4)


# The entry of an event


def test_a10_13_an_entry_has_the_dates_of_the_run_and_the_place() -> None:
    assert entry("weekly", Place(2, 3, 7)) == WEEKLY | {
        "start": "2023-11-13",
        "end": "2023-11-19",
        "endsAt": "2023-11-20T00:00:00.000Z",
        "status": "active",
        "rank": 2,
        "previousRank": 3,
        "threshold": 7,
    }


def test_a10_13_who_is_on_no_place_has_no_rank() -> None:
    found = entry("streaks", Place(None, None, 1))
    assert (found["rank"], found["previousRank"], found["threshold"], found["end"]) == (None, None, 1, None)
    assert "breakdownAttributeValues" not in found


def test_a10_13_an_entry_of_a_group_has_the_values_of_the_user() -> None:
    found = entry("cities", Place(1, None, 1), 'Os"lo')
    assert found["breakdownAttributeValue"] == 'Os"lo'
    assert found["breakdownAttributeValues"] == [{"key": "city", "value": 'Os"lo'}]
    found = entry("both", Place(1, None, 1), "pro", "Oslo")
    assert "breakdownAttributeValue" not in found
    assert found["breakdownAttributeValues"] == [{"key": "plan", "value": "pro"}, {"key": "city", "value": "Oslo"}]


def test_each_run_has_its_own_dates() -> None:
    days = ["2023-11-06", "2023-11-13", "2023-11-06"]
    assert [entry("weekly", Place(1, 1, 1), run_day=each)["start"] for each in days] == days
    last = entry("weekly", Place(1, 1, 1), run_day="2023-12-31")
    assert (last["start"], last["end"]) == ("2023-12-25", "2023-12-31")
    assert run_on(DEFINITIONS["weekly"], day("2023-12-31")) == Run(day("2023-12-25"), day("2023-12-31"))
