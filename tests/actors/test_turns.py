"""Replies leave in the order of their batches, whatever each of them has to wait for."""

import asyncio
from functools import partial

import pytest

from plaudit.actors import publisher, user_shard
from plaudit.actors.turns import Turns
from plaudit.actors.user_shard import ShardSettings
from plaudit.engine.commands import ReadUser
from tests.actors.boarded_shard import ALL, boarded, lesson, with_rankings


def test_replies_leave_in_the_order_of_the_batches() -> None:
    turns, sent = Turns(), list[str]()
    first, second, third = (turns.enter(1) for _ in range(3))
    second.take(partial(sent.append, "second"))
    assert sent == []
    first.take(partial(sent.append, "first"))
    assert sent == ["first", "second"]
    third.take(partial(sent.append, "third"))
    assert sent == ["first", "second", "third"]


def test_gateways_do_not_wait_for_each_other() -> None:
    turns, sent = Turns(), list[str]()
    turns.enter(1)
    turns.enter(2).take(partial(sent.append, "other"))
    assert sent == ["other"]


def test_a_line_that_was_left_is_entered_anew() -> None:
    turns, sent = Turns(), list[str]()
    for name in ("first", "second"):
        turns.enter(1).take(partial(sent.append, name))
        turns.enter(2).take(partial(sent.append, name))
    assert sent == ["first", "first", "second", "second"]


async def test_what_does_not_wait_for_places_leaves_after_what_does(
    settings: ShardSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a gateway could go on, and the replies to the batch that waits would be forgotten too soon."""
    monkeypatch.setattr(publisher, "PLACE_WAIT_S", 0.05)
    monkeypatch.setattr(user_shard, "FLUSH_TIMEOUT_S", 0.05)
    async with boarded(settings, with_rankings(*ALL), None) as (shard, _):
        order: list[str] = []
        calls = []

        def note(name: str, _: object) -> None:
            order.append(name)

        for name, command in (("event", lesson("ann", 1, 1)), ("read", ReadUser("ann"))):
            call = shard.client.call(command)
            call.add_done_callback(partial(note, name))
            calls.append(call)
            for _ in range(20):  # a batch of its own
                await asyncio.sleep(0)
        replies = await asyncio.gather(*calls)
        assert [reply.status for reply in replies] == [201, 200]
        assert order == ["event", "read"]
