"""Writes single changes into the tables: the one place where keys, records and counters change together.

Checks nothing: whoever calls has made sure that the change may happen.
"""

from libelli.stores.engine import Engine
from libelli.stores.mvcc.tables import (
    DELETED,
    HEAD_SIZE,
    KEYS,
    POINTER_SIZE,
    REVISIONS,
    link,
    pack_head,
    pack_pointer,
    pack_record,
    unpack_head,
)
from libelli.stores.mvcc.totals import Totals

Change = tuple[int, bytes, bytes, int, int, int, bytes]
"""Revision, key, value, create revision, version (0: deleted), lease, pointer to the record before."""


class Writer:
    """Writes changes for one store.

    Attributes:
        seen: changes since somebody last took them, or None while nobody watches.
    """

    __slots__ = ("_delete", "_get", "_put", "_totals", "seen")

    def __init__(self, engine: Engine, totals: Totals) -> None:
        self._get = engine.get
        self._put = engine.put
        self._delete = engine.delete
        self._totals = totals
        self.seen: list[Change] | None = None

    def put(self, key: bytes, value: bytes, lease: int, revision: int, sub: int) -> None:
        """Sets `key` to `value` as the change number `sub` of `revision` (B2)."""
        head = self._get(KEYS, key)
        if head is None:
            head = self._begin_life(key, revision)
        create, version, depth, old_lease, size = unpack_head(head)
        pointer = pack_pointer(revision, sub)
        version += 1
        if depth & 1:
            previous, jump, stack = link(head, depth, pointer)
        else:  # as link() would, in the hottest path of all
            previous = jump = head[-POINTER_SIZE:]
            stack = head[HEAD_SIZE:] + pointer
        record = pack_record(previous, jump, size, create, version, lease, len(key)) + key + value
        size = len(record)
        self._put(REVISIONS, pointer, record)
        self._put(KEYS, key, pack_head(create, version, depth + 1, lease, size) + stack)
        self._totals.size_bytes += size
        if lease != old_lease:
            self._move(key, old_lease, lease)
        if self.seen is not None:
            self.seen.append((revision, key, value, create, version, lease, previous))

    def delete(self, key: bytes, revision: int, sub: int) -> None:
        """Deletes `key`, which must exist, as the change number `sub` of `revision`."""
        head = self._get(KEYS, key)
        if head is None:
            raise KeyError(key)
        _, _, depth, lease, size = unpack_head(head)
        pointer = pack_pointer(revision, sub)
        previous, jump, stack = link(head, depth, pointer)
        record = pack_record(previous, jump, size, 0, 0, 0, len(key)) + key
        self._put(REVISIONS, pointer, record)
        self._delete(KEYS, key)
        self._put(DELETED, key, pack_head(0, 0, depth + 1, 0, len(record)) + stack)
        self._totals.size_bytes += len(record)
        self._totals.keys -= 1
        self._totals.deleted += 1
        if lease:
            self._move(key, lease, 0)
        if self.seen is not None:
            self.seen.append((revision, key, b"", 0, 0, 0, previous))

    def _begin_life(self, key: bytes, revision: int) -> bytes:
        """Returns the head that a new key is put on: none, or that of its life before."""
        totals = self._totals
        totals.keys += 1
        before = self._get(DELETED, key) if totals.deleted else None
        if before is None:
            return pack_head(revision, 0, 0, 0, 0) + NOWHERE
