"""What a user's total, of a metric or of points, came to in each period of a range of dates."""

import asyncio
from datetime import date
from functools import partial
from typing import Literal, get_args

from starlette.types import Scope

from plaudit.actors.messages import Reply
from plaudit.actors.router import Router
from plaudit.engine.commands import Aggregation, Summarize
from plaudit.http.endpoints import segment_of, user_id_of
from plaudit.http.errors import Invalid
from plaudit.http.gathering import GatheringEndpoint, take_only
from plaudit.http.queries import ECHO_LENGTH_MAX, Parameters
from plaudit.http.texts import parse_date

RANGE_DAYS_MAX = 400
"""Between the first and the last date (Q-24)."""
YEAR_MIN, YEAR_MAX = 1970, 9000
"""What a server's time can be; nothing happened outside of it."""
AGGREGATIONS: dict[str, Aggregation] = {name: name for name in get_args(Aggregation)}


def parse_summary(kind: Literal["metric", "points"], scope: Scope) -> Summarize:
    """The query of a request. Raises Invalid, naming the parameter."""
    parameters = Parameters(scope["query_string"])
    text = parameters.required("aggregation")
    aggregation = AGGREGATIONS.get(text)
    if aggregation is None:
        raise Invalid(f"aggregation: expected {', '.join(AGGREGATIONS)}, got {text[:ECHO_LENGTH_MAX]!r}")
    first, last = (_parse_day(parameters, name) for name in ("startDate", "endDate"))
    if first >= last:
        raise Invalid("startDate: expected a date before endDate")
    if last - first > RANGE_DAYS_MAX:
        raise Invalid(f"endDate: expected a date at most {RANGE_DAYS_MAX} days after startDate")
    return Summarize(user_id_of(scope), kind, segment_of(scope, "key"), aggregation, first, last)


def _parse_day(parameters: Parameters, name: str) -> int:
    text = parameters.required(name)
    day = parse_date(name, text)
    if not YEAR_MIN <= date.fromordinal(day).year <= YEAR_MAX:
        raise Invalid(f"{name}: expected a date in the years {YEAR_MIN} to {YEAR_MAX}, got {text}")
    return day


def _ask(kind: Literal["metric", "points"], scope: Scope, router: Router) -> "list[asyncio.Future[Reply]]":
    return router.query(parse_summary(kind, scope))


summarize_metric = GatheringEndpoint(partial(_ask, "metric"), take_only)
"""`GET /v1/users/{id}/metrics/{key}/event-summary`."""
summarize_points = GatheringEndpoint(partial(_ask, "points"), take_only)
"""`GET /v1/users/{id}/points/{key}/event-summary`."""
