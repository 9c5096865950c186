import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from plaudit.actors.dedupe import GATEWAYS_MAX, Dedupe
from plaudit.actors.messages import PROTOCOL, Batch, Hello, Replies, Reply, decode_to_gateway, encode
from plaudit.actors.shard_client import WINDOW
from plaudit.actors.transport import Connection, connect
from plaudit.actors.user_shard import UserShard
from tests.actors.shards import event, make_settings, total_in
from tests.catalogs import study_catalog
from tests.engine.builders import CREATED_MS


def replies(*positions: int, batch: int = 1) -> dict[int, Reply]:
    return {position: Reply(201, b"%d of %d" % (position, batch)) for position in positions}


def test_a_batch_is_new_until_it_is_remembered() -> None:
    dedupe = Dedupe()
    dedupe.remember(7, 1, replies(0, 1))
    assert dedupe.find(7, 1) == replies(0, 1)
    assert (dedupe.find(7, 2), dedupe.find(8, 1)) == ({}, {})


def test_the_parts_of_a_batch_add_up() -> None:
    dedupe = Dedupe()
    dedupe.remember(7, 1, replies(0, 3))
    dedupe.remember(7, 1, replies(2))
    assert dedupe.find(7, 1) == replies(0, 2, 3)


def test_a_batch_is_remembered_while_its_gateway_may_send_it_again() -> None:
    dedupe = Dedupe()
    for number in range(1, WINDOW + 3):
        dedupe.remember(7, number, replies(0, batch=number))
        oldest = max(1, number - WINDOW + 1)
        kept = {n: dedupe.find(7, n) for n in range(1, number + 1) if dedupe.find(7, n)}
        assert kept == {n: replies(0, batch=n) for n in range(oldest, number + 1)}


def test_a_batch_sent_again_does_not_push_out_a_later_one() -> None:
    dedupe = Dedupe()
    for number in (4, 5, 4):
        dedupe.remember(7, number, replies(0, batch=number))
    assert (dedupe.find(7, 4), dedupe.find(7, 5)) == (replies(0, batch=4), replies(0, batch=5))


def test_gateways_do_not_mix() -> None:
    dedupe = Dedupe()
    dedupe.remember(7, 1, replies(0))
    dedupe.remember(8, 1, replies(1))
    dedupe.remember(8, 9, replies(2))
    assert dedupe.find(7, 1) == replies(0)
    assert dedupe.gateways() == [7, 8]


def test_the_gateway_that_was_silent_for_longest_is_forgotten() -> None:
    dedupe = Dedupe()
    for gateway in range(GATEWAYS_MAX):
        dedupe.remember(gateway, 1, replies(0))
    dedupe.remember(0, 2, replies(0))
    dedupe.remember(1_000, 1, replies(0))
    assert set(dedupe.gateways()) == {0, *range(2, GATEWAYS_MAX), 1_000}
    assert dedupe.find(1, 1) == {}
    assert {gateway for gateway, _ in dedupe.take_changed()} == set(dedupe.gateways())


def test_what_has_changed_is_handed_out_once() -> None:
    dedupe = Dedupe()
    assert dedupe.take_changed() == []
    dedupe.remember(7, 1, replies(0))
    dedupe.remember(8, 1, replies(0))
    assert {gateway for gateway, _ in dedupe.take_changed()} == {7, 8}
    dedupe.remember(8, 2, replies(0))
    assert [gateway for gateway, _ in dedupe.take_changed()] == [8]
    assert dedupe.take_changed() == []


def test_what_was_stored_is_remembered_again() -> None:
    before, after = Dedupe(), Dedupe()
    large = 2**63 - 1
    for gateway in (7, large):
        for number in (1, 2):
            before.remember(gateway, number, replies(0, 255, batch=number))
    after.restore(dict(before.take_changed()))
    assert sorted(after.gateways()) == [7, large]
    assert after.find(large, 2) == replies(0, 255, batch=2)
    assert after.take_changed() == []
    after.remember(7, 3, replies(0, batch=3))
    assert (after.find(7, 1), after.find(7, 2)) == ({}, replies(0, 255, batch=2))


@pytest.mark.parametrize("garbage", [b"", b"\xc1", b"\x80\x80", msgspec.msgpack.encode({1: {0: [201]}})])
def test_what_was_not_stored_like_this_is_refused(garbage: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        Dedupe().restore({7: garbage})


class Gateway:
    """A gateway's end of a connection that shows every answer (`Receiver`)."""

    def __init__(self) -> None:
        self._answers: asyncio.Queue[bytes] = asyncio.Queue()
        self.connection: Connection

    async def greet(self, address: str, gateway: int) -> None:
        self.connection = await connect(address, lambda _: self)
        self.connection.send(encode(Hello(PROTOCOL, gateway)))
        await self._answers.get()

    async def answer(self) -> Reply:
        message = decode_to_gateway(await asyncio.wait_for(self._answers.get(), 5))
        assert isinstance(message, Replies)
        return message.replies[0]

    def frame_received(self, payload: bytes) -> None:
        self._answers.put_nowait(payload)

    def connection_closed(self) -> None:
        pass


@asynccontextmanager
async def open_shard(data: Path) -> AsyncIterator[tuple[Gateway, Gateway]]:
    """A shard with two connections of one gateway."""
    with tempfile.TemporaryDirectory() as sockets:
        settings = make_settings(data, Path(sockets))
        failures: list[str] = []
        shard = UserShard(settings, lambda: CREATED_MS, failures.append)
        await shard.open(study_catalog())
        ends = Gateway(), Gateway()
        try:
            for end in ends:
                await end.greet(settings.address, 7)
            yield ends
        finally:
            for end in ends:
                end.connection.close()
            await shard.close()
    assert failures == []


async def test_a_batch_that_is_sent_again_before_it_is_durable_is_applied_once(tmp_path: Path) -> None:
    """A connection may be lost while the shard lives and the commit is under way."""
    batches = [encode(Batch(number, (0,), (event("sam", value),))) for number, value in ((1, 5), (2, 1))]
    async with open_shard(tmp_path / "data") as (lost, found):
        lost.connection.send(batches[0])
        lost.connection.close()
        found.connection.send(batches[0])
        totals = [total_in(await found.answer())]
        found.connection.send(batches[1])
        totals.append(total_in(await found.answer()))
    assert totals == [5, 6]
