"""What a replica says about itself to people, metrics and tests."""

from msgspec import Struct

from libelli.core.ids import Index, NodeId, Term
from libelli.core.members import Configuration


class PeerStatus(Struct, frozen=True):
    """A follower as its leader sees it.

    Attributes:
        node: its number.
        match: its log is durable and equals the leader's up to here.
        next_index: of the next entry that it is sent.
        state: `probe`, `replicate` or `snapshot`.
        inflight_messages: AppendEntries that it has not answered.
        inflight_bytes: entries that it has not answered.
        is_heard: whether it answered within an election timeout.
    """

    node: NodeId
    match: Index
    next_index: Index
    state: str
    inflight_messages: int
    inflight_bytes: int
    is_heard: bool


class Status(Struct, frozen=True):
    """A replica at one moment.

    Attributes:
        node: its number.
        role: `leader`, `candidate`, `pre-candidate`, `follower` or `learner`.
        term: the current one.
        leader: who leads it (0: unknown).
        voted_for: its vote in this term (0: none).
        commit: entries up to here are committed, as far as it knows.
        applied: its store holds the entries up to here.
        durable_index: its own log is durable up to here.
        first_index: of the first entry in its log.
        last_index: of the last entry in its log.
        last_term: of the last entry in its log.
        configuration: in force.
        configuration_index: where that stands in the log.
        is_installing: whether a snapshot is on its way into its store.
        transfer_target: to whom it hands over (0: nobody).
        queries_waiting: queries whose confirmation is still under way.
        peers: one for each follower, in the order of their numbers; empty unless it leads.
    """

    node: NodeId
    role: str
    term: Term
    leader: NodeId
    voted_for: NodeId
    commit: Index
    applied: Index
    durable_index: Index
    first_index: Index
    last_index: Index
    last_term: Term
    configuration: Configuration
    configuration_index: Index
    is_installing: bool
    transfer_target: NodeId
    queries_waiting: int
    peers: tuple[PeerStatus, ...]
