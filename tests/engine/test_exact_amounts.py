"""Amounts against fractions: whatever is sent, it is rounded once and added up exactly (Q-18)."""

from decimal import Decimal
from fractions import Fraction
from math import floor

from hypothesis import given as each_of
from hypothesis import settings
from hypothesis import strategies as st

from plaudit.engine.amounts import PLACES, parse_amount
from plaudit.engine.commands import RecordEvent, UserFields
from plaudit.engine.process import process
from plaudit.engine.user import User
from tests.engine.builders import DETERMINISTIC, event_id, instant
from tests.engine.catalogs import at_value, catalog, keys, per_total, points

NOW_MS = instant("2024-01-15T12:00")
PHONE = {"device": "phone"}
VALUES = ("1", "1.0000000015", "1.00000000249999", "2.3", "2.3000000005", "10", "999999999.999999999", "1e12")
STEPS = (1, 3, 7, 10**9)

WRITTEN = st.one_of(
    st.decimals("-5", "5", allow_nan=False, places=1),
    st.decimals("-3", "3", allow_nan=False, places=12),
    st.integers(-40, 40).map(lambda n: Decimal(n * 5).scaleb(-10)),  # halves of the last place
    st.sampled_from(
        ["0.1", "0.2", "0.3", "1e-10", "0.99999999949999999999999999999999", "1e9", "-1e9", "1e12", "-1e12"]
    ).map(Decimal),
)


def rounded(value: Decimal) -> Fraction:
    """A number at nine places, halves to the even neighbour; Python rounds fractions like this."""
    return round(Fraction(value), PLACES)


@DETERMINISTIC
@each_of(WRITTEN | st.decimals("-1e12", "1e12", allow_nan=False))
def test_q18_a_value_is_the_nearest_number_of_nine_places(value: Decimal) -> None:
    assert Fraction(parse_amount(value, "value"), 10**PLACES) == rounded(value)


@settings(DETERMINISTIC, max_examples=80)
@each_of(st.lists(st.tuples(WRITTEN, st.booleans()), min_size=1, max_size=14))
def test_q18_a7_3_a8_2_q36_totals_achievements_and_triggers_are_exact(drawn: list[tuple[Decimal, bool]]) -> None:
    made = catalog(
        *(at_value(f"all {value}", value) for value in VALUES),
        *(at_value(f"phone {value}", value, event_attributes=PHONE) for value in VALUES),
        points(*(per_total(1, step, key=str(step)) for step in STEPS)),
        points(*(per_total(1, step, key=str(step), event_attributes=PHONE) for step in STEPS), key="phone"),
    )
    user: User | None = None
    sums, earned, met = {"all": Fraction(), "phone": Fraction()}, [0, 0], set[str]()
    for number, (value, is_phone) in enumerate(drawn):
        sent = parse_amount(value, "value")
        command = RecordEvent("sam", "words", sent, event_id(number), UserFields(), PHONE if is_phone else {})
        outcome = process(user, command, made, NOW_MS)
        user = outcome.user
        new = set()
        for place, kind in enumerate(["all", "phone"] if is_phone else ["all"]):
            old, total = sums[kind], sums[kind] + rounded(value)
            sums[kind] = total
            earned[place] += sum(max(0, floor(total / step) - floor(old / step)) for step in STEPS)
            new |= {key for each in VALUES if rounded(Decimal(each)) <= total and (key := f"{kind} {each}") not in met}
        assert Fraction(outcome.total, 10**PLACES) == sums["all"]
        assert Fraction(user.matched.get(1, 0), 10**PLACES) == sums["phone"]
        assert set(keys(outcome.completed)) == new
        assert [user.points.get(system, 0) for system in (1, 2)] == earned
        met |= new
