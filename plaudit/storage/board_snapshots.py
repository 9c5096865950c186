"""How a run of a leaderboard stood at the end of each day: tables of boards.sqlite.

A snapshot is there when its row in `snapshots` is. Pages may be there without it: of one that was cut short, or that is
being removed. `snapshot_leftovers` says of which; they are cleared in steps, page by page.
"""

import json
import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from plaudit.storage.board_pages import (
    Standing,
    decode_standings,
    encode_standings,
    find_standing,
    pack,
    page_of,
    unpack,
)

CLEAR_PAGES = 256
"""Of how many pages one step removes some days."""
FORGET_PAGES = 16
"""How many pages of a member one step writes anew: some 20 ms."""

SCHEMA = """
CREATE TABLE snapshots (
    board INTEGER, run INTEGER, day INTEGER, body BLOB NOT NULL, PRIMARY KEY (board, run, day)
) WITHOUT ROWID;
CREATE TABLE snapshot_pages (
    board INTEGER, run INTEGER, page INTEGER, day INTEGER, body BLOB NOT NULL, PRIMARY KEY (board, run, page, day)
) WITHOUT ROWID;
CREATE TABLE snapshot_leftovers (
    board INTEGER, run INTEGER, day INTEGER, PRIMARY KEY (board, run, day)
) WITHOUT ROWID;
"""
"""The days of a page lie side by side."""

_BODY = "CAST(body AS BLOB)"
"""In a damaged row it may be a text, even one that is none."""

RunKey = tuple[int, int]
"""A board's number, and the first day of one of its runs as an ordinal."""

_members_decoder = msgspec.msgpack.Decoder(int)


class HistoryDay(NamedTuple):
    """How a member stood at the end of a day (an ordinal); without rank and value if not on the board."""

    day: int
    rank: int | None
    value: int | None


class SnapshotPage(NamedTuple):
    """A row of `snapshot_pages` as it is."""

    board: int
    run: int
    page: int
    day: int
    body: bytes


def page_name(board: int, run: int, page: int, day: int) -> str:
    """What a row of `snapshot_pages` is called, and sealed under."""
    return f"snapshot page {board},{run},{page},{day}"


def encode_page(run: RunKey, day: int, standings: Sequence[Standing]) -> SnapshotPage:
    """The row of one page of standings."""
    page = page_of(standings[0].seat)
    return SnapshotPage(*run, page, day, encode_standings(standings, page_name(*run, page, day)))


def begin_snapshot(connection: sqlite3.Connection, run: RunKey, day: int) -> None:
    """Note that pages of a snapshot may be there from now on, within the caller's transaction."""
    taken = connection.execute("SELECT 1 FROM snapshots WHERE board = ? AND run = ? AND day = ?", (*run, day))
    assert taken.fetchone() is None, f"the snapshot of {run} on day {day} has been taken"
    connection.execute("INSERT OR IGNORE INTO snapshot_leftovers VALUES (?, ?, ?)", (*run, day))


def save_pages(connection: sqlite3.Connection, pages: Sequence[SnapshotPage]) -> None:
    """Write pages of a snapshot that has begun, within the caller's transaction."""
    connection.executemany("INSERT INTO snapshot_pages VALUES (?, ?, ?, ?, ?)", pages)


def finish_snapshot(connection: sqlite3.Connection, run: RunKey, day: int, members: int) -> None:
    """Let the snapshot be seen, within the caller's transaction."""
    _save_members(connection, run, day, members)
    connection.execute("DELETE FROM snapshot_leftovers WHERE board = ? AND run = ? AND day = ?", (*run, day))


def last_taken(connection: sqlite3.Connection, run: RunKey) -> int | None:
    """The day of a run's newest snapshot; None if it has none."""
    (day,) = connection.execute("SELECT max(day) FROM snapshots WHERE board = ? AND run = ?", run).fetchone()
    return None if day is None else int(day)


def load_history(
    connection: sqlite3.Connection, run: RunKey, seat: int, through_day: int, limit: int, file: str
) -> list[HistoryDay]:
    """How a member stood on the last `limit` days of snapshots up to a day, ascending. Some 0.1 ms a day."""
    taken = connection.execute(
        f"SELECT day, {_BODY} FROM snapshots WHERE board = ? AND run = ? AND day <= ? ORDER BY day DESC LIMIT ?",
        (*run, through_day, limit),
    ).fetchall()
    if not taken:
        return []
    for day, body in taken:
        _decode_members(run, day, body, file)
    page = page_of(seat)
    pages = connection.execute(
        f"SELECT day, {_BODY} FROM snapshot_pages WHERE board = ? AND run = ? AND page = ? AND day BETWEEN ? AND ?",
        (*run, page, taken[-1][0], taken[0][0]),
    )
    found = {day: find_standing(seat, body, page_name(*run, page, day), file) for day, body in pages}
    return [_history_day(day, found.get(day)) for day, _ in reversed(taken)]


def retire_snapshots(connection: sqlite3.Connection, before_day: int) -> None:
    """Make leftovers of all snapshots before a day, within the caller's transaction. O(snapshots)."""
    connection.execute(
        "INSERT OR IGNORE INTO snapshot_leftovers SELECT board, run, day FROM snapshots WHERE day < ?", (before_day,)
    )
    connection.execute("DELETE FROM snapshots WHERE day < ?", (before_day,))


def find_leftovers(connection: sqlite3.Connection) -> list[RunKey]:
    """The runs that have leftovers."""
    return connection.execute("SELECT DISTINCT board, run FROM snapshot_leftovers").fetchall()


def clear_leftovers(connection: sqlite3.Connection, run: RunKey, after_page: int) -> int | None:
    """Remove a run's leftovers from the next pages, within the caller's transaction; returns the last, None at the end.

    O(CLEAR_PAGES), however many days there are.
    """
    days = connection.execute("SELECT day FROM snapshot_leftovers WHERE board = ? AND run = ?", run).fetchall()
    listed = json.dumps([day for (day,) in days])
    for _ in range(CLEAR_PAGES if days else 0):
        (page,) = connection.execute(
            "SELECT min(page) FROM snapshot_pages WHERE board = ? AND run = ? AND page > ?", (*run, after_page)
        ).fetchone()
        if page is None:
            connection.execute("DELETE FROM snapshot_leftovers WHERE board = ? AND run = ?", run)
            return None
        connection.execute(
            "DELETE FROM snapshot_pages "
            "WHERE board = ? AND run = ? AND page = ? AND day IN (SELECT value FROM json_each(?))",
            (*run, page, listed),
        )
        after_page = page
    return after_page if days else None


def snapshot_runs(connection: sqlite3.Connection) -> list[RunKey]:
    """The runs that have snapshots. O(snapshots)."""
    return connection.execute("SELECT DISTINCT board, run FROM snapshots").fetchall()


def forget_member(connection: sqlite3.Connection, run: RunKey, seat: int, after_day: int, file: str) -> int | None:
    """Take a member out of a run's next snapshots, within the caller's transaction.

    Returns the last day that was looked at, None at the end. O(FORGET_PAGES).
    """
    page = page_of(seat)
    rows = connection.execute(
        f"SELECT day, {_BODY} FROM snapshot_pages "
        "WHERE board = ? AND run = ? AND page = ? AND day > ? ORDER BY day LIMIT ?",
        (*run, page, after_day, FORGET_PAGES),
    ).fetchall()
    for day, body in rows:
        row = page_name(*run, page, day)
        standings = decode_standings(page, body, row, file)
        kept = [standing for standing in standings if standing.seat != seat]
        if len(kept) < len(standings):
            key = (*run, page, day)
            where = "WHERE board = ? AND run = ? AND page = ? AND day = ?"
            if kept:
                body_kept = encode_standings(kept, row)
                connection.execute(f"UPDATE snapshot_pages SET body = ? {where}", (body_kept, *key))
            else:
                connection.execute(f"DELETE FROM snapshot_pages {where}", key)
            _save_members(connection, run, day, load_members(connection, run, day, file) - 1)
    return rows[-1][0] if len(rows) == FORGET_PAGES else None


def load_members(connection: sqlite3.Connection, run: RunKey, day: int, file: str) -> int:
    """How many members a snapshot has. Raises Corrupt if it is not there."""
    row = connection.execute(
        f"SELECT {_BODY} FROM snapshots WHERE board = ? AND run = ? AND day = ?", (*run, day)
    ).fetchone()
    return _decode_members(run, day, row and row[0], file)


def list_snapshots(connection: sqlite3.Connection) -> list[tuple[int, int, int]]:
    """The board, run and day of every snapshot."""
    return connection.execute("SELECT board, run, day FROM snapshots").fetchall()


def list_leftovers(connection: sqlite3.Connection) -> list[tuple[int, int, int]]:
    """The board, run and day of every snapshot of which pages may be left."""
    return connection.execute("SELECT board, run, day FROM snapshot_leftovers").fetchall()


def scan_pages(connection: sqlite3.Connection, after: tuple[int, int, int, int], limit: int) -> list[SnapshotPage]:
    """The next rows by board, run, page and day, leftovers too."""
    rows = connection.execute(
        f"SELECT board, run, page, day, {_BODY} FROM snapshot_pages "
        "WHERE (board, run, page, day) > (?, ?, ?, ?) ORDER BY board, run, page, day LIMIT ?",
        (*after, limit),
    )
    return [SnapshotPage(*row) for row in rows]


def _save_members(connection: sqlite3.Connection, run: RunKey, day: int, members: int) -> None:
    body = pack(members, _snapshot_name(run, day))
    connection.execute("INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?, ?)", (*run, day, body))


def _decode_members(run: RunKey, day: int, body: bytes | None, file: str) -> int:
    return unpack(_members_decoder, body, _snapshot_name(run, day), file)


def _snapshot_name(run: RunKey, day: int) -> str:
    return f"snapshot {run[0]},{run[1]},{day}"


def _history_day(day: int, standing: Standing | None) -> HistoryDay:
    return HistoryDay(day, standing.rank, standing.value) if standing else HistoryDay(day, None, None)


def load_kept_day(connection: sqlite3.Connection) -> int:
    """The last day of which every run that there was has a snapshot; 0 if there is none."""
    (day,) = connection.execute("SELECT kept_day FROM meta").fetchone()
    return int(day)


def save_kept_day(connection: sqlite3.Connection, day: int) -> None:
    """Set it, within the caller's transaction."""
    connection.execute("UPDATE meta SET kept_day = ?", (day,))
