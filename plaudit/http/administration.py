"""What the routes ask of the server as a whole: its time and its settings, which no user has."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from starlette.types import Receive, Scope, Send

from plaudit.actors.messages import Reply
from plaudit.engine.catalog import StreakSettings
from plaudit.engine.settings import StreakSettingsPatch
from plaudit.http.endpoints import send_reply


class Administration(Protocol):
    """The server. Everything here may raise NotDone."""

    async def read_clock(self) -> int:
        """The time of a test clock, in Unix milliseconds."""

    async def move_clock(self, now_ms: int) -> int:
        """Move a test clock; returns when all that was due has happened. Raises Invalid (the engine's)."""

    async def read_streak_settings(self) -> StreakSettings:
        """The streak settings in force."""

    async def change_streak_settings(self, patch: StreakSettingsPatch) -> StreakSettings:
        """Change the streak settings; returns when no event meets the old ones. Raises Invalid (the engine's)."""


class AdministrationEndpoint:
    """Answers a request with what the server says, as JSON."""

    def __init__(self, answer: Callable[[Administration, Receive], Awaitable[bytes]]) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises RequestError, Rejected or NotDone."""
        administration: Administration = scope["app"].state.administration
        await send_reply(Reply(200, await self._answer(administration, receive)), send)
