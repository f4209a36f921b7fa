"""What is checked before a command is accepted: its fields, its sizes, and how large it is when encoded.

A node checks the same again. Here it saves the way, and it keeps one command that no node can read, or that is
too large, from taking the frame of its neighbours down with it.
"""

from typing import Any

from libelli.core.codec import Decoder, encode
from libelli.core.errors import CallError, Code, CodecError, Refused
from libelli.core.limits import (
    COMMAND_SIZE_MAX,
    KEY_SIZE_MAX,
    LEASE_TTL_S_MAX,
    TRANSACTION_OPERATIONS_MAX,
    VALUE_SIZE_MAX,
)
from libelli.stores.mvcc.commands import Command, DeleteRange, LeaseGrant, LeaseRead, Put, Range, Transaction

PUT_OVERHEAD = 96
"""More than the encoding adds to the key and value of a put: tags, lengths, numbers."""
NUMBER_MAX = 2**63 - 1

READS = frozenset({Range, LeaseRead})

_decoder: Decoder[Command] = Decoder(Command, name="command")


def admit(command: Command) -> int:
    """Returns an upper bound of the encoded size in bytes.

    Raises:
        Refused: the command is over a limit, or is none.
    """
    if (
        type(command) is Put
        and type(command.key) is bytes
        and type(command.value) is bytes
        and type(command.lease) is int
        and 0 <= command.lease <= NUMBER_MAX
    ):
        key_size, value_size = len(command.key), len(command.value)
        size = key_size + value_size + PUT_OVERHEAD
        if 0 < key_size <= KEY_SIZE_MAX and value_size <= VALUE_SIZE_MAX and size <= COMMAND_SIZE_MAX:
            return size
    size = _encoded_size(command)
    _check(command)
    if size > COMMAND_SIZE_MAX:
        raise _too_large("a command", size, COMMAND_SIZE_MAX, "send less at a time")
    return size


def only_reads(command: Command) -> bool:
    """Returns whether a command changes nothing, whatever the store holds."""
    if isinstance(command, Transaction):
        return all(only_reads(operation) for operation in (*command.success, *command.failure))
    return type(command) in READS


def _encoded_size(command: Any) -> int:
    """Returns the encoded size of what a node would be able to read."""
    try:
        data = encode(command)
        _decoder.decode(data)
    except (CodecError, TypeError, OverflowError, RecursionError) as error:
        message = f"{type(command).__name__} is no command that a node can read: {error}"
        raise Refused(message, code=Code.INVALID) from None
    return len(data)


def _check(command: Any) -> None:
    """Checks the sizes inside a command whose fields are of the right kind."""
    match command:
        case Put(key=key, value=value):
            _check_key(key)
            _check_size("a value", value, VALUE_SIZE_MAX)
        case Range(key=key, end=end) | DeleteRange(key=key, end=end):
            _check_key(key)
            _check_size("the end of a range", end, KEY_SIZE_MAX)
        case Transaction():
            _check_operations(command)
            for compare in command.compares:
                _check_key(compare.key)
            for operation in (*command.success, *command.failure):
                _check(operation)
        case LeaseGrant(ttl_s=ttl_s) if not 1 <= ttl_s <= LEASE_TTL_S_MAX:
            message = f"a lease of {ttl_s} s; from 1 to {LEASE_TTL_S_MAX} s are possible"
            raise Refused(message, code=Code.TTL_TOO_LARGE if ttl_s > 0 else Code.INVALID)


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
