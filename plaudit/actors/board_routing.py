"""Which leaderboard shard a run of a board lives in."""

from hashlib import blake2b


def board_shard_of(board: int, run: int, shards: int) -> int:
    """The leaderboard shard of a run (by the number of its board and its first day): the same for ever."""
    hashed = blake2b(f"{board}:{run}".encode(), digest_size=8).digest()
    return int.from_bytes(hashed, "big") % shards
