"""Leases: rules G1, G3 and G4."""

from libelli.core import Code
from libelli.core.limits import LEASE_TTL_S_MAX
from libelli.stores.mvcc.commands import (
    DeleteRange,
    LeaseDone,
    LeaseGrant,
    LeaseRead,
    LeaseReadDone,
    LeaseRevoke,
    LeaseState,
    Put,
    Range,
)
from tests.stores.mvcc.cases import EVERYTHING, code, do, fresh, names, read


def test_a_lease_gets_the_number_it_asks_for_or_the_next_free_one() -> None:
    """G1"""
    store = fresh()
    assert do(store, LeaseGrant(2, 10), LeaseDone) == LeaseDone(1, 2, 10)
    assert [do(store, LeaseGrant(0, 10), LeaseDone).lease for _ in range(3)] == [1, 3, 4]
    do(store, LeaseRevoke(4), LeaseDone)
    assert do(store, LeaseGrant(0, 10), LeaseDone).lease == 5


def test_a_lease_that_exists_cannot_be_granted_again() -> None:
    """G1"""
    store = fresh()
    do(store, LeaseGrant(2, 10), LeaseDone)
    assert code(store, LeaseGrant(2, 20)) is Code.LEASE_EXISTS


def test_the_time_of_a_lease_has_a_least_and_a_most() -> None:
    """G1"""
    store = fresh()
    assert do(store, LeaseGrant(1, 0), LeaseDone).ttl_s == 1
    assert do(store, LeaseGrant(2, -7), LeaseDone).ttl_s == 1
    assert do(store, LeaseGrant(3, LEASE_TTL_S_MAX), LeaseDone).ttl_s == LEASE_TTL_S_MAX
    assert code(store, LeaseGrant(4, LEASE_TTL_S_MAX + 1)) is Code.TTL_TOO_LARGE
    assert dict(store.leases()) == {1: 1, 2: 1, 3: LEASE_TTL_S_MAX}


def test_a_lease_is_read_with_its_keys() -> None:
    """G3"""
    store = fresh()
    store.apply([LeaseGrant(5, 10), LeaseGrant(-3, 20)])
    store.apply([Put(b"b", b"", lease=5), Put(b"a", b"", lease=5), Put(b"c", b"", lease=-3)])
    assert read(store, LeaseRead(5, keys=True)) == LeaseReadDone(4, (LeaseState(5, 10, (b"a", b"b")),))
    assert read(store, LeaseRead(5)) == LeaseReadDone(4, (LeaseState(5, 10),))
    assert read(store, LeaseRead(6, keys=True)) == LeaseReadDone(4, ())
    everything = (LeaseState(5, 10, (b"a", b"b")), LeaseState(-3, 20, (b"c",)))
    assert read(store, LeaseRead(0, keys=True)) == LeaseReadDone(4, everything)


def test_revoking_deletes_the_keys_in_order_in_one_revision() -> None:
    """G4"""
    store = fresh()
    store.apply([LeaseGrant(5, 10), LeaseGrant(6, 10)])
    store.apply([Put(key, b"", lease=5) for key in (b"z", b"b", b"m")] + [Put(b"c", b"", lease=6)])
    assert do(store, LeaseRevoke(5), LeaseDone) == LeaseDone(6, 5, 0)
    [(revision, events)] = store.events(6, key=b"\x00", end=b"\x00", bytes_max=1000).changes
    assert (revision, [event.item.key for event in events]) == (6, [b"b", b"m", b"z"])
    assert all(event.item.version == 0 for event in events)
    assert names(store, Range(*EVERYTHING)) == [b"c"]


def test_revoking_a_lease_without_keys_is_no_revision() -> None:
    """B1, G4"""
    store = fresh(b"a")
    do(store, LeaseGrant(5, 10), LeaseDone)
    assert do(store, LeaseRevoke(5), LeaseDone).revision == 2


def test_a_revoked_lease_is_gone() -> None:
    """G3, G4"""
    store = fresh()
    store.apply([LeaseGrant(5, 10), LeaseRevoke(5)])
    assert code(store, LeaseRevoke(5)) is Code.LEASE_NOT_FOUND
    assert code(store, Put(b"a", b"", lease=5)) is Code.LEASE_NOT_FOUND
    assert read(store, LeaseRead(5)) == LeaseReadDone(1, ())
    assert list(store.leases()) == []
    assert do(store, LeaseGrant(5, 20), LeaseDone).ttl_s == 20


def test_an_unknown_lease_cannot_be_revoked() -> None:
    """G4"""
    assert code(fresh(), LeaseRevoke(5)) is Code.LEASE_NOT_FOUND
    assert code(fresh(), LeaseRevoke(0)) is Code.LEASE_NOT_FOUND


def test_a_deleted_key_leaves_its_lease() -> None:
    store = fresh()
    store.apply([LeaseGrant(5, 10), Put(b"a", b"", lease=5), DeleteRange(b"a"), Put(b"a", b"")])
    assert do(store, LeaseRevoke(5), LeaseDone).revision == 4
    assert names(store, Range(*EVERYTHING)) == [b"a"]


def test_a_lease_with_thousands_of_keys_ends_in_one_revision() -> None:
    store = fresh()
    store.apply([LeaseGrant(5, 10), *[Put(b"%05d" % at, b"", lease=5) for at in range(2500)]])
    assert do(store, LeaseRevoke(5), LeaseDone).revision == 2502
    assert names(store, Range(*EVERYTHING)) == []
    assert list(store._engine.scan(5)) == []


def test_changes_of_leases_are_taken_once() -> None:
    store = fresh()
    store.apply([LeaseGrant(5, 10), LeaseGrant(0, 20), LeaseGrant(5, 30), LeaseRevoke(5), LeaseRevoke(7)])
    assert store.take_lease_changes() == [(5, 10), (1, 20), (5, 0)]
    assert store.take_lease_changes() == []
