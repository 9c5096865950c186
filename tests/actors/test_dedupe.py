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
from plaudit.engine.commands import ReadMetrics
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


def test_a_batch_is_too_old_when_its_replies_may_have_been_forgotten() -> None:
    dedupe = Dedupe()
    newest = 10 * WINDOW
    for number in (newest - 1, newest, newest - 1):
        assert dedupe.take(7, number)
        dedupe.remember(7, number, replies(0, batch=number))
    taken = {number: dedupe.take(7, number) for number in range(1, newest + 1)}
    assert taken == {number: number > newest - WINDOW for number in taken}
    assert dedupe.take(8, 1)
    assert dedupe.take(7, newest + WINDOW)
    assert not dedupe.take(7, newest)


def test_a_batch_without_replies_to_keep_makes_older_ones_too_old_as_well() -> None:
    """Its gateway would not have sent it before it had theirs."""
    dedupe = Dedupe()
    dedupe.remember(7, 1, replies(0))
    assert dedupe.take(7, 1 + WINDOW)
    assert not dedupe.take(7, 1)
    assert dedupe.find(7, 1) == replies(0)


def test_what_was_stored_says_which_batches_are_too_old() -> None:
    before, after = Dedupe(), Dedupe()
    before.remember(7, 9, replies(0, batch=9))
    after.restore(dict(before.take_changed()))
    assert not after.take(7, 9 - WINDOW)
    assert [after.take(7, number) for number in (9 - WINDOW + 1, 9, 10)] == [True] * 3


def test_a_batch_that_is_executed_is_known_before_it_is_durable() -> None:
    dedupe = Dedupe()
    dedupe.expect(7, 1, replies(0, 1))
    dedupe.expect(7, 1, replies(3))
    assert dedupe.find(7, 1) == replies(0, 1, 3)
    assert (dedupe.gateways(), dedupe.take_changed()) == ([], [])
    dedupe.remember(7, 1, replies(0, 1))
    assert dedupe.find(7, 1) == replies(0, 1, 3)
    stored = Dedupe()
    stored.restore(dict(dedupe.take_changed()))
    assert stored.find(7, 1) == replies(0, 1)
    dedupe.remember(7, 1, replies(3))
    stored.restore(dict(dedupe.take_changed()))
    assert stored.find(7, 1) == replies(0, 1, 3)


def test_gateways_that_only_read_are_not_remembered_for_ever() -> None:
    dedupe = Dedupe()
    dedupe.remember(0, 1, replies(0))
    for gateway in range(1, 5 * GATEWAYS_MAX):
        assert dedupe.take(gateway, 1)
        assert dedupe.take(gateway, 1 + WINDOW)
        assert not dedupe.take(gateway, 1)
    assert len(dedupe._newest) <= 2 * GATEWAYS_MAX
    assert dedupe.find(0, 1) == replies(0)
    assert not dedupe.take(0, 1 - WINDOW)


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
        return (await self.answers())[0]

    async def answers(self) -> tuple[Reply, ...]:
        message = decode_to_gateway(await asyncio.wait_for(self._answers.get(), 5))
        assert isinstance(message, Replies)
        return message.replies

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


async def test_a_batch_that_comes_too_late_is_ignored(tmp_path: Path) -> None:
    """It was on its way on a connection that is dead: its gateway has the replies, or it would not have gone on."""
    async with open_shard(tmp_path / "data") as (late, found):
        for number in range(1, WINDOW + 2):
            found.connection.send(encode(Batch(number, (0,), (event("sam", 1, key=f"key {number}"),))))
            assert total_in(await found.answer()) == number
        late.connection.send(encode(Batch(1, (0,), (event("sam", 100),))))
        late.connection.send(encode(Batch(WINDOW + 1, (0,), (event("sam", 100),))))
        assert total_in(await late.answer()) == WINDOW + 1
        found.connection.send(encode(Batch(WINDOW + 2, (0,), (event("sam", 1),))))
        assert total_in(await found.answer()) == WINDOW + 2


async def test_reads_are_answered_anew_when_their_batch_is_sent_again(tmp_path: Path) -> None:
    """What is kept is what was logged: a read has changed nothing, and may see what came after."""
    batch = encode(Batch(1, (0, 1), (event("sam", 5), ReadMetrics("sam"))))
    async with open_shard(tmp_path / "data") as (lost, found):
        lost.connection.send(batch)
        first = await lost.answers()
        lost.connection.send(encode(Batch(2, (0,), (event("sam", 1),))))
        await lost.answer()
        found.connection.send(batch)
        again = await found.answers()
    assert again[0] == first[0]
    assert [msgspec.json.decode(reply.body)[0]["current"] for reply in (first[1], again[1])] == [5, 6]
