"""Many rows in one statement: each statement takes the GIL from the loop's thread once."""

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TypeVar

INSERT_ROWS_MAX = 256

Row = TypeVar("Row")
Values = tuple[int | str | bytes | None, ...]


def insert_rows(connection: sqlite3.Connection, sql: str, rows: Sequence[Values]) -> None:
    """Run an insert whose `{rows}` stands for the values."""
    for part in powers_of_two(rows):
        row = f"({', '.join('?' * len(part[0]))})"
        connection.execute(sql.format(rows=", ".join([row] * len(part))), tuple(chain.from_iterable(part)))


def powers_of_two(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """The rows in parts of so few different lengths that their statements stay compiled."""
    start = 0
    while start < len(rows):
        length = min(1 << ((len(rows) - start).bit_length() - 1), INSERT_ROWS_MAX)
        yield rows[start : start + length]
        start += length


def round_up(count: int) -> int:
    """The next power of two, for the same reason."""
    return 1 << (count - 1).bit_length()
