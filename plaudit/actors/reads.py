"""Answers what can be told at once from what is in memory."""

from plaudit.actors.applier import Applier
from plaudit.actors.messages import Reply
from plaudit.actors.replies import levels, system_boosts, user_boosts
from plaudit.actors.residents import Residents
from plaudit.engine.boosts import find_system_by_id
from plaudit.engine.commands import (
    FindLeaderboard,
    FindParticipant,
    Read,
    ReadAchievements,
    ReadAchievementStats,
    ReadBoosts,
    ReadLeaderboards,
    ReadMetric,
    ReadPreferences,
    ReadStreak,
    ReadUser,
    ShardRead,
)
from plaudit.engine.compiled import CompiledCatalog, CompiledMetric, CompiledSystem
from plaudit.engine.errors import NotFound
from plaudit.engine.identify import check_attribute_keys
from plaudit.engine.timezones import local_day
from plaudit.engine.user import User


class Reads:
    """Reads, of one user as of now or of the shard; nothing is changed by them."""

    def __init__(self, applier: Applier, residents: Residents, shard: int) -> None:
        self._applier = applier
        self._residents = residents
        self._shard = shard

    def read(self, command: Read, at_ms: int) -> Reply:
        """The reply to a read of a user. Raises Rejected, or Corrupt for one who cannot be read."""
        user = self._applier.elapsed(command, at_ms).user
        if isinstance(command, ReadBoosts | ReadMetric | FindParticipant):
            return self._read_item(command, user, at_ms)
        renderer = self._applier.renderer
        if isinstance(command, ReadUser):
            return renderer.user(command.user_id, user)
        if isinstance(command, ReadStreak):
            return renderer.streak(user, command.history_periods)
        if isinstance(command, ReadPreferences):
            return renderer.preferences(user)
        if isinstance(command, ReadAchievements):
            return renderer.user_achievements(user, include_incomplete=command.include_incomplete)
        return renderer.metrics(user)

    def _read_item(self, command: ReadBoosts | ReadMetric | FindParticipant, user: User, at_ms: int) -> Reply:
        """The reply to a read of one user and one item of the catalog."""
        compiled, renderer = self._applier.compiled, self._applier.renderer
        if isinstance(command, FindParticipant):
            member = self._applier.get(command).id
            return renderer.boards.participant(command, user, self._shard, member, at_ms)
        if isinstance(command, ReadBoosts):
            today = local_day(at_ms, user.profile.tz)
            return user_boosts(user, find_system(compiled, command.system), today)
        return renderer.metric(user, find_live_metric(compiled, command.metric))

    def read_shard(self, command: ShardRead, at_ms: int) -> Reply:
        """The reply to a read of no user in particular. Raises Rejected."""
        compiled, renderer = self._applier.compiled, self._applier.renderer
        if isinstance(command, ReadAchievementStats):
            check_attribute_keys(dict(command.user_attributes), compiled.user_attributes, "user")
            return renderer.achievement_stats(self._residents.counters, command.user_attributes)
        if isinstance(command, ReadLeaderboards):
            return renderer.boards.all(at_ms, include_finished=command.include_finished)
        if isinstance(command, FindLeaderboard):
            return renderer.boards.find(command, at_ms)
        if command.part == "identity":
            return renderer.points_system(find_system_by_id(compiled, command.system))
        system = find_system(compiled, command.system)
        if command.part == "boosts":
            return system_boosts(system, local_day(at_ms, None), include_finished=command.include_finished)
        return levels(system) if command.part == "levels" else renderer.points_system(system)


def find_live_metric(compiled: CompiledCatalog, key: str) -> CompiledMetric:
    """A live metric by key. Raises NotFound."""
    metric = compiled.metrics.get(key)
    if metric is None:
        raise NotFound("Metric not found")
    return metric


def find_system(compiled: CompiledCatalog, key: str) -> CompiledSystem:
    """A live points system by key. Raises NotFound."""
    system = compiled.systems.get(key)
    if system is None:
        raise NotFound("Points system not found")
    return system
