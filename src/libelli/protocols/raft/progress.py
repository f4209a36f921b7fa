"""What a leader knows of one follower's log, and what it has sent but not heard of yet.

::

             rejected, or nothing heard            the entries it needs are gone
            ┌─────────────────────────┐          ┌──────────────────────────────┐
            ▼                         │          │                              ▼
         PROBE ── accepted ──────► REPLICATE ────┘                          SNAPSHOT
         one message at a time,    many at a time, the next                 none, until the
         where do the logs part?   index runs ahead (§10.2.2)               follower has it
            ▲                         ▲                                         │
            │                         └──────────── accepted ◄──────────────────┘
            └── a new leader, a new member

All transitions are here. A follower that says nothing gets nothing but heartbeats: every retry starts from a
`HeartbeatReply`, so a dead one costs no data and no memory.

Source: D. Ongaro (2014), §3.5 (nextIndex, matchIndex), §10.2.2 (pipelining).
"""

from collections import deque
from enum import StrEnum

from libelli.core.ids import Index


class ProgressState(StrEnum):
    """How entries are sent to a follower."""

    PROBE = "probe"
    REPLICATE = "replicate"
    SNAPSHOT = "snapshot"


class Progress:
    """One follower, as its leader sees it.

    Args:
        next_index: of the first entry that it is sent.
        tick: now; a new follower counts as heard.
        inflight_messages: at most so many messages without an answer.
        inflight_bytes: the same in bytes.
    """

    __slots__ = (
        "_inflight",
        "_inflight_bytes_max",
        "_inflight_messages_max",
        "_since_tick",
        "commit_told",
        "heard_tick",
        "inflight_bytes",
        "is_paused",
        "match",
        "next_index",
        "offered",
        "round",
        "state",
    )

    def __init__(self, *, next_index: Index, tick: int, inflight_messages: int, inflight_bytes: int) -> None:
        self.state = ProgressState.PROBE
        self.match = Index(0)
        """Its log is durable and equals the leader's up to here."""
        self.next_index = next_index
        self.is_paused = False
        """A probe is on its way."""
        self.offered = Index(0)
        """The index of the snapshot that was offered."""
        self.commit_told = Index(0)
        self.heard_tick = tick
        self.round = 0
        """The last round that it has answered (§6.4)."""
        self.inflight_bytes = 0
        self._inflight: deque[tuple[Index, int, int]] = deque()  # last index, bytes, tick
        self._inflight_messages_max = inflight_messages
        self._inflight_bytes_max = inflight_bytes
        self._since_tick = tick

    @property
    def inflight_messages(self) -> int:
        """Messages with entries that are not answered yet."""
        return len(self._inflight)

    @property
    def may_send(self) -> bool:
        """Whether one more AppendEntries may leave now."""
        if self.state is ProgressState.REPLICATE:
            return len(self._inflight) < self._inflight_messages_max and self.inflight_bytes < self._inflight_bytes_max
        return self.state is ProgressState.PROBE and not self.is_paused

    def sent(self, last: Index, *, size: int, tick: int) -> None:
        """An AppendEntries with entries up to `last` leaves."""
        if self.state is ProgressState.REPLICATE:
            self.next_index = Index(last + 1)
            self.inflight_bytes += size
            self._inflight.append((last, size, tick))
        else:
            self.is_paused = True
            self._since_tick = tick

    def accepted(self, match: Index) -> bool:
        """Takes an AppendAccepted; returns whether it says something new."""
        if match <= self.match and self.state is not ProgressState.PROBE:
            return False
        self.match = max(self.match, match)
        if self.state is ProgressState.REPLICATE:
            inflight = self._inflight
            while inflight and inflight[0][0] <= match:
                self.inflight_bytes -= inflight.popleft()[1]
            self.next_index = max(self.next_index, Index(match + 1))
        elif self.state is ProgressState.PROBE or self.match >= self.offered:
            self._become(ProgressState.REPLICATE)
        else:
            self.next_index = max(self.next_index, Index(match + 1))  # a late word from before the offer
        return True

    def rejected(self, rejected_index: Index, *, agree_index: Index) -> bool:
        """Takes an AppendRejected; returns whether it says something new.

        Args:
            rejected_index: the previous index of the message that was rejected.
            agree_index: the last index where the two logs may still agree.
        """
        if rejected_index <= self.match or self.state is ProgressState.SNAPSHOT:
            return False
        if self.state is ProgressState.PROBE and rejected_index != self.next_index - 1:
            return False
        self._become(ProgressState.PROBE)
        self.next_index = Index(max(min(rejected_index, agree_index + 1), self.match + 1))
        return True

    def begin_again(self, last_index: Index) -> None:
        """It was restarted; `last_index` is the leader's, where they most likely agree."""
        self.match = Index(0)
        self._become(ProgressState.PROBE)
        self.next_index = Index(last_index + 1)

    def needs_snapshot(self, index: Index, *, tick: int) -> None:
        """What it needs is gone from the leader's log, which begins after `index`: one was offered."""
        self._become(ProgressState.SNAPSHOT)
        self.offered = index
        self._since_tick = tick

    def heard(self, tick: int, *, probe_ticks: int, lost_ticks: int, snapshot_ticks: int) -> None:
        """Takes a HeartbeatReply: it is alive, so what it left unanswered for too long was lost.

        Args:
            tick: now.
            probe_ticks: how long a probe may take.
            lost_ticks: how long a message with entries may take, its disk included.
            snapshot_ticks: how long until a snapshot is offered again.
        """
        self.heard_tick = tick
        if self.state is ProgressState.PROBE:
            if self.is_paused and tick - self._since_tick >= probe_ticks:
                self.is_paused = False
        elif self.state is ProgressState.REPLICATE:
            if self._inflight and tick - self._inflight[0][2] >= lost_ticks:
                self._become(ProgressState.PROBE)
        elif tick - self._since_tick >= snapshot_ticks:
            self._become(ProgressState.PROBE)

    def _become(self, state: ProgressState) -> None:
        self.state = state
        self.is_paused = False
        self.inflight_bytes = 0
        self._inflight.clear()
        self.next_index = Index(self.match + 1)
