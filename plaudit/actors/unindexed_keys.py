"""The idempotency keys of saved history that the index does not have yet."""

from collections.abc import Iterable, Iterator

from plaudit.storage.history import Chunk
from plaudit.storage.key_index import HASH_BITS, KeyEntry, KeyUse, hash_key
from plaudit.storage.state import key_uses

BUCKET_BITS = 6
"""Fifty thousand keys are sorted eight hundred at a time: in one go they would hold up every event for 40 ms."""


class UnindexedKeys:
    """Collects keys as slices are saved, and gives them in the order of their hashes, a part at a time."""

    def __init__(self) -> None:
        self._buckets: list[list[tuple[int, int, KeyUse]]] = [[] for _ in range(1 << BUCKET_BITS)]

    def add(self, chunks: Iterable[Chunk]) -> None:
        """Add the keys of saved chunks. About 2 us a key."""
        for chunk in chunks:
            for use in key_uses(chunk):
                hash_ = hash_key(use)
                self._buckets[hash_ >> (HASH_BITS - BUCKET_BITS)].append((hash_, chunk.id, use))

    def take(self) -> Iterator[tuple[list[KeyEntry], list[KeyUse]]]:
        """Every part, once: what goes into the index, and the keys themselves."""
        for number, bucket in enumerate(self._buckets):
            if bucket:
                self._buckets[number] = []
                bucket.sort()
                yield [(hash_, chunk) for hash_, chunk, _ in bucket], [use for _, _, use in bucket]
