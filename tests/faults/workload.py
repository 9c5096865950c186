"""The script, played to a shard on a disk that fails: what the client was told is in the journal, however it ends."""

import asyncio
import os
import signal
from pathlib import Path

from plaudit.engine.commands import ReadMetrics
from tests.faults import shim
from tests.faults.hosting import GaveUp, Supervisor
from tests.faults.journal import Journal, Note
from tests.faults.script import SCRIPT, USERS, Batch, Happening, Kill, Restart, Save, Step, total_in

GATEWAY = 4711


class Workload:
    """One run of the script. After `heals_after` refusals to open, the disk is well again."""

    def __init__(self, data: Path, journal: Journal, heals_after: int | None = None) -> None:
        self._journal = journal
        self._supervisor = Supervisor(data, GATEWAY, lambda what, text: journal.note(what, text=text))
        self._supervisor.refused = self._refused
        self._heals_after = heals_after
        self._attempts = 0

    async def run(self, dies_at: int | None = None) -> None:
        """Play the script. `dies_at` is the step before which the process is killed."""
        try:
            await self._supervisor.start()
            for number, step in enumerate(SCRIPT):
                self._journal.write(Note("step", place=number, counts=shim.counts()))
                if number == dies_at:
                    os.kill(os.getpid(), signal.SIGKILL)
                await self._play(step)
                self._supervisor.check()
            is_clean = await self._supervisor.close()
            self._journal.note("end", text="closed" if is_clean else "not closed")
        except GaveUp as error:
            await self._supervisor.close()
            self._journal.note("end", text=f"gave up: {error}")
        self._journal.write(Note("hits", total=shim.hits(), counts=shim.counts()))

    async def _play(self, step: Step) -> None:
        match step:
            case Save():
                await self._supervisor.save()
            case Kill():
                self._supervisor.kill()
            case Restart():
                await self._supervisor.restart()
            case Batch(happenings, saves):
                saving = [asyncio.create_task(self._supervisor.save())] if saves else []
                await asyncio.gather(self._send(happenings), *saving)

    async def _send(self, happenings: tuple[Happening, ...]) -> None:
        self._journal.write(*(Note("sent", one.user, one.place) for one in happenings))
        commands = []
        for one in happenings:
            self._attempts += 1
            commands.append(one.command(self._attempts))
        replies = await self._supervisor.ask([*commands, *(ReadMetrics(user) for user in USERS)])
        for one, reply in zip(happenings, replies, strict=False):
            if reply is not None and reply.status in {201, 202}:
                self._journal.note("counted", one.user, one.place, total=total_in(reply.body))
            elif reply is not None:
                self._journal.note("refused", one.user, one.place, text=reply.body.decode())
        for user, reply in zip(USERS, replies[len(happenings) :], strict=True):
            if reply is not None and reply.status == 200:
                self._journal.note("read", user, total=total_in(reply.body))
            elif reply is not None and reply.status == 404:
                self._journal.note("read", user, total=0)

    def _refused(self) -> None:
        if self._heals_after is not None:
            self._heals_after -= 1
            if self._heals_after == 0:
                shim.disarm()


async def work(data: Path, journal: Journal, heals_after: int | None, dies_at: int | None) -> None:
    """Play the script once."""
    await Workload(data, journal, heals_after).run(dies_at)
