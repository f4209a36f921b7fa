"""Transactions: rules D3 to D5, and the limit of their operations (A5)."""

import pytest

from libelli.core import Code
from libelli.stores.mvcc.commands import (
    Compare,
    CompareResult,
    CompareTarget,
    DeleteDone,
    DeleteRange,
    LeaseGrant,
    Operation,
    Put,
    PutDone,
    Range,
    RangeDone,
    Transaction,
    TransactionDone,
)
from libelli.stores.mvcc.validity import nests_too_deep
from tests.stores.mvcc.cases import EVERYTHING, code, do, fresh, names, value

EQUAL, GREATER, LESS, NOT_EQUAL = CompareResult
VERSION, CREATE, MOD, VALUE, LEASE = CompareTarget


def holds(compare: Compare) -> bool:
    """Compares with a: create 2, mod 4, version 2, value "1", lease 7; b: 3, 3, 1, "b", 0; ab: 5, 5, 1, "1", 0."""
    store = fresh(b"a", b"b")
    store.apply([LeaseGrant(7, 10), Put(b"a", b"1", lease=7), Put(b"ab", b"1")])
    return do(store, Transaction((compare,)), TransactionDone).succeeded


@pytest.mark.parametrize(("target", "number"), [(VERSION, 2), (CREATE, 2), (MOD, 4), (LEASE, 7)])
def test_a_number_of_a_key_is_compared(target: CompareTarget, number: int) -> None:
    """D3"""
    for offset in (-1, 0, 1):
        other = number + offset
        assert holds(Compare(b"a", target, EQUAL, other)) is (number == other)
        assert holds(Compare(b"a", target, NOT_EQUAL, other)) is (number != other)
        assert holds(Compare(b"a", target, GREATER, other)) is (number > other)
        assert holds(Compare(b"a", target, LESS, other)) is (number < other)


def test_a_value_is_compared_as_bytes() -> None:
    """D3"""
    for other in (b"", b"0", b"1", b"10", b"2"):
        assert holds(Compare(b"a", VALUE, EQUAL, value=other)) is (other == b"1")
        assert holds(Compare(b"a", VALUE, NOT_EQUAL, value=other)) is (other != b"1")
        assert holds(Compare(b"a", VALUE, GREATER, value=other)) is (other < b"1")
        assert holds(Compare(b"a", VALUE, LESS, value=other)) is (other > b"1")


@pytest.mark.parametrize("target", [VERSION, CREATE, MOD, LEASE])
def test_a_missing_key_counts_as_zero(target: CompareTarget) -> None:
    """D3"""
    assert holds(Compare(b"x", target, EQUAL, 0))
    assert holds(Compare(b"x", target, LESS, 1))
    assert not holds(Compare(b"x", target, GREATER, 0))
    assert holds(Compare(b"x", target, EQUAL, 0, end=b"z"))


@pytest.mark.parametrize("result", list(CompareResult))
def test_no_compare_of_a_missing_value_is_true(result: CompareResult) -> None:
    """D3"""
    assert not holds(Compare(b"x", VALUE, result, value=b""))
    assert not holds(Compare(b"x", VALUE, result, value=b"1"))


def test_every_key_of_a_range_must_satisfy_a_compare() -> None:
    """D3"""
    assert holds(Compare(b"a", VALUE, EQUAL, value=b"1", end=b"b"))
    assert not holds(Compare(b"a", VALUE, EQUAL, value=b"1", end=b"c"))
    assert holds(Compare(b"\x00", CREATE, GREATER, 1, end=b"\x00"))
    assert not holds(Compare(b"\x00", CREATE, GREATER, 2, end=b"\x00"))


def test_all_compares_must_hold() -> None:
    """D4"""
    store = fresh(b"a")
    good, bad = Compare(b"a", VERSION, EQUAL, 1), Compare(b"a", VERSION, EQUAL, 2)
    for compares, succeeded in (((), True), ((good, good), True), ((good, bad), False), ((bad, good), False)):
        done = do(store, Transaction(compares, (Range(b"a"),), (DeleteRange(b"x"),)), TransactionDone)
        assert done.succeeded is succeeded
        assert isinstance(done.answers[0], RangeDone if succeeded else DeleteDone)


def test_operations_run_in_order_and_see_what_came_before() -> None:
    """D4"""
    store = fresh(b"a", b"b")
    transaction = Transaction(
        success=(Range(*EVERYTHING), Put(b"c", b"1"), Range(b"c"), DeleteRange(b"a"), Range(*EVERYTHING), Range(b"a"))
    )
    before, put, read, _, after, gone = do(store, transaction, TransactionDone).answers
    assert isinstance(before, RangeDone)
    assert isinstance(read, RangeDone)
    assert isinstance(after, RangeDone)
    assert isinstance(gone, RangeDone)
    assert (before.revision, [each.key for each in before.items]) == (3, [b"a", b"b"])
    assert put == PutDone(4)
    assert (read.revision, read.items[0].mod_revision, read.items[0].value) == (4, 4, b"1")
    assert (after.revision, [each.key for each in after.items]) == (4, [b"b", b"c"])
    assert gone.count == 0


def test_a_read_of_the_revision_before_does_not_see_what_came_before_in_its_transaction() -> None:
    """D4"""
    store = fresh(b"a")
    done = do(store, Transaction(success=(Put(b"a", b"2"), Range(b"a", revision=2))), TransactionDone)
    read = done.answers[1]
    assert isinstance(read, RangeDone)
    assert (read.revision, read.items[0].value) == (3, b"a")


def test_nested_compares_see_the_store_before_any_write() -> None:
    """D4"""
    store = fresh(b"a")
    nested = Transaction((Compare(b"b", VERSION, EQUAL, 0),), (Put(b"yes", b""),), (Put(b"no", b""),))
    done = do(store, Transaction(success=(Put(b"b", b""), nested)), TransactionDone)
    assert done.answers == (PutDone(3), TransactionDone(3, True, (PutDone(3),)))
    assert names(store, Range(*EVERYTHING)) == [b"a", b"b", b"yes"]


def test_a_transaction_that_is_refused_late_changes_nothing() -> None:
    """D4"""
    store = fresh(b"a")
    assert (
        code(store, Transaction(success=(Put(b"b", b""), DeleteRange(b"a"), Put(b"c", b"", lease=9))))
        is Code.LEASE_NOT_FOUND
    )
    nested = Transaction(success=(Put(b"c", b"", keep_lease=True),))
    assert code(store, Transaction(success=(Put(b"b", b""), nested))) is Code.KEY_NOT_FOUND


def test_what_is_wrong_in_the_branch_that_does_not_run_and_needs_the_store_does_no_harm() -> None:
    """D4"""
    done = do(fresh(), Transaction(failure=(Put(b"c", b"", lease=9), Range(b"a", revision=99))), TransactionDone)
    assert done == TransactionDone(1, True, ())


def nest(*success: Operation, failure: tuple[Operation, ...] = ()) -> Transaction:
    return Transaction(success=success, failure=failure)


@pytest.mark.parametrize(
    "branch",
    [
        (Put(b"a", b"1"), Put(b"a", b"2")),
        (Put(b"a", b"1"), Range(b"x"), DeleteRange(b"a")),
        (DeleteRange(b"a", b"c"), Put(b"b", b"1")),
        (Put(b"b", b"1"), DeleteRange(b"a", b"\x00")),
        (Put(b"a", b"1"), nest(Put(b"a", b"2"))),
        (nest(failure=(Put(b"a", b"2"),)), Put(b"a", b"1")),
        (nest(Put(b"a", b"1")), nest(Put(b"a", b"2"))),
        (nest(Put(b"a", b"1")), nest(nest(DeleteRange(b"a")))),
        (nest(DeleteRange(b"a")), nest(Put(b"a", b"1"))),
        (nest(Put(b"a", b"1"), Put(b"a", b"2")),),
    ],
)
def test_a_key_cannot_be_changed_twice_in_one_branch(branch: tuple[Operation, ...]) -> None:
    """D5"""
    assert code(fresh(b"a"), Transaction(success=branch)) is Code.DUPLICATE_KEY
    assert code(fresh(b"a"), Transaction(failure=branch)) is Code.DUPLICATE_KEY


@pytest.mark.parametrize(
    "transaction",
    [
        Transaction(success=(Put(b"a", b"1"),), failure=(Put(b"a", b"2"),)),
        nest(nest(Put(b"a", b"1"), failure=(Put(b"a", b"2"),))),
        nest(nest(Put(b"a", b"1"), failure=(DeleteRange(b"a"),))),
        nest(DeleteRange(b"a", b"c"), DeleteRange(b"b", b"d")),
        nest(Put(b"c", b""), DeleteRange(b"a", b"c"), Put(b"d", b"")),
        nest(Put(b"b\x00", b""), DeleteRange(b"b")),
        nest(Put(b"b", b""), DeleteRange(b"b\x00", b"c"), DeleteRange(b"c", b"a")),
    ],
)
def test_what_cannot_run_together_may_overlap(transaction: Transaction) -> None:
    """D5"""
    do(fresh(b"a"), transaction, TransactionDone)


def puts(count: int) -> tuple[Operation, ...]:
    return tuple(Put(b"%d" % at, b"") for at in range(count))


def chain(depth: int) -> Transaction:
    transaction = Transaction()
    for _ in range(depth):
        transaction = Transaction(success=(transaction,))
    return transaction


@pytest.mark.parametrize(
    ("transaction", "is_taken"),
    [
        (Transaction(success=puts(128)), True),
        (Transaction(success=puts(129)), False),
        (Transaction(success=puts(128), failure=puts(128)), True),
        (Transaction(failure=puts(129)), False),
        (Transaction((Compare(b"a", MOD, LESS, 9),) * 129), False),
        (nest(nest(*puts(127))), True),
        (nest(nest(*puts(128))), False),
        (nest(nest(*puts(64), failure=puts(64))), False),
        (nest(Transaction((Compare(b"a", MOD, LESS, 9),) * 129)), False),
        (chain(128), True),
        (chain(129), False),
        (chain(5000), False),
    ],
)
def test_a_transaction_has_at_most_128_operations_nested_ones_included(
    transaction: Transaction, is_taken: bool
) -> None:
    """A5"""
    if is_taken:
        do(fresh(b"a"), transaction, TransactionDone)
    else:
        assert code(fresh(b"a"), transaction) is Code.TOO_MANY_OPERATIONS


def test_a_transaction_moves_money_or_does_not() -> None:
    store = fresh()
    store.apply([Put(b"ann", b"5"), Put(b"bob", b"1")])
    move = Transaction((Compare(b"ann", VALUE, EQUAL, value=b"5"),), (Put(b"ann", b"2"), Put(b"bob", b"4")))
    assert do(store, move, TransactionDone).succeeded
    assert not do(store, move, TransactionDone).succeeded
    assert (value(store, b"ann"), value(store, b"bob"), store.revision) == (b"2", b"4", 4)


def test_a_nest_that_might_not_be_decoded_everywhere_is_found() -> None:
    assert not nests_too_deep(Transaction())
    assert not nests_too_deep(Transaction(success=puts(200)))
    assert not nests_too_deep(chain(128))
    assert nests_too_deep(chain(129))
    assert nests_too_deep(Transaction(failure=(Put(b"a", b""), chain(5000))))
