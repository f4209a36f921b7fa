"""A snapshot becomes a new cluster: a new id, new certificates, new data folders with the old contents.

The file is read twice: its checksum stands at its end, and nothing is made of a file that is not whole.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from libelli.core.errors import StorageError
from libelli.core.ids import DEFAULT_GROUP
from libelli.core.limits import MIB
from libelli.host.machine import META, Position, read_position
from libelli.host.snapshots import SnapshotHeader, SnapshotReader
from libelli.live.founding import Wish
from libelli.live.seeding import RowsOfGroup, Seeded, refuse_used, seed_cluster
from libelli.stores.memory import MemoryCheckpoint

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
    position = _position(path)
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


def _position(path: Path) -> Position:
    """Returns how far the snapshot is, after reading all of it.

    Raises:
        DamagedError: it is not a whole snapshot.
        StorageError: it cannot be read, or holds no strong collection.
    """
    tables = MemoryCheckpoint()
    with _opened(path) as file:
        for group, runs in _rows(SnapshotReader(_pieces(file))):
            tables.write([run for run in runs if group == DEFAULT_GROUP and run.table == META])
    position = read_position(tables)
    if not position.index:
        raise StorageError(f"{path} holds no strong collection: it was written by software that is newer than this")
    return position


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
