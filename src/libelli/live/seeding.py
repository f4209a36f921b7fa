"""A new cluster on this machine that does not begin empty: its replicas' folders are filled before they ever run.

::

    rows of a snapshot, or of a survivor ──► n1/data/checkpoint   the same rows in every replica, under the new
                                         ──► n2/data/checkpoint   cluster's id and members, without the old sessions
                                         ──► n3/data/checkpoint
                                             n*/data/log          begins behind the rows, in their term
    at the end                               cluster.toml         without it there is no cluster

The log of each replica says where it begins and which term was seen, so the first election is a later one.
"""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random

from msgspec import Struct

from libelli.core.entries import HardState, LogStart
from libelli.core.errors import ConfigurationError
from libelli.core.ids import DEFAULT_GROUP, GroupId
from libelli.core.limits import MIB
from libelli.host.chunks import Rows, read_chunk
from libelli.host.identity import Identity
from libelli.host.log import LogWriter, recover
from libelli.host.machine import META, Position, position_items
from libelli.host.sessions import SESSIONS
from libelli.live.cluster_file import NAME, ClusterFile, Place, write_cluster_file
from libelli.live.disk import OsDisk
from libelli.live.folder import FOLDER_VERSION, LOG_NAME, Folder, Stage, write_folder
from libelli.live.founding import Wish, draw_cluster_id, ensure_certificates, plan_cluster
from libelli.live.replica_files import data_path, identity_of, write_replica_configuration
from libelli.live.storage import open_checkpoint
from libelli.stores.engine import Install, Reader

CHUNK_SIZE = 4 * MIB
SEGMENT_SIZE = MIB
"""Of the segment that holds the first records; the node goes on with its own size."""

RowsOfGroup = tuple[GroupId, Sequence[Rows]]


class Seeded(Struct, frozen=True):
    """What was made.

    Attributes:
        path: of the new cluster's file.
        content: what that says.
        rows: how many rows each replica got.
    """

    path: Path
    content: ClusterFile
    rows: int


def rows_of(group: GroupId, reader: Reader) -> Iterator[RowsOfGroup]:
    """Yields everything in a group's tables, in order."""
    cursor = b""
    while True:
        chunk = read_chunk(reader, cursor=cursor, size_max=CHUNK_SIZE)
        yield group, chunk.runs
        cursor = chunk.cursor
        if not cursor:
            return


def refuse_used(folder: Path) -> None:
    """Refuses a folder that holds anything.

    Raises:
        ConfigurationError: it does.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ConfigurationError(
            f"{folder} is not empty: a cluster that is restored gets a folder of its own; choose another with --data"
        )


def seed_cluster(folder: Path, wish: Wish, *, position: Position, rows: Iterable[RowsOfGroup]) -> Seeded:
    """Makes a cluster in `folder`, every replica of which holds `rows` as they stand at `position`.

    Args:
        folder: missing or empty.
        wish: how many replicas, where.
        position: of the rows; its configuration is that of the old cluster.
        rows: those of the group that every cluster has, in table and key order.

    Raises:
        ConfigurationError: the folder is used, or the wish cannot be.
        StorageError: the rows cannot be read, or the folders not written; without its file there is no new cluster.
    """
    refuse_used(folder)
    content = plan_cluster(wish, cluster=draw_cluster_id())
    ensure_certificates(folder, content)
    new = Position(position.index, position.term, position.clock_ms, content.configuration)
    count = _fill(folder, content, rows, new)
    for place in content.members:
        identity = identity_of(content, place)
        _begin_log(data_path(folder, place) / LOG_NAME, identity, new)
        write_folder(data_path(folder, place), _used_folder(identity))
        write_replica_configuration(folder, content, place)
    write_cluster_file(folder / NAME, content)
    return Seeded(folder / NAME, content, count)


def _fill(folder: Path, content: ClusterFile, rows: Iterable[RowsOfGroup], position: Position) -> int:
    """Writes the rows into every replica's checkpoint; returns how many there were."""
    count = 0
    with ExitStack() as opened:
        installs = [_install(folder, content, place, opened) for place in content.members]
        for group, runs in rows:
            kept = [run for run in runs if group == DEFAULT_GROUP and run.table not in (META, SESSIONS)]
            count += sum(len(run.items) for run in kept)
            for install in installs:
                install.add(kept)
        for install in installs:
            install.add([Rows(META, _meta_items(position))])
            install.finish()
        opened.callback(installs.clear)  # nothing is left to be abandoned
    return count


def _install(folder: Path, content: ClusterFile, place: Place, opened: ExitStack) -> Install:
    path = data_path(folder, place)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    checkpoint = open_checkpoint(path, DEFAULT_GROUP, identity_of(content, place))
    opened.callback(checkpoint.close)
    return checkpoint.install()


def _meta_items(position: Position) -> list[tuple[bytes, bytes | None]]:
    highest = max(position.configuration.nodes)
    return [*position_items(position), (b"highest node", b"%d" % highest)]


def _begin_log(path: Path, identity: Identity, position: Position) -> None:
    disk = OsDisk(path)
    try:
        log = recover(disk, cluster=identity.cluster, node=identity.node)
        writer = LogWriter(disk, log, random=Random(secrets.randbits(64)), segment_size=SEGMENT_SIZE)
        start = LogStart(position.index, position.term, position.configuration)
        writer.append([(DEFAULT_GROUP, start), (DEFAULT_GROUP, HardState(position.term))])
    finally:
        disk.close()


def _used_folder(identity: Identity) -> Folder:
    return Folder(
        version=FOLDER_VERSION, cluster=identity.cluster, node=identity.node, name=identity.name, stage=Stage.IN_USE
    )
