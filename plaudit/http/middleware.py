"""Pure ASGI middleware: who may pass, and paths with encoded characters."""

from starlette.types import ASGIApp, Receive, Scope, Send

from plaudit.http.endpoints import find_header
from plaudit.http.errors import error_response
from plaudit.http.keys import KeyRing

API_PREFIXES = ("/v1/", "/admin/v1/")


class Authenticate:
    """Lets a request to an API pass only with a valid `X-API-KEY`."""

    def __init__(self, app: ASGIApp, keys: KeyRing) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        if scope["type"] == "http" and scope["path"].startswith(API_PREFIXES):
            presented = find_header(scope, b"x-api-key")
            if not self._keys.admits(presented):
                problem = "invalid" if presented else "missing"
                await error_response(401, f"X-API-KEY: {problem}")(scope, receive, send)
                return
        await self._app(scope, receive, send)


class RoutePathsAsSent:
    """Routes by the path as the client encoded it, so that an id may hold a slash; handlers decode their segment."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        if scope["type"] == "http" and b"%" in scope["raw_path"]:
            scope = {**scope, "path": scope["raw_path"].decode("ascii", "replace")}
        await self._app(scope, receive, send)
