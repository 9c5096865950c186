"""From what has happened to a user to entries of their history, and to ids that are the same in every replay."""

from collections.abc import Iterable
from hashlib import blake2b

from plaudit.engine.amounts import pack_amount, unpack_amount
from plaudit.engine.catalog import Achievement
from plaudit.engine.commands import RecordEvent, UserKey
from plaudit.engine.ids import derive_id
from plaudit.engine.outcome import Award, Completion, Happening, Outcome
from plaudit.engine.standings import Activity
from plaudit.engine.user import User, UserBoost
from plaudit.storage.history import COMPLETION, EVENT, TIME, AwardEntry, EventEntry, LoggedBoost


def event_entry(event: RecordEvent, outcome: Outcome, number: int, at_ms: int) -> EventEntry:
    """An event, applied as command `number`."""
    return EventEntry(
        event_id=event.event_id,
        at_ms=at_ms,
        metric=outcome.metric.definition.number,
        value=event.value,
        total=pack_amount(outcome.total),
        attributes=event.attributes,
        completed=_numbers(outcome.completed),
        awards=_awards(outcome.awards),
        streak_extended=outcome.streak_extended,
        idempotency_key=event.idempotency_key,
        number=number,
        day=outcome.user.day,
    )


def completion_entry(completion_id: bytes, outcome: Completion, number: int, at_ms: int) -> EventEntry:
    """The completion of an achievement that was asked for, applied as command `number`."""
    return EventEntry(
        event_id=completion_id,
        at_ms=at_ms,
        metric=0,
        value=0,
        total=0,
        completed=_numbers(outcome.completed),
        awards=_awards(outcome.awards),
        number=number,
        day=outcome.user.day,
        kind=COMPLETION,
    )


def time_entries(key: UserKey, user: User, happenings: Iterable[Happening], number: int) -> list[EventEntry]:
    """What time alone has brought to a user, before or with command `number`."""
    return [
        EventEntry(
            event_id=derive_id(_identity(key, user) + happening.day.to_bytes(4, "big"), "time", happening.at_ms),
            at_ms=happening.at_ms,
            metric=0,
            value=0,
            total=0,
            completed=_numbers(happening.completed),
            awards=_awards(happening.awards),
            number=number,
            day=happening.day,
            kind=TIME,
        )
        for happening in happenings
    ]


def activity_of(entry: EventEntry) -> Activity:
    """What an entry of the history means for leaderboards."""
    points = tuple((award.system, award.awarded) for award in entry.awards) if entry.awards else ()
    if entry.kind != EVENT:
        return Activity(entry.at_ms, entry.day, entry.number, points=points)
    return Activity(entry.at_ms, entry.day, entry.number, entry.metric, unpack_amount(entry.value), points)


def completion_id(key: UserKey, user: User, achievement: Achievement) -> bytes:
    """The id of a user's completion of an achievement: there is one at most."""
    return derive_id(_identity(key, user), "completion", achievement.number)


def _identity(key: UserKey, user: User) -> bytes:
    """Another one for everybody, also for who takes up the id of somebody who was deleted."""
    tenant, user_id = key
    return blake2b(f"{tenant}\0{user_id}\0{user.profile.created_ms}".encode(), digest_size=16).digest()


def _numbers(completed: Iterable[Achievement]) -> tuple[int, ...]:
    return tuple(achievement.number for achievement in completed)


def _awards(awards: Iterable[Award]) -> tuple[AwardEntry, ...]:
    return tuple(
        AwardEntry(
            award.system.number,
            award.trigger.number,
            award.awarded,
            award.total,
            tuple(_logged(boost) if isinstance(boost, UserBoost) else boost.number for boost in award.boosts)
            if award.boosts
            else (),
        )
        for award in awards
    )


def _logged(boost: UserBoost) -> LoggedBoost:
    return LoggedBoost(boost.id, boost.name, boost.start_day, boost.end_day, boost.multiplier, boost.rounding)
