"""What is checked before a command is accepted: its kind, its sizes, and an upper bound of its encoded size.

A node checks the same again; here it saves the way, and it keeps one oversized command from taking the frame
of its neighbours down with it.
"""

from typing import Any

from libelli.core.errors import CallError, Code, Refused
from libelli.core.limits import (
    COMMAND_SIZE_MAX,
    KEY_SIZE_MAX,
    LEASE_TTL_S_MAX,
    TRANSACTION_OPERATIONS_MAX,
    VALUE_SIZE_MAX,
)
from libelli.stores.mvcc.commands import (
    Command,
    Compact,
    Compare,
    DeleteRange,
    LeaseGrant,
    LeaseRead,
    LeaseRevoke,
    Put,
    Range,
    Transaction,
)

OVERHEAD = 96
"""More than the encoding adds to the keys and values of any one command: tags, lengths, numbers."""
NUMBER_MAX = 2**63 - 1

READS = frozenset({Range, LeaseRead})
WRITES = frozenset({Put, DeleteRange, Compact, LeaseGrant, LeaseRevoke})


def admit(command: Command) -> int:
    """Returns an upper bound of the encoded size in bytes.

    Raises:
        Refused: the command is over a limit, or is none.
    """
    if type(command) is Put:
        key_size, value_size = len(command.key), len(command.value)
        if 0 < key_size <= KEY_SIZE_MAX and value_size <= VALUE_SIZE_MAX:
            size = key_size + value_size + OVERHEAD
            if size <= COMMAND_SIZE_MAX:
                return size
    size = _size(command)
    if size > COMMAND_SIZE_MAX:
        raise _too_large("a command", size, COMMAND_SIZE_MAX, "send less at a time")
    return size


def only_reads(command: Command) -> bool:
    """Returns whether a command changes nothing, whatever the store holds."""
    if isinstance(command, Transaction):
        return all(only_reads(operation) for operation in (*command.success, *command.failure))
    return type(command) in READS


def _size(command: Any) -> int:
    match command:
        case Put(key=key, value=value):
            _check_key(key)
            _check_size("a value", value, VALUE_SIZE_MAX)
            return len(key) + len(value) + OVERHEAD
        case Range(key=key, end=end) | DeleteRange(key=key, end=end):
            _check_key(key)
            _check_size("the end of a range", end, KEY_SIZE_MAX)
            return len(key) + len(end) + OVERHEAD
        case Transaction():
            _check_operations(command)
            return _transaction_size(command)
        case LeaseGrant(ttl_s=ttl_s) if not 1 <= ttl_s <= LEASE_TTL_S_MAX:
            message = f"a lease of {ttl_s} s; from 1 to {LEASE_TTL_S_MAX} s are possible"
            raise Refused(message, code=Code.TTL_TOO_LARGE if ttl_s > 0 else Code.INVALID)
        case Compact() | LeaseGrant() | LeaseRevoke() | LeaseRead():
            return OVERHEAD
        case _:
            raise Refused(f"{type(command).__name__} is not a command of a strong collection", code=Code.INVALID)


def _transaction_size(transaction: Transaction) -> int:
    size = OVERHEAD
    compares: tuple[Any, ...] = transaction.compares  # callers may have put anything there
    for compare in compares:
        if not isinstance(compare, Compare):
            raise Refused(f"{type(compare).__name__} is not a Compare", code=Code.INVALID)
        _check_key(compare.key)
        size += len(compare.key) + len(compare.end) + len(compare.value) + OVERHEAD
    operations: tuple[Any, ...] = (*transaction.success, *transaction.failure)
    for operation in operations:
        if not isinstance(operation, Put | Range | DeleteRange | Transaction):
            message = f"{type(operation).__name__} cannot stand in a transaction: Put, Range, DeleteRange can"
            raise Refused(message, code=Code.INVALID)
        size += _size(operation)
    return size


def _check_operations(transaction: Transaction) -> None:
    sides = {
        "compares": len(transaction.compares),
        "successes": _count(transaction.success),
        "failures": _count(transaction.failure),
    }
    for side, count in sides.items():
        if count > TRANSACTION_OPERATIONS_MAX:
            message = f"{count} {side} in a transaction; the limit is {TRANSACTION_OPERATIONS_MAX}: split it"
            raise Refused(message, code=Code.TOO_MANY_OPERATIONS)


def _count(operations: tuple[Any, ...]) -> int:
    nested = (each for each in operations if isinstance(each, Transaction))
    return len(operations) + sum(_count(each.success) + _count(each.failure) for each in nested)


def _check_key(key: bytes) -> None:
    if not key:
        raise Refused("the key is empty: name one of at least one byte", code=Code.INVALID)
    _check_size("a key", key, KEY_SIZE_MAX)


def _check_size(what: str, data: bytes, size_max: int) -> None:
    if len(data) > size_max:
        raise _too_large(what, len(data), size_max, "put what is larger into several keys")


def _too_large(what: str, size: int, size_max: int, way_out: str) -> CallError:
    return Refused(f"{what} of {size:,} bytes; the limit is {size_max:,}: {way_out}", code=Code.TOO_LARGE)
