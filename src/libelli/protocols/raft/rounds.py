"""Rounds of heartbeats that prove, after they began, that their leader led (§6.4).

::

    queries   q1 q2      q3 q4 q5        q6
                │              │
    round       1 ────────┐    2 ─────────┐       one for all that waited
                read at 40│               │
    answers           S2:1│ S3:1      S2:2│
                          ▼               ▼
                   Read(q1 q2, 40)  Read(q3 q4 q5, …)

A later round's answer confirms the earlier ones too, so a lost heartbeat costs a query one heartbeat more.
"""

from collections import deque

from libelli.core.ids import Index, Waiter


class Round:
    """A round under way.

    Attributes:
        number: rounds of one leader count up from 1.
        index: what was committed when it began.
        began_ms: when it began.
        waiters: the queries that it answers.
    """

    __slots__ = ("began_ms", "index", "number", "waiters")

    def __init__(self, number: int, index: Index, began_ms: int, waiters: tuple[Waiter, ...]) -> None:
        self.number = number
        self.index = index
        self.began_ms = began_ms
        self.waiters = waiters


class Rounds:
    """Queries that wait for a round, and the rounds under way."""

    __slots__ = ("_pending", "began_ms", "latest", "queued", "waiting")

    def __init__(self) -> None:
        self.latest = 0
        """The number of the last round that began."""
        self.began_ms: int | None = None
        """When the last confirmed round began."""
        self.queued: list[Waiter] = []
        """Queries for the next round."""
        self.waiting = 0
        """Queries altogether."""
        self._pending: deque[Round] = deque()

    @property
    def pending(self) -> int:
        """How many rounds are under way."""
        return len(self._pending)

    def ask(self, waiter: Waiter) -> None:
        """A query wants an answer."""
        self.queued.append(waiter)
        self.waiting += 1

    def begin(self, *, index: Index, now_ms: int, takes_queries: bool) -> int:
        """Begins a round, for all queued queries if it may take them; returns its number."""
        self.latest += 1
        waiters: tuple[Waiter, ...] = ()
        if takes_queries:
            waiters = tuple(self.queued)
            self.queued.clear()
        self._pending.append(Round(self.latest, index, now_ms, waiters))
        return self.latest

    def confirm(self, number: int) -> list[Round]:
        """A majority has answered `number`; returns the rounds with queries that this confirms."""
        confirmed = []
        while self._pending and self._pending[0].number <= number:
            finished = self._pending.popleft()
            self.began_ms = finished.began_ms
            if finished.waiters:
                self.waiting -= len(finished.waiters)
                confirmed.append(finished)
        return confirmed

    def take_queued(self) -> tuple[Waiter, ...]:
        """Returns the queued queries: they need no round (a lease holds)."""
        waiters = tuple(self.queued)
        self.queued.clear()
        self.waiting -= len(waiters)
        return waiters

    def abandon(self) -> tuple[Waiter, ...]:
        """Returns all queries: their leader leads no more."""
        waiters = [waiter for pending in self._pending for waiter in pending.waiters]
        waiters += self.queued
        self._pending.clear()
        self.queued.clear()
        self.waiting = 0
        return tuple(waiters)
