"""The log as a replica holds it: all terms, all sizes, and the data of recent entries.

::

    index      start      start+1 … data_first-1      data_first … last
              ┌───────┬───────────────────────────┬─────────────────────┐
    term      │   ■   │ runs of equal terms ────────────────────────────│
    size      │       │ running totals ─────────────────────────────────│
    data      │       │ on disk only (or lent)    │ in memory           │
              └───────┴───────────────────────────┴─────────────────────┘
               in the store           brought back by `Load`

Terms are kept as runs, since a leader writes thousands of entries in one term; sizes as running totals. So what
the rules ask (a term, where logs can part, how many entries fit into a message) costs one bisection, whatever
the length of the log, and never needs the data.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from libelli.core.entries import Entry
from libelli.core.errors import InvariantError
from libelli.core.ids import Index, Term

ENTRY_OVERHEAD = 32
"""Bytes counted for an entry beside its data: its header on disk, its object in memory."""


class Log:
    """Entries after `start_index`, of which the recent ones have their data in memory.

    Args:
        start_index: the log begins after it.
        start_term: the term of the entry at `start_index`.
        memory_bytes: `evict` keeps about this much data.
    """

    __slots__ = (
        "_data_first",
        "_ends",
        "_entries",
        "_lent",
        "_lent_first",
        "_memory_bytes",
        "_run_firsts",
        "_run_terms",
        "_start_end",
        "last_index",
        "last_term",
        "start_index",
        "start_term",
    )

    def __init__(self, *, start_index: Index, start_term: Term, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self.reset(start_index=start_index, start_term=start_term)

    def reset(self, *, start_index: Index, start_term: Term) -> None:
        """Forgets everything: the store took the place of the log up to `start_index`."""
        self.start_index = start_index
        self.start_term = start_term
        self.last_index = start_index
        self.last_term = start_term
        self._run_firsts: list[int] = []
        self._run_terms: list[Term] = []
        self._start_end = 0
        self._ends = array("Q")
        self._entries: list[Entry] = []
        self._data_first = start_index + 1
        self._lent_first = 0
        self._lent: tuple[Entry, ...] = ()

    # What the rules ask.

    def term_at(self, index: int) -> Term:
        """Returns the term of the entry at `index`; 0 where the log has none and knows none."""
        if index == self.last_index:
            return self.last_term
        if not self.start_index < index < self.last_index:
            return self.start_term if index == self.start_index else Term(0)
        return self._run_terms[bisect_right(self._run_firsts, index) - 1]

    def matches(self, *, index: int, term: int) -> bool:
        """Whether the log has an entry with this index and term, or begins behind it."""
        return self.start_index <= index <= self.last_index and self.term_at(index) == term

    def is_up_to_date(self, *, last_index: int, last_term: int) -> bool:
        """Whether a log that ends so holds at least what this one does (§3.6.1)."""
        if last_term != self.last_term:
            return last_term > self.last_term
        return last_index >= self.last_index

    def last_with_term_up_to(self, term: int, *, index: int) -> Index:
        """Returns the last index at or before `index` whose term is at most `term`.

        No later entry can equal one of a log whose entry at `index` has that term. At the start of the log, where
        everything is committed, the search ends.
        """
        runs = bisect_right(self._run_terms, term)
        if runs < len(self._run_firsts):
            index = min(index, self._run_firsts[runs] - 1)
        return Index(max(self.start_index, min(index, self.last_index)))

    def size(self, *, after: int, last: int) -> int:
        """Returns the bytes of the entries after `after` up to `last`."""
        return self._end(last) - self._end(after)

    def retained_start(self, index: int, *, entries_max: int, bytes_max: int) -> Index:
        """Returns where the log may begin so that at most this much is kept of what lies up to `index`."""
        by_size = bisect_left(self._ends, self._end(index) - bytes_max) + 1 + self.start_index
        if self._end(index) - self._start_end <= bytes_max:
            by_size = self.start_index
        return Index(max(self.start_index, index - entries_max, min(by_size, index)))

    # What changes it.

    def append(self, entries: Sequence[Entry]) -> None:
        """Adds entries behind the last one.

        Raises:
            InvariantError: a term is lower than the one before it.
        """
        ends = self._ends
        end = ends[-1] if ends else self._start_end
        term = self._run_terms[-1] if self._run_terms else None
        index = int(self.last_index)
        for entry in entries:
            index += 1
            if entry.term != term:
                self._begin_run(index, entry.term)
                term = entry.term
            end += len(entry.data) + ENTRY_OVERHEAD
            ends.append(end)
        self._entries.extend(entries)
        self.last_index = Index(index)
        self.last_term = term if term is not None else self.start_term

    def _begin_run(self, index: int, term: Term) -> None:
        before = self._run_terms[-1] if self._run_terms else self.start_term
        if term < before:
            raise InvariantError(f"entry {index} of term {term} behind an entry of term {before}")
        self._run_firsts.append(index)
        self._run_terms.append(term)

    def truncate(self, last: int) -> None:
        """Drops all entries after `last`.

        Raises:
            InvariantError: `last` lies before the start of the log.
        """
        if last < self.start_index:
            raise InvariantError(f"the log begins after {self.start_index} and cannot be cut after {last}")
        if last >= self.last_index:
            return
        del self._ends[last - self.start_index :]
        runs = bisect_right(self._run_firsts, last)
        del self._run_firsts[runs:]
        del self._run_terms[runs:]
        del self._entries[max(0, last + 1 - self._data_first) :]
        self._data_first = min(self._data_first, last + 1)
        self.take_back()
        self.last_index = Index(last)
        self.last_term = self._run_terms[-1] if self._run_terms else self.start_term

    def compact(self, index: int) -> None:
        """Drops all entries up to `index`, which lies in the log: the store has them."""
        term = self.term_at(index)
        self._start_end = self._end(index)
        del self._ends[: index - self.start_index]
        runs = bisect_right(self._run_firsts, index + 1)
        del self._run_firsts[: max(0, runs - 1)]
        del self._run_terms[: max(0, runs - 1)]
        if self._run_firsts:
            self._run_firsts[0] = max(self._run_firsts[0], index + 1)
        self.start_index = Index(index)
        self.start_term = term
        if index == self.last_index:
            self._run_firsts.clear()
            self._run_terms.clear()
        if self._data_first <= index:
            del self._entries[: index + 1 - self._data_first]
            self._data_first = index + 1

    # Data.

    def read(self, first: int, *, last: int, size_max: int) -> tuple[Entry, ...] | None:
        """Returns entries from `first` on: up to `last`, up to `size_max` bytes, at least one.

        None: the data is neither in memory nor lent, so it must be loaded. `first` lies in the log.
        """
        if self._end(last) - self._end(first - 1) > size_max:
            last = self._last_within(first, last, size_max)
        offset = first - self._data_first
        if offset >= 0:
            return tuple(self._entries[offset : last + 1 - self._data_first])
        offset = first - self._lent_first
        if 0 <= offset < len(self._lent):
            return self._lent[offset : last + 1 - self._lent_first]
        return None

    def _last_within(self, first: int, last: int, size_max: int) -> int:
        before = first - 1 - self.start_index
        fitting = bisect_right(self._ends, self._end(first - 1) + size_max, before, last - self.start_index)
        return max(first, self.start_index + fitting)

    def lend(self, first: int, entries: Sequence[Entry]) -> None:
        """Takes entries that were read back from disk, until others come; those that are not of this log are cut."""
        fitting = 0
        for index, entry in enumerate(entries, start=first):
            if not self.start_index < index <= self.last_index or entry.term != self.term_at(index):
                break
            fitting += 1
        self._lent_first = first
        self._lent = tuple(entries[:fitting])

    def take_back(self) -> None:
        """Drops what was lent."""
        self._lent_first = 0
        self._lent = ()

    def evict(self, durable: int) -> None:
        """Drops data of the oldest entries up to `durable` once a quarter too much is in memory."""
        if self._end(self.last_index) - self._end(self._data_first - 1) <= self._memory_bytes * 5 // 4:
            return
        first = bisect_left(self._ends, self._end(self.last_index) - self._memory_bytes) + 1 + self.start_index
        first = min(first + 1, durable + 1)
        if first > self._data_first:
            del self._entries[: first - self._data_first]
            self._data_first = first

    @property
    def data_first(self) -> Index:
        """The first index whose data is in memory."""
        return Index(self._data_first)

    def _end(self, index: int) -> int:
        return self._ends[index - self.start_index - 1] if index > self.start_index else self._start_end
