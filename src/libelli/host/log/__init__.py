"""The bytes of the write-ahead log: segments of checksummed blocks over a small `Disk`, shared by all groups."""

from libelli.host.log.index import EntryIndex
from libelli.host.log.layout import SEGMENT_SIZE_DEFAULT, SegmentHeader
from libelli.host.log.recovery import GroupLog, RecoveredLog, recover
from libelli.host.log.writer import LogWriter

__all__ = [
    "SEGMENT_SIZE_DEFAULT",
    "EntryIndex",
    "GroupLog",
    "LogWriter",
    "RecoveredLog",
    "SegmentHeader",
    "recover",
]
