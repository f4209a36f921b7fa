"""Put and delete: rules D1 and D2."""

import pytest

from libelli.core import Code, Decoder, encode
from libelli.core.limits import KEY_SIZE_MAX, MIB, VALUE_SIZE_MAX
from libelli.stores.mvcc.commands import (
    Command,
    Compact,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteDone,
    DeleteRange,
    KeyValue,
    LeaseGrant,
    LeaseRead,
    LeaseRevoke,
    Put,
    PutDone,
    Range,
    SortOrder,
    SortTarget,
    Transaction,
)
from tests.stores.mvcc.cases import EVERYTHING, code, do, fresh, item, names, value


def test_a_put_returns_what_was_before_when_asked() -> None:
    """D1"""
    store = fresh()
    assert do(store, Put(b"a", b"1", previous=True), PutDone).previous is None
    assert do(store, Put(b"a", b"2", previous=True), PutDone).previous == KeyValue(b"a", b"1", 2, 2, 1)
    assert do(store, Put(b"a", b"3"), PutDone).previous is None


def test_a_put_may_keep_value_or_lease() -> None:
    """D1"""
    store = fresh()
    store.apply([LeaseGrant(5, 10), LeaseGrant(6, 10), Put(b"a", b"1", lease=5)])
    do(store, Put(b"a", b"", lease=6, keep_value=True), PutDone)
    assert (item(store, b"a").value, item(store, b"a").lease) == (b"1", 6)
    do(store, Put(b"a", b"2", keep_lease=True), PutDone)
    assert (item(store, b"a").value, item(store, b"a").lease, item(store, b"a").version) == (b"2", 6, 3)


@pytest.mark.parametrize("put", [Put(b"x", b"", keep_value=True), Put(b"x", b"1", keep_lease=True)])
def test_nothing_can_be_kept_of_a_missing_key(put: Put) -> None:
    """D1"""
    assert code(fresh(b"a"), put) is Code.KEY_NOT_FOUND
    assert code(fresh(b"a"), Transaction(success=(Put(b"b", b""), put))) is Code.KEY_NOT_FOUND


@pytest.mark.parametrize("put", [Put(b"a", b"1", keep_value=True), Put(b"a", b"", lease=1, keep_lease=True)])
def test_what_is_kept_cannot_be_given_as_well(put: Put) -> None:
    """D1"""
    assert code(fresh(b"a"), put) is Code.INVALID


def test_a_put_needs_its_lease() -> None:
    """D1"""
    store = fresh(b"a")
    assert code(store, Put(b"a", b"", lease=4)) is Code.LEASE_NOT_FOUND
    assert code(store, Transaction(success=(Put(b"b", b""), Put(b"a", b"", lease=4)))) is Code.LEASE_NOT_FOUND


def test_a_put_without_lease_detaches_the_old_one() -> None:
    """D1"""
    store = fresh()
    store.apply([LeaseGrant(5, 10), Put(b"a", b"", lease=5), Put(b"b", b"", lease=5), Put(b"a", b""), LeaseRevoke(5)])
    assert names(store, Range(*EVERYTHING)) == [b"a"]


def test_a_delete_counts_and_returns_what_was_there() -> None:
    """D2"""
    store = fresh(b"a", b"b", b"c", b"d")
    done = do(store, DeleteRange(b"b", b"d", previous=True), DeleteDone)
    assert (done.revision, done.deleted, [each.key for each in done.previous]) == (6, 2, [b"b", b"c"])
    assert do(store, DeleteRange(b"a"), DeleteDone) == DeleteDone(7, 1)
    assert do(store, DeleteRange(b"a"), DeleteDone) == DeleteDone(7, 0)
    assert names(store, Range(*EVERYTHING)) == [b"d"]


def test_a_delete_of_thousands_is_one_revision_in_key_order() -> None:
    store = fresh()
    store.apply([Put(b"%05d" % at, b"") for at in reversed(range(2500))])
    assert do(store, DeleteRange(*EVERYTHING), DeleteDone).deleted == 2500
    [(_, events)] = store.events(store.revision, key=b"\x00", end=b"\x00", bytes_max=1).changes
    assert [event.item.key for event in events] == [b"%05d" % at for at in range(2500)]


def test_a_put_that_returns_more_than_a_frame_may_is_refused() -> None:
    store = fresh()
    large = [Put(b"%02d" % at, bytes(MIB - 100)) for at in range(9)]
    store.apply(large)
    answers = store.apply([Put(put.key, b"", previous=True) for put in large])
    assert [isinstance(answer, PutDone) for answer in answers] == [True] * 8 + [False]
    assert value(store, b"08") == large[8].value
    store.apply(large)
    assert code(store, DeleteRange(*EVERYTHING, previous=True)) is Code.TOO_LARGE
    assert do(store, DeleteRange(*EVERYTHING), DeleteDone).deleted == 9


TOO_LONG = bytes(KEY_SIZE_MAX + 1)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (Put(TOO_LONG, b""), Code.TOO_LARGE),
        (Put(b"a", bytes(VALUE_SIZE_MAX + 1)), Code.TOO_LARGE),
        (Put(b"a", b"", lease=2**63), Code.INVALID),
        (Range(TOO_LONG), Code.TOO_LARGE),
        (Range(b"a", TOO_LONG), Code.TOO_LARGE),
        (DeleteRange(b"a", TOO_LONG), Code.TOO_LARGE),
        (LeaseGrant(2**64 - 1, 1), Code.INVALID),
        (LeaseRevoke(2**64 - 1), Code.INVALID),
        (LeaseRead(2**64 - 1), Code.INVALID),
        (Range(b"a", revision=2**64 - 1), Code.FUTURE_REVISION),
        (Transaction((Compare(b"", CompareTarget.MOD, CompareResult.EQUAL),)), Code.INVALID),
        (Transaction(failure=(Put(TOO_LONG, b""),)), Code.TOO_LARGE),
    ],
)
def test_what_is_over_a_limit_is_refused_and_changes_nothing(command: Command, expected: Code) -> None:
    assert code(fresh(b"a"), command) is expected


def test_the_largest_key_and_value_are_taken() -> None:
    store = fresh()
    store.apply([Put(bytes(KEY_SIZE_MAX), b"1"), Put(b"a", bytes(VALUE_SIZE_MAX)), LeaseGrant(-(2**63), 1)])
    assert (value(store, bytes(KEY_SIZE_MAX)), len(value(store, b"a"))) == (b"1", VALUE_SIZE_MAX)
    assert list(store.leases()) == [(-(2**63), 1)]


NUMBERS = (-(2**63), -1, 0, 2**63 - 1, 2**63, 2**64 - 1)
"""The ends of what a decoded command may hold."""


@pytest.mark.parametrize("number", NUMBERS)
def test_no_number_stops_a_store(number: int) -> None:
    store = fresh(b"a", b"b")
    compares = [Compare(b"a", target, result, number) for target in CompareTarget for result in CompareResult]
    commands: list[Command] = [
        Put(b"a", b"", lease=number),
        LeaseGrant(number, 10),
        LeaseGrant(1, number),
        LeaseRead(number, keys=True),
        LeaseRevoke(number),
        Range(b"a", b"c", limit=number),
        Range(b"a", b"c", limit=number, target=SortTarget.MOD),
        Range(b"a", b"c", revision=number),
        Range(b"a", b"c", 0, 0, SortOrder.NONE, SortTarget.KEY, False, False, number, number, number, number),
        Transaction(tuple(compares), (Range(b"a", revision=number),)),
        Compact(number),
    ]
    decoder: Decoder[list[Command]] = Decoder(list[Command], name="commands")
    decoded = decoder.decode(encode(commands))
    assert decoded == commands
    assert len(store.apply(decoded)) == len(commands)
    assert len(store.read(decoded)) == len(commands)


@pytest.mark.parametrize(
    "command",
    [Put(b"b", b""), LeaseGrant(0, 10), Transaction(failure=(Transaction(success=(Put(b"b", b""),)),))],
)
def test_without_space_nothing_is_added(command: Command) -> None:
    """H2"""
    assert code(fresh(b"a"), command, no_space=True) is Code.NO_SPACE


def test_without_space_deletes_reads_and_compaction_pass() -> None:
    """H2"""
    store = fresh(b"a", b"b")
    store.apply([LeaseGrant(5, 10)])
    commands: list[Command] = [
        DeleteRange(b"a"),
        Transaction(success=(DeleteRange(b"b"), Range(b"a"))),
        Range(b"a"),
        Compact(3),
        LeaseRevoke(5),
    ]
    answers = store.apply(commands, no_space=True)
    assert "Failed" not in {type(answer).__name__ for answer in answers}
