import re

from tzdata import IANA_VERSION

from plaudit.engine.rules import RULES, RULES_VERSION


def test_the_version_names_the_rules_and_the_time_zones_that_a_replay_needs() -> None:
    assert f"{RULES}/{IANA_VERSION}" == RULES_VERSION
    assert re.fullmatch(r"[1-9]\d*/20\d\d[a-z]", RULES_VERSION)
