"""The yardstick: one Starlette route that does nothing, with a response of the same status and size as Plaudit's.

Run as `python -m benchmarks.bare --port 8000 --size 1000`.
"""

import argparse

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.target import HOST, PATH


def bare_app(size: int) -> Starlette:
    """An application that reads an event's body and answers 201 with `size` bytes of JSON."""
    padding = max(0, size - len('{"padding":""}'))
    body = b'{"padding":"' + b"x" * padding + b'"}'

    async def event(request: Request) -> Response:
        await request.body()
        return Response(body, status_code=201, media_type="application/json")

    async def ready(_: Request) -> Response:
        return Response()

    return Starlette(routes=[Route(PATH, event, methods=["POST"]), Route("/readyz", ready)])


def main() -> None:
    """Serve until SIGTERM, with the settings that plaudit/gateway.py gives uvicorn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--size", type=int, default=1000, help="bytes of the response's body")
    args = parser.parse_args()
    uvicorn.run(
        bare_app(args.size),
        host=HOST,
        port=args.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        server_header=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
