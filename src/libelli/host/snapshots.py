r"""A snapshot as a file: a consistent copy of all collections of a cluster.

::

    magic 8s | version u16                              "LIBESNAP"
    block    size u32 | crc u32 | header                MessagePack, see `SnapshotHeader`
    block    size u32 | crc u32 | [group, runs]         rows in table and key order
    …
    block    size u32 | crc u32 | digest                blake2b over all bytes before: the file is whole

The file holds every row of the checkpoints, history included; it is read as a stream in both directions.
"""

import hashlib
import struct
import zlib
from collections.abc import Iterable, Iterator

from msgspec import Struct

from libelli.core.codec import Decoder, encode
from libelli.core.errors import CodecError, DamagedError, ForeignError
from libelli.core.ids import GroupId, Index, Term
from libelli.core.limits import MIB
from libelli.core.members import Configuration
from libelli.core.versions import CHECKPOINT_VERSION
from libelli.host.chunks import Rows

MAGIC = b"LIBESNAP"
BLOCK_SIZE_MAX = 64 * MIB
_OPENING = struct.Struct("<8sH")
_BLOCK = struct.Struct("<II")
_DIGEST_SIZE = 32


class GroupSnapshot(Struct, frozen=True, array_like=True):
    """One group in a snapshot, and where its state stands."""

    group: GroupId
    collection: str
    index: Index
    term: Term
    configuration: Configuration


class SnapshotHeader(Struct, frozen=True, array_like=True):
    """What a snapshot says of itself."""

    cluster: str
    software: str
    groups: tuple[GroupSnapshot, ...]


class SnapshotRows(Struct, frozen=True, array_like=True):
    """One block of rows of a group."""

    group: GroupId
    runs: tuple[Rows, ...]


_header_decoder: Decoder[SnapshotHeader] = Decoder(SnapshotHeader, name="snapshot header")
_rows_decoder: Decoder[SnapshotRows] = Decoder(SnapshotRows, name="snapshot block")


class SnapshotWriter:
    """Makes the bytes of a snapshot, piece by piece."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=_DIGEST_SIZE)

    def open(self, header: SnapshotHeader) -> bytes:
        """Returns the first bytes."""
        return self._count(_OPENING.pack(MAGIC, CHECKPOINT_VERSION) + _block(encode(header)))

    def rows(self, rows: SnapshotRows) -> bytes:
        """Returns the bytes of some rows."""
        return self._count(_block(encode(rows)))

    def close(self) -> bytes:
        """Returns the last bytes."""
        return _block(self._hash.digest())

    def _count(self, data: bytes) -> bytes:
        self._hash.update(data)
        return data


def _block(body: bytes) -> bytes:
    return _BLOCK.pack(len(body), zlib.crc32(body)) + body


class SnapshotReader:
    """Reads a snapshot; `header` is there at once, rows come as they are read.

    Args:
        pieces: the file's bytes, cut anywhere.

    Raises:
        DamagedError: the bytes are no snapshot, or not a whole one.
        ForeignError: a version that this software does not read.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._buffer = bytearray()
        self._hash = hashlib.blake2b(digest_size=_DIGEST_SIZE)
        magic, version = _OPENING.unpack(self._take(_OPENING.size))
        if magic != MAGIC:
            raise DamagedError("this is no snapshot of libelli: it does not begin with LIBESNAP")
        if version != CHECKPOINT_VERSION:
            raise ForeignError(f"the snapshot has version {version}, this software reads {CHECKPOINT_VERSION}")
        try:
            self.header = _header_decoder.decode(self._take_block()[0])
        except CodecError as error:
            raise DamagedError(f"the snapshot's header is damaged: {error}") from error

    def rows(self) -> Iterator[SnapshotRows]:
        """Yields the rows; at the end it has checked that the file is whole.

        Raises:
            DamagedError: it is not; rows that were yielded before must not be used.
        """
        while True:
            body, before = self._take_block()
            if len(body) == _DIGEST_SIZE and body == before:
                break
            try:
                yield _rows_decoder.decode(body)
            except CodecError as error:
                raise DamagedError(f"a block of the snapshot is damaged: {error}") from error
        if self._buffer or next(self._pieces, b""):
            raise DamagedError("the snapshot goes on behind its end: it was not written by libelli alone")

    def _take_block(self) -> tuple[bytes, bytes]:
        """Returns the next block's body, and the digest of everything before the block."""
        before = self._hash.digest()
        size, crc = _BLOCK.unpack(self._take(_BLOCK.size))
        if size > BLOCK_SIZE_MAX:
            raise DamagedError(f"a block of {size} bytes in the snapshot; the limit is {BLOCK_SIZE_MAX}")
        body = self._take(size)
        if zlib.crc32(body) != crc:
            raise DamagedError("a block of the snapshot is damaged: its checksum differs. Take another snapshot")
        return body, before

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            piece = next(self._pieces, None)
            if piece is None:
                raise DamagedError(f"the snapshot ends {size - len(self._buffer)} bytes too early: it was cut")
            self._buffer += piece
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._hash.update(data)
        return data
