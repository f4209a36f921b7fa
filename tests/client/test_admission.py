"""What no node could read, or is over a limit, is refused before it shares a frame with others."""

from typing import Any

import pytest

from libelli.client.admission import admit, only_reads
from libelli.client.keys import data_bytes, prefix_range
from libelli.client.paging import Pages
from libelli.core.codec import encode
from libelli.core.errors import Code, Refused
from libelli.core.limits import (
    COMMAND_SIZE_MAX,
    KEY_SIZE_MAX,
    LEASE_TTL_S_MAX,
    TRANSACTION_OPERATIONS_MAX,
    VALUE_SIZE_MAX,
)
from libelli.stores.mvcc.commands import (
    FROM_KEY,
    Compact,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    KeyValue,
    LeaseGrant,
    LeaseRead,
    LeaseRevoke,
    Put,
    Range,
    RangeDone,
    Transaction,
)

NESTED = Transaction(success=(Transaction(success=(Put(b"a", b"b"),)),))


@pytest.mark.parametrize(
    "command",
    [
        Put(b"a", b""),
        Put(b"k" * 1000, b"v" * 1000, 2**63 - 1, True, True, True),
        Put(b"k", b"v" * VALUE_SIZE_MAX),
        Range(b"a", FROM_KEY),
        DeleteRange(b"a" * KEY_SIZE_MAX),
        Transaction((Compare(b"a", CompareTarget.VALUE, CompareResult.EQUAL, value=b"v"),), (Put(b"a", b"b"),)),
        NESTED,
        Compact(7),
        LeaseGrant(0, LEASE_TTL_S_MAX),
        LeaseRevoke(9),
        LeaseRead(0, True),
    ],
)
def test_the_size_is_an_upper_bound_of_the_encoded_one(command: Any) -> None:
    assert len(encode(command)) <= admit(command) <= COMMAND_SIZE_MAX


MANY = (Put(b"a", b"b"),) * TRANSACTION_OPERATIONS_MAX


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (Put(b"", b"v"), Code.INVALID),
        (Put("a", b"v"), Code.INVALID),  # type: ignore[arg-type]
        (Put(b"a", 7), Code.INVALID),  # type: ignore[arg-type]
        (Put(b"a", b"v", "x"), Code.INVALID),  # type: ignore[arg-type]
        (Put(b"a", b"v", 2**64), Code.INVALID),
        (Put(b"k" * (KEY_SIZE_MAX + 1), b""), Code.TOO_LARGE),
        (Put(b"k", b"v" * (VALUE_SIZE_MAX + 1)), Code.TOO_LARGE),
        (Put(b"k" * KEY_SIZE_MAX, b"v" * VALUE_SIZE_MAX), Code.TOO_LARGE),
        (Range(b""), Code.INVALID),
        (Range(b"a", b"z" * (KEY_SIZE_MAX + 1)), Code.TOO_LARGE),
        (Range(b"a", order=9), Code.INVALID),  # type: ignore[arg-type]
        (Transaction(success=(Compact(3),)), Code.INVALID),  # type: ignore[arg-type]
        (Transaction(compares=("a = b",)), Code.INVALID),  # type: ignore[arg-type]
        (Transaction(success=(Put(b"", b"v"),)), Code.INVALID),
        (Transaction(success=(*MANY, Put(b"a", b"b"))), Code.TOO_MANY_OPERATIONS),
        (Transaction(success=(Transaction(success=MANY),)), Code.TOO_MANY_OPERATIONS),
        (LeaseGrant(0, 0), Code.INVALID),
        (LeaseGrant(0, LEASE_TTL_S_MAX + 1), Code.TTL_TOO_LARGE),
        ("put a b", Code.INVALID),
        (None, Code.INVALID),
        (object(), Code.INVALID),
    ],
)
def test_what_no_node_could_take_is_refused(command: Any, code: Code) -> None:
    with pytest.raises(Refused) as caught:
        admit(command)
    assert caught.value.code is code


def test_a_transaction_reads_only_if_both_branches_do() -> None:
    assert only_reads(Transaction(success=(Range(b"a"),), failure=(Transaction(failure=(Range(b"b"),)),)))
    assert not only_reads(Transaction(failure=(Put(b"a", b"b"),)))
    assert not only_reads(NESTED)
    assert not only_reads(LeaseGrant(0, 5))


@pytest.mark.parametrize("data", [b"a", "a", bytearray(b"a"), memoryview(b"a")])
def test_keys_are_bytes_whatever_holds_them(data: Any) -> None:
    assert data_bytes(data, what="a key") == b"a"
    assert type(data_bytes(data, what="a key")) is bytes


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("", (FROM_KEY, FROM_KEY)),
        ("a", (b"a", b"b")),
        (b"a\xff", (b"a\xff", b"b")),
        (b"\xff\xff", (b"\xff\xff", FROM_KEY)),
    ],
)
def test_a_prefix_range_ends_behind_the_last_key_that_begins_so(prefix: Any, expected: tuple[bytes, bytes]) -> None:
    assert prefix_range(prefix) == expected


def page(*keys: bytes, revision: int = 7, more: bool) -> RangeDone:
    return RangeDone(revision, 99, more, tuple(KeyValue(key, b"", 1, 1, 1) for key in keys))


def test_pages_go_on_behind_the_last_key_at_the_first_revision() -> None:
    pages = Pages("a", "z", limit=0, revision=0, keys_only=True, page_keys=2)
    assert pages.next() == Range(b"a", b"z", limit=2, keys_only=True)
    pages.take(page(b"a", b"b", more=True))
    assert pages.next() == Range(b"b\0", b"z", limit=2, revision=7, keys_only=True)
    pages.take(page(b"c", revision=9, more=False))
    assert pages.next() is None


def test_pages_end_at_their_limit_and_at_an_empty_page() -> None:
    pages = Pages("a", "z", limit=3, revision=5, keys_only=False, page_keys=2)
    pages.take(page(b"a", b"b", more=True))
    assert pages.next() == Range(b"b\0", b"z", limit=1, revision=5)
    pages.take(page(b"c", more=True))
    assert pages.next() is None
    empty = Pages("a", "z", limit=0, revision=0, keys_only=False)
    empty.take(page(more=True))
    assert empty.next() is None
