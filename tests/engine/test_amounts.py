from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.engine.amounts import (
    TOTAL_MAX,
    UNIT,
    VALUE_MAX,
    format_amount,
    pack_amount,
    parse_amount,
    unpack_amount,
)
from plaudit.engine.errors import Invalid
from tests.engine.builders import DETERMINISTIC


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", 0),
        ("-0", 0),
        ("1", UNIT),
        ("-2.5", -2_500_000_000),
        ("0.000000001", 1),
        ("1e3", 1000 * UNIT),
        ("1000000000000", VALUE_MAX),
        ("-1E+12", -VALUE_MAX),
    ],
)
def test_a_value_of_up_to_nine_places_is_exact(text: str, amount: int) -> None:
    assert parse_amount(Decimal(text), "value") == amount


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0.0000000005", 0),
        ("0.0000000015", 2),
        ("0.0000000025", 2),
        ("-0.0000000015", -2),
        ("0.0000000025000000000000000000000000000000000000000000000001", 3),
        ("0.00000000149999999999999999999999999999999999999999999999999", 1),
        ("999999999999.9999999995", VALUE_MAX),
        ("1000000000000.0000000005", VALUE_MAX),
        ("1e-999999999", 0),
    ],
)
def test_more_places_are_rounded_once_and_half_to_even(text: str, amount: int) -> None:
    assert parse_amount(Decimal(text), "value") == amount


@pytest.mark.parametrize(
    "text",
    ["NaN", "sNaN", "Infinity", "-Infinity", "1000000000000.000000001", "-1000000000001", "99e12", "1e999999999"],
)
def test_q16_a_value_that_is_no_number_within_bounds_is_refused_and_its_field_named(text: str) -> None:
    with pytest.raises(Invalid, match=r"^events\[3\]\.value: expected a number between -10\^12 and 10\^12$"):
        parse_amount(Decimal(text), "events[3].value")


@pytest.mark.parametrize("text", ["0e14", "-0e20", "0.0e999"])
def test_q16_zero_is_accepted_however_it_is_written(text: str) -> None:
    assert parse_amount(Decimal(text), "value") == 0


def test_q18_ten_tenths_make_exactly_one() -> None:
    assert sum(parse_amount(Decimal("0.1"), "value") for _ in range(10)) == UNIT


def test_q18_a_tenth_and_two_tenths_are_written_as_three_tenths() -> None:
    total = parse_amount(Decimal("0.1"), "value") + parse_amount(Decimal("0.2"), "value")
    assert format_amount(total) == "0.3"


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0"),
        (5 * UNIT, "5"),
        (-250_000_000, "-0.25"),
        (1, "0.000000001"),
        (-1, "-0.000000001"),
        (100 * UNIT, "100"),
        (10 * UNIT + 100, "10.0000001"),
        (-TOTAL_MAX, "-1000000000000000"),
    ],
)
def test_q18_an_amount_is_written_as_the_shortest_number(amount: int, text: str) -> None:
    assert format_amount(amount) == text


@DETERMINISTIC
@given(st.integers(-VALUE_MAX, VALUE_MAX))
def test_what_is_written_reads_back_as_the_same_amount(amount: int) -> None:
    assert parse_amount(Decimal(format_amount(amount)), "value") == amount


@DETERMINISTIC
@given(st.integers(-2 * TOTAL_MAX, 2 * TOTAL_MAX))
def test_every_amount_survives_packing(amount: int) -> None:
    assert unpack_amount(pack_amount(amount)) == amount


@pytest.mark.parametrize("amount", [2**63 - 1, -(2**63) + 1])
def test_amounts_of_up_to_64_bits_are_packed_as_integers(amount: int) -> None:
    assert pack_amount(amount) == amount


@pytest.mark.parametrize("amount", [2**63, 2**64, -(2**63) - 1, 2 * TOTAL_MAX, -2 * TOTAL_MAX])
def test_greater_amounts_are_packed_as_sixteen_bytes(amount: int) -> None:
    packed = pack_amount(amount)
    assert isinstance(packed, bytes)
    assert len(packed) == 16
    assert unpack_amount(packed) == amount
