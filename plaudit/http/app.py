"""The application: one gateway's routes."""

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from plaudit import __version__
from plaudit.actors.router import Router
from plaudit.http.endpoints import Endpoint, delete_user, read_metrics, read_user, record_event
from plaudit.http.errors import EXCEPTION_HANDLERS
from plaudit.http.event_log import EventLogEndpoint
from plaudit.http.keys import KeyRing
from plaudit.http.middleware import Authenticate, RoutePathsAsSent


def create_app(router: Router, keys: KeyRing) -> Starlette:
    """A gateway that reaches its users through `router` and admits who has one of `keys`."""
    app = Starlette(
        routes=[
            Route("/v1/metrics/{key}/event", Endpoint(record_event), methods=["POST"]),
            Route("/v1/users/{id}", Endpoint(read_user), methods=["GET"]),
            Route("/v1/users/{id}/metrics", Endpoint(read_metrics), methods=["GET"]),
            Route("/admin/v1/events", EventLogEndpoint(), methods=["GET"]),
            Route("/admin/v1/users/{id}", Endpoint(delete_user), methods=["DELETE"]),
            Route("/healthz", _healthz, methods=["GET"]),
            Route("/readyz", _readyz, methods=["GET"]),
        ],
        middleware=[Middleware(RoutePathsAsSent), Middleware(Authenticate, keys=keys)],
        exception_handlers=EXCEPTION_HANDLERS,
    )
    app.router.redirect_slashes = False
    app.state.router = router
    return app


async def _healthz(_: Request) -> Response:
    return _json(200, {"status": "ok", "version": __version__})


async def _readyz(request: Request) -> Response:
    router: Router = request.app.state.router
    return _json(200, {"status": "ready"}) if router.is_ready else _json(503, {"status": "opening shards"})


def _json(status: int, content: dict[str, str]) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
