"""What watchers get: rules F2 to F5, and B3."""

import pytest

from libelli.core import CallError, Code
from libelli.stores.mvcc.commands import (
    Compact,
    DeleteRange,
    KeyValue,
    LeaseGrant,
    LeaseRevoke,
    Put,
    Transaction,
    WatchEvent,
)
from tests.stores.mvcc.cases import EVERYTHING, fresh, rows, scrub_all

KEY, END = EVERYTHING


def test_history_begins_with_the_start_revision() -> None:
    """F2"""
    store = fresh(b"a", b"b", b"c")
    page = store.events(3, key=KEY, end=END, bytes_max=1000)
    assert [revision for revision, _ in page.changes] == [3, 4]
    assert page.next_revision == 5


def test_a_future_start_has_no_events_and_stays_where_it_is() -> None:
    """F2"""
    store = fresh(b"a")
    page = store.events(9, key=KEY, end=END, bytes_max=1000)
    assert (page.changes, page.next_revision) == ([], 9)


@pytest.mark.parametrize(
    ("key", "end", "expected"),
    [(b"a", b"", [2, 4]), (b"a", b"b", [2, 4, 5]), (b"b", b"\x00", [3]), (b"c", b"", []), (b"a\x00", b"", [5])],
)
def test_only_the_keys_of_the_range_are_told_of(key: bytes, end: bytes, expected: list[int]) -> None:
    store = fresh(b"a", b"b", b"a", b"a\x00")
    page = store.events(1, key=key, end=end, bytes_max=1000)
    assert [revision for revision, _ in page.changes] == expected
    assert page.next_revision == 6


def test_pages_follow_each_other_without_gap_and_split_no_revision() -> None:
    """F3"""
    store = fresh()
    for at in range(20):
        store.apply([Transaction(success=tuple(Put(b"%d" % key, bytes(at)) for key in range(at % 4 + 1)))])
    for bytes_max in (1, 150, 400, 100_000):
        revision, found = 2, []
        while revision <= store.revision:
            page = store.events(revision, key=KEY, end=END, bytes_max=bytes_max)
            assert page.next_revision > revision
            found += page.changes
            revision = page.next_revision
        assert [at for at, _ in found] == list(range(2, 22))
        assert [len(events) for _, events in found] == [at % 4 + 1 for at in range(20)]


def test_a_page_ends_though_nothing_in_it_is_wanted() -> None:
    store = fresh(*[b"a"] * 50)
    page = store.events(2, key=b"b", bytes_max=300)
    assert page.changes == []
    assert 3 <= page.next_revision < 10


def test_events_have_the_key_before_them() -> None:
    """F4"""
    store = fresh()
    store.apply([LeaseGrant(5, 10), Put(b"a", b"1", lease=5), Put(b"a", b"2"), DeleteRange(b"a"), Put(b"a", b"3")])
    first, second = KeyValue(b"a", b"1", 2, 2, 1, 5), KeyValue(b"a", b"2", 2, 3, 2)
    expected = [
        (2, [WatchEvent(first)]),
        (3, [WatchEvent(second, first)]),
        (4, [WatchEvent(KeyValue(b"a", b"", 0, 4, 0), second)]),
        (5, [WatchEvent(KeyValue(b"a", b"3", 5, 5, 1))]),
    ]
    assert store.events(1, key=KEY, end=END, bytes_max=1000).changes == expected


@pytest.mark.parametrize("is_freed", [False, True])
def test_what_was_before_a_compacted_change_is_not_told(is_freed: bool) -> None:
    """F4"""
    store = fresh(b"a", b"a", b"a")
    store.apply([Compact(3)])
    if is_freed:
        scrub_all(store)
    changes = store.events(3, key=KEY, end=END, bytes_max=1000).changes
    assert [event.previous is None for _, events in changes for event in events] == [True, False]


def test_history_before_the_compacted_revision_is_refused() -> None:
    """F5"""
    store = fresh(b"a", b"a", b"a")
    store.apply([Compact(3)])
    with pytest.raises(CallError) as caught:
        store.events(2, key=KEY, end=END, bytes_max=1000)
    assert caught.value.code is Code.COMPACTED
    assert store.events(3, key=KEY, end=END, bytes_max=1000).changes[0][0] == 3


def test_changes_are_taken_once_as_they_are_in_history() -> None:
    store = fresh(b"a", b"b")
    store.watching = True
    store.apply([Put(b"a", b"2"), LeaseGrant(5, 1), Put(b"c", b"", lease=5)])
    store.watching = True  # another watcher must not lose what the first has not taken
    store.apply([Transaction(success=(DeleteRange(b"a"), Put(b"d", b""))), LeaseRevoke(5), Put(b"x", b"", lease=9)])
    assert store.take_changes() == store.events(4, key=KEY, end=END, bytes_max=10_000).changes
    assert store.take_changes() == []


def test_nothing_is_kept_while_nobody_watches() -> None:
    store = fresh(b"a")
    assert store.take_changes() == []
    store.watching = True
    store.apply([Put(b"a", b"")])
    store.watching = False
    assert store.take_changes() == []
    store.watching = True
    assert store.take_changes() == []


def test_watching_changes_no_table() -> None:
    watched, other = fresh(b"a"), fresh(b"a")
    watched.watching = True
    for store in (watched, other):
        store.apply([Put(b"a", b"2"), DeleteRange(b"a")])
    assert rows(watched) == rows(other)
