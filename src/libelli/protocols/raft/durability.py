"""What is on disk, and what is on its way there.

::

    Persist 7: entries 11…14      ┐
    Persist 8: vote               ├ under way, answered in this order
    Persist 9: entries 13…13      ┘ ◄─ cut the log at 12 first, so Persist 7 proves only up to 12

A log that was cut takes back what earlier tickets would have proved: the entry at an index may be replaced and
later come back, so its term alone cannot tell whether it is on disk now.
"""

from collections import deque

from libelli.core.ids import Index, Ticket


class Write:
    """A Persist that is not answered yet.

    Attributes:
        ticket: its ticket.
        last_index: up to here the log is durable when it is answered (0: proves nothing about entries).
        tick: when it was asked for.
    """

    __slots__ = ("last_index", "tick", "ticket")

    def __init__(self, ticket: Ticket, last_index: Index, tick: int) -> None:
        self.ticket = ticket
        self.last_index = last_index
        self.tick = tick


class Durability:
    """Counts tickets, and knows up to which index the log is durable.

    Args:
        index: up to here it is from the start.
    """

    __slots__ = ("_last_ticket", "_writes", "index")

    def __init__(self, index: Index) -> None:
        self.index = index
        self._last_ticket = 0
        self._writes: deque[Write] = deque()

    @property
    def next_ticket(self) -> Ticket:
        """The ticket of the next Persist."""
        return Ticket(self._last_ticket + 1)

    @property
    def writes(self) -> int:
        """How many are under way."""
        return len(self._writes)

    def issue(self, last_index: Index, tick: int) -> Ticket:
        """Returns the ticket of a Persist that writes entries up to `last_index` (0: none)."""
        self._last_ticket += 1
        ticket = Ticket(self._last_ticket)
        self._writes.append(Write(ticket, last_index, tick))
        return ticket

    def complete(self, ticket: Ticket) -> None:
        """Takes the answer to `ticket`, and with it to all earlier ones."""
        writes = self._writes
        while writes and writes[0].ticket <= ticket:
            last_index = writes.popleft().last_index
            self.index = max(self.index, last_index)

    def cut(self, index: Index) -> None:
        """Takes back whatever was proved, or will be proved by earlier tickets, after `index`."""
        self.index = min(self.index, index)
        for write in self._writes:
            write.last_index = min(write.last_index, index)

    def raise_to(self, index: Index) -> None:
        """The store is durable by itself up to `index`, so the log needs no more proof of it."""
        self.index = max(self.index, index)

    def oldest_age(self, tick: int) -> int:
        """Returns how many ticks the oldest unanswered Persist has waited (0: there is none)."""
        return tick - self._writes[0].tick if self._writes else 0
