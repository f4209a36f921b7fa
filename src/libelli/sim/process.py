"""A simulated process: runs a `Node` as a live one does, on a host whose power can fail.

::

    network ─► receive_peer, receive_client ─┐             ┌─► LogWork, CheckpointWork ─► written, flushed, …
    clock   ─► alarm ────────────────────────┼─► step() ───┼─► Peers, connections
    disk    ─► written, flushed, … ──────────┘             └─► trace

All that arrives while a turn lasts is handled together in the next one, as in a busy process. What outlives a
crash is the disk and the checkpoints; everything else is a new life.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct

from libelli.core.ids import DEFAULT_GROUP, GroupId
from libelli.core.members import Configuration, Member
from libelli.host.identity import Identity
from libelli.host.log import LogWriter, recover
from libelli.host.node import Node
from libelli.host.options import NodeOptions
from libelli.host.world import (
    AbandonInstall,
    CloseClient,
    DialPeers,
    FinishInstall,
    FlushCheckpoint,
    InstallChunk,
    ReadLog,
    SendClient,
    SendPeer,
    Stop,
    WakeAt,
    WorldEffect,
    WriteLog,
)
from libelli.host.world import Trace as TraceEffect
from libelli.sim.clock import Clock
from libelli.sim.disk import SimulatedDisk, Tear
from libelli.sim.kernel import Alarm, Kernel
from libelli.sim.peers import Peers
from libelli.sim.trace import Trace
from libelli.sim.work import CheckpointWork, LogWork
from libelli.stores.engine import Checkpoint
from libelli.stores.memory import MemoryCheckpoint

if TYPE_CHECKING:
    from random import Random

    from libelli.sim.network import End, Network

LOOPS_MAX = 10_000
"""More turns than this in one millisecond are a node that asks to be woken for nothing."""


class ProcessOptions(Struct, frozen=True, kw_only=True):
    """What may be chosen for a simulated process.

    Attributes:
        node: see `NodeOptions`.
        segment_size: of the log, in bytes; small ones meet every rule of segments soon.
        step_us: how long a turn takes.
        flush_us: how long a piece of checkpoint work takes.
        is_unruly: frames between nodes may be lost, repeated and reordered.
        checks: look at the replicas' invariants after every step.
    """

    node: NodeOptions = NodeOptions()
    segment_size: int = 64 * 1024
    step_us: int = 20
    flush_us: int = 5_000
    is_unruly: bool = True
    checks: bool = True


class Life:
    """What a crash ends."""

    __slots__ = ("checkpoint_work", "clients", "connections", "log", "log_work", "node", "peers")

    def __init__(self, node: Node, log: LogWriter) -> None:
        self.node = node
        self.log = log
        self.log_work: LogWork
        self.checkpoint_work: CheckpointWork
        self.peers: Peers
        self.clients: dict[int, End] = {}
        self.connections = 0


class Process:
    """One node of a world.

    Args:
        kernel: for time.
        network: to peers and clients.
        member: who it is, with its addresses.
        cluster: of which cluster.
        founding: the members of a fresh cluster; empty for a node that joins one.
        random: for everything that is random in it; replicas of each life get a seed from it.
        disk: outlives crashes.
        trace: takes what happens.
        options: see there.
        clock: its own.
        looked: called after every step, for judges.
    """

    def __init__(
        self,
        kernel: Kernel,
        network: "Network",
        *,
        member: Member,
        cluster: str,
        founding: Configuration,
        random: "Random",
        disk: SimulatedDisk,
        trace: Trace,
        options: ProcessOptions,
        clock: Clock,
        looked: Callable[["Process"], object],
    ) -> None:
        self.member = member
        self.disk = disk
        self.checkpoints: dict[GroupId, Checkpoint] = {DEFAULT_GROUP: MemoryCheckpoint()}
        self.options = options
        self.clock = clock
        self.identity = Identity(cluster, member.node, member.name, member.region)  # type: ignore[arg-type]
        self._kernel = kernel
        self._network = network
        self._founding = founding
        self._random = random
        self._trace = trace
        self._looked = looked
        self._life: Life | None = None
        self._turn = Alarm(kernel, self._step)
        self._busy_us = 0
        self._wake_us: int | None = None
        self._turns = (0, 0)
        self._is_paused = False
        self.lives = 0

    @property
    def is_up(self) -> bool:
        """Whether the process runs."""
        return self._life is not None

    @property
    def node(self) -> Node:
        """The node of this life."""
        return self._living.node

    @property
    def log(self) -> LogWriter:
        """The log of this life."""
        return self._living.log

    @property
    def _living(self) -> Life:
        if self._life is None:
            raise RuntimeError(f"{self.member.name} is down: start it first")
        return self._life

    # ── life and death ────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Begins a life with what the disk holds.

        Raises:
            StorageError: the log cannot be used.
            InvariantError: log and checkpoint do not fit each other.
        """
        self.lives += 1
        self.disk.begin(self._kernel.now_us)
        options, kernel = self.options, self._kernel
        log = recover(self.disk, cluster=self.identity.cluster, node=self.member.node)
        self._note("start", life=self.lives, torn=log.torn_bytes)
        node = Node(
            identity=self.identity,
            log=log,
            checkpoints=self.checkpoints,
            founding=self._founding,
            random=type(self._random)(self._random.getrandbits(64)),
            options=options.node,
            process=self.lives,
        )
        writer = LogWriter(self.disk, log, random=self._random, segment_size=options.segment_size)
        life = self._life = Life(node, writer)
        life.log_work = LogWork(kernel, disk=self.disk, log=writer, node=node, wake=self._wake)
        life.checkpoint_work = CheckpointWork(
            kernel,
            disk=self.disk,
            checkpoints=self.checkpoints,
            node=node,
            wake=self._wake,
            duration_us=options.flush_us,
        )
        life.peers = Peers(
            self._network,
            identity=self.identity,
            host=self.member.name,
            is_unruly=options.is_unruly,
            receive=self._receive_peer,
        )
        self._network.listen(self.member.peer_address, host=self.member.name, accept=life.peers.accept)
        self._network.listen(self.member.client_address, host=self.member.name, accept=self._accept_client)
        self._busy_us = max(kernel.now_us, self.disk.busy_us)
        self._wake()

    def crash(self, tear: Tear | None = None) -> None:
        """The power fails: the process ends, and the disk keeps what was durable (and more by chance)."""
        self._note("crash")
        self._end()
        self.disk.crash(self._kernel.now_us, tear)

    def kill(self) -> None:
        """The process ends at once; what it had written is still there for the next life."""
        self._note("kill")
        self._end()
        self.disk.kill(self._kernel.now_us)

    def _end(self) -> None:
        life = self._living
        self._life = None
        self._turn.cancel()
        self._is_paused = False
        life.log_work.is_closed = life.checkpoint_work.is_closed = True
        self._network.silence(self.member.peer_address)
        self._network.silence(self.member.client_address)
        life.peers.close()
        for connection in sorted(life.clients):
            life.clients[connection].drop()

    def pause(self) -> None:
        """The process gets no turn any more; what arrives waits."""
        self._is_paused = True
        self._note("pause")

    def resume(self) -> None:
        """The process goes on."""
        self._is_paused = False
        self._note("resume")
        self._wake()

    def stopping(self) -> None:
        """An operator asks it to stop: it hands over what it can."""
        self._note("stopping")
        self.node.stopping()
        self._wake()

    def hang_disk(self) -> None:
        """The disk completes nothing any more."""
        self._note("disk hangs")
        self.disk.hang(self._kernel.now_us)

    def free_disk(self) -> None:
        """The disk goes on."""
        self._note("disk goes on")
        self.disk.go_on(self._kernel.now_us)
        if self._life is not None:
            self._life.log_work.go_on()
            self._life.checkpoint_work.go_on()

    # ── turns ─────────────────────────────────────────────────────────────────────────────────────────────

    def _wake(self) -> None:
        if self._life is not None and not self._is_paused:
            self._turn.advance(max(self._kernel.now_us, self._busy_us))

    def _step(self) -> None:
        life, now_us = self._life, self._kernel.now_us
        if life is None or self._is_paused:
            return
        self._count_turn(now_us)
        if self._wake_us is not None and self._wake_us <= now_us:
            self._wake_us = None  # kept: the node must name the next
        self._busy_us = now_us + self.options.step_us
        for effect in life.node.step(self.clock.ms(now_us)):
            self._carry_out(life, effect)
        if self._wake_us is not None:
            self._turn.advance(max(self._wake_us, self._busy_us))
        if self.options.checks:
            life.node.check()
        self._looked(self)

    def _count_turn(self, now_us: int) -> None:
        ms, turns = self._turns
        self._turns = (now_us // 1_000, turns + 1 if ms == now_us // 1_000 else 1)
        if self._turns[1] > LOOPS_MAX:
            raise RuntimeError(f"{self.member.name} had {LOOPS_MAX} turns in one millisecond: it wakes for nothing")

    def _carry_out(self, life: Life, effect: WorldEffect) -> None:
        match effect:
            case WriteLog() | ReadLog():
                life.log_work.submit(effect)
            case SendPeer(node, body):
                self._trace.fold(body)
                life.peers.send(node, body)
            case SendClient(connection, body):
                self._trace.fold(body)
                if (end := life.clients.get(connection)) is not None:
                    end.send(body)
            case CloseClient(connection, reason):
                if (end := life.clients.pop(connection, None)) is not None:
                    end.close(reason)
            case WakeAt(at_ms):
                self._wake_us = self.clock.world_us(at_ms)
            case DialPeers(peers):
                life.peers.keep(peers)
            case FlushCheckpoint() | InstallChunk() | FinishInstall() | AbandonInstall():
                life.checkpoint_work.submit(effect)
            case TraceEffect(kind, group, fields):
                self._trace.note(self.member.name, kind, group=group, **fields)
            case Stop(reason):
                self._note("stop", reason=reason)
                self._end()

    def _note(self, kind: str, **fields: object) -> None:
        self._trace.note(self.member.name, f"process.{kind}", **fields)

    # ── streams ───────────────────────────────────────────────────────────────────────────────────────────

    def _receive_peer(self, node: int, body: bytes) -> None:
        self.node.receive_peer(node, body)  # type: ignore[arg-type]
        self._wake()

    def _accept_client(self, end: "End") -> None:
        life = self._living
        life.connections += 1
        connection = life.connections
        life.clients[connection] = end
        life.node.client_connected(connection, end.peer_host)
        end.on_body = lambda body: self._receive_client(connection, body)
        end.on_lost = lambda _: self._lose_client(connection)
        self._wake()

    def _receive_client(self, connection: int, body: bytes) -> None:
        self.node.receive_client(connection, body)
        self._wake()

    def _lose_client(self, connection: int) -> None:
        self._living.clients.pop(connection, None)
        self.node.client_lost(connection)
        self._wake()
