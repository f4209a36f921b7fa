"""The store against a model that keeps a copy of everything: the same answers, at every revision, whatever happens
below (flushes, a frozen generation, a store made anew, history that is freed)."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libelli.core import CallError, Code
from libelli.stores.memory import MemoryCheckpoint
from libelli.stores.mvcc import Store
from libelli.stores.mvcc.commands import (
    Answer,
    Command,
    Compact,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    Failed,
    LeaseGrant,
    LeaseRead,
    LeaseRevoke,
    Operation,
    Put,
    Range,
    SortOrder,
    SortTarget,
    Transaction,
    WatchEvent,
)
from libelli.stores.overlay import Overlay
from tests.stores.mvcc.model import Model

EVERYTHING = (b"\x00", b"\x00")


@dataclass(frozen=True)
class Apply:
    commands: tuple[Command, ...]
    no_space: bool = False


@dataclass(frozen=True)
class Freeze:
    """A generation is taken to be written …"""


@dataclass(frozen=True)
class Flushed:
    """… and is written."""


@dataclass(frozen=True)
class Reopen:
    """The store is made anew over its tables; with `crash`, from what is durable, after all was made so."""

    crash: bool


@dataclass(frozen=True)
class FreeSome:
    count: int


@dataclass(frozen=True)
class ReadHistory:
    start: int
    key: bytes
    end: bytes
    bytes_max: int


Step = Apply | Freeze | Flushed | Reopen | FreeSome | ReadHistory

keys = st.sampled_from([b"a", b"a\x00", b"b", b"bb", b"c", b"\x00", b"\xff"])
ends = st.sampled_from([b"", b"", b"b\x00", b"c", b"\x00", b"a"])
values = st.sampled_from([b"", b"1", b"2", b"333"])
revisions = st.sampled_from([0, 0, 0, -1, *range(1, 30)])
leases = st.sampled_from([0, 0, 1, 2, 3, -1])
flags = st.sampled_from([False, False, False, True])
limits = st.sampled_from([0, 0, 1, 2, -1])
bounds = st.sampled_from([0, 0, 0, 0, 3, 5, 9])

puts = st.builds(Put, keys, values, leases, flags, flags, flags) | st.builds(Put, keys, values)
ranges = st.builds(
    Range,
    keys,
    ends,
    limits,
    revisions,
    st.sampled_from(SortOrder),
    st.sampled_from(SortTarget),
    flags,
    flags,
    bounds,
    bounds,
    bounds,
    bounds,
)
deletes = st.builds(DeleteRange, keys, ends, flags)
compares = st.builds(
    Compare,
    keys,
    st.sampled_from(CompareTarget),
    st.sampled_from(CompareResult),
    st.sampled_from([0, 0, 1, 2, 3, 5]),
    values,
    ends,
)


def transactions(operations: st.SearchStrategy[Operation]) -> st.SearchStrategy[Transaction]:
    branches = st.lists(operations, max_size=3).map(tuple)
    return st.builds(Transaction, st.lists(compares, max_size=2).map(tuple), branches, branches)


operations: st.SearchStrategy[Operation] = puts | ranges | deletes
commands: st.SearchStrategy[Command] = st.one_of(
    puts,
    puts,
    puts,
    ranges,
    deletes,
    transactions(operations),
    transactions(operations | transactions(operations)),
    st.builds(Compact, st.integers(-1, 25)),
    st.builds(LeaseGrant, leases, st.sampled_from([-1, 0, 10, 9_000_000_001])),
    st.builds(LeaseRevoke, leases),
    st.builds(LeaseRead, leases, flags),
)
steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(Apply, st.lists(commands, min_size=1, max_size=4).map(tuple)),
    st.builds(Apply, st.lists(commands, min_size=1, max_size=4).map(tuple)),
    st.builds(Apply, st.lists(commands, min_size=1, max_size=4).map(tuple)),
    st.builds(Apply, st.tuples(commands), st.just(True)),
    st.builds(Freeze),
    st.builds(Flushed),
    st.builds(Reopen, st.booleans()),
    st.builds(FreeSome, st.integers(1, 9)),
    st.builds(ReadHistory, st.integers(0, 25), keys, ends, st.sampled_from([1, 100, 500])),
)


class Subject:
    """A store over an overlay, beside its model."""

    def __init__(self) -> None:
        self.checkpoint = MemoryCheckpoint()
        self.overlay = Overlay(self.checkpoint)
        self.model = Model()
        self.runs: Sequence[object] | None = None
        self.open()

    def open(self) -> None:
        self.store = Store(self.overlay)
        self.store.watching = True

    def take(self, step: Step) -> None:
        match step:
            case Apply():
                self.apply(step)
            case Freeze() if self.runs is None:
                self.runs = self.overlay.freeze() or None
            case Flushed():
                self.flush()
            case Reopen(crash):
                self.reopen(crash)
            case FreeSome(count):
                assert self.store.scrub(count) is self.store.has_scrubs
            case ReadHistory():
                self.read_history(step)
        assert (self.store.revision, self.store.compact_revision) == (self.model.revision, self.model.compacted)
        assert dict(self.store.leases()) == self.model.leases

    def apply(self, step: Apply) -> None:
        before = self.model.revision
        granted = dict(self.model.leases)
        answers = self.store.apply(step.commands, no_space=step.no_space)
        expected = self.model.apply(step.commands, no_space=step.no_space)
        assert [without_words(answer) for answer in answers] == expected
        assert without_previous(self.store.take_changes()) == without_previous(
            self.model.history(before + 1, *EVERYTHING)
        )
        for lease, ttl_s in self.store.take_lease_changes():
            granted[lease] = ttl_s
        assert {lease: ttl_s for lease, ttl_s in granted.items() if ttl_s} == self.model.leases

    def flush(self) -> None:
        if self.runs is not None:
            self.checkpoint.write(self.runs)  # type: ignore[arg-type]
            self.overlay.flushed()
            self.runs = None

    def reopen(self, crash: bool) -> None:
        if crash:
            self.flush()
            self.runs = self.overlay.freeze() or None
            self.flush()
            self.overlay = Overlay(self.checkpoint)
        self.open()

    def read_history(self, step: ReadHistory) -> None:
        """Reads page by page, as a watcher that is behind does."""
        revision, found = step.start, []
        if step.start < self.model.compacted:
            with pytest.raises(CallError) as caught:
                self.store.events(step.start, key=step.key, end=step.end, bytes_max=step.bytes_max)
            assert caught.value.code is Code.COMPACTED
            return
        while revision <= self.model.revision:
            page = self.store.events(revision, key=step.key, end=step.end, bytes_max=step.bytes_max)
            assert page.next_revision > revision
            assert all(revision <= at < page.next_revision for at, _ in page.changes)
            found += page.changes
            revision = page.next_revision
        assert found == self.model.history(step.start, step.key, step.end)

    def compare_everything(self) -> None:
        """Every revision that can be read; then everything is freed, and every one again."""
        self.compare_revisions()
        while self.store.scrub(3):
            pass
        self.compare_revisions()
        self.read_history(ReadHistory(max(self.model.compacted, 0), *EVERYTHING, 200))
        self.compare_rows()

    def compare_revisions(self) -> None:
        for revision in range(max(self.model.compacted, 1), self.model.revision + 1):
            for command in (
                Range(*EVERYTHING, revision=revision),
                Range(*EVERYTHING, revision=revision, limit=1),
                Range(*EVERYTHING, revision=revision, count_only=True),
                Range(b"b", revision=revision),
            ):
                assert self.store.read([command]) == self.model.apply([command])

    def compare_rows(self) -> None:
        """What is left of history is what somebody can still see, and it is counted."""
        records = list(self.overlay.scan(3))
        assert self.store.size_bytes == sum(len(record) for _, record in records)
        seen = {item.mod_revision for item in self.model.past[max(self.model.compacted, 0)].values()}
        seen |= set(range(max(self.model.compacted, 0), self.model.revision + 1))
        assert {int.from_bytes(pointer[:8], "big") for pointer, _ in records} <= seen


def without_words(answer: Answer) -> Answer:
    return Failed(answer.code, "") if isinstance(answer, Failed) else answer


def without_previous(changes: list[tuple[int, list[WatchEvent]]]) -> list[tuple[int, list[WatchEvent]]]:
    """A compaction in the same frame may hide what was before a change, or come too late for it."""
    return [(revision, [WatchEvent(event.item) for event in events]) for revision, events in changes]


def check(taken: list[Step]) -> None:
    subject = Subject()
    for step in taken:
        subject.take(step)
    subject.compare_everything()


@settings(max_examples=100)
@given(st.lists(steps, min_size=10, max_size=30))
def test_a_store_answers_as_one_that_keeps_everything(taken: list[Step]) -> None:
    check(taken)


@pytest.mark.slow
@settings(max_examples=3000)
@given(st.lists(steps, min_size=10, max_size=60))
def test_a_store_answers_as_one_that_keeps_everything_in_long_runs(taken: list[Step]) -> None:
    check(taken)
