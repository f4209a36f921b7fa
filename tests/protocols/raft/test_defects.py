"""Defects that earlier implementations of Raft had; each test shows the schedule that brought one to light."""

from libelli.core import Entry, EntryKind, Index, NodeId, Term
from libelli.protocols.raft.messages import (
    AppendAccepted,
    AppendEntries,
    Heartbeat,
    RequestVote,
    VoteDenied,
    VoteGranted,
)
from tests.protocols.raft.world import TIMING, Cluster, Envelope


def campaign(cluster: Cluster, number: int) -> None:
    """Lets a replica ask for votes; whatever it sends lies in the network."""
    for node in cluster.nodes.values():
        node.up._state.silence = TIMING.election_min_ticks
    cluster.raft(number)._state.countdown = 1
    cluster.tick(number)
    for envelope in list(cluster.network):
        if not isinstance(envelope.payload, RequestVote):
            cluster.network.remove(envelope)
            cluster.deliver(envelope)
    for envelope in list(cluster.network):
        if not isinstance(envelope.payload, RequestVote):
            cluster.network.remove(envelope)
            cluster.deliver(envelope)
    cluster.complete(number)


def test_who_voted_for_itself_does_not_vote_again_in_that_term() -> None:
    cluster = Cluster(3)
    campaign(cluster, 1)
    assert cluster.raft(1).role == "candidate"
    term = Term(cluster.raft(1).term)
    cluster.network.clear()

    cluster.deliver(Envelope(NodeId(2), NodeId(1), RequestVote(term, Index(0), Term(0), leader_agrees=True)))
    cluster.complete(1) if cluster.nodes[NodeId(1)].disk.queue else None

    assert cluster.under_way(VoteGranted) == []
    assert len(cluster.under_way(VoteDenied)) == 1


def test_who_voted_for_itself_does_not_vote_again_after_a_crash() -> None:
    cluster = Cluster(3)
    campaign(cluster, 1)
    term = Term(cluster.raft(1).term)
    cluster.network.clear()
    cluster.restart(1)
    assert cluster.raft(1).term == term

    cluster.deliver(Envelope(NodeId(2), NodeId(1), RequestVote(term, Index(0), Term(0), leader_agrees=True)))

    assert cluster.under_way(VoteGranted) == []


def test_a_delayed_append_cuts_nothing_that_was_acknowledged() -> None:
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.propose(1, "a")
    (early,) = cluster.drop(lambda envelope: isinstance(envelope.payload, AppendEntries) and envelope.dest == 2)
    cluster.settle()
    cluster.propose(1, "b", "c")
    cluster.pass_time(3 * TIMING.heartbeat_ticks)
    before = cluster.terms(2)
    assert cluster.values(2) == ["a", "b", "c"]

    cluster.deliver(early)
    cluster.settle()

    assert cluster.terms(2) == before


def test_a_delayed_heartbeat_cuts_nothing_that_was_acknowledged() -> None:
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.tick(1, TIMING.heartbeat_ticks)
    delayed = cluster.drop(lambda envelope: isinstance(envelope.payload, Heartbeat) and envelope.dest == 2)
    assert delayed
    cluster.settle()
    cluster.propose(1, "a", "b")
    cluster.pass_time(3 * TIMING.heartbeat_ticks)
    before = cluster.terms(2)

    for envelope in delayed:
        cluster.deliver(envelope)
        cluster.settle()

    assert cluster.terms(2) == before
    assert cluster.values(2) == ["a", "b"]


def test_a_candidate_follows_the_leader_of_its_own_term() -> None:
    cluster = Cluster(3)
    campaign(cluster, 1)
    term = Term(cluster.raft(1).term)
    assert cluster.raft(1).role == "candidate"

    entry = Entry(term, EntryKind.NOOP)
    cluster.network.clear()
    message = AppendEntries(term, Index(0), Term(0), Index(0), (entry,))
    cluster.deliver(Envelope(NodeId(2), NodeId(1), message))

    assert cluster.raft(1).role == "follower"
    assert cluster.raft(1).leader == 2


def test_no_vote_is_answered_before_it_is_durable() -> None:
    cluster = Cluster(3)
    campaign(cluster, 1)
    requests = [envelope for envelope in cluster.network if envelope.dest == 2]
    cluster.network.clear()
    for envelope in requests:
        cluster.deliver(envelope)
    assert cluster.under_way(VoteGranted) == []
    cluster.complete(2)
    assert len(cluster.under_way(VoteGranted)) == 1


def test_entries_of_an_older_term_are_not_committed_by_counting() -> None:
    """Figure 3.7: an entry on a majority may still be lost, unless one of the leader's own term is behind it."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.isolate(1)
    cluster.propose(1, "old")
    cluster.complete(1)
    old = cluster.raft(1)._state.log.last_index
    cluster.restart(1)
    cluster.heal()
    cluster.network.clear()
    campaign(cluster, 1)
    for envelope in cluster.drop(lambda each: isinstance(each.payload, RequestVote) and each.dest == 2):
        cluster.deliver(envelope)
    cluster.complete(2)
    for envelope in cluster.drop(lambda each: isinstance(each.payload, VoteGranted)):
        cluster.deliver(envelope)
    assert cluster.raft(1).role == "leader"
    cluster.network.clear()
    cluster.complete(1)
    state = cluster.raft(1)._state
    assert state.log.last_index == old + 1  # the no-op of the new term

    before = Index(old - 1)
    entry = Entry(state.log.term_at(old), EntryKind.COMMAND, b"old")
    message = AppendEntries(state.term, before, state.log.term_at(before), state.commit, (entry,))
    cluster.deliver(Envelope(NodeId(1), NodeId(2), message))
    cluster.complete(2)
    (accepted,) = cluster.drop(lambda each: isinstance(each.payload, AppendAccepted))
    assert accepted.payload == AppendAccepted(state.term, old)
    cluster.deliver(accepted)
    assert state.commit < old  # though two of three have it on their disks

    cluster.pass_time(TIMING.heartbeat_ticks * 3)
    assert state.commit == old + 1
