"""A majority is gone for ever: what one survivor holds becomes a new cluster.

::

    survivor's folder ──► checkpoint + every entry of its log ──► new cluster: new id, new folders

The survivor's folder stays as it is; a torn tail of its log is left out, as at any start. Every entry in the log is
taken, whether it was committed or not: none that the survivor acknowledged is lost. What can be lost are
entries that the others had made durable without the survivor; what can appear are entries whose writers were told
*may have happened*. The old members must never run again: together they could go on as if nothing had happened.

Source: Ongaro, Consensus: Bridging Theory and Practice (2014), §4.2.3 says why consensus itself cannot do this.
"""

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from libelli.core.errors import StorageError
from libelli.core.ids import DEFAULT_GROUP, ClusterId, Index, NodeId, Term
from libelli.core.members import Configuration
from libelli.host.identity import Identity
from libelli.host.log import GroupLog, recover
from libelli.host.machine import Machine, Position
from libelli.live.folder import LOG_NAME, Folder, read_folder
from libelli.live.founding import Wish
from libelli.live.lock import DirectoryLock
from libelli.live.reading_disk import ReadingDisk
from libelli.live.seeding import Seeded, refuse_used, rows_of, seed_cluster
from libelli.live.storage import open_checkpoint


class Survivor(Struct, frozen=True):
    """What a survivor's folder holds.

    Attributes:
        path: the data folder.
        cluster: the old cluster.
        name: of the replica.
        node: its number.
        index: of its last entry.
        term: of that entry.
        voted_term: the last term that it took part in; a later one than `term` means that entries may be missing.
        behind: entries in its log that are not in its checkpoint; which of them were committed is not known here.
        written_s: when its log was last written, in seconds since 1970, by the clock of its machine.
        members: names of all members as far as it knows.
    """

    path: Path
    cluster: str
    name: str
    node: int
    index: Index
    term: Term
    voted_term: Term
    behind: int
    written_s: float
    members: tuple[str, ...]


def examine(paths: Sequence[Path]) -> list[Survivor]:
    """Returns what each survivor holds, the one that is furthest first.

    Raises:
        StorageError: a folder is in use, damaged, or no data folder; or they belong to different clusters.
    """
    found = [_examine(path) for path in paths]
    clusters = {survivor.cluster for survivor in found}
    if len(clusters) > 1:
        raise StorageError(f"the folders belong to several clusters ({', '.join(sorted(clusters))}): name one's")
    return sorted(found, key=lambda survivor: (survivor.term, survivor.index), reverse=True)


def recover_cluster(survivor: Survivor, folder: Path, wish: Wish) -> Seeded:
    """Makes a cluster in `folder` of all that the survivor holds.

    Raises:
        ConfigurationError: the folder is used, or the wish cannot be.
        StorageError: the survivor cannot be read, or the new folders not written.
    """
    refuse_used(folder)
    with _Opened(survivor.path) as opened:
        machine = opened.machine
        position = Position(machine.applied, machine.applied_term, machine.clock_ms, machine.configuration)
        return seed_cluster(folder, wish, position=position, rows=rows_of(DEFAULT_GROUP, machine.overlay))


def _examine(path: Path) -> Survivor:
    written_s = max((file.stat().st_mtime for file in (path / LOG_NAME).glob("*.seg")), default=0.0)
    with _Opened(path) as opened:
        machine = opened.machine
        return Survivor(
            path=path,
            cluster=opened.folder.cluster,
            name=opened.folder.name,
            node=opened.folder.node,
            index=machine.applied,
            term=machine.applied_term,
            voted_term=opened.log.hard_state.term,
            behind=opened.behind,
            written_s=written_s,
            members=tuple(member.name for member in machine.configuration),
        )


class _Opened:
    """A survivor's folder, held against its own replica, with every entry applied in memory."""

    def __init__(self, path: Path) -> None:
        folder = read_folder(path)
        if folder is None:
            raise StorageError(f"{path} is no data folder: name the folder that holds identity.json")
        self.folder: Folder = folder
        identity = Identity(ClusterId(folder.cluster), NodeId(folder.node), folder.name)
        self._lock = DirectoryLock(path)
        recovered = recover(ReadingDisk(path / LOG_NAME), cluster=folder.cluster, node=folder.node)
        self.log = recovered.groups.get(DEFAULT_GROUP, GroupLog())
        self._checkpoint = open_checkpoint(path, DEFAULT_GROUP, identity)
        self.machine = Machine(self._checkpoint, founding=folder.founding_configuration)
        self.behind = self._apply(path)

    def __enter__(self) -> "_Opened":
        return self

    def __exit__(self, *_: object) -> None:
        self._checkpoint.close()
        self._lock.release()

    def _apply(self, path: Path) -> int:
        first = self.log.before + 1
        if self.machine.applied < self.log.before:  # also without entries: what lies between is lost
            raise StorageError(
                f"the log in {path} begins behind {self.log.before}, the checkpoint ends at "
                f"{self.machine.applied}: this folder is not whole, take another survivor's"
            )
        count = 0
        for index, entry in enumerate(self.log.entries, start=first):
            if index > self.machine.applied:
                self.machine.apply(Index(index), entry)
                count += 1
        self._require_members(self.machine.configuration)
        return count

    def _require_members(self, configuration: Configuration) -> None:
        if not configuration.voters:
            raise StorageError(f"{self.folder.name} never was a member that holds data: take another survivor's folder")
