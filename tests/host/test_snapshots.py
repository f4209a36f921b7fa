"""A snapshot file: read back as written, and refused when a single byte is not."""

import random
from collections.abc import Iterator

import pytest

from libelli.core.errors import DamagedError, ForeignError, LibelliError
from libelli.core.ids import GroupId, Index, Term
from libelli.core.members import Configuration
from libelli.host.chunks import Rows
from libelli.host.snapshots import GroupSnapshot, SnapshotHeader, SnapshotReader, SnapshotRows, SnapshotWriter

HEADER = SnapshotHeader("ab" * 16, "1.0", (GroupSnapshot(GroupId(1), "default", Index(9), Term(2), Configuration(())),))
BLOCKS = [
    SnapshotRows(GroupId(1), (Rows(1, [(b"a", b"1"), (b"b", b"2")]),)),
    SnapshotRows(GroupId(1), (Rows(1, [(b"c", b"x" * 300)]), Rows(9, [(b"applied", b"")]))),
]


def written() -> bytes:
    writer = SnapshotWriter()
    return b"".join([writer.open(HEADER), *(writer.rows(block) for block in BLOCKS), writer.close()])


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def read(data: bytes, size: int = 64) -> tuple[SnapshotHeader, list[SnapshotRows]]:
    reader = SnapshotReader(pieces(data, size))
    return reader.header, list(reader.rows())


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
def test_a_snapshot_is_read_back_however_it_is_cut(size: int) -> None:
    header, rows = read(written(), size)
    assert header == HEADER
    assert [[(run.table, [tuple(item) for item in run.items]) for run in each.runs] for each in rows] == [
        [(run.table, list(run.items)) for run in each.runs] for each in BLOCKS
    ]


def test_every_cut_is_noticed() -> None:
    data = written()
    for size in range(len(data)):
        with pytest.raises(DamagedError):
            read(data[:size])


def test_every_changed_byte_is_noticed(seed: int) -> None:
    data, dice = written(), random.Random(seed)
    for at in range(len(data)):
        changed = data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :]
        with pytest.raises(LibelliError):
            read(changed)


def test_bytes_behind_the_end_are_noticed() -> None:
    with pytest.raises(DamagedError, match="goes on behind its end"):
        read(written() + b"x")


def test_a_block_that_was_left_out_is_noticed() -> None:
    writer, other = SnapshotWriter(), SnapshotWriter()
    opening, first, second = writer.open(HEADER), *(writer.rows(block) for block in BLOCKS)
    other.open(HEADER)
    assert second
    with pytest.raises(DamagedError):
        read(opening + first + writer.close())


def test_another_version_is_refused() -> None:
    data = bytearray(written())
    data[8] = 99
    with pytest.raises(ForeignError, match="has version 99"):
        read(bytes(data))


def test_another_file_is_refused() -> None:
    with pytest.raises(DamagedError, match="no snapshot of libelli"):
        read(b"PK\x03\x04" * 20)
