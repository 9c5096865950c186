"""Every setting, in one place. Flags and `PLAUDIT_*` variables of the environment end here."""

from pathlib import Path
from typing import Literal

from msgspec import Struct

from plaudit.actors.residents import DEFAULT_USERS_MAX
from plaudit.actors.user_shard import Durability

RuntimeName = Literal["ray", "inline"]

DEFAULT_DATA = Path("data")
DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000
DEFAULT_SHARDS = 1
DEFAULT_LEADERBOARD_SHARDS = 1
DEFAULT_TIMER_WINDOW_S = 600
TIMER_WINDOW_MAX_S = 3600


class Settings(Struct, frozen=True, kw_only=True):
    """What `plaudit serve` was asked to do."""

    data: Path = DEFAULT_DATA
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    """0 takes a free one."""
    runtime: RuntimeName = "ray"
    shards: int | None = None
    """None: as many as the data directory was made with, or DEFAULT_SHARDS for a new one."""
    leaderboard_shards: int | None = None
    """None: as many as the data directory was made with, or DEFAULT_LEADERBOARD_SHARDS if it has none yet."""
    catalog: Path | None = None
    """A catalog file to apply on start; None keeps the catalog that is in force."""
    ray_address: str | None = None
    """An existing Ray cluster; None starts a local one."""
    workers: int = 1
    """Gateway processes. With one, the gateway runs in the server's own process."""
    durability: Durability = "commit"
    users_in_memory: int = DEFAULT_USERS_MAX
    """Per shard."""
    timer_window: int = DEFAULT_TIMER_WINDOW_S
    """Seconds over which what falls due for many users at one moment is spread. With a test clock there are none."""
    test_clock: bool = False
    """Time stands still until it is moved, for good in this data directory."""
    admin_key: str | None = None
    """From the environment only: an admin key in clear, never stored and never logged."""
