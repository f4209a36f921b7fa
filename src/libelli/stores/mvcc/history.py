"""What has happened: changes for watchers, as they are made or read again later.

All changes of a revision come together (F3). The key before a change is there unless the history before that
change was compacted (F4).
"""

from collections.abc import Iterable
from itertools import groupby

from msgspec import Struct

from libelli.core import Code, call_error
from libelli.stores.engine import Engine
from libelli.stores.mvcc.commands import KeyValue, WatchEvent
from libelli.stores.mvcc.lookups import Lookups, stop_of
from libelli.stores.mvcc.tables import (
    POINTER_SIZE,
    RECORD_SIZE,
    REVISIONS,
    first_pointer,
    revision_of,
    unpack_record,
)
from libelli.stores.mvcc.totals import Totals
from libelli.stores.mvcc.writer import Change

Changes = list[tuple[int, list[WatchEvent]]]
"""Revisions, each with what it changed."""


class Page(Struct, frozen=True):
    """A part of history.

    Attributes:
        changes: the changes of the wanted keys.
        next_revision: where the next part begins.
    """

    changes: Changes
    next_revision: int


class History:
    """Reads the history of one store."""

    def __init__(self, engine: Engine, lookups: Lookups, totals: Totals) -> None:
        self._engine = engine
        self._lookups = lookups
        self._totals = totals

    def events(self, start_revision: int, *, key: bytes, end: bytes, bytes_max: int) -> Page:
        """Returns the changes of some keys from a revision on (F2).

        Args:
            start_revision: the first one wanted.
            key: the key, or the first of a range.
            end: see `commands`.
            bytes_max: history that is read; a revision that was begun is read to its end.

        Raises:
            CallError: COMPACTED, when the history there is gone (F5).
        """
        totals = self._totals
        if start_revision < totals.compact_revision:
            message = (
                f"history begins at revision {totals.compact_revision}, not {start_revision}: read the keys as they "
                f"are there, then watch from the revision behind"
            )
            raise call_error(Code.COMPACTED, message)
        stop = stop_of(key, end)
        found: list[Change] = []
        left_bytes = bytes_max
        revision = max(start_revision, 0)
        for pointer, record in self._engine.scan(REVISIONS, start=first_pointer(revision)):
            if left_bytes <= 0 and not pointer.startswith(revision.to_bytes(8, "big")):
                return Page(self.changes(found), revision + 1)
            revision = revision_of(pointer)
            left_bytes -= POINTER_SIZE + len(record)
            change = change_of(pointer, record)
            if key <= change[1] and (stop is None or change[1] < stop):
                found.append(change)
        return Page(self.changes(found), max(start_revision, totals.revision + 1))

    def changes(self, changes: Iterable[Change]) -> Changes:
        """Returns changes as watchers get them."""
        return [
            (revision, [self._event(revision, change) for change in group])
            for revision, group in groupby(changes, key=lambda change: revision_of(change[0]))
        ]

    def _event(self, revision: int, change: Change) -> WatchEvent:
        _, key, value, create, version, lease, previous = change
        before = None
        if version != 1 and revision > self._totals.compact_revision:
            record = self._lookups.record(previous)
            before = item_of(change_of(previous, record))
        return WatchEvent(KeyValue(key, value, create, revision, version, lease), before)


def change_of(pointer: bytes, record: bytes) -> Change:
    """Returns what a record says."""
    previous, _, _, create, version, lease, key_size = unpack_record(record)
    value_at = RECORD_SIZE + key_size
    return pointer, record[RECORD_SIZE:value_at], record[value_at:], create, version, lease, previous


def item_of(change: Change) -> KeyValue:
    """Returns a key as a change left it."""
    pointer, key, value, create, version, lease, _ = change
    return KeyValue(key, value, create, revision_of(pointer), version, lease)
