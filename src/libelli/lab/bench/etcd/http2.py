"""HTTP/2 frames, and the few of them that a unary gRPC client needs.

::

    +------------------+---------+---------+---------------------+=============+
    | length, 24 bits  | type, 8 | flags 8 | stream, 31 of 32    | payload     |
    +------------------+---------+---------+---------------------+=============+

Source: RFC 9113 (HTTP/2), sections 4.1, 6 and 7; RFC 7541 (HPACK), section 6.
Differs: only what etcd's gRPC server sends to a client is understood. CONTINUATION and PUSH_PROMISE, which it never
sends for answers as small as ours, are refused loudly.
"""

import struct
from collections.abc import Iterator

from libelli.lab.bench.target import BenchError

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)

ACK = END_STREAM = 0x1
END_HEADERS = 0x4
PADDED = 0x8
HAS_PRIORITY = 0x20

SETTINGS_HEADER_TABLE_SIZE = 0x1
SETTINGS_ENABLE_PUSH = 0x2
SETTINGS_INITIAL_WINDOW_SIZE = 0x4
SETTINGS_MAX_FRAME_SIZE = 0x5

WINDOW_BYTES_DEFAULT = 65_535
WINDOW_BYTES_MAX = (1 << 31) - 1
FRAME_BYTES_MAX = 16_384
HEADER_BYTES = 9

_HEADER = struct.Struct(">BHBBL")
_SETTING = struct.Struct(">HL")
_WORD = struct.Struct(">L")


class ProtocolError(BenchError):
    """The other side sent what we do not understand."""


Frame = tuple[int, int, int, bytes]
"""Type, flags, stream, payload."""


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Returns the bytes of one frame."""
    size = len(payload)
    return _HEADER.pack(size >> 16, size & 0xFFFF, kind, flags, stream) + payload


def settings_frame(values: dict[int, int]) -> bytes:
    """Returns a SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(name, value) for name, value in values.items()))


def settings_of(payload: bytes) -> dict[int, int]:
    """Returns what a SETTINGS frame says."""
    if len(payload) % _SETTING.size:
        raise ProtocolError(f"a SETTINGS frame of {len(payload)} bytes is no list of settings")
    return dict(_SETTING.iter_unpack(payload))


def window_update_frame(stream: int, size_bytes: int) -> bytes:
    """Returns a WINDOW_UPDATE frame: the other side may send `size_bytes` more."""
    return frame(WINDOW_UPDATE, 0, stream, _WORD.pack(size_bytes))


def word_of(payload: bytes) -> int:
    """Returns the 31-bit number of a WINDOW_UPDATE, or the code of an RST_STREAM frame."""
    return int(_WORD.unpack_from(payload)[0]) & WINDOW_BYTES_MAX


def header_block(kind_flags: int, payload: bytes) -> bytes:
    """Returns the HPACK block of a HEADERS frame without padding and priority.

    Raises:
        ProtocolError: the block goes on in CONTINUATION frames.
    """
    if not kind_flags & END_HEADERS:
        raise ProtocolError("headers that need CONTINUATION frames: too large for an answer to put or get")
    padding = 0
    if kind_flags & PADDED:
        padding, payload = payload[0], payload[1:]
    if kind_flags & HAS_PRIORITY:
        payload = payload[5:]
    return payload[: len(payload) - padding]


class FrameReader:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yields each frame that is complete now; take all of them before feeding again.

        Raises:
            ProtocolError: a frame is larger than we allowed.
        """
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        unpack = _HEADER.unpack_from
        while end - at >= HEADER_BYTES:
            high, low, kind, flags, stream = unpack(data, at)
            if high or low > FRAME_BYTES_MAX:
                raise ProtocolError(f"a frame of {high << 16 | low} bytes; {FRAME_BYTES_MAX} are allowed")
            behind = at + HEADER_BYTES + low
            if behind > end:
                break
            yield kind, flags, stream & WINDOW_BYTES_MAX, data[at + HEADER_BYTES : behind]
            at = behind
        self._rest = data[at:]
