"""Writes single changes into the tables: the one place where keys, records and counters change together.

Checks nothing: whoever calls has made sure that the change may happen. The changes between two `close` are one
revision (B3).
"""

from libelli.core import InvariantError
from libelli.stores.engine import Engine
from libelli.stores.mvcc.tables import (
    DELETED,
    HEAD_SIZE,
    KEYS,
    LEASE_KEYS,
    NOWHERE,
    POINTER_SIZE,
    REVISIONS,
    link,
    pack_head,
    pack_lease,
    pack_pointer,
    pack_record,
    revision_of,
    unpack_head,
)
from libelli.stores.mvcc.totals import Totals

Change = tuple[bytes, bytes, bytes, int, int, int, bytes]
"""Pointer, key, value, create revision, version (0: deleted), lease, pointer to the record before."""


class Writer:
    """Writes changes for one store.

    Attributes:
        count: changes since the last `close`.
        seen: changes since somebody last took them, or None while nobody watches.
    """

    __slots__ = ("_delete", "_get", "_put", "_totals", "count", "seen")

    def __init__(self, engine: Engine, totals: Totals) -> None:
        self._get = engine.get
        self._put = engine.put
        self._delete = engine.delete
        self._totals = totals
        self.count = 0
        self.seen: list[Change] | None = None

    @property
    def revision(self) -> int:
        """The store's revision, that of the changes since the last `close` when there are any."""
        return self._totals.revision + 1 if self.count else self._totals.revision

    def close(self) -> int:
        """Ends a revision, if anything was changed since the last one; returns the store's revision (B1)."""
        if self.count:
            self._totals.revision += 1
            self.count = 0
        return self._totals.revision

    def put(self, key: bytes, value: bytes, lease: int) -> None:
        """Sets `key` to `value` (B2)."""
        totals = self._totals
        revision = totals.revision + 1
        head = self._get(KEYS, key)
        if head is None:
            head = self.begin_life(key, revision)
        create, version, shape, old_lease, size = unpack_head(head)
        pointer = pack_pointer(revision, self.count)
        previous, jump, shape, stack = link(head, shape, pointer)
        record = pack_record(previous, jump, size, create, version + 1, lease, len(key)) + key + value
        size = len(record)
        self._put(REVISIONS, pointer, record)
        self._put(KEYS, key, pack_head(create, version + 1, shape, lease, size) + stack)
        self.count += 1
        totals.size_bytes += size
        if lease != old_lease:
            self.move(key, old_lease, lease)
        if self.seen is not None:
            self.seen.append((pointer, key, value, create, version + 1, lease, previous))

    def delete(self, key: bytes) -> None:
        """Deletes `key`, which must exist."""
        head = self._get(KEYS, key)
        if head is None:
            raise InvariantError(f"key {key[:64]!r} was to be deleted and does not exist")
        totals = self._totals
        _, _, shape, lease, size = unpack_head(head)
        pointer = pack_pointer(totals.revision + 1, self.count)
        previous, jump, shape, stack = link(head, shape, pointer)
        record = pack_record(previous, jump, size, 0, 0, 0, len(key)) + key
        self._put(REVISIONS, pointer, record)
        self._delete(KEYS, key)
        self._put(DELETED, key, pack_head(0, 0, shape, 0, len(record)) + stack)
        self.count += 1
        totals.size_bytes += len(record)
        totals.keys -= 1
        totals.deleted += 1
        if lease:
            self.move(key, lease, 0)
        if self.seen is not None:
            self.seen.append((pointer, key, b"", 0, 0, 0, previous))

    def begin_life(self, key: bytes, revision: int) -> bytes:
        """Returns the head that a new key is put on: an empty one, or that of its life before."""
        totals = self._totals
        totals.keys += 1
        fresh = pack_head(revision, 0, 0, 0, 0) + NOWHERE
        before = self._get(DELETED, key) if totals.deleted else None
        if before is None:
            return fresh
        self._delete(DELETED, key)
        totals.deleted -= 1
        if revision_of(before[-POINTER_SIZE:]) <= totals.compact_revision:
            return fresh
        _, _, shape, _, size = unpack_head(before)
        return pack_head(revision, 0, shape, 0, size) + before[HEAD_SIZE:]

    def move(self, key: bytes, old_lease: int, lease: int) -> None:
        """Detaches `key` from one lease and attaches it to another; 0 is none (D1)."""
        if old_lease:
            self._delete(LEASE_KEYS, pack_lease(old_lease) + key)
        if lease:
            self._put(LEASE_KEYS, pack_lease(lease) + key, b"")
