"""Plays a script of commands on a cluster of replicas, and writes down all they say.

::

    elect 1                  replica 1 wins an election; what it says as leader lies in the network
    tick 2 6                 replica 2's timer fires 6 times; for the others no time passes
    time 4                   all timers fire 4 times, everything arrives between
    settle                   everything that is under way arrives, in order
    deliver                  the messages that are under way arrive; what they cause stays under way
    disk 1                   what replica 1 has queued becomes durable
    apply 1                  replica 1's store applies what it was handed
    propose 1 a b            a client proposes two values to replica 1
    query 1                  a client wants to read
    transfer 1 2             an operator wants 2 to lead instead of 1
    checkpoint 1             replica 1's store is durable by itself, so its log may forget
    cut 1 | 2 3              nothing passes between the two sides, what is under way is lost
    heal                     everything passes again
    lose                     what is under way is lost
    crash 3, start 3         a replica dies with what it had queued; it starts again
    logs                     what each replica holds

An answer has a line for each thing a replica does. Empty steps say nothing.
"""

from libelli.core import (
    Commit,
    Effect,
    Entries,
    Entry,
    EntryKind,
    Event,
    HardState,
    InstallSnapshot,
    LogStart,
    NodeId,
    Observe,
    Persist,
    Query,
    Read,
    Record,
    Reply,
    Send,
    TransferLeadership,
    Waiter,
)
from libelli.protocols.raft import Options
from tests.protocols.raft.world import Cluster

FORGETFUL = Options(retain_entries=0, retain_bytes=0)
"""So that a checkpoint lets the log forget at once."""


class TalkingCluster(Cluster):
    """A cluster that writes down every effect."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        super().__init__(3, options=FORGETFUL)

    def step(self, number: int, event: Event) -> list[Effect]:
        effects = super().step(number, event)
        for effect in effects:
            line = shown(effect)
            if line:
                self.lines.append(f"{number}  {line}")
        return effects


def shown(effect: Effect) -> str:
    """One line about an effect; empty for timers."""
    match effect:
        case Send(dest, payload):
            return f"→ {dest}  {message(payload)}"
        case Persist(ticket, records, then):
            promises = "".join(f"; then → {send.dest} {type(send.payload).__name__}" for send in then)
            return f"disk #{ticket}: {', '.join(map(record, records)) or 'nothing new'}{promises}"
        case Commit(first, entries):
            return f"apply {span(first, entries)}"
        case Read(waiters, index):
            return f"answer {len(waiters)} read at {index}"
        case InstallSnapshot(source, index):
            return f"fetch the store of {source} at {index} or later"
        case Reply(waiter, code, text):
            return f"reply to {waiter}: {code.name} {text}".rstrip()
        case Observe(_, fields):
            return f"is {fields['role']} in term {fields['term']}, led by {fields['leader'] or 'nobody'}"
    return ""


def message(payload: object) -> str:
    fields = []
    for name in payload.__struct_fields__:  # type: ignore[attr-defined]
        value = getattr(payload, name)
        if name == "entries":
            value = " ".join(map(entry, value)) or "none"
        fields.append(f"{name}={value}")
    return f"{type(payload).__name__}({', '.join(fields)})"


def record(of: Record) -> str:
    match of:
        case HardState(term, voted_for):
            return f"term {term} vote {voted_for or 'nobody'}"
        case Entries(first, entries):
            return span(first, entries)
        case LogStart(index):
            return f"log begins after {index}"


def span(first: int, entries: tuple[Entry, ...]) -> str:
    last = first + len(entries) - 1
    where = f"{first}" if first == last else f"{first}…{last}"
    return f"[{where}: {' '.join(map(entry, entries))}]"


def entry(of: Entry) -> str:
    """A value and its term: `a/1`."""
    text = {EntryKind.NOOP: "noop", EntryKind.CONFIGURATION: "members"}.get(of.kind, of.data.decode())
    return f"{text}/{of.term}"


class Scribe:
    """Plays commands, one a line."""

    def __init__(self) -> None:
        self.cluster = TalkingCluster()
        self.cluster.lines.clear()
        self.waiter = 0

    def play(self, command: str) -> str:
        """Returns all that was said because of a command."""
        verb, *words = command.split()
        getattr(self, f"do_{verb}")(*words)
        lines = self.cluster.lines or ["(nothing)"]
        self.cluster.lines = []
        return "\n".join(lines)

    def next_waiter(self) -> Waiter:
        self.waiter += 1
        return Waiter(self.waiter)

    def do_tick(self, node: str, times: str = "1") -> None:
        self.cluster.tick(int(node), int(times))

    def do_time(self, ticks: str) -> None:
        self.cluster.pass_time(int(ticks))

    def do_elect(self, node: str) -> None:
        cluster = self.cluster
        others = [other for other, each in cluster.nodes.items() if each.raft is not None and other != int(node)]
        reachable = [other for other in others if (other, int(node)) not in cluster.cuts]
        assert cluster.campaign(int(node), *reachable), f"{node} does not win"
        first = next(at for at, line in enumerate(cluster.lines) if "AppendEntries" in line)
        del cluster.lines[:first]

    def do_settle(self) -> None:
        self.cluster.settle()

    def do_deliver(self) -> None:
        for envelope in self.cluster.drop():
            self.cluster.deliver(envelope)

    def do_lose(self) -> None:
        self.cluster.drop()

    def do_disk(self, node: str) -> None:
        for _ in range(len(self.cluster.nodes[NodeId(int(node))].disk.queue)):
            persist = self.cluster.nodes[NodeId(int(node))].disk.queue[0]
            self.cluster.lines += [f"{node}  → {send.dest}  {message(send.payload)}" for send in persist.then]
            self.cluster.complete(int(node))

    def do_apply(self, node: str) -> None:
        self.cluster.apply(int(node))

    def do_propose(self, node: str, *values: str) -> None:
        self.cluster.propose(int(node), *values, waiter=self.next_waiter())

    def do_query(self, node: str) -> None:
        self.cluster.request(int(node), Query(self.next_waiter()))

    def do_transfer(self, node: str, target: str) -> None:
        self.cluster.request(int(node), TransferLeadership(self.next_waiter(), NodeId(int(target))))

    def do_checkpoint(self, node: str) -> None:
        self.cluster.checkpoint(int(node))

    def do_cut(self, *words: str) -> None:
        at = words.index("|")
        self.cluster.cut(map(int, words[:at]), map(int, words[at + 1 :]))

    def do_heal(self) -> None:
        self.cluster.heal()

    def do_crash(self, node: str) -> None:
        self.cluster.crash(int(node))

    def do_start(self, node: str) -> None:
        self.cluster.start(int(node))

    def do_logs(self) -> None:
        for number, node in self.cluster.nodes.items():
            if node.raft is None:
                self.cluster.lines.append(f"{number}  down")
                continue
            status = node.raft.status()
            log = " ".join(map(str, self.cluster.terms(number))) or "none"
            applied = " ".join(self.cluster.values(number)) or "nothing"
            self.cluster.lines.append(
                f"{number}  {status.role}, term {status.term}, log after {status.first_index - 1}: terms {log}, "
                f"commit {status.commit}, applied {applied}"
            )
