"""A snapshot becomes a new cluster: a new id, new certificates, new data folders with the old contents.

The file is read twice: its checksum stands at its end, and nothing is made of a file that is not whole.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from libelli.core.errors import StorageError
from libelli.core.ids import DEFAULT_GROUP
from libelli.core.limits import MIB
from libelli.host.machine import Position
from libelli.host.snapshots import GroupSnapshot, SnapshotHeader, SnapshotReader
from libelli.live.founding import Wish
from libelli.live.seeding import RowsOfGroup, Seeded, refuse_used, seed_cluster

PIECE_SIZE = MIB


def restore(path: Path, folder: Path, wish: Wish) -> Seeded:
    """Makes a cluster in `folder` of the snapshot at `path`.

    Args:
        path: a file that `libelli snapshot save` wrote.
        folder: missing or empty.
        wish: how many replicas the new cluster has, and where.

    Raises:
        ConfigurationError: the folder is used, or the wish cannot be.
        DamagedError: the file is not a whole snapshot; nothing was made.
        StorageError: it cannot be read, or the new folders not written.
    """
    refuse_used(folder)
    group = _default_group(verify(path))
    # the clock stands in rows that are left out; the new cluster's goes on from its own first leader's
    position = Position(group.index, group.term, 0, group.configuration)
    with _opened(path) as file:
        reader = SnapshotReader(_pieces(file))
        return seed_cluster(folder, wish, position=position, rows=_rows(reader))


def verify(path: Path) -> SnapshotHeader:
    """Returns what a snapshot says of itself, after reading all of it.

    Raises:
        DamagedError: it is not a whole snapshot.
        StorageError: it cannot be read.
    """
    with _opened(path) as file:
        reader = SnapshotReader(_pieces(file))
        for _ in reader.rows():
            pass
    return reader.header


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}: check the path of the snapshot") from error


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(PIECE_SIZE):
        yield piece


def _rows(reader: SnapshotReader) -> Iterator[RowsOfGroup]:
    for block in reader.rows():
        yield block.group, block.runs


def _default_group(header: SnapshotHeader) -> GroupSnapshot:
    for group in header.groups:
        if group.group == DEFAULT_GROUP:
            return group
    raise StorageError("the snapshot holds no strong collection: it was written by software that is newer than this")
