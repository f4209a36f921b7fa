"""Keys and values as callers write them: bytes, or str for its UTF-8; what comes back is always bytes."""

from libelli.core.errors import Code, Refused
from libelli.stores.mvcc.commands import FROM_KEY

Data = bytes | bytearray | memoryview | str
"""A key or a value."""

EVERYTHING: tuple[bytes, bytes] = (FROM_KEY, FROM_KEY)
"""The range of all keys."""


def data_bytes(data: Data, *, what: str) -> bytes:
    """Returns the bytes of a key or value.

    Raises:
        Refused: it is neither bytes nor str; `what` names it.
    """
    if type(data) is bytes:
        return data
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data)
    raise Refused(f"{what} is of type {type(data).__name__}: give bytes, or str for its UTF-8", code=Code.INVALID)


def prefix_range(prefix: Data) -> tuple[bytes, bytes]:
    """Returns `key` and `end` of the range of all keys that begin with `prefix`; empty: of all keys there are."""
    key = data_bytes(prefix, what="a prefix")
    if not key:
        return EVERYTHING
    stem = key.rstrip(b"\xff")
    return key, (stem[:-1] + bytes([stem[-1] + 1]) if stem else FROM_KEY)
