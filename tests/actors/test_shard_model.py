"""A shard against an oracle, killed between any two steps and in the middle of most."""

import asyncio
from collections.abc import Sequence

import msgspec
import pytest
import uvloop
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from msgspec.structs import replace

from plaudit.actors.shard_client import ShardClient
from plaudit.actors.wire import EventPage
from plaudit.engine.amounts import UNIT
from plaudit.engine.catalog import Catalog
from plaudit.engine.commands import (
    Command,
    DeleteUser,
    Position,
    ReadEvents,
    ReadMetrics,
    ReadUser,
    RecordEvent,
    UserFields,
)
from plaudit.engine.document import MetricEntry
from plaudit.engine.revision import revise
from tests.actors.shard_contents import check_contents
from tests.actors.shard_oracle import (
    Exchange,
    Rules,
    State,
    UserState,
    explain_in_any_order,
    explain_in_order,
    summarize,
    summarize_event,
    user_of,
)
from tests.actors.shard_world import TRIPS, World
from tests.catalogs import STUDY, study_catalog
from tests.engine.builders import event_id

MORE = msgspec.structs.replace(STUDY, metrics=(*STUDY.metrics, MetricEntry("hours", "Hours")))
NAMES: list[str | None] = ["Ada", "Bob", None]
USERS = st.sampled_from(["ada", "bob", "cid", "dee"])
EVENTS = st.builds(
    RecordEvent,
    USERS,
    st.sampled_from(["lessons", "lessons", "lessons", "pages", "hours"]),
    st.integers(-3, 12).map(lambda n: n * UNIT),
    st.just(b""),
    st.just(UserFields()) | st.sampled_from(NAMES).map(lambda name: UserFields(name=name)),
    idempotency_key=st.none() | st.sampled_from(["one", "two", "three", "four", "five"]),
)
OTHERS = st.one_of(
    USERS.map(DeleteUser),
    USERS.map(ReadUser),
    USERS.map(ReadMetrics),
    st.builds(ReadEvents, USERS, st.none() | st.sampled_from(["lessons", "pages"]), limit=st.integers(1, 9)),
)
COMMANDS = st.lists(st.one_of(EVENTS, EVENTS, EVENTS, OTHERS), min_size=1, max_size=10)
PLACES = st.tuples(st.sampled_from(sorted(TRIPS)), st.integers(0, 9))
TURNS = st.integers(0, 30)


class ShardMachine(RuleBasedStateMachine):
    """`states` has the states in which each user may be: more than one only until the user is read."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self.states: dict[str, set[State]] = {user: {None} for user in ("ada", "bob", "cid", "dee")}
        self.catalog: Catalog = study_catalog()
        self.events = 0
        self.world = World()

    @initialize()
    def start(self) -> None:
        self.runner.run(self.world.start(self.catalog))

    @rule(commands=COMMANDS, with_checkpoint=st.booleans())
    def call(self, commands: list[Command], with_checkpoint: bool) -> None:
        commands = [self.numbered(command) for command in commands]
        self.runner.run(self._call(commands, in_order=True, with_checkpoint=with_checkpoint))

    @rule(commands=COMMANDS, trip=st.none() | PLACES, turns=st.none() | TURNS, with_checkpoint=st.booleans())
    def call_and_be_killed(
        self, commands: list[Command], trip: tuple[str, int] | None, turns: int | None, with_checkpoint: bool
    ) -> None:
        commands = [self.numbered(command) for command in commands]
        self.runner.run(self._call(commands, trip=trip, turns=turns, with_checkpoint=with_checkpoint))
        self.read_everything()

    @rule(commands=COMMANDS, others=COMMANDS, turns=st.none() | TURNS)
    def call_from_two_gateways(self, commands: list[Command], others: list[Command], turns: int | None) -> None:
        commands = [self.numbered(command) for command in commands[:5]]
        others = [self.numbered(command) for command in others[:5]]
        self.runner.run(self._call(commands, others, turns=turns))
        self.read_everything()

    @rule(commands=COMMANDS, turns=TURNS)
    def lose_gateway_and_shard(self, commands: list[Command], turns: int) -> None:
        """Nobody learns what became of the commands: each has happened, or not."""
        self.runner.run(self._lose([self.numbered(command) for command in commands[:6]], turns))
        self.read_everything()

    @rule(trip=st.none() | PLACES)
    def save(self, trip: tuple[str, int] | None) -> None:
        self.runner.run(self.world.checkpoint_until_killed(self.catalog, trip))

    @rule(is_copied=st.booleans(), trip=st.none() | PLACES)
    def kill(self, is_copied: bool, trip: tuple[str, int] | None) -> None:
        """The one that opens next may be killed as well."""
        if is_copied:
            self.world.kill()
        else:
            self.world.lose()
        self.world.trip = trip
        self.runner.run(self.world.recover(self.catalog))

    @rule(trip=st.none() | PLACES)
    def close_and_open(self, trip: tuple[str, int] | None) -> None:
        self.world.trip = trip
        self.runner.run(self.world.reopen(self.catalog))

    @rule()
    def close_and_look(self) -> None:
        self.runner.run(self._look())

    @rule(is_killed=st.booleans())
    def change_catalog(self, is_killed: bool) -> None:
        document = STUDY if "hours" in self.model.metrics else MORE
        self.catalog = revise(self.catalog, document, self.world.now_ms)
        if is_killed:
            self.world.kill()
        self.runner.run(self.world.reopen(self.catalog))

    @rule(ms=st.sampled_from([1, 1000, 3_600_000, 86_400_000]))
    def move_clock(self, ms: int) -> None:
        self.world.now_ms += ms

    @rule()
    def restart_gateway(self) -> None:
        self.runner.run(self._restart_gateway())

    @rule()
    def read_everything(self) -> None:
        self.runner.run(self._read_everything())

    def teardown(self) -> None:
        with self.runner:
            self.runner.run(self._stop())

    @property
    def model(self) -> Rules:
        return Rules(tuple(m.key for m in self.catalog.metrics if not m.archived), self.world.now_ms)

    def numbered(self, command: Command) -> Command:
        """An event with an id of its own; hypothesis must not choose one twice."""
        if not isinstance(command, RecordEvent):
            return command
        self.events += 1
        return replace(command, event_id=event_id(self.events))

    async def _call(
        self,
        commands: list[Command],
        others: Sequence[Command] = (),
        *,
        trip: tuple[str, int] | None = None,
        turns: int | None = None,
        in_order: bool = False,
        with_checkpoint: bool = False,
    ) -> None:
        calls: list[tuple[ShardClient, Command]] = [(self.world.client, command) for command in commands]
        if others:
            other = await self.world.connect()
            calls += [(other, command) for command in others]
        replies = await self.world.call(self.catalog, calls, trip, turns=turns, with_checkpoint=with_checkpoint)
        if others:
            await other.close()
        exchanges = [(command, summarize(command, reply)) for (_, command), reply in zip(calls, replies, strict=True)]
        self._explain(exchanges, in_order=in_order)

    async def _lose(self, commands: list[Command], turns: int) -> None:
        client = await self.world.connect()
        await self.world.send_and_kill(client, commands, turns)
        await self.world.recover(self.catalog)
        self._explain([(command, None) for command in commands], in_order=False)

    def _explain(self, exchanges: Sequence[Exchange], *, in_order: bool) -> None:
        explain = explain_in_order if in_order else explain_in_any_order
        for user, states in self.states.items():
            own = [exchange for exchange in exchanges if user_of(exchange[0]) == user]
            self.states[user] = explain(self.model, states, own)
            assert self.states[user], f"{states} cannot lead to {own}"

    async def _read_everything(self) -> None:
        readings = [
            reading
            for user in self.states
            for reading in (ReadEvents(user, limit=200), ReadUser(user), ReadMetrics(user))
        ]
        await self._call(list(readings), in_order=True)
        assert all(len(states) == 1 for states in self.states.values()), self.states
        await self._read_shard()

    async def _read_shard(self) -> None:
        """The log of all users: every event once, the newest first, and each user's in the order of their own."""
        before: Position | None = None
        positions: list[Position] = []
        found: dict[str, list[tuple[object, ...]]] = {}
        while True:
            reply = await self.world.client.call(ReadEvents(None, limit=3, before=before))
            page = msgspec.json.decode(reply.body, type=EventPage)
            positions += page.positions
            for raw in page.events:
                event = msgspec.json.decode(raw)
                found.setdefault(event["userId"], []).append(summarize_event(event))
            before = page.more_before
            if before is None:
                break
        assert positions == sorted(set(positions), reverse=True)
        assert found == {name: list(state.log()) for name, state in self.users.items() if state.events}

    @property
    def users(self) -> dict[str, UserState]:
        """The users that exist; what is uncertain must have been read."""
        known = {user: next(iter(states)) for user, states in self.states.items()}
        return {user: state for user, state in known.items() if state is not None}

    async def _look(self) -> None:
        """What a clean close leaves behind is what the oracle has, and nothing else."""
        await self._read_everything()
        await self.world.host.close()
        check_contents(self.world.directory, self.users)
        await self.world.reopen(self.catalog)

    async def _restart_gateway(self) -> None:
        await self.world.client.close()
        self.world.client = await self.world.connect()

    async def _stop(self) -> None:
        try:
            await self._look()
        finally:
            await self.world.stop()


BOUNDED = settings(
    derandomize=True,
    deadline=None,
    max_examples=25,
    stateful_step_count=25,
    suppress_health_check=list(HealthCheck),
)


def test_a_shard_that_may_be_killed_at_any_moment_does_what_the_oracle_says() -> None:
    run_state_machine_as_test(ShardMachine, settings=BOUNDED)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_shard_does_what_the_oracle_says_for_long() -> None:
    profile = settings(BOUNDED, derandomize=False, max_examples=1000, stateful_step_count=60)
    run_state_machine_as_test(ShardMachine, settings=profile)
