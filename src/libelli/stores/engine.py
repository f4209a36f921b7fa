"""Ordered tables of bytes: what a store needs from the thing that keeps its data.

::

    store ──► Engine                      one writer, reads its own writes
                └─ Overlay                everything since the last flush, in memory
                     ├─ active            takes the writes
                     ├─ frozen            is being flushed (or None)
                     └─ Checkpoint        durable ordered tables: in memory (simulator) or LMDB (live)

The log makes commands durable; a checkpoint only shortens the log. So writes land in memory at once and reach
the checkpoint in sorted runs, all of one generation in one atomic, durable step.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

TableId = int
"""Tables are numbered 0 … 15: a store owns 1 … 7, the host 8 … 15."""

Item = tuple[bytes, bytes]
"""A key and its value."""


class Reader(Protocol):
    """Reads ordered tables."""

    def get(self, table: TableId, key: bytes) -> bytes | None:
        """Returns the value of `key`, or None."""
        ...

    def scan(
        self, table: TableId, *, start: bytes = b"", end: bytes | None = None, reverse: bool = False
    ) -> Iterator[Item]:
        """Yields the items with start <= key < end (None: no end) in key order.

        The tables must not be written while the iterator is in use.
        """
        ...


class Engine(Reader, Protocol):
    """Reads and writes ordered tables; a read sees every write before it. Keys are 0 … about 1 MiB long."""

    def put(self, table: TableId, key: bytes, value: bytes) -> None:
        """Sets `key`."""
        ...

    def put_all(self, table: TableId, rows: dict[bytes, bytes]) -> None:
        """Sets many keys at once; `rows` is not kept."""
        ...

    def delete(self, table: TableId, key: bytes) -> None:
        """Removes `key`; nothing happens when it is not there."""
        ...


class Run(Protocol):
    """Changes of one table, sorted by key; None deletes."""

    @property
    def table(self) -> TableId:
        """Whose rows they are."""
        ...

    @property
    def items(self) -> Sequence[tuple[bytes, bytes | None]]:
        """The rows; may be read more than once."""
        ...


class View(Reader, Protocol):
    """A checkpoint's tables as they stood at one moment, whatever is written later."""

    def close(self) -> None:
        """Lets go of the view; it cannot be used any more."""
        ...


class Install(Protocol):
    """New contents for a checkpoint, which replace the old ones in one durable step or not at all."""

    def add(self, runs: Sequence[Run]) -> None:
        """Adds items; each table's runs must come in key order."""
        ...

    def finish(self) -> None:
        """Makes the new contents durable and puts them in the place of the old."""
        ...

    def abandon(self) -> None:
        """Throws the new contents away; the old ones stay."""
        ...


class Checkpoint(Reader, Protocol):
    """Durable ordered tables.

    `write` and an `Install` may run in another thread than the reads; a read sees all of a write or nothing.
    """

    def write(self, runs: Sequence[Run]) -> None:
        """Applies all runs in one atomic step and returns when it is durable.

        Raises:
            DiskFullError: nothing was changed; may be tried again.
            StorageError: the checkpoint cannot be used any more.
        """
        ...

    def view(self) -> View:
        """Returns the tables as they stand now."""
        ...

    def install(self) -> Install:
        """Begins new contents; views that are open keep the old ones."""
        ...

    def close(self) -> None:
        """Lets go of everything."""
        ...
