"""A log on a simulated disk, and short ways to write to it."""

import random
from collections.abc import Sequence

from libelli.core.entries import Entries, Entry, EntryKind, HardState, LogStart
from libelli.core.ids import GroupId, Index, NodeId, Term
from libelli.host.log import LogWriter, RecoveredLog, recover
from libelli.host.log.layout import LogRecord
from libelli.sim.disk import KeepNone, SimulatedDisk, Tear

CLUSTER = "ab" * 16
NODE = NodeId(7)
GROUP = GroupId(1)
SEGMENT_SIZE = 4096


def new_disk(seed: int = 1) -> SimulatedDisk:
    return SimulatedDisk(random=random.Random(seed))


def opened(disk: SimulatedDisk) -> RecoveredLog:
    return recover(disk, cluster=CLUSTER, node=NODE)


def writer_on(disk: SimulatedDisk, *, segment_size: int = SEGMENT_SIZE, seed: int = 2) -> LogWriter:
    return LogWriter(disk, opened(disk), random=random.Random(seed), segment_size=segment_size)


def entry(data: bytes, *, term: int = 1) -> Entry:
    return Entry(Term(term), EntryKind.COMMAND, data)


def entries(first: int, *datas: bytes, term: int = 1, group: int = GROUP) -> LogRecord:
    return GroupId(group), Entries(Index(first), tuple(entry(data, term=term) for data in datas))


def state(term: int, *, vote: int = 0, group: int = GROUP) -> LogRecord:
    return GroupId(group), HardState(Term(term), NodeId(vote))


def start(index: int, *, term: int = 1, group: int = GROUP) -> LogRecord:
    return GroupId(group), LogStart(Index(index), Term(term))


def fill(log: LogWriter, first: int, last: int, *, size: int = 200, group: int = GROUP) -> None:
    """Writes one block for each entry."""
    for index in range(first, last + 1):
        log.append([entries(index, b"%d " % index * (size // 4), group=group)])


def datas(log: RecoveredLog, group: int = GROUP) -> Sequence[bytes]:
    return [each.data for each in log.groups[GroupId(group)].entries]


def after_crash(disk: SimulatedDisk, tear: Tear | None = None) -> RecoveredLog:
    """Waits until the disk is ready, cuts the power and reads the log back."""
    disk.crash(disk.busy_us, tear or KeepNone())
    return opened(disk)
