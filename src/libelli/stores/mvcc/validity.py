"""What can be said against a command without looking at the store: its sizes, numbers and combinations.

Doors check the same to spare everybody the way; here it is the last word, the same on every replica.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from libelli.core import Code, Refused
from libelli.core.limits import KEY_SIZE_MAX, LEASE_TTL_S_MAX, TRANSACTION_OPERATIONS_MAX, VALUE_SIZE_MAX
from libelli.stores.mvcc.commands import (
    Command,
    Compact,
    Compare,
    DeleteRange,
    LeaseGrant,
    LeaseRead,
    LeaseRevoke,
    Operation,
    Put,
    Range,
    Transaction,
)
from libelli.stores.mvcc.lookups import stop_of
from libelli.stores.mvcc.tables import LEASE_MAX, LEASE_MIN

_Span = tuple[bytes, bytes | None]
_Footprint = tuple[list[bytes], list[_Span]]
"""Keys that may be put, and ranges that may be deleted."""


def check_command(command: Command) -> None:
    """Checks one command with all that is in it.

    Raises:
        Refused: it can never be carried out as it is.
    """
    check = _CHECKS.get(type(command))
    if check is not None:
        check(command)


def only_reads(command: Command) -> bool:
    """Returns whether a command changes nothing, whatever the store holds."""
    if type(command) is Transaction:
        return all(type(each) in (Range, Transaction) for each in _operations(command))
    return type(command) not in _WRITES


def needs_space(command: Command) -> bool:
    """Returns whether a command may take room that it does not give back: puts and grants do (H2)."""
    if type(command) is Transaction:
        return any(type(each) is Put for each in _operations(command))
    return type(command) in (Put, LeaseGrant)


def nests_too_deep(transaction: Transaction) -> bool:
    """Returns whether transactions stand in each other more deeply than any that can be carried out.

    Doors must refuse these, because only they can: how deep a nest may be to be decoded depends on how deep the
    calls around the decoder are, so a nest of hundreds that a door could read may not be readable in the log.
    """
    level, depth = [transaction], 0
    while level and depth <= TRANSACTION_OPERATIONS_MAX:
        branches = [branch for each in level for branch in (each.success, each.failure)]
        level = [each for branch in branches for each in branch if type(each) is Transaction]
        depth += 1
    return bool(level)


def _operations(transaction: Transaction) -> Iterator[Operation]:
    """Yields the operations of both branches, nested ones too; as a loop, since nesting may be deep."""
    waiting: list[Operation] = [transaction]
    while waiting:
        operation = waiting.pop()
        if type(operation) is Transaction:
            waiting += (*operation.success, *operation.failure)
        if operation is not transaction:
            yield operation


def _check_key(key: bytes) -> None:
    if not key:
        raise Refused("the key is empty: name one of at least one byte", code=Code.INVALID)
    if len(key) > KEY_SIZE_MAX:
        raise _too_large("a key", key, KEY_SIZE_MAX)


def _too_large(what: str, data: bytes, size_max: int) -> Refused:
    message = f"{what} of {len(data):,} bytes; the limit is {size_max:,}: put what is larger into several keys"
    return Refused(message, code=Code.TOO_LARGE)


def _check_lease(lease: int) -> None:
    if not LEASE_MIN <= lease <= LEASE_MAX:
        raise Refused(f"lease {lease} does not fit into 64 bits with a sign: choose another number", code=Code.INVALID)


def _check_put(put: Put) -> None:
    _check_key(put.key)
    if len(put.value) > VALUE_SIZE_MAX:
        raise _too_large("a value", put.value, VALUE_SIZE_MAX)
    _check_lease(put.lease)
    if put.keep_value and put.value:
        raise Refused("a put that keeps the value brings a value: leave one of them out", code=Code.INVALID)
    if put.keep_lease and put.lease:
        raise Refused("a put that keeps the lease names a lease: leave one of them out", code=Code.INVALID)


def _check_range(command: Range | DeleteRange | Compare) -> None:
    _check_key(command.key)
    if len(command.end) > KEY_SIZE_MAX:
        raise _too_large("the end of a range", command.end, KEY_SIZE_MAX)


def _check_grant(grant: LeaseGrant) -> None:
    _check_lease(grant.lease)
    if grant.ttl_s > LEASE_TTL_S_MAX:
        message = f"a lease of {grant.ttl_s} s; the limit is {LEASE_TTL_S_MAX} s: grant it shorter and keep it alive"
        raise Refused(message, code=Code.TTL_TOO_LARGE)


def _check_number(command: LeaseRevoke | LeaseRead) -> None:
    _check_lease(command.lease)


def _check_transaction(transaction: Transaction) -> None:
    _check_counts(transaction)
    for each in (transaction, *_operations(transaction)):
        if type(each) is Transaction:
            for compare in each.compares:
                _check_range(compare)
        else:
            _CHECKS[type(each)](each)
    _branch_footprint(transaction.success)
    _branch_footprint(transaction.failure)


_CHECKS: dict[type, Callable[[Any], None]] = {
    Put: _check_put,
    Range: _check_range,
    DeleteRange: _check_range,
    LeaseGrant: _check_grant,
    LeaseRevoke: _check_number,
    LeaseRead: _check_number,
    Transaction: _check_transaction,
}
_WRITES = frozenset({Put, DeleteRange, Compact, LeaseGrant, LeaseRevoke})


def _check_counts(transaction: Transaction) -> None:
    """Counts what a transaction holds (A5); must come before anything that calls itself for nested ones."""
    nested = [each for each in _operations(transaction) if type(each) is Transaction]
    counts = {
        "compares": len(transaction.compares) + sum(len(each.compares) for each in nested),
        "successes": _count(transaction.success),
        "failures": _count(transaction.failure),
    }
    for side, count in counts.items():
        if count > TRANSACTION_OPERATIONS_MAX:
            limit = f"the limit is {TRANSACTION_OPERATIONS_MAX}, nested ones included"
            raise Refused(f"{count} {side} in a transaction; {limit}: split it", code=Code.TOO_MANY_OPERATIONS)


def _count(operations: Iterable[Operation]) -> int:
    return sum(1 for _ in _operations(Transaction(success=tuple(operations))))


def _branch_footprint(operations: tuple[Operation, ...]) -> _Footprint:
    """Returns what a branch may write.

    Raises:
        Refused: it may put a key twice, or put and delete it (D5).
    """
    footprints = [_footprint(each) for each in operations]
    puts = [key for keys, _ in footprints for key in keys]
    if len(set(puts)) < len(puts):
        raise _duplicate(next(key for key in puts if puts.count(key) > 1))
    spans = [span for _, deletes in footprints for span in deletes]
    if puts and spans:  # each range against the puts on either side of it
        _check_overlaps(footprints)
        _check_overlaps(reversed(footprints))
    return puts, spans


def _footprint(operation: Operation) -> _Footprint:
    match operation:
        case Put(key):
            return [key], []
        case DeleteRange(key, end):
            return [], [(key, stop_of(key, end))]
        case Transaction():
            # only one of the branches runs, so what they write may overlap
            puts, deletes = _branch_footprint(operation.success)
            other_puts, other_deletes = _branch_footprint(operation.failure)
            return sorted({*puts, *other_puts}), [*deletes, *other_deletes]
        case _:
            return [], []


def _check_overlaps(footprints: Iterable[_Footprint]) -> None:
    seen: list[bytes] = []
    for puts, deletes in footprints:
        for start, stop in deletes:
            at = bisect_left(seen, start)
            if at < len(seen) and (stop is None or seen[at] < stop):
                raise _duplicate(seen[at])
        for key in puts:
            insort(seen, key)


def _duplicate(key: bytes) -> Refused:
    message = f"key {key[:64]!r} may be changed twice in one branch of a transaction: change each key once"
    return Refused(message, code=Code.DUPLICATE_KEY)
