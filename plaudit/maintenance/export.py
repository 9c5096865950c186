"""Exports: what a data directory holds, a line for each user or each event, as JSON lines or CSV.

Amounts are exact decimals, instants and dates as the API writes them, names those of the catalog.
"""

import contextlib
import csv
import io
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import fields

from plaudit.actors.wire import LoggedAward

What = Literal["users", "events"]
Format = Literal["jsonl", "csv"]

_encoder = msgspec.json.Encoder()


class ExportedCompletion(Struct, frozen=True, rename="camel"):
    """An achievement that a user has."""

    key: str
    achieved_at: str


class ExportedUser(Struct, frozen=True, rename="camel"):
    """A user: the profile, and what it has come to."""

    id: str
    tenant: str
    email: str | None
    name: str | None
    tz: str | None
    sign_up_date: str | None
    device_tokens: tuple[str, ...] | None
    subscribe_to_emails: bool
    attributes: dict[str, str]
    control: bool
    created: str
    updated: str
    totals: dict[str, Raw]
    """By metric key."""
    points: dict[str, int]
    """By key of the points system."""
    achievements: list[ExportedCompletion]
    streak: int
    """Days, as of the moment of the export."""


class ExportedEvent(Struct, frozen=True, rename="camel"):
    """An event and what it did."""

    at: str
    id: str
    user_id: str
    tenant: str
    metric: str
    value: Raw
    total: Raw
    """The user's total of the metric after it."""
    attributes: dict[str, str]
    achievements: list[str]
    """The keys of those that it completed."""
    awards: list[LoggedAward]
    idempotency_key: str | None


Row = ExportedUser | ExportedEvent
KINDS: dict[What, type[Row]] = {"users": ExportedUser, "events": ExportedEvent}


@contextlib.contextmanager
def writing(output: Path | None) -> Iterator[BinaryIO]:
    """A file that is there whole or not at all; None is standard output. Raises OSError."""
    if output is None:
        try:
            yield sys.stdout.buffer
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is buffered has nowhere to go
            raise
        return
    part = output.with_name(f"{output.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)


async def write_rows(
    rows: AsyncIterator[Row], what: What, format_: Format, file: BinaryIO, count: Callable[[], None]
) -> None:
    """Write all rows, calling `count` after each. Raises OSError."""
    encode = _encode_json if format_ == "jsonl" else _encode_csv
    if format_ == "csv":
        file.write(_join_csv([field.encode_name for field in fields(KINDS[what])]))
    async for row in rows:
        file.write(encode(row))
        count()
    file.flush()


def _encode_json(row: Row) -> bytes:
    return _encoder.encode(row) + b"\n"


def _encode_csv(row: Row) -> bytes:
    """A line of CSV (RFC 4180): what is not a string is written as JSON, except that null is empty."""
    return _join_csv([_cell(getattr(row, name)) for name in row.__struct_fields__])


def _cell(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else _encoder.encode(value).decode()


def _join_csv(cells: list[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().encode()
