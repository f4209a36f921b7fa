"""Bytes of messages: msgspec structs as MessagePack arrays, checked when they are decoded.

A struct type is declared with `array_like=True` and, where several types share a stream, an integer `tag`:
field names never travel, and unknown trailing fields of a newer version are ignored by an older one.

A stream is a sequence of frames::

    +----------------+------------------------+
    | length: u32 LE | body: `length` bytes   |
    +----------------+------------------------+
"""

import struct
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import msgspec

from libelli.core.errors import CodecError

T = TypeVar("T")

_LENGTH = struct.Struct("<I")
LENGTH_SIZE = _LENGTH.size

encode: Callable[[Any], bytes] = msgspec.msgpack.Encoder().encode
"""Returns the bytes of a message."""


class Decoder(Generic[T]):
    """Decodes one type, or one union of tagged types.

    Args:
        kind: the type, as a type expression (`A | B` for a union).
        name: what the bytes are called in errors.
    """

    __slots__ = ("_decode", "_name")

    def __init__(self, kind: Any, *, name: str) -> None:
        self._decode = msgspec.msgpack.Decoder(kind).decode
        self._name = name

    def decode(self, data: bytes | memoryview) -> T:
        """Returns the message.

        Raises:
            CodecError: the bytes are something else; nothing was changed.
        """
        try:
            message: T = self._decode(data)
        except (msgspec.DecodeError, RecursionError) as error:
            raise CodecError(f"{self._name}: {len(data)} bytes do not decode: {error}") from error
        return message


def frame(body: bytes) -> bytes:
    """Returns `body` with its length in front."""
    return _LENGTH.pack(len(body)) + body


class FrameReader:
    """Cuts a stream of bytes into frames; keeps at most one unfinished frame.

    Args:
        size_max: the largest body in bytes that is accepted.
    """

    __slots__ = ("_buffer", "_size_max")

    def __init__(self, *, size_max: int) -> None:
        self._buffer = bytearray()
        self._size_max = size_max

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yields the bodies that `data` completes; must be consumed to its end.

        Raises:
            CodecError: a length over the limit; the stream cannot be used any more.
        """
        buffer = self._buffer
        buffer += data
        start = 0
        try:
            while len(buffer) - start >= LENGTH_SIZE:
                (size,) = _LENGTH.unpack_from(buffer, start)
                if size > self._size_max:
                    raise CodecError(f"a frame of {size} bytes; the limit is {self._size_max}")
                end = start + LENGTH_SIZE + size
                if len(buffer) < end:
                    break
                yield bytes(memoryview(buffer)[start + LENGTH_SIZE : end])
                start = end
        finally:
            if start:
                del buffer[:start]
