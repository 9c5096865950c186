"""Why a command did not reach its user. In each case nothing was sent: it may be tried again.

NotSent
├── Overloaded      the shard's queue is full
└── Unavailable     the shard has been away for a while
"""


class NotSent(Exception):
    """The command was refused before it left the gateway."""


class Overloaded(NotSent):
    """More commands wait for this shard than are allowed to."""


class Unavailable(NotSent):
    """The shard has not been reachable for some time."""
