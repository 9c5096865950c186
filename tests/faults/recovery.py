"""A fresh shard on what a workload has left, on a disk that is well: is everything true that its client was told?"""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec import Struct

from plaudit.actors.messages import Reply
from plaudit.engine.commands import ReadMetrics
from tests.faults.hosting import GaveUp, Supervisor
from tests.faults.journal import Note, told
from tests.faults.script import USERS, Told, keyed, total_in

_gateways = itertools.count(5000)


class Verdict(Struct):
    """What recovery found.

    `refusals` say that the shard or a user cannot be read, `reports` that the shard has failed or could not be closed.
    """

    problems: list[str]
    refusals: list[str]
    reports: list[str]


class Recovery:
    """Opens a directory, and compares. Users whose reads are refused are not compared."""

    def __init__(self, data: Path, known: Told) -> None:
        self._data = data
        self._told = known
        self._said: dict[str, list[str]] = {"report": [], "unopened": [], "unclosed": []}

    async def run(self) -> Verdict:
        """Read all users; send again whatever has a key; close; and read again."""
        try:
            before = await self._read("after recovery")
            await self._send_again(before)
            after = await self._read("after a restart")
            self._compare(before, after)
        except GaveUp:
            assert self._said["unopened"] or self._said["report"]
        said = self._said
        return Verdict(self._told.problems, said["unopened"], said["report"] + said["unclosed"])

    def _compare(self, before: dict[str, int], after: dict[str, int]) -> None:
        for user in before.keys() & after.keys():
            expected = before[user] | sum(one.value for one in keyed()[user])
            if after[user] != expected:
                self._told.problems.append(f"{user} has {after[user]:#x} in the end, not {expected:#x}")

    async def _read(self, when: str) -> dict[str, int]:
        """The totals of the users that can be read."""
        found: dict[str, int] = {}
        async with self._session() as supervisor:
            replies = await supervisor.ask([ReadMetrics(user) for user in USERS])
            for user, reply in zip(USERS, replies, strict=True):
                if reply is not None and self._is_answer(user, reply):
                    found[user] = total_in(reply.body) if reply.status == 200 else 0
                    self._told.see(user, found[user], when)
        return found

    async def _send_again(self, before: dict[str, int]) -> None:
        """As a client does that has lost all answers: what has counted is said to have, and the rest counts now."""
        again = {(one.user, one.place) for happenings in keyed().values() for one in happenings}
        self._told.sent |= again
        self._told.refused -= again
        async with self._session() as supervisor:
            for user, happenings in keyed().items():
                replies = await supervisor.ask([one.command(250) for one in happenings])
                for one, reply in zip(happenings, replies, strict=True):
                    if reply is not None and self._is_answer(user, reply):
                        self._told.see(user, total_in(reply.body), f"{(user, one.place)} sent again")
                        if user in before and (reply.status == 202) != bool(before[user] & one.value):
                            problem = f"{(user, one.place)} sent again: {reply.status}, but {before[user]:#x}"
                            self._told.problems.append(problem)

    def _is_answer(self, user: str, reply: Reply) -> bool:
        """False, and a refusal, for an error."""
        if reply.status >= 500:
            self._said["unopened"].append(f"{self._data}/shards/000: {user}: {reply.body.decode()}")
        return reply.status < 500

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Supervisor]:
        supervisor = Supervisor(self._data, next(_gateways), lambda what, text: self._said[what].append(text))
        try:
            await supervisor.start()
            yield supervisor
            supervisor.check()
        finally:
            await supervisor.close()


async def recover(data: Path, notes: list[Note]) -> Verdict:
    """Recover, and compare with what the notes say."""
    return await Recovery(data, told(notes)).run()
