"""The replies of each gateway's last batches, so that a batch sent again is answered and never applied again."""

import msgspec

from plaudit.actors.messages import Reply
from plaudit.actors.shard_client import WINDOW

GATEWAYS_MAX = 256
"""Gateways that are remembered: running ones, with much to spare."""

_Batches = dict[int, dict[int, Reply]]
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Batches)


class Dedupe:
    """Replies by gateway, number of the batch and position in it. Bounded: WINDOW batches of GATEWAYS_MAX gateways.

    A gateway that sends batch n has the replies to n - WINDOW, so they are forgotten.
    """

    def __init__(self) -> None:
        self._gateways: dict[int, _Batches] = {}
        self._changed: set[int] = set()
        self._executed: dict[tuple[int, int], dict[int, Reply]] = {}
        """What is on its way to the log: known to a batch sent again, unknown to storage."""
        self._newest: dict[int, int] = {}
        """The highest number of each remembered gateway's batches."""

    def find(self, gateway: int, number: int) -> dict[int, Reply]:
        """The replies by position that this batch has had or will have; empty if it is new."""
        executed = self._executed.get((gateway, number))
        durable = self._gateways.get(gateway, {}).get(number, {})
        return durable | executed if executed else durable

    def take(self, gateway: int, number: int) -> bool:
        """True if a batch may be executed. False for one so old that its replies may have been forgotten.

        Its gateway has had them, or it would not have gone on: such a batch was late on a connection that is dead.
        """
        newest = max(number, self._newest.get(gateway, number))
        if number <= newest - WINDOW:
            return False
        self._newest[gateway] = newest
        if len(self._newest) > 2 * GATEWAYS_MAX:
            self._newest = {known: self._newest[known] for known in (*self._gateways, gateway) if known in self._newest}
        return True

    def expect(self, gateway: int, number: int, replies: dict[int, Reply]) -> None:
        """Know (a part of) a batch that has been executed, until `remember` says that its effects are durable."""
        executed = self._executed.get((gateway, number))
        self._executed[gateway, number] = executed | replies if executed else replies

    def remember(self, gateway: int, number: int, replies: dict[int, Reply]) -> None:
        """Keep the replies to (a part of) a batch whose effects are durable."""
        executed = self._executed.pop((gateway, number), replies)
        if len(executed) > len(replies):
            self._executed[gateway, number] = {n: reply for n, reply in executed.items() if n not in replies}
        batches = self._gateways.pop(gateway, {})
        known = batches.get(number)
        batches[number] = known | replies if known else replies
        for old in [n for n in batches if n <= number - WINDOW]:
            del batches[old]
        self._gateways[gateway] = batches  # last in order: most recently used
        self._newest[gateway] = max(number, self._newest.get(gateway, number))
        self._changed.add(gateway)
        if len(self._gateways) > GATEWAYS_MAX:
            self._forget(next(iter(self._gateways)))

    def gateways(self) -> list[int]:
        """The gateways that are remembered."""
        return list(self._gateways)

    def take_changed(self) -> list[tuple[int, bytes]]:
        """The gateways that have changed since the last call, encoded for storage."""
        changed = [(gateway, _encoder.encode(self._gateways[gateway])) for gateway in self._changed]
        self._changed.clear()
        return changed

    def restore(self, gateways: dict[int, bytes]) -> None:
        """Take up what `take_changed` gave. Raises msgspec.DecodeError."""
        self._gateways |= {gateway: _decoder.decode(batches) for gateway, batches in gateways.items()}
        self._newest |= {gateway: max(batches) for gateway, batches in self._gateways.items() if batches}

    def _forget(self, gateway: int) -> None:
        del self._gateways[gateway]
        self._newest.pop(gateway, None)
        self._changed.discard(gateway)
