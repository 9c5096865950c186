"""The total, and the change within the current period."""

from msgspec.structs import replace

from plaudit.engine.amounts import TOTAL_MAX
from plaudit.engine.errors import Invalid
from plaudit.engine.user import Period, User


def add_to_metric(user: User, metric: int, value: int) -> User:
    """The user with `value` (an amount, of either sign) added to the total of a metric (by number).

    Raises Invalid if the total would leave +-10^15.
    """
    total = user.totals.get(metric, 0) + value
    if not -TOTAL_MAX <= total <= TOTAL_MAX:
        raise Invalid("value: expected a total between -10^15 and 10^15 after the event")
    period = user.period
    changes = {**period.changes, metric: period.changes.get(metric, 0) + value}
    return replace(user, totals={**user.totals, metric: total}, period=Period(period.day, changes))
