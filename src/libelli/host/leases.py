"""How much time leases have left: known to the leader only, in its own clock.

A new leader gives every lease its whole time again, and a little for the election: a lease may live longer than
it was granted, never shorter (G5). Its end is an entry of the log like any other command, so all replicas delete
the keys at the same revision.
"""

from collections.abc import Iterable
from heapq import heapify, heappop, heappush

EXPIRED_MAX = 100
"""Leases that end in one step; the others follow in the next."""


class LeaseClock:
    """Deadlines of leases while this replica leads."""

    def __init__(self) -> None:
        self._deadlines: dict[int, int] = {}
        self._ttls_s: dict[int, int] = {}
        self._heap: list[tuple[int, int]] = []
        self._ended: set[int] = set()

    def __len__(self) -> int:
        return len(self._deadlines)

    def begin(self, now_ms: int, leases: Iterable[tuple[int, int]], *, grace_ms: int) -> None:
        """Starts all over with (lease, ttl_s) of every lease in the store."""
        self._ttls_s = dict(leases)
        self._deadlines = {lease: now_ms + grace_ms + ttl_s * 1000 for lease, ttl_s in self._ttls_s.items()}
        self._heap = [(deadline_ms, lease) for lease, deadline_ms in self._deadlines.items()]
        heapify(self._heap)
        self._ended.clear()

    def granted(self, now_ms: int, lease: int, ttl_s: int) -> None:
        """A lease was made."""
        self._ttls_s[lease] = ttl_s
        self._set(lease, now_ms + ttl_s * 1000)

    def revoked(self, lease: int) -> None:
        """A lease has ended."""
        self._ttls_s.pop(lease, None)
        self._deadlines.pop(lease, None)
        self._ended.discard(lease)

    def renew(self, now_ms: int, lease: int) -> int:
        """Gives a lease its whole time again; returns that time in seconds, 0 when there is no such lease."""
        ttl_s = self._ttls_s.get(lease, 0)
        if ttl_s and lease not in self._ended and self._deadlines[lease] > now_ms:
            self._set(lease, now_ms + ttl_s * 1000)
            return ttl_s
        return 0

    def remaining_ms(self, now_ms: int, lease: int) -> int:
        """Returns what is left of a lease, -1 when there is no such lease."""
        deadline_ms = self._deadlines.get(lease)
        if deadline_ms is None:
            return -1
        return 0 if lease in self._ended else max(0, deadline_ms - now_ms)

    def expired(self, now_ms: int, *, retry_ms: int) -> list[int]:
        """Returns leases whose time is over; one that is not revoked by then is returned again after `retry_ms`."""
        found: list[int] = []
        while self._heap and self._heap[0][0] <= now_ms and len(found) < EXPIRED_MAX:
            deadline_ms, lease = heappop(self._heap)
            if self._deadlines.get(lease) == deadline_ms:
                found.append(lease)
                self._ended.add(lease)
                self._set(lease, now_ms + retry_ms)
        return found

    def next_ms(self) -> int | None:
        """Returns when to look again, or None when there is no lease."""
        return self._heap[0][0] if self._heap else None

    def _set(self, lease: int, deadline_ms: int) -> None:
        self._deadlines[lease] = deadline_ms
        heappush(self._heap, (deadline_ms, lease))
        if len(self._heap) > 64 + 2 * len(self._deadlines):
            self._heap = [(deadline, name) for name, deadline in self._deadlines.items()]
            heapify(self._heap)
