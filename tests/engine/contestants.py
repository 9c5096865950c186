"""Somebody on leaderboards: what commands do to their standings, as the shard of users does it."""

from datetime import date
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from plaudit.engine.administer import administer
from plaudit.engine.amounts import UNIT
from plaudit.engine.catalog import Catalog
from plaudit.engine.catching_up import backdate, boards_to_fill
from plaudit.engine.commands import Administer, Backdate, UserFields
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.compiling import compile_catalog
from plaudit.engine.document import Document, LeaderboardEntry
from plaudit.engine.elapse import elapse
from plaudit.engine.outcome import Award, Happening
from plaudit.engine.process import process
from plaudit.engine.revision import revise
from plaudit.engine.snapshot import pack_standings
from plaudit.engine.standings import (
    Activity,
    BoardScore,
    all_scores,
    changed_scores,
    fed_boards,
    stand_anew,
    update_standings,
)
from plaudit.engine.user import User
from tests.engine.builders import CREATED_MS, document, event, instant


def ranking(key: str = "board", **more: Any) -> LeaderboardEntry:
    """A leaderboard of words, unless something else is said; days may be given as ISO dates."""
    fields: dict[str, Any] = {"rank_by": "metric"} | more
    if fields["rank_by"] == "metric":
        fields.setdefault("metric", "words")
    for name in ("start", "end"):
        if isinstance(fields.get(name), str):
            fields[name] = date.fromisoformat(fields[name])
    return LeaderboardEntry(key, key, **fields)


def with_boards(*boards: LeaderboardEntry, **more: Any) -> Document:
    """A document with these leaderboards, and with what `document` takes."""
    return replace(document(**more), leaderboards=boards)


def contest(*boards: LeaderboardEntry, at_ms: int = CREATED_MS, **more: Any) -> CompiledCatalog:
    """A catalog that was made of one document at an instant."""
    return compile_catalog(revise(Catalog(), with_boards(*boards, **more), at_ms))


class Contestant:
    """One user. Commands are numbered from 1; `history` is all that they have ever done."""

    def __init__(self, catalog: CompiledCatalog, zone: str | None = "UTC") -> None:
        self.catalog = catalog
        self.zone = zone
        self.user: User | None = None
        self.number = 0
        self.now_ms = 0
        self.history: list[Activity] = []
        self.said: list[BoardScore] = []
        """What the last command has changed for leaderboards."""
        self.known: dict[tuple[int, int], BoardScore] = {}
        """What leaderboards know by now, by board and run."""
        self.fed: list[str] = []
        """The keys of the boards of which the response to the last event says something."""

    @property
    def state(self) -> User:
        assert self.user is not None
        return self.user

    def sends(
        self, local: str, value: int = 1, metric: str = "words", *, zone: str = "", fold: int = 0, **fields: Any
    ) -> "Contestant":
        """Send an event at a local time; with a `zone`, from there."""
        self.zone = zone or self.zone
        return self.sends_at(instant(local, self.zone or "UTC", fold), value * UNIT, metric, **fields)

    def sends_at(self, now_ms: int, value: int = UNIT, metric: str = "words", **fields: Any) -> "Contestant":
        """Send an event of an amount at an instant."""
        user_fields = UserFields(tz=self.zone if self.zone is not None else UNSET, **fields)
        sent = replace(event("1", metric, number=self.number + 1, fields=user_fields), value=value)
        outcome = process(self.user, sent, self.catalog, now_ms)
        number = outcome.metric.definition.number
        deed = Activity(now_ms, outcome.user.day, self.number + 1, number, value, _points(outcome.awards))
        self._install(outcome.user, [*self._passed(outcome.happenings), deed], now_ms)
        systems = {award.system.number for award in outcome.awards}
        fed = fed_boards(self.state, number, systems, self.catalog, now_ms, is_extended=outcome.streak_extended)
        self.fed = [each.board.definition.key for each in fed]
        return self

    def waits(self, local: str) -> "Contestant":
        """Let time pass until a local time."""
        return self.waits_until(instant(local, self.zone or "UTC"))

    def waits_until(self, now_ms: int) -> "Contestant":
        elapsed = elapse(self.state, self.catalog, now_ms)
        return self._install(elapsed.user, self._passed(elapsed.happenings), now_ms)

    def asks(self, local: str, command: Administer) -> "Contestant":
        """Have a command carried out at a local time."""
        now_ms = instant(local, self.zone or "UTC")
        elapsed = administer(self.state, command, self.catalog, now_ms)
        return self._install(elapsed.user, self._passed(elapsed.happenings), now_ms)

    def adopts(self, document: Document, at: str) -> "Contestant":
        """Another document is in force from now on; nobody has looked through the history yet."""
        self.catalog = compile_catalog(revise(self.catalog.catalog, document, instant(at)))
        return self

    def is_filled(self) -> "Contestant":
        """What is in the history counts."""
        command = Backdate("sam", self.catalog.catalog.filling, {}, standings=pack_standings(self.stands_anew()))
        return self._install(backdate(self.state, command, self.catalog), [], self.now_ms)

    def stands_anew(self) -> dict[int, Any]:
        """The standings that a look through the history finds."""
        boards = list(boards_to_fill(self.state, self.catalog))
        return stand_anew(self.state, boards, self.history, self.catalog)

    def values(self, key: str = "board") -> dict[str, int]:
        """What leaderboards are told of the runs of a board, without those in which the user is on no place."""
        scores = [score for score in all_scores(self.state, self.catalog) if score.board.definition.key == key]
        return {date.fromordinal(s.run).isoformat(): s.value // s.board.unit for s in scores if s.value is not None}

    def stamps(self, key: str = "board") -> dict[str, tuple[int, int]]:
        """When the values of a board's runs were reached, and by which command."""
        board = self.catalog.boards.by_key[key].definition.number
        kept = self.state.standings.get(board, ())
        return {date.fromordinal(s.run).isoformat(): (s.at_ms, s.number) for s in kept}

    def _passed(self, happenings: tuple[Happening, ...]) -> list[Activity]:
        return [Activity(h.at_ms, h.day, self.number + 1, points=_points(h.awards)) for h in happenings]

    def _install(self, user: User, activities: list[Activity], now_ms: int) -> "Contestant":
        self.number += 1
        before, self.now_ms = self.user, now_ms
        day_before = user.day if before is None else before.day
        self.user = update_standings(user, activities, self.catalog, now_ms, self.number, day_before)
        self.history += activities
        self.said = list(changed_scores(before, self.user, self.catalog))
        self.known |= {(score.board.definition.number, score.run): score for score in self.said}
        return self


def _points(awards: tuple[Award, ...]) -> tuple[tuple[int, int], ...]:
    return tuple((award.system.number, award.awarded) for award in awards)
