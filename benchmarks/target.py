"""What is measured: the requests that go to a server, and what comes of a stretch of them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from uuid import uuid4

HOST = "127.0.0.1"
METRIC = "lessons"  # of examples/study.toml
PATH = f"/v1/metrics/{METRIC}/event"
API_KEY = "benchkey.0123456789abcdef0123456789abcdef"
USERS_MAX = 1_000_000  # the generators keep a request of some 250 bytes for each


@dataclass(frozen=True)
class Target:
    """A server on this machine and the users that events are for, drawn at random."""

    port: int
    users: int
    with_keys: bool = False
    """Each request has an idempotency key of its own. Of the Python client only."""

    def __post_init__(self) -> None:
        if not 1 <= self.users <= USERS_MAX:
            raise ValueError(f"users: expected 1 to {USERS_MAX}, got {self.users}")

    @property
    def headers(self) -> dict[str, str]:
        """Every generator sends these, to every server."""
        return {"Host": f"{HOST}:{self.port}", "X-API-KEY": API_KEY, "Content-Type": "application/json"}

    def request(self, user: int) -> bytes:
        """One event of one user, as HTTP/1.1."""
        body = event_body(f"user-{user}")
        headers = self.headers | ({"Idempotency-Key": str(uuid4())} if self.with_keys else {})
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"POST {PATH} HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def event_body(user_id: str) -> str:
    """The JSON of an event."""
    return json.dumps({"user": {"id": user_id, "tz": "Europe/Paris"}, "value": 1}, separators=(",", ":"))


@dataclass(frozen=True)
class Load:
    """What a stretch of load met. `errors` counts lost connections, timeouts, and answers that were not 2xx."""

    requests_per_s: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    errors: int


def summarise(latencies_s: Sequence[float], seconds: float, errors: int) -> Load:
    """The load of answers that took so long. All zero if there were none."""
    ordered = sorted(latencies_s)
    p50, p90, p99 = (_percentile(ordered, fraction) * 1000 for fraction in (0.50, 0.90, 0.99))
    return Load(len(ordered) / seconds, p50, p90, p99, errors)


def _percentile(ordered: Sequence[float], fraction: float) -> float:
    """The nearest rank: a value that was really measured."""
    return ordered[ceil(len(ordered) * fraction) - 1] if ordered else 0.0
