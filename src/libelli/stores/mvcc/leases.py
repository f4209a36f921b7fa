"""Leases and the keys that end with them. How much time a lease has left is not known here: see `host.leases`."""

from collections.abc import Iterator
from itertools import islice

from libelli.core import Code, Refused
from libelli.stores.engine import Engine
from libelli.stores.mvcc.commands import LeaseDone, LeaseGrant, LeaseRead, LeaseReadDone, LeaseRevoke, LeaseState
from libelli.stores.mvcc.ranges import Ranges
from libelli.stores.mvcc.tables import LEASE_KEYS, LEASE_MAX, LEASE_SIZE, LEASES, pack_lease, unpack_lease
from libelli.stores.mvcc.totals import Totals
from libelli.stores.mvcc.writer import Writer

TTL_S_MIN = 1
"""A shorter lease is granted this long (G1)."""
_REVOKED_KEYS = 1000
"""Keys of a lease that are read at once while it is revoked."""
_STATE_BYTES = 64
"""What a lease, or the name of a key, takes in an answer beside its bytes."""


class Leases:
    """The leases of one store.

    Attributes:
        changes: (lease, seconds) of each that was granted, (lease, 0) of each that was revoked since somebody
            last took them.
    """

    def __init__(self, engine: Engine, totals: Totals, writer: Writer, ranges: Ranges) -> None:
        self._engine = engine
        self._totals = totals
        self._writer = writer
        self._ranges = ranges
        self.changes: list[tuple[int, int]] = []

    def __contains__(self, lease: int) -> bool:
        return self._engine.get(LEASES, pack_lease(lease)) is not None

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yields each lease with its granted time in seconds."""
        for row, ttl_s in self._engine.scan(LEASES):
            yield unpack_lease(row), int.from_bytes(ttl_s, "big")

    def check(self, lease: int) -> None:
        """Checks that there is such a lease (D1).

        Raises:
            Refused: there is none.
        """
        if lease not in self:
            raise Refused(f"lease {lease} does not exist or has ended: grant one first", code=Code.LEASE_NOT_FOUND)

    def grant(self, command: LeaseGrant) -> LeaseDone:
        """Makes a lease (G1)."""
        lease = command.lease or self._next()
        if lease in self:
            raise Refused(f"lease {lease} exists already: choose another number, or 0", code=Code.LEASE_EXISTS)
        ttl_s = max(TTL_S_MIN, command.ttl_s)
        self._engine.put(LEASES, pack_lease(lease), ttl_s.to_bytes(8, "big"))
        self.changes.append((lease, ttl_s))
        return LeaseDone(self._totals.revision, lease, ttl_s)

    def revoke(self, command: LeaseRevoke) -> LeaseDone:
        """Ends a lease; its keys are deleted in key order, in one revision (G4)."""
        lease = command.lease
        self.check(lease)
        while keys := list(islice(self._keys(lease), _REVOKED_KEYS)):
            for key in keys:
                self._writer.delete(key)
        self._engine.delete(LEASES, pack_lease(lease))
        self.changes.append((lease, 0))
        return LeaseDone(self._writer.close(), lease, 0)

    def read(self, command: LeaseRead) -> LeaseReadDone:
        """Returns a lease, or all of them (G3)."""
        states = [self._state(*each, keys=command.keys) for each in self._chosen(command.lease)]
        return LeaseReadDone(self._totals.revision, tuple(states))

    def _chosen(self, lease: int) -> Iterator[tuple[int, int]]:
        if not lease:
            yield from self
        elif (row := self._engine.get(LEASES, pack_lease(lease))) is not None:
            yield lease, int.from_bytes(row, "big")

    def _state(self, lease: int, ttl_s: int, *, keys: bool) -> LeaseState:
        self._ranges.reserve(_STATE_BYTES)
        attached = []
        for key in self._keys(lease) if keys else ():
            self._ranges.reserve(_STATE_BYTES + len(key))
            attached.append(key)
        return LeaseState(lease, ttl_s, tuple(attached))

    def _keys(self, lease: int) -> Iterator[bytes]:
        """Yields the keys attached to a lease, in key order."""
        start = pack_lease(lease)
        for row, _ in self._engine.scan(LEASE_KEYS, start=start):
            if not row.startswith(start):
                return
            yield row[LEASE_SIZE:]

    def _next(self) -> int:
        """Returns the next number that no lease has."""
        totals = self._totals
        while True:
            totals.last_lease = totals.last_lease % LEASE_MAX + 1
            if totals.last_lease not in self:
                return totals.last_lease
