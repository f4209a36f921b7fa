"""Frees compacted history, a few records at a time.

A compaction to C is done at once as far as anybody can see: nothing before C can be read. The records go later::

    records in time order    … │ last pass │ … a ◄─ b … │ C │ …
                               ^ begins here            ^ ends behind here

Each record with a revision up to C shows that its predecessor is superseded, which therefore goes; what was
superseded earlier than the last pass is gone already. Deletions before C go too. Those of C itself stay, to be
watched from there, until the next pass; that is why a pass begins where the last one ended, and not behind it.
"""

from itertools import islice

from libelli.stores.engine import Engine
from libelli.stores.mvcc.lookups import key_of
from libelli.stores.mvcc.tables import (
    DELETED,
    POINTER_SIZE,
    REVISIONS,
    first_pointer,
    unpack_record,
)
from libelli.stores.mvcc.totals import Totals


class Scrub:
    """Frees the compacted history of one store."""

    def __init__(self, engine: Engine, totals: Totals) -> None:
        self._engine = engine
        self._totals = totals

    @property
    def is_needed(self) -> bool:
        """Whether there is history to be freed."""
        return self._totals.scrubbed < self._totals.compact_revision

    def step(self, count: int) -> None:
        """Looks at up to `count` records."""
        totals = self._totals
        if totals.scrub_target <= totals.scrubbed:  # a new pass
            totals.scrub_target = totals.compact_revision
            totals.scrub_position = first_pointer(max(totals.scrubbed, 0))
        end = first_pointer(totals.scrub_target + 1)
        records = list(islice(self._engine.scan(REVISIONS, start=totals.scrub_position, end=end), count))
        unseen, held = first_pointer(totals.scrubbed + 1), first_pointer(totals.scrub_target)
        for pointer, record in records:
            self._visit(pointer, record, is_new=pointer >= unseen, is_held=pointer >= held)
        if len(records) < count:
            totals.scrubbed = totals.scrub_target
        else:
            totals.scrub_position = records[-1][0] + b"\x00"

    def _visit(self, pointer: bytes, record: bytes, *, is_new: bool, is_held: bool) -> None:
        """Frees what a record shows to be of no use any more.

        Args:
            pointer: to the record.
            record: of a revision up to the compaction that is being freed.
            is_new: the last pass did not come here.
            is_held: it belongs to that compaction's own revision.
        """
        previous, _, previous_size, _, version, _, _ = unpack_record(record)
        # before the first version of a key there is nothing, or a deletion that was visited itself
        if is_new and version != 1:
            self._engine.delete(REVISIONS, previous)
            self._totals.size_bytes -= previous_size
        if version == 0 and not is_held:
            self._engine.delete(REVISIONS, pointer)
            self._totals.size_bytes -= len(record)
            self._forget(key_of(record), pointer)

    def _forget(self, key: bytes, pointer: bytes) -> None:
        """Removes a deleted key, unless it was created and deleted again since."""
        head = self._engine.get(DELETED, key)
        if head is not None and head[-POINTER_SIZE:] == pointer:
            self._engine.delete(DELETED, key)
            self._totals.deleted -= 1
