import pytest

from plaudit.http.errors import Invalid
from plaudit.http.queries import Parameters


def test_the_last_one_counts_and_a_plus_is_a_space() -> None:
    parameters = Parameters(b"a=1&b=x+y%2Bz&a=2&c=&c2")
    assert [parameters.text(name) for name in ("a", "b", "c", "c2", "d")] == ["2", "x y+z", "", "", None]


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("7", 7), ("007", 7), ("12", 12)])
def test_a_whole_number(text: str, number: int) -> None:
    assert Parameters(f"n={text}".encode()).whole("n", 5, 0, 12) == number


def test_a_number_that_is_not_given_is_the_default() -> None:
    assert Parameters(b"m=3").whole("n", 5, 0, 12) == 5


@pytest.mark.parametrize("text", ["", "13", "-1", "+1", "1.0", "1e1", "%D9%A3", "%C2%B2", "x", " 1", "9" * 5000])
def test_anything_else_is_no_number(text: str) -> None:
    with pytest.raises(Invalid, match=r"^n: expected a whole number from 0 to 12, got .{0,60}$"):
        Parameters(f"n={text}".encode()).whole("n", 5, 0, 12)


@pytest.mark.parametrize(("text", "number"), [("-5", -5), ("-0", 0), ("5", 5)])
def test_a_whole_number_may_be_negative_where_that_is_in_bounds(text: str, number: int) -> None:
    assert Parameters(f"n={text}".encode()).whole("n", 0, -5, 5) == number


@pytest.mark.parametrize("text", ["-6", "--5", "-", "- 5", "5-"])
def test_what_is_no_negative_number(text: str) -> None:
    with pytest.raises(Invalid, match=r"^n: expected a whole number from -5 to 5, got "):
        Parameters(f"n={text}".encode()).whole("n", 0, -5, 5)


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("i=a&i=b", ["a", "b"]),
        ("i=a,b", ["a", "b"]),
        ("i=a%2Cb&i=c", ["a", "b", "c"]),
        ("j=x&i=,a,,b,", ["a", "b"]),
        ("i=a&i=a", ["a", "a"]),
    ],
)
def test_a_list(query: str, values: list[str]) -> None:
    assert Parameters(query.encode()).listed("i", 3) == values


@pytest.mark.parametrize("query", ["", "i", "i=", "i=,,", "i=a&i=b,c&i=d"])
def test_a_list_of_none_or_too_many(query: str) -> None:
    with pytest.raises(Invalid, match=r"^i: expected 1 to 3 values, got [04]$"):
        Parameters(query.encode()).listed("i", 3)


@pytest.mark.parametrize("query", [b"a=%ff", b"%ff=a", b"a=\xc3\xa9"])
def test_what_is_no_text(query: bytes) -> None:
    with pytest.raises(Invalid, match=r"^query: expected UTF-8"):
        Parameters(query)
