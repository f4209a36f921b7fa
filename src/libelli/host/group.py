"""One replica of a group, and what the host does around it.

::

    calls ─► requests ─┐                                   ┌─► outbox: log, peers, clients, timers
    peers ─► messages ─┼─► replica.step(event) ─► effects ─┤
    world ─► done ─────┘        ▲                          └─► Commit ─► machine.apply ─► answers, watchers
                                └──────────────── Applied ────────────────┘
"""

from collections import deque
from collections.abc import Callable

from libelli.core.calls import Consistency, Done, KeepAlive, KeptAlive, Refusal, Reply
from libelli.core.calls import SessionOpened as Opened
from libelli.core.codec import encode
from libelli.core.effects import (
    AgainLater,
    CancelTimer,
    Commit,
    Effect,
    InstallSnapshot,
    Load,
    Observe,
    Persist,
    Send,
    SetTimer,
)
from libelli.core.effects import Read as ReadEffect
from libelli.core.effects import Reply as ReplyEffect
from libelli.core.errors import Code
from libelli.core.events import (
    Again,
    Applied,
    Checkpointed,
    Event,
    Persisted,
    Propose,
    Query,
    Request,
    Requests,
)
from libelli.core.ids import NOBODY, GroupId, Index, NodeId, Waiter
from libelli.core.limits import MIB
from libelli.host.installation import Installation
from libelli.host.keeping import Keeping
from libelli.host.machine import Machine, Outcome
from libelli.host.options import NodeOptions
from libelli.host.outbox import Outbox
from libelli.host.stamps import FrameEntry, SessionEntry, stamp
from libelli.host.timers import Timers
from libelli.host.transfers import SnapshotSource
from libelli.host.waiters import (
    ChangeWaiter,
    ExportWaiter,
    KeepAliveWaiter,
    QueryBatch,
    QueryWaiter,
    ReadWaiter,
    SessionWaiter,
    Waiting,
    WriteWaiter,
)
from libelli.host.watches import Watches
from libelli.host.world import FlushCheckpoint, ReadLog, Trace
from libelli.protocols.raft import Raft
from libelli.stores.engine import Checkpoint
from libelli.stores.mvcc.commands import Command, LeaseReadDone, LeaseState

OVERLAY_GENERATIONS_MAX = 4
"""Applying waits while a flush is under way and this many generations' worth of changes came after it."""

BEING_REPLACED = "a snapshot takes the place of what this node holds: ask again in a moment, or another node"

READ_BYTES_MAX = 32 * MIB
"""Answers to reads in one step; further ones are refused, so that many large reads cannot fill the memory."""


class Group:
    """A replica, its store, and everybody who waits for either.

    Args:
        group_id: its number.
        collection: the collection that its store is.
        replica: the consensus replica.
        machine: what applies its entries.
        checkpoint: what lies under the machine's store.
        outbox: where effects go.
        timers: the node's.
        options: the node's.
        answer: answers a call on a connection.
        post: sends more to a connection that was answered before.
        is_full: whether a connection does not take more now.
    """

    def __init__(
        self,
        *,
        group_id: GroupId,
        collection: str,
        replica: Raft,
        machine: Machine,
        checkpoint: Checkpoint,
        outbox: Outbox,
        timers: Timers,
        options: NodeOptions,
        answer: Callable[[int, Reply], None],
        post: Callable[[int, Reply], None],
        is_full: Callable[[int], bool],
    ) -> None:
        self.group_id = group_id
        self.collection = collection
        self.replica = replica
        self.node = replica.status().node
        self.machine = machine
        self.options = options
        self.outbox = outbox
        self.source = SnapshotSource(checkpoint)
        self.watches = Watches(machine, post=post, is_full=is_full)
        self.installation = Installation(self)
        self.keeping = Keeping(self)
        self.exports_ready: list[tuple[ExportWaiter, Index]] = []
        self.applied_bytes = 0
        """Of the entries applied since the node last looked."""
        self.read_bytes = 0
        """Of the answers to reads since then."""
        self.applied_commands = 0
        self._timers = timers
        self._answer_call = answer
        self._events: deque[Event] = deque()
        self._requests: list[Request] = []
        self._queries: list[QueryWaiter] = []
        self._waiting: dict[Waiter, Waiting] = {}
        self._next_waiter = 1
        self._held: Commit | None = None
        self._reads: list[tuple[Index, QueryBatch]] = []
        self._is_leader = False
        self._clock_from_ms = 0
        self._clock_base_ms = 0
        self._flushing_index: Index | None = None
        self._flushed_index = machine.applied
        self._dirty_ms: int | None = None
        self._flush_wanted = False

    # ── what arrives ──────────────────────────────────────────────────────────────────────────────────────

    def put_event(self, event: Event) -> None:
        """Queues an event for the replica."""
        self._events.append(event)

    def put_request(self, request: Request) -> None:
        """Queues a request for the replica; all of a step go to it together."""
        self._requests.append(request)

    def wait(self, waiting: Waiting) -> Waiter:
        """Returns a number under which `waiting` will be answered."""
        waiter = Waiter(self._next_waiter)
        self._next_waiter += 1
        self._waiting[waiter] = waiting
        return waiter

    def open_session(self, connection: int, call: int, now_ms: int) -> None:
        """Takes an OpenSession."""
        if self._is_leading(connection, call):
            waiter = self.wait(SessionWaiter(connection, call))
            self.put_request(Propose(waiter, stamp(SessionEntry(self.clock_ms(now_ms)))))

    def write(self, waiting: WriteWaiter, frame: tuple[int, int, int, bytes], now_ms: int) -> None:
        """Takes a Write: (session, sequence, acked, encoded commands), decoded in `waiting`."""
        if self._is_leading(waiting.connection, waiting.call):
            session, sequence, acked, commands = frame
            no_space = self.machine.store.size_bytes >= self.options.quota_bytes
            entry = FrameEntry(self.clock_ms(now_ms), no_space, session, sequence, acked, commands)
            self.put_request(Propose(self.wait(waiting), stamp(entry)))

    def propose_own(self, commands: list[Command], now_ms: int) -> None:
        """Proposes commands of the leader itself; nobody waits."""
        entry = FrameEntry(self.clock_ms(now_ms), False, 0, 0, 0, encode(commands))
        self.put_request(Propose(NOBODY, stamp(entry)))

    def read(self, waiting: ReadWaiter) -> None:
        """Takes a Read."""
        if waiting.call.consistency is Consistency.SERIALIZABLE:
            if self.is_being_replaced:
                self._answer_call(waiting.connection, Refusal(waiting.call.call, Code.OVERLOADED, BEING_REPLACED))
            else:
                self._answer_read(waiting, 0)
        else:
            self.query(waiting)

    def query(self, waiting: QueryWaiter) -> None:
        """Takes what needs a leader that knows that it leads."""
        if self._is_leading(waiting.connection, waiting.call.call):
            self._queries.append(waiting)

    def clock_ms(self, now_ms: int) -> int:
        """Returns the group's clock, as its leader."""
        return max(self.machine.clock_ms, self._clock_base_ms + now_ms - self._clock_from_ms)

    def _is_leading(self, connection: int, call: int) -> bool:
        """Returns whether this replica leads; refuses the call otherwise."""
        if self.replica.role == "leader":
            return True
        leader = self.replica.leader
        code = Code.NOT_LEADER if leader else Code.NO_LEADER
        message = f"node {leader} leads" if leader else "no leader is known now: try again in a moment"
        self._answer_call(connection, Refusal(call, code, message, leader))
        return False

    # ── one step ──────────────────────────────────────────────────────────────────────────────────────────

    def run(self, now_ms: int) -> None:
        """Lets the replica take everything that is queued, or as much as one step may apply."""
        self._collect_requests(now_ms)
        while self._events and self.applied_bytes < self.options.step_bytes:
            event = self._events.popleft()
            for effect in self.replica.step(event):
                self._carry_out(effect, now_ms)
            for _, persist in self.outbox.take_done():
                self.complete(persist, now_ms)
            if (self.replica.role == "leader") is not self._is_leader:
                self._change_role(now_ms)
        self._flush_if_due(now_ms)

    @property
    def has_events(self) -> bool:
        """Whether `run` has more to do."""
        return bool(self._events or self._requests or self._queries)

    @property
    def is_being_replaced(self) -> bool:
        """Whether a snapshot may take the place of the contents at any moment: who reads could see some of both."""
        return self.installation.is_finishing

    def complete(self, persist: Persist, now_ms: int) -> None:
        """Carries out what waited for a Persist."""
        for effect in persist.then:
            self.outbox.send(self.group_id, effect, is_durable=True)
        self.put_event(Persisted(now_ms, persist.ticket, persist.term, persist.last_index))

    def _collect_requests(self, now_ms: int) -> None:
        if self._queries:
            self._requests.append(Query(self.wait(QueryBatch(self._queries))))
            self._queries = []
        if self._requests:
            self.put_event(Requests(now_ms, tuple(self._requests)))
            self._requests = []

    def _carry_out(self, effect: Effect, now_ms: int) -> None:
        match effect:
            case Send():
                self.outbox.send(self.group_id, effect, is_durable=False)
            case Persist():
                self.outbox.persist(self.group_id, effect)
            case Commit():
                self._apply(effect, now_ms)
            case SetTimer(name, after_ms):
                self._timers.set(self.group_id, name, now_ms=now_ms, after_ms=after_ms)
            case CancelTimer(name):
                self._timers.cancel(self.group_id, name)
            case ReadEffect(waiters, index):
                self._take_reads(waiters, index, now_ms)
            case ReplyEffect(waiter, code, message, leader):
                self._refuse(waiter, code, message, leader)
            case Load(first_index, last_index, size_max):
                self.outbox.add(ReadLog(self.group_id, first_index, last_index, size_max))
            case InstallSnapshot(source, index):
                self.installation.begin(source, index, now_ms)
            case AgainLater(name):
                self.put_event(Again(now_ms, name))
            case Observe(kind, fields):
                self.outbox.add(Trace(kind, self.group_id, fields))

    def _change_role(self, now_ms: int) -> None:
        self._is_leader = self.replica.role == "leader"
        if self._is_leader:
            self._clock_base_ms, self._clock_from_ms = self.machine.clock_ms, now_ms
            self.keeping.begin(now_ms)
        else:
            self.keeping.end()

    # ── applying and answering ────────────────────────────────────────────────────────────────────────────

    def _apply(self, commit: Commit, now_ms: int) -> None:
        overlay = self.machine.overlay
        if overlay.is_flushing and overlay.size_bytes > OVERLAY_GENERATIONS_MAX * self.options.flush_bytes:
            self._held = commit
            return
        if self._dirty_ms is None:
            self._dirty_ms = now_ms
        for offset, (entry, waiter) in enumerate(zip(commit.entries, commit.waiters, strict=True)):
            waiting = self._waiting.pop(waiter, None) if waiter else None
            commands = waiting.commands if isinstance(waiting, WriteWaiter) else None
            outcome = self.machine.apply(Index(commit.first_index + offset), entry, commands)
            self.applied_bytes += len(entry.data) + 64
            if waiting is not None:
                self._answer(waiting, outcome)
        store = self.machine.store
        if store.watching:
            self.watches.publish(store.take_changes(), now_ms)
        self.keeping.after_apply(now_ms)
        self.put_event(Applied(now_ms, self.machine.applied))
        self._answer_reads(now_ms)

    def _answer(self, waiting: Waiting, outcome: Outcome) -> None:
        match waiting:
            case QueryBatch():
                return
            case _ if outcome.code is not Code.OK:
                self._answer_call(waiting.connection, Refusal(waiting.call, outcome.code, outcome.message))
            case WriteWaiter(connection, call, commands):
                self.applied_commands += len(commands)
                self._answer_call(connection, Done(call, outcome.answers))
            case SessionWaiter(connection, call):
                self._answer_call(connection, Opened(call, outcome.session))
            case ChangeWaiter(connection, call, member):
                self._answer_call(connection, Done(call, encode([] if member is None else [member])))

    def _take_reads(self, waiters: tuple[Waiter, ...], index: Index, now_ms: int) -> None:
        for waiter in waiters:
            waiting = self._waiting.pop(waiter, None)
            if isinstance(waiting, QueryBatch):
                self._reads.append((index, waiting))
        self._answer_reads(now_ms)

    def _answer_reads(self, now_ms: int) -> None:
        if not self._reads:
            return
        waiting, self._reads = self._reads, []
        for index, batch in waiting:
            if index > self.machine.applied:
                self._reads.append((index, batch))
                continue
            for query in batch.queries:
                match query:
                    case ReadWaiter():
                        self._answer_read(query, now_ms)
                    case KeepAliveWaiter(connection, KeepAlive(call, _, lease)):
                        if self._is_leading(connection, call):  # else nobody here knows what time leases have left
                            self._answer_call(connection, KeptAlive(call, self.keeping.renew(now_ms, lease)))
                    case ExportWaiter():
                        self.exports_ready.append((query, self.machine.applied))
                        self._flush_wanted = True

    def _answer_read(self, waiting: ReadWaiter, now_ms: int) -> None:
        if self.read_bytes > READ_BYTES_MAX:
            message = f"reads of {self.read_bytes} bytes are being answered: ask for fewer of them at once"
            self._answer_call(waiting.connection, Refusal(waiting.call.call, Code.OVERLOADED, message))
            return
        answers = self.machine.store.read(waiting.commands)
        if self._is_leader and len(self.keeping):
            answers = [
                self._with_remaining(answer, now_ms) if isinstance(answer, LeaseReadDone) else answer
                for answer in answers
            ]
        data = encode(answers)
        self.read_bytes += len(data)
        self._answer_call(waiting.connection, Done(waiting.call.call, data))

    def _with_remaining(self, answer: LeaseReadDone, now_ms: int) -> LeaseReadDone:
        leases = tuple(
            LeaseState(state.lease, state.ttl_s, state.keys, self.keeping.remaining_ms(now_ms, state.lease))
            for state in answer.leases
        )
        return LeaseReadDone(answer.revision, leases)

    def _refuse(self, waiter: Waiter, code: Code, message: str, leader: NodeId) -> None:
        waiting = self._waiting.pop(waiter, None)
        if waiting is None:
            return
        if isinstance(waiting, QueryBatch):
            for query in waiting.queries:
                self._answer_call(query.connection, Refusal(query.call.call, code, message, leader))
        elif code is Code.OK:
            self._answer(waiting, Outcome())
        else:
            self._answer_call(waiting.connection, Refusal(waiting.call, code, message, leader))

    # ── the checkpoint ────────────────────────────────────────────────────────────────────────────────────

    @property
    def flushed_index(self) -> Index:
        """What the checkpoint holds."""
        return self._flushed_index

    def flushed(self, now_ms: int) -> None:
        """The world has written the generation that was frozen last."""
        if self._flushing_index is None:
            return  # a snapshot took its place meanwhile
        self.machine.overlay.flushed()
        self._flushed_index, self._flushing_index = self._flushing_index, None
        self.checkpoint(now_ms)
        if self._held is not None:
            held, self._held = self._held, None
            self._apply(held, now_ms)

    def checkpoint(self, now_ms: int) -> None:
        """Tells the replica how much of its log may go: what an open view still needs stays."""
        needed = self.source.oldest_index()
        index = self._flushed_index if needed is None else min(needed, self._flushed_index)
        self.put_event(Checkpointed(now_ms, index))

    def replaced(self, now_ms: int) -> None:
        """The store's contents are a snapshot now."""
        self.machine.overlay.reset()
        self.machine.reload()
        self.watches.restart()
        self.keeping.restart()
        self._held = self._flushing_index = self._dirty_ms = None
        self._flushed_index = self.machine.applied

    def want_flush(self) -> None:
        """Asks for a checkpoint as soon as one can be made."""
        self._flush_wanted = True

    def _flush_if_due(self, now_ms: int) -> None:
        if self._flushing_index is not None or self.is_being_replaced:
            return
        is_large = self.machine.overlay.size_bytes >= self.options.flush_bytes
        if self.machine.applied == self._flushed_index and not is_large:  # freeing old versions can make it large too
            self._flush_wanted = False
            return
        is_old = self._dirty_ms is not None and now_ms - self._dirty_ms >= self.options.flush_age_ms
        if is_large or is_old or self._flush_wanted:
            self._flush_wanted = False
            self._dirty_ms = None
            self._flushing_index = self.machine.applied
            self.outbox.add(FlushCheckpoint(self.group_id, self.machine.freeze()))
