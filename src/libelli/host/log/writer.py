"""Appends blocks to the log, starts and removes segments, reads entries back.

Runs in the world's writer thread, one call at a time. Each new segment opens with a block that repeats every
group's hard state and start, so that an old segment is needed only for the entries in it; and a group whose few
entries would pin old segments for ever has them copied to the front.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from libelli.core.entries import Entries, Entry, LogStart
from libelli.core.errors import DiskFullError
from libelli.core.ids import GroupId, Index
from libelli.core.versions import LOG_VERSION
from libelli.host.disk import Disk
from libelli.host.log.index import Span
from libelli.host.log.layout import (
    BLOCK_HEADER_SIZE,
    HEADER_SIZE,
    SEGMENT_SIZE_DEFAULT,
    LogRecord,
    SegmentHeader,
    decode_record,
    encode_block,
    encode_record,
    padded,
    segment_name,
)
from libelli.host.log.recovery import GroupLog, RecoveredLog

if TYPE_CHECKING:
    from random import Random

SEGMENTS_PINNED_MAX = 4
"""When the log has more segments than this, entries that pin the oldest are copied forward, if they are few."""


class LogWriter:
    """The writing end of a log.

    Args:
        disk: where the segments are.
        log: what `recover` found.
        random: for the salt of new segments.
        segment_size: of new segments, in bytes; a block that is larger gets a segment of its own size.
    """

    def __init__(
        self,
        disk: Disk,
        log: RecoveredLog,
        *,
        random: "Random",
        segment_size: int = SEGMENT_SIZE_DEFAULT,
    ) -> None:
        self._disk = disk
        self._random = random
        self._segment_size = segment_size
        self._cluster = log.cluster
        self._node = log.node
        self._segments = list(log.segments)
        self._next_block = log.next_block
        self._groups: dict[GroupId, GroupLog] = log.groups
        for part in self._groups.values():
            part.entries.clear()  # the replicas have them now; only their places are kept here
        # The recovered last segment was cut at its end, so new blocks begin a new one.
        self._offset = self._end = 0
        self._salt = 0

    @property
    def segments(self) -> tuple[int, ...]:
        """The numbers of the segments on the disk."""
        return tuple(self._segments)

    @property
    def size_bytes(self) -> int:
        """About how much room the log takes."""
        return len(self._segments) * self._segment_size

    def append(self, records: Sequence[LogRecord]) -> None:
        """Writes `records` as one block and syncs it; on return they are durable.

        Raises:
            DiskFullError: nothing of it counts as written; call again with the same records.
            StorageError: the log cannot be used any more in this process.
        """
        encoded = [encode_record(record) for record in records]
        begins_segment = self._offset + self._block_size(encoded) > self._end
        if begins_segment:
            self._start_segment(self._block_size(encoded))
        self._write_block(records, encoded)
        if begins_segment or any(isinstance(record, LogStart) for _, record in records):
            with suppress(DiskFullError):  # the records are durable; what could not go yet goes with the next segment
                self._trim()

    def read(self, group: GroupId, *, first_index: Index, last_index: Index, size_max: int) -> tuple[Entry, ...]:
        """Returns entries from `first_index` on: at most `size_max` bytes of data but at least one entry.

        Empty when they are not in the log any more.

        Raises:
            StorageError: the disk cannot be read.
            CodecError: the bytes read are damaged.
        """
        part = self._groups.get(group)
        found: list[Entry] = []
        index, size = first_index, 0
        while part is not None and index <= last_index and (span := part.index.find(index)) is not None:
            for entry in self._read_span(span)[index - span.first : last_index - span.first + 1]:
                size += len(entry.data)
                if found and size > size_max:
                    return tuple(found)
                found.append(entry)
            index = Index(span.last + 1)
        return tuple(found)

    def _read_span(self, span: Span) -> tuple[Entry, ...]:
        data = self._disk.read(segment_name(span.segment), offset=span.offset, size=span.size)
        _, record = decode_record(data)
        entries = record.entries if isinstance(record, Entries) else ()
        return entries[: span.last - span.first + 1]

    @staticmethod
    def _block_size(encoded: Sequence[bytes]) -> int:
        return padded(BLOCK_HEADER_SIZE + sum(map(len, encoded)))

    def _write_block(self, records: Sequence[LogRecord], encoded: Sequence[bytes]) -> None:
        name = segment_name(self._segments[-1])
        block = encode_block(b"".join(encoded), number=self._next_block, salt=self._salt)
        self._disk.write(name, offset=self._offset, data=block)
        self._disk.sync(name)
        self._note_block(records, encoded)
        self._offset += len(block)

    def _note_block(self, records: Sequence[LogRecord], encoded: Sequence[bytes]) -> None:
        """Remembers what the block at the current offset holds."""
        offset = self._offset + BLOCK_HEADER_SIZE
        for (group, record), data in zip(records, encoded, strict=True):
            self._note(group, record, offset=offset, size=len(data))
            offset += len(data)
        self._next_block += 1

    def _note(self, group: GroupId, record: object, *, offset: int, size: int) -> None:
        part = self._groups.setdefault(group, GroupLog())
        if isinstance(record, Entries):
            last = Index(record.first_index + len(record.entries) - 1)
            part.index.add(Span(record.first_index, last, self._segments[-1], offset, size))
            part.index.drop_through(part.start.index)  # a rest before the start would pin its segment
        elif isinstance(record, type(part.hard_state)):
            part.hard_state = record
        elif isinstance(record, type(part.start)):
            part.start = record
            part.index.drop_through(record.index)

    def _start_segment(self, block_size: int) -> None:
        """Makes a new segment durable, opened by every group's hard state and start."""
        number = self._segments[-1] + 1 if self._segments else 1
        encoded = [encode_record(record) for record in self._preamble()]
        salt = self._random.getrandbits(64)
        header = SegmentHeader(LOG_VERSION, self._cluster, self._node, number, self._next_block, salt)
        block = encode_block(b"".join(encoded), number=self._next_block, salt=salt) if encoded else b""
        size = max(self._segment_size, HEADER_SIZE + len(block) + block_size)
        name = segment_name(number)
        self._disk.create(name, size=size)
        self._disk.write(name, offset=0, data=header.encode())
        self._disk.sync(name)  # before anything else stands in it: else a damaged header could pass for a torn one
        self._disk.write(name, offset=HEADER_SIZE, data=block)
        self._disk.sync(name)
        self._disk.sync_directory()
        self._segments.append(number)
        self._salt = salt
        self._next_block += bool(encoded)
        self._offset, self._end = HEADER_SIZE + len(block), size

    def _preamble(self) -> list[LogRecord]:
        records: list[LogRecord] = []
        for group in sorted(self._groups):
            part = self._groups[group]
            records += [(group, part.start), (group, part.hard_state)]
        return records

    def _trim(self) -> None:
        """Removes the segments that nobody needs."""
        needed = [part.index.first_segment() for part in self._groups.values()]
        oldest = min((segment for segment in needed if segment is not None), default=self._segments[-1])
        if oldest > self._segments[0]:
            self._remove_before(oldest)
        elif len(self._segments) > SEGMENTS_PINNED_MAX:
            self._copy_forward(oldest)

    def _remove_before(self, oldest: int) -> None:
        # From the oldest on, so that a crash in between leaves a log without holes.
        while self._segments[0] < oldest:
            self._disk.remove(segment_name(self._segments[0]))
            self._disk.sync_directory()
            del self._segments[0]

    def _copy_forward(self, oldest: int) -> None:
        """Copies the entries of groups that pin the oldest segment, unless they are many."""
        for group in sorted(self._groups):
            spans = self._groups[group].index.spans
            if not spans or spans[0].segment != oldest:
                continue
            if sum(span.size for span in spans) > self._segment_size // 8:
                return
            entries = tuple(entry for span in spans for entry in self._read_span(span))
            # A span that the start cuts in two holds entries that recovery must not meet behind that start.
            first = Index(max(spans[0].first, self._groups[group].start.index + 1))
            record: LogRecord = (group, Entries(first, entries[first - spans[0].first :]))
            encoded = [encode_record(record)]
            if self._offset + self._block_size(encoded) > self._end:
                return  # the next segment has room
            self._write_block([record], encoded)
