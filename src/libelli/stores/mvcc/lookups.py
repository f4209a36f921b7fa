"""Finds keys as they are now, and as they were at an older revision.

::

    now         KEYS ───────────────► Found ──► REVISIONS only for a value
    at r        KEYS + DELETED in key order ──► down the key's chain to the record that was current at r

Nothing here changes the tables, and no iterator may be kept while they change.
"""

from collections.abc import Iterator
from heapq import merge
from operator import itemgetter

from libelli.core import InvariantError
from libelli.stores.engine import Engine
from libelli.stores.mvcc.commands import FROM_KEY, KeyValue
from libelli.stores.mvcc.tables import (
    DELETED,
    KEYS,
    POINTER_SIZE,
    RECORD_SIZE,
    REVISIONS,
    first_pointer,
    revision_of,
    unpack_head,
    unpack_record,
)

Found = tuple[bytes, bytes, int, int, int, int]
"""Key, pointer to its record, create revision, version, lease, size of the record."""


def stop_of(key: bytes, end: bytes) -> bytes | None:
    """Returns the first key behind a range, or None when it goes on to the last key (C1)."""
    if not end:
        return key + b"\x00"
    return None if end == FROM_KEY else end


def key_of(record: bytes) -> bytes:
    """Returns the key of a record."""
    return record[RECORD_SIZE : RECORD_SIZE + unpack_record(record)[-1]]


class Lookups:
    """Reads the keys and records of one store."""

    __slots__ = ("_engine", "_get")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._get = engine.get

    def now(self, key: bytes) -> Found | None:
        """Returns what `key` is now."""
        head = self._get(KEYS, key)
        return None if head is None else _found(key, head)

    def range(self, key: bytes, end: bytes, *, revision: int | None = None, reverse: bool = False) -> Iterator[Found]:
        """Yields the keys of a range in key order, as they are now or were at `revision`, not yet compacted."""
        if revision is not None:
            return self._range_at(key, end, first_pointer(revision + 1), reverse)
        if end:
            return self._range_now(key, end, reverse)
        found = self.now(key)
        return iter(()) if found is None else iter((found,))

    def record(self, pointer: bytes) -> bytes:
        """Returns the record at `pointer`, which must be there."""
        record = self._get(REVISIONS, pointer)
        if record is None:
            raise InvariantError(f"the record of revision {revision_of(pointer)} is missing: the tables are damaged")
        return record

    def value(self, found: Found) -> bytes:
        """Returns the value of a key."""
        return self.record(found[1])[RECORD_SIZE + len(found[0]) :]

    def item(self, found: Found, *, keys_only: bool = False) -> KeyValue:
        """Returns what clients see of a key."""
        key, pointer, create, version, lease, _ = found
        if keys_only:
            value = b""
        else:
            record = self._get(REVISIONS, pointer) or self.record(pointer)
            value = record[RECORD_SIZE + len(key) :]
        return KeyValue(key, value, create, revision_of(pointer), version, lease)

    def _range_now(self, key: bytes, end: bytes, reverse: bool) -> Iterator[Found]:
        for name, head in self._engine.scan(KEYS, start=key, end=stop_of(key, end), reverse=reverse):
            create, version, _, lease, size = unpack_head(head)
            yield name, head[-POINTER_SIZE:], create, version, lease, size

    def _range_at(self, key: bytes, end: bytes, limit: bytes, reverse: bool) -> Iterator[Found]:
        for name, head in self._ever(key, end, reverse):
            found = self._before(name, head, limit)
            if found is not None:
                yield found

    def _ever(self, key: bytes, end: bytes, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        """Yields the heads of all keys that history knows."""
        if not end:
            head = self._get(KEYS, key) or self._get(DELETED, key)
            return iter(()) if head is None else iter(((key, head),))
        stop = stop_of(key, end)
        living = self._engine.scan(KEYS, start=key, end=stop, reverse=reverse)
        deleted = self._engine.scan(DELETED, start=key, end=stop, reverse=reverse)
        return merge(living, deleted, key=itemgetter(0), reverse=reverse)

    def _before(self, key: bytes, head: bytes, limit: bytes) -> Found | None:
        """Returns the newest record of a key with a pointer below `limit`, unless the key did not exist then."""
        pointer = head[-POINTER_SIZE:]
        if pointer < limit and unpack_head(head)[1] == 0:
            return None  # deleted before; spares the record
        while pointer >= limit:
            previous, jump, _, _, version, _, _ = unpack_record(self.record(pointer))
            if jump >= limit:
                pointer = jump
            elif previous < limit and version == 1:
                return None  # this record began the key's life
            else:
                pointer = previous
        # never that of a deletion: only the first record of a life has one before it
        record = self.record(pointer)
        _, _, _, create, version, lease, _ = unpack_record(record)
        return key, pointer, create, version, lease, len(record)


def _found(key: bytes, head: bytes) -> Found:
    create, version, _, lease, size = unpack_head(head)
    return key, head[-POINTER_SIZE:], create, version, lease, size
