"""Put, range and delete: what stands alone or in a transaction.

Each has two halves. The first looks at everything that may be wrong and changes nothing; the second cannot fail.
So a transaction checks all its operations before it runs the first.
"""

from itertools import islice

from libelli.core import Code, Refused
from libelli.stores.mvcc.commands import DeleteDone, DeleteRange, Put, PutDone, Range, RangeDone
from libelli.stores.mvcc.leases import Leases
from libelli.stores.mvcc.lookups import Lookups
from libelli.stores.mvcc.ranges import Ranges
from libelli.stores.mvcc.writer import Writer

_DELETED_KEYS = 1000
"""Keys of a range that are read at once while it is deleted."""


class Operations:
    """Carries out operations on one store; the caller ends the revision."""

    def __init__(self, lookups: Lookups, ranges: Ranges, leases: Leases, writer: Writer) -> None:
        self._lookups = lookups
        self._ranges = ranges
        self._leases = leases
        self._writer = writer

    def check(self, operation: Put | Range | DeleteRange) -> None:
        """Looks at what may be wrong with an operation, before anything is changed.

        Raises:
            Refused: it cannot be carried out.
        """
        match operation:
            case Put():
                self._check_put(operation)
            case Range():
                self._ranges.check_revision(operation.revision)
            case DeleteRange(key, end, previous) if previous:
                for found in self._lookups.range(key, end):
                    self._ranges.reserve(found[5])

    def run(self, operation: Put | Range | DeleteRange) -> PutDone | RangeDone | DeleteDone:
        """Carries out an operation that was checked."""
        match operation:
            case Put():
                return self.put(operation)
            case Range():
                return self._ranges.answer(operation, may_be_empty=True)
            case DeleteRange():
                return self.delete(operation)

    def put(self, command: Put) -> PutDone:
        """Sets a key (D1)."""
        found = self._lookups.now(command.key) if command.previous or command.keep_value or command.keep_lease else None
        if found is None:
            self._writer.put(command.key, command.value, command.lease)
            return PutDone(self._writer.revision)
        previous = self._lookups.item(found) if command.previous else None
        value = self._lookups.value(found) if command.keep_value else command.value
        self._writer.put(command.key, value, found[4] if command.keep_lease else command.lease)
        return PutDone(self._writer.revision, previous)

    def delete(self, command: DeleteRange) -> DeleteDone:
        """Deletes the keys of a range, in key order (D2)."""
        deleted = 0
        previous = []
        while found := list(islice(self._lookups.range(command.key, command.end), _DELETED_KEYS)):
            if command.previous:
                previous += [self._lookups.item(each) for each in found]
            for each in found:
                self._writer.delete(each[0])
            deleted += len(found)
        return DeleteDone(self._writer.revision, deleted, tuple(previous))

    def _check_put(self, command: Put) -> None:
        if command.lease:
            self._leases.check(command.lease)
        if not (command.previous or command.keep_value or command.keep_lease):
            return
        found = self._lookups.now(command.key)
        if found is not None:
            if command.previous:
                self._ranges.reserve(found[5])
        elif command.keep_value or command.keep_lease:
            message = f"key {command.key[:64]!r} does not exist, so there is nothing to keep: put it with a value"
            raise Refused(message, code=Code.KEY_NOT_FOUND)
