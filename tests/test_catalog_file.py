from decimal import Decimal
from pathlib import Path

import pytest

from plaudit.catalog_file import CatalogFileError, load_document

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.toml"))
METRIC = '[[metrics]]\nkey = "words"\nname = "Words"\n'
ACHIEVEMENT = METRIC + '[[achievements]]\nkey = "a"\nname = "A"\nmetric = "words"\nmetric_value = 1\n'
POINTS = METRIC + '[[points]]\nkey = "xp"\nname = "XP"\n'
TRIGGER = POINTS + '[[points.triggers]]\nkey = "t"\nmetric = "words"\nmetric_threshold = 1\npoints = 1\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalog.toml"


def problems(path: Path, text: str) -> list[str]:
    """The lines that say what is wrong with a file, without its name, which begins each."""
    path.write_text(text, "utf-8")
    with pytest.raises(CatalogFileError) as caught:
        load_document(path)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines), lines
    return [line.removeprefix(f"{path}: ") for line in lines]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_the_examples_are_catalogs(example: Path) -> None:
    assert load_document(example).metrics


def test_there_are_examples() -> None:
    assert "study.toml" in [example.name for example in EXAMPLES]


def test_an_empty_file_is_an_empty_catalog(path: Path) -> None:
    path.write_text("# nothing yet\n", "utf-8")
    assert load_document(path).metrics == ()


def test_decimals_are_taken_as_they_are_written(path: Path) -> None:
    path.write_text(ACHIEVEMENT.replace("metric_value = 1", "metric_value = 1.100"), "utf-8")
    assert load_document(path).achievements[0].metric_value == Decimal("1.1")


@pytest.mark.parametrize(
    ("text", "table", "key", "expected"),
    [
        (METRIC.replace('"words"', "1"), "[[metrics]] number 1", "key", "expected str, got int"),
        (METRIC.replace('"words"', '"two words"'), "[[metrics]] number 1", "key", "expected str matching regex"),
        (METRIC + METRIC.replace('name = "Words"', ""), "[[metrics]] number 2", "name", "missing"),
        (METRIC + 'colour = "red"\n', "[[metrics]] number 1", "colour", "unknown"),
        (METRIC + 'unit_type = "weight"\n', "[[metrics]] number 1", "unit_type", "invalid enum value"),
        (ACHIEVEMENT.replace("= 1\n", '= "x"\n'), "[[achievements]] number 1", "metric_value", "decimal"),
        (ACHIEVEMENT + "description = 1\n", "[[achievements]] number 1", "description", "expected str"),
        (TRIGGER.replace("threshold = 1", "threshold = 0"), "[[points.triggers]] number 1", "threshold", ">= 1"),
        (POINTS + "max_points = 1.5\n", "[[points]] number 1", "max_points", "expected int"),
        (POINTS + "triggers = 1\n", "[[points]] number 1", "triggers", "expected array"),
        ("metrics = 1\n", "metrics", "", "expected array"),
        ('[streak]\nfrequency = "hourly"\n', "streak", "frequency", "invalid enum value"),
        ('[streak]\nmode = "OR"\n', "streak", "mode", "unknown"),
        ('[[streak.metrics]]\nkey = "words"\nthreshold = 0\n', "[[streak.metrics]] number 1", "threshold", ">= 1"),
        ("[[badges]]\n", "the file", "badges", "unknown"),
    ],
)
def test_what_types_can_say_is_one_line_with_table_key_and_expectation(
    path: Path, text: str, table: str, key: str, expected: str
) -> None:
    (line,) = problems(path, text)
    assert table in line
    assert key in line
    assert expected in line.lower()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (METRIC * 2, '[[metrics]] "words" key: expected a key of its own, got one that is used 2 times'),
        (
            '[[attributes]]\nkey = "a"\nname = "A"\ntype = "user"\n' * 3,
            '[[attributes]] of type user "a" key: expected a key of its own, got one that is used 3 times',
        ),
        (
            ACHIEVEMENT.replace('metric = "words"', 'metric = "wrods"'),
            '[[achievements]] "a" metric: expected the key of a metric (words), got "wrods"',
        ),
        (
            ACHIEVEMENT.replace("= 1\n", "= 0.5\n"),
            '[[achievements]] "a" metric_value: expected a number from 1 to 10^15, got 0.5',
        ),
        (
            TRIGGER.replace("points = 1", "points = 0"),
            '[[points]] "xp" [[points.triggers]] "t" points: expected a whole number other than 0, got 0',
        ),
        (
            '[[streak.metrics]]\nkey = "words"\nthreshold = 1\n',
            '[[streak.metrics]] "words" key: expected the key of a metric (none yet), got "words"',
        ),
    ],
)
def test_what_only_the_whole_can_say_is_one_line_as_well(path: Path, text: str, line: str) -> None:
    assert problems(path, text) == [line]


@pytest.mark.parametrize("number", ["inf", "-inf", "nan"])
def test_numbers_that_are_none_are_refused(path: Path, number: str) -> None:
    (line,) = problems(path, ACHIEVEMENT.replace("= 1\n", f"= {number}\n"))
    assert "[[achievements]]" in line
    assert "metric_value" in line


def test_every_problem_gets_its_line(path: Path) -> None:
    text = ACHIEVEMENT.replace('metric = "words"', 'metric = "x"').replace("= 1\n", "= 0\n") + METRIC
    lines = problems(path, text)
    assert len(lines) == 3
    assert [line.split(":")[0] for line in lines] == [
        '[[metrics]] "words" key',
        '[[achievements]] "a" metric',
        '[[achievements]] "a" metric_value',
    ]


def test_a_file_that_is_no_toml_says_where(path: Path) -> None:
    (line,) = problems(path, METRIC + "key =\n")
    assert line.startswith("expected TOML: ")
    assert "line 4" in line


def test_a_file_that_is_not_utf_8_says_so(path: Path) -> None:
    path.write_bytes(METRIC.encode("utf-16"))
    with pytest.raises(CatalogFileError, match=r"catalog\.toml: expected UTF-8$"):
        load_document(path)


@pytest.mark.parametrize(("name", "reason"), [("missing.toml", "No such file"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(CatalogFileError, match=reason) as caught:
        load_document(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name))


@pytest.mark.parametrize("table", [ACHIEVEMENT.replace("metric_value = 1\n", ""), ""], ids=["known", "unknown"])
@pytest.mark.parametrize(
    "value",
    ["1e99999999999999999999999", "9" * 5000, "[" * 2000 + "]" * 2000, "{a = " * 2000 + "1" + "}" * 2000],
    ids=["vast", "long", "arrays", "tables"],
)
def test_values_beyond_all_limits_are_refused(path: Path, value: str, table: str) -> None:
    (line,) = problems(path, f"{table}metric_value = {value}\n")
    assert line.startswith("expected TOML of a sensible size: ")
