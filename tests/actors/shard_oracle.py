"""What a shard has to answer, worked out from the list of each user's events; and which orders explain its answers.

States are tuples, so that a set can hold all those that are possible.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate, pairwise
from typing import Any

import msgspec
from msgspec import UNSET

from plaudit.actors.formats import format_instant
from plaudit.actors.messages import Reply
from plaudit.engine.amounts import UNIT, unpack_amount
from plaudit.engine.commands import Command, DeleteUser, ReadEvents, ReadMetrics, ReadUser, RecordEvent
from plaudit.engine.ids import format_id

Summary = tuple[Any, ...]
"""What of a reply the oracle knows: the status, and then what tells one outcome from another."""
Exchange = tuple[Command, Summary | None]
"""A command and its reply; None if nobody knows whether it ever arrived."""


@dataclass(frozen=True)
class Happened:
    """An event that counted."""

    id: str
    metric: str
    value: int
    key: str | None
    at: str


@dataclass(frozen=True)
class UserState:
    """A user: all events in order. The rest follows from them."""

    created: str
    name: str | None = None
    events: tuple[Happened, ...] = ()

    def total(self, metric: str) -> int:
        return sum(event.value for event in self.events if event.metric == metric)

    def used(self, metric: str, key: str | None) -> str | None:
        """The event that used a key."""
        used = [event.id for event in self.events if key is not None and (event.metric, event.key) == (metric, key)]
        return used[0] if used else None

    def log(self) -> tuple[Summary, ...]:
        """What the event log says of the user, newest first."""
        logged: list[Summary] = []
        for n, event in enumerate(self.events, 1):
            total = replace(self, events=self.events[:n]).total(event.metric)
            logged.append((event.id, event.metric, event.value, total, event.key, event.at))
        return tuple(reversed(logged))

    def completed(self, metric: str, value: int) -> bool:
        """True if the total has ever been as high as this."""
        return any(total >= value for total in accumulate(e.value for e in self.events if e.metric == metric))

    def points(self, metric: str, step: int, points: int) -> int:
        """What one trigger has given: points whenever the total has passed a multiple of the step on its way up."""
        totals = [0, *accumulate(e.value for e in self.events if e.metric == metric)]
        return sum(max(0, after // step - before // step) * points for before, after in pairwise(totals))


State = UserState | None


@dataclass(frozen=True)
class Rules:
    """The metrics that events may name, and the time."""

    metrics: tuple[str, ...]
    now_ms: int

    def apply(self, state: State, command: Command) -> tuple[State, Summary]:
        """The state after a command, and the reply to it."""
        if isinstance(command, RecordEvent):
            return self._record(state, command)
        if state is None:
            return None, (404,)
        if isinstance(command, DeleteUser):
            return None, (204,)
        if isinstance(command, ReadUser):
            return state, (200, state.created, state.name)
        if isinstance(command, ReadMetrics):
            return state, (200, *((metric, state.total(metric)) for metric in self.metrics))
        assert isinstance(command, ReadEvents), command
        log = [logged for logged in state.log() if command.metric in {None, logged[1]}]
        return state, (200, *log[: command.limit])

    def _record(self, state: State, event: RecordEvent) -> tuple[State, Summary]:
        used = None if state is None else state.used(event.metric, event.idempotency_key)
        if state is not None and used is not None:
            return state, (202, used, state.total(event.metric))
        if event.metric not in self.metrics:
            return state, (422,)
        now = format_instant(self.now_ms)
        state = state or UserState(now)
        id_, value = format_id(event.event_id), unpack_amount(event.value) // UNIT
        happened = Happened(id_, event.metric, value, event.idempotency_key, now)
        name = state.name if event.fields.name is UNSET else event.fields.name
        state = UserState(state.created, name, (*state.events, happened))
        return state, (201, id_, state.total(event.metric))


def summarize(command: Command, reply: Reply) -> Summary:
    """What the oracle would say of a reply."""
    body: Any = msgspec.json.decode(reply.body) if reply.body else None
    if reply.status in {201, 202}:
        return reply.status, body["eventId"], body["total"]
    if reply.status != 200:
        return (reply.status,)
    if isinstance(command, ReadUser):
        return 200, body["created"], body["name"]
    if isinstance(command, ReadMetrics):
        return 200, *((metric["key"], metric["current"]) for metric in body)
    return 200, *(summarize_event(event) for event in body["events"])


def summarize_event(event: dict[str, Any]) -> Summary:
    """An event of the event log."""
    return tuple(event[name] for name in ("id", "metric", "value", "total", "idempotencyKey", "date"))


def explain_in_order(rules: Rules, before: Iterable[State], exchanges: Sequence[Exchange]) -> set[State]:
    """The states in which a user may be after these commands, one after the other; empty if there is none."""
    states = set(before)
    for command, summary in exchanges:
        outcomes = [rules.apply(state, command) for state in states]
        states = {state for state, expected in outcomes if expected == summary}
    return states


def explain_in_any_order(rules: Rules, before: Iterable[State], exchanges: Sequence[Exchange]) -> set[State]:
    """The same for commands that were under way at the same time.

    What is not logged (a read, a refusal, a key that has been used) is worked out anew when its batch is sent again: it
    may see what came after it.
    """

    @cache
    def explain(state: State, left: frozenset[int]) -> frozenset[State]:
        found: set[State] = set() if any(exchanges[n][1] is not None for n in left) else {state}
        for n in left:
            command, summary = exchanges[n]
            after, expected = rules.apply(state, command)
            if summary in {None, expected}:
                found |= explain(after, left - {n})
        return frozenset(found)

    everything = frozenset(range(len(exchanges)))
    return {state for first in before for state in explain(first, everything)}


def user_of(command: Command) -> str:
    """Whom a command is about; the model has no commands about all users."""
    assert command.user_id is not None
    assert not isinstance(command, ReadEvents) or command.before is None
    return command.user_id
