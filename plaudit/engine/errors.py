"""What the rules can refuse.

Rejected            the command changes nothing and is not logged
├── Invalid         its content breaks a rule; names the field (422 on the wire)
├── NotFound        it names something that does not exist (404 on the wire)
├── Forbidden       the settings do not allow it (403 on the wire)
└── Needless        there is nothing to do (a warning in the answer of an admin batch)
"""


class Rejected(Exception):
    """A command that the rules refuse; nothing has changed and the message is for the caller."""


class Invalid(Rejected):
    """Well-formed content that breaks a rule. The message starts with the field's path."""


class NotFound(Rejected):
    """The user (or whatever else the command names) does not exist."""


class Forbidden(Rejected):
    """What the settings do not allow."""


class Needless(Rejected):
    """Nothing to do for a command of an admin batch: a warning there, not an error."""
