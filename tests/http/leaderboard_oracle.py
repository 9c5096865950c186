"""Leaderboards by brute force: everything that users did is in a list, and each question is a sum over all of it.

It knows nothing of how Plaudit does it. Days are dates, values are decimals, and a run is known by its first day.
"""

from calendar import monthrange
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import floor
from typing import Any
from zoneinfo import ZoneInfo

DAY = timedelta(1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EAST, WEST = timedelta(hours=14), timedelta(hours=12)
"""How far local time is ahead of UTC, and behind it, at most."""
KEPT_DAYS = 101
"""How long it is known how things stood at the end of a day."""

Run = tuple[date, date | None]
"""First and last day; without a last one it does not end."""
Group = tuple[str, ...]
Place = tuple[int | None, int | None]
"""Rank and value, as they are shown."""
NOWHERE: Place = (None, None)


@dataclass
class Board:
    """A leaderboard as it is configured."""

    key: str
    rank_by: str
    start: date
    source: str = ""
    """The metric, or the points system."""
    end: date | None = None
    unit: str | None = None
    interval: int = 1
    hours: tuple[int, int] | None = None
    """Only what happens from one hour of the day to before another counts."""
    breakdown: tuple[str, ...] = ()
    wanted: dict[str, str] = field(default_factory=dict)
    maximum: int | None = None
    is_active: bool = True
    is_all_time: bool = False

    def run_on(self, day: date) -> Run | None:
        """The run that a day is in."""
        if day < self.start or (self.end is not None and day > self.end):
            return None
        if self.unit is None:
            return self.start, self.end
        number = 0
        while self._begin(number + 1) <= day:
            number += 1
        last = self._begin(number + 1) - DAY
        return self._begin(number), last if self.end is None else min(last, self.end)

    def runs_through(self, day: date) -> Iterator[Run]:
        """All runs that have begun by a day."""
        run = self.run_on(self.start)
        while run is not None and run[0] <= day:
            yield run
            run = None if run[1] is None else self.run_on(run[1] + DAY)

    def nearest_run(self, day: date) -> Run:
        """The run of a day, or the first or the last one."""
        run = self.run_on(max(self.start, day if self.end is None else min(day, self.end)))
        assert run is not None
        return run

    def run_for(self, day: date) -> Run | None:
        """The run for which something counts that happened on a day."""
        return (self.start, None) if self.is_all_time else self.run_on(day)

    def _begin(self, number: int) -> date:
        if self.unit == "day":
            return self.start + number * self.interval * DAY
        year, month = self.start.year, self.start.month + number * self.interval
        while month > 12:
            year, month = year + 1, month - 12
        return date(year, month, min(self.start.day, monthrange(year, month)[1]))


@dataclass
class Deed:
    """An event."""

    at: datetime
    day: date
    """On which the user was."""
    hour: int
    """What clocks showed there."""
    metric: str
    value: Decimal
    points: int


@dataclass(eq=False)
class Person:
    """A user, from the first event on, until they are deleted."""

    id: str
    zone: ZoneInfo
    name: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    deeds: list[Deed] = field(default_factory=list)
    counted: dict[date, datetime] = field(default_factory=dict)
    """The days of the streak, and when each began to count."""

    def day_at(self, now: datetime) -> date:
        """The day that the user is in: none that is before one on which they did something."""
        today = now.astimezone(self.zone).date()
        return max(today, self.deeds[-1].day) if self.deeds else today

    def total(self, metric: str) -> Decimal:
        """Everything that they did."""
        return sum((deed.value for deed in self.deeds if deed.metric == metric), Decimal(0))

    def points(self) -> int:
        """All that they have."""
        return sum(deed.points for deed in self.deeds)

    def streak(self, today: date) -> tuple[int, datetime]:
        """How many days in a row, through today or yesterday, and since when."""
        last = today if today in self.counted else today - DAY
        day, length = last, 0
        while day in self.counted:
            day, length = day - DAY, length + 1
        return length, self.counted.get(last, EPOCH)


@dataclass
class Line:
    """A place on a leaderboard."""

    person: Person
    name: str | None
    rank: int
    amount: Decimal
    since: datetime

    @property
    def value(self) -> int:
        """As it is shown."""
        return floor(self.amount)

    def shown(self) -> dict[str, Any]:
        """As the API says it."""
        return {"userId": self.person.id, "userName": self.name, "rank": self.rank, "value": self.value}


class Oracle:
    """What every answer about leaderboards has to be."""

    def __init__(self, boards: Iterable[Board], now: datetime) -> None:
        self.boards = {board.key: board for board in boards}
        self.now = now
        self.people: dict[str, Person] = {}
        self.finals: dict[tuple[str, date], dict[Group, list[Line]]] = {}
        """How runs ended: those that did while their board was not active have no places."""
        self._days: dict[tuple[str, date], dict[date, dict[Person, Place]]] = {}
        """How runs stood at the end of each date in UTC."""
        for board in self.boards.values():
            self._activate(board)

    @property
    def today(self) -> date:
        """In UTC."""
        return self.now.date()

    # What happens

    def act(
        self,
        user_id: str,
        metric: str,
        value: Decimal,
        zone: str | None,
        name: str | None,
        attributes: dict[str, str],
    ) -> dict[str, Any]:
        """Take an event; returns the entries of its response, by the keys of the boards."""
        person = self.people.setdefault(user_id, Person(user_id, ZoneInfo("UTC")))
        before = {
            (key, first): self.place(board, first, person)
            for key, board in self.boards.items()
            for first in {run[0] for run in board.runs_through(self.today + DAY)}
        }
        if zone is not None:
            person.zone = ZoneInfo(zone)
        person.name = name or person.name
        person.attributes |= attributes
        day = person.day_at(self.now)
        points = self._award(person, metric, value)
        hour = self.now.astimezone(person.zone).hour
        person.deeds.append(Deed(self.now, day, hour, metric, value, points))
        is_extended = metric == "pages" and day not in person.counted and _change(person, day) >= 1
        if is_extended:
            person.counted[day] = self.now
        fed = {"metric": metric, "points": "xp" if points else None, "streak": "" if is_extended else None}
        entries = {}
        for key, board in self.boards.items():
            run, group = board.run_on(day), group_of(board, person)
            is_fed = board.is_active and board.source == fed[board.rank_by] and _counts_at(board, hour)
            if is_fed and run is not None and group is not None:
                entries[key] = self._entry(board, run, group, person, before[key, run[0]][0])
        return entries

    def move(self, now: datetime) -> None:
        """Let time pass, with what is written down on the way."""
        while True:
            times = [self._midnight(self.today + DAY), *self._ends()]
            following = min(time for time in times if time > self.now)
            if following > now:
                break
            self.now = following
            if following == self._midnight(self.today):
                self._take_snapshots(self.today - DAY)
            self._finish(following)
        self.now = now

    def delete(self, user_id: str) -> None:
        """Forget a user. Whoever was behind them at an end stays there."""
        person = self.people.pop(user_id)
        for groups in self.finals.values():
            for group, lines in groups.items():
                groups[group] = [line for line in lines if line.person is not person]
        for days in self._days.values():
            for places in days.values():
                places.pop(person, None)

    def switch(self, key: str, *, is_active: bool) -> None:
        """Activate or deactivate a board."""
        board = self.boards[key]
        board.is_active = is_active
        if is_active:
            self._activate(board)

    # What is asked

    def status(self, board: Board) -> str:
        """By the first place on Earth where it begins, and the last where it ends."""
        if self.now < self._midnight(board.start) - EAST:
            return "scheduled"
        return "finished" if board.end is not None and self.now >= self._end(board.end) else "active"

    def has_begun(self, run: Run) -> bool:
        """True if it has, anywhere on Earth."""
        return self.now >= self._midnight(run[0]) - EAST

    def standings(self, board: Board, first: date) -> dict[Group, list[tuple[Person, Decimal, datetime]]]:
        """Everybody on the board in a run that is not over, by group, the best first."""
        groups: dict[Group, list[tuple[Person, Decimal, datetime]]] = {}
        for person in self.people.values():
            group, (value, since) = group_of(board, person), self._value(board, first, person)
            if group is not None and value > 0:
                groups.setdefault(group, []).append((person, value, since))
        return {group: sorted(found, key=lambda each: (-each[1], each[2])) for group, found in groups.items()}

    def place(self, board: Board, first: date, person: Person) -> Place:
        """Where a user is now, among their group, or was at the end."""
        if (final := self.finals.get((board.key, first))) is not None:
            lines = [line for lines in final.values() for line in lines if line.person is person]
            return (lines[0].rank, lines[0].value) if lines else NOWHERE
        group = group_of(board, person)
        if group is None:
            return NOWHERE
        found = self.standings(board, first).get(group, [])[: board.maximum]
        places = {each[0]: (rank, floor(each[1])) for rank, each in enumerate(found, 1)}
        return places.get(person, NOWHERE)

    def lines(self, board: Board, first: date, attributes: dict[str, str]) -> list[Line]:
        """All places of the groups that match, ranked anew; those of a single group at an end keep their ranks."""
        if (final := self.finals.get((board.key, first))) is not None:
            groups = [lines for group, lines in final.items() if _matches(board, group, attributes)]
            if len(groups) == 1:
                return groups[0]
            merged = sorted((line for lines in groups for line in lines), key=lambda line: (-line.amount, line.since))
            return [replace(line, rank=rank) for rank, line in enumerate(merged[: board.maximum], 1)]
        found = [
            each
            for group, standings in self.standings(board, first).items()
            if _matches(board, group, attributes)
            for each in standings
        ]
        found.sort(key=lambda each: (-each[1], each[2]))
        return _ranked(board, found)

    def history(self, board: Board, run: Run, person: Person, days: int) -> list[dict[str, Any]]:
        """How a user stood on the last days, and stands today; without those before they were on the board."""
        taken, oldest = self._days.get((board.key, run[0]), {}), self.today - KEPT_DAYS * DAY
        known = [(day, taken[day].get(person, NOWHERE)) for day in sorted(taken) if day >= oldest]
        is_live = self.has_begun(run) and (run[1] is None or self.now < self._end(run[1]))
        if is_live:
            known.append((self.today, self.place(board, run[0], person)))
        pairs = list(zip([(EPOCH.date(), NOWHERE), *known], known, strict=False))[-days:] if days else []
        while pairs and pairs[0][0][1] == pairs[0][1][1] == NOWHERE and (len(pairs) > 1 or not is_live):
            del pairs[0]
        return [
            {
                "date": day.isoformat(),
                "timestamp": f"{day}T00:00:00.000Z",
                "previousRank": previous[0],
                "rank": place[0],
                "previousValue": previous[1],
                "value": place[1],
            }
            for (_, previous), (day, place) in pairs
        ]

    # How

    def _activate(self, board: Board) -> None:
        is_bounded = board.end is not None or board.unit is not None or board.hours is not None
        board.is_all_time = board.is_active and not is_bounded and board.start <= self.today

    def _value(self, board: Board, first: date, person: Person) -> tuple[Decimal, datetime]:
        """What a user has in a run, and since when."""
        if board.rank_by == "streak":
            today = person.day_at(self.now)
            length, since = person.streak(today if board.end is None else min(today, board.end))
            return Decimal(length), since
        total, since = Decimal(0), EPOCH
        for deed in person.deeds:
            change = _change_of(board, deed)
            run = board.run_for(deed.day)
            if change and run is not None and run[0] == first and _counts_at(board, deed.hour):
                total, since = total + change, deed.at
        return total, since

    def _entry(self, board: Board, run: Run, group: Group, person: Person, previous: int | None) -> dict[str, Any]:
        found = self.standings(board, run[0]).get(group, [])
        is_full = board.maximum is not None and len(found) >= board.maximum
        entry: dict[str, Any] = {
            "rank": self.place(board, run[0], person)[0],
            "previousRank": previous,
            "threshold": floor(found[(board.maximum or 0) - 1][1]) + 1 if is_full else 1,
            "start": run[0].isoformat(),
            "end": None if run[1] is None else run[1].isoformat(),
            "endsAt": ends_at(run),
            "status": "active",
        }
        if board.breakdown:
            entry["breakdownAttributeValues"] = [
                {"key": key, "value": value} for key, value in zip(board.breakdown, group, strict=True)
            ]
        return entry

    def _award(self, person: Person, metric: str, value: Decimal) -> int:
        """10 points for each lesson, and 5 less for every two hours, on the way up."""
        step, points = {"lessons": (1, 10), "hours": (2, -5)}.get(metric, (1, 0))
        before = person.total(metric)
        times = max(0, floor((before + value) / step) - floor(before / step))
        return max(times * points, -person.points())

    def _live_runs(self) -> Iterator[tuple[Board, Run]]:
        for board in self.boards.values():
            for run in board.runs_through(self.today + DAY):
                if (board.key, run[0]) not in self.finals:
                    yield board, run

    def _ends(self) -> Iterator[datetime]:
        return (self._end(run[1]) for _, run in self._live_runs() if run[1] is not None)

    def _finish(self, now: datetime) -> None:
        for board, run in list(self._live_runs()):
            if run[1] is None or self._end(run[1]) != now:
                continue
            groups = self.standings(board, run[0]) if board.is_active else {}
            self.finals[board.key, run[0]] = {group: _ranked(board, found) for group, found in groups.items()}

    def _take_snapshots(self, day: date) -> None:
        for board, run in self._live_runs():
            if board.is_active and (run[1] is None or day <= run[1]) and self.has_begun(run):
                places = {person: self.place(board, run[0], person) for person in self.people.values()}
                self._days.setdefault((board.key, run[0]), {})[day] = places

    def _midnight(self, day: date) -> datetime:
        return datetime(day.year, day.month, day.day, tzinfo=UTC)

    def _end(self, last: date) -> datetime:
        """When a day is over everywhere."""
        return self._midnight(last + DAY) + WEST


def group_of(board: Board, person: Person) -> Group | None:
    """Whom a user is ranked among; None if they take no part."""
    if any(person.attributes.get(key) != value for key, value in board.wanted.items()):
        return None
    if any(key not in person.attributes for key in board.breakdown):
        return None
    return tuple(person.attributes[key] for key in board.breakdown)


def ends_at(run: Run) -> str | None:
    """When a run ends in UTC."""
    return None if run[1] is None else f"{run[1] + DAY}T00:00:00.000Z"


def _matches(board: Board, group: Group, attributes: dict[str, str]) -> bool:
    return all(attributes.get(key, own) == own for key, own in zip(board.breakdown, group, strict=True))


def _ranked(board: Board, found: list[tuple[Person, Decimal, datetime]]) -> list[Line]:
    return [
        Line(person, person.name, rank, amount, since)
        for rank, (person, amount, since) in enumerate(found[: board.maximum], 1)
    ]


def _counts_at(board: Board, hour: int) -> bool:
    if board.hours is None:
        return True
    begin, end = board.hours
    return begin <= hour < end if begin < end else hour >= begin or hour < end


def _change_of(board: Board, deed: Deed) -> Decimal:
    if board.rank_by == "points":
        return Decimal(deed.points)
    return deed.value if deed.metric == board.source else Decimal(0)


def _change(person: Person, day: date) -> Decimal:
    return sum((deed.value for deed in person.deeds if deed.day == day and deed.metric == "pages"), Decimal(0))
