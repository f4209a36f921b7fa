"""Ordered tables in the dumbest way: what every checkpoint and engine is held to."""

from collections.abc import Iterable, Sequence

from libelli.stores.engine import Item, Reader, Run, TableId


class Twin:
    """A dict, sorted anew for every scan."""

    def __init__(self, rows: Iterable[tuple[tuple[TableId, bytes], bytes]] = ()) -> None:
        self.rows = dict(rows)

    def get(self, table: TableId, key: bytes) -> bytes | None:
        return self.rows.get((table, key))

    def scan(
        self, table: TableId, *, start: bytes = b"", end: bytes | None = None, reverse: bool = False
    ) -> list[Item]:
        items = [
            (key, value)
            for (its_table, key), value in self.rows.items()
            if its_table == table and key >= start and (end is None or key < end)
        ]
        return sorted(items, reverse=reverse)

    def write(self, runs: Sequence[Run]) -> None:
        for run in runs:
            for key, value in run.items:
                if value is None:
                    self.rows.pop((run.table, key), None)
                else:
                    self.rows[run.table, key] = value

    def copy(self) -> "Twin":
        return Twin(self.rows.items())


def assert_same(reader: Reader, twin: Twin, tables: Iterable[TableId]) -> None:
    """Everything in `reader`, in both directions, is what the twin has."""
    for table in tables:
        expected = twin.scan(table)
        assert list(reader.scan(table)) == expected
        assert list(reader.scan(table, reverse=True)) == expected[::-1]
        for key, value in expected:
            assert reader.get(table, key) == value
