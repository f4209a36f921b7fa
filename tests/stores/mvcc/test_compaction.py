"""Compaction and the freeing of history: rule E1."""

import pytest

from libelli.core import CallError, Code
from libelli.stores.mvcc import Store
from libelli.stores.mvcc.commands import Command, Compact, CompactDone, DeleteRange, Put, Range, Transaction
from tests.stores.mvcc.cases import (
    EVERYTHING,
    REVISIONS,
    code,
    do,
    fresh,
    item,
    names,
    ranged,
    record_count,
    scrub_all,
    value,
)


def test_compacted_revisions_cannot_be_read_and_the_compacted_one_can() -> None:
    """C4, E1"""
    store = fresh(b"a", b"a", b"a")
    assert do(store, Compact(3), CompactDone) == CompactDone(4)
    assert (store.compact_revision, store.revision) == (3, 4)
    assert code(store, Range(b"a", revision=2)) is Code.COMPACTED
    assert code(store, Transaction(success=(Put(b"b", b""), Range(b"a", revision=2)))) is Code.COMPACTED
    for _ in range(2):
        assert item(store, b"a", revision=3).version == 2
        assert item(store, b"a", revision=4).version == 3
        scrub_all(store)


def test_what_is_compacted_cannot_be_compacted_again() -> None:
    """E1"""
    store = fresh(b"a", b"b", b"c")
    do(store, Compact(3), CompactDone)
    assert code(store, Compact(3)) is Code.COMPACTED
    assert code(store, Compact(2)) is Code.COMPACTED
    assert code(store, Compact(5)) is Code.FUTURE_REVISION
    assert code(store, Compact(-1)) is Code.COMPACTED
    do(store, Compact(4), CompactDone)


def test_compacting_a_fresh_store_to_0_succeeds_once() -> None:
    """E1"""
    store = fresh()
    assert code(store, Compact(-1)) is Code.COMPACTED
    do(store, Compact(0), CompactDone)
    assert code(store, Compact(0)) is Code.COMPACTED
    assert not store.scrub(1)


def test_the_newest_version_of_each_key_survives() -> None:
    """E1"""
    store = fresh(b"a", b"b", b"a", b"a")
    do(store, Compact(4), CompactDone)
    scrub_all(store)
    assert record_count(store) == 3  # b, and two of a: one at the compacted revision, one behind it
    assert [value(store, b"a", revision) for revision in (4, 5)] == [b"a", b"a"]
    assert names(store, Range(*EVERYTHING, revision=4)) == [b"a", b"b"]


def size_of_records(store: Store) -> int:
    return sum(len(record) for _, record in store._engine.scan(REVISIONS))


@pytest.mark.parametrize("count", [1, 2, 7, 1000])
def test_freeing_in_steps_gives_back_what_history_took(count: int) -> None:
    store = fresh()
    for at in range(50):
        store.apply([Put(b"k%d" % (at % 5), bytes(100)), Put(b"once%d" % at, b""), DeleteRange(b"once%d" % at)])
    full = store.size_bytes
    assert full == size_of_records(store)
    do(store, Compact(store.revision), CompactDone)
    assert store.has_scrubs
    assert store.size_bytes == full
    steps = 1
    while store.scrub(count):
        steps += 1
        assert store.size_bytes == size_of_records(store)
    assert steps >= 150 // count
    assert not store.has_scrubs
    assert record_count(store) == 5 + 1  # and the deletion at the compacted revision
    assert store.size_bytes == size_of_records(store)
    do(store, Put(b"x", b""), object)
    do(store, Compact(store.revision), CompactDone)
    scrub_all(store, count)
    assert record_count(store) == 6
    assert list(store._engine.scan(2)) == []


@pytest.mark.parametrize("count", [1, 2, 3])
def test_freeing_may_stop_in_the_middle_of_a_revision(count: int) -> None:
    store = fresh()
    for _ in range(3):
        store.apply([Transaction(success=tuple(Put(b"%d" % at, b"") for at in range(5)))])
    do(store, Compact(4), CompactDone)
    scrub_all(store, count)
    assert record_count(store) == 5
    assert store.size_bytes == size_of_records(store)


def test_a_deletion_at_the_compacted_revision_can_be_watched_until_the_next_compaction() -> None:
    """E1, F5"""
    store = fresh(b"a", b"b")
    store.apply([DeleteRange(b"a"), Compact(4)])
    scrub_all(store)
    [(revision, [event])] = store.events(4, key=b"a", bytes_max=100).changes
    assert (revision, event.item.version, event.previous) == (4, 0, None)
    store.apply([Put(b"b", b""), Compact(5)])
    scrub_all(store)
    assert record_count(store) == 1


@pytest.mark.parametrize("is_freed", [False, True])
def test_a_key_that_lives_again_is_right_whatever_is_freed_between(is_freed: bool) -> None:
    store = fresh(b"a", b"a")
    store.apply([DeleteRange(b"a"), Compact(4)])
    if is_freed:
        scrub_all(store)
    store.apply([Put(b"a", b"again"), Put(b"a", b"more")])
    assert [ranged(store, Range(b"a", revision=revision)).count for revision in (4, 5, 6)] == [0, 1, 1]
    assert (value(store, b"a", 5), value(store, b"a", 6)) == (b"again", b"more")
    do(store, Compact(6), CompactDone)
    scrub_all(store)
    assert (item(store, b"a", 6).version, item(store, b"a", 6).create_revision) == (2, 5)
    assert record_count(store) == 1


def test_freeing_one_life_of_a_key_leaves_the_next_ones() -> None:
    store = fresh(b"a")
    store.apply([DeleteRange(b"a"), Put(b"a", b"again"), DeleteRange(b"a"), Put(b"b", b""), Compact(4)])
    scrub_all(store)
    assert [names(store, Range(*EVERYTHING, revision=revision)) for revision in (4, 5, 6)] == [[b"a"], [], [b"b"]]
    assert value(store, b"a", 4) == b"again"
    assert store.size_bytes == size_of_records(store)
    store.apply([Compact(6)])
    scrub_all(store)
    assert record_count(store) == 1
    assert store.size_bytes == size_of_records(store)


def test_records_do_not_depend_on_how_far_freeing_has_come() -> None:
    commands: list[list[Command]] = [
        [Put(b"a", b"1"), Put(b"b", b"1"), DeleteRange(b"a"), DeleteRange(b"b"), Compact(5)],
        [Put(b"a", b"2"), Put(b"b", b"2"), Put(b"a", b"3"), DeleteRange(b"b")],
    ]
    eager, lazy = fresh(), fresh()
    for frame in commands:
        assert eager.apply(frame) == lazy.apply(frame)
        scrub_all(eager)
    scrub_all(lazy)
    assert [list(eager._engine.scan(table)) for table in range(1, 6)] == [
        list(lazy._engine.scan(table)) for table in range(1, 6)
    ]


def test_a_compaction_while_the_last_one_is_freed_is_freed_after_it() -> None:
    store = fresh(*[b"a"] * 20)
    do(store, Compact(10), CompactDone)
    assert store.scrub(3)
    do(store, Compact(20), CompactDone)
    scrub_all(store, 3)
    assert record_count(store) == 2
    assert store.size_bytes == size_of_records(store)
    assert [item(store, b"a", revision).version for revision in (20, 21)] == [19, 20]


def test_a_digest_of_a_compacted_or_future_revision_is_refused() -> None:
    store = fresh(b"a", b"a")
    do(store, Compact(3), CompactDone)
    for revision, expected in ((2, Code.COMPACTED), (4, Code.FUTURE_REVISION)):
        with pytest.raises(CallError) as caught:
            store.digest(revision, keys_max=1)
        assert caught.value.code is expected
