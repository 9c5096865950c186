"""What storage can refuse. Every message names the file.

StorageError
├── InUse           another living process holds the directory; says which
├── WrongDirectory  not a data directory, or not one for these settings
├── Unusable        the file system does not let this process read or write
├── Corrupt         bytes that are not what was written; names the record
├── Fenced          a newer owner has taken over; this one must stop
├── OtherVersion    a file whose schema this program does not know; says which
└── OtherRules      a log that only other rules can replay; says which
"""


class StorageError(Exception):
    """Storage cannot do what was asked, and says why; nothing has been papered over."""


class InUse(StorageError):
    """Another process holds the directory."""


class WrongDirectory(StorageError):
    """The directory is not what the settings say it is."""


class Unusable(StorageError):
    """The file system does not let this process read or write."""


class Corrupt(StorageError):
    """A file holds something that this program did not write."""


class Fenced(StorageError):
    """Another owner has raised the epoch: whatever this one still wants to write is void."""


class OtherVersion(StorageError):
    """The file has the tables of another version of Plaudit, from which there is no way here."""


class OtherRules(StorageError):
    """The log was written by another version of the rules, and a replay by these could differ."""
