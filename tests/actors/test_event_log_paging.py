"""Queries of the event log that take long: they go on from where they were, whatever happens meanwhile."""

import msgspec
import pytest

from plaudit.actors import checkpoint, event_log
from plaudit.actors.runtime import InlineHost
from plaudit.actors.user_shard import ShardSettings, UserShard
from plaudit.actors.wire import EventPage
from plaudit.engine.commands import DeleteUser, ReadEvents
from plaudit.storage.history import Chunk
from tests.actors.gateways import Gateway, connected
from tests.actors.shards import event
from tests.catalogs import study_catalog
from tests.engine.builders import CREATED_MS

ROUNDS = 9
PAGES_MAX = 50


async def page_through(gateway: Gateway, query: ReadEvents) -> list[str]:
    """Whose events all pages have, newest first."""
    found: list[str] = []
    for number in range(1000, 1000 + PAGES_MAX):
        [reply] = await gateway.ask(number, query)
        page = msgspec.json.decode(reply.body, type=EventPage)
        found += [msgspec.json.decode(raw)["userId"] for raw in page.events]
        if page.more_before is None:
            return found
        assert query.before is None or page.more_before < query.before
        query = msgspec.structs.replace(query, before=page.more_before)
    raise AssertionError(f"no end after {PAGES_MAX} pages")


@pytest.mark.parametrize("step_ms", [0, 1000], ids=["in one instant", "second by second"])
@pytest.mark.parametrize("metric", [None, "lessons", "pages"])
@pytest.mark.parametrize("user", [None, "ada"])
async def test_a_query_that_looks_at_too_much_goes_on_from_where_it_was(
    settings: ShardSettings, monkeypatch: pytest.MonkeyPatch, user: str | None, metric: str | None, step_ms: int
) -> None:
    """Slices of one checkpoint cover the same time, so a place in time may be a place that has been passed."""
    monkeypatch.setattr(event_log, "CHAIN_CHUNKS", 1)
    monkeypatch.setattr(event_log, "SCAN_CHUNKS", 1)
    monkeypatch.setattr(event_log, "SCAN_CHUNKS_MAX", 3)
    monkeypatch.setattr(checkpoint, "SLICE_USERS", 1)
    now_ms = CREATED_MS
    host = InlineHost(settings, lambda reason: None, lambda: now_ms)
    await host.open(study_catalog())
    assert isinstance(host._shard, UserShard)
    try:
        async with connected(settings.address, 1) as (gateway,):
            await gateway.ask(1, event("ada", metric="pages"), event("bob"))
            for number in range(2, 2 + ROUNDS):
                await host._shard._checkpointer.run_once()
                now_ms += step_ms
                await gateway.ask(number, event("ada"), event("bob"))
            pages = 1 if metric != "lessons" else 0
            lessons = ROUNDS if metric != "pages" else 0
            expected = {"ada": lessons + pages, "bob": (lessons + (metric != "pages")) * (user is None)}
            found = await page_through(gateway, ReadEvents(user, metric, limit=2))
            assert {name: found.count(name) for name in expected} == expected
    finally:
        await host.close()


async def test_a_user_who_is_erased_during_a_query_has_no_more_events(
    settings: ShardSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody stays in memory here: who is deleted is not the object that the query began with."""
    host = InlineHost(msgspec.structs.replace(settings, users_max=0), lambda reason: None)
    await host.open(study_catalog())
    assert isinstance(host._shard, UserShard)
    checkpointer, state = host._shard._checkpointer, host._shard._state
    load_chain = state.load_chain
    try:
        async with connected(settings.address, 1, 2) as (gateway, other):
            await gateway.ask(1, event("ada"))
            await checkpointer.run_once()

            async def erase_and_load(chunk: int | None, limit: int) -> list[Chunk]:
                monkeypatch.setattr(state, "load_chain", load_chain)
                await other.ask(1, DeleteUser("ada"))
                await checkpointer.run_once()
                return await load_chain(chunk, limit)

            monkeypatch.setattr(state, "load_chain", erase_and_load)
            [reply] = await gateway.ask(2, ReadEvents("ada"))
            assert (reply.status, msgspec.json.decode(reply.body)["events"]) == (200, [])
    finally:
        await host.close()
