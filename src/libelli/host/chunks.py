"""A store's tables cut into chunks, in table and key order: how a snapshot travels.

A cursor names the last row that arrived, so whoever copies needs no state at the source except the view, and a
chunk that was lost is simply asked for again.
"""

import struct
from collections.abc import Sequence

from msgspec import Struct

from libelli.stores.engine import Reader, TableId

TABLES = 16
_CURSOR = struct.Struct(">B")


class Rows(Struct, frozen=True, array_like=True):
    """Rows of one table, in key order; a `Run`."""

    table: TableId
    items: Sequence[tuple[bytes, bytes | None]]


class Chunk(Struct, frozen=True, array_like=True):
    """Some rows, and where to go on.

    Attributes:
        runs: in table order.
        cursor: for the next chunk; empty when this is the last.
    """

    runs: tuple[Rows, ...]
    cursor: bytes


def read_chunk(view: Reader, *, cursor: bytes, size_max: int) -> Chunk:
    """Returns the rows after `cursor` (empty: from the beginning), about `size_max` bytes but at least one."""
    table, start = (cursor[0], cursor[1:] + b"\0") if cursor else (0, b"")
    runs: list[Rows] = []
    size = 0
    while table < TABLES:
        items: list[tuple[bytes, bytes | None]] = []
        for key, value in view.scan(table, start=start):
            items.append((key, value))
            size += len(key) + len(value)
            if size >= size_max:
                runs.append(Rows(table, items))
                return Chunk(tuple(runs), _CURSOR.pack(table) + key)
        if items:
            runs.append(Rows(table, items))
        table, start = table + 1, b""
    return Chunk(tuple(runs), b"")
