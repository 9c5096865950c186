"""Reads say the same, whatever has been saved; pages put together are the whole list."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from plaudit.actors import checkpoint as checkpoints
from plaudit.actors import event_log
from plaudit.actors.checkpoint import Checkpointer
from plaudit.actors.messages import Reply
from plaudit.actors.shard_client import ShardClient
from plaudit.actors.wire import EventPage
from plaudit.engine.amounts import UNIT
from plaudit.engine.commands import Command, DeleteUser, Position, ReadEvents, ReadMetrics, ReadUser, RecordEvent
from plaudit.engine.ids import format_id
from tests.actors.conftest import MEMORY
from tests.actors.shards import checkpoint, make_settings, opened
from tests.engine.builders import CREATED_MS, DETERMINISTIC, event_id

USERS = ["ada", "bob", "cid"]
METRICS = ["lessons", "pages"]
DAY_MS = 86_400_000
STEPS = st.lists(
    st.builds(
        RecordEvent,
        st.sampled_from(USERS),
        st.sampled_from(METRICS),
        st.integers(-3, 9).map(lambda n: n * UNIT),
        st.just(b""),
        idempotency_key=st.sampled_from([None, None, "k"]),
    )
    | st.sampled_from(USERS).map(DeleteUser)
    | st.sampled_from([1, 1, 5_000, DAY_MS, 40 * DAY_MS]),
    min_size=1,
    max_size=14,
)
Step = RecordEvent | DeleteUser | int


class Told:
    """A shard to which a story has been told, and what its log has to say: (id, user, metric, time), oldest first."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.events: list[tuple[str, str, str, int]] = []
        self.now_ms = CREATED_MS

    async def tell(self, client: ShardClient, steps: list[Step], between: Callable[[int], Awaitable[None]]) -> None:
        for number, step in enumerate(steps):
            if isinstance(step, int):
                self.now_ms += step
                continue
            command = replace(step, event_id=event_id(number)) if isinstance(step, RecordEvent) else step
            self.replies.append(await client.call(command))
            if self.replies[-1].status == 201 and isinstance(command, RecordEvent):
                told = format_id(command.event_id), command.user_id, command.metric, self.now_ms
                self.events.append(told)
            elif self.replies[-1].status == 204:
                self.events = [event for event in self.events if event[1] != command.user_id]
            await between(number)

    def expected(self, query: ReadEvents) -> list[str]:
        """The ids of what a query has to find, newest first."""
        return [
            id_
            for id_, user, metric, at_ms in reversed(self.events)
            if query.user_id in {None, user}
            and query.metric in {None, metric}
            and (query.from_ms is None or at_ms >= query.from_ms)
            and (query.to_ms is None or at_ms < query.to_ms)
        ]

    def queries(self) -> list[ReadEvents]:
        """Every combination of filters."""
        alive = {user for _, user, _, _ in self.events}
        times = sorted({at_ms for _, _, _, at_ms in self.events})
        bounds = [None, *({times[0], times[len(times) // 2], times[-1] + 1} if times else ())]
        combinations = product([None, *sorted(alive)], [None, *METRICS], bounds, bounds)
        return [ReadEvents(user, metric, from_ms, to_ms, 200) for user, metric, from_ms, to_ms in combinations]


def decode(reply: Reply) -> tuple[EventPage, list[dict[str, Any]]]:
    assert reply.status == 200, reply
    page = msgspec.json.decode(reply.body, type=EventPage)
    return page, [msgspec.json.decode(raw) for raw in page.events]


async def ask(client: ShardClient, commands: list[Command]) -> list[Reply]:
    return list(await asyncio.gather(*(client.call(command) for command in commands)))


async def page_through(client: ShardClient, query: ReadEvents) -> tuple[list[str], list[Position]]:
    """The ids and positions of all pages, each of which ends where the next begins."""
    ids: list[str] = []
    positions: list[Position] = []
    for _ in range(200):
        page, events = decode(await client.call(query))
        assert len(events) <= query.limit
        assert len(events) == len(page.positions)
        ids += [event["id"] for event in events]
        positions += page.positions
        if page.more_before is None:
            return ids, positions
        assert query.before is None or page.more_before < query.before, "another page like this one"
        query = replace(query, before=page.more_before)
    raise AssertionError("no end")


async def check(told: Told, client: ShardClient) -> list[Reply]:
    """Check every query against what was told, whole and in pages; returns all answers."""
    queries = told.queries()
    answers = await ask(client, [*queries])
    for query, answer in zip(queries, answers, strict=True):
        page, events = decode(answer)
        assert [event["id"] for event in events] == told.expected(query), query
        assert page.more_before is None
        assert page.positions == sorted(set(page.positions), reverse=True)
    for query in queries[:: max(1, len(queries) // 12)]:
        whole = told.expected(query)
        for limit in (1, 2, max(1, len(whole))):
            ids, positions = await page_through(client, replace(query, limit=limit))
            assert ids == whole, (query, limit)
            assert positions == sorted(set(positions), reverse=True)
    return answers + await ask(client, [read(user) for user in USERS for read in (ReadUser, ReadMetrics, ReadEvents)])


async def tell_and_check(steps: list[Step], saved_after: Callable[[int], bool]) -> tuple[list[Reply], list[Reply]]:
    told = Told()
    with tempfile.TemporaryDirectory(prefix="p-", dir=MEMORY if MEMORY.is_dir() else None) as directory:
        settings = make_settings(Path(directory) / "data", Path(directory))
        async with opened(settings, lambda: told.now_ms) as (host, client):

            async def between(number: int) -> None:
                if saved_after(number):
                    await checkpoint(host)

            await told.tell(client, steps, between)
            return told.replies, await check(told, client)


JUMP: list[Step] = [
    RecordEvent("ada", "lessons", UNIT, b""),
    RecordEvent("bob", "lessons", UNIT, b""),
    40 * DAY_MS,
    RecordEvent("ada", "pages", UNIT, b""),
]


@settings(DETERMINISTIC, max_examples=12)
@given(STEPS)
@example(JUMP)
@example([*JUMP, DeleteUser("ada"), *JUMP])
def test_reads_are_the_same_whatever_has_been_saved(steps: list[Step]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpointer, "_run", lambda _: asyncio.Event().wait())  # the test says when
        patch.setattr(checkpoints, "SLICE_USERS", 2)
        patch.setattr(event_log, "CHAIN_CHUNKS", 2)
        patch.setattr(event_log, "SCAN_CHUNKS", 1)
        told = [
            asyncio.run(tell_and_check(steps, saved_after))
            for saved_after in (lambda _: False, lambda _: True, lambda number: number == len(steps) - 1)
        ]
    assert told[0] == told[1] == told[2]


async def test_what_is_saved_during_a_query_is_seen_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The query was taken before: what it saw unsaved is in the history by the time it looks there."""
    with tempfile.TemporaryDirectory(prefix="p-", dir=MEMORY if MEMORY.is_dir() else None) as directory:
        settings = make_settings(Path(directory) / "data", Path(directory))
        async with opened(settings, lambda: CREATED_MS) as (host, client):
            find = event_log.EventLog.find

            async def save_and_find(*args: Any) -> event_log.Page:
                await checkpoint(host)
                return await find(*args)

            monkeypatch.setattr(event_log.EventLog, "find", save_and_find)
            expected: list[str] = []
            for number in range(1, 6):
                asked = await ask(
                    client,
                    [
                        RecordEvent("ada", "lessons", UNIT, event_id(number)),
                        ReadEvents("ada"),
                        ReadEvents(None),
                        RecordEvent("ada", "lessons", UNIT, event_id(100 + number)),
                    ],
                )
                expected = [format_id(event_id(number)), *expected]
                for answer in asked[1:3]:
                    assert [event["id"] for event in decode(answer)[1]] == expected
                expected = [format_id(event_id(100 + number)), *expected]
