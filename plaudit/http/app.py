"""The application: one gateway's routes."""

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from plaudit import __version__
from plaudit.actors.router import Router
from plaudit.http import points, summaries
from plaudit.http.achievements import complete_achievement, read_achievements, read_user_achievements
from plaudit.http.administration import Administration, AdministrationEndpoint
from plaudit.http.boosts import create_boosts
from plaudit.http.clock import move_clock, read_clock
from plaudit.http.endpoints import Endpoint, delete_user, read_metric, read_metrics, read_user, record_event
from plaudit.http.errors import EXCEPTION_HANDLERS
from plaudit.http.event_log import EventLogEndpoint
from plaudit.http.keys import KeyRing
from plaudit.http.leaderboards import PlaceEndpoint, RankingsEndpoint, read_leaderboards
from plaudit.http.middleware import Authenticate, RoutePathsAsSent
from plaudit.http.preferences import read_preferences, update_preferences
from plaudit.http.streak_admin import create_freezes, create_pauses, delete_pauses, reset_streaks, restore_streaks
from plaudit.http.streak_settings import change_streak_settings, read_streak_settings
from plaudit.http.streaks import StreaksEndpoint, read_streak


def create_app(
    router: Router, keys: KeyRing, administration: Administration, *, has_test_clock: bool = False
) -> Starlette:
    """A gateway that reaches its users through `router` and admits who has one of `keys`.

    `administration` is asked for what concerns the whole server. Only with a test clock does it have a route.
    """
    clock = [
        Route("/admin/v1/clock", AdministrationEndpoint(read_clock), methods=["GET"]),
        Route("/admin/v1/clock", AdministrationEndpoint(move_clock), methods=["PUT"]),
    ]
    app = Starlette(
        routes=[
            Route("/v1/metrics/{key}/event", Endpoint(record_event), methods=["POST"]),
            Route("/v1/users/{id}", Endpoint(read_user), methods=["GET"]),
            Route("/v1/users/{id}/metrics", Endpoint(read_metrics), methods=["GET"]),
            Route("/v1/users/{id}/metrics/{key}", Endpoint(read_metric), methods=["GET"]),
            Route("/v1/users/{id}/metrics/{key}/event-summary", summaries.summarize_metric, methods=["GET"]),
            Route("/v1/users/{id}/achievements", read_user_achievements, methods=["GET"]),
            Route("/v1/users/{id}/points/{key}", points.read_user_points, methods=["GET"]),
            Route("/v1/users/{id}/points/{key}/boosts", Endpoint(points.read_boosts), methods=["GET"]),
            Route("/v1/users/{id}/points/{key}/event-summary", summaries.summarize_points, methods=["GET"]),
            Route("/v1/users/{id}/leaderboards/{key}", PlaceEndpoint(), methods=["GET"]),
            Route("/v1/users/{id}/streak", Endpoint(read_streak), methods=["GET"]),
            Route("/v1/users/{id}/preferences", Endpoint(read_preferences), methods=["GET"]),
            Route("/v1/users/{id}/preferences", Endpoint(update_preferences), methods=["PATCH"]),
            Route("/v1/achievements", read_achievements, methods=["GET"]),
            Route("/v1/achievements/{key}/complete", Endpoint(complete_achievement), methods=["POST"]),
            Route("/v1/points/{key}", points.read_system, methods=["GET"]),
            Route("/v1/points/{key}/boosts", points.read_system_boosts, methods=["GET"]),
            Route("/v1/points/{key}/levels", points.read_levels, methods=["GET"]),
            Route("/v1/points/{key}/level-summary", points.count_levels, methods=["GET"]),
            Route("/v1/points/{key}/summary", points.count_points, methods=["GET"]),
            Route("/v1/leaderboards", read_leaderboards, methods=["GET"]),
            Route("/v1/leaderboards/{key}", RankingsEndpoint(), methods=["GET"]),
            Route("/v1/streaks", StreaksEndpoint(), methods=["GET"]),
            Route("/admin/v1/points/{systemId}/boosts", create_boosts, methods=["POST"]),
            Route("/admin/v1/events", EventLogEndpoint(), methods=["GET"]),
            Route("/admin/v1/users/{id}", Endpoint(delete_user), methods=["DELETE"]),
            Route("/admin/v1/streaks/freezes", create_freezes, methods=["POST"]),
            Route("/admin/v1/streaks/pauses", create_pauses, methods=["POST"]),
            Route("/admin/v1/streaks/pauses", delete_pauses, methods=["DELETE"]),
            Route("/admin/v1/streaks/restore", restore_streaks, methods=["POST"]),
            Route("/admin/v1/streaks/reset", reset_streaks, methods=["POST"]),
            Route("/admin/v1/streaks/settings", AdministrationEndpoint(read_streak_settings), methods=["GET"]),
            Route("/admin/v1/streaks/settings", AdministrationEndpoint(change_streak_settings), methods=["PATCH"]),
            *(clock if has_test_clock else ()),
            Route("/healthz", _healthz, methods=["GET"]),
            Route("/readyz", _readyz, methods=["GET"]),
        ],
        middleware=[Middleware(RoutePathsAsSent), Middleware(Authenticate, keys=keys)],
        exception_handlers=EXCEPTION_HANDLERS,
    )
    app.router.redirect_slashes = False
    app.state.router = router
    app.state.administration = administration
    return app


async def _healthz(_: Request) -> Response:
    return _json(200, {"status": "ok", "version": __version__})


async def _readyz(request: Request) -> Response:
    router: Router = request.app.state.router
    return _json(200, {"status": "ready"}) if router.is_ready else _json(503, {"status": "opening shards"})


def _json(status: int, content: dict[str, str]) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
