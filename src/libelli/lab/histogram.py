"""A histogram of latencies with a bounded relative error.

Buckets are linear inside each power of two, so that their width grows with the value::

    value      0 … 127 | 128 … 255 | 256 … 511 | 512 … 1023 | …
    width         1    |     1     |     2     |     4      | …
    buckets      128   |    128    |    128    |    128     | …

A quantile is answered with the middle of its bucket, so it is off by at most 1/256 of the value (0.4 %).
Only buckets that hold something are stored, so the size is bounded by the spread of the values, not by their
number. Two histograms merge by adding their counts; the result does not depend on the order.

Source: the bucket layout is that of Gil Tene, HdrHistogram (2012).
Differs: no upper limit and no fixed array; counts are kept sparsely.
"""

import math
from collections.abc import Iterable, Sequence

LINEAR_BITS = 7
"""Each power of two is cut into 2**LINEAR_BITS buckets."""

LINEAR_COUNT = 1 << LINEAR_BITS

RELATIVE_ERROR = 1 / (2 * LINEAR_COUNT)
"""What a quantile is off by at most, as a share of the value."""


def bucket_of(value: int) -> int:
    """Returns the index of the bucket that `value` (not negative) falls into."""
    if value < LINEAR_COUNT:
        return value
    shift = value.bit_length() - LINEAR_BITS - 1
    return shift * LINEAR_COUNT + (value >> shift)


def bucket_bounds(index: int) -> tuple[int, int]:
    """Returns the first value of a bucket, and the first value behind it."""
    if index < LINEAR_COUNT:
        return index, index + 1
    shift = index // LINEAR_COUNT - 1
    low = (index - shift * LINEAR_COUNT) << shift
    return low, low + (1 << shift)


class Histogram:
    """Counts of values that are not negative, usually nanoseconds."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._largest = 0

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return self._counts == other._counts and self._largest == other._largest

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Histogram of {self.count} values up to {self._largest}>"

    @property
    def count(self) -> int:
        """How many values were recorded."""
        return sum(self._counts.values())

    @property
    def largest(self) -> int:
        """The largest value recorded, exactly; 0 if there is none."""
        return self._largest

    def record(self, value: int, count: int = 1) -> None:
        """Adds `value`, `count` times.

        Raises:
            ValueError: `value` is negative, or `count` is not positive; nothing was recorded.
        """
        if value < 0 or count < 1:
            raise ValueError(f"cannot record {value} × {count}: values start at 0 and counts at 1")
        index = bucket_of(value)
        self._counts[index] = self._counts.get(index, 0) + count
        self._largest = max(self._largest, value)

    def quantile(self, share: float) -> float:
        """Returns the value that a `share` (0 … 1) of all recorded values do not exceed; nan if there is none.

        The answer is the middle of a bucket (see `RELATIVE_ERROR`), but never more than the largest value.

        Raises:
            ValueError: `share` is not in 0 … 1.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"quantile {share} is not in 0 … 1")
        count = self.count
        if not count:
            return math.nan
        rank = max(1, math.ceil(share * count))
        seen = 0
        for index in sorted(self._counts):
            seen += self._counts[index]
            if seen >= rank:
                low, behind = bucket_bounds(index)
                return min((low + behind - 1) / 2, self._largest)
        raise AssertionError("ranks end at the number of values")

    def merge(self, other: "Histogram") -> None:
        """Adds all that `other` has recorded."""
        [largest, _], *counts = other.encode()
        for index, count in counts:
            self._counts[index] = self._counts.get(index, 0) + count
        self._largest = max(self._largest, largest)

    def encode(self) -> list[list[int]]:
        """Returns ``[[largest, 0], [bucket, count], …]`` in order of buckets, fit for JSON."""
        return [[self._largest, 0], *([index, self._counts[index]] for index in sorted(self._counts))]

    @classmethod
    def decode(cls, encoded: Sequence[Sequence[int]]) -> "Histogram":
        """Returns the histogram that `encode` wrote.

        Raises:
            ValueError: this is not what `encode` writes.
        """
        if not encoded or any(len(pair) != 2 for pair in encoded) or encoded[0][1] != 0:
            raise ValueError("an encoded histogram is [[largest, 0], [bucket, count], …]")
        histogram = cls()
        histogram._largest = encoded[0][0]
        histogram._counts = {index: count for index, count in encoded[1:]}  # noqa: C416 - dict() wants pairs that mypy knows as pairs
        return histogram

    @classmethod
    def merged(cls, parts: "Iterable[Histogram]") -> "Histogram":
        """Returns one histogram that holds what all `parts` hold."""
        total = cls()
        for part in parts:
            total.merge(part)
        return total
