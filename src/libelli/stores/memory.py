"""A checkpoint in memory: what the simulator calls a disk, and the twin that other checkpoints are held to.

Whoever keeps the object keeps the durable contents: a crash is a new `Overlay` over the same checkpoint. A
write that a crash prevented is a `write` that was never called.
"""

from collections.abc import Iterator, Sequence

from libelli.core import StorageError
from libelli.stores.engine import Item, Run, TableId
from libelli.stores.rows import Rows

_Tables = dict[TableId, Rows]


class MemoryView:
    """The tables of a `MemoryCheckpoint` as they stood at one moment."""

    __slots__ = ("_tables",)

    def __init__(self, tables: _Tables) -> None:
        self._tables: _Tables | None = tables

    def get(self, table: TableId, key: bytes) -> bytes | None:
        """Returns the value of `key`, or None."""
        return _get(_opened(self._tables), table, key)

    def scan(
        self, table: TableId, *, start: bytes = b"", end: bytes | None = None, reverse: bool = False
    ) -> Iterator[Item]:
        """Yields the items with start <= key < end (None: no end) in key order."""
        return _scan(_opened(self._tables), table, start, end, reverse)

    def close(self) -> None:
        """Lets go of the view; it cannot be used any more."""
        self._tables = None


class MemoryInstall:
    """New contents for a `MemoryCheckpoint`."""

    __slots__ = ("_checkpoint", "_tables")

    def __init__(self, checkpoint: "MemoryCheckpoint") -> None:
        self._checkpoint = checkpoint
        self._tables: _Tables | None = {}

    def add(self, runs: Sequence[Run]) -> None:
        """Adds items; each table's runs must come in key order."""
        for run in runs:
            _apply(_opened(self._tables).setdefault(run.table, Rows()), run)

    def finish(self) -> None:
        """Puts the new contents in the place of the old."""
        self._checkpoint.replace(_opened(self._tables))
        self._tables = None

    def abandon(self) -> None:
        """Throws the new contents away; the old ones stay."""
        self._tables = None


class MemoryCheckpoint:
    """Ordered tables that last as long as the object."""

    __slots__ = ("_tables", "_viewed")

    def __init__(self) -> None:
        self._tables: _Tables | None = {}
        self._viewed: _Tables = {}

    def get(self, table: TableId, key: bytes) -> bytes | None:
        """Returns the value of `key`, or None."""
        return _get(_opened(self._tables), table, key)

    def scan(
        self, table: TableId, *, start: bytes = b"", end: bytes | None = None, reverse: bool = False
    ) -> Iterator[Item]:
        """Yields the items with start <= key < end (None: no end) in key order."""
        return _scan(_opened(self._tables), table, start, end, reverse)

    def write(self, runs: Sequence[Run]) -> None:
        """Applies all runs in one step."""
        tables = dict(_opened(self._tables))
        for run in runs:
            rows = tables.get(run.table)
            if rows is None or rows is self._viewed.get(run.table):
                tables[run.table] = rows = _copy(rows)
            if _apply(rows, run):
                tables[run.table] = _copy(rows)
        self._tables = tables

    def view(self) -> MemoryView:
        """Returns the tables as they stand now; the next write copies those that it touches."""
        self._viewed = dict(_opened(self._tables))
        return MemoryView(self._viewed)

    def install(self) -> MemoryInstall:
        """Begins new contents; views that are open keep the old ones."""
        _opened(self._tables)
        return MemoryInstall(self)

    def replace(self, tables: _Tables) -> None:
        """Puts `tables` in the place of the old; an `Install` ends with it."""
        self._tables = tables

    def close(self) -> None:
        """Does nothing: the contents are the object."""


def _opened(tables: _Tables | None) -> _Tables:
    if tables is None:
        raise StorageError("used after it was closed or finished; take a new one")
    return tables


def _get(tables: _Tables, table: TableId, key: bytes) -> bytes | None:
    rows = tables.get(table)
    return None if rows is None else rows.data.get(key)


def _scan(tables: _Tables, table: TableId, start: bytes, end: bytes | None, reverse: bool) -> Iterator[Item]:
    rows = tables.get(table)
    if rows is None:
        return
    for key in rows.keys(start, end, reverse=reverse):
        value = rows.data[key]
        if value is not None:
            yield key, value


def _copy(rows: Rows | None) -> Rows:
    """Returns rows of their own with what lives in `rows`."""
    copy = Rows()
    if rows is not None:
        copy.data.update((key, value) for key, value in rows.data.items() if value is not None)
    return copy


def _apply(rows: Rows, run: Run) -> bool:
    """Sets what `run` says and returns whether anything was deleted and still takes a place."""
    deleted = False
    for key, value in run.items:
        if value is not None:
            rows.data[key] = value
        elif key in rows.data:
            rows.data[key] = None
            deleted = True
    return deleted
