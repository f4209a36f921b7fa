"""An engine over a checkpoint: what was written since the last flush stays in memory and hides what is below.

::

    put, delete ──► active ──freeze()──► frozen ──write()──► Checkpoint
                      │                    │ └─ flushed() drops it
    get, scan   ◄─────┴────────────────────┴─────────────────┘

A generation is frozen between two commands, so a checkpoint always holds the state after some command.
While it is written in another thread the frozen generation still answers reads; it says the same as the
checkpoint will, so a read may meet either.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property

from libelli.core import InvariantError
from libelli.stores.engine import Checkpoint, Item, Run, TableId
from libelli.stores.rows import Rows

TABLES = 16
ROW_OVERHEAD_BYTES = 160
"""What a row costs in memory beside its key and value: two objects and a place in a dict."""

_Row = tuple[bytes, bytes | None]


class SortedRun:
    """The rows of one table of a frozen generation; sorted when first asked for, then by the flushing thread."""

    def __init__(self, table: TableId, rows: dict[bytes, bytes | None]) -> None:
        self.table = table
        self._rows = rows

    @cached_property
    def items(self) -> Sequence[_Row]:
        """The rows in key order."""
        rows = self._rows
        return [(key, rows[key]) for key in sorted(rows)]


class _Generation:
    __slots__ = ("data", "rows")

    def __init__(self) -> None:
        self.rows = [Rows() for _ in range(TABLES)]
        self.data = [rows.data for rows in self.rows]


class Overlay:
    """An `Engine` whose writes stay in memory until `freeze` hands them over.

    Args:
        checkpoint: what lies below; written by the caller, never from here.

    Attributes:
        size_bytes: about what the active generation takes in memory.
    """

    __slots__ = ("_active", "_active_data", "_checkpoint", "_frozen", "_frozen_data", "size_bytes")

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self.reset()

    def reset(self) -> None:
        """Forgets everything above the checkpoint: its contents were replaced."""
        self._frozen: _Generation | None = None
        self._frozen_data: list[dict[bytes, bytes | None]] | None = None
        self._begin()

    def _begin(self) -> None:
        self._active = _Generation()
        self._active_data = self._active.data
        self.size_bytes = 0

    @property
    def count(self) -> int:
        """Rows in the active generation."""
        return sum(map(len, self._active_data))

    @property
    def is_flushing(self) -> bool:
        """Whether a frozen generation waits for `flushed`."""
        return self._frozen is not None

    def get(self, table: TableId, key: bytes) -> bytes | None:
        """Returns the value of `key`, or None."""
        rows = self._active_data[table]
        value = rows.get(key)
        if value is not None or key in rows:
            return value
        if self._frozen_data is not None:
            rows = self._frozen_data[table]
            value = rows.get(key)
            if value is not None or key in rows:
                return value
        return self._checkpoint.get(table, key)

    def put(self, table: TableId, key: bytes, value: bytes) -> None:
        """Sets `key`."""
        rows = self._active_data[table]
        old = rows.get(key)
        if old is None:
            self.size_bytes += len(key) + len(value) + ROW_OVERHEAD_BYTES
        else:
            self.size_bytes += len(value) - len(old)
        rows[key] = value

    def put_all(self, table: TableId, rows: dict[bytes, bytes]) -> None:
        """Sets many keys at once; rows that are replaced count with the size that they had."""
        if not rows:
            return
        there = self._active_data[table]
        before = len(there)
        there.update(rows)
        row_bytes = (sum(map(len, rows)) + sum(map(len, rows.values()))) // len(rows) + ROW_OVERHEAD_BYTES
        self.size_bytes += (len(there) - before) * row_bytes

    def delete(self, table: TableId, key: bytes) -> None:
        """Removes `key`; nothing happens when it is not there."""
        rows = self._active_data[table]
        old = rows.get(key)
        if old is not None:
            self.size_bytes -= len(old)
        elif key not in rows:
            self.size_bytes += len(key) + ROW_OVERHEAD_BYTES
        rows[key] = None

    def scan(
        self, table: TableId, *, start: bytes = b"", end: bytes | None = None, reverse: bool = False
    ) -> Iterator[Item]:
        """Yields the items with start <= key < end (None: no end) in key order."""
        items = self._checkpoint.scan(table, start=start, end=end, reverse=reverse)
        layers = [layer for layer in (self._frozen, self._active) if layer is not None and layer.data[table]]
        if not layers:
            return items
        merged: Iterator[_Row] = items
        for layer in layers:
            rows = layer.rows[table]
            merged = _merge(_pairs(rows, start, end, reverse), merged, reverse)
        return _living(merged)

    def freeze(self) -> Sequence[Run]:
        """Returns the active generation as sorted runs and begins a new one.

        The runs may be written in another thread; `flushed` must follow before the next `freeze`. Without
        changes the answer is empty and there is nothing to follow.
        """
        if self._frozen is not None:
            raise InvariantError("a frozen generation is still being flushed; call flushed() first")
        runs = [SortedRun(table, rows) for table, rows in enumerate(self._active_data) if rows]
        if runs:
            self._frozen, self._frozen_data = self._active, self._active_data
            self._begin()
        return runs

    def flushed(self) -> None:
        """Drops the frozen generation: the checkpoint has it."""
        self._frozen = self._frozen_data = None


def _pairs(rows: Rows, start: bytes, end: bytes | None, reverse: bool) -> Iterator[_Row]:
    data = rows.data
    return ((key, data[key]) for key in rows.keys(start, end, reverse=reverse))


def _merge(newer: Iterator[_Row], older: Iterator[_Row], reverse: bool) -> Iterator[_Row]:
    """Yields both in key order; where both have a key, the newer row alone."""
    below = next(older, None)
    for row in newer:
        key = row[0]
        while below is not None and (below[0] > key if reverse else below[0] < key):
            yield below
            below = next(older, None)
        if below is not None and below[0] == key:
            below = next(older, None)
        yield row
    if below is not None:
        yield below
        yield from older


def _living(rows: Iterator[_Row]) -> Iterator[Item]:
    for row in rows:
        if row[1] is not None:
            yield row  # type: ignore[misc]  # the test above does not narrow a tuple
