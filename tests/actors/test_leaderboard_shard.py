"""The leaderboard shard as its host, user shards and gateways see it."""

import asyncio
import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from plaudit.actors.board_messages import (
    BOARD_PROTOCOL,
    BoardHello,
    BoardWelcome,
    Page,
    Place,
    Publish,
    decode_to_board,
    encode_board_message,
)
from plaudit.actors.leaderboard_shard import LeaderboardSettings, LeaderboardShard
from plaudit.actors.messages import PROTOCOL, Batch, Hello, Welcome, encode
from plaudit.actors.shard_client import ShardClient
from plaudit.actors.transport import Connection, connect
from plaudit.engine.catalog import Catalog
from plaudit.engine.commands import Command, ReadPlace, ReadRankings, ReadUser
from plaudit.engine.runs import final_ms, midnight_utc_ms
from plaudit.storage.errors import Corrupt, InUse, Unusable, WrongDirectory
from plaudit.storage.files import DirectoryLock
from tests.actors.boards import (
    NOON_MS,
    START,
    ScriptedShard,
    board,
    board_settings,
    board_shard,
    catalog,
    daily,
    score,
    user_shard,
)
from tests.actors.gateways import connected

KEY = (1, START)
RANKINGS = ReadRankings(*KEY)
NIGHT_MS = midnight_utc_ms(START + 1)
_gateways = itertools.count(1)


@pytest.fixture
def settings() -> Iterator[LeaderboardSettings]:
    with board_settings() as made:
        yield made


async def ask(settings: LeaderboardSettings, *commands: Command) -> list[tuple[int, Any]]:
    """The replies to a batch: statuses and bodies."""
    async with connected(settings.address, next(_gateways)) as (gateway,):
        return [(reply.status, msgspec.json.decode(reply.body)) for reply in await gateway.ask(1, *commands)]


async def users(settings: LeaderboardSettings, run: int = START) -> list[str]:
    ((status, lines),) = await ask(settings, ReadRankings(1, run))
    assert status == 200
    return [line["userId"] for line in lines]


async def test_user_shards_say_who_is_where_and_gateways_ask(settings: LeaderboardSettings) -> None:
    async with board_shard(settings, catalog(board())), user_shard(settings, score(1, 5), score(2, 6)) as shard:
        assert shard.welcome == BoardWelcome(BOARD_PROTOCOL, 0)
        assert await users(settings) == ["u2", "u1"]
        assert await shard.publish(score(1, 7), score(3, 1)) == (Place(1, 2, 1), Place(3, None, 1))
        assert await users(settings) == ["u1", "u2", "u3"]


async def test_a_gateway_s_client_can_ask_it(settings: LeaderboardSettings) -> None:
    async with board_shard(settings, catalog(board())), user_shard(settings, score(1, 5)):
        client = ShardClient(settings.address, 7)
        client.start()
        await client.wait_connected()
        replies = await asyncio.gather(client.call(RANKINGS), client.call(ReadPlace(*KEY, 1)), client.call(RANKINGS))
        await client.close()
        assert [reply.status for reply in replies] == [200, 200, 200]
        assert replies[0] == replies[2]


async def test_what_is_no_question_is_a_bug_and_its_neighbours_are_answered(settings: LeaderboardSettings) -> None:
    async with board_shard(settings, catalog(board())), user_shard(settings):
        assert [status for status, _ in await ask(settings, ReadUser("u1"), RANKINGS)] == [500, 200]


async def test_a_question_waits_until_all_user_shards_are_in() -> None:
    with board_settings(user_shards=2) as settings:
        async with board_shard(settings, catalog(board())), user_shard(settings, score(1, 5)):
            asking = asyncio.create_task(users(settings))
            async with user_shard(settings, score(1, 6, user_id="other"), shard=1):
                assert await asking == ["other", "u1"]


async def test_a_user_shard_is_asked_again_until_it_is_complete(settings: LeaderboardSettings) -> None:
    async with board_shard(settings, catalog(board())):
        shard = ScriptedShard()
        await shard.connect(settings.address)
        first = await shard.next_want()
        shard.answer(first, score(1, 5), is_complete=False)
        second = await shard.next_want()
        assert second.stream != first.stream
        assert await shard.publish(score(1, 6)) == (None,)
        shard.answer(second, score(2, 7))
        assert await users(settings) == ["u2", "u1"]
        shard.close()


async def test_a_user_shard_that_comes_back_without_a_gap_says_nothing_again(settings: LeaderboardSettings) -> None:
    async with board_shard(settings, catalog(board())):
        async with user_shard(settings, score(1, 5)) as shard:
            await shard.publish(score(1, 6), through=20)
        assert await users(settings) == ["u1"]
        async with user_shard(settings, covers_from=20) as shard:
            assert await shard.publish(score(2, 7)) == (Place(1, None, 1),)
            assert await users(settings) == ["u2", "u1"]
        async with user_shard(settings, score(2, 7), covers_from=30):
            assert await users(settings) == ["u2"]


async def test_an_older_connection_of_a_user_shard_is_closed(settings: LeaderboardSettings) -> None:
    async with board_shard(settings, catalog(board())), user_shard(settings) as older, user_shard(settings) as newer:
        await older.closed()
        assert await newer.publish(score(1, 5)) == (Place(1, None, 1),)


async def test_a_catalog_with_another_board_is_adopted(settings: LeaderboardSettings) -> None:
    scores = (score(1, 5), score(1, 4, board=2))
    async with board_shard(settings, catalog(board())) as shard, user_shard(settings, *scores):
        assert await users(settings) == ["u1"]
        await shard.adopt(catalog(board(), board(2), version=2))
        await shard.adopt(catalog(version=1))
        ((status, lines),) = await ask(settings, ReadRankings(2, START))
        assert (status, [line["value"] for line in lines]) == (200, [4])


async def test_time_moves_through_midnights_and_ends_of_runs(settings: LeaderboardSettings) -> None:
    async with board_shard(settings, catalog(daily())) as shard, user_shard(settings, score(1, 5)):
        assert await shard.move_clock(NOON_MS) == NIGHT_MS
        assert await shard.move_clock(NIGHT_MS) == final_ms(START)
        assert await shard.move_clock(final_ms(START)) is None
        assert await users(settings) == ["u1"]
        ((_, place),) = await ask(settings, ReadPlace(*KEY, 1))
        assert (place["rank"], len(place["history"])) == (1, 1)


async def test_what_is_written_down_is_there_after_a_restart_and_the_rest_is_asked_for(
    settings: LeaderboardSettings,
) -> None:
    async with board_shard(settings, catalog(daily())) as shard, user_shard(settings, score(1, 5)):
        await shard.move_clock(final_ms(START))
    today = score(1, 3, run=START + 1)
    async with board_shard(settings, catalog(daily()), final_ms(START)) as shard:
        assert await users(settings) == ["u1"]  # final: nobody has to be waited for
        async with user_shard(settings, score(2, 9), today) as peer:
            assert await users(settings, START + 1) == ["u1"]
            assert await peer.publish(score(2, 9)) == (None,)
            assert await users(settings) == ["u1"]


async def test_a_deleted_user_is_erased_from_what_is_written_down(settings: LeaderboardSettings) -> None:
    async with board_shard(settings, catalog(daily())) as shard, user_shard(settings, score(1, 5), score(2, 4)) as peer:
        await shard.move_clock(final_ms(START))
        await peer.forget(1)
        assert await users(settings) == ["u2"]


async def test_opened_twice_it_is_the_same_under_the_newer_catalog(settings: LeaderboardSettings) -> None:
    async with board_shard(settings, catalog()) as shard, user_shard(settings, score(1, 5)):
        opened = await shard.open(catalog(board(), version=2))
        assert (opened.index, opened.replayed) == (0, 0)
        assert await users(settings) == ["u1"]


async def test_a_connection_that_says_nothing_ends_with_the_shard(settings: LeaderboardSettings) -> None:
    watch = ScriptedShard()
    async with board_shard(settings, catalog()):
        await connect(settings.address, lambda _: watch)
        async with user_shard(settings):  # which was taken up after it
            assert not watch.is_closed
    await watch.closed()


def test_both_hellos_are_told_apart() -> None:
    for hello in (BoardHello(1, 0, 0), BoardHello(1, 0, 2**62)):
        assert decode_to_board(encode_board_message(hello)) == hello
    for gateway in (0, 2**62):
        assert decode_to_board(encode(Hello(1, gateway))) == Hello(1, gateway)


_HELLO = encode(Hello(PROTOCOL, 1))
_BOARD_HELLO = encode_board_message(BoardHello(BOARD_PROTOCOL, 0, 0))
_PUBLISH = encode_board_message(Publish(1, 0, ()))
_BATCH = encode(Batch(1, (0,), (RANKINGS,)))


@pytest.mark.parametrize(
    "frames",
    [
        (b"",),
        (b"\x91\xa5hello",),
        (_PUBLISH,),
        (_BATCH,),
        (encode_board_message(Page(1, ())),),
        (_HELLO, _PUBLISH),
        (_HELLO, _BOARD_HELLO),
        (_BOARD_HELLO, _HELLO),
        (_BOARD_HELLO, _BOARD_HELLO),
        (_BOARD_HELLO, _BATCH),
        (_HELLO, encode(Batch(1, (0, 1), (RANKINGS,)))),
        (encode(Hello(PROTOCOL + 1, 1)),),
        (encode_board_message(BoardHello(BOARD_PROTOCOL + 1, 0, 0)),),
        (encode_board_message(BoardHello(BOARD_PROTOCOL, 1, 0)),),
        (encode_board_message(BoardHello(BOARD_PROTOCOL, -1, 0)),),
        (_BOARD_HELLO, encode_board_message(Publish(1, 0, (), (0,)))),
        (encode(Welcome(PROTOCOL, 0)),),
    ],
)
async def test_frames_that_make_no_sense_end_their_connection_alone(
    settings: LeaderboardSettings, frames: tuple[bytes, ...]
) -> None:
    async with board_shard(settings, catalog()):
        stranger = _Stranger()
        await connect(settings.address, stranger.accept)
        for frame in frames:
            stranger.connection.send(frame)
        await asyncio.wait_for(stranger.closed.wait(), 10)
        async with user_shard(settings):
            assert await ask(settings, ReadUser("u1"))


class _Stranger:
    """Takes whatever comes (`Receiver`)."""

    def __init__(self) -> None:
        self.connection: Connection
        self.closed = asyncio.Event()

    def accept(self, connection: Connection) -> "_Stranger":
        self.connection = connection
        return self

    def frame_received(self, payload: bytes) -> None:
        pass

    def connection_closed(self) -> None:
        self.closed.set()


async def opened(settings: LeaderboardSettings, boards: Catalog, failures: list[str]) -> LeaderboardShard:
    shard = LeaderboardShard(settings, lambda: 0, failures.append)
    await shard.open(boards, NOON_MS)
    return shard


async def test_an_error_of_the_storage_ends_it_and_the_next_one_starts_anew(
    settings: LeaderboardSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[str] = []
    shard = await opened(settings, catalog(board()), failures)

    async def fail(*args: object) -> None:
        raise Corrupt("boards.sqlite: a row")

    monkeypatch.setattr(shard._store, "load_history", fail)
    async with user_shard(settings, score(1, 5)) as peer, connected(settings.address, 1) as (gateway,):
        gateway.send(1, ReadPlace(*KEY, 1))
        await asyncio.wait_for(gateway.is_closed.wait(), 10)
        await peer.closed()
    assert failures == ["leaderboard shard 0 stops and will recover: Corrupt: boards.sqlite: a row"]
    shard.fail(RuntimeError("again"))
    await shard.close()
    await shard.abandon()
    assert len(failures) == 1
    async with board_shard(settings, catalog(board())), user_shard(settings, score(1, 5)):
        assert await users(settings) == ["u1"]


async def test_lost_while_it_writes_it_is_opened_again_and_writes_it_anew(
    settings: LeaderboardSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = await opened(settings, catalog(board()), [])
    begun = asyncio.Event()
    write = shard._store._write

    async def write_a_part(*args: Any) -> Any:
        if begun.is_set():
            await asyncio.Event().wait()
        if args[1] == KEY:
            begun.set()
        return await write(*args)

    async with user_shard(settings, score(1, 5)):
        await shard.move_clock(NOON_MS)
        monkeypatch.setattr(shard._store, "_write", write_a_part)
        moving = asyncio.create_task(shard.move_clock(NIGHT_MS))
        await begun.wait()
        moving.cancel()
        shard.fail(RuntimeError("killed"))
        await shard.abandon()
    async with board_shard(settings, catalog(board()), NIGHT_MS) as shard, user_shard(settings, score(1, 5)):
        await shard.move_clock(NIGHT_MS)
        ((_, place),) = await ask(settings, ReadPlace(*KEY, 1))
        assert [day["rank"] for day in place["history"]] == [1, 1]


async def test_a_backup_is_a_directory_that_can_be_opened(settings: LeaderboardSettings) -> None:
    target = f"{settings.directory}-copy"
    async with board_shard(settings, catalog(daily())) as shard, user_shard(settings, score(1, 5)):
        await shard.move_clock(final_ms(START))
        found = await shard.backup(target)
        assert (found.shard, found.applied, found.last) == (0, None, None)
        with pytest.raises(FileExistsError):
            await shard.backup(target)
    copied = msgspec.structs.replace(settings, directory=target)
    async with board_shard(copied, catalog(daily()), final_ms(START)):
        assert await users(copied) == ["u1"]


async def test_a_second_owner_is_refused(settings: LeaderboardSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plaudit.actors.leaderboard_shard.LOCK_WAIT_S", 0.0)
    lock = DirectoryLock(Path(settings.directory))
    lock.acquire()
    with pytest.raises(InUse):
        await opened(settings, catalog(), [])
    lock.release()
    async with board_shard(settings, catalog()):
        pass


async def test_a_directory_that_is_not_the_one_is_refused(settings: LeaderboardSettings) -> None:
    with pytest.raises(WrongDirectory, match="belongs to leaderboard shard 0"):
        await opened(msgspec.structs.replace(settings, index=1), catalog(), [])
    with pytest.raises(WrongDirectory, match="of data directory"):
        await opened(msgspec.structs.replace(settings, data_id="another"), catalog(), [])


async def test_final_rankings_that_are_gone_are_missed(settings: LeaderboardSettings) -> None:
    async with board_shard(settings, catalog()):
        pass
    path = Path(settings.directory) / "boards.sqlite"
    path.unlink()
    for _ in range(2):
        with pytest.raises(WrongDirectory, match="final rankings would be lost"):
            await opened(settings, catalog(), [])
    with closing(sqlite3.connect(path)):
        path.touch()
    with pytest.raises(Corrupt):
        await opened(settings, catalog(), [])


async def test_a_socket_that_cannot_be_had_leaves_nothing_held(settings: LeaderboardSettings) -> None:
    with pytest.raises(Unusable):
        await opened(msgspec.structs.replace(settings, address="/nowhere/at.all"), catalog(), [])
    async with board_shard(settings, catalog()):
        pass
