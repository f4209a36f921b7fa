"""Rows of one table in memory: a dict that can be read in key order.

Writes touch only the dict. Order is paid for by the first scan that wants it: keys stand in short sorted
chunks, and keys written since the last scan are found at the end of the dict (a dict keeps insertion order,
and a deletion is a None here, so nothing ever leaves it)::

    data    {b"m": …, b"c": …, b"x": …, b"d": None}
                                         └─ not yet in order
    chunks  [[b"c", b"m", …], [b"x", …]]
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from itertools import islice

_CHUNK_KEYS = 512
_REBUILD_SHARE = 8
"""A scan that finds more than this share of the keys unordered sorts all of them anew."""


class Rows:
    """Keys with values, or None where a key was deleted.

    Attributes:
        data: may be set from outside; keys must never be removed from it.
    """

    __slots__ = ("_chunks", "_firsts", "_ordered", "data")

    def __init__(self) -> None:
        self.data: dict[bytes, bytes | None] = {}
        self._chunks: list[list[bytes]] = []
        self._firsts: list[bytes] = []
        self._ordered = 0

    def keys(self, start: bytes, end: bytes | None, *, reverse: bool) -> Iterator[bytes]:
        """Yields the keys with start <= key < end in order, deleted ones too."""
        if self._ordered < len(self.data):
            self._order()
        if not self._chunks or (end is not None and end <= start):
            return iter(())
        return self._backward(start, end) if reverse else self._forward(start, end)

    def _forward(self, start: bytes, end: bytes | None) -> Iterator[bytes]:
        at = max(bisect_right(self._firsts, start) - 1, 0)
        low = bisect_left(self._chunks[at], start)
        while at < len(self._chunks):
            chunk = self._chunks[at]
            if end is not None and chunk[-1] >= end:
                yield from chunk[low : bisect_left(chunk, end)]
                return
            yield from chunk[low:] if low else chunk
            at, low = at + 1, 0

    def _backward(self, start: bytes, end: bytes | None) -> Iterator[bytes]:
        at = len(self._chunks) - 1
        high = None
        if end is not None:
            at = max(bisect_left(self._firsts, end) - 1, 0)
            high = bisect_left(self._chunks[at], end)
        while at >= 0:
            chunk = self._chunks[at]
            low = bisect_left(chunk, start) if chunk[0] < start else 0
            yield from reversed(chunk[low:high])
            if low:
                return
            at, high = at - 1, None

    def _order(self) -> None:
        missing = len(self.data) - self._ordered
        if missing * _REBUILD_SHARE > self._ordered:
            keys = sorted(self.data)
            self._chunks = [keys[at : at + _CHUNK_KEYS] for at in range(0, len(keys), _CHUNK_KEYS)]
            self._firsts = keys[::_CHUNK_KEYS]
        else:
            for key in islice(reversed(self.data), missing):
                self._insert(key)
        self._ordered = len(self.data)

    def _insert(self, key: bytes) -> None:
        at = max(bisect_right(self._firsts, key) - 1, 0)
        chunk = self._chunks[at]
        insort(chunk, key)
        self._firsts[at] = chunk[0]
        if len(chunk) > 2 * _CHUNK_KEYS:
            self._chunks.insert(at + 1, chunk[_CHUNK_KEYS:])
            self._firsts.insert(at + 1, chunk[_CHUNK_KEYS])
            del chunk[_CHUNK_KEYS:]
