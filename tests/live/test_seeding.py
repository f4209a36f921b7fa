"""Snapshots and survivors become clusters: what the new replicas hold, and what is never made of a bad file."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from libelli.core.codec import encode
from libelli.core.entries import Entries, Entry, EntryKind, HardState, LogStart
from libelli.core.errors import ConfigurationError, DamagedError, StorageError
from libelli.core.ids import DEFAULT_COLLECTION, DEFAULT_GROUP, ClusterId, Index, NodeId, Term
from libelli.core.members import Configuration, Member
from libelli.host.chunks import read_chunk
from libelli.host.identity import Identity
from libelli.host.log import LogWriter, recover
from libelli.host.machine import Machine
from libelli.host.node import recovered_for
from libelli.host.snapshots import GroupSnapshot, SnapshotHeader, SnapshotRows, SnapshotWriter
from libelli.host.stamps import FrameEntry, SessionEntry, stamp
from libelli.live.cluster_file import ClusterFile, Place
from libelli.live.disk import OsDisk
from libelli.live.folder import FOLDER_VERSION, LOG_NAME, Folder, Stage, read_folder, write_folder
from libelli.live.founding import Wish
from libelli.live.recovery import examine, recover_cluster
from libelli.live.replica_files import data_path, identity_of
from libelli.live.restore import restore
from libelli.live.storage import open_checkpoint
from libelli.protocols.raft.options import Options
from libelli.protocols.raft.recovery import recover_log
from libelli.stores.memory import MemoryCheckpoint
from libelli.stores.mvcc.commands import Command, LeaseGrant, LeaseRead, Put, Range, RangeDone

OLD = ClusterId("0" * 32)
MEMBERS = tuple(Member(NodeId(n), f"old{n}", "here", f"127.0.0.1:{n}", f"127.0.0.1:1{n}") for n in (7, 8, 9))
FOUNDING = Configuration(MEMBERS)
LONG_KEY = b"long/" + b"k" * 2_000
WISH = Wish(replicas=2, is_plain=True, port=18_400)


def entry(term: int, commands: Sequence[Command], *, time_ms: int) -> Entry:
    return Entry(Term(term), EntryKind.COMMAND, stamp(FrameEntry(time_ms, False, 0, 0, 0, encode(list(commands)))))


HISTORY = [
    Entry(Term(1)),
    Entry(Term(1), EntryKind.COMMAND, stamp(SessionEntry(10))),
    entry(1, [Put(b"a", b"1"), Put(LONG_KEY, b"long")], time_ms=20),
    entry(3, [LeaseGrant(5, 60), Put(b"leased", b"x", lease=5)], time_ms=30),
    entry(3, [Put(b"a", b"2")], time_ms=40),
]


def machine_of(entries: Sequence[Entry]) -> Machine:
    machine = Machine(MemoryCheckpoint(), founding=FOUNDING)
    for index, each in enumerate(entries, start=1):
        machine.apply(Index(index), each)
    return machine


def snapshot(machine: Machine) -> bytes:
    machine.freeze()
    writer, cursor = SnapshotWriter(), b""
    group = GroupSnapshot(
        DEFAULT_GROUP, DEFAULT_COLLECTION, machine.applied, machine.applied_term, machine.configuration
    )
    data = writer.open(SnapshotHeader(OLD, "test", (group,)))
    while True:
        chunk = read_chunk(machine.overlay, cursor=cursor, size_max=1_000)
        data += writer.rows(SnapshotRows(DEFAULT_GROUP, chunk.runs))
        cursor = chunk.cursor
        if not cursor:
            return data + writer.close()


def survivor(folder: Path, entries: Sequence[Entry], *, node: int = 7, checkpointed: int = 0) -> Path:
    """A data folder with `entries` in its log, the first of them in its checkpoint, too."""
    identity = Identity(OLD, NodeId(node), f"old{node}")
    path = folder / identity.name
    path.mkdir(parents=True)
    founders = ClusterFile(version=1, cluster=OLD, members=tuple(place_of(member) for member in MEMBERS))
    assert founders.configuration == FOUNDING
    disk = OsDisk(path / LOG_NAME)
    writer = LogWriter(disk, recover(disk, cluster=OLD, node=node), random=Random(1), segment_size=1 << 20)
    writer.append([(DEFAULT_GROUP, HardState(Term(4))), (DEFAULT_GROUP, Entries(Index(1), tuple(entries)))])
    disk.close()
    checkpoint = open_checkpoint(path, DEFAULT_GROUP, identity)
    machine = Machine(checkpoint, founding=FOUNDING)
    for index, each in enumerate(entries[:checkpointed], start=1):
        machine.apply(Index(index), each)
    if checkpointed:
        checkpoint.write(machine.freeze())
    checkpoint.close()
    write_folder(path, folder_of(identity, MEMBERS))
    return path


def place_of(member: Member) -> Place:
    return Place(
        node=member.node, name=member.name, region=member.region, peer=member.peer_address, client=member.client_address
    )


def folder_of(identity: Identity, members: Sequence[Member]) -> Folder:
    from libelli.live.folder import FolderMember

    founding = tuple(
        FolderMember(node=m.node, name=m.name, region=m.region, peer=m.peer_address, client=m.client_address)
        for m in members
    )
    return Folder(
        version=FOLDER_VERSION,
        cluster=identity.cluster,
        node=identity.node,
        name=identity.name,
        stage=Stage.IN_USE,
        founding=founding,
    )


def require_whole(folder: Path, content: ClusterFile, expected: Machine) -> None:
    """Each replica holds what `expected` does, under the new cluster's names, and its consensus can begin."""
    for place in content.members:
        data = data_path(folder, place)
        checkpoint = open_checkpoint(data, DEFAULT_GROUP, identity_of(content, place))
        disk = OsDisk(data / LOG_NAME)
        try:
            machine = Machine(checkpoint, founding=Configuration(()))
            assert machine.configuration == content.configuration
            assert (machine.applied, machine.applied_term) == (expected.applied, expected.applied_term)
            assert machine.clock_ms == expected.clock_ms
            assert machine.highest_node == 2
            assert len(machine.sessions) == 0
            require_same_data(machine, expected)
            log = recover(disk, cluster=content.cluster, node=place.node)
            recovered = recovered_for(log.groups[DEFAULT_GROUP], machine, Configuration(()))
            assert recovered.hard_state.term >= machine.applied_term
            found, configurations, restart = recover_log(recovered, Options())
            assert (found.last_index, found.last_term, restart) == (machine.applied, machine.applied_term, None)
            assert configurations.latest == content.configuration
        finally:
            disk.close()
            checkpoint.close()
        made = read_folder(data)
        assert made is not None
        assert (made.cluster, made.stage) == (content.cluster, Stage.IN_USE)


def require_same_data(machine: Machine, expected: Machine) -> None:
    questions: list[Command] = [Range(b"\0", b"\0"), Range(b"a", revision=2), LeaseRead(0, keys=True), Range(LONG_KEY)]
    assert machine.store.read(questions) == expected.store.read(questions)
    (whole,) = machine.store.read([Range(b"\0", b"\0")])
    assert isinstance(whole, RangeDone)
    assert whole.count == 3


def test_a_restored_cluster_holds_what_the_snapshot_holds(tmp_path: Path) -> None:
    machine = machine_of(HISTORY)
    file = tmp_path / "s.snap"
    file.write_bytes(snapshot(machine))
    seeded = restore(file, tmp_path / "new", WISH)
    assert seeded.content.cluster != OLD
    require_whole(tmp_path / "new", seeded.content, machine)


def test_a_damaged_or_cut_snapshot_makes_nothing(tmp_path: Path, seed: int) -> None:
    random, data = Random(seed), snapshot(machine_of(HISTORY))
    file, folder = tmp_path / "s.snap", tmp_path / "new"
    for _ in range(60):
        at = random.randrange(len(data))
        damaged = bytearray(data)
        damaged[at] ^= 1 << random.randrange(8)
        for bad in (bytes(damaged), data[:at], data + b"x"):
            file.write_bytes(bad)
            with pytest.raises(StorageError):
                restore(file, folder, WISH)
            assert not folder.exists()


def test_a_folder_that_is_used_is_not_restored_into(tmp_path: Path) -> None:
    file = tmp_path / "s.snap"
    file.write_bytes(snapshot(machine_of(HISTORY)))
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "something").touch()
    with pytest.raises(ConfigurationError, match="is not empty"):
        restore(file, tmp_path / "used", WISH)


@pytest.mark.parametrize("checkpointed", [0, 3, 5])
def test_all_that_a_survivor_holds_is_recovered(tmp_path: Path, checkpointed: int) -> None:
    path = survivor(tmp_path, HISTORY, checkpointed=checkpointed)
    before = {file.name: file.read_bytes() for file in (path / LOG_NAME).iterdir()}
    (found,) = examine([path])
    assert (found.index, found.term, found.voted_term) == (5, 3, 4)
    assert found.behind == 5 - checkpointed
    assert found.members == ("old7", "old8", "old9")

    seeded = recover_cluster(found, tmp_path / "new", WISH)

    require_whole(tmp_path / "new", seeded.content, machine_of(HISTORY))
    assert examine([path]) == [found]
    assert {file.name: file.read_bytes() for file in (path / LOG_NAME).iterdir()} == before


def test_the_survivor_that_is_furthest_comes_first(tmp_path: Path) -> None:
    later_term = survivor(tmp_path, HISTORY[:4], node=7)
    longer = survivor(tmp_path, [*HISTORY[:3], *HISTORY[2:3] * 4], node=8)
    assert [each.path for each in examine([longer, later_term])] == [later_term, longer]


def test_survivors_of_two_clusters_are_not_mixed(tmp_path: Path) -> None:
    one = survivor(tmp_path / "one", HISTORY)
    other = survivor(tmp_path / "other", HISTORY, node=8)
    folder = read_folder(other)
    assert folder is not None
    with pytest.raises(StorageError):
        examine([one, tmp_path])
    write_folder(other, folder_of(Identity(ClusterId("1" * 32), NodeId(8), "old8"), MEMBERS))
    with pytest.raises(StorageError):  # its log says what it is, whatever the folder says
        examine([one, other])


def test_a_survivor_whose_log_begins_behind_its_checkpoint_is_refused_also_without_entries(tmp_path: Path) -> None:
    path = survivor(tmp_path, HISTORY, checkpointed=2)
    disk = OsDisk(path / LOG_NAME)
    writer = LogWriter(disk, recover(disk, cluster=OLD, node=7), random=Random(2), segment_size=1 << 20)
    writer.append([(DEFAULT_GROUP, LogStart(Index(5), Term(3), FOUNDING))])
    disk.close()
    with pytest.raises(StorageError, match="begins behind 5, the checkpoint ends at 2"):
        examine([path])


def test_a_damaged_survivor_is_refused(tmp_path: Path) -> None:
    path = survivor(tmp_path, [*HISTORY, *HISTORY[4:] * 3])
    disk = OsDisk(path / LOG_NAME)
    writer = LogWriter(disk, recover(disk, cluster=OLD, node=7), random=Random(2), segment_size=1 << 20)
    writer.append([(DEFAULT_GROUP, HardState(Term(5)))])
    disk.close()
    segment = min((path / LOG_NAME).glob("*.seg"))
    data = bytearray(segment.read_bytes())
    data[600] ^= 1
    segment.write_bytes(bytes(data))
    with pytest.raises(DamagedError):
        examine([path])
