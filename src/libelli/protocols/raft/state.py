"""The box *State* of figure 3.1: all that a replica remembers, and the effects of the step under way.

Rules (`election`, `following`, `replication`, …) are functions over it; only `roles` changes `role`.

::

    durable    term, voted_for, log (and the configurations in it)
    volatile   commit, applied, role, leader, timers in ticks
    leaders    progress of each follower, rounds of reads, a transfer
    one step   effects, records to persist, messages that wait for them
"""

from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from libelli.core.effects import Effect, Persist, Reply, Send
from libelli.core.entries import Entries, Entry, EntryKind, HardState, Record
from libelli.core.errors import Code
from libelli.core.ids import NO_NODE, NOBODY, Index, NodeId, Term, Waiter
from libelli.core.members import Configuration, decode_configuration
from libelli.protocols.raft.durability import Durability
from libelli.protocols.raft.loads import Loads
from libelli.protocols.raft.log import Log
from libelli.protocols.raft.membership import CatchUp, Configurations
from libelli.protocols.raft.messages import RaftMessage, SnapshotOffer
from libelli.protocols.raft.options import Options
from libelli.protocols.raft.progress import Progress
from libelli.protocols.raft.quorum import Ballot
from libelli.protocols.raft.rounds import Rounds
from libelli.protocols.raft.timing import Timing

if TYPE_CHECKING:
    import random


class Role(StrEnum):
    """What a replica does in its term (figure 3.3); `pre-candidate` is §9.6's addition."""

    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre-candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"


class Transfer(Struct):
    """Leadership on its way to `target` (§3.10).

    Attributes:
        waiter: who asked for it.
        target: who shall lead.
        deadline_tick: when it is given up.
        told: TimeoutNow was sent, so the target may campaign, even after the transfer is given up.
    """

    waiter: Waiter
    target: NodeId
    deadline_tick: int
    told: bool = False


class Installation(Struct):
    """A snapshot on its way into the store.

    Attributes:
        source: who offered it.
        offer: what it offered.
        asked: InstallSnapshot was emitted.
    """

    source: NodeId
    offer: SnapshotOffer
    asked: bool = False


class Leading:
    """What only a leader remembers; made anew for each term of office.

    Args:
        first_index: of its own first entry, a no-op: once it is committed, so is all before (§6.4).
        tick: now.
    """

    __slots__ = ("catch_ups", "first_index", "heartbeat_tick", "may_lease", "progress", "rounds", "transfer")

    def __init__(self, *, first_index: Index, tick: int) -> None:
        self.first_index = first_index
        self.progress: dict[NodeId, Progress] = {}
        """All other members, in the order of their numbers."""
        self.catch_ups: dict[NodeId, CatchUp] = {}
        """All learners, likewise."""
        self.rounds = Rounds()
        self.heartbeat_tick = tick
        """When the next heartbeat is due."""
        self.transfer: Transfer | None = None
        self.may_lease = True
        """No TimeoutNow was sent in this term: nobody may campaign before 2T of silence."""


class State:
    """A replica's state, and the step under way."""

    __slots__ = (
        "applied",
        "ballot",
        "ballot_ticket",
        "commit",
        "configurations",
        "countdown",
        "durability",
        "effects",
        "election_ticks",
        "handed",
        "handover",
        "hard_state_changed",
        "installation",
        "leader",
        "leading",
        "loads",
        "log",
        "matched",
        "node",
        "now_ms",
        "options",
        "random",
        "records",
        "role",
        "silence",
        "term",
        "then",
        "tick",
        "timing",
        "voted_for",
        "voters",
        "waiters",
    )

    def __init__(
        self,
        node: NodeId,
        *,
        timing: Timing,
        options: Options,
        random: "random.Random",
        hard_state: HardState,
        log: Log,
        configurations: Configurations,
        applied: Index,
    ) -> None:
        self.node = node
        self.timing = timing
        self.options = options
        self.random = random
        # Durable.
        self.term = hard_state.term
        self.voted_for = hard_state.voted_for
        self.log = log
        self.configurations = configurations
        self.voters: tuple[NodeId, ...] = configurations.latest.voter_nodes
        """Of the configuration in force."""
        self.durability = Durability(log.last_index)

        # Volatile.
        self.role = Role.FOLLOWER
        self.leader = NO_NODE
        self.commit = applied
        self.matched = applied
        """The log equals that of this term's leader up to here, so what it commits up to here is the same."""
        self.applied = applied
        self.handed = applied
        """Entries up to here were handed to the store, in a Commit."""
        self.waiters: dict[int, Waiter] = {}
        """Who waits for which entry; in the order of the indexes."""
        self.installation: Installation | None = None
        self.loads = Loads()
        self.ballot: Ballot | None = None
        self.ballot_ticket = self.durability.next_ticket
        """Candidate: with this Persist its own vote counts."""
        self.leading: Leading | None = None
        self.handover: Transfer | None = None
        """A transfer that made this replica step down; its outcome is still open."""

        # Time, in ticks.
        self.now_ms = 0
        self.tick = 0
        self.silence = 0
        """Ticks since a leader was heard. A restart counts as a word: a promise to a leader may be forgotten."""
        self.election_ticks = 0
        self.countdown = 0
        """Ticks until the next election begins."""
        self.redraw_election()

        # The step under way.
        self.effects: list[Effect] = []
        self.records: list[Record] = []
        self.then: list[Send] = []
        self.hard_state_changed = False

    # Time.

    def redraw_election(self) -> None:
        """Draws a new election timeout (§3.4); a lone voter need not wait for anybody but its own disk."""
        timing = self.timing
        self.election_ticks = self.random.randint(timing.election_min_ticks, timing.election_max_ticks)
        waits_for_nobody = self.voters == (self.node,) and self.role is not Role.CANDIDATE
        self.countdown = 1 if waits_for_nobody else self.election_ticks

    @property
    def disk_hangs(self) -> bool:
        """Whether a Persist has waited for longer than any election timeout."""
        return self.durability.oldest_age(self.tick) > self.timing.election_max_ticks

    # Messages and answers.

    def send(self, dest: NodeId, message: RaftMessage) -> None:
        """Sends a message that promises nothing."""
        self.effects.append(Send(dest, message))

    def send_when_durable(self, dest: NodeId, message: RaftMessage) -> None:
        """Sends a message once all that this step and earlier ones wrote is durable (§3.8)."""
        self.then.append(Send(dest, message))

    def reply(self, waiter: Waiter, code: Code, message: str, *, leader: NodeId = NO_NODE) -> None:
        """Answers somebody who waits, if there is somebody."""
        if waiter != NOBODY:
            self.effects.append(Reply(waiter, code, message, leader))

    # Durable state.

    def set_term(self, term: Term, *, voted_for: NodeId) -> None:
        """Changes the term or the vote in it; durable before anything in `then` leaves."""
        self.term = term
        self.voted_for = voted_for
        self.hard_state_changed = True

    def append(self, entries: list[Entry] | tuple[Entry, ...]) -> None:
        """Adds entries to the log, and to what this step persists."""
        log = self.log
        first = Index(log.last_index + 1)
        log.append(entries)
        self.records.append(Entries(first, tuple(entries)))
        for offset, entry in enumerate(entries):
            if entry.kind is EntryKind.CONFIGURATION:
                index = Index(first + offset)
                self.configurations.append(index=index, configuration=decode_configuration(entry.data))
                self.voters = self.configurations.latest.voter_nodes

    def truncate(self, last: int) -> None:
        """Cuts the log after `last`; the entries that are appended next replace what is on disk."""
        self.log.truncate(last)
        self.durability.cut(Index(last))
        if self.configurations.truncate(last):
            self.voters = self.configurations.latest.voter_nodes

    @property
    def next_term(self) -> Term:
        """The term that it would campaign in."""
        return Term(self.term + 1)

    @property
    def configuration(self) -> Configuration:
        """The one in force: the latest in the log (§4.1)."""
        return self.configurations.latest

    # The end of the step.

    def flush(self) -> None:
        """Puts all that must become durable into one Persist, with what waits for it."""
        if self.hard_state_changed:
            self.records.insert(0, HardState(self.term, self.voted_for))
            self.hard_state_changed = False
        elif not self.records and not self.then:
            return
        records = self.records
        term, last_index = Term(0), Index(0)
        for record in records:
            if isinstance(record, Entries):
                term, last_index = self.log.last_term, self.log.last_index
                break
        ticket = self.durability.issue(last_index, self.tick)
        self.effects.append(Persist(ticket, tuple(records), tuple(self.then), term, last_index))
        self.records = []
        self.then = []
