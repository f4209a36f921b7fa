"""Reads the log back after a stop or a crash: cuts a torn tail, refuses a damaged middle.

::

    segments in order ─► header ok? ─► block, block, … ─► first invalid block
                                                            ├─ a valid block behind it: damaged, refuse
                                                            ├─ not in the last segment:  damaged, refuse
                                                            └─ else: torn by the crash, cut here

A block that was torn was never answered for, so cutting it loses nothing that was promised. What cannot be told
from a torn tail is damage to the very last durable block; consensus with the other replicas repairs it only if
they hold those entries, so it is reported in the log of the node.

Differs: Alagappan et al., "Protocol-Aware Recovery for Consensus-Based Storage" (FAST 2018), would mark such
entries as possibly lost and ask the peers; here the block is cut and the node says so.
"""

from msgspec import Struct

from libelli.core.entries import Entries, Entry, HardState, LogStart
from libelli.core.errors import DamagedError, ForeignError
from libelli.core.ids import GroupId, Index
from libelli.core.versions import LOG_VERSION
from libelli.host.disk import Disk
from libelli.host.log.index import EntryIndex, Span
from libelli.host.log.layout import (
    BLOCK_HEADER_SIZE,
    HEADER_SIZE,
    SECTOR_SIZE,
    SegmentHeader,
    block_at,
    decode_header,
    encode_record,
    padded,
    records_in,
    segment_name,
    segment_number,
)

ADVICE = (
    "this replica must not go on with it: stop it, keep its directory for inspection, remove the member, and add "
    "a fresh one that copies the data from the others (runbook: a damaged log)"
)


class GroupLog:
    """One group's log as it is read back, and where its entries lie.

    Old segments go as soon as nobody needs them, so the first record of entries that is found may lie behind a
    gap, which a later `LogStart` covers.
    """

    def __init__(self) -> None:
        self.hard_state = HardState()
        self.start = LogStart()
        self.before = Index(0)
        """The index before the first entry in `entries`."""
        self.entries: list[Entry] = []
        self.index = EntryIndex()

    @property
    def last_index(self) -> Index:
        """The last index in the log."""
        return Index(self.before + len(self.entries))

    def take(self, record: HardState | Entries | LogStart, *, segment: int, offset: int, size: int) -> None:
        """Adds a record that lies at `offset` in a segment."""
        match record:
            case HardState():
                self.hard_state = record
            case Entries(first_index, entries) if entries:
                self._take_entries(first_index, entries)
                last = Index(first_index + len(entries) - 1)
                self.index.add(Span(first_index, last, segment, offset, size))
                self.index.drop_through(self.start.index)
            case LogStart():
                self._move_start(record)

    def why_incomplete(self) -> str | None:
        """Returns what is missing between the log's start and its first entry, or None."""
        if self.before > self.start.index:
            return f"entries {self.start.index + 1} to {self.before} are missing"
        return None

    def _take_entries(self, first_index: Index, entries: tuple[Entry, ...]) -> None:
        is_gap = first_index > self.last_index + 1
        # What a later write took the place of may lie behind a gap, since nobody needed what came before it.
        is_rewrite = self.start.index < first_index <= self.before
        if is_gap or is_rewrite:
            self._forget(Index(first_index - 1))
        keep = first_index - self.before - 1
        if keep < 0:
            raise DamagedError(f"entries go on at {first_index} in a log that begins after {self.before}; {ADVICE}")
        del self.entries[keep:]
        self.entries.extend(entries)

    def _move_start(self, start: LogStart) -> None:
        if start.index < self.start.index:
            raise DamagedError(f"the log's start went back from {self.start.index} to {start.index}; {ADVICE}")
        self.start = start
        gone = start.index - self.before
        if gone < 0:
            return  # the start of an older time; a later one covers the gap
        if gone == 0 or (gone <= len(self.entries) and self.entries[gone - 1].term == start.term):
            del self.entries[:gone]
            self.before = start.index
            self.index.drop_through(start.index)
        else:
            # A snapshot took the place of a log that does not reach it, or that disagrees with it.
            self._forget(start.index)

    def _forget(self, before: Index) -> None:
        self.entries.clear()
        self.index.clear()
        self.before = before


class RecoveredLog(Struct):
    """The whole log as it was read back; a `LogWriter` goes on from it.

    Attributes:
        cluster: whose log it is.
        node: whose log it is.
        groups: each group's part.
        segments: the numbers of all segments, in order.
        next_block: the number of the next block.
        torn_bytes: how much was cut from the tail (0: nothing was torn).
    """

    cluster: str
    node: int
    groups: dict[GroupId, GroupLog]
    segments: list[int]
    next_block: int
    torn_bytes: int = 0


def recover(disk: Disk, *, cluster: str, node: int) -> RecoveredLog:
    """Returns the log on `disk`; an empty disk has an empty log.

    Raises:
        DamagedError: durable bytes were changed; the message says what to do.
        ForeignError: the log belongs to another cluster or node, or has an unknown version.
        StorageError: the disk cannot be read.
    """
    log = RecoveredLog(cluster, node, {}, [], next_block=1)
    numbers = sorted(n for n in map(segment_number, disk.names()) if n is not None)
    for number in numbers:
        _read_segment(disk, number, log, is_last=number == numbers[-1])
    for group, part in sorted(log.groups.items()):
        if (missing := part.why_incomplete()) is not None:
            raise DamagedError(f"group {group}: {missing}; {ADVICE}")
    return log


def _read_segment(disk: Disk, number: int, log: RecoveredLog, *, is_last: bool) -> None:
    name = segment_name(number)
    data = disk.read(name, offset=0, size=disk.size(name))
    header = decode_header(data)
    if header is None:
        if is_last and not any(data[HEADER_SIZE:]):
            # The crash came while the segment was being made: nothing can be in it.
            disk.remove(name)
            disk.sync_directory()
            return
        raise DamagedError(f"{name}: its header is damaged; {ADVICE}")
    _check_owner(header, name, log)
    if log.segments and number != log.segments[-1] + 1:
        raise DamagedError(f"{name} follows segment {log.segments[-1]}: one is missing; {ADVICE}")
    if header.first_block != log.next_block and log.segments:
        raise DamagedError(
            f"{name} begins with block {header.first_block}, but the segment before ends with "
            f"{log.next_block - 1}: blocks are missing; {ADVICE}"
        )
    log.next_block = header.first_block
    log.segments.append(number)
    end = _read_blocks(data, header, log)
    if is_last:
        log.torn_bytes = _cut_tail(disk, name, data, end, header)


def _check_owner(header: SegmentHeader, name: str, log: RecoveredLog) -> None:
    if header.version != LOG_VERSION:
        raise ForeignError(
            f"{name} has format version {header.version}, this version of libelli reads {LOG_VERSION}: "
            f"start it with the version that wrote it"
        )
    if header.cluster != log.cluster or header.node != log.node:
        raise ForeignError(
            f"{name} belongs to node {header.node} of cluster {header.cluster}, not to node {log.node} of cluster "
            f"{log.cluster}: give each replica the data directory that is its own"
        )


def _read_blocks(data: bytes, header: SegmentHeader, log: RecoveredLog) -> int:
    """Takes all valid blocks; returns the offset where the first other thing lies."""
    offset = HEADER_SIZE
    while (found := block_at(data, offset, salt=header.salt)) is not None:
        number, payload = found
        if number != log.next_block:
            raise DamagedError(
                f"segment {header.segment} has block {number} where {log.next_block} should be; {ADVICE}"
            )
        for at, (group, record) in records_in(payload):
            part = log.groups.setdefault(group, GroupLog())
            size = len(encode_record((group, record))) if isinstance(record, Entries) else 0
            part.take(record, segment=header.segment, offset=offset + BLOCK_HEADER_SIZE + at, size=size)
        log.next_block = number + 1
        offset += padded(BLOCK_HEADER_SIZE + len(payload))
    return offset


def _cut_tail(disk: Disk, name: str, data: bytes, end: int, header: SegmentHeader) -> int:
    """Makes the last segment end at its last valid block; returns how many bytes that were not zero it cut."""
    for offset in range(end + SECTOR_SIZE, len(data), SECTOR_SIZE):
        if (found := block_at(data, offset, salt=header.salt)) is not None:
            raise DamagedError(
                f"{name}: bytes {end} to {offset} are damaged, and block {found[0]} behind them is whole; {ADVICE}"
            )
    torn = len(data[end:].rstrip(b"\0"))
    if len(data) > end:
        disk.truncate(name, size=end)
    # A process that was killed leaves blocks that were written but never synced: they count from now on.
    disk.sync(name)
    disk.sync_directory()
    return torn
