"""Versions: of the formats on disk and on the wire, and of eventual objects."""

from msgspec import Struct

from libelli.core.ids import NodeId

WIRE_VERSION = 1
"""Of the frames between nodes, and between clients and nodes. Both sides name the range they speak."""

OLDEST_WIRE_VERSION = 1
"""The oldest wire version that this code still speaks."""

LOG_VERSION = 1
"""Of the segments of the write-ahead log."""

CHECKPOINT_VERSION = 1
"""Of the tables in the store's engine, and of snapshots made from them."""


class Version(Struct, frozen=True, order=True, array_like=True):
    """A Lamport version of an eventual object: the later scalar wins, on a tie the higher pid."""

    scalar: int
    pid: NodeId

    def child(self, pid: NodeId) -> "Version":
        """Returns the version that `pid` gives to an update which it makes on top of this one."""
        return Version(self.scalar + 1, pid)


def common_wire_version(*, oldest: int, newest: int) -> int | None:
    """Returns the newest wire version that both sides speak, or None when there is none."""
    best = min(newest, WIRE_VERSION)
    return best if best >= max(oldest, OLDEST_WIRE_VERSION) else None
