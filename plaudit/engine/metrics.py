"""The total, and the changes within the current periods."""

from msgspec.structs import replace

from plaudit.engine.amounts import TOTAL_MAX
from plaudit.engine.errors import Invalid
from plaudit.engine.user import NO_CHANGE, User


def add_to_metric(user: User, metric: int, value: int) -> User:
    """The user with `value` (an amount, of either sign) added to the total of a metric (by number).

    Raises Invalid if the total would leave +-10^15.
    """
    total = user.totals.get(metric, 0) + value
    if not -TOTAL_MAX <= total <= TOTAL_MAX:
        raise Invalid("value: expected a total between -10^15 and 10^15 after the event")
    day, week, month = user.streaks.changes.get(metric, NO_CHANGE)
    changes = {**user.streaks.changes, metric: (day + value, week + value, month + value)}
    streaks = replace(user.streaks, changes=changes)
    return replace(user, totals={**user.totals, metric: total}, streaks=streaks)
