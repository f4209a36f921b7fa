"""Copies everything for a client, as one consistent snapshot file.

A copy holds all that was answered before it was asked for: the leader first makes sure that it leads, then has a
checkpoint written that reaches as far, and reads a view of that.
"""

from msgspec import Struct

from libelli.core.calls import ReadSnapshot, Refusal, Reply, SnapshotPart
from libelli.core.errors import Code
from libelli.core.ids import NO_NODE, Index, NodeId
from libelli.core.limits import MIB
from libelli.host.chunks import read_chunk
from libelli.host.group import Group
from libelli.host.snapshots import GroupSnapshot, SnapshotHeader, SnapshotRows, SnapshotWriter
from libelli.host.transfers import OpenView
from libelli.host.waiters import ExportWaiter

PART_SIZE = MIB
EXPORT_KEY = NO_NODE
"""Views of exports are kept beside those of snapshot transfers, under no node's number."""


class Export(Struct):
    """One copy under way: the groups that are still to be read, in order, and where it stands."""

    connection: int
    groups: list[Group]
    writer: SnapshotWriter
    cursor: bytes = b""
    part: int = 0


class Exports:
    """All copies that clients read from this node.

    Args:
        cluster: the cluster's id.
        software: for the header.
    """

    def __init__(self, *, cluster: str, software: str) -> None:
        self._cluster = cluster
        self._software = software
        self._groups: list[Group] = []
        self._exports: dict[int, Export] = {}
        self._asked: dict[tuple[int, int], dict[int, Index]] = {}
        self._last = 0

    def add(self, group: Group) -> None:
        """Adds a group; copies hold the groups in this order."""
        self._groups.append(group)

    def begin(self, connection: int, call: ReadSnapshot) -> None:
        """Asks every group for a state that is current; `ready` goes on when all have one."""
        self._asked[connection, call.call] = {}
        for group in self._groups:
            group.query(ExportWaiter(connection, call))

    def ready(self, now_ms: int) -> list[tuple[int, Reply]]:
        """Returns first parts of copies whose groups have all reached a checkpoint."""
        for group in self._groups:
            for waiting, index in group.exports_ready:
                asked = self._asked.get((waiting.connection, waiting.call.call))
                if asked is not None:
                    asked[group.group_id] = index
            group.exports_ready = []
        found: list[tuple[int, Reply]] = []
        for (connection, call), asked in list(self._asked.items()):
            if len(asked) == len(self._groups) and self._are_flushed(asked):
                del self._asked[connection, call]
                found.append((connection, self._open(connection, call, now_ms)))
        return found

    def refused(self, connection: int, call: int) -> None:
        """A call was refused; if it asked for a copy, nobody waits for that any more."""
        self._asked.pop((connection, call), None)

    def forget(self, connection: int) -> None:
        """Drops the copies of a connection."""
        for transfer, export in list(self._exports.items()):
            if export.connection == connection:
                self._end(transfer)
        for key in [key for key in self._asked if key[0] == connection]:
            del self._asked[key]

    def next(self, connection: int, call: ReadSnapshot, now_ms: int) -> Reply:
        """Returns the next part of a copy."""
        export = self._exports.get(call.transfer)
        if export is None or export.connection != connection or call.cursor != b"%d" % export.part:
            return Refusal(call.call, Code.INVALID, f"no copy {call.transfer} waits at {call.cursor!r}: begin again")
        view = self._view(export.groups[0], call.transfer, now_ms)
        if view is None:
            self._end(call.transfer)
            return Refusal(call.call, Code.OVERLOADED, "the copy was not asked for in time and is closed: begin again")
        group = export.groups[0]
        chunk = read_chunk(view.view, cursor=export.cursor, size_max=PART_SIZE)
        data = export.writer.rows(SnapshotRows(group.group_id, chunk.runs))
        export.cursor = chunk.cursor
        if not chunk.cursor:
            group.source.close((EXPORT_KEY, call.transfer))
            del export.groups[0]
        for rest in export.groups:
            self._view(rest, call.transfer, now_ms)  # they are in use, though not yet read
        if not export.groups:
            self._end(call.transfer)
            return SnapshotPart(call.call, call.transfer, b"", data + export.writer.close())
        export.part += 1
        return SnapshotPart(call.call, call.transfer, b"%d" % export.part, data)

    def _are_flushed(self, asked: dict[int, Index]) -> bool:
        behind = [group for group in self._groups if group.flushed_index < asked[group.group_id]]
        for group in behind:
            group.want_flush()
        return not behind

    def _open(self, connection: int, call: int, now_ms: int) -> Reply:
        self._last += 1
        key: tuple[NodeId, int] = (EXPORT_KEY, self._last)
        parts: list[GroupSnapshot] = []
        for group in self._groups:
            opened = group.source.open(key, now_ms)
            if opened is None:
                for other in self._groups:
                    other.source.close(key)
                return Refusal(call, Code.OVERLOADED, "too many copies are being read: try again in half a minute")
            at = opened.position
            parts.append(GroupSnapshot(group.group_id, group.collection, at.index, at.term, at.configuration))
        export = Export(connection, list(self._groups), SnapshotWriter())
        self._exports[self._last] = export
        header = SnapshotHeader(self._cluster, self._software, tuple(parts))
        return SnapshotPart(call, self._last, b"0", export.writer.open(header))

    @staticmethod
    def _view(group: Group, transfer: int, now_ms: int) -> OpenView | None:
        return group.source.find((EXPORT_KEY, transfer), now_ms)

    def _end(self, transfer: int) -> None:
        del self._exports[transfer]
        for group in self._groups:
            group.source.close((EXPORT_KEY, transfer))
