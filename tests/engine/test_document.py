from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from plaudit.engine.document import AttributeEntry, Document, StreakEntry
from plaudit.engine.problems import find_problems
from tests.engine.builders import achievement, document, frozen, streak, system, trigger


def read(**tables: Any) -> Document:
    """A document from plain data, as a file is read."""
    return msgspec.convert(tables, type=Document)


@dataclass(frozen=True)
class Table:
    """A table that is accepted as it is; what tests change is one key of it."""

    name: str
    valid: dict[str, Any]

    def read(self, **changed: Any) -> Document:
        return read(**{self.name: [self.valid | changed]})


METRIC = Table("metrics", {"key": "words", "name": "Words"})
ATTRIBUTE = Table("attributes", {"key": "plan", "name": "Plan", "type": "user"})
ACHIEVEMENT = Table("achievements", {"key": "a", "name": "A", "metric": "words", "metric_value": Decimal(1)})
POINTS = Table("points", {"key": "xp", "name": "XP"})
TRIGGER = {"key": "t", "metric": "words", "metric_threshold": 1, "points": 1}


@pytest.mark.parametrize("table", [METRIC, ATTRIBUTE, ACHIEVEMENT, POINTS], ids=lambda table: table.name)
@pytest.mark.parametrize("key", ["", "two words", "a/b", "ä", "x" * 101, None, 1])
def test_keys_are_short_and_plain(table: Table, key: object) -> None:
    assert table.read(key="Aa_0-9")
    with pytest.raises(msgspec.ValidationError, match=r"\[0\]\.key"):
        table.read(key=key)


@pytest.mark.parametrize("table", [METRIC, ATTRIBUTE, ACHIEVEMENT, POINTS], ids=lambda table: table.name)
def test_keys_do_not_end_in_a_newline(table: Table) -> None:
    with pytest.raises(msgspec.ValidationError):
        table.read(key="words\n")


@pytest.mark.parametrize("table", [METRIC, ATTRIBUTE, ACHIEVEMENT, POINTS], ids=lambda table: table.name)
def test_unknown_keys_of_a_table_are_refused(table: Table) -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field `colour`"):
        table.read(colour="red")


@pytest.mark.parametrize(
    ("table", "changed"),
    [
        (METRIC, {"name": ""}),
        (METRIC, {"name": "x" * 256}),
        (METRIC, {"unit_type": "weight"}),
        (ATTRIBUTE, {"type": "metric"}),
        (ACHIEVEMENT, {"status": "archived"}),
        (ACHIEVEMENT, {"trigger": "luck"}),
        (ACHIEVEMENT, {"metric_value": "many"}),
        (ACHIEVEMENT, {"description": "x" * 2001}),
        (POINTS, {"max_points": 0}),
        (POINTS, {"triggers": [TRIGGER | {"metric_threshold": 0}]}),
        (POINTS, {"triggers": [TRIGGER | {"metric_threshold": 1.5}]}),
        (POINTS, {"triggers": [TRIGGER | {"points": 10**12 + 1}]}),
        (POINTS, {"triggers": [TRIGGER | {"status": "locked"}]}),
    ],
)
def test_values_out_of_bounds_are_refused(table: Table, changed: dict[str, Any]) -> None:
    assert table.read()
    with pytest.raises(msgspec.ValidationError):
        table.read(**changed)


def test_a9_2_a_streak_threshold_is_from_1_to_10000() -> None:
    read(streak={"metrics": [{"key": "words", "threshold": 1}, {"key": "pages", "threshold": 10_000}]})
    for threshold in (0, 10_001):
        with pytest.raises(msgspec.ValidationError, match="threshold"):
            read(streak={"metrics": [{"key": "words", "threshold": threshold}]})


def test_an_empty_document_leaves_the_streak_as_it_is_and_has_no_problems() -> None:
    empty = read()
    assert empty.streak is None
    assert find_problems(empty) == []


def test_q32b_an_empty_streak_table_is_a_daily_streak_on_anything_and_has_no_problems() -> None:
    plain = read(streak={})
    assert plain.streak == StreakEntry("daily", "OR", False, (), (), None)
    assert find_problems(plain) == []


def test_a_whole_document_has_no_problems() -> None:
    assert not find_problems(
        document(
            achievements=(achievement("1"), achievement("1000000000000000"), achievement("1.5", "pages")),
            points=(system(trigger(1, 1), trigger(-1, 5, "steps", key="fine")), system(trigger(1, 1), key="gems")),
            streak=streak("AND", words=1, pages=2),
            user_attributes=("plan",),
            event_attributes=("plan",),
        )
    )


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (
            document(metrics=("a", "b", "a", "a")),
            '[[metrics]] "a" key: expected a key of its own, got one that',
        ),
        (document(user_attributes=("p", "p")), '[[attributes]] of type user "p" key: expected a key of its own'),
        (
            document(achievements=(achievement("1"), achievement("1"))),
            '[[achievements]] "1" key: expected a key of',
        ),
        (document(points=(system(), system())), '[[points]] "xp" key: expected a key of its own'),
        (
            document(points=(system(trigger(1, 1), trigger(2, 2)),)),
            '[[points]] "xp" [[points.triggers]] "trigger" key: expected a key of its own',
        ),
        (
            document(achievements=(achievement("1", "wrds"),)),
            '[[achievements]] "1" metric: expected the key of a metric (pages, steps, words), got "wrds"',
        ),
        (
            document(points=(system(trigger(1, 1, "wrds")),)),
            '[[points]] "xp" [[points.triggers]] "trigger" metric: expected the key of a metric (pages, steps, words)',
        ),
        (
            document(metrics=(), streak=streak(words=1)),
            '[[streak.metrics]] "words" key: expected the key of a metric (none yet), got "words"',
        ),
        (document(points=(system(trigger(0, 1)),)), '"trigger" points: expected a whole number other than 0, got 0'),
    ],
)
def test_a_problem_says_where_it_is_and_what_was_expected(broken: Document, problem: str) -> None:
    (found,) = find_problems(broken)
    assert problem in str(found)


def test_a_duplicate_is_one_problem_that_says_how_often_the_key_is_used() -> None:
    (found,) = find_problems(document(metrics=("a", "b", "a", "a")))
    assert found.expected == "expected a key of its own, got one that is used 3 times"


@pytest.mark.parametrize(
    ("table", "valid", "invalid"),
    [
        ("start_count", (0, 100), (-1, 101)),
        ("max_count", (1, 100), (0, 101)),
        ("auto_earn_interval", (1, 365), (0, 366)),
        ("auto_earn_amount", (1, 10), (0, 11)),
    ],
)
def test_a9_10_numbers_of_freezes_have_bounds(table: str, valid: tuple[int, int], invalid: tuple[int, int]) -> None:
    plain = {"start_count": 0, "max_count": 100}
    for number in valid:
        read(streak={"freezes": plain | {table: number}})
    for number in invalid:
        with pytest.raises(msgspec.ValidationError, match=table):
            read(streak={"freezes": plain | {table: number}})


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (
            StreakEntry(days_off=(1, 6, 1)),
            "[streak] days_off: expected each day of the week at most once",
        ),
        (
            StreakEntry("weekly", days_off=(1,)),
            "[streak] days_off: expected none, since the frequency is weekly",
        ),
        (frozen(3, 2), "[streak.freezes] max_count: expected at least start_count (3)"),
        (frozen(0, 2, 7), "[streak.freezes] auto_earn_amount: expected with auto_earn_interval, or neither of them"),
        (frozen(0, 2, None, 1), "[streak.freezes] auto_earn_amount: expected with auto_earn_interval"),
    ],
)
def test_a9_10_a9_17_a_streak_that_makes_no_sense_is_a_problem(entry: StreakEntry, problem: str) -> None:
    (found,) = find_problems(document(streak=entry))
    assert str(found).startswith(problem)


@pytest.mark.parametrize("days_off", [[-1], [7], [0, 1, 2, 3, 4, 5, 6]])
def test_a9_17_days_off_are_at_most_six_from_0_to_6(days_off: list[int]) -> None:
    with pytest.raises(msgspec.ValidationError, match="days_off"):
        read(streak={"days_off": days_off})
    read(streak={"days_off": [0, 1, 2, 3, 4, 6]})


def test_a_streak_metric_is_listed_once() -> None:
    entry = streak(words=1).metrics[0]
    (found,) = find_problems(document(streak=msgspec.structs.replace(streak(), metrics=(entry, entry))))
    assert (found.table, found.key) == ('[[streak.metrics]] "words"', "key")


@pytest.mark.parametrize("value", ["0", "0.999999999", "-1", "1000000000000000.1", "Infinity"])
def test_a7_15_a_metric_value_is_from_1_to_10_to_the_15(value: str) -> None:
    (found,) = find_problems(document(achievements=(achievement(value, key="far"),)))
    expected = f"expected a number from 1 to 10^15, got {value}"
    assert (found.table, found.key, found.expected) == ('[[achievements]] "far"', "metric_value", expected)


def test_a7_15_a_metric_value_that_is_no_number_is_a_problem() -> None:
    (found,) = find_problems(document(achievements=(achievement("NaN", key="far"),)))
    assert found.key == "metric_value"


def test_every_problem_is_found_at_once() -> None:
    broken = document(metrics=("a", "a"), achievements=(achievement("0", "b"),), points=(system(trigger(0, 1, "c")),))
    assert [problem.key for problem in find_problems(broken)] == ["key", "metric", "metric_value", "metric", "points"]


def test_a_user_and_an_event_attribute_may_share_a_key() -> None:
    shared = (AttributeEntry("plan", "Plan", "user"), AttributeEntry("plan", "Plan", "event"))
    assert find_problems(Document(attributes=shared)) == []
