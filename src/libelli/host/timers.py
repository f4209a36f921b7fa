"""The timers of all groups, as one moment at which the node must be woken.

Due times of short timers are rounded down to multiples of the delay, so that the ticks of many groups fall
together and their heartbeats to a node share a frame. A timer that is set again whenever it fires keeps its mean
period, even when it is woken late.
"""

from heapq import heappop, heappush

from libelli.core.ids import GroupId

ALIGNED_MS_MAX = 1_000

Name = tuple[GroupId, str]


class Timers:
    """Named timers; each fires once."""

    def __init__(self) -> None:
        self._due: dict[Name, int] = {}
        self._heap: list[tuple[int, GroupId, str]] = []

    def set(self, group: GroupId, name: str, *, now_ms: int, after_ms: int) -> None:
        """Sets a timer; replaces the one of that name."""
        step_ms = max(1, after_ms)
        due_ms = now_ms + step_ms
        if step_ms <= ALIGNED_MS_MAX:
            due_ms -= due_ms % step_ms
        self._due[group, name] = due_ms
        heappush(self._heap, (due_ms, group, name))

    def cancel(self, group: GroupId, name: str) -> None:
        """Removes a timer, if it is set."""
        self._due.pop((group, name), None)

    def take_due(self, now_ms: int) -> list[Name]:
        """Returns the timers that are due, and forgets them."""
        found: list[Name] = []
        while self._heap and self._heap[0][0] <= now_ms:
            due_ms, group, name = heappop(self._heap)
            if self._due.get((group, name)) == due_ms:
                del self._due[group, name]
                found.append((group, name))
        return found

    def next_ms(self) -> int | None:
        """Returns when the next timer is due."""
        while self._heap and self._due.get((self._heap[0][1], self._heap[0][2])) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None
