"""How runs of leaderboards have ended: tables of boards.sqlite, by rank and by member.

A final ranking is there when its row in `finals` is. What was cut short before that is in `final_leftovers`.
"""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from msgspec import Struct

from plaudit.storage.board_pages import (
    PLACES_PER_PAGE,
    Group,
    Place,
    Standing,
    decode_places,
    decode_standings,
    encode_places,
    encode_standings,
    find_standing,
    pack,
    page_of,
    unpack,
)
from plaudit.storage.board_snapshots import RunKey
from plaudit.storage.errors import Corrupt

CLEAR_ROWS = 256

SCHEMA = """
CREATE TABLE finals (
    board INTEGER, run INTEGER, body BLOB NOT NULL, PRIMARY KEY (board, run)
) WITHOUT ROWID;
CREATE TABLE final_places (
    id INTEGER PRIMARY KEY, board INTEGER NOT NULL, run INTEGER NOT NULL, number INTEGER NOT NULL,
    page INTEGER NOT NULL, body BLOB NOT NULL, UNIQUE (board, run, number, page)
);
CREATE TABLE final_seats (
    id INTEGER PRIMARY KEY, board INTEGER NOT NULL, run INTEGER NOT NULL, page INTEGER NOT NULL, body BLOB NOT NULL,
    UNIQUE (board, run, page)
);
CREATE TABLE final_leftovers (board INTEGER, run INTEGER, PRIMARY KEY (board, run)) WITHOUT ROWID;
"""
"""`number` is that of a group in its final ranking."""

_BODY = "CAST(body AS BLOB)"
_THIS_PLACE_PAGE = "WHERE board = ? AND run = ? AND number = ? AND page = ?"
_THIS_SEAT_PAGE = "WHERE board = ? AND run = ? AND page = ?"


class Final(Struct, frozen=True, array_like=True):
    """A final ranking, without its places."""

    last_day: int
    """Of the run, as an ordinal."""
    members: int
    groups: tuple[tuple[Group, int], ...]
    """Each with the number of its places: those of deleted users are counted."""


class FinalPlace(NamedTuple):
    """Where a member has ended."""

    group: Group
    rank: int
    value: int


class PlacePage(NamedTuple):
    """A row of `final_places` as it is."""

    board: int
    run: int
    number: int
    page: int
    body: bytes


class SeatPage(NamedTuple):
    """A row of `final_seats` as it is."""

    board: int
    run: int
    page: int
    body: bytes


_final_decoder = msgspec.msgpack.Decoder(Final)


def encode_place_page(run: RunKey, number: int, page: int, places: Sequence[Place]) -> PlacePage:
    """The row of a page of places of a group."""
    return PlacePage(*run, number, page, encode_places(places, place_page_name(run, number, page)))


def encode_seat_page(run: RunKey, standings: Sequence[Standing]) -> SeatPage:
    """The row of a page of members."""
    page = page_of(standings[0].seat)
    return SeatPage(*run, page, encode_standings(standings, seat_page_name(run, page)))


def place_page_name(run: RunKey, number: int, page: int) -> str:
    """What a row of `final_places` is called, and sealed under."""
    return f"final places {run[0]},{run[1]},{number},{page}"


def seat_page_name(run: RunKey, page: int) -> str:
    """What a row of `final_seats` is called, and sealed under."""
    return f"final seats {run[0]},{run[1]},{page}"


def begin_final(connection: sqlite3.Connection, run: RunKey) -> None:
    """Note that pages of a final ranking may be there from now on, within the caller's transaction."""
    there = connection.execute("SELECT 1 FROM finals WHERE board = ? AND run = ?", run).fetchone()
    assert there is None, f"the final ranking of {run} has been saved"
    connection.execute("INSERT INTO final_leftovers VALUES (?, ?)", run)


def save_place_pages(connection: sqlite3.Connection, pages: Sequence[PlacePage]) -> None:
    """Write pages of places, within the caller's transaction."""
    connection.executemany("INSERT INTO final_places (board, run, number, page, body) VALUES (?, ?, ?, ?, ?)", pages)


def save_seat_pages(connection: sqlite3.Connection, pages: Sequence[SeatPage]) -> None:
    """Write pages of members, within the caller's transaction."""
    connection.executemany("INSERT INTO final_seats (board, run, page, body) VALUES (?, ?, ?, ?)", pages)


def finish_final(connection: sqlite3.Connection, run: RunKey, final: Final) -> None:
    """Let the final ranking be seen, within the caller's transaction."""
    connection.execute("INSERT INTO finals VALUES (?, ?, ?)", (*run, pack(final, _final_name(run))))
    connection.execute("DELETE FROM final_leftovers WHERE board = ? AND run = ?", run)


def find_leftovers(connection: sqlite3.Connection) -> list[RunKey]:
    """The runs whose final rankings were cut short."""
    return connection.execute("SELECT board, run FROM final_leftovers").fetchall()


def clear_leftovers(connection: sqlite3.Connection, run: RunKey) -> bool:
    """Remove some of a run's leftovers, within the caller's transaction; False if these were the last."""
    if connection.execute("SELECT 1 FROM final_leftovers WHERE board = ? AND run = ?", run).fetchone() is None:
        return False
    for table in ("final_places", "final_seats"):
        removed = connection.execute(
            f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE board = ? AND run = ? LIMIT ?)",
            (*run, CLEAR_ROWS),
        )
        if removed.rowcount:
            return True
    connection.execute("DELETE FROM final_leftovers WHERE board = ? AND run = ?", run)
    return False


def list_finals(connection: sqlite3.Connection, board: int) -> list[int]:
    """The runs of a board that have final rankings, ascending."""
    return [run for (run,) in connection.execute("SELECT run FROM finals WHERE board = ? ORDER BY run", (board,))]


def final_runs(connection: sqlite3.Connection) -> list[RunKey]:
    """All runs that have final rankings."""
    return connection.execute("SELECT board, run FROM finals").fetchall()


def load_final(connection: sqlite3.Connection, run: RunKey, file: str) -> Final | None:
    """A final ranking; None if there is none. O(groups)."""
    row = connection.execute(f"SELECT {_BODY} FROM finals WHERE board = ? AND run = ?", run).fetchone()
    return unpack(_final_decoder, row[0], _final_name(run), file) if row else None


def read_final(
    connection: sqlite3.Connection, run: RunKey, group: Group, start: int, stop: int, file: str
) -> list[tuple[int, Place]]:
    """The places of a group from position `start` (0 is rank 1) to before `stop`, with their ranks; no deleted users.

    Nothing if there is no such group. Some 0.3 ms a page of 256.
    """
    final = load_final(connection, run, file)
    sizes = [(number, size) for number, (name, size) in enumerate(final.groups) if name == group] if final else []
    places: list[tuple[int, Place]] = []
    for number, size in sizes:
        positions = range(max(start, 0), min(stop, size))
        first = positions.start // PLACES_PER_PAGE
        for page in range(first, (positions.stop - 1) // PLACES_PER_PAGE + 1 if positions else first):
            for position, place in enumerate(load_places(connection, run, number, page, file), page * PLACES_PER_PAGE):
                if place is not None and position in positions:
                    places.append((position + 1, place))
    return places


def find_final(connection: sqlite3.Connection, run: RunKey, seat: int, file: str) -> FinalPlace | None:
    """Where a member has ended; None if not on the board, or if there is no final ranking. Two rows."""
    final = load_final(connection, run, file)
    if final is None:
        return None
    page = page_of(seat)
    body = load_seats(connection, run, page)
    found = find_standing(seat, body, seat_page_name(run, page), file) if body is not None else None
    return FinalPlace(final.groups[found.group][0], found.rank, found.value) if found else None


def load_places(connection: sqlite3.Connection, run: RunKey, number: int, page: int, file: str) -> list[Place | None]:
    """A page of a group's places. Raises Corrupt if it is not there."""
    row = connection.execute(f"SELECT {_BODY} FROM final_places {_THIS_PLACE_PAGE}", (*run, number, page)).fetchone()
    name = place_page_name(run, number, page)
    if row is None:
        raise Corrupt(f"{file}: {name} is missing")
    return decode_places(row[0], name, file)


def load_seats(connection: sqlite3.Connection, run: RunKey, page: int) -> bytes | None:
    """The content of a row of `final_seats`; None if nobody on the page has ended on the board."""
    row = connection.execute(f"SELECT {_BODY} FROM final_seats {_THIS_SEAT_PAGE}", (*run, page)).fetchone()
    return bytes(row[0] or b"") if row else None


def scan_seats(connection: sqlite3.Connection, run: RunKey, after_page: int, limit: int) -> list[tuple[int, bytes]]:
    """The next pages of members of a run, with their content."""
    return connection.execute(
        f"SELECT page, {_BODY} FROM final_seats WHERE board = ? AND run = ? AND page > ? ORDER BY page LIMIT ?",
        (*run, after_page, limit),
    ).fetchall()


def forget_member(connection: sqlite3.Connection, run: RunKey, seat: int, file: str) -> None:
    """Take a member out of a final ranking, within the caller's transaction. The place stays, with nobody on it."""
    page = page_of(seat)
    body = load_seats(connection, run, page)
    if body is None:
        return
    standings = decode_standings(page, body, seat_page_name(run, page), file)
    for standing in (one for one in standings if one.seat == seat):
        kept = [one for one in standings if one.seat != seat]
        if kept:
            sealed = encode_standings(kept, seat_page_name(run, page))
            connection.execute(f"UPDATE final_seats SET body = ? {_THIS_SEAT_PAGE}", (sealed, *run, page))
        else:
            connection.execute(f"DELETE FROM final_seats {_THIS_SEAT_PAGE}", (*run, page))
        _clear_place(connection, run, standing, file)


def _clear_place(connection: sqlite3.Connection, run: RunKey, standing: Standing, file: str) -> None:
    page, position = divmod(standing.rank - 1, PLACES_PER_PAGE)
    places = load_places(connection, run, standing.group, page, file)
    name = place_page_name(run, standing.group, page)
    place = places[position] if position < len(places) else None
    if place is None or place.seat != standing.seat:
        raise Corrupt(f"{file}: {name}: rank {standing.rank} is not that of member {standing.seat}")
    places[position] = None
    connection.execute(
        f"UPDATE final_places SET body = ? {_THIS_PLACE_PAGE}",
        (encode_places(places, name), *run, standing.group, page),
    )


def _final_name(run: RunKey) -> str:
    return f"final {run[0]},{run[1]}"
