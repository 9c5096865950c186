"""Data directories of older versions open, and answer what they answered then."""

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from plaudit.actors import user_shard
from plaudit.actors.messages import Reply
from plaudit.actors.runtime import InlineHost
from plaudit.actors.shard_client import ShardClient
from plaudit.actors.user_shard import ShardSettings
from plaudit.engine.commands import ReadMetrics, ReadUser, RecordEvent
from plaudit.engine.rules import RULES
from plaudit.storage.catalog_store import CatalogStore
from plaudit.storage.directory import MANIFEST_NAME, open_directory, shard_directory
from plaudit.storage.errors import OtherRules

FIXTURES = Path(__file__).parents[1] / "fixtures"
DIRECTORIES = sorted(path.parent for path in FIXTURES.glob(f"schema-*/*/{MANIFEST_NAME}"))
STOPPED = [path for path in DIRECTORIES if path.name == "stopped"]
KILLED = [path for path in DIRECTORIES if path.name != "stopped"]
OTHER_RULES = "99/2099a"
GATEWAYS = itertools.count(1000)


class Fixture:
    """A copy of a fixture, and what is known of it."""

    def __init__(self, original: Path, data: Path, sockets: Path) -> None:
        shutil.copytree(original, data)
        self.data = data
        self.expected: dict[str, Any] = msgspec.json.decode((original.parent / "expected.json").read_bytes())
        address = str(sockets / "shard.sock")
        self.settings = ShardSettings(0, str(shard_directory(data, 0)), self.expected["dataId"], address)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[ShardClient]:
        """A client of the open shard, whose time stands where the fixture's stood."""
        open_directory(self.data, None, "", 1)
        store = await CatalogStore.open(self.data)
        catalog = await store.load()
        await store.close()
        host = InlineHost(self.settings, lambda reason: None, lambda: int(self.expected["atMs"]))
        await host.open(catalog)
        client = ShardClient(self.settings.address, next(GATEWAYS))
        client.start()
        try:
            yield client
        finally:
            await client.close()
            await host.close()


@pytest.fixture
def fixture(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fixture]:
    with tempfile.TemporaryDirectory(prefix="plaudit-") as sockets:
        yield Fixture(request.param, tmp_path / "data", Path(sockets))


def each(directories: list[Path]) -> pytest.MarkDecorator:
    ids = [f"{path.parent.name}/{path.name}" for path in directories]
    return pytest.mark.parametrize("fixture", directories, ids=ids, indirect=True)


@pytest.fixture
def same_rules(fixture: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Newer time zones do not matter to these users; other rules do."""
    rules: str = fixture.expected["rules"]
    if not rules.startswith(f"{RULES}/"):
        pytest.skip("other rules may give other replies, and do not replay this log")
    monkeypatch.setattr(user_shard, "RULES_VERSION", rules)


@pytest.fixture
def other_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_shard, "RULES_VERSION", OTHER_RULES)


def as_event(described: dict[str, Any], event_id: str | None = None) -> RecordEvent:
    """The event that a fixture describes; `event_id` to send it as another one."""
    raw = bytes.fromhex((event_id or described["eventId"]).replace("-", ""))
    return RecordEvent(
        described["user"],
        described["metric"],
        described["value"],
        raw,
        attributes=described["attributes"],
        idempotency_key=described["key"],
    )


def assert_says(reply: Reply, status: int, expected: Any) -> None:
    """The reply is the expected one, perhaps with more in its objects."""
    assert reply.status == status, reply
    actual = msgspec.json.decode(reply.body)
    assert _strip(actual, expected) == expected


def _strip(actual: Any, expected: Any) -> Any:
    """`actual` without the fields that later versions have added to its objects."""
    if isinstance(actual, dict) and isinstance(expected, dict):
        return {key: _strip(value, expected[key]) for key, value in actual.items() if key in expected}
    if isinstance(actual, list) and isinstance(expected, list) and len(actual) == len(expected):
        return [_strip(one, other) for one, other in zip(actual, expected, strict=True)]
    return actual


async def check_users(client: ShardClient, expected: dict[str, Any]) -> None:
    for user, answers in expected["users"].items():
        assert_says(await client.call(ReadUser(user)), 200, answers["user"])
        assert_says(await client.call(ReadMetrics(user)), 200, answers["metrics"])


async def check_keys(client: ShardClient, expected: dict[str, Any]) -> None:
    """Every key that was used answers with the event that used it, and counts nothing."""
    used = [event for event in expected["events"] if event["key"] is not None]
    fresh = "ffffffff-ffff-7fff-8fff-ffffffffffff"
    replies = await asyncio.gather(*(client.call(as_event(event, fresh)) for event in used))
    for event, reply in zip(used, replies, strict=True):
        assert_says(reply, 202, {"eventId": event["eventId"], "idempotentReplayed": True})
    assert len(used) > 10


def test_there_are_fixtures() -> None:
    assert {path.parent.name for path in STOPPED} == {path.parent.name for path in KILLED} >= {"schema-1"}


@each(KILLED)
@pytest.mark.usefixtures("same_rules")
async def test_a_killed_one_opens_and_goes_on_as_if_nothing_had_happened(fixture: Fixture) -> None:
    await check_going_on(fixture)


@each(STOPPED)
async def test_a_stopped_one_goes_on_as_if_nothing_had_happened(fixture: Fixture) -> None:
    await check_going_on(fixture)


async def check_going_on(fixture: Fixture) -> None:
    """Everything is there, and what comes next has the effects that it would have had: on streaks as well."""
    async with fixture.opened() as client:
        await check_users(client, fixture.expected)
        await check_keys(client, fixture.expected)
        await check_users(client, fixture.expected)
        for event in fixture.expected["next"]:
            assert_says(await client.call(as_event(event)), 201, event["reply"])
    async with fixture.opened() as client:
        for event in fixture.expected["next"]:
            again = {"eventId": event["eventId"], "total": event["reply"]["total"], "idempotentReplayed": True}
            assert_says(await client.call(as_event(event)), 202, again)


@each(KILLED)
@pytest.mark.usefixtures("other_rules")
async def test_a_log_of_other_rules_is_refused_and_stays_as_it_is(fixture: Fixture) -> None:
    rules = fixture.expected["rules"]
    for _ in range(2):
        with pytest.raises(OtherRules, match=f"under rules {rules}, and this version of Plaudit has {OTHER_RULES}"):
            async with fixture.opened():
                pass


@each(STOPPED)
@pytest.mark.usefixtures("other_rules")
async def test_a_stopped_directory_opens_under_other_rules(fixture: Fixture) -> None:
    async with fixture.opened() as client:
        await check_users(client, fixture.expected)
        await check_keys(client, fixture.expected)
