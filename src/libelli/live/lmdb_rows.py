r"""Rows of all tables in one LMDB tree, with keys of any length, though LMDB's own keys end at 511 bytes.

A key is cut into pieces of `PIECE_SIZE` bytes. A *node* is the set of keys that agree in all pieces before one; it
is named by a prefix, and its rows stand together under that prefix. A table is a node; where a key goes on behind a
full piece there is a *stub*, which names the node of the rest::

    b"\2"  table 0        \2 + "apple"                 value
    b"\3"  table 1        \3 + ""                      value        an empty key is a key
                          \3 + piece                   value        a key that ends with its first piece
                          \3 + piece + \0   ─┐         \1 00000007  a stub: it is one byte longer than any row
                          \3 + "zebra"       │         value
    …                                        ▼
    b"\1"  nodes      \1 00000007 + rest               value
                      \1 00000007 + piece + \0 ─► …

A stub stands behind the key that ends with its piece and before every key that is greater, so walking the rows and
stepping down at each stub meets all keys in their order, in both directions. A key of 1 MiB is about 2,100 rows.

One tree with a byte of prefix, and not a named database a table: an empty key needs no place of its own, a scan
begins without looking up the database's root, which costs more than the search itself, and a commit writes one root.
"""

from collections.abc import Iterable, Iterator, Sequence

import lmdb

from libelli.stores.engine import Item, Run, TableId

PIECE_SIZE = 500
"""With a node's 9 bytes, a stub's zero and the zero that a search puts behind it: 511."""
TABLES = 16
TABLE_NODES: Sequence[bytes] = [bytes([2 + table]) for table in range(TABLES)]

_STUB = b"\0"
_NODE = b"\1"
_ID_SIZE = 8
_LAST_NODE_ROW = b"\0last node"
"""Rows that belong to no table begin with a zero."""


def get_row(txn: "lmdb.Transaction[bytes]", table: TableId, key: bytes) -> bytes | None:
    """Returns the value of `key`, or None."""
    node = TABLE_NODES[table]
    for offset in _stub_offsets(key):
        below = txn.get(_row(node, key, offset))
        if below is None:
            return None
        node = below
    return txn.get(_row(node, key, _last_offset(key)))


def write_run(txn: "lmdb.Transaction[bytes]", run: Run) -> None:
    """Sets and deletes what `run` says."""
    node = TABLE_NODES[run.table]
    # One call for almost all: beside a busy interpreter each call waits its turn.
    txn.cursor().putmulti(_short_rows(node, run.items))
    for key, value in run.items:
        if len(key) > PIECE_SIZE:
            if value is None:
                _delete_long(txn, node, key)
            else:
                _put_long(txn, node, key, value)
        elif value is None:
            txn.delete(node + key)


def scan_rows(
    txn: "lmdb.Transaction[bytes]", table: TableId, *, start: bytes, end: bytes | None, reverse: bool
) -> Iterator[Item]:
    """Yields the items with start <= key < end (None: no end) in key order."""
    cursor = txn.cursor()
    levels = [_Level(TABLE_NODES[table], 0, start, end)]
    pieces: list[bytes] = []
    while levels:
        level = levels[-1]
        node_size, low, high = len(level.node), level.low, level.high
        for row, value in level.rows(cursor, reverse=reverse):
            if row < low or row >= high:
                levels.pop()
                del pieces[-1:]
                break
            if len(row) > PIECE_SIZE + node_size:
                levels.append(level.below(row, value))
                pieces.append(row[node_size:-1])
                level.go_on_after(row, reverse=reverse)
                break
            yield (b"".join((*pieces, row[node_size:])) if pieces else row[node_size:]), value
        else:
            levels.pop()
            del pieces[-1:]


class _Level:
    """What a scan has still to read of one node: the rows with low <= row < high.

    Args:
        node: its prefix.
        offset: of the node's pieces in the keys.
        start, end: None when the node's name alone puts all its keys behind or before them.
    """

    __slots__ = ("_end", "_offset", "_start", "high", "low", "node")

    def __init__(self, node: bytes, offset: int, start: bytes | None, end: bytes | None) -> None:
        self.node = node
        self._offset = offset
        self._start, self._end = start, end
        self.low = _row(node, start, offset) if start else node
        if end is None:
            self.high = _successor(node)
        else:
            self.high = _row(node, end, offset)
            if len(end) - offset > PIECE_SIZE:
                self.high += _STUB  # keys below a long end may stand below its very stub

    def rows(self, cursor: "lmdb.Cursor[bytes]", *, reverse: bool) -> Iterator[Item]:
        """Returns the rows in order, and what follows them in the tree."""
        if reverse:
            found = cursor.prev() if cursor.set_range(self.high) else cursor.last()
            return cursor.iterprev() if found else iter(())
        return cursor.iternext() if cursor.set_range(self.low) else iter(())

    def below(self, stub: bytes, node: bytes) -> "_Level":
        """Returns the level that a stub leads to."""
        start, end, offset = self._start, self._end, self._offset
        if start is not None and stub != _row(self.node, start, offset):
            start = None
        if end is not None and stub != _row(self.node, end, offset):
            end = None
        return _Level(node, offset + PIECE_SIZE, start, end)

    def go_on_after(self, row: bytes, *, reverse: bool) -> None:
        """Leaves out `row` and all that came before it in the scan."""
        if reverse:
            self.high = row
        else:
            self.low = row + _STUB


def _row(node: bytes, key: bytes, offset: int) -> bytes:
    """Returns where the piece at `offset` of `key` stands in `node`: a stub when the key goes on behind it."""
    behind = offset + PIECE_SIZE
    return node + key[offset:behind] + (_STUB if len(key) > behind else b"")


def _stub_offsets(key: bytes) -> range:
    return range(0, _last_offset(key), PIECE_SIZE)


def _last_offset(key: bytes) -> int:
    return max(len(key) - 1, 0) // PIECE_SIZE * PIECE_SIZE


def _successor(node: bytes) -> bytes:
    """Returns the least prefix of the same length behind all rows of `node`."""
    return (int.from_bytes(node, "big") + 1).to_bytes(len(node), "big")


def _short_rows(node: bytes, items: Iterable[tuple[bytes, bytes | None]]) -> Iterator[Item]:
    return ((node + key, value) for key, value in items if value is not None and len(key) <= PIECE_SIZE)


def _put_long(txn: "lmdb.Transaction[bytes]", node: bytes, key: bytes, value: bytes) -> None:
    for offset in _stub_offsets(key):
        stub = _row(node, key, offset)
        below = txn.get(stub)
        if below is None:
            below = _new_node(txn)
            txn.put(stub, below)
        node = below
    txn.put(_row(node, key, _last_offset(key)), value)


def _new_node(txn: "lmdb.Transaction[bytes]") -> bytes:
    number = int.from_bytes(txn.get(_LAST_NODE_ROW) or b"", "big") + 1
    name = number.to_bytes(_ID_SIZE, "big")
    txn.put(_LAST_NODE_ROW, name)
    return _NODE + name


def _delete_long(txn: "lmdb.Transaction[bytes]", node: bytes, key: bytes) -> None:
    stubs: list[bytes] = []
    for offset in _stub_offsets(key):
        stub = _row(node, key, offset)
        below = txn.get(stub)
        if below is None:
            return
        stubs.append(stub)
        node = below
    if not txn.delete(_row(node, key, _last_offset(key))):
        return
    cursor = txn.cursor()
    while stubs and not (cursor.set_range(node) and cursor.key().startswith(node)):
        stub = stubs.pop()
        txn.delete(stub)
        node = stub[: -PIECE_SIZE - len(_STUB)]
