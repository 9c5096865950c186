"""Standings against an oracle that counts, after each command, everything that has been done from the beginning."""

from calendar import monthrange
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from plaudit.engine.amounts import UNIT
from plaudit.engine.catalog import Leaderboard
from plaudit.engine.compiled import CompiledBoard
from plaudit.engine.document import LeaderboardEntry, TriggerEntry
from plaudit.engine.snapshot import decode_user, encode_user
from plaudit.engine.standings import Activity, all_scores, stand_anew
from plaudit.engine.streaks import view_streak
from plaudit.engine.user import Standing
from tests.engine.builders import DETERMINISTIC, instant, system, trigger
from tests.engine.contestants import Contestant, contest, ranking

MINUTE_MS, DAY_MS = 60_000, 86_400_000
ZONES = st.sampled_from(
    [None, "America/New_York", "Asia/Kathmandu", "Etc/GMT+12", "Pacific/Apia", "Pacific/Kiritimati"]
)
STARTS = st.sampled_from(["2024-02-27T10:00", "2024-03-09T22:15", "2024-10-30T12:45"]).map(instant)
GAPS_MS = st.one_of(
    st.integers(0, 90 * MINUTE_MS),
    st.integers(0, 36 * 60).map(lambda n: n * MINUTE_MS),
    st.integers(0, 12 * DAY_MS),
    st.integers(0, 100 * DAY_MS),
)
VALUES = st.one_of(st.integers(-3, 6).map(lambda n: n * UNIT), st.integers(-(10**21), 10**21))
DATES = st.dates(date(2024, 2, 20), date(2024, 12, 31))
TIMES = st.sampled_from([None, "00:00", "02:30", "09:00:01", "22:00"])
POINTS = (
    system(
        trigger(7, 3),
        TriggerEntry("daily", type="time", points=-2, time_unit="days", time_interval=1),
        TriggerEntry("pages", "pages", 2, 4),
        key="xp",
    ),
)


@st.composite
def rankings(draw: st.DrawFn, key: str) -> LeaderboardEntry:
    """A leaderboard of any kind."""
    start = draw(st.none() | DATES)
    end = draw(st.none() | DATES)
    if end is not None and (start is None or end < start):
        start = end
    kind = draw(st.sampled_from(["metric", "points", "streak"]))
    more: dict[str, Any] = {"rank_by": kind, "start": start, "end": end}
    if kind == "streak":
        return ranking(key, **more | {"end": None})
    more |= {"points": "xp"} if kind == "points" else {"metric": "words"}
    if draw(st.booleans()):
        more |= {"run_unit": draw(st.sampled_from(["day", "month", "year"])), "run_interval": draw(st.integers(1, 3))}
    opens, closes = draw(TIMES), draw(TIMES)
    if opens != closes:
        more |= {"start_time": opens, "end_time": closes}
    return ranking(key, **more)


def seconds(text: str) -> int:
    hours, minutes, *rest = (int(part) for part in text.split(":"))
    return 3600 * hours + 60 * minutes + sum(rest)


def run_start(board: Leaderboard, day: int) -> int | None:
    """The first day of the run of a day, found by going through all runs."""
    if day < board.start_day or (board.end_day is not None and day > board.end_day):
        return None
    start = date.fromordinal(board.start_day)
    found, number = board.start_day, 0
    while board.run_unit is not None and found <= day:
        last, number = found, number + 1
        if board.run_unit == "day":
            found = board.start_day + number * board.run_interval
        else:
            months = start.month - 1 + number * board.run_interval * (1 if board.run_unit == "month" else 12)
            year, month = start.year + months // 12, months % 12 + 1
            found = date(year, month, min(start.day, monthrange(year, month)[1])).toordinal()
        if found > day:
            return last
    return found


class StandingsModel(RuleBasedStateMachine):
    """One user on several leaderboards, who does things, travels and lets time pass."""

    @initialize(boards=st.tuples(*(rankings(f"b{n}") for n in range(4))), now_ms=STARTS, zone=ZONES)
    def begin(self, boards: tuple[LeaderboardEntry, ...], now_ms: int, zone: str | None) -> None:
        self.entries = {entry.key: entry for entry in boards}
        self.sam = Contestant(contest(*boards, points=POINTS), zone)
        self.now_ms = now_ms
        self.deeds: list[tuple[Activity, str | None]] = []
        """All that has ever been done, and the zone in which it was."""
        self.has_moved = False
        self.streak: tuple[int, int, int] = (0, 0, 0)
        """Its length, and when it became that."""
        self.sam.sends_at(now_ms, UNIT)
        self._note()

    @rule(gap_ms=GAPS_MS, value=VALUES, metric=st.sampled_from(["words", "words", "pages"]))
    def act(self, gap_ms: int, value: int, metric: str) -> None:
        self.now_ms += gap_ms
        self.sam.sends_at(self.now_ms, value, metric)
        self._note()

    @rule(gap_ms=GAPS_MS, zone=ZONES)
    def move(self, gap_ms: int, zone: str | None) -> None:
        if zone is not None:
            self.has_moved = self.has_moved or zone != self.sam.zone
            self.sam.zone = zone
        self.act(gap_ms, UNIT, "words")

    @precondition(lambda self: self.sam.user is not None)
    @rule(gap_ms=GAPS_MS)
    def wait(self, gap_ms: int) -> None:
        self.now_ms += gap_ms
        self.sam.waits_until(self.now_ms)
        self._note()

    def _note(self) -> None:
        known = len(self.deeds)
        self.deeds += [(activity, self.sam.zone) for activity in self.sam.history[known:]]
        length = view_streak(self.sam.state, self.sam.catalog).length
        if length != self.streak[0]:
            self.streak = (length, self.now_ms, self.sam.number)

    def _counts(self, entry: LeaderboardEntry, at_ms: int, zone: str | None) -> bool:
        if entry.start_time is None and entry.end_time is None:
            return True
        local = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone) if zone else UTC)
        second = 3600 * local.hour + 60 * local.minute + local.second
        opens = seconds(entry.start_time) if entry.start_time else 0
        closes = seconds(entry.end_time) if entry.end_time else 86_400
        hours = [range(opens, closes)] if opens < closes else [range(closes), range(opens, 86_400)]
        return any(second in each for each in hours)

    def _expected(self, board: CompiledBoard) -> tuple[Standing, ...]:
        definition, entry = board.definition, self.entries[board.definition.key]
        if entry.rank_by == "streak":
            return (Standing(definition.start_day, *self.streak),) if self.streak[1] else ()
        counts_all = entry.run_unit is None and entry.end is None and not (entry.start_time or entry.end_time)
        is_all_time = counts_all and entry.start is None  # the others begin after the catalog was made
        sums: dict[int, Standing] = {}
        for deed, zone in self.deeds:
            if entry.rank_by == "metric":
                change = deed.change if deed.metric == board.source else 0
            else:
                change = sum(awarded for _, awarded in deed.points)
            run = definition.start_day if is_all_time else run_start(definition, deed.day)
            if change and run is not None and self._counts(entry, deed.at_ms, zone):
                value = change + (sums[run].value if run in sums else 0)
                sums[run] = Standing(run, value, deed.at_ms, deed.number)
        return tuple(sums[run] for run in sorted(sums)[-board.kept :])

    @invariant()
    def everybody_stands_where_what_they_did_has_brought_them(self) -> None:
        for number, board in self.sam.catalog.boards.by_number.items():
            assert self.sam.state.standings.get(number, ()) == self._expected(board)

    @invariant()
    def leaderboards_know_it(self) -> None:
        for score in all_scores(self.sam.state, self.sam.catalog):
            assert self.sam.known[score.board.definition.number, score.run] == score

    @invariant()
    def a_look_through_the_history_finds_the_same(self) -> None:
        boards = self.sam.catalog.boards.by_number
        found = stand_anew(self.sam.state, boards.values(), self.sam.history, self.sam.catalog)
        for number, board in boards.items():
            if board.definition.rank_by == "streak":
                length = self.streak[0]
                assert [s.value for s in found.get(number, ())] == ([length] if length else [])
            elif not self.has_moved or not (board.definition.start_time_s or board.definition.end_time_s):
                assert found.get(number, ()) == self.sam.state.standings.get(number, ())

    @invariant()
    def a_snapshot_holds_it(self) -> None:
        assert decode_user(encode_user(self.sam.state)) == self.sam.state


TestStandings = StandingsModel.TestCase
TestStandings.settings = settings(DETERMINISTIC, max_examples=40, stateful_step_count=20)
