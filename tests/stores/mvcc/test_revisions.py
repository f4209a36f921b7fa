"""Revisions and the numbers of keys: rules B1 to B5."""

import pytest

from libelli.core import Code
from libelli.stores.mvcc.commands import (
    Command,
    DeleteDone,
    DeleteRange,
    LeaseDone,
    LeaseGrant,
    Put,
    PutDone,
    Range,
    Transaction,
    TransactionDone,
)
from tests.stores.mvcc.cases import EVERYTHING, code, do, fresh, item, ranged, value


def test_a_fresh_store_has_revision_1() -> None:
    """B1"""
    store = fresh()
    assert store.revision == 1
    assert ranged(store, Range(*EVERYTHING)).revision == 1


def test_every_change_adds_exactly_one() -> None:
    """B1"""
    store = fresh()
    assert do(store, Put(b"a", b"1"), PutDone).revision == 2
    assert do(store, Put(b"a", b"1"), PutDone).revision == 3
    assert do(store, DeleteRange(*EVERYTHING), DeleteDone).revision == 4


def test_a_transaction_with_many_changes_adds_one() -> None:
    """B1"""
    store = fresh(b"a")
    done = do(store, Transaction(success=(Put(b"b", b""), DeleteRange(b"a"), Put(b"c", b""))), TransactionDone)
    assert (done.revision, store.revision) == (3, 3)


@pytest.mark.parametrize(
    "command",
    [
        DeleteRange(b"x"),
        Transaction(),
        Transaction(success=(Range(b"a"),), failure=(Put(b"a", b""),)),
        Transaction(success=(DeleteRange(b"x", b"z"),)),
        LeaseGrant(0, 10),
    ],
)
def test_what_changes_no_key_adds_nothing(command: Command) -> None:
    """B1"""
    store = fresh(b"a")
    store.apply([command])
    assert store.revision == 2


def test_an_update_keeps_the_create_revision_and_counts_the_version() -> None:
    """B2"""
    store = fresh(b"a", b"b")
    do(store, Put(b"a", b"2"), PutDone)
    found = item(store, b"a")
    assert (found.create_revision, found.mod_revision, found.version, found.value) == (2, 4, 2, b"2")


def test_a_deleted_key_begins_anew() -> None:
    """B2"""
    store = fresh(b"a", b"a")
    store.apply([DeleteRange(b"a"), Put(b"a", b"again")])
    found = item(store, b"a")
    assert (found.create_revision, found.mod_revision, found.version) == (5, 5, 1)


def test_changes_of_one_transaction_share_a_revision_and_keep_their_order() -> None:
    """B3"""
    store = fresh(b"b")
    store.apply([Transaction(success=(Put(b"z", b""), DeleteRange(b"b"), Put(b"a", b"")))])
    [(revision, events)] = store.events(3, key=b"\x00", end=b"\x00", bytes_max=1000).changes
    assert revision == 3
    assert [event.item.key for event in events] == [b"z", b"b", b"a"]
    assert {event.item.mod_revision for event in events} == {3}


def test_a_read_of_the_past_tells_the_revision_of_now() -> None:
    """B4"""
    store = fresh(b"a", b"b", b"c")
    assert ranged(store, Range(b"a", revision=2)).revision == 4


@pytest.mark.parametrize(
    "command", [Put(b"", b"1"), Range(b""), DeleteRange(b""), Transaction(success=(Put(b"", b""),))]
)
def test_an_empty_key_is_refused(command: Command) -> None:
    """B5"""
    assert code(fresh(b"a"), command) is Code.INVALID


def test_keys_and_values_are_any_bytes() -> None:
    """B5"""
    store = fresh()
    everything = bytes(range(256))
    store.apply([Put(everything, everything), Put(b"\x00", b""), Put(b"\xff" * 3, b"\x00")])
    assert value(store, everything) == everything
    assert [found.key for found in ranged(store, Range(*EVERYTHING)).items] == [b"\x00", everything, b"\xff" * 3]


def test_a_refused_command_stops_no_other_of_its_frame() -> None:
    store = fresh()
    answers = store.apply([Put(b"a", b"1"), Put(b"b", b"", lease=7), Put(b"c", b"3")])
    assert [type(answer).__name__ for answer in answers] == ["PutDone", "Failed", "PutDone"]
    assert store.revision == 3


def test_a_grant_and_a_put_with_it_may_share_a_frame() -> None:
    store = fresh()
    granted, put = store.apply([LeaseGrant(9, 10), Put(b"a", b"", lease=9)])
    assert isinstance(granted, LeaseDone)
    assert isinstance(put, PutDone)
