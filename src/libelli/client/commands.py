"""The commands behind a client's calls: arguments as callers write them, checked and turned into bytes."""

from typing import TypeVar

from libelli.client.keys import Data, data_bytes
from libelli.client.outcomes import refused
from libelli.core.errors import CodecError
from libelli.stores.mvcc.commands import Answer, DeleteRange, Failed, Put

A = TypeVar("A", bound=Answer)


def put_command(key: Data, value: Data, *, lease: int, previous: bool) -> Put:
    """Returns the command that sets a key."""
    if type(key) is not bytes:
        key = data_bytes(key, what="the key")
    if type(value) is not bytes:
        value = data_bytes(value, what="the value")
    return Put(key, value, lease, previous)


def delete_command(key: Data, end: Data, *, previous: bool) -> DeleteRange:
    """Returns the command that deletes keys."""
    return DeleteRange(data_bytes(key, what="the key"), data_bytes(end, what="the end of a range"), previous)


def expect(answer: object, kind: type[A]) -> A:
    """Returns a store's answer as what it must be.

    Raises:
        CallError: the store refused the command.
        CodecError: it is something else; the command may have happened.
    """
    if isinstance(answer, kind):
        return answer
    if isinstance(answer, Failed):
        raise refused(answer.code, answer.message)
    raise CodecError(f"{type(answer).__name__} in answer to a command that is answered by {kind.__name__}")
