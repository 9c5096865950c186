"""Times of day: seconds after midnight, and how they are written."""

import re

_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?")


def parse_time(text: str) -> int | None:
    """`HH:MM` or `HH:MM:SS` as seconds after midnight; None for anything else."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    hours, minutes, seconds = match.groups(default="0")
    return 3600 * int(hours) + 60 * int(minutes) + int(seconds)


def format_time(time_s: int) -> str:
    """`HH:MM`, with `:SS` if there are seconds."""
    minutes, seconds = divmod(time_s, 60)
    text = f"{minutes // 60:02d}:{minutes % 60:02d}"
    return f"{text}:{seconds:02d}" if seconds else text
