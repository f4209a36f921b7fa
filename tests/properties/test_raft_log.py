"""Raft's log, with its runs and running totals, beside a twin that is a plain list."""

import random

import pytest

from libelli.core import Entry, EntryKind, Index, Term
from libelli.protocols.raft.log import ENTRY_OVERHEAD, Log
from libelli.protocols.raft.quorum import agreed, majority


class PlainLog:
    """All entries from 1 on, and where the log begins."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.start = 0

    @property
    def last(self) -> int:
        return len(self.entries)

    def term(self, index: int) -> int:
        return self.entries[index - 1].term if max(1, self.start) <= index <= self.last else 0

    def size(self, after: int, last: int) -> int:
        return sum(len(entry.data) + ENTRY_OVERHEAD for entry in self.entries[after:last])

    def fitting(self, first: int, last: int, size_max: int) -> list[Entry]:
        taken = self.entries[first - 1 : first]
        for index in range(first + 1, last + 1):
            if self.size(first - 1, index) > size_max:
                break
            taken.append(self.entries[index - 1])
        return taken


class Twins:
    """Both logs, changed alike."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.log = Log(start_index=Index(0), start_term=Term(0), memory_bytes=400)
        self.plain = PlainLog()
        self.newest = 1

    def append(self) -> None:
        term = self.plain.entries[-1].term if self.plain.entries else 1
        term = self.dice.randint(term, max(term, self.newest))
        entries = [
            Entry(Term(term), EntryKind.COMMAND, self.dice.randbytes(self.dice.randrange(40)))
            for _ in range(self.dice.randrange(1, 5))
        ]
        self.log.append(entries)
        self.plain.entries += entries

    def truncate(self) -> None:
        last = self.dice.randint(max(self.plain.start, self.plain.last - 4), self.plain.last)
        self.log.truncate(last)
        del self.plain.entries[last:]
        self.newest += 1

    def compact(self) -> None:
        index = self.dice.randint(self.plain.start, min(self.plain.start + 3, self.plain.last))
        if index > self.plain.start:
            self.log.compact(index)
            self.plain.start = index

    def evict(self) -> None:
        self.log.evict(self.dice.randint(self.plain.start, self.plain.last))

    def lend(self) -> None:
        """Brings entries back from disk, some of which another leader wrote."""
        if self.plain.start < self.plain.last:
            first = self.dice.randint(self.plain.start + 1, self.plain.last)
            entries = self.plain.entries[first - 1 :]
            foreign = self.dice.randrange(2 * len(entries))
            entries[foreign:] = [Entry(Term(999), EntryKind.COMMAND, b"foreign") for _ in entries[foreign:]]
            self.log.lend(first, entries)

    def compare(self) -> None:
        log, plain, dice = self.log, self.plain, self.dice
        assert (log.start_index, log.last_index) == (plain.start, plain.last)
        assert [log.term_at(index) for index in range(plain.last + 3)] == [
            plain.term(index) for index in range(plain.last + 3)
        ]
        term, index = dice.randint(0, self.newest), dice.randint(plain.start, plain.last + 3)
        fitting = [each for each in range(plain.start, min(index, plain.last) + 1) if plain.term(each) <= term]
        assert log.last_with_term_up_to(term, index=index) == max(fitting, default=plain.start)
        if plain.start < plain.last:
            first = dice.randint(plain.start + 1, plain.last)
            last = dice.randint(first, plain.last)
            assert log.size(after=first - 1, last=last) == plain.size(first - 1, last)
            size_max = dice.randrange(300)
            read = log.read(first, last=last, size_max=size_max)
            expected = plain.fitting(first, last, size_max)
            assert read is None or (read and list(read) == expected[: len(read)])
            if first >= log.data_first:
                assert read is not None
                assert list(read) == expected


@pytest.mark.parametrize("schedule", range(40))
def test_the_log_says_what_a_plain_list_says(seed: int, schedule: int) -> None:
    twins = Twins(random.Random(seed + schedule))
    actions = [twins.append, twins.append, twins.append, twins.truncate, twins.compact, twins.evict, twins.lend]
    for _ in range(120):
        twins.dice.choice(actions)()
        twins.compare()


def test_agreed_is_the_largest_value_that_a_majority_has_reached(seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(300):
        values = [dice.randrange(6) for _ in range(dice.randrange(1, 8))]
        reached = [value for value in values if sum(each >= value for each in values) >= majority(len(values))]
        assert agreed(values) == max(reached)
    assert agreed([]) == 0


def test_any_two_majorities_share_a_voter_also_when_one_voter_came_or_went() -> None:
    for voters in range(1, 10):
        assert 2 * majority(voters) > voters
        assert majority(voters) + majority(voters + 1) > voters + 1
