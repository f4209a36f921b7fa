"""What a node does around its replicas: pure, and the same in the simulator and live.

::

    peers ───► receive_peer ───┐                  ┌──► WriteLog      one for all groups
    clients ─► receive_client ─┼─► step(now_ms) ──┼──► SendPeer      one frame a node
    log ─────► written ────────┘                  ├──► SendClient    one frame a connection
    time ────────────────────────────────────────►└──► WakeAt, FlushCheckpoint, …

The world calls the input methods as things arrive, then `step` once: whatever arrived together is handled
together. `step` returns what the world has to do. A node never waits and never reads a clock.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from libelli.core.calls import GroupStatus, NodeStatus
from libelli.core.codec import Decoder
from libelli.core.entries import Entry, LogStart, Recovered
from libelli.core.errors import CodecError, InvariantError
from libelli.core.events import Loaded, Message, Started, Timer, TransferLeadership
from libelli.core.ids import (
    DEFAULT_COLLECTION,
    DEFAULT_GROUP,
    NO_NODE,
    NOBODY,
    GroupId,
    Index,
    NodeId,
)
from libelli.core.members import Configuration
from libelli.host.comparison import CompareKeys, KeysCompared
from libelli.host.doors import Doors
from libelli.host.exports import Exports
from libelli.host.group import Group
from libelli.host.identity import Identity
from libelli.host.log import GroupLog, RecoveredLog
from libelli.host.machine import Machine
from libelli.host.options import NodeOptions
from libelli.host.outbox import Outbox
from libelli.host.timers import Timers
from libelli.host.transfers import FetchChunk, SnapshotChunk, SnapshotGone
from libelli.host.world import DialPeers, WakeAt, WorldEffect
from libelli.protocols.raft import Raft, RaftMessage
from libelli.stores.engine import Checkpoint

if TYPE_CHECKING:
    from random import Random

PeerMessage = RaftMessage | FetchChunk | SnapshotChunk | SnapshotGone | CompareKeys | KeysCompared

peer_frame_decoder: Decoder[list[tuple[GroupId, PeerMessage]]] = Decoder(
    list[tuple[GroupId, PeerMessage]], name="frame of a peer"
)

TERMS_AHEAD_MAX = 1 << 32
"""No honest peer is so many elections ahead. A term is adopted and made durable by whoever hears of it, so one frame
with the last term there is would end every election of the cluster for good."""

COLLECTIONS: Mapping[GroupId, str] = {DEFAULT_GROUP: DEFAULT_COLLECTION}
"""The strong collections that every cluster has."""


def recovered_for(log: GroupLog | None, machine: Machine, founding: Configuration) -> Recovered:
    """Returns what a replica finds again, from its group's log and its store."""
    if log is None:
        log = GroupLog()
    start = log.start
    if start == LogStart():
        # Also when the store is ahead: until the log is cut for the first time nothing else says who founded it.
        start = LogStart(configuration=founding)
    return Recovered(
        hard_state=log.hard_state,
        start=start,
        entries=tuple(log.entries),
        applied=machine.applied,
        applied_term=machine.applied_term,
        applied_configuration=machine.configuration,
    )


class Node:
    """A node and all its replicas.

    Args:
        identity: who it is.
        log: what was found in its write-ahead log.
        checkpoints: the durable tables of each group.
        founding: the members of a fresh cluster; empty for a node that joins one.
        random: for the replicas' dice.
        options: sizes and times.
        process: the operating system's process id, for the status.
        software: what runs here, for the status.
        collections: the name of each group's collection.

    Raises:
        InvariantError: log and store do not fit each other.
    """

    def __init__(
        self,
        *,
        identity: Identity,
        log: RecoveredLog,
        checkpoints: Mapping[GroupId, Checkpoint],
        founding: Configuration,
        random: "Random",
        options: NodeOptions,
        process: int = 0,
        software: str = "",
        collections: Mapping[GroupId, str] = COLLECTIONS,
    ) -> None:
        self.identity = identity
        self._options = options
        self._process = process
        self._software = software
        self._outbox = Outbox()
        self._timers = Timers()
        self._groups: dict[GroupId, Group] = {}
        self._by_collection: dict[str, Group] = {}
        self._exports = Exports(cluster=identity.cluster, software=software)
        self._doors = Doors(
            identity=identity,
            outbox=self._outbox,
            collections=self._by_collection,
            exports=self._exports,
            status=self.status,
        )
        for group_id, collection in sorted(collections.items()):
            machine = Machine(checkpoints[group_id], founding=founding)
            recovered = recovered_for(log.groups.get(group_id), machine, founding)
            replica = Raft(
                identity.node, timing=options.timing, random=random, recovered=recovered, options=options.raft
            )
            self._add_group(group_id, collection, replica, machine, checkpoints[group_id])
        self._frames: list[tuple[NodeId, list[tuple[GroupId, PeerMessage]]]] = []
        self._bodies: list[tuple[int, bytes]] = []
        self._written: list[int] = []
        self._completions: list[tuple[Any, ...]] = []
        self._configurations: list[Configuration] = []
        self._dialled: tuple[tuple[NodeId, str, str], ...] = ()
        self._wake_ms = -1
        self._now_ms = 0
        self._started_ms: int | None = None
        self._alarms: dict[str, str] = {}
        self.steps = 0

    def _add_group(
        self, group_id: GroupId, collection: str, replica: Raft, machine: Machine, checkpoint: Checkpoint
    ) -> None:
        group = Group(
            group_id=group_id,
            collection=collection,
            replica=replica,
            machine=machine,
            checkpoint=checkpoint,
            outbox=self._outbox,
            timers=self._timers,
            options=self._options,
            answer=self._doors.answer,
            post=self._doors.post,
            is_full=self._doors.is_full,
        )
        self._groups[group_id] = self._by_collection[collection] = group
        self._exports.add(group)

    # ── inputs: they only queue ───────────────────────────────────────────────────────────────────────────

    def receive_peer(self, source: NodeId, body: bytes) -> None:
        """Takes one frame of another node.

        Raises:
            CodecError: it cannot be read, or no honest peer says it; end that stream, the node is as it was.
        """
        payloads = peer_frame_decoder.decode(body)
        for group_id, payload in payloads:
            if isinstance(payload, RaftMessage) and (group := self._groups.get(group_id)) is not None:
                term_max = group.replica.term + TERMS_AHEAD_MAX
                if payload.term > term_max:
                    raise CodecError(f"node {source} says term {payload.term}; at most {term_max} can be here")
        self._frames.append((source, payloads))

    def client_connected(self, connection: int, identity: str) -> None:
        """A client connected; `identity` is the name in its certificate."""
        self._doors.open(connection, identity)

    def client_lost(self, connection: int) -> None:
        """A client is gone."""
        self._doors.close(connection)

    def client_full(self, connection: int, *, is_full: bool) -> None:
        """A client's connection does not take more, or takes more again."""
        self._doors.set_full(connection, is_full=is_full)

    def receive_client(self, connection: int, body: bytes) -> None:
        """Takes one frame of a client; the first is its hello."""
        self._bodies.append((connection, body))

    def written(self, ticket: int) -> None:
        """Answers `WriteLog`."""
        self._written.append(ticket)

    def loaded(self, group: GroupId, first_index: Index, entries: tuple[Entry, ...]) -> None:
        """Answers `ReadLog`."""
        self._completions.append(("loaded", group, first_index, entries))

    def flushed(self, group: GroupId) -> None:
        """Answers `FlushCheckpoint`."""
        self._completions.append(("flushed", group))

    def chunk_installed(self, group: GroupId) -> None:
        """Answers `InstallChunk`."""
        self._completions.append(("chunk", group))

    def installed(self, group: GroupId) -> None:
        """Answers `FinishInstall`."""
        self._completions.append(("installed", group))

    def install_failed(self, group: GroupId, reason: str) -> None:
        """Answers `InstallChunk` or `FinishInstall` when the disk refused."""
        self._completions.append(("failed", group, reason))

    def alarm(self, name: str, text: str | None) -> None:
        """Sets what an operator should look at (None: it is over)."""
        if text is None:
            self._alarms.pop(name, None)
        else:
            self._alarms[name] = text

    def stopping(self) -> None:
        """Refuses new calls, and hands leadership over where somebody can take it."""
        self._doors.is_stopping = True
        for group in self._groups.values():
            if group.replica.role == "leader" and len(group.replica.configuration.voters) > 1:
                group.put_request(TransferLeadership(NOBODY, NO_NODE))

    # ── one step ──────────────────────────────────────────────────────────────────────────────────────────

    def step(self, now_ms: int) -> list[WorldEffect]:
        """Handles everything that was queued, or is due; returns what the world has to do, in order.

        Raises:
            InvariantError: a promise is broken; the node must stop and is not usable any more.
        """
        self._now_ms = now_ms
        self.steps += 1
        if self._started_ms is None:
            self._started_ms = now_ms
            for group in self._groups.values():
                group.put_event(Started(now_ms))
        self._take_inputs(now_ms)
        for group in self._groups.values():
            group.applied_bytes = group.read_bytes = 0
            group.run(now_ms)
            group.keeping.tend(now_ms)
            if not group.is_being_replaced:
                group.watches.catch_up(now_ms)
            group.run(now_ms)
        for connection, reply in self._exports.ready(now_ms):
            self._doors.answer(connection, reply)
        self._dial()
        effects = self._outbox.take()
        wake_ms = self._next_ms(now_ms)
        if wake_ms != self._wake_ms or wake_ms <= now_ms:  # a wake-up that is over is not there any more
            self._wake_ms = wake_ms
            effects.append(WakeAt(wake_ms))
        return effects

    def _take_inputs(self, now_ms: int) -> None:
        for ticket in self._written:
            for group_id, persist in self._outbox.written(ticket):
                self._groups[group_id].complete(persist, now_ms)
        self._written.clear()
        completions, self._completions = self._completions, []
        for completion in completions:
            self._take_completion(completion, now_ms)
        frames, self._frames = self._frames, []
        for source, payloads in frames:
            for group_id, payload in payloads:
                if (group := self._groups.get(group_id)) is not None:
                    self._take_message(source, group, payload, now_ms)
        for group_id, name in self._timers.take_due(now_ms):
            self._groups[group_id].put_event(Timer(now_ms, name))
        bodies, self._bodies = self._bodies, []
        for connection, body in bodies:
            self._doors.receive(connection, body, now_ms)

    def _take_completion(self, completion: tuple[Any, ...], now_ms: int) -> None:
        group = self._groups[completion[1]]
        match completion:
            case ("loaded", _, first_index, entries):
                group.put_event(Loaded(now_ms, first_index, entries))
            case ("flushed", _):
                group.flushed(now_ms)
            case ("chunk", _):
                group.installation.stored(now_ms)
            case ("installed", _):
                group.installation.finished(now_ms)
            case ("failed", _, reason):
                group.installation.failed(reason, now_ms)

    def _take_message(self, source: NodeId, group: Group, payload: PeerMessage, now_ms: int) -> None:
        match payload:
            case FetchChunk():
                answer = group.source.serve(source, payload, now_ms)
                if answer is None:
                    group.want_flush()
                else:
                    self._outbox.send_peer(source, group.group_id, answer)
            case SnapshotChunk():
                group.installation.take(source, payload)
            case SnapshotGone():
                group.installation.take_gone(source, payload, now_ms)
            case CompareKeys():
                group.keeping.take_question(source, payload)
            case KeysCompared():
                group.keeping.take_answer(source, payload)
            case _:
                group.put_event(Message(now_ms, source, payload))

    def _dial(self) -> None:
        # A member whose removal is not applied here is still spoken with: it may be the leader that removes itself.
        configurations = [
            configuration
            for group in self._groups.values()
            for configuration in (group.machine.configuration, group.replica.configuration)
        ]
        if configurations == self._configurations:
            return
        self._configurations = configurations
        members: dict[NodeId, tuple[NodeId, str, str]] = {}
        for member in (member for configuration in configurations for member in configuration):
            if member.node != self.identity.node:
                members[member.node] = (member.node, member.name, member.peer_address)
        peers = tuple(members[node] for node in sorted(members))
        if peers != self._dialled:
            self._dialled = peers
            self._outbox.add(DialPeers(peers))

    def _next_ms(self, now_ms: int) -> int:
        times = [group.keeping.next_ms(now_ms) for group in self._groups.values()]
        timer_ms = self._timers.next_ms()
        if timer_ms is not None:
            times.append(timer_ms)
        if any(
            group.has_events or (group.watches.has_more and not group.is_being_replaced)
            for group in self._groups.values()
        ):
            return now_ms
        return max(now_ms, min(times))

    # ── what it says of itself ────────────────────────────────────────────────────────────────────────────

    def check(self) -> None:
        """Checks the invariants of all replicas.

        Raises:
            InvariantError: one is broken.
        """
        for group in self._groups.values():
            group.replica.check()
            if group.machine.applied > group.replica.commit:
                raise InvariantError(f"applied {group.machine.applied} of {group.replica.commit} committed entries")

    def group(self, collection: str = DEFAULT_COLLECTION) -> Group:
        """Returns the group of a collection."""
        return self._by_collection[collection]

    def status(self, call: int = 0) -> NodeStatus:
        """Returns what the node knows of itself."""
        alarms = list(self._alarms.values())
        for group in self._groups.values():
            alarms += group.keeping.differences.values()
            if group.machine.store.size_bytes >= self._options.quota_bytes:
                alarms.append(
                    f"collection {group.collection!r} holds {group.machine.store.size_bytes} bytes, its quota is "
                    f"{self._options.quota_bytes}: delete keys or compact, or raise the quota"
                )
        return NodeStatus(
            call,
            self.identity.node,
            self.identity.name,
            self.identity.region,
            self.identity.cluster,
            self._process,
            self._software,
            self._now_ms - (self._started_ms or 0),
            tuple(_group_status(group) for group in self._groups.values()),
            tuple(alarms),
        )

    def statistics(self) -> dict[str, float]:
        """Returns counters and gauges for metrics."""
        groups = self._groups.values()
        return {
            "steps": self.steps,
            "calls": self._doors.calls,
            "refused": self._doors.refused,
            "client_connections": len(self._doors),
            "watchers": sum(len(group.watches) for group in groups),
            "leases": sum(len(group.keeping) for group in groups),
            "sessions": sum(len(group.machine.sessions) for group in groups),
            "applied_commands": sum(group.applied_commands for group in groups),
            "compared_keys": sum(group.keeping.compared_keys for group in groups),
            "replicas_differing": sum(len(group.keeping.differences) for group in groups),
            "overlay_bytes": sum(group.machine.overlay.size_bytes for group in groups),
            "log_writes_waiting": self._outbox.writes_waiting,
        }


def _group_status(group: Group) -> GroupStatus:
    status = group.replica.status()
    store = group.machine.store
    return GroupStatus(
        group.group_id,
        group.collection,
        status.role,
        status.term,
        status.leader,
        status.commit,
        group.machine.applied,
        status.first_index,
        status.last_index,
        status.commit - group.machine.applied,
        store.revision,
        store.compact_revision,
        store.size_bytes,
        status.configuration.voters,
        status.configuration.learners,
    )
