"""What becomes of a batch when shards cannot be reached."""

import asyncio
from typing import cast

import pytest

from plaudit.actors.errors import NotSent, Overloaded, Unavailable
from plaudit.actors.messages import Reply
from plaudit.actors.router import Router
from plaudit.engine.commands import EndPause, GrantFreeze, Read, Write
from plaudit.http.batches import apply_batch, error_issue

PAUSE_ID = bytes(range(16))


class Shards:
    """Replies, or refuses to send, by the user: at once, or if `late` after a while."""

    def __init__(self, outcomes: dict[str, Reply | NotSent], *, late: bool = False) -> None:
        self._outcomes = outcomes
        self._late = late
        self.asked: list[Read | Write] = []

    def call(self, command: Read | Write) -> "asyncio.Future[Reply]":
        self.asked.append(command)
        outcome = self._outcomes[command.user_id]
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Reply] = loop.create_future()
        if isinstance(outcome, Reply):
            loop.call_soon(future.set_result, outcome)
        elif self._late:
            loop.call_soon(future.set_exception, outcome)
        else:
            raise outcome
        return future

    @property
    def router(self) -> Router:
        return cast(Router, self)


DONE = Reply(200, b"{}")
AWAY = Unavailable("the shard of this user is not available")


EITHER_WAY = pytest.mark.parametrize("late", [False, True])


@EITHER_WAY
async def test_what_could_not_be_sent_is_an_issue_and_the_rest_is_done(late: bool) -> None:
    """An answer of 503 says that nothing was changed: it would be wrong here."""
    shards = Shards({"a": DONE, "b": AWAY, "c": Reply(201, b"1")}, late=late)
    commands = [GrantFreeze(user) for user in "abcb"]
    applied, issues = await apply_batch(shards.router, [*commands, error_issue("x", index=4)])
    assert applied == [(commands[0], DONE), (commands[2], Reply(201, b"1"))]
    away = error_issue(str(AWAY), user_id="b")
    assert issues == [away, away, error_issue("x", index=4)]
    assert shards.asked == commands


@EITHER_WAY
async def test_when_nothing_could_be_sent_the_whole_request_may_be_tried_again(late: bool) -> None:
    shards = Shards({"a": Overloaded("too many requests are waiting"), "b": AWAY}, late=late)
    with pytest.raises(Overloaded):
        await apply_batch(shards.router, [error_issue("x", index=0), GrantFreeze("a"), GrantFreeze("b")])


async def test_a_batch_of_nothing_but_issues_asks_nobody() -> None:
    issue = error_issue("x", index=0)
    assert await apply_batch(Shards({}).router, [issue]) == ([], [issue])


async def test_a_shard_that_fails_is_an_issue_of_its_user() -> None:
    shards = Shards({"a": Reply(500, b'{"error":"internal error"}'), "b": Reply(422, b'{"error":"end: no"}')})
    applied, issues = await apply_batch(shards.router, [GrantFreeze("a"), EndPause("b", PAUSE_ID)])
    assert applied == []
    assert issues == [
        error_issue("internal error", user_id="a"),
        error_issue("end: no", id_="00010203-0405-0607-0809-0a0b0c0d0e0f"),
    ]
