"""Which leaderboard shard a ranking lives in."""

from hashlib import blake2b


def board_shard_of(board: int, run: int, shards: int) -> int:
    """The leaderboard shard of a board's run, which is known by its first day: the same for ever, on every machine."""
    hashed = blake2b(f"{board}:{run}".encode(), digest_size=8).digest()
    return int.from_bytes(hashed, "big") % shards
