"""Databases in memory."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager


@contextmanager
def connected_to(schema: str) -> Iterator[sqlite3.Connection]:
    """A connection to a new database with these tables."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(schema)
        yield connection
