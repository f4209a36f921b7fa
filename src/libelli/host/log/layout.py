r"""How segments, blocks and records lie on the disk.

::

    log-0000000000000001.seg      preallocated, zeros where nothing was written yet
    +---------+-------------+-------------+---------------+----------------
    | header  | block 1     | block 2     | block 3       | 0 0 0 0 …
    | 512 B   | n x 512 B   | n x 512 B   | n x 512 B     |
    +---------+-------------+-------------+---------------+----------------

    header:  magic 8s | version u16 | 6 zero | cluster 32s | node u64 | segment u64 | first block u64 | salt u64
             | crc u32
    block:   magic u32 | crc u32 | size u32 | zero u32 | number u64 | payload: `size` bytes | zeros to 512

A block is what one sync makes durable, and block n + 1 is written only after block n is durable. So at most one
block is ever torn, and it is the last: an invalid block with a valid one behind it was damaged later. Blocks
begin at sector boundaries, so that a torn write cannot touch what was durable before. The crc covers the
header's later fields and the payload, and starts from the segment's salt: no value that a client stores can
look like a block.

A payload is a sequence of `size u32 | record`; a record is the MessagePack array [group, record].

Departs from [39], which rewrites a header at the top of the file at each append: two writes far apart, and a
torn header would lose the whole log.
"""

import struct
import zlib
from collections.abc import Iterator

from msgspec import Struct

from libelli.core.codec import Decoder, encode
from libelli.core.entries import Record
from libelli.core.errors import CodecError
from libelli.core.ids import GroupId
from libelli.core.limits import MIB

SECTOR_SIZE = 512
SEGMENT_SIZE_DEFAULT = 64 * MIB
HEADER_SIZE = SECTOR_SIZE

_MAGIC = b"LIBELOG\x00"
_HEADER = struct.Struct("<8sH6x32sQQQQ")
_BLOCK_MAGIC = 0x4B4C4231
_BLOCK_PREFIX = struct.Struct("<II")
_BLOCK_BODY = struct.Struct("<IIQ")
BLOCK_HEADER_SIZE = _BLOCK_PREFIX.size + _BLOCK_BODY.size
_SIZE = struct.Struct("<I")
_CRC = struct.Struct("<I")

LogRecord = tuple[GroupId, Record]
"""A record and the group whose log it belongs to."""

_record_decoder: Decoder[LogRecord] = Decoder(tuple[GroupId, Record], name="log record")


class SegmentHeader(Struct, frozen=True):
    """What a segment says of itself.

    Attributes:
        version: of the format.
        cluster: whose log this is.
        node: whose log this is.
        segment: this segment's number.
        first_block: the number of its first block: one more than the last of the segment before.
        salt: what the checksums of its blocks start from.
    """

    version: int
    cluster: str
    node: int
    segment: int
    first_block: int
    salt: int

    def encode(self) -> bytes:
        """Returns the header's sector."""
        body = _HEADER.pack(
            _MAGIC,
            self.version,
            self.cluster.encode("ascii"),
            self.node,
            self.segment,
            self.first_block,
            self.salt,
        )
        return (body + _CRC.pack(zlib.crc32(body))).ljust(HEADER_SIZE, b"\0")


def decode_header(data: bytes) -> SegmentHeader | None:
    """Returns the header, or None when the bytes are no valid header."""
    if len(data) < _HEADER.size + _CRC.size:
        return None
    body = data[: _HEADER.size]
    (crc,) = _CRC.unpack_from(data, _HEADER.size)
    magic, version, cluster, node, segment, first_block, salt = _HEADER.unpack(body)
    if magic != _MAGIC or crc != zlib.crc32(body):
        return None
    name = cluster.rstrip(b"\0").decode("ascii", "replace")
    return SegmentHeader(version, name, node, segment, first_block, salt)


def segment_name(segment: int) -> str:
    """Returns the file name of a segment."""
    return f"log-{segment:016d}.seg"


def segment_number(name: str) -> int | None:
    """Returns the number in a segment's file name, or None when it is no segment."""
    if name.startswith("log-") and name.endswith(".seg") and name[4:-4].isdigit():
        return int(name[4:-4])
    return None


def padded(size: int) -> int:
    """Returns `size` rounded up to whole sectors."""
    return -(-size // SECTOR_SIZE) * SECTOR_SIZE


def encode_record(record: LogRecord) -> bytes:
    """Returns a record with its size in front."""
    data = encode(record)
    return _SIZE.pack(len(data)) + data


def encode_block(payload: bytes, *, number: int, salt: int) -> bytes:
    """Returns a whole block, padded."""
    body = _BLOCK_BODY.pack(len(payload), 0, number)
    crc = zlib.crc32(payload, zlib.crc32(body, salt & 0xFFFFFFFF))
    block = b"".join((_BLOCK_PREFIX.pack(_BLOCK_MAGIC, crc), body, payload))
    return block.ljust(padded(len(block)), b"\0")


def block_at(data: bytes, offset: int, *, salt: int) -> tuple[int, memoryview] | None:
    """Returns number and payload of the valid block at `offset`, or None."""
    if len(data) - offset < BLOCK_HEADER_SIZE:
        return None
    magic, crc = _BLOCK_PREFIX.unpack_from(data, offset)
    if magic != _BLOCK_MAGIC:
        return None
    size, zero, number = _BLOCK_BODY.unpack_from(data, offset + _BLOCK_PREFIX.size)
    start = offset + BLOCK_HEADER_SIZE
    if zero or start + size > len(data):
        return None
    view = memoryview(data)
    body = view[offset + _BLOCK_PREFIX.size : start]
    payload = view[start : start + size]
    if zlib.crc32(payload, zlib.crc32(body, salt & 0xFFFFFFFF)) != crc:
        return None
    return number, payload


def records_in(payload: memoryview) -> Iterator[tuple[int, LogRecord]]:
    """Yields each record of a block with its offset in the payload.

    Raises:
        CodecError: the payload is not what a block of this version holds.
    """
    offset = 0
    while offset < len(payload):
        (size,) = _SIZE.unpack_from(payload, offset)
        start = offset + _SIZE.size
        if start + size > len(payload):
            raise CodecError(f"a log record of {size} bytes where {len(payload) - start} are left")
        yield offset, _record_decoder.decode(payload[start : start + size])
        offset = start + size


def decode_record(data: bytes) -> LogRecord:
    """Returns the record that `encode_record` made, size included.

    Raises:
        CodecError: the bytes are something else.
    """
    return _record_decoder.decode(data[_SIZE.size :])
