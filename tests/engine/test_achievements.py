from plaudit.engine.catalog import Catalog
from plaudit.engine.compiling import compile_catalog
from plaudit.engine.outcome import Outcome
from plaudit.engine.process import process
from plaudit.engine.revision import revise
from tests.engine.builders import CREATED_MS, Player, achievement, amount, compiled, document, event, instant


def keys(outcome: Outcome) -> list[str]:
    return [completed.key for completed in outcome.completed]


def player(*values: str) -> Player:
    """A user with achievements of `words` at values."""
    return Player(compiled(document(achievements=tuple(achievement(value) for value in values))))


def test_a7_3_an_achievement_completes_when_the_total_reaches_its_value() -> None:
    sam = player("10")
    assert keys(sam.sends("2024-01-15T10:00", "9.999999999")) == []
    outcome = sam.sends("2024-01-15T11:00", "0.000000001")
    assert keys(outcome) == ["10"]
    assert outcome.user.completions == {1: instant("2024-01-15T11:00")}


def test_q18_ten_tenths_complete_an_achievement_at_one() -> None:
    sam = player("1")
    outcomes = [sam.sends("2024-01-15T10:00", "0.1") for _ in range(10)]
    assert [keys(outcome) for outcome in outcomes] == [[]] * 9 + [["1"]]


def test_a7_3_passing_the_value_completes_it_too() -> None:
    assert keys(player("10").sends("2024-01-15T10:00", "11")) == ["10"]


def test_a5_3_an_event_completes_everything_that_it_reaches_in_order_of_value() -> None:
    sam = player("100", "10", "1000", "20")
    outcome = sam.sends("2024-01-15T10:00", "100")
    assert keys(outcome) == ["10", "20", "100"]
    assert list(outcome.user.completions) == [2, 4, 1]


def test_a5_3_an_event_shows_only_what_it_completed() -> None:
    sam = player("10", "20")
    sam.sends("2024-01-15T10:00", "10")
    assert keys(sam.sends("2024-01-15T11:00", "5")) == []
    assert keys(sam.sends("2024-01-15T12:00", "5")) == ["20"]


def test_a7_14_a_decrease_takes_nothing_back_and_nothing_completes_twice() -> None:
    sam = player("10")
    first = sam.sends("2024-01-15T10:00", "10")
    decreased = sam.sends("2024-01-15T11:00", "-50")
    again = sam.sends("2024-01-15T12:00", "100")
    assert keys(decreased) == keys(again) == []
    assert decreased.user.completions == again.user.completions == first.user.completions


def test_an_event_completes_nothing_of_another_metric() -> None:
    catalog = compiled(document(achievements=(achievement("10", "pages"), achievement("20", "words"))))
    sam = Player(catalog)
    assert keys(sam.sends("2024-01-15T10:00", "15", "words")) == []
    assert keys(sam.sends("2024-01-15T11:00", "15", "pages")) == ["10"]


def test_a7_2_locked_and_inactive_achievements_are_not_completed() -> None:
    entries = (achievement("1", status="locked"), achievement("2", status="inactive"), achievement("3"))
    outcome = Player(compiled(document(achievements=entries))).sends("2024-01-15T10:00", "100")
    assert keys(outcome) == ["3"]


def test_a7_2_what_is_locked_or_archived_later_stays_completed() -> None:
    active = document(achievements=(achievement("1"), achievement("2")))
    locked = document(achievements=(achievement("1", status="locked"),))
    before = revise(Catalog(), active, CREATED_MS)
    after = revise(before, locked, CREATED_MS + 1)
    now = instant("2024-01-15T10:00")
    user = process(None, event("2"), compile_catalog(before), now).user
    outcome = process(user, event("1"), compile_catalog(after), now + 1)
    assert keys(outcome) == []
    assert outcome.user.completions == {1: now, 2: now}


def test_two_achievements_at_the_same_value_complete_together() -> None:
    entries = (achievement("5", key="b"), achievement("5", key="a"))
    outcome = Player(compiled(document(achievements=entries))).sends("2024-01-15T10:00", "5")
    assert keys(outcome) == ["b", "a"]
    assert outcome.total == amount("5")
