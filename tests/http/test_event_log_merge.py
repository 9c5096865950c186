"""Cursors, and the pages of several shards as one."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from plaudit.actors.wire import EventPage
from plaudit.engine.commands import Position
from plaudit.http.errors import Invalid
from plaudit.http.event_log import decode_cursor, encode_cursor, merge
from tests.engine.builders import DETERMINISTIC


@pytest.mark.parametrize("position", [Position(0, 0, 0), Position(1_772_445_600_250, 63, 2**53)])
def test_a_cursor_is_a_position(position: Position) -> None:
    assert decode_cursor(encode_cursor(position)) == position
    assert encode_cursor(position).isascii()


@DETERMINISTIC
@given(st.text(max_size=30))
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    try:
        decode_cursor(text)
    except Invalid as error:
        assert str(error).startswith("cursor: ")  # noqa: PT017


SHARD_EVENTS = st.lists(st.lists(st.integers(0, 6), max_size=12), min_size=1, max_size=4)


@DETERMINISTIC
@given(SHARD_EVENTS, st.integers(1, 6), st.data())
def test_pages_of_shards_are_merged_as_if_sorted(times: list[list[int]], limit: int, data: st.DataObject) -> None:
    """A shard may give less than it was asked for, and say how far it has looked."""
    shards = [
        [Position(at_ms, shard, number) for number, at_ms in enumerate(sorted(each), 1)]
        for shard, each in enumerate(times)
    ]
    everything = sorted((position for positions in shards for position in positions), reverse=True)
    found: list[str] = []
    before: Position | None = None
    for _ in range(200):
        pages = [answer(positions, before, limit, data) for positions in shards]
        merged = merge(pages, limit)
        assert len(merged.events) <= limit
        found += [bytes(event).decode() for event in merged.events]
        if merged.next_cursor is None:
            break
        after = decode_cursor(merged.next_cursor)
        assert before is None or after < before
        before = after
    assert found == [name(position) for position in everything]


def name(position: Position) -> str:
    return msgspec.json.encode(position).decode()


def answer(positions: list[Position], before: Position | None, limit: int, data: st.DataObject) -> EventPage:
    """What a shard says: its newest events, perhaps only as far back as it cares to look."""
    left = [position for position in reversed(positions) if before is None or position < before]
    looked_at = data.draw(st.integers(0, len(left)))
    if looked_at < min(limit, len(left)):
        stop = left[looked_at]
        more: Position | None = Position(stop.at_ms, stop.shard, stop.number + 1)
        if before is not None and more is not None and more >= before:
            looked_at, more = looked_at + 1, stop
    else:
        looked_at = min(limit, len(left))
        more = left[looked_at - 1] if looked_at < len(left) else None
    shown = left[:looked_at]
    return EventPage([Raw(name(position).encode()) for position in shown], shown, more)
