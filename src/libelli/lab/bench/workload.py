"""Which keys and values a benchmark uses: the same bytes for every target.

Keys are 16 bytes, drawn uniformly; values are random bytes, so no target gains by compressing them.
"""

import random
from collections.abc import Callable

import msgspec

KEY_BYTES = 16
VALUES_COUNT = 64
"""How many different values there are; each command takes one of them."""


class Workload(msgspec.Struct, frozen=True):
    """Keys 0 … key_count-1, and the values that puts write under them.

    Args:
        key_count: how many keys commands touch.
        value_bytes: size of every value.
        seed: what values and choices of keys follow from.
    """

    key_count: int
    value_bytes: int
    seed: int = 1

    def key(self, index: int) -> bytes:
        """Returns the 16 bytes of key number `index`."""
        return b"bench/%010d" % index

    def values(self) -> list[bytes]:
        """Returns the values that puts choose from."""
        source = random.Random(self.seed)
        return [source.randbytes(self.value_bytes) for _ in range(VALUES_COUNT)]

    def picker(self, stream: int) -> Callable[[int], list[int]]:
        """Returns a function that draws any number of key indexes; each `stream` draws others."""
        draw = random.Random(self.seed * 1_000_003 + stream).random
        count = self.key_count
        return lambda size: [int(draw() * count) for _ in range(size)]
