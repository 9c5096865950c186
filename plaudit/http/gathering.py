"""What takes more than one shard to answer, or a shard more than a moment."""

import asyncio
from collections.abc import Callable

from starlette.types import Receive, Scope, Send

from plaudit.actors.messages import Reply
from plaudit.actors.router import Router
from plaudit.http.endpoints import send_reply

OK = 200

Ask = Callable[[Scope, Router], "list[asyncio.Future[Reply]]"]
"""Sends what a request asks for, at once. May raise RequestError or NotSent."""
Merge = Callable[[list[Reply]], bytes]
"""Makes the body of the response of the replies, in the order in which they were asked for."""


class GatheringEndpoint:
    """Answers with what `merge` makes of the replies; or, if one of them is an error, with the first such."""

    def __init__(self, ask: Ask, merge: Merge) -> None:
        self._ask = ask
        self._merge = merge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises RequestError or NotSent."""
        router: Router = scope["app"].state.router
        replies: list[Reply] = await asyncio.gather(*self._ask(scope, router))
        failed = next((reply for reply in replies if reply.status != OK), None)
        await send_reply(Reply(OK, self._merge(replies)) if failed is None else failed, send)


def take_only(replies: list[Reply]) -> bytes:
    """The one reply as it is (`Merge`)."""
    [reply] = replies
    return reply.body
