"""Which rules these are: recorded with every log record, because a replay needs the same ones."""

from tzdata import IANA_VERSION

RULES = 4
"""Raised whenever the same command, in the same state, would have another outcome."""

RULES_VERSION = f"{RULES}/{IANA_VERSION}"
"""The rules and the time zones that they use, such as `4/2025b`."""
