"""Brings a snapshot from the leader into this replica's store.

::

    InstallSnapshot ─► ask ─► chunk ─► InstallChunk ─► stored ─► ask … last ─► FinishInstall ─► installed
                        ▲                                         │
                        └── begin again: view gone, disk refused ─┘
"""

from typing import TYPE_CHECKING

from libelli.core.events import SnapshotInstalled
from libelli.core.ids import NO_NODE, Index, NodeId
from libelli.host.transfers import FetchChunk, SnapshotChunk, SnapshotFetch, SnapshotGone
from libelli.host.world import AbandonInstall, FinishInstall, InstallChunk, Trace

if TYPE_CHECKING:
    from libelli.host.group import Group


class Installation:
    """The snapshot that a group is fetching, if any."""

    def __init__(self, group: "Group") -> None:
        self._group = group
        self._fetch: SnapshotFetch | None = None
        self._index = Index(0)
        self._transfers = 0
        self.is_finishing = False

    @property
    def is_active(self) -> bool:
        """Whether a snapshot is on its way."""
        return self._fetch is not None

    def begin(self, source: NodeId, index: Index, now_ms: int) -> None:
        """Starts to fetch; an unfinished fetch is abandoned."""
        group = self._group
        if self._fetch is not None:
            group.outbox.add(AbandonInstall(group.group_id))
        # A number of an earlier life could meet an old view: the clock makes it new.
        self._transfers = max(self._transfers + 1, now_ms)
        self._index = index
        self._fetch = SnapshotFetch(source=source, index=index, transfer=self._transfers, send=self._send)
        self.is_finishing = False
        group.outbox.add(Trace("snapshot.fetch", group.group_id, {"source": source, "index": index}))
        self._fetch.ask(now_ms)

    def _send(self, request: FetchChunk) -> None:
        if self._fetch is not None:
            self._group.outbox.send_peer(self._fetch.source, self._group.group_id, request)

    def tend(self, now_ms: int) -> None:
        """Asks again when an answer is overdue; gives up a source that is silent and does not lead any more.

        Whoever leads now offers a snapshot of its own, but not while this one is on its way.
        """
        fetch = self._fetch
        if fetch is None or self.is_finishing or not fetch.is_overdue(now_ms):
            return
        leader = self._group.replica.leader
        if leader not in (NO_NODE, fetch.source):
            self.failed(f"node {fetch.source} is silent, and node {leader} leads", now_ms)
        else:
            fetch.ask(now_ms)

    def take(self, source: NodeId, chunk: SnapshotChunk) -> None:
        """Takes a chunk; one that was not asked for is dropped."""
        fetch = self._fetch
        if fetch is not None and source == fetch.source and fetch.take(chunk):
            is_first = not chunk.asked
            self._group.outbox.add(InstallChunk(self._group.group_id, is_first, chunk.runs))

    def take_gone(self, source: NodeId, gone: SnapshotGone, now_ms: int) -> None:
        """The source has closed its view: everything from the beginning."""
        fetch = self._fetch
        is_ours = fetch is not None and source == fetch.source and gone.transfer == fetch.transfer
        if is_ours and fetch is not None and not fetch.is_storing:  # else it answers what was asked twice
            self.begin(source, self._index, now_ms)

    def stored(self, now_ms: int) -> None:
        """The world has stored the last chunk."""
        if self._fetch is None or self.is_finishing:
            return
        if self._fetch.is_complete:
            self.is_finishing = True
            self._group.outbox.add(FinishInstall(self._group.group_id))
        else:
            self._fetch.ask(now_ms)

    def finished(self, now_ms: int) -> None:
        """The new contents are in place, durably."""
        if self._fetch is None or not self.is_finishing:
            return
        self._fetch, self.is_finishing = None, False
        group = self._group
        group.replaced(now_ms)
        machine = group.machine
        group.outbox.add(Trace("snapshot.installed", group.group_id, {"index": machine.applied}))
        group.put_event(SnapshotInstalled(now_ms, machine.applied, machine.applied_term, machine.configuration))

    def failed(self, reason: str, now_ms: int) -> None:
        """The world could not store it: the replica decides when to try again."""
        if self._fetch is None:
            return
        self._fetch, self.is_finishing = None, False
        group = self._group
        group.outbox.add(AbandonInstall(group.group_id))
        group.outbox.add(Trace("snapshot.failed", group.group_id, {"reason": reason}))
        nothing = group.replica.configuration
        group.put_event(SnapshotInstalled(now_ms, Index(0), group.replica.term, nothing))
