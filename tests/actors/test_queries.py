"""Queries, which are answered beside the commands: what goes wrong with one concerns nobody else."""

import asyncio
import logging
from typing import Any, NoReturn

import msgspec
import pytest

from plaudit.actors import queries
from plaudit.actors.residents import Residents
from plaudit.actors.runtime import InlineHost
from plaudit.actors.shard_client import ShardClient
from plaudit.actors.user_shard import ShardSettings
from plaudit.engine.commands import CountPoints, FindOwners, Query, ReadMetrics, ReadPoints, Summarize
from tests.actors.shards import CATALOG, call, event, statuses, total_of

DAY = 766_000


def fail(*_: Any) -> NoReturn:
    raise OverflowError("a bug")


@pytest.mark.parametrize(
    ("query", "owner", "name"),
    [
        (ReadPoints("a", "xp"), queries, "elapse"),
        (Summarize("a", "points", "xp", "daily", DAY, DAY), queries, "elapse"),
        (Summarize("a", "metric", "lessons", "daily", DAY, DAY), queries, "find_live_metric"),
        (CountPoints("xp", "range", (("plan", "pro"),)), queries, "check_attribute_keys"),
        (CountPoints("xp", "level"), queries, "level_counts"),
        (FindOwners((bytes(16),)), Residents, "find_unsaved_owners"),
    ],
)
async def test_a_bug_before_a_query_is_answered_is_a_500_for_it_alone(
    settings: ShardSettings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    query: Query,
    owner: Any,
    name: str,
) -> None:
    reasons: list[str] = []
    host = InlineHost(settings, reasons.append)
    await host.open(CATALOG)
    client = ShardClient(settings.address, 77)
    client.start()
    assert statuses(await call(client, event("a"))) == [201]
    with monkeypatch.context() as patch, caplog.at_level(logging.CRITICAL, "plaudit.actors.queries"):
        patch.setattr(owner, name, fail)
        async with asyncio.timeout(30):
            replies = await asyncio.gather(*map(client.call, (query, event("a"), query, ReadMetrics("a"), event("b"))))
    assert statuses(replies) == [500, 201, 500, 200, 201]
    assert [list(msgspec.json.decode(replies[n].body)) for n in (0, 2)] == [["error"], ["error"]]
    assert await total_of(client, "a") == 2
    assert reasons == []
    await client.close()
    await host.close()
