"""From how a user stands to what leaderboard shards are told, and from places to an event's response."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from plaudit.actors.board_messages import Place, Score
from plaudit.actors.board_replies import BoardRenderer
from plaudit.actors.messages import Reply
from plaudit.engine.amounts import pack_amount
from plaudit.engine.catalog import Leaderboard
from plaudit.engine.commands import UserKey
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.runs import Run
from plaudit.engine.standings import BoardScore, Fed, changed_scores, score_of
from plaudit.engine.user import Standing, User

_NO_LEADERBOARDS = b'"leaderboards":{}'


class Asked(Struct, frozen=True, gc=False):
    """A place that the response to an event has to say."""

    position: int
    """Of the score, among those of the command."""
    board: Leaderboard
    run: Run
    group: tuple[str, ...]


def make_score(found: BoardScore, key: UserKey, id_: int, user: User, version: int) -> Score:
    """What a leaderboard shard is told of user number `id_` after command `version`."""
    return Score(
        board=found.board.definition.number,
        run=found.run,
        member=id_,
        version=version,
        user_id=key[1],
        name=user.profile.name,
        group=found.group,
        value=None if found.value is None else pack_amount(found.value),
        at_ms=found.at_ms,
        number=found.number,
    )


def find_changes(
    before: User | None, after: User, key: UserKey, id_: int, version: int, catalog: CompiledCatalog
) -> list[Score]:
    """What a command has changed for leaderboards."""
    return [make_score(each, key, id_, after, version) for each in changed_scores(before, after, catalog)]


def find_asked(
    scores: list[Score],
    user: User,
    key: UserKey,
    id_: int,
    version: int,
    fed: Iterable[Fed],
) -> list[Asked]:
    """What the response to an event that feeds these boards has to say; adds to `scores` what must be asked for it."""
    asked = []
    for each in fed:
        number, run = each.board.definition.number, each.run.first_day
        position = next((n for n, s in enumerate(scores) if s.board == number and s.run == run), None)
        if position is None:
            position = len(scores)
            standing = next((s for s in user.standings.get(number, ()) if s.run == run), None)
            found = score_of(user, each.board, standing if standing is not None else Standing(run, 0, 0, 0))
            scores.append(make_score(found, key, id_, user, version))
        asked.append(Asked(position, each.board.definition, each.run, each.group))
    return asked


def with_places(reply: Reply, asked: Sequence[Asked], places: Sequence[Place | None], renderer: BoardRenderer) -> Reply:
    """The response to an event with the places that are known."""
    entries = [
        b'"%b":%b' % (each.board.key.encode(), renderer.event_entry(each.board, each.run, place, each.group))
        for each, place in zip(asked, places, strict=True)
        if place is not None
    ]
    if not entries:
        return reply
    # Quotes within strings are escaped, so this is the field and nothing else
    body = reply.body.replace(_NO_LEADERBOARDS, b'"leaderboards":{%b}' % b",".join(entries), 1)
    return Reply(reply.status, body)


def tombstones(user: User, key: UserKey, id_: int, version: int, catalog: CompiledCatalog) -> list[Score]:
    """What leaderboards are told of a user who has been deleted by command `version`."""
    return [
        Score(board, standing.run, id_, version, key[1], None, (), None)
        for board, standings in user.standings.items()
        if board in catalog.boards.by_number
        for standing in standings
    ]
