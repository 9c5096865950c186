"""What can be wrong with a request before it reaches its user, and the one table from errors to responses.

RequestError            a 4xx with its status
├── Malformed           not JSON, or not an object (400)
├── Invalid             JSON of the wrong shape; names the field (422)
└── TooLarge            a body over the limit (413)

NotDone                 what the whole server had to do could not be done; says why (500)
"""

import logging
from collections.abc import Mapping

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from plaudit.actors.errors import NotSent
from plaudit.engine.errors import Rejected

RETRY_AFTER_S = 1

LOG = logging.getLogger(__name__)


class RequestError(Exception):
    """A request that is refused here."""

    status = 400


class Malformed(RequestError):
    """The body is not a JSON object."""


class Invalid(RequestError):
    """The body is not of the expected shape."""

    status = 422


class TooLarge(RequestError):
    """The body is over the limit."""

    status = 413


class NotDone(Exception):
    """The server could not do what concerns all of it, and says why. What was asked for may be done in part."""


def error_response(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error as every client expects it: `{"error": ...}`."""
    return Response(msgspec.json.encode({"error": message}), status, headers, "application/json")


async def _on_request_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return error_response(error.status, str(error))


async def _on_rejected(_: Request, error: Exception) -> Response:
    return error_response(422, str(error))


async def _on_not_sent(_: Request, error: Exception) -> Response:
    return error_response(503, str(error), {"Retry-After": str(RETRY_AFTER_S)})


async def _on_not_done(_: Request, error: Exception) -> Response:
    return error_response(500, str(error))


async def _on_http_exception(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return error_response(error.status_code, error.detail, error.headers)


async def _on_bug(request: Request, error: Exception) -> Response:
    LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return error_response(500, "internal error")


EXCEPTION_HANDLERS = {
    RequestError: _on_request_error,
    Rejected: _on_rejected,
    NotSent: _on_not_sent,
    NotDone: _on_not_done,
    HTTPException: _on_http_exception,
    Exception: _on_bug,
}
"""From exception type to response; Starlette looks types up along their inheritance."""
