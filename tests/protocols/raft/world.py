"""A world small enough to hold in the hand: replicas joined by a network, disks and stores that tests command.

Nothing happens by itself. A message lies in `network` until it is delivered or dropped; a Persist lies in the
disk's queue until `complete`; a Commit lies in the store's queue until `apply`. What a crash loses is what was
queued, so whatever a replica promised too early comes to light.
"""

import random
from collections import deque
from collections.abc import Callable, Iterable

from msgspec import Struct

from libelli.core import (
    Applied,
    CancelTimer,
    Checkpointed,
    Code,
    Commit,
    Configuration,
    Effect,
    Entries,
    Entry,
    EntryKind,
    Event,
    HardState,
    Index,
    InstallSnapshot,
    Load,
    Loaded,
    LogStart,
    Member,
    Message,
    NodeId,
    Observe,
    Persist,
    Persisted,
    Propose,
    Query,
    Read,
    Record,
    Recovered,
    Reply,
    Request,
    Requests,
    Send,
    SetTimer,
    SnapshotInstalled,
    Started,
    Term,
    Timer,
    Waiter,
    decode_configuration,
)
from libelli.protocols.raft import (
    Options,
    PreVote,
    PreVoteReply,
    Raft,
    RequestVote,
    Timing,
    VoteDenied,
    VoteGranted,
)
from tests.protocols.raft.judge import Judge

VOTING = (PreVote, PreVoteReply, RequestVote, VoteGranted, VoteDenied)

TIMING = Timing(heartbeat_ms=30, tick_ms=10)
"""T = 3 ticks, elections after 6 … 12."""

STEPS_MAX = 50_000
"""Of one cluster: a conversation without an end fails, and does not hang its test."""


def member(node: int) -> Member:
    return Member(NodeId(node), f"n{node}")


def members(*nodes: int) -> tuple[Member, ...]:
    return tuple(member(node) for node in sorted(nodes))


class Envelope(Struct, frozen=True):
    """A message under way."""

    source: NodeId
    dest: NodeId
    payload: object


class Disk:
    """One replica's log: what is durable, and what is queued behind it."""

    def __init__(self, start: LogStart) -> None:
        self.hard_state = HardState()
        self.start = start
        self.entries: dict[int, Entry] = {}
        self.queue: deque[Persist] = deque()

    def write(self, records: Iterable[Record]) -> None:
        for record in records:
            match record:
                case HardState():
                    self.hard_state = record
                case Entries(first, entries):
                    self._cut(first)
                    self.entries |= {first + offset: entry for offset, entry in enumerate(entries)}
                case LogStart():
                    self._restart(record)

    def _cut(self, first: int) -> None:
        self.entries = {index: entry for index, entry in self.entries.items() if index < first}

    def _restart(self, start: LogStart) -> None:
        assert start.index >= self.start.index
        there = self.entries.get(start.index)
        keeps = start.index == self.start.index or (there is not None and there.term == start.term)
        self.entries = {index: entry for index, entry in self.entries.items() if keeps and index > start.index}
        self.start = start

    def term_at(self, index: int) -> int:
        entry = self.entries.get(index)
        return entry.term if entry else self.start.term if index == self.start.index else 0

    def run(self) -> tuple[Entry, ...]:
        """All entries behind the start, which have no gap."""
        return tuple(self.entries[self.start.index + 1 + offset] for offset in range(len(self.entries)))


class Store:
    """A store whose state is simply all that was applied; `checkpoint` is what survives a crash."""

    def __init__(self, configuration: Configuration) -> None:
        self.first_configuration = configuration
        self.applied: list[Entry] = []
        self.checkpoint = 0
        self.queue: deque[Commit] = deque()

    @property
    def index(self) -> Index:
        return Index(len(self.applied))

    @property
    def term(self) -> Term:
        return self.applied[-1].term if self.applied else Term(0)

    @property
    def configuration(self) -> Configuration:
        for entry in reversed(self.applied):
            if entry.kind is EntryKind.CONFIGURATION:
                return decode_configuration(entry.data)
        return self.first_configuration


class Node:
    """A replica with its disk and store; `raft` is None while it is down."""

    def __init__(self, node: NodeId, configuration: Configuration, timing: Timing, options: Options) -> None:
        self.node = node
        self.timing = timing
        self.options = options
        self.disk = Disk(LogStart(configuration=configuration))
        self.store = Store(configuration)
        self.loads: deque[Load] = deque()
        self.install: InstallSnapshot | None = None
        self.timer_ms: int | None = None
        self.raft: Raft | None = None

    @property
    def up(self) -> Raft:
        assert self.raft is not None, f"node {self.node} is down"
        return self.raft

    def recovered(self) -> Recovered:
        return Recovered(
            hard_state=self.disk.hard_state,
            start=self.disk.start,
            entries=self.disk.run(),
            applied=self.store.index,
            applied_term=self.store.term,
            applied_configuration=self.store.configuration,
        )


class Cluster:
    """Replicas 1 … n, voters from the start; `joining` ones know nobody yet."""

    def __init__(
        self,
        voters: int = 3,
        *,
        joining: Iterable[int] = (),
        seed: int = 1,
        timing: Timing = TIMING,
        options: Options = Options(),  # noqa: B008 - frozen
    ) -> None:
        self.seed = seed
        self.now_ms = 0
        self.network: list[Envelope] = []
        self.cuts: set[tuple[int, int]] = set()
        self.replies: dict[Waiter, Reply] = {}
        self.answers: dict[Waiter, Entry] = {}
        self.reads: dict[Waiter, Index] = {}
        self.observed: list[Observe] = []
        self.judge = Judge()
        self.lives = 0
        self.steps = 0
        founders = Configuration(members(*range(1, voters + 1)))
        self.nodes = {NodeId(n): Node(NodeId(n), founders, timing, options) for n in range(1, voters + 1)}
        self.nodes |= {NodeId(n): Node(NodeId(n), Configuration(()), timing, options) for n in joining}
        for node in self.nodes:
            self.start(node)

    def raft(self, node: int) -> Raft:
        return self.nodes[NodeId(node)].up

    # Life and death.

    def start(self, number: int) -> None:
        node = self.nodes[NodeId(number)]
        assert node.raft is None
        self.lives += 1
        node.raft = Raft(
            node.node,
            timing=node.timing,
            random=random.Random(f"{self.seed} {number} {self.lives}"),
            recovered=node.recovered(),
            options=node.options,
        )
        self.step(number, Started(self.now_ms))

    def crash(self, number: int, *, written: int = 0) -> None:
        """Stops a replica; of its queued writes the first `written` were made durable."""
        node = self.nodes[NodeId(number)]
        node.raft = None
        for persist in list(node.disk.queue)[:written]:
            node.disk.write(persist.records)
        node.disk.queue.clear()
        node.store.queue.clear()
        del node.store.applied[node.store.checkpoint :]
        node.loads.clear()
        node.install = None
        node.timer_ms = None

    def restart(self, number: int, *, written: int = 0) -> None:
        self.crash(number, written=written)
        self.start(number)

    # Events in, effects out.

    def step(self, number: int, event: Event) -> list[Effect]:
        node = self.nodes[NodeId(number)]
        self.steps += 1
        assert self.steps <= STEPS_MAX, f"the cluster does not come to rest within {STEPS_MAX} steps"
        effects = node.up.step(event)
        for effect in effects:
            self._carry_out(node, effect)
        node.up.check()
        self.judge.look(node, effects, self.nodes)
        return effects

    def _carry_out(self, node: Node, effect: Effect) -> None:
        match effect:
            case Send(payload=payload):
                assert not payload.promises_durability, f"{payload} leaves before it is durable"
                self._send(node, effect)
            case Persist():
                node.disk.queue.append(effect)
            case SetTimer(_, after_ms):
                node.timer_ms = self.now_ms + after_ms
            case Commit():
                node.store.queue.append(effect)
            case Read(waiters, index):
                self.reads |= dict.fromkeys(waiters, index)
            case Reply(waiter):
                assert waiter not in self.replies, f"waiter {waiter} is answered twice"
                self.replies[waiter] = effect
            case Load():
                node.loads.append(effect)
            case InstallSnapshot():
                node.install = effect
            case Observe():
                self.observed.append(effect)
            case CancelTimer():
                node.timer_ms = None
            case _:
                raise AssertionError(effect)

    def _send(self, node: Node, send: Send) -> None:
        if (node.node, send.dest) not in self.cuts:
            self.network.append(Envelope(node.node, send.dest, send.payload))

    # The network.

    def cut(self, *groups: Iterable[int]) -> None:
        """Nothing passes from one group to another any more, nor what is under way."""
        sides = [set(group) for group in groups]
        self.cuts |= {(a, b) for one in sides for other in sides if one is not other for a in one for b in other}
        self.network = [e for e in self.network if (e.source, e.dest) not in self.cuts]

    def isolate(self, number: int) -> None:
        self.cut([number], [node for node in self.nodes if node != number])

    def heal(self) -> None:
        self.cuts.clear()

    def deliver(self, envelope: Envelope) -> list[Effect]:
        """Delivers a message, which need not be under way (a copy, a late one)."""
        if self.nodes[envelope.dest].raft is None:
            return []
        return self.step(envelope.dest, Message(self.now_ms, envelope.source, envelope.payload))

    def drop(self, which: Callable[[Envelope], bool] = lambda _: True) -> list[Envelope]:
        """Takes messages out of the network; returns them."""
        dropped = [envelope for envelope in self.network if which(envelope)]
        self.network = [envelope for envelope in self.network if not which(envelope)]
        return dropped

    def under_way(self, kind: type) -> list[Envelope]:
        return [envelope for envelope in self.network if isinstance(envelope.payload, kind)]

    # Disk, store, snapshots.

    def complete(self, number: int) -> None:
        """The oldest queued write of a replica becomes durable, and what waited for it leaves."""
        node = self.nodes[NodeId(number)]
        persist = node.disk.queue.popleft()
        node.disk.write(persist.records)
        for send in persist.then:
            self._send(node, send)
        self.step(number, Persisted(self.now_ms, persist.ticket, persist.term, persist.last_index))

    def apply(self, number: int) -> None:
        """The store applies the oldest queued Commit."""
        node = self.nodes[NodeId(number)]
        commit = node.store.queue.popleft()
        assert commit.first_index == node.store.index + 1, "a Commit out of order"
        node.store.applied += commit.entries
        for waiter, entry in zip(commit.waiters, commit.entries, strict=True):
            if waiter:
                assert waiter not in self.answers
                self.answers[waiter] = entry
        self.step(number, Applied(self.now_ms, node.store.index))

    def checkpoint(self, number: int) -> None:
        node = self.nodes[NodeId(number)]
        node.store.checkpoint = node.store.index
        self.step(number, Checkpointed(self.now_ms, node.store.index))

    def load(self, number: int) -> None:
        """The disk brings back what was asked for."""
        node = self.nodes[NodeId(number)]
        wanted = node.loads.popleft()
        entries: list[Entry] = []
        size = 0
        for index in range(wanted.first_index, wanted.last_index + 1):
            entry = node.disk.entries.get(index)
            if entry is None or (entries and size + len(entry.data) > wanted.size_max):
                break
            entries.append(entry)
            size += len(entry.data)
        self.step(number, Loaded(self.now_ms, wanted.first_index, tuple(entries)))

    def install(self, number: int, *, fails: bool = False) -> None:
        """The snapshot arrives: the source's store as it is now; or the transfer fails."""
        node = self.nodes[NodeId(number)]
        wanted = node.install
        assert wanted is not None
        node.install = None
        source = self.nodes[wanted.source]
        if fails or source.raft is None:
            self.step(number, SnapshotInstalled(self.now_ms, Index(0), Term(0), Configuration(())))
            return
        assert source.store.index >= wanted.index
        node.store.applied = list(source.store.applied)
        node.store.first_configuration = source.store.first_configuration
        node.store.checkpoint = node.store.index
        event = SnapshotInstalled(self.now_ms, node.store.index, node.store.term, node.store.configuration)
        self.step(number, event)

    # Time.

    def tick(self, number: int, times: int = 1) -> None:
        """One replica's timer fires; for the others no time passes."""
        for _ in range(times):
            self.now_ms += self.nodes[NodeId(number)].timing.tick_ms
            self.step(number, Timer(self.now_ms, "tick"))

    def pass_time(self, ticks: int, *, settles: bool = True) -> None:
        """All replicas that are up tick together."""
        for _ in range(ticks):
            self.now_ms += TIMING.tick_ms
            for number, node in self.nodes.items():
                if node.raft is not None:
                    self.step(number, Timer(self.now_ms, "tick"))
            if settles:
                self.settle()

    def settle(self) -> None:
        """Everything that is under way arrives, in order, until nothing is left."""
        for _ in range(10_000):
            if not self.do_one():
                return
        raise AssertionError("the cluster does not come to rest")

    def do_one(self) -> bool:
        if self.network:
            self.deliver(self.network.pop(0))
            return True
        for number, node in self.nodes.items():
            if node.raft is None:
                continue
            for queue, act in ((node.disk.queue, self.complete), (node.store.queue, self.apply)):
                if queue:
                    act(number)
                    return True
            if node.loads:
                self.load(number)
                return True
            if node.install:
                self.install(number)
                return True
        return False

    # Clients.

    def request(self, number: int, *requests: Request) -> None:
        self.step(number, Requests(self.now_ms, requests))

    def propose(self, number: int, *data: str, waiter: int = 0) -> None:
        """Proposes values; the first one has a waiter."""
        self.request(number, *(Propose(Waiter(waiter if n == 0 else 0), each.encode()) for n, each in enumerate(data)))

    def query(self, number: int, waiter: int) -> None:
        self.request(number, Query(Waiter(waiter)))

    def code_for(self, waiter: int) -> Code:
        return self.replies[Waiter(waiter)].code

    # Shorthands.

    def elect(self, number: int) -> None:
        """Makes a replica leader, by letting the others fall silent and this one time out first."""
        for other, node in self.nodes.items():
            if node.raft is not None and other != number:
                node.raft._state.silence = node.timing.election_min_ticks
        raft = self.raft(number)
        raft._state.countdown = 1
        self.tick(number)
        self.settle()
        assert raft.role == "leader", raft.status()

    def campaign(self, number: int, *voters: int) -> bool:
        """Lets a replica campaign while nothing but votes passes, and only between it and these voters.

        Returns whether it leads now; then its first messages lie in the network.
        """
        for node in self.nodes.values():
            if node.raft is not None:
                node.raft._state.silence = node.timing.election_min_ticks
        self.raft(number)._state.countdown = 1
        self.tick(number)
        electorate = (number, *voters)
        for _ in range(10):
            for envelope in self.drop():
                if isinstance(envelope.payload, VOTING) and {envelope.source, envelope.dest} <= {*electorate}:
                    self.deliver(envelope)
            for each in electorate:
                while self.nodes[NodeId(each)].disk.queue and self.raft(number).role != "leader":
                    self.complete(each)
            if self.raft(number).role == "leader":
                return True
        return False

    def send(self, source: int, dest: int, payload: object) -> None:
        """Delivers a message that its source might have sent, and lets the receiver's disk finish."""
        self.deliver_to(source, dest, payload)
        while self.nodes[NodeId(dest)].disk.queue:
            self.complete(dest)

    def deliver_to(self, source: int, dest: int, payload: object) -> list[Effect]:
        """Delivers a message that its source might have sent."""
        return self.deliver(Envelope(NodeId(source), NodeId(dest), payload))

    def leaders(self) -> list[NodeId]:
        return [number for number, node in self.nodes.items() if node.raft and node.raft.role == "leader"]

    def terms(self, number: int) -> list[int]:
        """The terms of a replica's entries, from its log's first index on."""
        log = self.raft(number)._state.log
        return [log.term_at(index) for index in range(log.start_index + 1, log.last_index + 1)]

    def values(self, number: int) -> list[str]:
        """What a store has applied, without no-ops and configurations."""
        applied = self.nodes[NodeId(number)].store.applied
        return [entry.data.decode() for entry in applied if entry.kind is EntryKind.COMMAND]
